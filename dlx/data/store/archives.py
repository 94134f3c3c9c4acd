"""Archives from anybody, unpacked: regular files alone, within bounds, below one folder."""

from __future__ import annotations

import contextlib
import errno
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from dlx.errors import DataError, DiskError, first_line
from dlx.system.units import byte_size

MAX_UNPACKED = 4 * 2**30
MAX_MEMBERS = 200_000
MAX_TAR_HEADER = 2**20


def unpack(archive: Path, target: Path) -> None:
    """Unpack regular files alone: links, devices and names that leave `target` are an error, size is bounded."""
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, target)
        else:
            _unpack_tar(archive, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            hint = "TMPDIR names another place for scratch files"
            raise DiskError(f"cannot unpack {archive} ({error.strerror})", where=str(target), hint=hint) from error
        raise DataError(f"cannot be unpacked ({first_line(error)})", where=str(archive)) from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise DataError(f"cannot be unpacked ({first_line(error)})", where=str(archive)) from error
    except Exception as error:
        if type(error).__name__ in ("LZMAError", "error"):
            raise DataError(f"cannot be unpacked ({first_line(error)})", where=str(archive)) from error
        raise


class _Member(tarfile.TarInfo):
    """A member whose own headers are bounded: tarfile reads the longest of names into memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        more = (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if self.type in more and self.size > MAX_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, packed or not."""
    try:
        tarfile.open(path, tarinfo=_Member).close()
    except tarfile.TarError as error:
        return "a header of" in str(error)  # which unpacking will tell
    except (EOFError, lzma.LZMAError, zlib.error, OSError):
        return False
    return True


def _unpack_tar(archive: Path, target: Path) -> None:
    with tarfile.open(archive, tarinfo=_Member) as tar:
        for member in _bounded(tar, lambda m: m.size, archive):
            if member.isdir():
                continue
            if not member.isreg():
                raise DataError(f"holds {member.name!r}, which is a link or a device", where=str(archive))
            stream = tar.extractfile(member)
            if stream is not None:
                _place(stream, target, member.name, archive)


def _unpack_zip(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        entries = list(_bounded(zipped.infolist(), lambda m: m.file_size, archive))
        for entry in entries:
            if entry.is_dir():
                continue
            if (entry.external_attr >> 28) not in (0, 8):  # the upper four bits of the mode: 8 is a regular file
                raise DataError(f"holds {entry.filename!r}, which is a link or a device", where=str(archive))
            with zipped.open(entry) as stream:
                _place(stream, target, entry.filename, archive)


def _bounded(members: Any, size: Callable[[Any], int], archive: Path) -> Iterator[Any]:
    total = 0
    for count, member in enumerate(members, 1):
        total += size(member)
        if count > MAX_MEMBERS or total > MAX_UNPACKED:
            raise DataError(
                f"unpacks to more than {byte_size(MAX_UNPACKED)} or {MAX_MEMBERS:,} files", where=str(archive)
            )
        yield member


def _place(stream: Any, target: Path, name: str, archive: Path) -> None:
    inside = PurePosixPath(name.replace("\\", "/"))
    if inside.is_absolute() or ".." in inside.parts or ":" in name:
        raise DataError(f"holds {name!r}, which leaves the folder it is unpacked into", where=str(archive))
    place = target.joinpath(*inside.parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(stream), place.open("xb") as out:
        shutil.copyfileobj(stream, out, 2**20)
