"""From a run and inputs of any kind to predictions, in batches and in bounded memory.

The network is rebuilt from the run's own spec and takes only its weights from the file: nothing is
unpickled and no code is deserialised.
"""

from __future__ import annotations

import csv
import glob
import io
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from dlx.data import images
from dlx.data import npz as arrays
from dlx.errors import DataError, DlxError, RunError, suggest
from dlx.inference import forward as inference
from dlx.model import build as model
from dlx.parts.datasets import table as tables
from dlx.parts.datasets import text as sequences
from dlx.runs.run import Run
from dlx.system import backend
from dlx.system.files import plain

if TYPE_CHECKING:
    import numpy as np

BATCH = 256
TABLE_ROWS = 8192
Batch = tuple[list[str], "np.ndarray"]


class Row(str):
    """The name of an input that is a row of a table; `fields` are its values by column."""

    fields: Mapping[str, str]

    def __new__(cls, name: str, fields: Mapping[str, str]) -> Row:
        row = super().__new__(cls, name)
        row.fields = fields
        return row


@dataclass(eq=False)
class Predictor:
    """A trained run, ready to predict.

    `skipped` lists the inputs that could not be read, with the reason; `remarks` what was amiss with the others.
    """

    run: Run
    model: Any
    info: dict[str, Any]
    skipped: list[DlxError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.info["classes"]]

    @property
    def labels(self) -> list[str]:
        """The columns that a run on a table learned to predict."""
        encoding = self.info["input"].get("encoding", {})
        said = encoding.get("label")
        if self.info["input"].get("kind") == "series":
            return [f"{said}+{step}" for step in range(1, int(encoding.get("horizon", 1)) + 1)]
        return [] if said is None else [said] if isinstance(said, str) else list(said)

    @property
    def submission(self) -> list[str] | None:
        """The columns that a prediction of a table is asked for: its id and what is predicted; None without an id."""
        number = self.info["input"].get("encoding", {}).get("id")
        return [number, *self.labels] if number else None

    @property
    def several(self) -> bool:
        """Whether an example may have several labels."""
        return bool(self.info.get("task") == "multi_label")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.info["input"]["shape"])

    def predict(self, inputs: Any) -> np.ndarray:
        """Raw inputs (n, *shape), as the dataset stores them, to probabilities (n, classes) or values (n, targets)."""
        import numpy as np

        array = self._shaped(np.asarray(inputs), "the array")
        found = list(inference.forward(self.model, inference.batches(array, BATCH)))
        whole = np.concatenate(found) if found else np.zeros((0, max(len(self.classes), 1)), np.float32)
        return inference.both(whole, self.info["task"])

    def stream(self, batches: Iterable[Batch]) -> Iterator[tuple[str, np.ndarray]]:
        """(name, probabilities or values) of each input, a batch in memory at a time."""
        for names, array in batches:
            for predictions in inference.forward(self.model, [array]):
                yield from zip(names, inference.both(predictions, self.info["task"]), strict=True)

    def _shaped(self, array: np.ndarray, where: str) -> np.ndarray:
        """(n, *shape) from what fits it: a single input, or images that lack their channel axis."""
        wanted = self.shape
        if array.dtype.kind not in "biuf":
            raise DataError(f"holds {array.dtype}, expected numbers", where=where)
        if array.shape[1:] != wanted and array.shape == wanted:
            array = array[None]
        if array.shape[1:] != wanted and wanted and wanted[-1] == 1 and array.shape[1:] == wanted[:-1]:
            array = array[..., None]
        if array.shape[1:] != wanted and array.shape == wanted[:-1] and wanted[-1] == 1:
            array = array[None, ..., None]
        if array.shape[1:] != wanted:
            shape = ", ".join(map(str, wanted))
            raise DataError(f"has the shape {array.shape}, but the run was trained on (n, {shape})", where=where)
        return array

    # What a person types: files, folders, patterns, tables, arrays, standard input.

    def read(self, words: Sequence[str]) -> tuple[Iterator[Batch], int | None]:
        """(batches of inputs, how many there are if that is known) of what a command line names.

        Raises DataError for a word that names nothing, before anything is predicted.
        """
        found: list[Path] = []
        others: list[Iterator[Batch]] = []
        for word in words:
            if word == "-":
                others.append(self._standard_input())
            elif os.path.isdir(word):
                inside = images.files(Path(word))
                if not inside:
                    raise DataError("holds no images", where=word, hint=f"looked for {', '.join(images.SUFFIXES)}")
                found += inside
            else:
                paths = (
                    [Path(word)]
                    if os.path.exists(word)
                    else [Path(hit) for hit in sorted(glob.glob(word, recursive=True))]
                )
                if not paths:
                    raise DataError("no such file", where=word)
                for path in paths:
                    if path.suffix.lower() in (".csv", ".npy", ".npz", ".txt"):
                        others.append(self._file(path))
                    elif path.is_dir():
                        found += images.files(path)
                    else:
                        found.append(path)
        if found and len(self.shape) != 3:
            raise DataError(
                f"is no input for this run, which was trained on {self.info['input']['kind']}s of shape {self.shape}",
                where=str(found[0]),
                hint="expected a .csv, .npy or .npz file",
            )
        if found and (self.shape[2] not in (1, 3) or self.info["input"].get("dtype") != "uint8"):
            raise DataError(
                f"is an image, but the run was trained on {self.info['input'].get('dtype')} arrays of the shape "
                f"{self.shape}, whose range of values is not known",
                where=str(found[0]),
                hint="expected a .npy or .npz file with values as in training",
            )
        count = len(found) if not others else None
        return self._chain([self._images(found)] if found else [], others), count

    def _chain(self, *groups: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
        for group in groups:
            for batches in group:
                yield from batches

    def _images(self, paths: Sequence[Path]) -> Iterator[Batch]:
        import numpy as np

        height, width, channels = self.shape

        def read(path: Path) -> np.ndarray | DlxError:
            try:
                return images.read(path, channels, (height, width))
            except DataError as error:
                return error

        names: list[str] = []
        found_so_far: list[np.ndarray] = []
        for path, found in zip(paths, images.in_parallel(read, paths, backend.cores()), strict=True):
            if isinstance(found, DlxError):
                self.skipped.append(found)
                continue
            names.append(str(path))
            found_so_far.append(found)
            if len(found_so_far) == BATCH:
                yield names, np.stack(found_so_far)
                names, found_so_far = [], []
        if found_so_far:
            yield names, np.stack(found_so_far)

    def _file(self, path: Path) -> Iterator[Batch]:
        if path.suffix.lower() == ".csv":
            try:
                with Path(plain(path)).open(newline="", encoding="utf-8-sig") as stream:
                    yield from self._table(stream, str(path))
            except (OSError, UnicodeDecodeError, csv.Error) as error:
                raise DataError(f"cannot be read ({error})", where=str(path)) from error
            return
        if path.suffix.lower() == ".txt" and self.info["input"].get("kind") == "text":
            try:
                yield from self._lines(Path(plain(path)).read_text(encoding="utf-8-sig"), str(path))
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"cannot be read as text in UTF-8 ({error})", where=str(path)) from error
            return
        yield from self._array(path, str(path))

    def _array(self, source: Path | bytes, where: str) -> Iterator[Batch]:
        import numpy as np

        loaded = arrays.read(source, (backend.memory() or 2**34) // 2, where)
        if isinstance(loaded, dict):
            keys = [key for key in ("x", "x_test") if key in loaded] or list(loaded)[:1]
            if not keys:
                raise DataError("holds no array", where=where)
            loaded = loaded[keys[0]]
        array = self._shaped(loaded, where)
        for start in range(0, len(array), BATCH):
            piece = np.asarray(array[start : start + BATCH])
            if piece.dtype.kind == "f":
                with np.errstate(over="ignore"):
                    piece = piece.astype(np.float32)
                if not np.isfinite(piece).all():
                    row = start + int(np.flatnonzero(~np.isfinite(piece.reshape(len(piece), -1)).all(axis=1))[0])
                    raise DataError(f"row {row} holds NaN or infinite values", where=where)
                if self.info["input"].get("dtype") == "uint8" and (piece % 1).any():
                    message = "holds fractions, but the run was trained on whole numbers from 0 to 255"
                    raise DataError(
                        message, where=where, hint="save it as uint8: numpy.uint8(255 * x), if it goes to 1"
                    )
            yield [f"{where}:{start + row}" for row in range(len(piece))], piece

    def _table(self, stream: Any, where: str) -> Iterator[Batch]:
        """Rows of a CSV with the run's columns, or without a header where every column is a number."""
        kind = self.info["input"].get("kind")
        if len(self.shape) != 1 and kind not in ("text", "series"):
            raise DataError(f"is a table, but the run was trained on inputs of the shape {self.shape}", where=where)
        encoding = dict(self.info["input"]["encoding"])
        reader = csv.reader(stream)
        header = [field.strip() for field in next(reader, [])]
        wanted = [encoding["column"]] if kind == "text" else list(encoding.get("columns") or [])
        if set(wanted) & {name for name, times in Counter(header).items() if times > 1}:
            raise DataError("the header names a column twice", where=where)
        pending: list[list[str]] = []
        if not wanted or not set(header) & set(wanted):
            pending, header = self._without_header(header, wanted, where)
        if kind != "text":
            encoding |= {"columns": wanted or header, "categories": encoding.get("categories") or {}}
        self._remark(header, wanted, where)
        rows = _rows(reader, header, pending, where)
        if kind == "series":
            yield from self._windows([row for _, row in rows], header, encoding, where)
            return
        encode = sequences.encode_text if kind == "text" else tables.encode
        found = False
        while piece := list(itertools.islice(rows, TABLE_ROWS)):
            found = True
            texts = [row for _, row in piece]
            if kind == "text":
                held: Any = {wanted[0]: [row[header.index(wanted[0])] for row in texts]}
            else:
                held = tables.columns(texts, header, encoding, where)
            named: list[str] = [Row(f"{where}:{n}", dict(zip(header, row, strict=True))) for n, row in piece]
            yield named, encode(held, encoding, where, strict=True, first=piece[0][0])
        if not found:
            raise DataError("holds no rows to predict", where=where)

    def _remark(self, header: list[str], wanted: list[str], where: str) -> None:
        """Say which columns are not there; one that is there under nearly that name is a mistake."""
        lacking = [name for name in wanted if name not in header]
        spare = [name for name in header if name not in wanted and name not in self.labels]
        for name in lacking:
            near = suggest(name, spare)
            if near is not None:
                raise DataError(
                    f"has no column {name!r}, but one called {near!r}", where=where, hint="give it its name"
                )
        if lacking:
            told = ", ".join(map(repr, lacking[:8]))
            self.remarks.append(f"{where} has no column {told}: filled as `missing` in the spec says")

    def _without_header(self, first: list[str], wanted: list[str], where: str) -> tuple[list[list[str]], list[str]]:
        """(the rows read so far, the names of the columns) of a table whose first line names none of the run's."""
        width = len(wanted) or self.shape[0]
        if self.info["input"].get("kind") != "text" and len(first) == width:
            if all(tables.is_number(field) for field in first):
                return [first], wanted or [str(n) for n in range(width)]
            if not wanted:
                return [], first
        expected = f"the columns {', '.join(wanted)}" if wanted else f"{width} columns"
        raise DataError(f"expected {expected}, got {', '.join(first) or 'nothing'}", where=where)

    def _windows(
        self, rows: list[list[str]], header: list[str], encoding: dict[str, Any], where: str
    ) -> Iterator[Batch]:
        """Every window of a series; it is called by the row behind which it predicts."""
        import numpy as np

        found = sequences.windows(rows, header, encoding, where)
        size = int(encoding["window"])
        for start in range(0, len(found), BATCH):
            piece = np.ascontiguousarray(found[start : start + BATCH])
            yield [f"{where}:{start + row + size}" for row in range(len(piece))], piece

    def _lines(self, text: str, where: str) -> Iterator[Batch]:
        """Every line of a plain text as an input of a run that was trained on texts."""
        encoding = self.info["input"]["encoding"]
        lines = [line for line in text.splitlines() if line.strip()]
        for start in range(0, len(lines), BATCH):
            piece = lines[start : start + BATCH]
            array = sequences.encode_text({encoding["column"]: piece}, encoding)
            yield [f"{where}:{start + row}" for row in range(1, len(piece) + 1)], array

    def _standard_input(self) -> Iterator[Batch]:
        """An image, a .npy or .npz, or a table: told apart by their first bytes."""
        import numpy as np

        raw = sys.stdin.buffer.read()
        if not raw:
            raise DataError("standard input is empty", where="-")
        if raw[:6] == b"\x93NUMPY" or raw[:4] == b"PK\x03\x04":
            yield from self._array(raw, "-")
        elif len(self.shape) == 3:
            height, width, channels = self.shape
            yield ["-"], np.stack([images.read(raw, channels, (height, width))])
        else:
            try:
                text = raw.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise DataError("is no text in UTF-8, expected a table", where="-") from error
            encoding = self.info["input"].get("encoding") or {}
            named = encoding.get("column") in next(csv.reader(text.splitlines()[:1]), [])
            if self.info["input"].get("kind") == "text" and not named:
                yield from self._lines(text, "-")
            else:
                yield from self._table(io.StringIO(text, newline=""), "-")


def _rows(reader: Any, header: list[str], pending: list[list[str]], where: str) -> Iterator[tuple[int, list[str]]]:
    """(number from 1, fields) of each row; raises DataError at the line that has more or fewer."""
    number = 0
    for row in itertools.chain(pending, reader):
        if not row:
            continue
        if len(row) != len(header):
            raise DataError(f"{len(row)} fields, expected {len(header)}", where=f"{where}:{reader.line_num}")
        number += 1
        yield number, [field.strip() for field in row]


def load(run: Run) -> Predictor:
    """Rebuild the network of a run and load its weights. Raises RunError when there is no trained model in it."""
    network, info = model.restore(run)
    try:
        encoding = _encoding(info["input"], int(info.get("targets", 1)))
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"run.json lacks what prediction needs ({reason})", where=str(run.path)) from error
    return Predictor(run, network.model, {**info, "input": {**info["input"], "encoding": encoding}})


