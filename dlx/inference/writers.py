"""`dlx predict`: predictions as a table, CSV or JSON lines, on the screen or in a file."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from dlx.errors import DiskError, DlxError, did_you_mean
from dlx.inference import predictor as prediction
from dlx.runs import run as runs
from dlx.system import backend as backends
from dlx.system import files
from dlx.system import terminal as display

FORMS = {".csv": "csv", ".json": "json", ".jsonl": "json"}


def predict(
    word: str,
    inputs: Sequence[str],
    top: int | None,
    form: str | None,
    output: str | None,
    backend: str,
    device: str,
    folder: str | None,
    columns: Sequence[str] | None = None,
) -> int:
    """Predict and write; returns 3 when an input could not be read, else 0.

    `columns` are those of a table to write; without them a run whose data has an `id` writes the id and the label.
    """
    if columns is not None and form is None and not output:
        form = "csv"
    if output and form is None:
        form = FORMS.get(Path(output).suffix.lower())
        if form is None:
            raise DlxError(
                f"cannot tell the form of {output!r} by its suffix",
                hint="expected .csv, .json or .jsonl; or say --csv or --json",
            )
    run = runs.one(word, runs.root(folder))
    backends.want(backend, device)
    predictor = prediction.load(run)
    batches, count = predictor.read(inputs)
    with ExitStack() as stack:
        stream = stack.enter_context(_writing(Path(output))) if output else sys.stdout
        write = _writer(form, stream, predictor.classes, top, predictor.labels)
        if form == "csv" and top is None and (chosen := columns or predictor.submission):
            write = _chosen(stream, predictor, chosen)
        elif columns is not None:
            raise DlxError("--columns are those of a CSV file", hint="leave --json and --top out, or --columns")
        rows = predictor.stream(batches)
        bar = stack.enter_context(display.Bar(count or 1, "inputs", plain=bool(output) and (count or 0) > 10_000))
        quiet = not output and stream.isatty()
        for number, (name, values) in enumerate(rows, 1):
            shown = None if form is None else top
            write(prediction.record(name, values, predictor.classes, shown, predictor.several), name)
            if count and not quiet and number % 256 == 0:
                bar.update(number)
        stream.flush()
    errors = display.console(error=True)
    for remark in predictor.remarks:
        errors.print(display.clean(remark))
    for problem in predictor.skipped:
        errors.print(display.clean_lines(f"skipped {problem}"))
    if output:
        errors.print(display.clean(f"wrote {output}"))
    return 3 if predictor.skipped else 0


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    """A text stream into `path`: a file takes its name only when it is whole, a device or a pipe is written to."""
    target = Path(os.path.realpath(path))
    special = target.exists() and not target.is_file()
    try:
        with (
            nullcontext(target) if special else files.replacing(target) as place,
            place.open("w", encoding="utf-8", newline="") as stream,
        ):
            yield stream
    except OSError as error:
        raise DiskError(f"cannot write ({error.strerror})", where=str(path)) from error


Write = Callable[[dict[str, Any], Any], None]


def _writer(
    form: str | None, stream: TextIO, classes: Sequence[str], top: int | None, labels: Sequence[str] = ()
) -> Write:
    """A function that writes one prediction in the form asked for."""
    if form == "json":
        return lambda record, row: print(display.as_json(runs.finite(record)), file=stream)
    if form == "csv":
        return _csv(stream, classes, top, labels)
    return _table(stream, classes, top)


def _chosen(stream: TextIO, predictor: prediction.Predictor, columns: Sequence[str]) -> Write:
    """The columns asked for, each of the table that was read, or of what was predicted; a number as short as it is."""
    writer = _Clean(stream)
    labels, begun = predictor.labels, False

    def field(column: str, record: dict[str, Any], row: Any) -> Any:
        fields = getattr(row, "fields", {})
        if column in labels:
            return _said(record, labels.index(column), len(labels))
        shares = record.get("probabilities")
        shares = shares if isinstance(shares, dict) else {}  # a class for each step has a list of them
        known: dict[str, Any] = {**shares, "input": record["input"], **fields}
        if shares:
            known.setdefault("probability", max(shares.values()))
        if column not in known:
            names = [*fields, *labels, *shares, "input", *(["probability"] if shares else [])]
            raise DlxError(
                f"there is no column {column!r} to write{did_you_mean(column, names)}",
                hint=f"expected some of {', '.join(dict.fromkeys(names))}",
            )
        return known[column]

    def write(record: dict[str, Any], row: Any) -> None:
        nonlocal begun
        values = [field(column, record, row) for column in columns]
        if not begun:
            writer.writerow(columns)
        writer.writerow([_short(value) if isinstance(value, float) else value for value in values])
        begun = True

    return write


def _short(value: float) -> str:
    """A float32 in as many digits as it has, without an exponent."""
    import numpy as np

    return np.format_float_positional(np.float32(value), trim="-")


def _said(record: dict[str, Any], place: int, count: int) -> Any:
    """The prediction for the label column at `place` of `count`."""
    if "value" in record:
        return record["value"][place] if isinstance(record["value"], list) else record["value"]
    if count > 1:
        return int(list(record["probabilities"].values())[place] > 0.5)
    return " ".join(record["label"]) if isinstance(record["label"], list) else record["label"]


class _Clean:
    """A CSV writer whose words hold no control characters: what a table or a run calls things may reach a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")

    def writerow(self, fields: Iterable[Any]) -> None:
        self._writer.writerow([display.clean(field) if isinstance(field, str) else field for field in fields])


