"""`dlx rm`: runs to the trash, or back."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir


@click.command("rm", short_help="Move runs to the trash, or back.")
@click.argument("runs", metavar="[RUN...]", nargs=-1, shell_complete=completion.runs)
@click.option("--restore", is_flag=True, help="Bring the named runs back from the trash; without names list it.")
@click.option("--empty", is_flag=True, help="Delete what is in the trash for good.")
@click.option(
    "--checkpoints", is_flag=True, help="Delete the checkpoints of the named runs alone, for good; the runs stay."
)
@runs_dir
def command(runs: tuple[str, ...], restore: bool, empty: bool, checkpoints: bool, runs_dir: str | None) -> None:
    """Move each RUN to the folder .trash beside the runs; a run that is running stays.

    --checkpoints frees what only a longer training of a run that has ended would need, after saying how much.

    \b
    dlx rm digits-3
    dlx rm --checkpoints 'wide_*'
    dlx rm 'failed_*' wider-1
    dlx rm --restore digits-3
    dlx rm --empty
    """
    from dlx.runs import find

    root = find.root(runs_dir)
    if empty and (restore or checkpoints or runs):
        raise click.UsageError("--empty stands alone: it deletes all that is in the trash")
    if checkpoints and (restore or not runs):
        raise click.UsageError("expected dlx rm --checkpoints RUN...")
    if checkpoints:
        _free(runs, root)
    elif empty:
        _empty(root)
    elif restore:
        _restore(runs, root)
    elif runs:
        _remove(runs, root)
    else:
        raise click.UsageError("expected RUN..., --restore or --empty")


def _free(words: Sequence[str], root: Path) -> None:
    """Delete the checkpoints of runs that have ended, once it is said how much they are and a person agrees."""
    from dlx.runs import find, sizes
    from dlx.runs.run import Run
    from dlx.system import terminal
    from dlx.system.units import byte_size
    from dlx.training import checkpoints

    paths = find.runs_of(dict.fromkeys(path for word in words for path in find.find(word, root, own=True)))
    found = {path: count for path in paths if (count := sizes.freeable(path))}
    out = terminal.console()
    for path, count in found.items():
        out.print(terminal.clean(f"{path.name}: {byte_size(count)}"))
    if not found:
        out.print("no checkpoints there")
        return
    which = "this run" if len(found) == 1 else f"these {len(found):,} runs"
    out.print(f"{byte_size(sum(found.values()))} in all; without them {which} cannot be trained further")
    if sys.stdin.isatty() and sys.stdout.isatty() and not click.confirm("delete them?"):
        return
    for path in found:
        run = Run(path)
        run.take_up()
        try:
            checkpoints.drop(run.checkpoints, above=0)
            with contextlib.suppress(OSError):  # something else is in it
                run.checkpoints.rmdir()
        finally:
            run.release()
    out.print(f"freed {byte_size(sum(found.values()))}")


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
        if not find.is_run(path) and not any((path / name).is_file() for name in ("lock", "spec.yaml")):
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
