"""Keys of the configuration that a person gave and that a dataset's or a model's own overrule."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mktn.config import overlay

KeyPath = tuple[str, ...]
COMMAND_LINE = "--config"
OWN_SECTIONS = ("sizes", "grounding")  # of a model beside mktn: they lie over nothing of mktn's
SHOWN = 40  # characters of a value
_NOTHING = object()


def overruled(
    config: Mapping[str, Any], given: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[str]:
    """A line for each key given that does nothing for a configured dataset or model.

    config: as it is merged. given: what was laid over the default, first to last, as (name of the
    file or `--config`, its keys). Nothing is said where the overruling key was given in the same
    place or a later one, or has the same value.
    """
    leaves = [dict(_leaves(keys)) for _, keys in given]
    lines = []
    for at, (name, _) in enumerate(given):
        known = {path for later in leaves[at:] for path in later}
        for path, value in leaves[at].items():
            if path[0] == "per_dataset" or any(path in later for later in leaves[at + 1 :]):
                continue
            over = {
                place: found
                for place in _places(config, path)
                if not _under(known, (*place, *path))
                and (found := _at(config, (*place, *path))) not in (_NOTHING, value)
            }
            if over:
                lines.append(_line(name, path, value, over))
    return lines


def _line(name: str, path: KeyPath, value: Any, over: Mapping[KeyPath, Any]) -> str:
    import yaml

    instead: dict[str, Any] = {}
    for place in over:
        instead = overlay(instead, _nested((*place, *path), value))
    flow = {
        key: yaml.safe_dump(below, default_flow_style=True, width=10**6, sort_keys=False).strip()
        for key, below in instead.items()
    }
    if name == COMMAND_LINE:
        do = "give " + " ".join(shlex.quote(f"{key}={below}") for key, below in flow.items())
    else:
        do = "give there " + " and ".join(f"{key}: {below}" for key, below in flow.items())
    said = ", ".join(f"{'.'.join(place)} ({_short(found)})" for place, found in over.items())
    return f"{'.'.join(path)} of {name} is overruled by {said}; {do}"


def _places(config: Mapping[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    """Where a key of the same name lies over `path`: datasets, then models that tables show."""
    for dataset in config["datasets"]:
        yield ("per_dataset", dataset)
    if path[0] in (*OWN_SECTIONS, "models"):
        return
    for model in config["systems"]:
        yield ("models", model)
        for dataset in config["datasets"]:
            yield ("per_dataset", dataset, "models", model)


def _leaves(keys: Mapping[str, Any], above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in keys.items():
        path = (*above, str(key))
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _at(config: Any, path: KeyPath) -> Any:
    """The value at the path; what is no mapping stands for all below it."""
    for key in path:
        if not isinstance(config, Mapping):
            return config
        if key not in config:
            return _NOTHING
        config = config[key]
    return config


def _under(known: set[KeyPath], path: KeyPath) -> bool:
    return any(path[: len(one)] == one for one in known)


def _nested(path: KeyPath, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value


def _short(value: Any) -> str:
    return str(value) if len(str(value)) <= SHOWN else f"{str(value)[:SHOWN]}..."
