"""What a person types to predict: images, folders, patterns, tables, arrays, texts, standard input, in batches."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data import csv_file, images
from dlx.data.encoding import Encoding
from dlx.data.npz import read_arrays
from dlx.errors import DataError, DlxError
from dlx.system import machine
from dlx.system.files import regular

if TYPE_CHECKING:
    import numpy as np

    from dlx.inference.tables import Tables

BATCH = 256
TABLES = (".csv", ".npy", ".npz", ".txt")
Batch = tuple[list[str], "np.ndarray"]


def shaped(array: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
    """(n, *shape) from an array that fits it: a single input, or images that lack their channel axis too."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"holds {array.dtype}, expected numbers", where=where)
    if array.shape[1:] != shape and array.shape == shape:
        array = array[None]
    if array.shape[1:] != shape and shape and shape[-1] == 1 and array.shape[1:] == shape[:-1]:
        array = array[..., None]
    if array.shape[1:] != shape and array.shape == shape[:-1] and shape[-1] == 1:
        array = array[None, ..., None]
    if array.shape[1:] != shape:
        expected = ", ".join(map(str, shape))
        raise DataError(f"has the shape {array.shape}, but the run was trained on (n, {expected})", where=where)
    return array


@dataclass(eq=False)
class Inputs:
    """The inputs of a run: what kind they are, their shape and dtype, and how they are encoded.

    `skipped` collects the inputs that could not be read, with the reason; `remarks` what is to know of the others;
    `files` are those that the last command line named.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    encoding: Encoding
    skipped: list[DlxError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """The columns that are predicted; of a series one for each step ahead."""
        if self.kind == "series":
            return [f"{self.encoding.label}+{step}" for step in range(1, self.encoding.horizon + 1)]
        return self.encoding.labels

    def read(self, words: Sequence[str]) -> tuple[Iterator[Batch], int | None]:
        """(batches of inputs, how many there are if that is known) of what a command line names.

        Raises DataError for a word that names nothing, before anything is predicted.
        """
        paths: list[Path | None] = []  # None is standard input
        for word in words:
            paths += [None] if word == "-" else _files(word)
        pictures = [path for path in paths if path is not None and path.suffix.lower() not in TABLES]
        self.files = [path or Path("/dev/stdin") for path in paths]
        if pictures:
            self._check_images(pictures[0])
        batches: list[Iterator[Batch]] = []
        for tables, group in itertools.groupby(paths, lambda path: path is None or path.suffix.lower() in TABLES):
            if tables:
                batches += [self._standard_input() if path is None else self._file(path) for path in group]
            else:
                batches.append(self._images([path for path in group if path is not None]))
        return itertools.chain(*batches), len(pictures) if len(pictures) == len(paths) else None

    def of_columns(self, columns: Mapping[str, Sequence[Any]], where: str) -> Iterator[Batch]:
        """Batches of a table in memory, columns by name: read as the same table in a CSV file would be."""
        return self._tables.of_columns(columns, where)

    @cached_property
    def _tables(self) -> Tables:
        """What reads tables; imported when there is one: for an image all parts would be loaded with it."""
        from dlx.inference.tables import Tables

        return Tables(self.kind, self.shape, self.encoding, self.labels, BATCH, self.remarks)

    def _check_images(self, first: Path) -> None:
        """Raise DataError where the run was not trained on images."""
        if len(self.shape) != 3:
            raise DataError(
                f"is not an input for this run, which was trained on {self.kind}s of shape {self.shape}",
                where=str(first),
                hint="expected a .csv, .npy or .npz file",
            )
        if self.shape[2] not in (1, 3) or self.dtype != "uint8":
            raise DataError(
                f"is an image, but the run was trained on {self.dtype} arrays of the shape {self.shape}, "
                "whose range of values is not known",
                where=str(first),
                hint="expected a .npy or .npz file with values as in training",
            )

    def _images(self, paths: Sequence[Path]) -> Iterator[Batch]:
        import numpy as np

        if not paths:
            return
        height, width, channels = self.shape

        def read(path: Path) -> np.ndarray | DlxError:
            try:
                return images.read_image(path, channels, (height, width))
            except DataError as error:
                return error

        names: list[str] = []
        pixels: list[np.ndarray] = []
        for path, image in zip(paths, images.in_parallel(read, paths, machine.cores()), strict=True):
            if isinstance(image, DlxError):
                self.skipped.append(image)
                continue
            names.append(str(path))
            pixels.append(image)
            if len(pixels) == BATCH:
                yield names, np.stack(pixels)
                names, pixels = [], []
        if pixels:
            yield names, np.stack(pixels)

    def _file(self, path: Path) -> Iterator[Batch]:
        suffix = path.suffix.lower()
        if suffix == ".csv":
            with csv_file.opened(path) as reader:
                yield from self._tables.of_rows(reader, str(path))
        elif suffix == ".txt" and self.kind == "text":
            try:
                text = Path(regular(path)).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"cannot be read as text in UTF-8 ({error})", where=str(path)) from error
            yield from self._tables.of_lines(text, str(path))
        else:
            yield from self._array(path, str(path))

    def _array(self, source: Path | bytes, where: str, most: int | None = None) -> Iterator[Batch]:
        loaded = read_arrays(source, most or (machine.memory() or 2**34) // 2, where)
        if isinstance(loaded, dict):
            keys = [key for key in ("x", "x_test") if key in loaded] or list(loaded)[:1]
            if not keys:
                raise DataError("holds no array", where=where)
            loaded = loaded[keys[0]]
        start = 0
        for piece in self.pieces(loaded, where):
            yield [f"{where}:{start + row}" for row in range(len(piece))], piece
            start += len(piece)

    def pieces(self, array: Any, where: str) -> Iterator[np.ndarray]:
        """Batches of an array that fits the run, (n, *shape); raises DataError for what training had none of."""
        import numpy as np

        try:
            whole = shaped(np.asarray(array), self.shape, where)
        except (TypeError, ValueError) as error:  # lists of unequal lengths
            raise DataError(f"is no array ({error})", where=where) from error
        for start in range(0, len(whole), BATCH):
            piece = np.asarray(whole[start : start + BATCH])
            piece = self._checked_floats(piece, start, where) if piece.dtype.kind == "f" else piece
            yield self._bytes(piece, where) if self.dtype == "uint8" and piece.dtype != np.uint8 else piece

    def _checked_floats(self, piece: np.ndarray, start: int, where: str) -> np.ndarray:
        """The piece, which begins at row `start`; raises DataError for values that training had none of."""
        import numpy as np

        sound = np.abs(piece.reshape(len(piece), -1)) <= np.finfo(np.float32).max
        if not sound.all():
            row = start + int(np.flatnonzero(~sound.all(axis=1))[0])
            raise DataError(f"row {row} holds NaN or infinite values, or some beyond 3.4e38", where=where)
        if self.dtype == "uint8" and (piece % 1).any():
            message = "holds fractions, but the run was trained on whole numbers from 0 to 255"
            raise DataError(message, where=where, hint="save it as uint8: numpy.uint8(255 * x), if it goes to 1")
        return piece

    def _bytes(self, piece: np.ndarray, where: str) -> np.ndarray:
        """The piece as uint8, for a run that was trained on that; raises DataError for values beyond 0 to 255."""
        import numpy as np

        if piece.size and not (piece.min() >= 0 and piece.max() <= 255):
            low, high = piece.min(), piece.max()
            raise DataError(f"holds values from {low:g} to {high:g}, but the run was trained on 0 to 255", where=where)
        return piece.astype(np.uint8)

    # Tables and texts

    def _standard_input(self) -> Iterator[Batch]:
        raw = sys.stdin.buffer.read()
        if not raw:
            raise DataError("standard input is empty", where="-")
        yield from self.of_bytes(raw, "-")

    def of_bytes(self, raw: bytes, where: str, most: int | None = None) -> Iterator[Batch]:
        """What a file holds: an image, a .npy or .npz, or a table or text, recognized by its first bytes.

        most: bytes that arrays may take; half the memory where it is not said.
        """
        import numpy as np

        if raw[:6] == b"\x93NUMPY" or raw[:4] == b"PK\x03\x04":
            yield from self._array(raw, where, most)
            return
        if len(self.shape) == 3:
            self._check_images(Path(where))
            height, width, channels = self.shape
            yield [where], np.stack([images.read_image(raw, channels, (height, width), where)])
            return
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError("is not text in UTF-8, expected a table", where=where) from error
        has_header = self.encoding.column in next(csv.reader(text.splitlines()[:1]), [])
        if self.kind == "text" and not has_header:
            yield from self._tables.of_lines(text, where)
        else:
            yield from self._tables.of_rows(csv.reader(io.StringIO(text, newline="")), where)


def _paths(word: str) -> list[Path]:
    """The files or the folder that a word names; raises DataError where there is none, or a folder without images."""
    if os.path.isdir(word):
        if not images.files(Path(word)):
            raise DataError("holds no images", where=word, hint=f"looked for {', '.join(images.SUFFIXES)}")
        return [Path(word)]
    if os.path.exists(word):
        return [Path(word)]
    paths = [Path(hit) for hit in sorted(glob.glob(word, recursive=True))]
    if not paths:
        raise DataError("no such file", where=word)
    return paths


def _files(word: str) -> list[Path]:
    """The files that a word names, those in folders of images among them."""
    return [file for path in _paths(word) for file in (images.files(path) if path.is_dir() else [path])]
