"""CSV tables read: a type for each column, gaps, and the line of what is wrong."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.data import csv_file
from dlx.errors import DataError, did_you_mean
from dlx.parts.datasets import out_of_core

if TYPE_CHECKING:
    import pandas as pd

ABSENT = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A")
MAX_COLUMNS = 200_000


def no_column(name: str, header: Sequence[str], where: str) -> DataError:
    """The error of a column that is not there, with the nearest, and what delimits the columns if no comma does."""
    near, names = did_you_mean(name, header), ", ".join(header[:20]) + " …" * (len(header) > 20)
    return DataError(f"has no column {name!r}{near}; it has {names}", where=where, hint=delimiter_hint(header))


def delimiter_hint(header: Sequence[str]) -> str:
    """What to do with a table whose columns are delimited by something else than commas; empty where they are not."""
    mark = next((m for m in (";", "\t") if m in header[0]), None) if len(header) == 1 else None
    return f"its columns are delimited by {'tabs' if mark != ';' else mark!r}; save it with commas" if mark else ""


def read_table(
    path: str,
    words: Sequence[str],
    gaps: bool = True,
    on_disk: Sequence[str] | None = None,
    shape: tuple[list[str], int] | None = None,
) -> pd.DataFrame:
    """A table with a type for each column: float64 with NaN for a gap, or words (objects), '' for one.

    The columns `words` stay as they are written, whatever they hold; without `gaps` NA and null are words of theirs.
    `on_disk` are the columns to read of a table that stays on disk, `shape` is that of `shape_of` where it is known.
    Raises DataError at the line that is torn.
    """
    import pandas as pd

    header, count = shape or shape_of(path)
    common: Any = {"header": 0, "names": header, "keep_default_na": False, "skipinitialspace": True}
    common |= {"encoding": "utf-8-sig", "low_memory": False}
    try:
        if on_disk is not None:

            def reader(numbers: bool = False, **more: Any) -> Any:
                return pd.read_csv(path, **({"na_values": list(ABSENT)} if numbers else {}), **common, **more)

            return out_of_core.table(reader, count, on_disk, [name for name in words if name in on_disk], _parsed_texts)
        texts = {name for name in words if name in header}
        frame = pd.read_csv(path, dtype=dict.fromkeys(texts, str), na_values=list(ABSENT), **common)
        unsure = [name for name in header if name in texts or not is_numeric(frame[name])]
        if unsure:  # as they are written: pandas has its own way with truth values, gaps and spaces
            frame[unsure] = pd.read_csv(path, usecols=unsure, dtype=str, **common)[unsure]
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"cannot be read as a table ({' '.join(str(error).split())[:200]})", where=str(path)) from error
    for name in unsure:
        numbers, stripped = _parsed(frame[name], gaps or name not in texts)
        frame[name] = numbers if name not in texts and numbers is not None else stripped
    return frame


def _parsed(column: Any, gaps: bool) -> tuple[Any, Any]:
    """(numbers, or None where a field is none; words) of a column of text: stripped, '' for a gap.

    Each value is parsed once, however often it is there.
    """
    import numpy as np
    import pandas as pd

    places, values = pd.factorize(column.fillna(""))
    numbers, stripped = _parsed_texts([str(value) for value in values], gaps)
    return (None if numbers is None else numbers[places]), np.array(stripped, object)[places]


def _parsed_texts(texts: Sequence[str], gaps: bool = True) -> tuple[Any, list[str]]:
    """(numbers, NaN for a gap, or None where a text is none; words, '' for a gap) of distinct texts."""
    import numpy as np
    import pandas as pd

    stripped = [text.strip() for text in texts]
    stripped = ["" if gaps and text in ABSENT else text for text in stripped]
    series = pd.Series([text or None for text in stripped], dtype=object)
    numbers = pd.to_numeric(series, errors="coerce").to_numpy(float)
    all_numbers = any(stripped) and all(np.isnan(numbers) == [not text for text in stripped])
    return (numbers if all_numbers else None), stripped


def is_numeric(column: Any) -> bool:
    """Whether pandas has read a column as numbers."""
    return column.dtype.kind in "if"


def shape_of(path: str) -> tuple[list[str], int]:
    """(header, rows) of a table whose every row has as many fields; raises DataError with the line that has not."""
    with csv_file.opened(path, hint="a path is relative to the file that names it") as reader:
        header = [name.strip() for name in next(reader, [])]
        width, count = len(header), 0
        for row in reader:
            if len(row) != width and row:
                message = f"{len(row)} fields, expected {width} as in the header"
                raise DataError(message, where=f"{path}:{reader.line_num}")
            count += bool(row)
    if width > MAX_COLUMNS:
        raise DataError(f"has {width:,} columns, expected at most {MAX_COLUMNS:,}", where=f"{path}:1")
    if not header or not count:
        raise DataError("expected a header and at least one row", where=str(path))
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise DataError(f"the header names {', '.join(sorted(twice))} twice", where=f"{path}:1")
    if "" in header:
        place = header.index("")
        hint = "give it one in the first line; pandas writes its index so: to_csv(…, index=False) leaves it out"
        raise DataError(f"column {place + 1} has no name", where=f"{path}:1", hint="" if place else hint)
    return header, count


def line_of(path: str, row: int) -> int:
    """The line of a file on which row number `row` (from 0) ends: fields may hold line breaks, and lines be blank."""
    with csv_file.opened(path) as reader:
        lines = (reader.line_num for fields in reader if fields)
        return next(itertools.islice(lines, row + 1, None), 0)


def is_number(text: str) -> bool:
    """Whether a field is a number."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def number(text: str) -> float:
    """The number in a field, as pandas reads it; raises ValueError where there is none."""
    if "_" in text:  # which Python takes
        raise ValueError(text)
    return float(text)
