"""`dlx init`: a first spec for your data, or one that comes with dlx."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init", short_help="A first spec: for your data, or one that comes with dlx.")
@click.argument("data", required=False, type=click.Path())
@click.option("--label", metavar="COLUMN", help="The column of a table to predict.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="The spec to write.")
@click.option("--force", is_flag=True, help="Write over an existing spec.")
def command(data: str | None, label: str | None, output: str | None, force: bool) -> int:
    """Look at DATA and write a commented spec for it that runs as it stands.

    DATA is a folder of images, a CSV table, an .npz, or the name of a dataset. It may also be the name of an experiment
    that comes with dlx: its spec is written, and those that it extends. Without DATA they are listed.

    \b
    dlx init                       the experiments that come with dlx
    dlx init cifar_large_lr
    dlx init photos/
    dlx init train.csv --label price
    dlx init digits -o first.yaml
    """
    from dlx.runs.find import command_line
    from dlx.spec import examples
    from dlx.spec.sections import run_name
    from dlx.spec.starter import shipped, write_starter
    from dlx.system import terminal

    if data is None:
        return _listed(output)
    if data in examples.names() and not Path(data).exists():
        written = [str(path) for path in shipped.write(data, output, force)]
        terminal.console().print(f"wrote {terminal.clean(', '.join(written))}")
        run, check = (command_line("dlx", word, written[0]) for word in ("run", "check"))
        terminal.fields([("next", run), ("", check)])
        return 0
    target, remarks, inputs = write_starter(data, label, output, force)
    terminal.console().print(f"wrote {terminal.clean(str(target))}")
    for remark in remarks:
        for line in terminal.wrapped(terminal.clean(remark)):
            terminal.console().print(f"  {line}")
    run = command_line("dlx", "run", str(target))
    if data.lower().endswith(".csv") and (code := _problem(target)):
        return code
    terminal.fields([("next", run), ("", command_line("dlx", "predict", run_name(target.stem), *inputs))])
    return 0


def _listed(output: str | None) -> int:
    """The experiments that come with dlx."""
    from dlx.spec import examples
    from dlx.spec.starter import shipped
    from dlx.system import terminal

    if output is not None:
        raise click.UsageError("-o FILE needs DATA: a folder, a file or a name; dlx init lists the names")
    terminal.fields([(name, shipped.about(name)) for name in examples.names()])
    terminal.console().print()
    terminal.fields([("next", "dlx init digits"), ("", "dlx init PATH looks at your own data")])
    return 0


def _problem(target: Path) -> int:
    """Load the table as a run would, and show what is wrong with it; returns the exit code."""
    from dlx import spec as specs
    from dlx.errors import DlxError
    from dlx.system import problems, terminal
    from dlx.training.experiment import prepare

    try:
        with terminal.doing("reading the whole table"):
            prepare(specs.load(str(target)))
    except DlxError as error:
        terminal.console(error=True).print("it will not run as the table is:")
        problems.show(error)
        return error.exit_code
    return 0
