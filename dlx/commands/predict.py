"""`dlx predict`: predictions as a table, CSV or JSON lines, on the screen or in a file."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options

if TYPE_CHECKING:
    from dlx.inference.own_data import Chooser
    from dlx.inference.prediction import Prediction
    from dlx.inference.predictor import Predictor
    from dlx.inference.writers import Writer

SPLITS = ("train", "validation", "test")
FORMS = {".csv": "csv", ".json": "array", ".jsonl": "json"}


@click.command("predict", short_help="Ask a trained run about new inputs.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.argument("inputs", metavar="[INPUT...]", nargs=-1)
@click.option("--split", type=click.Choice(SPLITS), help="The run's own data, beside the truth.  [default: test]")
@click.option("--rows", metavar="N,M,...", help="Of the split, these rows, from 0: 0,7,12 or 20-25.")
@click.option("--wrong", type=click.IntRange(1), metavar="N", help="Of the split, N that are wrong, the surest first.")
@click.option("--random", "random", type=click.IntRange(1), metavar="N", help="Of the split, N at random.")
@click.option(
    "--columns", metavar="A,B", help="Of tables, the columns to write: its own, the label, a class, input, probability."
)
@click.option("--top", type=click.IntRange(1), metavar="K", help="The K most probable classes.")
@click.option("--json", "form", flag_value="json", help="One JSON object a line for each input.")
@click.option("--csv", "form", flag_value="csv", help="A CSV row for each input.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False),
    help="Write to FILE: .csv, .json (one array) or .jsonl (an object a line). A file of that name is replaced once "
    "the new one is whole; but none of the inputs is, and nothing inside a run.",
)  # fmt: skip
@click.option("--exact", is_flag=True, help="Ask the Keras network itself, not the run's checked model.onnx.")
@launch_options()
def command(
    run: str,
    inputs: tuple[str, ...],
    columns: str | None,
    top: int | None,
    form: str | None,
    output: str | None,
    exact: bool,
    launch: Launch,
    **choice: Any,
) -> int:
    """Predict each INPUT: an image, a folder of images, a quoted pattern, a .csv, .npy or .npz, or - (standard input).

    Images of any size and mode are brought to the shape that the run was trained on. With --split, --rows,
    --wrong or --random it is the run's own data, each beside the truth.

    \b
    dlx predict latest photo.png
    dlx predict digits scans/ --top 3
    dlx predict iris flowers.csv -o predictions.csv
    dlx predict titanic test.csv -o submission.csv --columns PassengerId,Survived
    dlx predict digits --split test --rows 0,7,12
    dlx predict digits --wrong 10
    """
    import csv

    from dlx.inference.predictor import load_predictor
    from dlx.runs import find
    from dlx.system import terminal

    chosen = [name.strip() for name in next(csv.reader([columns]))] if columns else None
    form = _form(form, output) or ("csv" if chosen is not None else None)
    which = _own_rows(inputs, chosen, **choice)
    existing = find.one(run, launch.root)
    launch.want()
    if (others := find.of_name(existing.path)) and run == find.stem(existing.name):
        terminal.console(error=True).print(terminal.clean(f"by {existing.name}, the newest of {len(others) + 1}"))
    exact = exact or which is not None or launch.backend != "auto" or launch.device.startswith("gpu")
    predictor = load_predictor(existing, exact)

    def writer(stream: TextIO) -> Writer:
        return _writer(stream, predictor, (form, top), chosen, truth=which is not None)

    if which is not None:
        predictions, count = _own(predictor, which, top if form else None)
        if not count:
            terminal.console(error=True).print("no row to show: none is wrong" if choice["wrong"] else "no row to show")
        if output:
            _check_output(Path(output), [])
        _write(predictions, count, writer, output)
        if output:
            _report_written(output)
        return 0
    _predict(predictor, inputs, writer, output, top if form else None)
    if not exact:
        _quicken(predictor)
    return 3 if predictor.skipped else 0


def _quicken(predictor: Predictor) -> None:
    """Keep a model.onnx for the next time, where Keras has answered and its backend can make one."""
    from dlx.inference.predictor import KerasModel

    if not isinstance(predictor.model, KerasModel):
        return
    from dlx.export import keep
    from dlx.system import terminal

    sys.stdout.flush()
    with terminal.doing("making model.onnx, which answers faster"):
        reason = keep.quicken(predictor)
    if reason:
        words = f"no model.onnx, predict asks Keras: {reason}"
        terminal.console(error=True).print(terminal.clean(words), style=terminal.SECONDARY)


def _own_rows(
    inputs: Sequence[str], columns: object, split: str | None, rows: str | None, wrong: int | None, random: int | None
) -> tuple[str | None, Chooser] | None:
    """(the split, what chooses its rows) of the run's own data; None where inputs are predicted."""
    from dlx.errors import DlxError
    from dlx.inference import own_data

    given = {
        name: value
        for name, value in {"split": split, "rows": rows, "wrong": wrong, "random": random}.items()
        if value is not None
    }
    if inputs and given:
        raise DlxError(f"an INPUT and --{next(iter(given))} were given; expected one of them")
    if inputs:
        return None
    if not given:
        raise click.UsageError("Missing argument 'INPUT...'; or --random 5, or --rows 0,1, of the run's own data.")
    if columns is not None:
        raise DlxError("--columns are those of a table that is predicted", hint="leave --columns out")
    if len(given.keys() - {"split"}) > 1:
        raise DlxError("expected one of --rows, --wrong and --random")
    if wrong is not None:
        return split, own_data.most_wrong(wrong)
    return split, own_data.at_random(random) if random is not None else own_data.chosen(rows)


