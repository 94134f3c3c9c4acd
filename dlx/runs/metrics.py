"""Which names are figures, and whether a larger one is better."""

from __future__ import annotations

import math
import re
from collections.abc import Container

OF_TWO_CLASSES = ("auc", "precision", "recall")  # what the result of a table of two classes has, asked or not


def is_figure(metric: str) -> bool:
    """Whether one value of the metric is better than another."""
    return metric.startswith(("train_", "val_", "test_", "last_val_", "reach_")) and metric not in (
        "train_seconds",
        "test_is_validation",
    )


def unasked(metric: str, known: Container[str]) -> bool:
    """Whether a figure is one that tables of two classes have at their end, though the spec names no such metric.

    known: the figures of the run, or of all runs.
    """
    name = metric.removeprefix("last_").partition("_")[2]
    return name in OF_TWO_CLASSES and f"train_{name}" not in known


def is_number(value: object) -> bool:
    """Whether a figure of a history is there and finite."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def reached(name: str, value: object, goal: float) -> bool:
    """Whether a figure is as good as a number, up to the digits of float32."""
    if not isinstance(value, (int, float)):
        return False
    slack = 1e-6 * abs(goal)
    return value >= goal - slack if maximized(name) else value <= goal + slack


# Figures

MORE_IS_BETTER = ("accuracy", "exact_match", "auc", "f1", "precision", "recall", "r2")


def maximized(metric: str) -> bool:
    """Whether more of the metric is better."""
    name = re.sub(r"^(last_)?(train|val|test)_", "", metric)
    return name in MORE_IS_BETTER or re.fullmatch(r"top_\d+_accuracy", name) is not None
