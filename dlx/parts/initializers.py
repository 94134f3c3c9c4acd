"""Initializers with arguments: {random_normal: 0.02}, {random_uniform: {minval: -1, maxval: 1}}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlx.system.backend import keras

# The parameters of each, the first of which may stand alone; a range needs both of its ends.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "random_normal": ("stddev", "mean"),
    "truncated_normal": ("stddev", "mean"),
    "constant": ("value",),
    "variance_scaling": ("scale", "mode", "distribution"),
    "random_uniform": ("minval", "maxval"),
}
WORDS = {
    "mode": ("fan_in", "fan_out", "fan_avg"),
    "distribution": ("normal", "truncated_normal", "untruncated_normal", "uniform"),
}


def problem(value: Any) -> str:
    """What Keras would refuse of an initializer as a spec says it; empty where it is sound."""
    if not isinstance(value, Mapping):
        return ""
    ((name, arguments),) = value.items()
    known = PARAMETERS[name]
    if not isinstance(arguments, Mapping):
        if name == "random_uniform":
            return f"random_uniform is a range: expected {{minval: {-abs(arguments):g}, maxval: {abs(arguments):g}}}"
        arguments = {known[0]: arguments}
    for key, item in arguments.items():
        if key not in known:
            return f"{name} has no parameter {key!r}; expected {' or '.join(known)}"
        if key in WORDS and item not in WORDS[key]:
            return f"{key}: expected {' or '.join(WORDS[key])}, got {item!r}"
        if key not in WORDS and isinstance(item, str):
            return f"{key}: expected a number, got {item!r}"
        if key == "scale" and item <= 0:
            return f"{key}: expected a number above 0, got {item:g}"
    low, high = arguments.get("minval", -0.05), arguments.get("maxval", 0.05)
    return f"minval {low:g} is above maxval {high:g}" if low > high else ""


def make(value: Any) -> Any:
    """Keras's object for a name, or for {name: {parameter: value}}."""
    if not isinstance(value, Mapping):
        return value
    ((name, arguments),) = value.items()
    given = dict(arguments) if isinstance(arguments, Mapping) else {PARAMETERS[name][0]: arguments}
    return keras.initializers.get({"class_name": name, "config": given})
