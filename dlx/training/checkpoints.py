"""Checkpoints: what a run needs to continue exactly where it was, committed whole or not at all.

    checkpoints/7/state.npz     every array of the engine's state by name
    checkpoints/7/state.json    what else belongs to it: steps, epochs, how far the history goes
    checkpoints/7/MANIFEST      the sha256 of both, as `sha256sum -c MANIFEST` reads it

A commit writes into `7.tmp`, has the disk hold each file, and renames it: a kill at any moment leaves the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data.npz import read_arrays
from dlx.errors import DataError, DiskError
from dlx.system import files

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
KEPT = 2
NAMES = ("state.npz", "state.json")
ALL = (*NAMES, "MANIFEST")
MAX_BYTES = 2**40


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint that was read: its number, its arrays by name, and what else was recorded of it."""

    number: int
    arrays: dict[str, np.ndarray]
    info: dict[str, Any]


def commit(folder: Path, state: Mapping[str, np.ndarray], info: Mapping[str, Any], kept: int = KEPT) -> int:
    """Write a checkpoint and remove all but the newest `kept`; returns its number. Raises DiskError."""
    import numpy as np

    number = max(numbers(folder), default=0) + 1
    place, staging = folder / str(number), folder / f"{number}.tmp"
    try:
        files.make_folder(folder)
        _sweep(folder)
        staging.mkdir()
        try:
            np.savez(staging / NAMES[0], **dict[str, Any](state))
            text = json.dumps({"format": FORMAT, **info}, allow_nan=False) + "\n"
            (staging / NAMES[1]).write_text(text, encoding="utf-8")
            lines = "".join(f"{files.sha256(staging / name)}  {name}\n" for name in NAMES)
            (staging / "MANIFEST").write_text(lines, encoding="ascii")
            for name in (*ALL, "."):
                files.sync(staging / name)
            os.rename(staging, place)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        files.sync(folder)
        prune(folder, kept)
    except OSError as error:
        raise DiskError(f"cannot keep a checkpoint ({error.strerror or error})", where=str(folder)) from error
    return number


def numbers(folder: Path) -> list[int]:
    """The numbers of the checkpoints that are there, the newest first, whole or not."""
    if not folder.is_dir():
        return []
    return sorted((int(p.name) for p in folder.iterdir() if re.fullmatch(r"[1-9][0-9]{0,17}", p.name)), reverse=True)


def prune(folder: Path, kept: int) -> None:
    """Remove all but the newest `kept`; of a copy that grows, one of which not all files are there is not counted."""
    there = numbers(folder)
    whole = [number for number in there if all((folder / str(number) / name).is_file() for name in ALL)]
    if len(whole) > kept:
        _remove(folder, [number for number in there if number <= whole[kept]])


def drop(folder: Path, above: int) -> None:
    """Remove the checkpoints of a higher number, those that were passed over. Raises DiskError."""
    try:
        _remove(folder, [number for number in numbers(folder) if number > above])
    except OSError as error:
        raise DiskError(f"cannot remove a checkpoint ({error.strerror})", where=str(folder)) from error


def _remove(folder: Path, which: Sequence[int]) -> None:
    """Remove checkpoints, each by one rename first: none is ever there in part."""
    for number in which:
        os.rename(folder / str(number), folder / f"{number}.old.tmp")
    _sweep(folder)


def _sweep(folder: Path) -> None:
    for left in folder.glob("*.tmp"):
        shutil.rmtree(left)


def read(folder: Path, number: int, most: int = MAX_BYTES) -> Checkpoint:
    """The checkpoint of a number, its files of at most so many bytes; raises DataError with what is wrong with it."""
    where, base = f"checkpoint {number}", f"{number}"
    try:
        manifest = files.contents(folder, f"{base}/MANIFEST", 65536)
        contents = {name: files.contents(folder, f"{base}/{name}", most) for name in NAMES}
        lines = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n".encode() for name in NAMES]
        for name, line in zip(NAMES, lines, strict=True):
            if line not in manifest:
                raise DataError(f"{name} has changed: its sha256 differs", where=where)
        if manifest != b"".join(lines):
            raise DataError("its MANIFEST has changed", where=where)
        info = json.loads(contents[NAMES[1]])
        if not isinstance(info, dict) or info.get("format") != FORMAT:
            raise DataError(f"its format is {info.get('format') if isinstance(info, dict) else info!r}", where=where)
        state = read_arrays(contents[NAMES[0]], most, where, stored=True)
        if not isinstance(state, dict):
            raise DataError("state.npz holds a single array", where=where)
        return Checkpoint(number, state, info)
    except MemoryError as error:
        raise DataError("is too large for the memory", where=where) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot be read ({reason})", where=where) from error


def newest(
    folder: Path, fits: Callable[[Mapping[str, Any]], str], most: int = MAX_BYTES
) -> tuple[Checkpoint | None, list[str]]:
    """(the newest checkpoint that is whole and fits, what is wrong with each that was passed over).

    fits: what was recorded of a checkpoint -> why it cannot be used, or an empty text; most: bytes of one of its files.
    """
    passed: list[str] = []
    for number in numbers(folder):
        try:
            checkpoint = read(folder, number, most)
            reason = fits(checkpoint.info)
        except DataError as error:
            passed.append(str(error))
            continue
        except (KeyError, TypeError):
            reason = "state.json is incomplete"
        if not reason:
            return checkpoint, passed
        passed.append(f"checkpoint {number}: {reason}")
    return None, passed
