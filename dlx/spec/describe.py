"""An annotation in words: what a value must be."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Literal

from dlx.parts import REGISTRIES
from dlx.parts.registry import FilePath, Parts
from dlx.parts.types import Tuned
from dlx.spec.annotations import options

FAR = 1e9


def describe(annotation: Any) -> str:
    """What a value must be, in words: "a whole number, at least 1", "'same' or 'valid'"."""
    return " or ".join(dict.fromkeys(_describe(option) for option in options(annotation) if option is not type(None)))


def _describe(option: Any) -> str:
    if option == Tuned:
        return "a mapping like {random_normal: 0.02}"
    origin = typing.get_origin(option)
    if origin is typing.Annotated:
        base, *extra = typing.get_args(option)
        marker = next((item for item in extra if isinstance(item, Parts)), None)
        if marker:
            noun = REGISTRIES[marker.kind].kind
            return f"a list of {noun}s" if typing.get_origin(base) is list else f"{article(noun)} {noun}"
        return _describe(base) + _limits(extra)
    if origin is Literal:
        words = [str(word) for word in typing.get_args(option)]
        return " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"
    if origin is list:
        return f"a list of {_plural(describe(typing.get_args(option)[0]))}"
    if origin is dict:
        key, value = typing.get_args(option)
        return f"a mapping of {describe(key)} to {describe(value)}"
    if option is FilePath:
        return "a path"
    if dataclasses.is_dataclass(option):
        return f"a mapping of {', '.join(f.name.rstrip('_') for f in dataclasses.fields(option))}"
    names = {Any: "a value", int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(option, str(option))


def article(noun: str) -> str:
    """The one that fits the noun."""
    return "an" if noun[0] in "aeiou" else "a"


def _plural(text: str) -> str:
    for singular, plural in (
        ("a whole number", "whole numbers"),
        ("a number", "numbers"),
        ("a text", "texts"),
        ("a path", "paths"),
        ("a value", "values"),
    ):
        text = text.replace(singular, plural)
    return text


def _limits(extra: list[Any]) -> str:
    """The bounds of an annotation, in brackets: (above 0, at most 1)."""
    bounds = [item for info in extra for item in getattr(info, "metadata", [info])]

    def limit(name: str) -> Any:
        return next((value for item in bounds if (value := getattr(item, name, None)) is not None), None)

    words = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))
    # Bounds far beyond any use keep arithmetic sound; to name them would only distract.
    limits = [f"{word} {limit(name)}" for name, word in words if limit(name) is not None and abs(limit(name)) < FAR]
    low, high = limit("min_length"), limit("max_length")
    if low is not None:
        limits.append(f"{low} of them" if low == high else f"at least {low} of them")
    if limit("pattern"):
        known = {"^last": "last 1, last 2, …", "^fold": "fold 1 of 5, …"}
        limits.append(known.get(str(limit("pattern"))[:5], "only letters, digits, _ . -"))
    return f" ({', '.join(limits)})" if limits else ""
