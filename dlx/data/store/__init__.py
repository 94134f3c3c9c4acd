"""The local data store: the named image sets, each converted once into arrays that are mapped, not read."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import lzma
import math
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dlx.data import images
from dlx.data import npz as arrays
from dlx.errors import DataError, DiskError, did_you_mean
from dlx.system import files
from dlx.system.backend import cores, keras
from dlx.system.files import plain

if TYPE_CHECKING:
    import numpy as np

Arrays = Mapping[str, "np.ndarray"]
Progress = Callable[[int, int], None]
PARTS = ("x_train", "y_train", "x_test", "y_test")
MAX_UNPACKED = 4 * 2**30
MAX_MEMBERS = 200_000
MAX_ARRAYS = 2**30
MAX_TAR_HEADER = 2**20


@dataclass(frozen=True)
class Known:
    """A named set: the shape of an image, its classes, and where Keras keeps and gets it."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    origin: tuple[str, ...]
    sha256: str = ""
    label_key: str = "labels"


_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_IDX = (
    "train-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
)

_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

KNOWN = {
    "mnist": Known(
        (28, 28, 1),
        tuple("0123456789"),
        (_GOOGLE + "mnist.npz",),
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    "fashion_mnist": Known(
        (28, 28, 1),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        tuple(_GOOGLE + name for name in _IDX),
    ),
    "cifar10": Known(
        (32, 32, 3),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (_TORONTO + "cifar-10-python.tar.gz",),
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "cifar100": Known(
        (32, 32, 3),
        tuple(_CIFAR100.split()),
        (_TORONTO + "cifar-100-python.tar.gz",),
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        "fine_labels",
    ),
}


def home() -> Path:
    """The folder of the store: DLX_DATA, or the user's data folder."""
    if os.environ.get("DLX_DATA"):
        return Path(os.environ["DLX_DATA"]).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("dlx", appauthor=False)) / "data"


def known(name: str) -> Known:
    """The named set; raises DataError with the nearest name otherwise."""
    if name not in KNOWN:
        raise DataError(
            f"unknown data set {name!r}{did_you_mean(name, KNOWN)}",
            hint=f"the store holds {', '.join(KNOWN)}; other images are said in a spec: image_folder: {{path: …}}",
        )
    return KNOWN[name]


def info(name: str) -> dict[str, Any] | None:
    """What the store says of its copy: source, sizes, fingerprint; None when it has none."""
    known(name)
    try:
        found = json.loads((home() / name / "info.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def load(name: str, path: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a named set, mapped, and the store's word on them.

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
                f"{name} is not on this machine and could not be downloaded ({_first_line(error)})",
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


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _subdir(name: str) -> str:
    return "datasets/fashion-mnist" if name == "fashion_mnist" else "datasets"


def _keras_cache(name: str) -> Path:
    base = Path(os.environ["KERAS_HOME"]) if "KERAS_HOME" in os.environ else Path.home() / ".keras"
    return base / _subdir(name)


def _cached(name: str, entry: Known) -> Path | None:
    """Keras's own download of the set, if it is whole: the file with the right hash, or what it unpacked."""
    folder = _keras_cache(name)
    if name == "fashion_mnist":
        return folder if all((folder / file).is_file() for file in _IDX) else None
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
            f"the store's copy is damaged ({_first_line(error)})",
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
        arrays, lossy = _read(name, entry, path, Path(scratch), progress)
        checked = _check(arrays, entry, str(path))
    files.private(target.parent)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _write(staging, name, path, checked, lossy)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            os.rename(target, old / "copy")
            os.rename(staging, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


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


def _check(arrays: Arrays, entry: Known, where: str) -> dict[str, np.ndarray]:
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


def _read(name: str, entry: Known, path: Path, scratch: Path, progress: Progress | None) -> tuple[Arrays, bool]:
    """(the four arrays, whether the images went through a lossy format)."""
    if path.is_dir():
        return _read_folder(entry, path, progress)
    try:
        plain(path)
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", where=str(path)) from error
    if path.suffix == ".npz":
        return _read_npz(path), False
    if _is_tar(path) or zipfile.is_zipfile(path):
        unpack(path, scratch)
        return _read_folder(entry, scratch, progress, shown=str(path))
    raise DataError(
        "expected a .tar.gz, .tar.xz, .zip or .npz file, or a folder", where=str(path), hint=f"dlx data add {name} PATH"
    )


def _read_npz(path: Path) -> Arrays:
    held = arrays.read(path, MAX_ARRAYS)
    missing = [part for part in PARTS if not isinstance(held, dict) or part not in held]
    if missing or not isinstance(held, dict):
        there = ", ".join(held) if isinstance(held, dict) else "a single array"
        raise DataError(f"has no {', '.join(missing)}; it holds {there}", where=str(path))
    return {part: held[part] for part in PARTS}


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
    found = {part: arrays.read(folder / f"{part}.npy", MAX_ARRAYS) for part in PARTS}
    return {part: array for part, array in found.items() if not isinstance(array, dict)}


def _idx_files(folder: Path) -> dict[str, Path]:
    """The four IDX files of MNIST and its kin, packed or not; empty when any is missing."""
    stems = {"y_train": "train-labels", "x_train": "train-images", "y_test": "t10k-labels", "x_test": "t10k-images"}
    found = {part: next(iter(sorted(folder.glob(f"{stem}*ubyte*"))), None) for part, stem in stems.items()}
    return {part: path for part, path in found.items() if path} if all(found.values()) else {}


def _from_idx(path: Path) -> np.ndarray:
    import numpy as np

    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(plain(path), "rb") as stream:
            rank = stream.read(4)[3]
            shape = tuple(int.from_bytes(stream.read(4), "big") for _ in range(rank))
            size = math.prod(shape)
            if rank > 4 or size > MAX_ARRAYS:
                raise ValueError(f"claims the shape {shape[:5]}")
            raw = stream.read(size + 1)
        return np.frombuffer(raw, np.uint8).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(f"cannot be read as an IDX file ({_first_line(error)})", where=str(path)) from error


def _from_binary(entry: Known, train: list[Path], test: Path) -> Arrays:
    """CIFAR's binary version: each record is its label bytes (the fine one last) and 3·32·32 pixels."""
    import numpy as np

    labels = 2 if len(entry.classes) == 100 else 1
    record = labels + int(np.prod(entry.shape))

    def read(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        try:
            raw = np.concatenate([np.fromfile(plain(path), np.uint8) for path in paths]).reshape(-1, record)
        except (OSError, ValueError) as error:
            raise DataError(f"is no whole number of records ({_first_line(error)})", where=str(paths[0])) from error
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
        raise DataError(f"cannot be read as a CIFAR batch ({_first_line(error)})", where=str(path)) from error
    rows, rest = divmod(len(pixels), 3072)
    # PUT and memo opcodes carry small integers under other names, so every number collected is a label.
    if rest or not rows or len(labels) != rows or not all(0 <= label < 2**31 for label in labels):
        raise DataError(
            f"is no whole CIFAR batch: {len(pixels)} bytes of pixels, {len(labels)} labels", where=str(path)
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
            image = images.read(path, channels=entry.shape[2])
            if image.shape != entry.shape:
                found, wanted = image.shape, entry.shape
                raise DataError(
                    f"is {found[1]} × {found[0]} pixels, expected {wanted[1]} × {wanted[0]}", where=str(path)
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
        raise DataError(f"cannot be unpacked ({_first_line(error)})", where=str(archive)) from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise DataError(f"cannot be unpacked ({_first_line(error)})", where=str(archive)) from error
    except Exception as error:
        if type(error).__name__ in ("LZMAError", "error"):
            raise DataError(f"cannot be unpacked ({_first_line(error)})", where=str(archive)) from error
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


def _is_tar(path: Path) -> bool:
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
                f"unpacks to more than {MAX_UNPACKED // 2**30} GiB or {MAX_MEMBERS:,} files", where=str(archive)
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


def entries() -> list[tuple[str, dict[str, Any] | None]]:
    """Every named set and the store's word on its copy."""
    return [(name, info(name)) for name in KNOWN]
