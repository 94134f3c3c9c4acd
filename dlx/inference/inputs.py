"""What a person types to predict: images, folders, patterns, tables, arrays, texts, standard input, in batches."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data import csv_file, images
from dlx.data.encoding import Encoding
from dlx.data.npz import read_arrays
from dlx.errors import DataError, DlxError, suggest
from dlx.inference.prediction import TableRow
from dlx.parts.datasets import series, table_encoding, table_reader
from dlx.parts.datasets.text import encode_text
from dlx.system import machine
from dlx.system.files import regular

if TYPE_CHECKING:
    import numpy as np

BATCH = 256
TABLE_ROWS = 8192
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
        texts = [_texts(column, self.encoding.categories.get(str(name), ())) for name, column in columns.items()]
        if len({len(column) for column in texts}) > 1:
            lengths = ", ".join(f"{name!r} {len(column)}" for name, column in zip(columns, texts, strict=True))
            raise DataError(f"has columns of different lengths: {lengths}", where=where)
        names = [str(name) for name in columns]
        if self.encoding.columns and not set(names) & {*self.encoding.columns, self.encoding.column}:
            wanted = ", ".join(map(repr, self.encoding.columns[:8])) + " …" * (len(self.encoding.columns) > 8)
            raise DataError(f"has none of the columns {wanted}; it has {', '.join(names[:8])}", where=where)
        return self._table(_Lines([names, *map(list, zip(*texts, strict=True))]), where, named=True)

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
                yield from self._table(reader, str(path))
        elif suffix == ".txt" and self.kind == "text":
            try:
                text = Path(regular(path)).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"cannot be read as text in UTF-8 ({error})", where=str(path)) from error
            yield from self._lines(text, str(path))
        else:
            yield from self._array(path, str(path))

    def _array(self, source: Path | bytes, where: str) -> Iterator[Batch]:

        loaded = read_arrays(source, (machine.memory() or 2**34) // 2, where)
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
            yield self._checked_floats(piece, start, where) if piece.dtype.kind == "f" else piece

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

    # Tables and texts

    def _table(self, reader: Any, where: str, named: bool = False) -> Iterator[Batch]:
        """Rows of a CSV with the run's columns, or without a header where every column is a number."""
        if len(self.shape) != 1 and self.kind not in ("text", "series"):
            raise DataError(f"is a table, but the run was trained on inputs of the shape {self.shape}", where=where)
        header = [name.strip() for name in next(reader, [])]
        columns = [self.encoding.column] if self.kind == "text" else list(self.encoding.columns)
        if set(columns) & {name for name, times in Counter(header).items() if times > 1}:
            raise DataError("the header names a column twice", where=where)
        pending: list[list[str]] = []
        if named and not columns:  # of a run on arrays: by position
            if len(header) != self.shape[0]:
                raise DataError(f"has {len(header)} columns, expected {self.shape[0]}", where=where)
        elif not columns or not set(header) & set(columns):
            pending, header = self._without_header(header, columns, where)
        self._remark(header, columns, where)
        rows = _rows(reader, header, pending, where)
        if self.kind == "series":
            yield from self._windows([row for _, row in rows], header, where)
            return
        encoding = self.encoding if self.kind == "text" else replace(self.encoding, columns=columns or header)
        empty = True
        while piece := list(itertools.islice(rows, TABLE_ROWS)):
            empty = False
            texts = [row for _, row in piece]
            names: list[str] = [TableRow(f"{where}:{n}", dict(zip(header, row, strict=True))) for n, row in piece]
            if self.kind == "text":
                place = header.index(columns[0])
                yield names, encode_text({columns[0]: [row[place] for row in texts]}, encoding)
            else:
                values = table_encoding.columns_of(texts, header, encoding, where, piece[0][0])
                self._remark_words(values, where)
                yield names, table_encoding.encode(values, encoding, where, strict=True, first=piece[0][0])
        if empty:
            raise DataError("holds no rows to predict", where=where)

    def _remark(self, header: list[str], columns: list[str], where: str) -> None:
        """Note which columns are not there; one that is there under nearly that name is a mistake."""
        missing = [name for name in columns if name not in header]
        spare = [name for name in header if name not in columns and name not in self.labels]
        for name in missing:
            near = suggest(name, spare)
            if near is not None:
                raise DataError(
                    f"has no column {name!r}, but one called {near!r}", where=where, hint="give it its name"
                )
        if missing:
            fill = {name: value for name, value in self.encoding.fill.items() if value not in (None, "")}
            names = ", ".join(f"{name!r} (filled with {fill.get(name, 'nothing')})" for name in missing[:8])
            self.remarks.append(f"{where} has no column {names}")

    def _remark_words(self, values: table_encoding.Columns, where: str) -> None:
        """Note which columns hold words that training never saw, where these count as unknown."""
        for name, known in self.encoding.categories.items() if self.encoding.lenient else ():
            words = sorted({*values[name].tolist()} - {*known, ""}) if name in values else []
            line = f"{where}: {name!r} holds words that training never saw: they count as unknown"
            if words and not any(remark.startswith(line) for remark in self.remarks):
                self.remarks.append(f"{line} ({', '.join(words[:5])}{' …' * (len(words) > 5)})")

    def _without_header(self, first: list[str], columns: list[str], where: str) -> tuple[list[list[str]], list[str]]:
        """(the rows read so far, the names of the columns) of a table whose first line names none of the run's."""
        width = len(columns) or self.shape[0]
        if self.kind != "text" and len(first) == width:
            if all(table_reader.is_number(text) for text in first):
                return [first], columns or [str(n) for n in range(width)]
            if not columns:
                return [], first
        expected = f"the columns {', '.join(columns)}" if columns else f"{width} columns"
        hint = table_reader.delimiter_hint(first) if first else ""
        raise DataError(f"expected {expected}, got {', '.join(first) or 'nothing'}", where=where, hint=hint)

    def _windows(self, rows: list[list[str]], header: list[str], where: str) -> Iterator[Batch]:
        """Every window of a series; it is called by the row behind which it predicts."""
        import numpy as np

        windows = series.windows(rows, header, self.encoding, where)
        for start in range(0, len(windows), BATCH):
            piece = np.ascontiguousarray(windows[start : start + BATCH])
            yield [f"{where}:{start + row + self.encoding.window}" for row in range(len(piece))], piece

    def _lines(self, text: str, where: str) -> Iterator[Batch]:
        """Every line of a plain text as an input of a run that was trained on texts."""
        lines = [line for line in text.splitlines() if line.strip()]
        for start in range(0, len(lines), BATCH):
            piece = lines[start : start + BATCH]
            array = encode_text({self.encoding.column: piece}, self.encoding)
            yield [f"{where}:{start + row}" for row in range(1, len(piece) + 1)], array

    def _standard_input(self) -> Iterator[Batch]:
        """An image, a .npy or .npz, or a table: recognized by their first bytes."""
        import numpy as np

        raw = sys.stdin.buffer.read()
        if not raw:
            raise DataError("standard input is empty", where="-")
        if raw[:6] == b"\x93NUMPY" or raw[:4] == b"PK\x03\x04":
            yield from self._array(raw, "-")
            return
        if len(self.shape) == 3:
            height, width, channels = self.shape
            yield ["-"], np.stack([images.read_image(raw, channels, (height, width))])
            return
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError("is not text in UTF-8, expected a table", where="-") from error
        has_header = self.encoding.column in next(csv.reader(text.splitlines()[:1]), [])
        if self.kind == "text" and not has_header:
            yield from self._lines(text, "-")
        else:
            yield from self._table(csv.reader(io.StringIO(text, newline="")), "-")


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


