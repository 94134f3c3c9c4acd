"""`dlx init`: a first spec for your data."""

from __future__ import annotations

import click


@click.command("init", short_help="A first spec for your data.")
@click.argument("data", required=False, type=click.Path())
@click.option("--label", metavar="COLUMN", help="The column of a table to predict.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="The spec to write.")
@click.option("--force", is_flag=True, help="Write over an existing spec.")
def command(data: str | None, label: str | None, output: str | None, force: bool) -> None:
    """Look at DATA and write a commented spec for it that runs as it stands.

    DATA is a folder of images, a CSV table, an .npz, or the name of a dataset.

    \b
    dlx init photos/
    dlx init train.csv --label price
    dlx init digits -o first.yaml
    """
    from dlx.runs.find import command_line
    from dlx.spec.sections import run_name
    from dlx.spec.starter import write_starter
    from dlx.system import terminal

    target, inputs = write_starter(data or "digits", label, output, force)
    terminal.console().print(f"wrote {terminal.clean(str(target))}")
    run = command_line("dlx", "run", str(target))
    terminal.fields([("next", run), ("", command_line("dlx", "predict", run_name(target.stem), *inputs))])
