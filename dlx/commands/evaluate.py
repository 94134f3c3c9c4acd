"""`dlx evaluate`: every figure of a model, with intervals."""

from __future__ import annotations

import json

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options


@click.command("evaluate", short_help="Every figure of a model, with how far chance goes.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.argument("data", metavar="[DATA...]", nargs=-1)
@click.option("--split", type=click.Choice(("train", "validation", "test")), help="Of the run's own data.")
@click.option("--by", metavar="COLUMN", help="The figure for each value of a table's column.")
@click.option("--importance", is_flag=True, help="What the figure loses when a table's column is shuffled.")
@click.option("--worst", type=click.IntRange(0), default=5, show_default=True, metavar="N", help="The N worst answers.")
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="How many examples at a time.")
@launch_options("json")
def command(
    run: str, data: tuple[str, ...], split: str | None, by: str | None, importance: bool, worst: int,
    batch_size: int | None, launch: Launch,
) -> None:  # fmt: skip
    """Evaluate the model of RUN on its own test split, or on DATA as predict takes it, with labels.

    DATA: a table with the column that is predicted, images in folders named as the classes, or an .npz with x and y.
    Every figure has its 95 % interval: what other examples of the same kind might have given.

    \b
    dlx evaluate digits
    dlx evaluate iris flowers.csv --by species
    dlx evaluate iris --importance
    """
    from dlx.commands import evaluation_screen
    from dlx.errors import DlxError
    from dlx.inference.evaluate import batch_of
    from dlx.inference.predictor import load_predictor
    from dlx.insight.evaluation import evaluation
    from dlx.insight.labelled import given, own
    from dlx.runs import find
    from dlx.system import terminal

    if data and split:
        raise DlxError("DATA and --split were given; expected one of them")
    existing = find.one(run, launch.root)
    launch.want()
    predictor = load_predictor(existing)
    with terminal.doing("reading the data"):
        examples = given(predictor, data) if data else own(predictor, split)
    for note in (*examples.notes, *predictor.remarks):
        terminal.console(error=True).print(terminal.clean(note))
    info = predictor.info
    size = batch_size or batch_of(info["settings"].get("batch_size", "full"), int(info["dataset"].get("train") or 128))
    found = evaluation(predictor.network, examples, size, by, importance, worst)
    if launch.json:
        print(json.dumps(evaluation_screen.record(found, existing)))
    else:
        evaluation_screen.show(found, existing)
