"""JSON as dlx reads and writes it: a figure that is not finite is null, an object on one line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def _finite_float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _whole(text: str) -> float | None:
    return int(text) if len(text) < 300 else _finite_float(text)


# NaN, Infinity, and a number too large for a float are null.
DECODER = json.JSONDecoder(parse_constant=lambda word: None, parse_float=_finite_float, parse_int=_whole)


def document(value: Mapping[str, Any]) -> str:
    """A JSON document, indented."""
    return json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n"


def finite(value: Any) -> Any:
    """`value` with every figure that is not finite as null: JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def one_line(value: Any) -> str:
    """One line of JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
    # A lone surrogate, from a name that is not UTF-8, is written as JSON's own escape for it.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
