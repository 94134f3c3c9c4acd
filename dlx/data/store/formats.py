"""The forms that the named sets come in, read as arrays and checked."""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data import images
from dlx.data.npz import read_arrays
from dlx.data.store.archives import is_tar, unpack
from dlx.data.store.catalog import Known
from dlx.errors import DataError, first_line
from dlx.system import files
from dlx.system.files import regular
from dlx.system.machine import cores

if TYPE_CHECKING:
    import numpy as np

Arrays = Mapping[str, "np.ndarray"]
Progress = Callable[[int, int], None]
PARTS = ("x_train", "y_train", "x_test", "y_test")
MAX_ARRAYS = 2**30


def check(arrays: Arrays, entry: Known, where: str) -> dict[str, np.ndarray]:
    """The arrays in the set's own shape; raises DataError with what does not fit."""
    import numpy as np

    checked: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        x, y = np.asarray(arrays[f"x_{split}"]), np.asarray(arrays[f"y_{split}"]).reshape(-1)
        if x.shape[1:] == entry.shape[:2] and entry.shape[2] == 1:
            x = x[..., None]
        if x.shape[1:] != entry.shape or x.dtype != np.uint8:
            raise DataError(
                f"x_{split} is {x.dtype} {x.shape}, expected uint8 (n, {', '.join(map(str, entry.shape))})", where=where
            )
        if len(x) != len(y) or not len(y):
            raise DataError(f"{split} has {len(x)} images and {len(y)} labels", where=where)
        if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= len(entry.classes):
            raise DataError(f"y_{split}: expected whole numbers from 0 to {len(entry.classes) - 1}", where=where)
        checked |= {f"x_{split}": x, f"y_{split}": y.astype(np.int32)}
    return checked


def read(name: str, entry: Known, path: Path, scratch: Path, progress: Progress | None) -> tuple[Arrays, bool]:
    """(the four arrays, whether the images went through a lossy format)."""
    if path.is_dir():
        return _read_folder(entry, path, progress)
    try:
        regular(path)
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", where=str(path)) from error
    if path.suffix == ".npz":
        return _read_npz(path), False
    if is_tar(path) or zipfile.is_zipfile(path):
        unpack(path, scratch)
        return _read_folder(entry, scratch, progress, shown=str(path))
    raise DataError(
        "expected a .tar.gz, .tar.xz, .zip or .npz file, or a folder", where=str(path), hint=f"dlx data add {name} PATH"
    )


def _read_npz(path: Path) -> Arrays:
    arrays = read_arrays(path, MAX_ARRAYS)
    missing = [part for part in PARTS if not isinstance(arrays, dict) or part not in arrays]
    if missing or not isinstance(arrays, dict):
        there = ", ".join(arrays) if isinstance(arrays, dict) else "a single array"
        raise DataError(f"has no {', '.join(missing)}; it holds {there}", where=str(path))
    return {part: arrays[part] for part in PARTS}


def _read_folder(entry: Known, folder: Path, progress: Progress | None, shown: str = "") -> tuple[Arrays, bool]:
    """A folder in any of the forms that the sets come in, up to two wrapping folders deep."""

    where = shown or str(folder)
    below = [path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)) if path.is_dir()]
    for base in (folder, *below):
        batches = sorted(base.glob("data_batch_[0-9]*")) or sorted(base.glob("train.bin"))
        if (base / "train").is_file() and (base / "test").is_file():
            return _from_batches(entry, [base / "train"], base / "test"), False
        if batches and all(path.suffix == ".bin" for path in batches):
            test = base / ("test.bin" if batches[0].name == "train.bin" else "test_batch.bin")
            return _from_binary(entry, batches, test), False
        if batches:
            return _from_batches(entry, batches, base / "test_batch"), False
        if idx := _idx_files(base):
            return {part: _from_idx(path) for part, path in idx.items()}, False
        if all((base / f"{part}.npy").is_file() for part in PARTS):
            return _read_npy(base), False
        if (base / "train").is_dir() and (base / "test").is_dir():
            return _from_images(entry, base, where, progress)
    raise DataError(
        "holds neither the official files of the set nor train/CLASS/ and test/CLASS/ folders of images", where=where
    )


def _read_npy(folder: Path) -> Arrays:
    arrays = {part: read_arrays(folder / f"{part}.npy", MAX_ARRAYS) for part in PARTS}
    return {part: array for part, array in arrays.items() if not isinstance(array, dict)}


def _idx_files(folder: Path) -> dict[str, Path]:
    """The four IDX files of MNIST and similar sets, packed or not; empty when any is missing."""
    stems = {"y_train": "train-labels", "x_train": "train-images", "y_test": "t10k-labels", "x_test": "t10k-images"}
    paths = {part: next(iter(sorted(folder.glob(f"{stem}*ubyte*"))), None) for part, stem in stems.items()}
    return {part: path for part, path in paths.items() if path} if all(paths.values()) else {}


