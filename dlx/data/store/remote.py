"""Data sets by address: a file or folder of an object store or a web server, kept here as long as it is the same there.

    DLX_DATA/remote/HASH OF THE ADDRESS/HASH OF WHAT THE STORE SAYS OF IT/NAME

What is said of it are size, time and ETag; another one is another copy, beside the one before. fsspec reaches the
store, with the credentials that its library finds by itself.
"""

from __future__ import annotations

import glob
import hashlib
import importlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from dlx.data import store
from dlx.errors import DataError, first_line
from dlx.system import files, locks
from dlx.system.terminal import Bar, clean, console
from dlx.system.units import byte_size

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "oss", "hf", "http", "https", "ftp", "sftp", "hdfs", "memory")
SAID = ("ETag", "etag", "size", "mtime", "LastModified", "last_modified", "Last-Modified", "md5Hash", "generation")
AT_ONCE = 64  # files of a folder
_known: dict[tuple[Path, str], Path] = {}  # the copies that this process has read
Listing = dict[str, tuple[str, Mapping[str, Any]]]  # names below a folder: where each lies there, what is said of it


def problem(text: str) -> str:
    """What is wrong with an address; an empty text where nothing is."""
    try:
        parts = urlsplit(text)
    except ValueError:  # a bracket that is none of an IPv6 address
        return "expected the address of a file or folder"
    if text.partition("://")[0] not in SCHEMES or "::" in text:
        return f"expected one of {', '.join(f'{scheme}://' for scheme in SCHEMES[:-1])}"
    if parts.password is not None:
        return "expected an address without a password: the spec is kept with each run"
    return "" if parts.netloc and _name(text) not in ("", "..") else "expected the address of a file or folder"


def fetched(address: str) -> Path:
    """Where the copy of what an address names lies, brought here unless it is there already.

    Where the store cannot be reached, the newest copy counts. Raises DataError.
    """
    if wrong := problem(address):
        raise DataError(wrong, where=address)
    copy = _known[store.home(), address] = _copy(address)
    return copy


def known(address: str) -> Path:
    """The copy that this process has read last, without asking whether it is the same there still."""
    copy = _known.get((store.home(), address))
    return copy if copy is not None and copy.exists() else fetched(address)


def _copy(address: str) -> Path:
    """See `fetched`."""
    place = store.home() / "remote" / _digest(address)
    whole = (path for path in place.glob(f"*/{glob.escape(_name(address))}") if ".part-" not in path.parent.name)
    copies = sorted(whole, key=lambda path: path.stat().st_mtime)
    try:
        with _reaching(address):
            system, listing = _listed(address)
    except DataError as error:
        if not copies or error.hint:
            raise
        words = f"{address} cannot be reached ({error.message}); the copy that was made before is used"
        console(error=True).print(clean(words))
        return copies[-1]
    stamp = _digest(json.dumps([[name, _said(info)] for name, (_, info) in sorted(listing.items())]))
    target = place / stamp / _name(address)
    if not target.exists():
        with files.disk(place):
            files.make_private(place)
            with locks.file_lock(place / "lock"):  # who comes second need not bring it again
                for part in place.glob("*.part-*"):  # what a kill has left
                    shutil.rmtree(part, ignore_errors=True)
                if not target.exists():
                    _bring(system, listing, target, address)
    return target


def _name(address: str) -> str:
    return PurePosixPath(urlsplit(address).path).name or urlsplit(address).netloc


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _said(info: Mapping[str, Any]) -> list[str]:
    """What a store says of a file that tells it from another one under its name."""
    return [f"{key} {info[key]}" for key in SAID if info.get(key) is not None]


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Within it what the library of a store raises is a DataError."""
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        hint = "pip install 'dlx-runner[remote]'; s3:// needs s3fs beside it, gs:// gcsfs, az:// adlfs"
        raise DataError(first_line(error), where=address, hint=hint) from error
    except FileNotFoundError as error:
        raise DataError("nothing is there", where=address, hint="see the address, and who may read it") from error
    except Exception as error:  # of any library
        raise DataError(first_line(error) or type(error).__name__, where=address) from error


def _listed(address: str) -> tuple[Any, Listing]:
    """(the file system of an address, the files there; that of a single one is "")"""
    system, path = importlib.import_module("fsspec").core.url_to_fs(address)
    info = system.info(path)
    if info.get("type") != "directory":
        return system, {"": (path, info)}
    base, listing = path.rstrip("/"), Listing()
    for place, one in system.find(path, detail=True).items():
        name = PurePosixPath(place[len(base) :].lstrip("/"))
        if not place.startswith(f"{base}/") or ".." in name.parts or re.search(r"[\0\\:]", str(name)):
            raise DataError(
                f"a file there is called {place!r}", where=address, hint="no file of a folder leads elsewhere"
            )
        listing[str(name)] = place, one
    if not listing:
        raise DataError("nothing is there", where=address, hint="see the address, and who may read it")
    return system, listing


def _bring(system: Any, listing: Listing, target: Path, address: str) -> None:
    """Copy files from a store to a folder that nobody sees before all are there."""
    sizes = {name: int(info.get("size") or 0) for name, (_, info) in listing.items()}
    free = shutil.disk_usage(target.parent.parent).free
    if sum(sizes.values()) > free:
        raise DataError(f"has {byte_size(sum(sizes.values()))}, and {byte_size(free)} are free", where=address)
    part = target.parent.with_name(f"{target.parent.name}.part-{uuid.uuid4().hex[:8]}")
    try:
        with _reaching(address), Bar(len(listing), "files") as bar:
            bar.wait(f"{target.name}: {byte_size(sum(sizes.values()))} from {urlsplit(address).scheme}")
            names = sorted(listing)
            for first in range(0, len(names), AT_ONCE):
                batch = {name: part / target.name / name for name in names[first : first + AT_ONCE]}
                for path in batch.values():
                    files.make_private(path.parent)
                system.get([listing[name][0] for name in batch], [str(path) for path in batch.values()])
                if len(listing) > 1:
                    bar.update(first + len(batch))
        target.parent.mkdir(files.PRIVATE, exist_ok=True)
        (part / target.name).rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
