"""`dlx note` and `dlx rm`: what a person does with runs that are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlx.errors import RunError
from dlx.runs import run as runs
from dlx.system import terminal as display


def note(word: str, text: str | None, folder: str | None) -> None:
    """Keep `text` with the run, remove its note where it is empty, print it where it is None."""
    run = runs.one(word, runs.root(folder))
    if text is None:
        display.console().print(display.clean_lines(run.note()) or f"{display.clean(run.name)} has no note")
        return
    run.set_note(text)
    display.console().print(f"{'noted in' if text.strip() else 'removed the note of'} {display.clean(run.name)}")


def remove(words: Sequence[str], folder: str | None) -> None:
    """Move runs to the trash. Nothing is moved when one of them may not be."""
    root = runs.root(folder)
    paths = list(dict.fromkeys(path for word in words for path in runs.find(word, root)))
    for path in paths:
        if runs.is_folder_of_runs(path):
            raise RunError("is a folder of runs", where=str(path), hint=f"dlx rm '{path}/*' removes them")
        if path.resolve().parent != root.resolve():
            hint = f"dlx rm {path.name} --runs-dir {path.parent}"
            raise RunError(f"is not in {root}, the runs folder", where=str(path), hint=hint)
        if not any((path / name).is_file() for name in ("run.json", "lock", "spec.yaml")):
            raise RunError("is no run", where=str(path))
        runs.removable(path)
    for path in paths:
        runs.remove(path, root)
        display.console().print(f"removed {display.clean(path.name)}")
    where = f" --runs-dir {folder}" if folder else ""
    names = display.clean(" ".join(path.name for path in paths[:5]))
    display.console().print(f"back again: dlx rm --restore {names}{where}")


def restore_runs(names: Sequence[str], folder: str | None) -> None:
    """Bring runs back; without names say what is in the trash."""
    root = runs.root(folder)
    if not names:
        waiting = [path.name for path in runs.below(runs.trash(root))]
        display.console().print("\n".join(map(display.clean, waiting)) or "the trash is empty")
        return
    for name in names:
        display.console().print(f"restored {display.clean(str(runs.restore(Path(name).name, root)))}")


def empty_trash(folder: str | None) -> None:
    """Delete what is in the trash."""
    count = runs.empty(runs.root(folder))
    display.console().print(f"deleted {count} run{'s' * (count != 1)} for good")
