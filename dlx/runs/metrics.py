"""Which names are figures, and whether a larger one is better."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping

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


def better(name: str, value: float, than: float | None) -> bool:
    """Whether a figure is better than the best before it; where there is none, any is."""
    return than is None or (value > than if maximized(name) else value < than)


def reached(name: str, value: object, goal: float) -> bool:
    """Whether a figure is as good as a number, up to the digits of float32."""
    if not isinstance(value, (int, float)):
        return False
    slack = 1e-6 * abs(goal)
    return value >= goal - slack if maximized(name) else value <= goal + slack


# Figures as a person reads them: docs/look.md

SHARES = ("accuracy", "exact_match", "precision", "recall", "f1")  # from 0 to 1, said in per cent


def plain_name(metric: str) -> str:
    """The metric without its split: val_loss is loss."""
    return re.sub(r"^(last_)?(train|val|test)_", "", metric)


def numbers(metrics: Mapping[str, object]) -> dict[str, float]:
    """The figures of metrics.json that are numbers, and no truth values."""
    found = {key: value for key, value in metrics.items() if is_number(value) and not isinstance(value, bool)}
    return {key: float(value) for key, value in found.items()}  # type: ignore[arg-type]


def splits_of(known: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """(the splits that a run has figures of, the names of these without the split), for a table of both."""
    splits = [split for split in ("train", "val", "test") if f"{split}_loss" in known]
    names = dict.fromkeys(plain_name(key) for key in known if key.startswith(tuple(f"{s}_" for s in splits)))
    return splits, [name for name in names if name not in ("seconds", "is_validation")]


def is_share(metric: str) -> bool:
    """Whether a metric is a share of the examples, which is said in per cent."""
    name = plain_name(metric)
    return name in SHARES or re.fullmatch(r"top_\d+_accuracy", name) is not None


def figure_text(metric: str, value: float) -> str:
    """One figure, in four digits: 97.78 %, 0.0442, 1,739."""
    if not math.isfinite(value):
        return str(value)
    return f"{100 * value:.2f} %" if is_share(metric) else number_text(value)


def number_text(value: float) -> str:
    """A number in four digits, thousands with a comma: 0.04417, 52.31, 1,739."""
    size = abs(value)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and size < 1e15:
        return f"{value:,.0f}"
    if size >= 1000:
        return f"{value:,.0f}" if size < 1e9 else f"{value:.4g}"
    return f"{value:.4f}" if 0.01 <= size < 10 else f"{value:.3g}" if size < 0.01 else f"{value:.2f}"


def setting_text(value: object) -> str:
    """A setting as a table has it: a number that is not whole in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def mean_text(metric: str, mean: float, deviation: float) -> str:
    """A mean and its standard deviation: two digits of this, the mean to the same place: 0.163 ± 0.012."""
    share = is_share(metric)
    mean, deviation = (100 * mean, 100 * deviation) if share else (mean, deviation)
    if deviation <= 0:
        return f"{f'{mean:.2f}' if share else number_text(mean)} ± 0{' %' * share}"
    places = max(1 - math.floor(math.log10(float(f"{deviation:.1e}"))), 0)
    if places > 6:
        return f"{mean:.3g} ± {deviation:.2g}{' %' * share}"
    places = min(places, 2) if share else places
    return f"{mean:,.{places}f} ± {deviation:,.{places}f}{' %' * share}"


MORE_IS_BETTER = ("auc", "r2")  # beside the shares


def maximized(metric: str) -> bool:
    """Whether more of the metric is better."""
    return plain_name(metric) in MORE_IS_BETTER or is_share(metric)