class Encoding(BaseModel):
    """How a table, a text or a series became inputs, as run.json says it."""

    column: str = ""
    columns: list[str] = []
    label: str | list[str] | None = None
    id: str | None = None
    missing: str = "error"
    categories: dict[str, list[str]] = {}
    fill: dict[str, float | str | None] = {}
    gaps: list[str] = []
    vocabulary: list[str] = []
    sequence_length: int = 1
    window: int = 1
    horizon: int = 1


NEEDED = {"text": ("column", "vocabulary", "sequence_length"), "series": ("columns", "window", "horizon")}


def _encoding(said: Mapping[str, Any], targets: int) -> Mapping[str, Any]:
    """The encoding of a run's inputs; raises ValueError where it is none, or does not go with their shape."""
    found: Mapping[str, Any] = said.get("encoding") or {}
    Encoding.model_validate(found)
    kind = str(said.get("kind"))
    if lacking := [name for name in NEEDED.get(kind, ()) if name not in found]:
        raise ValueError(f"no {lacking[0]}")
    for name, extent in (("sequence_length", said["shape"][0]), ("window", said["shape"][0]), ("horizon", targets)):
        if name in NEEDED.get(kind, ()) and found[name] != extent:
            raise ValueError(f"{name} {found[name]}, expected {extent}")
    return found


def record(
    name: str, prediction: np.ndarray, classes: Sequence[str], top: int | None = None, several: bool = False
) -> dict[str, Any]:
    """One prediction as JSON says it: input, label and probabilities, or input and value.

    With `several` the label is a list: each that is more probable than not.
    """
    if prediction.ndim == 2:  # a class for each step
        steps = [record("", step, classes, top) for step in prediction]
        return {"input": name, **{key: [step[key] for step in steps] for key in ("label", "probabilities")}}
    values = [float(value) for value in prediction]
    if not classes:
        return {"input": name, "value": values[0] if len(values) == 1 else values}
    ranked = sorted(zip(classes, values, strict=True), key=lambda pair: -pair[1])
    labels = [label for label, share in zip(classes, values, strict=True) if share > 0.5]
    shown = ranked[:top] if top else list(zip(classes, values, strict=True))
    return {"input": name, "label": labels if several else ranked[0][0], "probabilities": dict(shown)}