def _own(predictor: Predictor, which: tuple[str | None, Chooser], top: int | None) -> tuple[Iterator[Prediction], int]:
    """(predictions of rows of the run's own data, how many). Raises DataError where it cannot be loaded."""
    from dlx.inference.own_data import predictions
    from dlx.system import terminal
    from dlx.training.experiment import chosen_split, prepared_again

    experiment, changed = prepared_again(predictor.run)
    name = chosen_split(predictor.run, experiment, which[0])
    split = experiment.splits.named()[name]
    if changed:
        terminal.console(error=True).print("the data has changed since the run")
    network, dataset, threshold = predictor.network, experiment.dataset, predictor.threshold
    rows = which[1](network, dataset, split, threshold)
    return predictions(network, dataset, (name, split), rows, top, threshold), len(rows)


def _form(wanted: str | None, output: str | None) -> str | None:
    """The form asked for, or else the one that an output's suffix names; raises DlxError where it names none."""
    from dlx.errors import DlxError

    if not output or (wanted is not None and not (wanted == "json" and output.lower().endswith(".json"))):
        return wanted
    form = FORMS.get(Path(output).suffix.lower())
    if form is None:
        raise DlxError(
            f"{output!r} has the suffix of no known format",
            hint="expected .csv, .json or .jsonl; or use --csv or --json",
        )
    return form


def _writer(
    stream: TextIO,
    predictor: Predictor,
    shown: tuple[str | None, int | None],
    columns: Sequence[str] | None,
    truth: bool = False,
) -> Writer:
    """What writes one prediction; shown: in which form, and how many of the most probable classes.

    `columns` are those of a CSV file; without them a run whose data has an `id` writes the id and the label. `truth`:
    what is true is known.
    """
    from dlx.errors import DlxError
    from dlx.inference import writers

    form, top = shown
    if form == "csv" and top is None and not truth and (chosen := columns or predictor.submission):
        return writers.columns_writer(stream, chosen, predictor.labels)
    if columns is not None:
        raise DlxError("--columns are those of a CSV file", hint="leave --json and --top out, or --columns")
    if form in ("json", "array"):
        return writers.json_writer(stream, array=form == "array")
    if form == "csv":
        classes = predictor.classes
        return writers.csv_writer(stream, (classes, top), predictor.value_names, predictor.steps > 0, truth)
    return writers.table_writer(stream, predictor.classes, top)


def _predict(
    predictor: Predictor,
    inputs: Sequence[str],
    writer: Callable[[TextIO], Writer],
    output: str | None,
    top: int | None,
) -> None:
    """Predict and write, with a bar; what was skipped and remarked goes to standard error."""
    from dlx.system import terminal

    batches, count = predictor.read(inputs)
    if output:
        _check_output(Path(output), predictor.inputs.files)
    predictions = predictor.stream(batches, top)
    first = list(itertools.islice(predictions, 1))
    # What is there is worth more than a header.
    kept = not first and bool(predictor.skipped) and output is not None and Path(output).is_file()
    if not kept:
        _write(itertools.chain(first, predictions), count, writer, output)
    errors = terminal.console(error=True)
    for remark in predictor.remarks:
        errors.print(terminal.clean(remark))
    for problem in predictor.skipped:
        errors.print(terminal.clean_lines(f"skipped {problem}"))
    if output:
        _report_written(output, kept)


def _report_written(output: str, kept: bool = False) -> None:
    from dlx.system import terminal

    words = f"{'nothing to write into' if kept else 'wrote'} {output}"
    terminal.console(error=True).print(terminal.clean(words))


def _write(
    predictions: Iterable[Prediction], count: int | None, writer: Callable[[TextIO], Writer], output: str | None
) -> None:
    """Write predictions, `count` of them where that is known, with a bar."""
    from dlx.system import terminal

    with ExitStack() as stack:
        stream = stack.enter_context(_opened(Path(output))) if output else sys.stdout
        to = writer(stream)
        bar = stack.enter_context(terminal.Bar(count or 1, "inputs", plain=bool(output) and (count or 0) > 10_000))
        quiet = not output and stream.isatty()
        for number, prediction in enumerate(predictions, 1):
            to.write(prediction)
            if count and not quiet and number % 256 == 0:
                bar.update(number)
        to.end()
        stream.flush()


def _check_output(output: Path, inputs: Sequence[Path]) -> None:
    """Raise DlxError where an output would take the place of an input, or of a file of a run."""
    from dlx.errors import DlxError
    from dlx.runs import find

    target = Path(os.path.realpath(output))
    for path in inputs:
        if target.exists() and path.exists() and os.path.samefile(path, target):
            hint = "-o names another file, which is written; the inputs stay as they are"
            raise DlxError(f"is one of the inputs ({path})", where=str(output), hint=hint)
    find.check_outside(output)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A text stream into `path`: a file takes its name only when it is whole, a device or a pipe is written to."""
    from dlx.system import files

    target = Path(os.path.realpath(path))
    special = target.exists() and not target.is_file()
    with (
        files.disk(path),
        nullcontext(target) if special else files.replacing(target) as place,
        place.open("w", encoding="utf-8", newline="") as stream,
    ):
        if place != target and target.is_file():
            os.chmod(place, target.stat().st_mode & 0o777)
        yield stream
