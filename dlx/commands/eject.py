"""`dlx eject`: a plain script of Keras."""

from __future__ import annotations

from pathlib import Path

import click

from dlx.commands import completion
from dlx.commands.options import file_to_write, runs_dir


@click.command("eject", short_help="A run's experiment as a plain script of Keras.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.option("-o", "--output", metavar="FILE", help="Where it goes.  [default: NAME.py]")
@click.option(
    "--same-start", is_flag=True, help="Begin with the run's first weights, order and random draws: the same losses."
)
@runs_dir
def command(run: str, output: str | None, same_start: bool, runs_dir: str | None) -> None:
    """Write the experiment of RUN as a script that needs Keras alone, to read and to change.

    Data, augmentation, network, loss, optimizer, schedule, callbacks, what is done with the test split. Its docstring
    says what is not as in the run. Data that no library loads, and weights, lie beside it as NAME.npz.

    \b
    dlx eject digits -o train.py
    dlx eject digits-1 --same-start
    """
    from dlx.runs import find
    from dlx.system import terminal
    from dlx.training.ejecting import eject

    existing = find.one(run, find.root(runs_dir))
    path = file_to_write(output, (".py",)) if output else Path(f"{existing.name}.py")
    written, changed = eject(existing, path, same_start)
    screen = terminal.console()
    for file in written:
        screen.print(terminal.clean(str(file)))
    if changed:
        terminal.console(error=True).print("its data is another by now than when it was trained")
