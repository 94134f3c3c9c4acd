"""Runs in rows: folded, sorted, with their figures and curves."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.errors import RunError, did_you_mean
from dlx.runs.history import thinned
from dlx.runs.metrics import figure_text, is_figure, is_number, maximized, mean_text, reached, unasked
from dlx.runs.run import Run
from dlx.runs.summary import LABELS, SPREAD, Entry, same_setting

LARGEST = 1e150
ABSENT = "–"
BARS = "▁▂▃▄▅▆▇█"


# Folding and sorting


@dataclass
class Row:
    """One line of the comparison: a run, or several that differ in nothing but the seed, or what was cut off."""

    entries: list[Entry]

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def name(self) -> str:
        if len(self.entries) == 1:
            return self.first.name
        return f"{self.first.settings.get('name', self.first.name)} ({self.counted})"

    @property
    def counted(self) -> str:
        """How many runs it is, and in what they differ: n=5 for seeds, else 5 splits or 5 folds."""
        kinds = [noun for key, noun in SPREAD.items() if len({repr(spread(entry, key)) for entry in self.entries}) > 1]
        return f"n={len(self.entries)}" if kinds in ([], ["seeds"]) else f"{len(self.entries)} {' and '.join(kinds)}"

    def values(self, key: str) -> list[float]:
        """The figures under `key` that are finite, and not so large that their sum would not be."""
        values = (_figure(entry, key) for entry in self.entries)
        numbers = [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        return [value for value in numbers if abs(value) < LARGEST]

    def figure(self, key: str) -> float | None:
        """The mean; None when a run of the row has no finite one, so that a NaN is never best."""
        values = self.values(key)
        return math.fsum(values) / len(values) if len(values) == len(self.entries) else None

    def deviation(self, key: str) -> float | None:
        """The standard deviation; None of a single run."""
        values = self.values(key)
        return _deviation(values) if len(values) == len(self.entries) > 1 else None

    def shown(self, key: str) -> str:
        values = self.values(key)
        if not values:
            return ABSENT
        if not is_figure(key):
            return _range_text(values)
        mean = math.fsum(values) / len(values)
        if len(self.entries) == 1:
            return figure_text(key, mean)
        short = "" if len(values) == len(self.entries) else f" ({len(values)} of {len(self.entries)})"
        several = mean_text(key, mean, _deviation(values)) if len(values) > 1 else figure_text(key, mean)
        return f"{several}{short}"


def names_of(rows: Sequence[Row]) -> list[str]:
    """What the rows are called; of two runs of one name with the folders that they are in."""
    names = [row.name for row in rows]
    return [
        f"{row.first.path.parent.name}/{name}" if names.count(name) > 1 and len(row.entries) == 1 else name
        for row, name in zip(rows, names, strict=True)
    ]


def _range_text(values: Sequence[float]) -> str:
    """Epochs or seconds, three digits of them; of several runs the median, and between which they lie: 24 (12–40)."""
    low, middle, high = min(values), statistics.median(values), max(values)
    words = [count_text(value) for value in (low, middle, high)]
    return words[1] if words[0] == words[2] else f"{words[1]} ({words[0]}–{words[2]})"


def count_text(value: float) -> str:
    """Epochs or seconds, three digits of them, all before the point: 1.52, 24, 1,739."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample of two or more."""
    return statistics.stdev(values)


def spread(entry: Entry, key: str) -> Any:
    """What a run has of a key of SPREAD: the seed, or which fold it is; None for a validation that is no fold."""
    value = entry.settings.get(key)
    return value if key != "validation" or _folds(value) else None


def _folds(validation: Any) -> str:
    """How many folds a spec's validation is one of, as it says it: "of 5"; empty for another validation."""
    match = re.fullmatch(r"fold \d+ (of \d+)", validation) if isinstance(validation, str) else None
    return match[1] if match else ""


