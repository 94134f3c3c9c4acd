"""`dlx report`: one page of HTML about one run or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import allow_code, file_to_write, runs_dir

if TYPE_CHECKING:
    from dlx.insight.report import Material


@click.command("report", short_help="One page of HTML about runs.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("-o", "--output", metavar="FILE", help="Where the page goes.  [default: NAME-report.html]")
@click.option("--open", "browse", is_flag=True, help="Open it in the browser.")
@runs_dir
@allow_code
def command(runs: tuple[str, ...], output: str | None, browse: bool, runs_dir: str | None) -> None:
    """Write one page about RUN..., to be read by anybody, anywhere: it asks no other machine for anything.

    What happened and what differs, in sentences; figures and curves; each class, the confusion, how sure it was, its
    surest mistakes; which examples flip between two runs, and the figure against each setting of many; what made it,
    and the command that repeats it. The same as JSON is inside.

    \b
    dlx report latest
    dlx report digits-1 digits-2 -o digits.html
    dlx report 'moons_hidden_sizes-*' --open
    """
    from dlx.insight.report import gather, write
    from dlx.runs import find
    from dlx.system import terminal
    from dlx.system.units import byte_size

    chosen = None if output is None else _page(output)
    root = find.root(runs_dir)
    paths = find.runs_of(find.find_all(runs, root))
    material = gather(paths)
    left = len(paths) - len(material.entries)
    path = chosen or Path(f"{_stem(material)}-report.html")
    size = write(material, path)
    terminal.console().print(terminal.clean(f"{path}  {byte_size(size)}"))
    if left:
        terminal.console(error=True).print(f"not in it, as they cannot be read: {left} of {len(paths)} runs")
    if browse:
        click.launch(path.resolve().as_uri())


def _page(name: str) -> Path:
    """The file of -o; raises DlxError for one that is there and is no report."""
    from dlx.errors import DlxError

    path = file_to_write(name, (".html", ".htm"))
    if path.is_file():
        with path.open("rb") as stream:
            if b"dlx report" not in stream.read(2000):
                raise DlxError(f"-o {name}: is there already, and is no report", hint="another name, or remove it")
    return path


def _stem(material: Material) -> str:
    count = len(material.entries)
    return material.chosen.name if count == 1 else f"{count}-runs"
