"""Settings: typed dataclasses filled from plain mappings, with one-line errors.

A command gets its settings as `--settings`, JSON text or the path of a YAML or JSON file:
only what that step uses, so that a change reruns that step and no other.
"""

import contextlib
import dataclasses
import difflib
import functools
import math
import re
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from mktn.contradictions import MOST, refuse_contradictions, refuse_no_numbers
from mktn.documents import load_json, load_yaml
from mktn.errors import UserError
from mktn.limits import LIMITS

Settings = TypeVar("Settings")
SHOWN = 120  # characters of what was given


def check(config: Mapping[str, Any], schema: str | Path) -> None:
    """Refuse a configuration that does not match the JSON schema (a YAML file) or contradicts
    itself.

    Raises UserError naming the key, the value found and what is expected.
    """
    import jsonschema

    validator = _validator(Path(schema))
    refuse_no_numbers(config)
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is None:
        refuse_contradictions(config, {d: for_dataset(config, d) for d in config["datasets"]})
        return
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        close = difflib.get_close_matches(str(unknown), known, n=1)
        raise UserError(
            "unknown key",
            where=f"configuration, {'.'.join([*path, str(unknown)])}",
            found=repr(unknown),
            expected=f"{close[0]!r}?" if close else f"one of {', '.join(known)}",
            do="mend the key in the file or after --config",
        )
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        raise UserError(
            "key is missing",
            where=f"configuration, {'.'.join([*path, missing])}",
            do="add it, as in the config.yaml that comes with the workflow",
        )
    raise UserError(
        "value refused",
        where=f"configuration, {'.'.join(path) or 'top level'}",
        found=_cut(error.instance),
        expected=error.schema.get("description")
        or error.message.replace(repr(error.instance), ""),
        do="mend the value in the file or after --config",
    )


@functools.cache
def _validator(schema: Path) -> Any:
    import jsonschema
    import yaml

    rules = yaml.safe_load(schema.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(rules)


def check_file(path: str | Path) -> None:
    """Refuse a configuration file in which a key stands twice, or that names Python's objects.

    Snakemake takes the last of two keys without a word. Raises UserError, also where the file
    cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        load_json(text) if text.lstrip().startswith("{") else load_yaml(text)
    except (OSError, ValueError) as error:
        raise UserError(
            "configuration cannot be read", where=path, found=error, expected="YAML or JSON"
        ) from error


def with_numbers(value: Any) -> Any:
    """The configuration with numbers and booleans where it has text that spells one.

    Snakemake reads what stands inside brackets or braces after --config as text, so that
    `seeds=[0,1]` arrives as ["0", "1"].
    """
    if isinstance(value, Mapping):
        return {key: with_numbers(below) for key, below in value.items()}
    if isinstance(value, list):
        return [with_numbers(below) for below in value]
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?", value):
        return float(value)
    return value


def for_dataset(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The configuration with `per_dataset.{dataset}` laid over it, key by key."""
    return overlay(config, config.get("per_dataset", {}).get(dataset, {}))


def overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid over it, key by key."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = overlay(below, value)
        merged[key] = value
    return merged


def read_settings(text: str | None) -> dict[str, Any]:
    """The mapping given as `--settings`: JSON text, or a path of a YAML or JSON file.

    Raises UserError when it is neither, or not a mapping.
    """
    if not text:
        return {}
    where = "--settings"
    try:
        if text.lstrip().startswith("{"):
            value = load_json(text)
        else:
            where = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
            read = Path(text).read_text(encoding="utf-8-sig")
            # YAML would take JSON's 6e-4 for text.
            value = (load_json if text.lower().endswith(".json") else load_yaml)(read)
    except (OSError, ValueError) as error:
        raise UserError(
            "settings cannot be read", where=where, found=error, expected="JSON or YAML"
        ) from error
    if not isinstance(value, dict):
        raise UserError(
            "settings are not a mapping", where=where, found=type(value).__name__, expected="keys"
        )
    return value


def fill(cls: type[Settings], mapping: Mapping[str, Any], where: str = "settings") -> Settings:
    """An instance of the dataclass `cls` from `mapping`; nested dataclasses are filled too.

    Raises UserError on an unknown key, a missing key, a value of another type, or a value
    that the dataclass's own `__post_init__` refuses (it raises ValueError).
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    if not isinstance(mapping, Mapping):
        raise UserError(
            "value of another type", where=where, found=type(mapping).__name__, expected="keys"
        )
    unknown = sorted(set(mapping) - set(fields), key=str)
    if unknown:
        raise UserError(
            "unknown key",
            where=f"{where}.{unknown[0]}",
            found=repr(unknown[0]),
            expected=f"one of {', '.join(fields)}",
        )
    values = {
        name: _convert(hints[name], value, f"{where}.{name}") for name, value in mapping.items()
    }
    missing = [
        name
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError("missing key", where=where, expected=repr(missing[0]))
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError("value refused", where=where, found=error) from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return fill(typing.cast(type[Any], hint), value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        kinds = [kind for kind in arguments if kind is not type(None)]
        for kind in kinds[:-1]:
            with contextlib.suppress(UserError):
                return _convert(kind, value, where)
        return _convert(kinds[-1], value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(arguments[0], item, where) for item in value)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise UserError(
            "unknown value",
            where=where,
            found=_cut(value),
            expected=f"one of {', '.join(map(repr, arguments))}",
        )
    if hint in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        # Also of a whole number, which may be too large for a float.
        if not abs(value) <= (MOST if isinstance(value, int) else sys.float_info.max):
            raise UserError(
                "value refused", where=where, found=_cut(value), expected="a finite number that"
                f" is at most {MOST} where it is whole",
            )  # fmt: skip
        least, most = LIMITS.get(where.rpartition(".")[2], (-math.inf, math.inf))
        if not least <= value <= most:
            raise UserError(
                "value refused", where=where, found=_cut(value),
                expected=f"at least {least:g}" if value < least else f"at most {most:g}",
            )  # fmt: skip
        value = float(value) if hint is float else value
    if hint is Any or (origin is dict and isinstance(value, dict)):
        return value
    if (
        isinstance(hint, type)
        and isinstance(value, hint)
        and (hint is bool) == isinstance(value, bool)
    ):
        return value
    raise UserError(
        "value of another type",
        where=where,
        found=_cut(value),
        expected=getattr(hint, "__name__", str(hint)),
    )


def _cut(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
