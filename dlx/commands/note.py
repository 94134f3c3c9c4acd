"""dlx note."""

from __future__ import annotations

import click

from dlx.commands import complete_runs, runs_dir


@click.command("note", short_help="A remark on a run.")
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.argument("text", metavar="[TEXT]", nargs=-1)
@click.option("--clear", is_flag=True, help="Remove the remark.")
@runs_dir
def command(run: str, text: tuple[str, ...], clear: bool, runs_dir: str | None) -> None:
    """Keep TEXT with RUN; `list` and `show` tell it. Without TEXT it is printed.

    \b
    dlx note latest "the first that does not overfit"
    dlx note digits-3
    """
    from dlx.commands.keeping import note

    note(run, " ".join(text) if text else "" if clear else None, runs_dir)
