"""What `dlx evaluate` shows: the figures, then what stands behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlx.insight.evaluation import LEAST, Evaluation, Interval
from dlx.runs.metrics import figure_text, number_text
from dlx.runs.run import Run
from dlx.system import terminal
from dlx.system.json_text import finite

MOST_CLASSES = 12  # of a confusion that is printed


def show(found: Evaluation, run: Run) -> None:
    """Print an evaluation."""
    out = terminal.console()
    out.print(terminal.clean(f"{run.name} on {found.split}: {len(found.answers):,} examples"))
    out.print()
    terminal.table(
        [
            ("figure", list(found.figures)),
            ("", [_text(name, figure.value) for name, figure in found.figures.items()]),
            ("95 % interval", [_interval(name, figure) for name, figure in found.figures.items()]),
        ],
        [False, True, False],
    )
    if found.of_classes:
        _classes(found)
    if found.answers.task == "regression":
        _residuals(found)
    name = found.answers.headline
    if found.by is not None:
        column, slices = found.by
        _table(
            [(column, [value or "(gap)" for value, _, _ in slices]), ("n", [f"{n:,}" for _, n, _ in slices]),
             (name, [_text(name, i.value) for _, _, i in slices]),
             ("95 % interval", [_interval(name, i) for _, _, i in slices])],
            [False, True, True, False],
        )  # fmt: skip
        if (left := len(found.answers) - sum(n for _, n, _ in slices)) > 0:
            terminal.console(error=True).print(f"{left:,} examples are of values that fewer than {LEAST} have")
    if found.importance:
        _table(
            [("column", [column for column, _ in found.importance]),
             (f"{name} lost", [_points(name, i.value) for _, i in found.importance]),
             ("95 % interval", [_bounds(name, i) for _, i in found.importance])],
            [False, True, False],
        )  # fmt: skip
    if found.worst:
        _table(
            [("worst", [found.examples.place(row) for row, *_ in found.worst]),
             ("true", [_said(truth) for _, truth, *_ in found.worst]),
             ("answer", [_said(answer) for _, _, answer, _ in found.worst]),
             ("loss", [number_text(loss) for *_, loss in found.worst])],
            [False, False, False, True],
        )  # fmt: skip


def _table(columns: Sequence[tuple[str, Sequence[str]]], numeric: Sequence[bool]) -> None:
    terminal.console().print()
    terminal.table(columns, numeric)


def _classes(found: Evaluation) -> None:
    """The classes, the confusion of few of them, and how sure the model was."""
    names, rows = list(found.answers.classes), found.classes()
    shares = ("precision", "recall", "f1")
    _table(
        [("class", names), ("n", [f"{int(row['n']):,}" for row in rows]),
         *((share, [figure_text(share, row[share]) for row in rows]) for share in shares)],
        [False, *[True] * 4],
    )  # fmt: skip
    if len(names) <= MOST_CLASSES:
        counts = found.confusion()
        columns = [(name, [str(counts[row, place]) for row in range(len(names))]) for place, name in enumerate(names)]
        _table([("true, across: answer", names), *columns], [False, *[True] * len(names)])
    bins, error = found.calibration()
    terminal.console().print()
    sure = sum(each["sure"] * each["n"] for each in bins) / max(len(found.answers), 1)
    words = f"on average {100 * sure:.1f} % sure; confidence is off by {100 * error:.1f} points (calibration error)"
    terminal.console().print(terminal.clean(words))


def _residuals(found: Evaluation) -> None:
    """How predictions lie around what is true."""
    rows = found.residuals()
    names = list(found.examples.values) if len(rows) > 1 else ["value"]
    keys = (("mean", "mean"), ("deviation", "deviation"), ("5 %", "q5"), ("median", "median"), ("95 %", "q95"))
    columns = [(title, [number_text(row[key]) for row in rows]) for title, key in keys]
    _table([("prediction − truth", names), *columns], [False, *[True] * len(keys)])


def _text(name: str, value: float) -> str:
    return figure_text(f"test_{name}", value)


def _interval(name: str, figure: Interval) -> str:
    if figure.low is None or figure.high is None:
        return "–"
    return f"{_text(name, figure.low)} to {_text(name, figure.high)}"


def _points(name: str, value: float) -> str:
    return f"{100 * value:.2f} points" if name == "accuracy" else number_text(value)


def _bounds(name: str, figure: Interval) -> str:
    if figure.low is None or figure.high is None:
        return "–"
    return f"{_points(name, figure.low)} to {_points(name, figure.high)}"


def _said(value: Any) -> str:
    """A class, several of them, or values."""
    each = value if isinstance(value, list) else [value]
    return ", ".join(number_text(one) if isinstance(one, float) else str(one) for one in each) or "none"


def record(found: Evaluation, run: Run) -> Any:
    """The same as JSON."""

    def plain(figure: Interval) -> dict[str, float | None]:
        return {"value": figure.value, "low": figure.low, "high": figure.high}

    known: dict[str, Any] = {
        "run": str(run.path), "split": found.split, "n": len(found.answers),
        "figures": {name: plain(figure) for name, figure in found.figures.items()},
        "changed": found.examples.changed,
        "worst": [
            {"input": found.examples.place(row), "row": row, "truth": truth, "answer": answer, "loss": loss}
            for row, truth, answer, loss in found.worst
        ],
    }  # fmt: skip
    if found.of_classes:
        names = found.answers.classes
        bins, error = found.calibration()
        known["classes"] = dict(zip(names, found.classes(), strict=True))
        known["confusion"] = found.confusion().tolist()
        known["calibration"] = {"error": error, "bins": bins}
    if found.answers.task == "regression":
        known["residuals"] = found.residuals()
    if found.by is not None:
        column, slices = found.by
        known["by"] = {"column": column, "slices": [{"name": v, "n": n, **plain(i)} for v, n, i in slices]}
    if found.importance:
        known["importance"] = {column: plain(interval) for column, interval in found.importance}
    return finite(known)
