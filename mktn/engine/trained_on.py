"""Whether a run was trained on the data that it is asked about."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mktn.errors import UserError

if TYPE_CHECKING:
    from mktn.engine.evaluate import EvaluationConfig
    from mktn.grouping.loader import PairData

SHOWN = 120  # characters of a value in a message


def check_same(
    trained: dict[str, Any], config: "EvaluationConfig", data: "PairData", run: str
) -> None:
    """Refuse a run of another source, dataset, partition, feature store or text store."""
    for name, store in (("features", data.store), ("text", data.text)):
        # Through JSON, as the run's record went.
        here = json.loads(json.dumps(store.attributes))
        for key, found, expected in _differences(here, trained[name]):
            raise UserError(
                f"the run was trained on other {name}",
                where=f"{run}, {key}",
                found=_cut(found),
                expected=_cut(expected),
                do="evaluate it on its own data, or train it again",
            )
    # A run that names no partition is from before there were others.
    trained = {"partition": "standard", **trained}
    for name in ("source", "dataset", "partition"):
        if trained[name] != getattr(config, name):
            raise UserError(
                f"the run was trained on another {name}",
                where=run,
                found=trained[name],
                expected=getattr(config, name),
                do="evaluate it on its own data",
            )


def check_sizes(trained: dict[str, Any], data: "PairData", run: str) -> None:
    """Refuse a run of features or text of other sizes, whatever the stores say of themselves."""
    for name, found in data.sizes().items():
        if found != trained["sizes"][name]:
            raise UserError(
                "the run was trained on other sizes",
                where=f"{run}, sizes.{name}",
                found=found,
                expected=trained["sizes"][name],
                do="evaluate it on its own data, or train it again",
            )


def _differences(
    here: dict[str, Any], trained: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """The keys that differ, in order, those of mappings inside as `settings.noise`."""
    for key in sorted({**trained, **here}):
        found, expected = here.get(key), trained.get(key)
        if isinstance(found, dict) and isinstance(expected, dict):
            yield from _differences(found, expected, f"{prefix}{key}.")
        elif found != expected:
            yield f"{prefix}{key}", found, expected


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
