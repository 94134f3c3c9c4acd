"""`dlx rm`: runs to the trash, or back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir


@click.command("rm", short_help="Move runs to the trash, or back.")
@click.argument("runs", metavar="[RUN...]", nargs=-1, shell_complete=completion.runs)
@click.option("--restore", is_flag=True, help="Bring the named runs back from the trash; without names list it.")
@click.option("--empty", is_flag=True, help="Delete what is in the trash for good.")
@runs_dir
def command(runs: tuple[str, ...], restore: bool, empty: bool, runs_dir: str | None) -> None:
    """Move each RUN to the folder .trash beside the runs; a run that is running stays.

    \b
    dlx rm digits-3
    dlx rm 'failed_*' wider-1
    dlx rm --restore digits-3
    dlx rm --empty
    """
    from dlx.runs import find

    root = find.root(runs_dir)
    if empty and (restore or runs):
        raise click.UsageError("--empty stands alone: it deletes all that is in the trash")
    if empty:
        _empty(root)
    elif restore:
        _restore(runs, root)
    elif runs:
        _remove(runs, root)
    else:
        raise click.UsageError("expected RUN..., --restore or --empty")


def _remove(words: Sequence[str], root: Path) -> None:
    """Move runs to the trash. Nothing is moved when one of them may not be."""
    from dlx.errors import RunError
    from dlx.runs import find, trash
    from dlx.system import terminal

    paths = list(dict.fromkeys(path for word in words for path in find.find(word, root, own=True)))
    for path in paths:
        if find.is_folder_of_runs(path):
            hint = f"{find.command_line('dlx', 'rm', f'{path}/*')} removes them"
            raise RunError("is a folder of runs", where=str(path), hint=hint)
        if path.resolve().parent != root.resolve():
            hint = find.command_line("dlx", "rm", path.name, runs_dir=path.parent)
            raise RunError(f"is not in {root}, the runs folder", where=str(path), hint=hint)
        if not any((path / name).is_file() for name in ("run.json", "lock", "spec.yaml")):
            raise RunError("is not a run", where=str(path))
        trash.removable(path)
    for path in paths:
        trash.remove(path, root)
        terminal.console().print(f"removed {terminal.clean(path.name)}")
    back = find.command_line("dlx", "rm", "--restore", *(path.name for path in paths[:5]), runs_dir=root)
    terminal.console().print(terminal.clean(f"undo it: {back}"))


def _restore(names: Sequence[str], root: Path) -> None:
    """Bring runs back; without names list the trash."""
    from dlx.runs import find, trash
    from dlx.system import terminal

    if not names:
        waiting = [path.name for path in find.below(trash.trash(root))]
        terminal.console().print("\n".join(map(terminal.clean, waiting)) or "the trash is empty")
        return
    for name in names:
        terminal.console().print(f"restored {terminal.clean(str(trash.restore(Path(name).name, root)))}")


def _empty(root: Path) -> None:
    """Delete what is in the trash."""
    from dlx.runs import trash
    from dlx.system import terminal

    count = trash.empty(root)
    terminal.console().print(f"deleted {count} run{'s' * (count != 1)} for good")
