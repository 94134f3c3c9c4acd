"""Predictions written as they come: a table for the eye, CSV or JSON lines, on a stream."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from dlx.errors import DlxError, did_you_mean
from dlx.inference.prediction import Prediction, TableRow
from dlx.system import terminal
from dlx.system.json_text import finite, one_line

NAME_WIDTH, CLASS_WIDTH = 36, 24


@dataclass(frozen=True)
class Writer:
    """Writes predictions as they come; `end` writes what is left when there are no more."""

    write: Callable[[Prediction], None]
    end: Callable[[], None] = lambda: None


def json_writer(stream: TextIO, array: bool = False) -> Writer:
    """One JSON object a line, or all of them in one array."""
    before = "[\n"

    def write(prediction: Prediction) -> None:
        nonlocal before
        line = one_line(finite(prediction.record()))
        stream.write(f"{before if array else ''}{line}{'' if array else chr(10)}")
        before = ",\n"

    def end() -> None:
        if array:
            print("\n]" if before[0] == "," else "[]", file=stream)

    return Writer(write, end)


def table_writer(stream: TextIO, classes: Sequence[str], top: int | None) -> Writer:
    """A line an input, or with `top` a line for each of the most probable classes."""
    widest = min(max((terminal.cells(terminal.clean(name)) for name in classes), default=0), CLASS_WIDTH)

    def write(prediction: Prediction) -> None:
        name = terminal.padded(terminal.shortened(terminal.clean(prediction.input), NAME_WIDTH), NAME_WIDTH)
        if prediction.reading is not None:
            answer, truth = prediction.reading
            print(terminal.clean(f"{prediction.input} = {answer} (true {truth})"), file=stream)
            return
        end = "" if prediction.truth is None else f"  (true {terminal.clean(_truth_text(prediction.truth))})"
        if prediction.probabilities is None:
            print(f"{name}  {'  '.join(f'{value:.6g}' for value in prediction.values)}{end}", file=stream)
            return
        steps = isinstance(prediction.probabilities, list)
        if isinstance(prediction.label, list) and (steps or not top):
            labels = (" " if steps else ", ").join(prediction.label)
            print(f"{name}  {terminal.clean(labels) or '(no label)'}{end}", file=stream)
            return
        for place, (label, share) in enumerate(prediction.ranked[: top or 1]):
            head = name if place == 0 else " " * NAME_WIDTH
            last = end if place == 0 else ""
            print(f"{head}  {terminal.padded(terminal.clean(label), widest)}  {100 * share:6.2f} %{last}", file=stream)

    return Writer(write)


def csv_writer(
    stream: TextIO,
    shown: tuple[Sequence[str], int | None],
    values: Sequence[str] = (),
    steps: bool = False,
    truth: bool = False,
) -> Writer:
    """A row an input under a header; shown: the classes, and how many of the most probable ones.

    `values` name those of a regression, `steps`: a class for each of several; `truth` adds what is true.
    """
    classes, top = shown

    def header() -> list[str]:
        return [*answered(), *(["truth"] if truth else [])]

    def answered() -> list[str]:
        if not classes:
            return ["input", *values]
        if steps:
            return ["input", "label"]
        if top:
            ranks = range(1, min(top, len(classes)) + 1)
            return ["input", *(f"{kind}_{n}" for n in ranks for kind in ("label", "probability"))]
        return ["input", "label", *classes]

    rows = _CleanRows(stream, header())

    def fields(prediction: Prediction) -> list[Any]:
        if not classes:
            return [prediction.input, *prediction.values]
        if top and not isinstance(prediction.probabilities, list):
            return [prediction.input, *(word for pair in prediction.shares.items() for word in pair)]
        return [prediction.input, _label_text(prediction), *prediction.shares.values()]

    def write(prediction: Prediction) -> None:
        rows.write([*fields(prediction), *([_truth_text(prediction.truth)] if truth else [])])

    return Writer(write, rows.begin)


def columns_writer(stream: TextIO, columns: Sequence[str], labels: Sequence[str]) -> Writer:
    """The columns asked for, each of the table that was read, or of what was predicted; a number as short as it is.

    Raises DlxError, at the first input, for a column that there is not.
    """
    rows = _CleanRows(stream, columns)

    def write(prediction: Prediction) -> None:
        values = [_field(column, prediction, labels) for column in columns]
        rows.write([_short(value) if isinstance(value, float) else value for value in values])

    return Writer(write, rows.begin)


def _field(column: str, prediction: Prediction, labels: Sequence[str]) -> Any:
    """The value of one column for an input."""
    if column in labels:
        return _label_value(prediction, labels.index(column), len(labels))
    fields = prediction.input.fields if isinstance(prediction.input, TableRow) else {}
    shares = prediction.shares
    known: dict[str, Any] = {**shares, "input": prediction.input, **fields}
    if shares:
        known.setdefault("probability", max(shares.values()))
    if column not in known:
        names = [*fields, *labels, *shares, "input", *(["probability"] if shares else [])]
        raise DlxError(
            f"there is no column {column!r} to write{did_you_mean(column, names)}",
            hint=f"expected some of {', '.join(dict.fromkeys(names))}",
        )
    return known[column]


def _short(value: float) -> str:
    """A number in as many digits as it has, without an exponent; a float32 has fewer than a float64."""
    import numpy as np

    small = np.float32(value) if float(np.float32(value)) == value else np.float64(value)
    return np.format_float_positional(small, trim="-")


def _label_value(prediction: Prediction, place: int, count: int) -> Any:
    """The prediction for the label column at `place` of `count`."""
    if prediction.probabilities is None:
        return prediction.values[place] if isinstance(prediction.value, list) else prediction.value
    if count > 1:
        return int(list(prediction.shares.values())[place] > 0.5)
    return _label_text(prediction)


def _truth_text(truth: Any) -> str:
    if isinstance(truth, list):
        return ", ".join(map(_truth_text, truth)) or "no label"
    return f"{truth:.6g}" if isinstance(truth, float) else str(truth)


def _label_text(prediction: Prediction) -> str:
    return " ".join(prediction.label) if isinstance(prediction.label, list) else str(prediction.label)


class _CleanRows:
    """CSV rows whose words hold no control characters: names in a table or a run may reach a terminal."""

    def __init__(self, stream: TextIO, header: Sequence[Any]) -> None:
        self._writer, self._header = csv.writer(stream, lineterminator="\n"), list(header)

    def begin(self) -> None:
        """Write the header, unless it is there."""
        if self._header:
            self._write(self._header)
            self._header = []

    def write(self, fields: Iterable[Any]) -> None:
        """A row, the header before the first one."""
        self.begin()
        self._write(fields)

    def _write(self, fields: Iterable[Any]) -> None:
        self._writer.writerow([terminal.clean(field) if isinstance(field, str) else field for field in fields])
