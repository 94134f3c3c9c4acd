"""What runs take on the disk, and what of it only a continued training needs. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dlx.errors import RunError
from dlx.runs import find
from dlx.runs.run import Run
from dlx.runs.trash import trash

ENDED = ("done", "pruned", "failed")  # whose checkpoints nothing but a longer training needs


@dataclass(frozen=True)
class Size:
    """Bytes on the disk: of all files, of the checkpoints and of model.onnx."""

    total: int = 0
    checkpoints: int = 0
    onnx: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.total + other.total, self.checkpoints + other.checkpoints, self.onnx + other.onnx)


def size(path: Path) -> Size:
    """What a run takes; links are not followed, and what cannot be read counts nothing."""
    return Size(taken(path), taken(path / "checkpoints"), taken(path / "model.onnx"))


def total(sizes: Iterable[Size]) -> Size:
    """What several runs take together."""
    return sum(sizes, Size())


def in_trash(root: Path) -> int:
    """The bytes of what waits in the trash of a runs folder."""
    return taken(trash(root))


def taken(path: str | os.PathLike[str]) -> int:
    """The bytes that a file or a folder takes on its disk: whole blocks, and nothing for holes."""
    found, waiting = 0.0, [os.fspath(path)]
    while waiting:
        try:
            there = os.lstat(one := waiting.pop())
            found += getattr(there, "st_blocks", there.st_size / 512) * 512
            if os.path.isdir(one) and not os.path.islink(one):
                waiting += [entry.path for entry in os.scandir(one)]
        except OSError:  # gone by now, or somebody else's
            continue
    return int(found)


def freeable(path: Path) -> int:
    """The bytes of a run's checkpoints. Raises RunError where they are what its training continues from."""
    run = Run.open(path)
    if (status := run.status) not in ENDED:
        hint = f"{find.command_line('dlx', 'resume', path.name, runs_dir=path.parent)} continues it"
        raise RunError(f"is {status}: its checkpoint is all that there is of its training", where=str(path), hint=hint)
    return taken(run.checkpoints) if run.checkpoints.is_dir() else 0