def _figure(entry: Entry, key: str) -> Any:
    """A figure of a run; the best epoch may be the last one, and without penalties the loss is that of the data."""
    metrics = entry.metrics
    last = entry.settings.get("keep") == "last" or metrics.get("best_epoch") == metrics.get("epochs")
    if key not in metrics and key.startswith("last_") and last:
        return metrics.get(key.removeprefix("last_"))
    if key not in metrics and key.endswith("_data_loss") and not penalties(entry):
        return metrics.get(key.replace("data_loss", "loss"))
    return metrics.get(key)


def penalties(entry: Entry) -> list[tuple[str, str]]:
    """The penalties on weights that a run's settings name, wherever the layers stand."""
    named = {key: value for key, value in entry.settings.items() if "regulariz" in key}
    strengths = [key for key, value in named.items() if isinstance(value, (int, float)) and value > 0]
    spared = [key for key in named if key.startswith("regularization.except")] if strengths else []
    return sorted((re.sub(r"\.\d+\.", ".", key), repr(named[key])) for key in [*strengths, *spared])


def unlike_penalties(rows: Sequence[Row]) -> bool:
    """Whether the losses of the rows hold different penalties, so that they say nothing of one another."""
    return len({repr(penalties(row.first)) for row in rows if row.first.settings}) > 1


def _unlike_losses(rows: Sequence[Row]) -> bool:
    """Whether the losses of the rows are different functions, or of different tasks."""

    def loss(entry: Entry) -> str:
        named = {key: value for key, value in entry.settings.items() if key.split(".")[0] == "loss"}
        return repr((entry.info.get("task"), sorted(named.items())))

    return len({loss(row.first) for row in rows if row.first.settings}) > 1


def fold(entries: Sequence[Entry]) -> list[Row]:
    """Finished runs of the same settings but for SPREAD in one row, in order of their first run."""
    rows: dict[Any, Row] = {}
    first: Mapping[str, Any] = entries[0].settings if entries else {}
    for entry in entries:
        key: Any = id(entry)
        if entry.status == "done" and entry.settings:
            # The settings that differ from the first run, or are missing, identify it.
            other = [
                (k, v)
                for k, v in entry.settings.items()
                if (a := first.get(k, first)) is not v and not same_setting(a, v)
            ]
            lacks = (
                [k for k in first if k not in entry.settings] if len(entry.settings) - len(other) < len(first) else []
            )
            folds = _folds(entry.settings.get("validation"))
            left = (*LABELS, "validation") if folds else LABELS
            same = [pair for pair in [*other, *((k, ABSENT) for k in lacks)] if pair[0].split(".")[0] not in left]
            made = [str(entry.info.get(name, 1)) for name in ("backend", "device", "devices")]
            data = str((entry.info.get("dataset") or {}).get("fingerprint"))
            key = (repr(sorted(same, key=repr)), folds, data, *made)
            alike = rows[key].entries if key in rows else []
            if any(all(spread(one, k) == spread(entry, k) for k in SPREAD) for one in alike):
                key = id(entry)  # the same seed and splits twice are not a repetition to average over
        if key in rows:
            rows[key].entries.append(entry)
        else:
            rows[key] = Row([entry])
    return list(rows.values())


def ordered(rows: list[Row], metric: str | None) -> list[Row]:
    """The best first by `metric`; rows without a finite figure last. Without one, as they were named.

    Raises RunError when no run has that metric.
    """
    if metric is None:
        return rows
    known = sorted({key for row in rows for entry in row.entries for key in entry.metrics})
    if metric not in known and rows:
        raise RunError(
            f"no run has a figure {metric!r}{did_you_mean(metric, known)}", hint=f"there are {', '.join(known)}"
        )
    sign = -1 if maximized(metric) else 1

    def key(row: Row) -> tuple[bool, float]:
        value = row.figure(metric)
        return (value is None, sign * (value or 0.0))

    return sorted(rows, key=key)


# Results


