"""dlx predict."""

from __future__ import annotations

import click

from dlx.commands import allow_code, complete_runs, device_options, runs_dir


@click.command("predict", short_help="Ask a trained run about new inputs.")
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--columns", metavar="A,B", help="Of tables, the columns to write: its own, the label, a class, input, probability."
)
@click.option("--top", type=click.IntRange(1), metavar="K", help="The K most probable classes.")
@click.option("--json", "form", flag_value="json", help="One JSON object a line for each input.")
@click.option("--csv", "form", flag_value="csv", help="A CSV row for each input.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write to FILE: .csv, .json or .jsonl."
)
@allow_code
@device_options
@runs_dir
def command(
    run: str,
    inputs: tuple[str, ...],
    columns: str | None,
    top: int | None,
    form: str | None,
    output: str | None,
    backend: str,
    device: str,
    runs_dir: str | None,
) -> int:
    """Predict each INPUT: an image, a folder of images, a quoted pattern, a .csv, .npy or .npz, or - (standard input).

    Images of any size and mode are brought to the shape that the run was trained on.

    \b
    dlx predict latest photo.png
    dlx predict digits scans/ --top 3
    dlx predict iris flowers.csv -o predictions.csv
    dlx predict titanic test.csv -o submission.csv --columns PassengerId,Survived
    """
    import csv

    from dlx.inference.writers import predict

    chosen = [name.strip() for name in next(csv.reader([columns]))] if columns else None
    return predict(run, inputs, top, form, output, backend, device, runs_dir, chosen)
