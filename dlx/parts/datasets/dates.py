"""Columns of dates: recognized, and turned into days since 1970-01-01."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from dlx.errors import DataError
from dlx.parts.datasets.table_reader import ABSENT

if TYPE_CHECKING:
    import numpy as np

TIME = r"([ T]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})?)?"
YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + TIME)
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2((?:19|20)\d{2})" + TIME)
DAY = 86400.0
First = Literal["year", "day", "month"]
EXAMPLES: dict[First, str] = {"year": "2026-03-31", "day": "31.3.2026", "month": "3/31/2026"}


def first_of(texts: Sequence[str], name: str, where: str, known: First | None = None) -> First | None:
    """What comes first in the dates of a column; None where it holds other words.

    In 31.3.2026 and 3/31/2026 some day above 12 tells days from months. `known` is what came first where the column was
    read before: dates whose year is last are written alike. Raises DataError where nothing tells them.
    """
    first_text = next((text for text in texts if text not in ABSENT), None)
    if first_text is None:
        return known
    if _written(first_text) is None:
        return None
    present = {*texts} - {*ABSENT}
    written = [date for text in present if (date := _written(text)) is not None]
    if len(written) < len(present) or len({date.year is None for date in written}) > 1:
        return None
    if written[0].year is not None:
        return "year"
    if known in ("day", "month"):
        return known
    first, second = max(date.first for date in written), max(date.second for date in written)
    if first <= 12 and second <= 12:
        raise DataError(
            f"column {name!r} holds dates such as {min(present)}, in which nothing tells days from months",
            where=where,
            hint=f"write them as 2026-03-31; or drop: [{name}], or categorical: [{name}]",
        )
    if (first > 12) == (second > 12) or max(first, second) > 31:
        return None
    return "day" if first > 12 else "month"


def days(texts: Sequence[str], first: First, name: str, where: str) -> np.ndarray:
    """(n,) float64 days since 1970-01-01 in UTC of a column of dates in which `first` comes first, NaN for a gap.

    A date without a zone is taken as UTC. Raises DataError for other words, and dates that are not in the calendar.
    """
    import numpy as np

    moments = {text: _moment(text, first, name, where) for text in {*texts} - {*ABSENT}}
    return np.array([moments.get(text, np.nan) for text in texts], np.float64)


def suspect(texts: Sequence[str], name: str, where: str) -> None:
    """Raise DataError for a column of dates that a few words would silently turn into categories."""
    present = [text for text in texts if text not in ABSENT]
    words = [text for text in present if _written(text) is None] if present and _written(present[0]) else []
    if words and len(words) <= 0.1 * len(present):
        raise DataError(
            f"column {name!r} holds dates, and {len(words)} that are none: {', '.join(sorted(set(words))[:5])}",
            where=where,
            hint=f"correct them or leave them empty; or categorical: [{name}]",
        )


class _Date(NamedTuple):
    """A date as it is written: two numbers, of which one is the month, what follows; year: where it comes first."""

    first: int
    second: int
    rest: str
    year: int | None = None


def _written(text: str) -> _Date | None:
    if match := YEAR_FIRST.fullmatch(text):
        return _Date(int(match[3]), int(match[4]), match[5] or "", int(match[1]))
    if match := YEAR_LAST.fullmatch(text):
        return _Date(int(match[1]), int(match[3]), match[4] + (match[5] or ""))
    return None


def _moment(text: str, first: First, name: str, where: str) -> float:
    """The days since 1970-01-01 that a date stands for."""
    date = _written(text)
    if date is None or (date.year is not None) != (first == "year"):
        hint = f"such as {EXAMPLES[first]}"
        raise DataError(f"column {name!r} must hold dates, as in training, not {text!r}", where=where, hint=hint)
    month, day, rest, year = date
    if year is None:
        year, rest = int(rest[:4]), rest[4:]
    if first == "day":
        month, day = day, month
    time = rest.strip(" T").replace("UTC", "Z").replace(" ", "").replace(",", ".")
    if time[1:2] == ":":
        time = f"0{time}"
    try:
        moment = datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}" + (f"T{time}" if time else ""))
    except ValueError as error:
        raise DataError(f"column {name!r} holds {text!r}, which is no date ({error})", where=where) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() / DAY
