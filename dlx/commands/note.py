"""`dlx note`: what one wants to remember of a run."""

from __future__ import annotations

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir


@click.command("note", short_help="A note on a run.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.argument("text", metavar="[TEXT]", nargs=-1)
@click.option("--clear", is_flag=True, help="Remove the note.")
@runs_dir
def command(run: str, text: tuple[str, ...], clear: bool, runs_dir: str | None) -> None:
    """Keep TEXT with RUN; `list` and `show` show it. Without TEXT it is printed.

    \b
    dlx note latest "the first that does not overfit"
    dlx note digits-3
    """
    from dlx.runs import find
    from dlx.system import terminal

    existing = find.one(run, find.root(runs_dir), own=True)
    out, name = terminal.console(), terminal.clean(existing.name)
    if not text and not clear:
        out.print(terminal.clean_lines(existing.note()) or f"{name} has no note")
        return
    note = "" if clear and not text else " ".join(text)
    existing.set_note(note)
    out.print(f"{'noted in' if note.strip() else 'removed the note of'} {name}")
