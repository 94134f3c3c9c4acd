"""A copy of a run: its files as bytes, for where no program copies them, and what it no longer needs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from dlx.system import files
from dlx.training import checkpoints

LAST = "metrics.json"  # which says that all is there
Stamp = tuple[int, int]


def _names(run: Path) -> Iterator[str]:
    """The files of a run, LAST last; what is being written is none. A folder may be removed meanwhile."""
    folders = ((Path(folder).relative_to(run), names) for folder, _, names in os.walk(run))
    found = [(folder / name).as_posix() for folder, names in folders for name in names]
    yield from sorted((name for name in found if ".tmp" not in name), key=lambda name: (name == LAST, name))


def changed(run: Path, known: Mapping[str, Stamp]) -> dict[str, tuple[Stamp, bytes]]:
    """What has changed of a run since `known`: size and time of each file, and its bytes."""
    found: dict[str, tuple[Stamp, bytes]] = {}
    for name in _names(run):
        try:
            there = os.stat(run / name)
            stamp = there.st_size, there.st_mtime_ns
            if name != "lock" and known.get(name) != stamp:
                found[name] = stamp, (run / name).read_bytes()
        except OSError:  # replaced meanwhile: seen when it is next asked for
            continue
    return found


def files_of(run: Path, but: Collection[str]) -> dict[str, bytes]:
    """Every file of a run but those that are named."""
    return {name: (run / name).read_bytes() for name in _names(run) if name not in but}


def written(run: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a run, each whole or not at all. Raises ValueError for a name that leads elsewhere."""
    for name, data in contents.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name!r} is no name of a file of a run")
        files.make_folder((run / path).parent)
        with files.replacing(run / path) as temporary:
            temporary.write_bytes(data)
    thin(run)


def thin(run: Path) -> None:
    """Remove checkpoints of a copy that newer ones have replaced, as the training does that it is a copy of."""
    checkpoints.prune(run / "checkpoints", 1 if (run / LAST).is_file() else checkpoints.KEPT)
