"""Settings: typed dataclasses filled from plain mappings, with one-line errors.

A command gets its settings as `--settings`, JSON text or the path of a YAML or JSON file:
only what that step uses, so that a change reruns that step and no other.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from mktn.errors import UserError

Settings = TypeVar("Settings")


def read_settings(text: str | None) -> dict[str, Any]:
    """The mapping given as `--settings`: JSON text, or a path of a YAML or JSON file.

    Raises UserError when it is neither, or not a mapping.
    """
    if not text:
        return {}
    where = "--settings"
    try:
        if text.lstrip().startswith("{"):
            value = json.loads(text)
        else:
            import yaml

            where = text
            value = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            "settings cannot be read", where=where, found=error, expected="JSON or YAML"
        ) from error
    except Exception as error:
        # yaml's own errors do not derive from ValueError, and yaml is imported late.
        if type(error).__module__.split(".")[0] != "yaml":
            raise
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
    unknown = sorted(set(mapping) - set(fields))
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
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(arguments[0], item, where) for item in value)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise UserError(
            "unknown value",
            where=where,
            found=repr(value),
            expected=f"one of {', '.join(map(repr, arguments))}",
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
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
        found=repr(value),
        expected=getattr(hint, "__name__", str(hint)),
    )
