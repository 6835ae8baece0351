"""JSON and YAML as text, read strictly: what is written twice, no number or endless is refused.

Both load plain values only: text, numbers, booleans, null, lists and mappings.
"""

import json
import math
from collections.abc import Hashable
from typing import Any

MOST_VALUES = 100_000  # of a YAML document, each use of an anchor counted


def load_json(text: str) -> Any:
    """The value of a JSON text.

    Raises ValueError on other text, a key that stands twice, NaN and infinite numbers.
    """

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant}, which is no number of JSON")

    def finite(digits: str) -> float:
        number = float(digits)
        if not math.isfinite(number):
            raise ValueError(f"{digits[:40]}, which is too large a number")
        return number

    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("lists or objects nested too deep") from None


def load_yaml(text: str) -> Any:
    """The value of a YAML text of one document.

    Raises ValueError on other text, tags of Python's objects, a key that stands twice, and
    anchors that make more than `MOST_VALUES` values of it.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, for mappings without a key twice."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            seen = set()
            for below, _ in node.value:
                if below.tag == "tag:yaml.org,2002:merge":  # `<<: *anchor`, which keys may repeat
                    continue
                line = below.start_mark.line + 1
                key = self.construct_object(below, deep=True)
                if not isinstance(key, Hashable):
                    raise ValueError(f"line {line}: a key that is no text")
                if key in seen:
                    raise ValueError(f"line {line}: the key {key!r} twice")
                seen.add(key)
            return super().construct_mapping(node, deep)

    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("lists or mappings nested too deep") from None


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(items)
    if len(mapping) < len(items):
        keys = [key for key, _ in items]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} twice")
    return mapping


def _values(node: Any, known: dict[int, int]) -> int:
    """How many values a node stands for; a node that holds itself has no number of them."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise ValueError(f"line {node.start_mark.line + 1}: an anchor that holds itself")
        return known[id(node)]
    if isinstance(node.value, str):
        return 1
    known[id(node)] = 0
    below = (
        part for item in node.value for part in (item if isinstance(item, tuple) else (item,))
    )
    known[id(node)] = 1 + sum(_values(part, known) for part in below)
    return known[id(node)]
