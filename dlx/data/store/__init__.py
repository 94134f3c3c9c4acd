"""The local data store: the named image sets, each converted once into arrays that are mapped, not read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data.store.catalog import IDX, KNOWN, Known, known
from dlx.data.store.formats import PARTS, Arrays, Progress, check, read
from dlx.errors import DataError, DiskError, first_line
from dlx.system import files, locks
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np


def home() -> Path:
    """The folder of the store: DLX_DATA, or the user's data folder. Raises DiskError for a user without one."""
    if os.environ.get("DLX_DATA"):
        return Path(os.environ["DLX_DATA"]).expanduser()
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("dlx", appauthor=False)).expanduser() / "data"
    except RuntimeError as error:  # no HOME, and no entry of the user on this machine
        hint = "DLX_DATA names a folder for it: export DLX_DATA=/some/folder"
        raise DiskError("this user has no home folder to keep data sets in", hint=hint) from error


def info(name: str) -> dict[str, Any] | None:
    """The store's record of its copy: source, sizes, fingerprint; None when it has none."""
    known(name)
    try:
        record = json.loads((home() / name / "info.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def load(name: str, path: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a named set, mapped, and the store's record of them.

    From `path` if given, else the store, else Keras's cache, else a download through Keras. Raises
    DataError when there is no copy and no network.
    """
    if path is not None:
        key = hashlib.sha256(f"{os.path.realpath(path)}{_stamp(Path(path))}".encode()).hexdigest()[:16]
        target = home() / "paths" / f"{name}-{key}"
        if not (target / "info.json").is_file():
            _convert(name, Path(path), target)
        return _mapped(target)
    target = home() / name
    if not (target / "info.json").is_file():
        fetch(name)
    return _mapped(target)


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Bring a named set into the store from Keras's cache, or from its origin through Keras."""
    entry = known(name)
    cached = _cached(name, entry)
    if cached is None:
        try:
            for url in entry.origin:
                file = Path(url).name
                keras.utils.get_file(file, url, cache_subdir=_subdir(name), file_hash=entry.sha256 or None)
        except Exception as error:  # urllib, ssl and Keras each raise their own
            raise DataError(
                f"{name} is not on this machine and could not be downloaded ({first_line(error)})",
                hint=f"with a copy at hand: dlx data add {name} PATH "
                "(the official archive, an unpacked folder, an .npz or a folder of images)",
            ) from error
        cached = _cached(name, entry)
        if cached is None:
            raise DataError(f"Keras downloaded {name}, but its files are not in {_keras_cache(name)}")
    return add(name, cached, progress)


def add(name: str, path: Path, progress: Progress | None = None) -> Path:
    """Check the copy of a named set at `path`, convert it into the store, and return its folder there.

    `path` is the official archive, an unpacked folder of it, an .npz with x_train, y_train, x_test and
    y_test, or a folder of images (train/CLASS/*.jpg, test/CLASS/*.jpg), packed or not.
    """
    known(name)
    target = home() / name
    _convert(name, path, target, progress)
    return target


def _subdir(name: str) -> str:
    return "datasets/fashion-mnist" if name == "fashion_mnist" else "datasets"


def _keras_cache(name: str) -> Path:
    base = Path(os.environ["KERAS_HOME"]) if "KERAS_HOME" in os.environ else Path.home() / ".keras"
    return base / _subdir(name)


def _cached(name: str, entry: Known) -> Path | None:
    """Keras's own download of the set, if it is whole: the file with the right hash, or what it unpacked."""
    folder = _keras_cache(name)
    if name == "fashion_mnist":
        return folder if all((folder / file).is_file() for file in IDX) else None
    file = folder / Path(entry.origin[0]).name
    if file.is_file() and files.sha256(file) == entry.sha256:
        return file
    stem = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}.get(name, name)
    return next((path for path in (folder / f"{stem}-target", folder / stem) if path.is_dir()), None)


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError("no such file or folder", where=str(path)) from error
    if not path.is_dir():
        return f"{status.st_mtime_ns}:{status.st_size}"
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        inside = file.lstat()
        digest.update(
            f"{file.relative_to(path)}:{inside.st_mtime_ns}:{inside.st_size}".encode("utf-8", "backslashreplace")
        )
    return digest.hexdigest()


def _mapped(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    import numpy as np

    try:
        record = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        arrays = {part: np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False) for part in PARTS}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"the store's copy is damaged ({first_line(error)})",
            where=str(folder),
            hint="add the set again: dlx data add NAME PATH",
        ) from error
    return arrays, record


def _convert(name: str, path: Path, target: Path, progress: Progress | None = None) -> None:
    """Read whatever `path` is, check it, and write the arrays beside `target`, then rename into place."""
    entry = known(name)
    if not path.exists():
        raise DataError("no such file or folder", where=str(path), hint=f"dlx data add {name} PATH")
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        arrays, lossy = read(name, entry, path, Path(scratch), progress)
        checked = check(arrays, entry, str(path))
    files.make_private(target.parent)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _write(staging, name, path, checked, lossy)
        with locks.file_lock(target.with_name(f".{target.name}.lock")):  # others may add the same set
            _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _swap(staging: Path, target: Path) -> None:
    """Give a folder the name of another one, which is removed."""
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
        os.rename(target, old / "copy")
        os.rename(staging, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(staging, target)


def _write(folder: Path, name: str, path: Path, arrays: Arrays, lossy: bool) -> None:
    import numpy as np

    digest = hashlib.sha256()
    for part in PARTS:
        array = np.ascontiguousarray(arrays[part])
        np.save(folder / f"{part}.npy", array, allow_pickle=False)
        digest.update(f"{part}{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    record = {
        "name": name,
        "source": path.name,
        "lossy": lossy,
        "train": len(arrays["y_train"]),
        "test": len(arrays["y_test"]),
        "fingerprint": digest.hexdigest(),
    }
    (folder / "info.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for file in (*(f"{part}.npy" for part in PARTS), "info.json", "."):
        files.sync(folder / file)


def entries() -> list[tuple[str, dict[str, Any] | None]]:
    """Every named set and the store's record of its copy."""
    return [(name, info(name)) for name in KNOWN]


__all__ = ["KNOWN", "Known", "add", "entries", "fetch", "home", "info", "known", "load"]
