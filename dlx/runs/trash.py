"""The trash: a folder beside the runs, so that nothing is lost before it is emptied."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from dlx.errors import RunError, did_you_mean
from dlx.runs.find import below
from dlx.runs.run import TRASH, Run
from dlx.system import files, locks

SILENT_SECONDS = 3600.0  # a run of another host that was not seen for so long may be removed


def trash(root: Path) -> Path:
    """Where removed runs of a runs folder wait."""
    return root / TRASH


def removable(run: Path) -> None:
    """Raise RunError for a run that is running, or may be on another host; a damaged one can be removed."""
    try:
        status = Run(run).status
    except RunError:
        return
    if status == "running":
        raise RunError("is running", where=str(run), hint=f"stop it first: {locks.who(run)} writes to it")
    if status == "away":
        hint = "dlx resume follows it, and Ctrl-C stops it"
        raise RunError("trains at another place", where=str(run), hint=hint)
    if status == "unknown" and locks.state(run, "lock")[1] < SILENT_SECONDS:
        seen = Run(run).seen()
        message = f"may be running: {locks.who(run)} was {seen}"
        raise RunError(message, where=str(run), hint="remove it there, or later")


def _check_trash(root: Path) -> None:
    if trash(root).is_symlink():
        raise RunError(
            "is a link, so that what is removed would go elsewhere", where=str(trash(root)), hint="remove it"
        )


def remove(run: Path, root: Path) -> Path:
    """Move a run into the trash; returns where it is now. Raises RunError while it is running, or may be."""
    removable(run)
    _check_trash(root)
    with files.disk(run):
        files.make_folder(trash(root))
        place, number = trash(root) / run.name, 1
        while place.exists():
            place, number = trash(root) / f"{run.name}.{number}", number + 1
        _moved(run, place)
    return place


def restore(name: str, root: Path) -> Path:
    """Bring a run back from the trash; raises RunError where there is none, or its place is taken."""
    waiting = [path.name for path in below(trash(root))]
    if name not in waiting:  # a spec's name is its newest run, as everywhere
        numbered = re.compile(re.escape(name) + r"-\d+")
        name = next((other for other in reversed(waiting) if numbered.fullmatch(other)), name)
    if name not in waiting:
        hint = f"in the trash: {', '.join(waiting[:8])}" if waiting else "the trash is empty"
        raise RunError(f"{name!r} is not in the trash{did_you_mean(name, waiting)}", hint=hint)
    if (root / name).exists():
        raise RunError("is there already", where=str(root / name), hint="remove it first, or leave this one")
    with files.disk(root):
        _moved(trash(root) / name, root / name)
    return root / name


def _moved(run: Path, place: Path) -> None:
    """Rename a run, whole or not at all. Raises RunError where it is another user's."""
    try:
        os.rename(run, place)
    except PermissionError as error:
        hint = "they can remove it, or let their group write to it: chmod -R g+w"
        raise RunError(f"{files.whose(run)}, and you may not move it", where=str(run), hint=hint) from error


def empty(root: Path) -> int:
    """Delete what is in the trash for good; returns how many runs that were."""
    _check_trash(root)
    waiting = [path for path in below(trash(root)) if not path.is_symlink()]  # what one leads to is no trash
    with files.disk(trash(root)):
        for path in waiting:
            shutil.rmtree(path)
    return len(waiting)