def _csv(stream: TextIO, classes: Sequence[str], top: int | None, labels: Sequence[str] = ()) -> Write:
    writer = _Clean(stream)
    begun = False

    def write(record: dict[str, Any], row: Any) -> None:
        nonlocal begun
        if not classes:
            several = record["value"] if isinstance(record["value"], list) else [record["value"]]
            if not begun:
                writer.writerow(
                    [
                        "input",
                        *(["value"] if len(several) == 1 else labels or [f"value_{n}" for n in range(len(several))]),
                    ]
                )
            writer.writerow([record["input"], *several])
        elif isinstance(record["probabilities"], list):  # a class for each step
            if not begun:
                writer.writerow(["input", "label"])
            writer.writerow([record["input"], " ".join(record["label"])])
        elif top:
            if not begun:
                places = [
                    f"{what}_{n}" for n in range(1, min(top, len(classes)) + 1) for what in ("label", "probability")
                ]
                writer.writerow(["input", *places])
            writer.writerow([record["input"], *(word for pair in record["probabilities"].items() for word in pair)])
        else:
            if not begun:
                writer.writerow(["input", "label", *classes])
            label = record["label"]
            label = " ".join(label) if isinstance(label, list) else label
            writer.writerow([record["input"], label, *record["probabilities"].values()])
        begun = True

    return write


def _table(stream: TextIO, classes: Sequence[str], top: int | None) -> Write:
    """A line an input, each written as it comes: a long job fills no memory."""
    room = 36
    widest = max((len(name) for name in classes), default=0)

    def write(record: dict[str, Any], row: Any) -> None:
        name = display.middle(display.clean(record["input"]), room).ljust(room)
        if not classes:
            shown = record["value"] if isinstance(record["value"], list) else [record["value"]]
            print(f"{name}  {'  '.join(f'{value:.6g}' for value in shown)}", file=stream)
            return
        steps = isinstance(record["probabilities"], list)
        if isinstance(record["label"], list) and (steps or not top):
            said = (" " if steps else ", ").join(record["label"])
            print(f"{name}  {display.clean(said) or '(no label)'}", file=stream)
            return
        for place, (label, share) in enumerate(_ranked(record)[: top or 1]):
            head = name if place == 0 else " " * room
            print(f"{head}  {display.clean(label).ljust(min(widest, 24))}  {share:7.2%}", file=stream)

    return write


def _ranked(record: dict[str, Any]) -> list[tuple[str, float]]:
    return sorted(record["probabilities"].items(), key=lambda pair: -pair[1])
