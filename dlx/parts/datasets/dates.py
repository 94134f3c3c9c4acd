"""Columns of dates: recognized, and turned into days since 1970-01-01."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dlx.errors import DataError
from dlx.parts.datasets.table_reader import ABSENT

if TYPE_CHECKING:
    import numpy as np

TIME = r"([ T]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})?)?"
YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + TIME)
YEAR_LAST = re.compile(r"\d{1,2}([-/.])\d{1,2}\1(\d{4}|\d{2})" + TIME)
DAY = 86400.0


def days(texts: Sequence[str], name: str, where: str) -> np.ndarray | None:
    """(n,) float64 days since 1970-01-01 in UTC of a column of dates, NaN for a gap; None where it holds other words.

    A date is written with its year first, as in 2026-03-31 or 2026-03-31 17:45; one without a zone is taken as UTC.
    Raises DataError where day and month cannot be told apart, or a date is not in the calendar.
    """
    import numpy as np

    present = {text for text in texts if text not in ABSENT}
    if not present or not _all(YEAR_FIRST, present):
        if present and _all(YEAR_LAST, present):
            raise DataError(
                f"column {name!r} holds dates such as {min(present)}, in which day and month cannot be told apart",
                where=where,
                hint=f"write them as 2026-03-31; or drop: [{name}], or categorical: [{name}]",
            )
        return None
    known = {text: _moment(text, name, where) for text in present}
    return np.array([known.get(text, np.nan) for text in texts], np.float64)


def _all(pattern: re.Pattern[str], texts: set[str]) -> bool:
    return all(pattern.fullmatch(text) for text in texts)


def _moment(text: str, name: str, where: str) -> float:
    """The days since 1970-01-01 that a date stands for."""
    match = YEAR_FIRST.fullmatch(text)
    assert match is not None
    year, month, day = (int(match[group]) for group in (1, 3, 4))
    time = (match[5] or "").strip(" T").replace("UTC", "Z").replace(" ", "").replace(",", ".")
    if time[1:2] == ":":
        time = f"0{time}"
    try:
        moment = datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}" + (f"T{time}" if time else ""))
    except ValueError as error:
        raise DataError(f"column {name!r} holds {text!r}, which is no date ({error})", where=where) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() / DAY
