"""`dlx push`: runs copied to a tracker."""

from __future__ import annotations

import json
from contextlib import nullcontext

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir


@click.command("push", short_help="Copy runs to a tracker: MLflow.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("--to", type=click.Choice(["mlflow"]), required=True, help="The tracker.")
@click.option(
    "--uri", envvar="MLFLOW_TRACKING_URI", default="mlruns", show_default=True, metavar="PLACE",
    help="Its server, or a folder (environment MLFLOW_TRACKING_URI).",
)  # fmt: skip
@click.option("--experiment", default="dlx", show_default=True, metavar="NAME", help="Under which name there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each run.")
@runs_dir
def command(runs: tuple[str, ...], to: str, uri: str, experiment: str, as_json: bool, runs_dir: str | None) -> None:
    """Copy the settings, the history by epoch, the final figures, the spec and the model.onnx of RUNs.

    Pushed again, a run gets what has come since, and nothing twice.

    \b
    dlx push digits --to mlflow                        # needs pip install 'dlx-runner[mlflow]'
    dlx push 'mine-*' --to mlflow --uri http://tracker:5000       # needs a server
    """
    from dlx.export import mlflow
    from dlx.runs import find
    from dlx.runs.run import Run
    from dlx.system import terminal

    paths = find.runs_of(find.find_all(runs, find.root(runs_dir)))
    client = mlflow.client(uri)
    with terminal.Bar(len(paths), "runs") if len(paths) > 1 else nullcontext() as bar:
        for number, path in enumerate(paths, 1):
            pushed = mlflow.push(Run.open(path), client, experiment)
            if bar is not None:
                bar.update(number)
            if as_json:
                print(json.dumps({"run": path.name, "id": pushed.id, "rows": pushed.rows, "new": pushed.new}))
            else:
                words = "is there" if pushed.new else f"was there; {pushed.rows} rows are new"
                terminal.console().print(terminal.clean(f"{path.name} {words}: {experiment}/{pushed.id}"))
