"""A run as one file: a zip that holds its directory."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dlx.data.store.archives import unpack
from dlx.errors import RunError
from dlx.runs import trash
from dlx.runs.run import AWAY, Run
from dlx.system import files

LEFT = ("lock", AWAY)  # of who writes to it, and where: true of this place alone


def pack(run: Run, target: Path, checkpoints: bool = False) -> int:
    """Write a run into a zip, without its checkpoints unless they are asked for; returns its bytes.

    Raises RunError for one that is running, or that holds a link or a device, DiskError.
    """
    run.info()
    trash.removable(run.path)  # what may be moved may be copied
    with files.disk(target):
        if special := files.special_file(run.path):
            raise RunError(f"holds {special}, which is a link or a device", where=str(run.path))
        with files.replacing(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in _kept(run, checkpoints):
                archive.write(path, f"{run.name}/{path.relative_to(run.path).as_posix()}")
        return target.stat().st_size


def _kept(run: Run, checkpoints: bool) -> Iterator[Path]:
    for folder, folders, names in os.walk(run.path):
        folders.sort()
        if not checkpoints and Path(folder) == run.path and "checkpoints" in folders:
            folders.remove("checkpoints")
        yield from (Path(folder) / name for name in sorted(names) if name not in LEFT and ".tmp" not in name)


def unpacked(archive: Path, root: Path) -> Run:
    """The run of an archive, as one of the runs folder: under its name, or with the next number where that is taken.

    Raises DataError for what is no archive, leads elsewhere or is too large, RunError where it holds no run, DiskError.
    """
    with files.disk(root):
        files.make_folder(root)
        scratch = Path(tempfile.mkdtemp(prefix=".unpack-", dir=root))
    try:
        unpack(archive, scratch)
        inside = list(scratch.iterdir())
        if len(inside) != 1 or not inside[0].is_dir() or re.match(r"[.-]|.*[\x00-\x1f]", inside[0].name):
            raise RunError("holds no run: expected one folder, that of the run", where=str(archive))
        try:
            Run.open(inside[0])
        except RunError as error:
            raise RunError(f"holds no run: {error.message}", where=str(archive)) from error
        with files.disk(root):
            return Run(_placed(inside[0], root))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _placed(folder: Path, root: Path) -> Path:
    """Give a folder its name below another, or that with the first number that is free."""
    match = re.fullmatch(r"(.*)-(\d{1,9})", folder.name)
    stem, number = (match[1], int(match[2])) if match else (folder.name, 0)
    place = root / folder.name
    while True:
        try:
            place.mkdir()  # takes the name; an empty folder gives way to a full one
            os.replace(folder, place)
            return place
        except FileExistsError:
            number += 1
            place = root / f"{stem}-{number}"
