"""Files that strangers may have made, and files that no kill may leave half-written. Standard library only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

PRIVATE = 0o700
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = _READ | getattr(os, "O_DIRECTORY", 0)
Place = str | os.PathLike[str]


class Unsafe(OSError):
    """What stands at a place is no plain file: a link, a device, a pipe, or too large a file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.strerror = reason


def contents(root: Place, name: str, most: int) -> bytes:
    """The bytes of the plain file `name` beneath `root`, at most `most` of them.

    Raises FileNotFoundError where there is none, Unsafe for a link (also one on the way), a device or a larger file.
    """
    with opened(root, name) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > most:
            raise Unsafe(f"is larger than {most // 2**20:,} MiB")
        pieces = []
        while piece := os.read(descriptor, size + 1):
            pieces.append(piece)
        return b"".join(pieces)


@contextlib.contextmanager
def opened(root: Place, name: str) -> Iterator[int]:
    """A descriptor for reading of the plain file `name` beneath `root`; raises as `contents` does."""
    *folders, last = name.split("/")
    held: list[int] = []
    try:
        if not folders or os.open not in os.supports_dir_fd:
            descriptor = _open(os.path.join(root, name), _READ, None)
        else:  # a folder at a time: none of them may be a link
            held.append(os.open(root, os.O_RDONLY))
            for folder in folders:
                held.append(_open(folder, _FOLDER, held[-1]))
            descriptor = _open(last, _READ, held[-1])
        held.append(descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unsafe("is no plain file")
        yield descriptor
    finally:
        for one in held:
            os.close(one)


def _open(name: str, flags: int, folder: int | None) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        link = False
        with contextlib.suppress(OSError):
            link = stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        if link:
            raise Unsafe("is a link, which a run has none of") from error
        raise


def sha256(path: Place) -> str:
    """The sha256 of a file, read piece by piece."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def plain(path: Place) -> Place:
    """The path of a file that a person named, links followed. Raises Unsafe where it is a device, a pipe or a folder:
    reading one might never end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Unsafe("is no plain file")
    return path


def strange(root: Place) -> str | None:
    """The first thing beneath `root` that is no folder, nor a plain file with that one name; None where all are."""
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_nlink > 1:
                    return os.path.relpath(entry.path, root)
    return None


def private(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for the user alone."""
    if not folder.is_dir():
        private(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(PRIVATE)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to: it takes the target's name, durably, when the block ends well.

    When it does not, the path is removed and the target stays as it was.
    """
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, target)
        sync(target.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync(path: Place) -> None:
    """Have the disk hold a file, or the names in a folder. Raises OSError where it cannot."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows opens no folder
        if os.path.isdir(path):
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
