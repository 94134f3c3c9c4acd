"""`dlx evaluate`: every figure of a model, with intervals."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options

if TYPE_CHECKING:
    from dlx.inference.predictor import Predictor
    from dlx.training.experiment import Experiment


@click.command("evaluate", short_help="Every figure of a model, with how far chance goes.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.argument("data", metavar="[DATA...]", nargs=-1)
@click.option("--split", type=click.Choice(("train", "validation", "test")), help="Of the run's own data.")
@click.option("--by", metavar="COLUMN", help="The figure for each value of a table's column.")
@click.option("--importance", is_flag=True, help="What the figure loses when a table's column is shuffled.")
@click.option("--worst", type=click.IntRange(0), default=5, show_default=True, metavar="N", help="The N worst answers.")
@click.option(
    "--threshold", metavar="T", help="Of two classes, the probability from which on the second is the answer: "
    "a number, auto (the best balanced accuracy on the validation split; auto:f1, auto:accuracy) or none. It is kept "
    "with the model, for predict, evaluate, serve and export.",
)  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="How many examples at a time.")
@launch_options("json")
def command(
    run: str, data: tuple[str, ...], split: str | None, threshold: str | None, batch_size: int | None, launch: Launch,
    **asked: Any,
) -> None:  # fmt: skip
    """Evaluate the model of RUN on its own test split, or on DATA as predict takes it, with labels.

    DATA: a table with the column that is predicted, images in folders named as the classes, or an .npz with x and y.
    Every figure has its 95 % interval: what other examples of the same kind might have given.

    \b
    dlx evaluate digits
    dlx evaluate iris flowers.csv --by species
    dlx evaluate iris --importance
    dlx evaluate titanic --threshold auto:f1
    """
    from dlx.commands import evaluation_screen
    from dlx.errors import DlxError
    from dlx.inference.evaluate import batch_of
    from dlx.inference.predictor import load_predictor
    from dlx.insight.evaluation import Question, evaluation
    from dlx.insight.labelled import given, own
    from dlx.runs import find
    from dlx.system import terminal

    if data and split:
        raise DlxError("DATA and --split were given; expected one of them")
    existing = find.one(run, launch.root)
    launch.want()
    predictor = load_predictor(existing)
    info = predictor.info
    size = batch_size or batch_of(info["settings"].get("batch_size", "full"), int(info["dataset"].get("train") or 128))
    again = None
    if threshold is not None:
        again = _set_threshold(predictor, threshold, size)
    with terminal.doing("reading the data"):
        examples = given(predictor, data) if data else own(predictor, split, again)
    for note in (*examples.notes, *predictor.remarks):
        terminal.console(error=True).print(terminal.clean(note))
    found = evaluation(predictor.network, examples, Question(size, **asked, threshold=predictor.threshold))
    if launch.json:
        print(json.dumps(evaluation_screen.record(found, existing)))
    else:
        evaluation_screen.show(found, existing)


def _set_threshold(predictor: Predictor, wanted: str, size: int) -> tuple[Experiment, bool] | None:
    """Keep the threshold that is wanted with the run's model. Raises DlxError where it is none, or has no use.

    Returns the run's data, as `prepared_again` does, where it was needed.
    """
    from dlx.errors import DlxError
    from dlx.inference import threshold
    from dlx.insight.evaluation import best_threshold
    from dlx.insight.labelled import own
    from dlx.runs.metrics import figure_text
    from dlx.system import terminal
    from dlx.training.experiment import prepared_again

    def say(words: str) -> None:
        terminal.console(error=True).print(terminal.clean(words))

    if not threshold.applies(predictor.info):
        raise DlxError("--threshold: the run does not answer with one of two classes", where=predictor.run.name)
    if wanted == "none":
        threshold.keep(predictor.run, None)
        return None
    again, (kind, _, figure) = None, wanted.partition(":")
    if kind == "auto":
        figure = figure or threshold.FIGURES[0]
        if figure not in threshold.FIGURES:
            raise DlxError(f"--threshold auto:{figure}: expected auto:{', auto:'.join(threshold.FIGURES)}")
        again = prepared_again(predictor.run)
        chosen, reached = best_threshold(predictor.network, own(predictor, "validation", again), size, figure)
        words = f"{figure} {figure_text('val_accuracy', reached)} on validation"
    else:
        try:
            value = float(wanted)
        except ValueError:
            value = math.nan
        if not 0 < value < 1:
            raise DlxError(f"--threshold {wanted}: expected a number between 0 and 1, auto or none")
        chosen, words = threshold.Threshold(value), "as you say"
    threshold.keep(predictor.run, chosen)
    kept = f"kept with {predictor.run.name}"
    say(f"{predictor.classes[1]!r} is the answer from a probability of {chosen.value:.4g} on ({words}); {kept}")
    return again