def figure_names(rows: Sequence[Row], chosen: Sequence[str] = ()) -> list[str]:
    """The result columns: the chosen ones, or the usual few that some run has.

    Raises RunError for a chosen one that no run has.
    """
    known = dict.fromkeys(key for row in rows for entry in row.entries for key in entry.metrics)
    if chosen:
        for key in chosen:
            if key not in known:
                raise RunError(
                    f"no run has a figure {key!r}{did_you_mean(key, known)}", hint=f"there are {', '.join(known)}"
                )
        return list(chosen)
    twins = all(entry.metrics.get("test_is_validation") for row in rows for entry in row.entries if entry.metrics)
    monitors, unlike = {str(row.first.info.get("monitor", "")) for row in rows}, unlike_penalties(rows)
    wanted = [key for key in known if key.startswith("reach_")]
    valued = all(entry.info.get("task") == "regression" for row in rows for entry in row.entries)
    for split in ("val", "last_val", "train", "test"):  # what is chosen by first, what nothing is chosen by last
        if split == "test" and twins:
            continue
        names = [key for key in known if key.startswith(f"{split}_") and is_figure(key)]
        names = [key for key in names if unlike or not key.endswith("data_loss")]
        names = [key for key in names if not unasked(key, known)]
        if split == "last_val" and not all(key.endswith("loss") for key in names):
            names = [key for key in names if not key.endswith("loss")]
        if split == "last_val":  # only where an epoch before the last was kept
            pairs = {key: [(row.figure(key), row.figure(key.removeprefix("last_"))) for row in rows] for key in names}
            names = [key for key in names if any(last not in (None, kept) for last, kept in pairs[key])]
        # What has a unit says more of a regression than the loss of its scaled targets.
        wanted += sorted(names, key=lambda key: (not valued and key not in monitors, key.endswith("loss") == valued))
    return [*wanted, *(key for key in ("best_epoch", "epochs", "train_seconds") if key in known)]


def best_rows(rows: Sequence[Row], metric: str) -> list[Row]:
    """The rows with the best figure, several if they are equal.

    None with fewer than two to choose from, nor among runs on unlike data, whose figures say nothing of one another;
    nor by a figure of test where there is one of validation: who chooses by test has no test; nor by a loss in which
    the rows have other penalties.
    """
    if not is_figure(metric):
        return []
    of_data = metric.endswith("data_loss")
    if metric.endswith("_loss") and (_unlike_losses(rows) or (not of_data and unlike_penalties(rows))):
        return []
    validated = metric.replace("test_", "val_", 1)
    if metric.startswith("test_") and any(validated in entry.metrics for row in rows for entry in row.entries):
        return []
    having = [(value, row) for row in rows if (value := row.figure(metric)) is not None]
    if len(having) < 2 or len({row.first.data for _, row in having}) > 1:
        return []
    top = (max if maximized(metric) else min)(value for value, _ in having)
    best = [row for value, row in having if value == top]
    return best if len(best) < len(having) else []


def reach(entry: Entry, figure: str, goal: float) -> None:
    """Add to the figures of a run when its history first has a figure as good as `goal`: steps, epochs, seconds."""
    seconds = 0.0
    for row in Run(entry.path).history():
        taken = row.get("seconds")
        seconds += taken if isinstance(taken, (int, float)) else math.nan
        if reached(figure, row.get(figure), goal):
            step, epoch = row.get("step"), row.get("epoch")
            found = {"reach_steps": step, "reach_epochs": epoch, "reach_seconds": round(seconds, 3)}
            entry.metrics |= {key: value for key, value in found.items() if value == value}
            return


def sparkline(entry: Entry, width: int = 12) -> str:
    """The monitored figure over the epochs, in so many bars; a figure that is not finite is a blank."""
    monitor = entry.info.get("monitor", "val_loss")
    values = Run(entry.path).epochs.curve(monitor)
    if not values:
        return ""
    picked = thinned(values, width)
    finite = [v for v in picked if is_number(v)]
    if not finite:
        return " " * len(picked)
    if monitor.endswith("loss") and min(finite) > 0 and max(finite) > 30 * min(finite):  # as dlx plot draws it
        picked = [math.log(v) if v in finite else v for v in picked]
        finite = [math.log(v) for v in finite]
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(BARS[round((v - low) / span * 7)] if is_number(v) else " " for v in picked)
