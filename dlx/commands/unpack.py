"""`dlx unpack`: a run from one file."""

from __future__ import annotations

from pathlib import Path

import click

from dlx.commands.options import runs_dir


@click.command("unpack", short_help="A run from one file.")
@click.argument("archive", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@runs_dir
def command(archive: str, runs_dir: str | None) -> None:
    """Make a run of FILE, which `dlx pack` wrote, in the runs folder: under its name, or with the next free number.

    It may be a stranger's: nothing of it is run, links and names that lead elsewhere are refused, sizes have bounds.

    \b
    dlx unpack digits-1.zip
    """
    from dlx.export import packed
    from dlx.runs import find
    from dlx.system import terminal

    run = packed.unpacked(Path(archive), find.root(runs_dir))
    terminal.console().print(terminal.clean(f"unpacked {run.path}"))
    words = [find.command_line("dlx", word, run.name, runs_dir=run.path.parent) for word in ("show", "predict")]
    terminal.fields([("next", words[0]), ("", words[1] + " INPUT")])