def _texts(column: Sequence[Any], categories: Sequence[str]) -> list[str]:
    """The values of a column as a CSV file has them; a gap (None, NaN) is empty.

    Whole numbers that name categories are whole, also where a gap has made floats of them.
    """
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    if categories:
        values = [value if str(value) in categories else _as_written(value, categories) for value in values]
    texts = ["" if value is None else str(value) for value in values]
    return ["" if text in ("nan", "NaT", "<NA>") else text for text in texts]


def _as_written(value: Any, categories: Sequence[str]) -> Any:
    """A value as a category is written: 1.0 may be 1, and True TRUE, where it was read as a number or a truth value."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    written = [str(value).upper(), str(value).lower()] if isinstance(value, bool) else []
    return next((text for text in written if text in categories), value)


class _Lines:
    """Rows of text that are read as those of a CSV reader are."""

    def __init__(self, rows: Iterable[list[str]]) -> None:
        self._rows, self.line_num = iter(rows), 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> list[str]:
        row = next(self._rows)
        self.line_num += 1
        return row


def _rows(reader: Any, header: list[str], pending: list[list[str]], where: str) -> Iterator[tuple[int, list[str]]]:
    """(number from 1, fields) of each row; raises DataError at the line that has more or fewer."""
    number = 0
    for row in itertools.chain(pending, reader):
        if not row:
            continue
        if len(row) != len(header):
            raise DataError(f"{len(row)} fields, expected {len(header)}", where=f"{where}:{reader.line_num}")
        number += 1
        yield number, [text.strip() for text in row]
