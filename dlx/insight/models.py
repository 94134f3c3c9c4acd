"""Two single runs compared by what they predicted of the same examples: about these two models, not their settings."""

from __future__ import annotations

from dlx.errors import RunError
from dlx.insight import kept
from dlx.insight.kept import Kept
from dlx.insight.significance import Finding, mcnemar, paired
from dlx.insight.statement import Statement, bound_text
from dlx.runs.metrics import number_text
from dlx.runs.run import Run

ALONE = "about these two models; one seed each says nothing about the settings"


def compare_models(runs: tuple[Run, Run]) -> Statement:
    """What two runs say of the examples that both predicted.

    Raises RunError or DataError where one keeps no predictions, or they are of other examples.
    """
    a, b = (kept.predictions(run) for run in runs)
    names = (runs[0].name, runs[1].name)
    if not kept.same_rows(a, b):
        raise RunError(f"{names[0]} and {names[1]} predicted other rows: nothing is said of their difference")
    metric, found, words = _values(a, b, names) if a.task == "regression" else _classes(a, b, names)
    split = "val" if a.split == "validation" else a.split
    sentence = f"On {len(a):,} {a.split} rows {words}: {ALONE}."
    return Statement(str(runs[0].path), str(runs[1].path), f"{split}_{metric}", found, (1, 1), sentence)


def _classes(a: Kept, b: Kept, names: tuple[str, str]) -> tuple[str, Finding, str]:
    right, other = a.right(), b.right()
    alone = int((right & ~other).sum()), int((other & ~right).sum())
    found = mcnemar(*alone, len(a))
    p = f"{found.p:.2g}" if found.p >= 0.001 else "below 0.001"
    metric = "accuracy" if a.task == "classification" and a.label.ndim == 1 else "exact_match"
    counts = f"{alone[0]:,} {'is' if alone[0] == 1 else 'are'} right in {names[0]} alone"
    words = f"{counts} and {alone[1]:,} in {names[1]} alone (mid-p {p})"
    return metric, found, words


def _values(a: Kept, b: Kept, names: tuple[str, str]) -> tuple[str, Finding, str]:
    found = paired([float(one) for one in a.errors() - b.errors()], test="paired t over rows")
    if not found.difference:
        return "mae", found, f"the mean absolute error of {names[0]} is that of {names[1]}"
    by = f"{number_text(abs(found.difference))} {'smaller' if found.difference < 0 else 'larger'}"
    interval = f"95 % interval {bound_text('mae', found.low)} to {bound_text('mae', found.high)}, {found.test}"
    return "mae", found, f"the mean absolute error of {names[0]} is {by} than that of {names[1]} ({interval})"