def _from_idx(path: Path) -> np.ndarray:
    import numpy as np

    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(regular(path), "rb") as stream:
            rank = stream.read(4)[3]
            shape = tuple(int.from_bytes(stream.read(4), "big") for _ in range(rank))
            size = math.prod(shape)
            if rank > 4 or size > MAX_ARRAYS:
                raise ValueError(f"claims the shape {shape[:5]}")
            raw = stream.read(size + 1)
        return np.frombuffer(raw, np.uint8).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(f"cannot be read as an IDX file ({first_line(error)})", where=str(path)) from error


def _from_binary(entry: Known, train: list[Path], test: Path) -> Arrays:
    """CIFAR's binary version: each record is its label bytes (the fine one last) and 3·32·32 pixels."""
    import numpy as np

    labels = 2 if len(entry.classes) == 100 else 1
    record = labels + int(np.prod(entry.shape))

    def read(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        try:
            raw = np.concatenate([np.fromfile(regular(path), np.uint8) for path in paths]).reshape(-1, record)
        except (OSError, ValueError) as error:
            raise DataError(f"is not a whole number of records ({first_line(error)})", where=str(paths[0])) from error
        return _channels_last(raw[:, labels:]), raw[:, labels - 1].astype(np.int32)

    x_train, y_train = read(train)
    x_test, y_test = read([test])
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _channels_last(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _from_batches(entry: Known, train: list[Path], test: Path) -> Arrays:
    """CIFAR's Python version. The files are pickles: they are parsed as a list of opcodes, never executed."""
    import numpy as np

    def read(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        parsed = [_parse_batch(path, entry.label_key) for path in paths]
        pixels = np.concatenate([pixels for pixels, _ in parsed])
        return _channels_last(pixels), np.concatenate([labels for _, labels in parsed])

    x_train, y_train = read(train)
    x_test, y_test = read([test])
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _parse_batch(path: Path, label_key: str) -> tuple[np.ndarray, np.ndarray]:
    """(pixels (n, 3072) uint8, labels (n,) int32) of one pickled batch, without unpickling."""
    import pickletools

    import numpy as np

    pixels: bytes = b""
    labels: list[int] = []
    collecting = False
    try:
        real = path.resolve()
        for opcode, argument, _ in pickletools.genops(files.contents(real.parent, real.name, MAX_ARRAYS)):
            if isinstance(argument, (bytes, str)) and len(argument) >= 3072:
                pixels = argument.encode("latin-1") if isinstance(argument, str) else argument
            elif argument in (label_key, label_key.encode()):
                collecting = True
            elif collecting and opcode.name in ("BININT1", "BININT", "BININT2", "INT", "LONG1"):
                labels.append(int(str(argument)))
            elif collecting and labels and isinstance(argument, (bytes, str)):
                collecting = False  # the next key of the dictionary
    except Exception as error:  # genops raises ValueError and, on cut files, several others
        raise DataError(f"cannot be read as a CIFAR batch ({first_line(error)})", where=str(path)) from error
    rows, rest = divmod(len(pixels), 3072)
    # PUT and memo opcodes carry small integers under other names, so every number collected is a label.
    if rest or not rows or len(labels) != rows or not all(0 <= label < 2**31 for label in labels):
        raise DataError(
            f"is not a whole CIFAR batch: {len(pixels)} bytes of pixels, {len(labels)} labels", where=str(path)
        )
    return np.frombuffer(pixels, np.uint8).reshape(rows, 3072), np.asarray(labels, np.int32)


def _from_images(entry: Known, base: Path, where: str, progress: Progress | None) -> tuple[Arrays, bool]:
    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    lossy = False
    listing = {split: _labelled(entry, base / split, where) for split in ("train", "test")}
    total, done = sum(map(len, listing.values())), 0
    for split, rows in listing.items():
        lossy = lossy or any(path.suffix.lower() in (".jpg", ".jpeg", ".webp") for path, _ in rows)
        pixels = np.empty((len(rows), *entry.shape), np.uint8)

        def read(path: Path) -> np.ndarray:
            image = images.read_image(path, channels=entry.shape[2])
            if image.shape != entry.shape:
                actual, wanted = image.shape, entry.shape
                raise DataError(
                    f"is {actual[1]} × {actual[0]} pixels, expected {wanted[1]} × {wanted[0]}", where=str(path)
                )
            return image

        for row, image in enumerate(images.in_parallel(read, [path for path, _ in rows], cores())):
            pixels[row] = image
            done += 1
            if progress and (done % 500 == 0 or done == total):
                progress(done, total)
        arrays[f"x_{split}"] = pixels
        arrays[f"y_{split}"] = np.array([label for _, label in rows], np.int32)
    return arrays, lossy


def _labelled(entry: Known, folder: Path, where: str) -> list[tuple[Path, int]]:
    """(file, class number) of every image below `folder`, whose folders must be the set's classes."""
    names = images.classes_below(folder)
    if sorted(names) != sorted(entry.classes):
        missing = sorted(set(entry.classes) - set(names))
        extra = sorted(set(names) - set(entry.classes))
        raise DataError(
            f"{folder.name}/ must have a folder for each class"
            + (f"; missing: {', '.join(missing[:5])}" if missing else "")
            + (f"; unknown: {', '.join(extra[:5])}" if extra else ""),
            where=where,
        )
    return [(path, number) for number, name in enumerate(entry.classes) for path in images.files(folder / name)]
