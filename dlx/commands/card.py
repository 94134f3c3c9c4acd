"""`dlx card`: a model card."""

from __future__ import annotations

from pathlib import Path

import click

from dlx.commands import completion
from dlx.commands.options import file_to_write, runs_dir


@click.command("card", short_help="A model card of a run, for a hub or a colleague.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.option("-o", "--output", metavar="FILE", help="Where it goes; hubs read README.md.  [default: NAME-card.md]")
@runs_dir
def command(run: str, output: str | None, runs_dir: str | None) -> None:
    """Write what the model of RUN is, what it was trained on, how good it is and where it ends.

    Markdown, with a head in YAML that hubs of models read: the task, and the figures of the test split.

    \b
    dlx card digits
    dlx card digits-1 -o README.md
    """
    from dlx.errors import DlxError
    from dlx.insight.card import MARK, card
    from dlx.runs import find
    from dlx.system import files, terminal

    existing = find.one(run, find.root(runs_dir))
    path = file_to_write(output, (".md",)) if output else Path(f"{existing.name}-card.md")
    if path.is_file() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:10_000]:
        raise DlxError("is there already, and is no model card", where=str(path), hint="-o names another file")
    words = card(existing)
    with files.disk(path), files.replacing(path) as temporary:
        temporary.write_text(words, encoding="utf-8")
    terminal.console().print(terminal.clean(str(path)))
