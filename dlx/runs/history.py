"""Files of figures, a line a row, read back in part or whole: history.jsonl, a row an epoch, and steps.jsonl.

Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dlx.errors import RunError
from dlx.system import files
from dlx.system.json_text import DECODER, finite

EPOCHS, STEPS = "history.jsonl", "steps.jsonl"
MOST = 256 * 2**20  # bytes
Row = dict[str, Any]
T = TypeVar("T")
_ENCODE = json.JSONEncoder(allow_nan=False).encode


def thinned(values: Sequence[T], most: int) -> Sequence[T]:
    """So many of the values, evenly chosen, the first and the last among them; all where there are no more."""
    if len(values) <= most:
        return values
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


class History:
    """The rows of one file of a run: read by anybody, written by the process that holds the run's lock."""

    def __init__(self, folder: Path, name: str = EPOCHS) -> None:
        self._folder, self.name = folder, name
        self._written: Any = None  # the sha256 of the file, as far as this process knows it
        self._bytes = 0

    def rows(self) -> list[Row]:
        """Every row; a torn last line is left out."""
        return _rows(self._contents())

    def curve(self, figure: str) -> list[Any]:
        """One figure of each row; None where it has none."""
        raw = self._contents()
        # As dlx writes it, the figure can be picked out of the lines without reading the rest of them.
        figures = re.findall(
            rb'"%b": (-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:e[-+]?[0-9]{1,2})?|null)[,}]'
            % re.escape(figure.encode("utf-8", "replace")),
            raw,
        )
        if len(figures) != raw.count(b"\n"):
            return [row.get(figure) for row in self.rows()]
        return [None if text == b"null" else float(text) for text in figures]

    def _contents(self) -> bytes:
        try:
            return files.contents(self._folder, self.name, MOST)
        except OSError:
            return b""

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, flushed."""
        if not rows:
            return
        text = "".join(f"{_line(row)}\n" for row in rows).encode()
        with files.disk(self._folder), (self._folder / self.name).open("ab") as stream:
            stream.write(text)
        self._written = self._written or _sha256()
        self._written.update(text)
        self._bytes += len(text)

    def mark(self) -> dict[str, Any]:
        """How far the history goes, on the disk now: what `rewind` goes back to."""
        with files.disk(self._folder):
            if self._bytes:
                files.sync(self._folder / self.name)
        return {"bytes": self._bytes, "sha256": (self._written or _sha256()).hexdigest()}

    def begins_with(self, mark: Mapping[str, Any]) -> bool:
        """Whether the file still begins with what it held at a mark."""
        raw = self._until(mark)
        return len(raw) == mark["bytes"] and bool(mark["sha256"] == _sha256(raw).hexdigest())

    def rows_until(self, mark: Mapping[str, Any]) -> list[Row]:
        """The rows up to a mark. Raises RunError where the file cannot be read."""
        return _rows(self._until(mark))

    def keep(self) -> str:
        """Keep a copy of the file under the next free name; returns it, or an empty text where there is none."""
        raw = self._until({"bytes": 2**62})
        if not raw:
            return ""
        with files.disk(self._folder):
            number = 1
            while (name := self.name.replace(".", f"-{number}.")) and (self._folder / name).exists():
                number += 1
            with files.replacing(self._folder / name) as temporary:
                temporary.write_bytes(raw)
        return name

    def rewind(self, mark: Mapping[str, Any]) -> None:
        """Cut off what was added after a mark."""
        raw = self._until(mark)
        self._written, self._bytes = _sha256(raw), len(raw)
        with files.disk(self._folder):
            if (self._folder / self.name).is_file():
                os.truncate(self._folder / self.name, len(raw))

    def _until(self, mark: Mapping[str, Any]) -> bytes:
        try:
            with files.opened(self._folder, self.name) as descriptor:
                return os.read(descriptor, min(int(mark["bytes"]), os.fstat(descriptor).st_size))
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise RunError(
                f"{self.name} cannot be read ({error.strerror or error})", where=str(self._folder)
            ) from error


def _line(row: Row) -> str:
    try:
        return _ENCODE(row)
    except ValueError:  # a figure that is not finite
        return _ENCODE(finite(row))


def _sha256(raw: bytes = b"") -> Any:
    import hashlib  # three milliseconds, which a reader need not wait

    return hashlib.sha256(raw)


def _rows(raw: bytes) -> list[Row]:
    """The rows in a file's bytes; a line that is not a row is left out."""
    rows: list[Row] = []
    lines = raw.decode("utf-8", "replace").splitlines()
    with contextlib.suppress(ValueError, RecursionError):  # all at once, as nearly every history can be read
        whole: list[Row] = DECODER.decode(f"[{','.join(lines)}]")
        if len(whole) == len(lines) and all(map(_is_row, whole)):
            return whole
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            row = DECODER.decode(line)
            if _is_row(row):
                rows.append(row)
    return rows


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and type(value.get("epoch")) is int
