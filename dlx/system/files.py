"""Files that others may have made, and files that no kill may leave half-written. Standard library only."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dlx.errors import DiskError
from dlx.system.units import byte_size

PRIVATE = 0o700
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = _READ | getattr(os, "O_DIRECTORY", 0)
Place = str | os.PathLike[str]


class UnsafeFileError(OSError):
    """What stands at a place is not a regular file: a link, a device, a pipe, or too large a file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.strerror = reason


@contextlib.contextmanager
def disk(path: Path, hint: str = "") -> Iterator[None]:
    """What goes wrong with a file in the block is a DiskError at `path`."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if isinstance(error, PermissionError) and path.exists() and not os.access(path, os.W_OK):
            why = f"{why}: it {whose(path)}"
        raise DiskError(f"cannot write ({why})", where=str(path), hint=hint) from error


def contents(root: Place, name: str, most: int) -> bytes:
    """The bytes of the regular file `name` below `root`, at most `most` of them.

    Raises FileNotFoundError where there is none, Unsafe for a link (also one on the way), a device or a larger file.
    """
    with opened(root, name) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > most:
            raise UnsafeFileError(f"is larger than {byte_size(most)}")
        pieces = []
        while piece := os.read(descriptor, size + 1):
            pieces.append(piece)
        return b"".join(pieces)


@contextlib.contextmanager
def opened(root: Place, name: str) -> Iterator[int]:
    """A descriptor for reading of the regular file `name` below `root`; raises as `contents` does."""
    *folders, last = name.split("/")
    descriptors: list[int] = []
    try:
        if not folders or os.open not in os.supports_dir_fd:
            descriptor = _open(os.path.join(root, name), _READ, None)
        else:  # a folder at a time: none of them may be a link
            descriptors.append(os.open(root, os.O_RDONLY))
            for folder in folders:
                descriptors.append(_open(folder, _FOLDER, descriptors[-1]))
            descriptor = _open(last, _READ, descriptors[-1])
        descriptors.append(descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsafeFileError("is not a regular file")
        yield descriptor
    finally:
        for one in descriptors:
            os.close(one)


def _open(name: str, flags: int, folder: int | None) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        link = False
        with contextlib.suppress(OSError):
            link = stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        if link:
            raise UnsafeFileError("is a link; a run contains none") from error
        raise


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    inside = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in inside)


def sha256(path: Place) -> str:
    """The sha256 of a file, read piece by piece."""
    import hashlib

    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def regular(path: Place) -> Place:
    """The path of a file that a person named, links followed. Raises Unsafe where it is a device, a pipe or a folder:
    reading one might never end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UnsafeFileError("is not a regular file")
    return path


def special_file(root: Place) -> str | None:
    """The first thing below `root` that is not a folder, nor a regular file with that one name; None where all are."""
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_nlink > 1:
                    return os.path.relpath(entry.path, root)
    return None


def as_utf8(word: str) -> str:
    """A word of the command line as UTF-8, whatever the locale says: specs are written in it."""
    try:
        return word if word.isascii() else os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def as_path(text: str) -> str:
    """A text in UTF-8 as the file system's name, whatever the locale says."""
    try:
        os.fsencode(text)
    except UnicodeError:
        return os.fsdecode(text.encode("utf-8", "surrogateescape"))
    return text


def whose(path: Path) -> str:
    """To whom a file or folder belongs, as a message says it."""
    try:
        return f"belongs to {path.owner()}"
    except (OSError, KeyError, NotImplementedError):  # a user of another machine; Windows
        return "belongs to somebody else"


def make_private(folder: Path) -> None:
    """Make a folder of the user's own, and those above it that are not there, for the user alone."""
    make_folder(folder, PRIVATE)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are not there, for whom the umask says."""
    if not folder.is_dir():
        make_folder(folder.parent, mode)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode)


def check_writable(folder: Path) -> None:
    """Raise DiskError where a folder, or the one in which it would be made, cannot be written into."""
    near = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    if not near.is_dir():
        raise DiskError(f"{near} is a file, not a folder", where=str(folder), hint="--runs-dir names another folder")
    if not os.access(near, os.W_OK | os.X_OK):
        raise DiskError("cannot be written into", where=str(folder), hint="--runs-dir names another folder")


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
