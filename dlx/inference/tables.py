"""Tables, texts and series to predict: rows become inputs with the run's own encoding."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dlx.data.encoding import Encoding
from dlx.errors import DataError, suggest
from dlx.inference.prediction import TableRow
from dlx.parts.datasets import series, table_encoding, table_reader
from dlx.parts.datasets.text import encode_text

if TYPE_CHECKING:
    import numpy as np

TABLE_ROWS = 8192
Rows = tuple[list[str], "np.ndarray"]  # names and inputs


@dataclass(eq=False)
class Tables:
    """What reads the tables of a run's inputs.

    kind, shape: of an example; labels: the columns that are predicted; batch: how many examples at a time of what is
    not a plain table. `remarks` collects what is to know of them.
    """

    kind: str
    shape: tuple[int, ...]
    encoding: Encoding
    labels: Sequence[str]
    batch: int
    remarks: list[str] = field(default_factory=list)

    def of_columns(self, columns: Mapping[str, Sequence[Any]], where: str) -> Iterator[Rows]:
        """Batches of a table in memory, columns by name: read as the same table in a CSV file would be."""
        texts = [_texts(column, self.encoding.categories.get(str(name), ())) for name, column in columns.items()]
        if len({len(column) for column in texts}) > 1:
            lengths = ", ".join(f"{name!r} {len(column)}" for name, column in zip(columns, texts, strict=True))
            raise DataError(f"has columns of different lengths: {lengths}", where=where)
        names = [str(name) for name in columns]
        if self.encoding.columns and not set(names) & {*self.encoding.columns, self.encoding.column}:
            wanted = ", ".join(map(repr, self.encoding.columns[:8])) + " …" * (len(self.encoding.columns) > 8)
            raise DataError(f"has none of the columns {wanted}; it has {', '.join(names[:8])}", where=where)
        return self.of_rows(_Lines([names, *map(list, zip(*texts, strict=True))]), where, named=True)

    def of_rows(self, reader: Any, where: str, named: bool = False) -> Iterator[Rows]:
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

    def _windows(self, rows: list[list[str]], header: list[str], where: str) -> Iterator[Rows]:
        """Every window of a series; it is called by the row behind which it predicts."""
        import numpy as np

        windows = series.windows(rows, header, self.encoding, where)
        for start in range(0, len(windows), self.batch):
            piece = np.ascontiguousarray(windows[start : start + self.batch])
            yield [f"{where}:{start + row + self.encoding.window}" for row in range(len(piece))], piece

    def of_lines(self, text: str, where: str) -> Iterator[Rows]:
        """Every line of a plain text as an input of a run that was trained on texts."""
        lines = [line for line in text.splitlines() if line.strip()]
        for start in range(0, len(lines), self.batch):
            piece = lines[start : start + self.batch]
            array = encode_text({self.encoding.column: piece}, self.encoding)
            yield [f"{where}:{start + row}" for row in range(1, len(piece) + 1)], array


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
