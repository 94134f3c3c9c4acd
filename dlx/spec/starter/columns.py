"""What the columns of a table hold, as far as their values show."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from dlx.data import csv_file
from dlx.errors import DataError, did_you_mean
from dlx.parts.datasets.dates import first_of
from dlx.parts.datasets.table import MANY
from dlx.parts.datasets.table_reader import ABSENT, delimiter_hint, is_number

ROWS = 20_000  # of a table that are looked at
# What a column to predict is called, the surest name first.
LABELS = "label target survived species outcome diagnosis sentiment price y class category output".split()


@dataclass
class Column:
    """What a column of a table holds."""

    name: str
    values: list[str] = field(default_factory=list)

    @property
    def present(self) -> list[str]:
        return [value for value in self.values if value not in ABSENT]

    @property
    def gaps(self) -> int:
        return len(self.values) - len(self.present)

    @property
    def distinct(self) -> int:
        return len(set(self.present))

    @property
    def numeric(self) -> bool:
        return bool(self.present) and all(is_number(value) for value in self.present)

    @property
    def whole(self) -> bool:
        return self.numeric and all(float(value).is_integer() for value in self.present)

    @cached_property
    def dates(self) -> Literal["days", "unsure", "none"]:
        """Whether it holds dates, which become days, or some in which days and months cannot be told apart."""
        try:
            return "none" if first_of(self.present, self.name, "") is None else "days"
        except DataError:
            return "unsure"

    @property
    def free_text(self) -> bool:
        """Whether it holds sentences."""
        return not self.numeric and sum(len(v.split()) for v in self.present) > 5 * max(len(self.present), 1)


def names_of(path: Path) -> set[str]:
    """The names of the columns of a CSV table."""
    with csv_file.opened(path) as reader:
        return {name.strip() for name in next(reader, [])}


def read_columns(path: Path) -> list[Column]:
    """The columns of a CSV table, of its first ROWS rows."""
    with csv_file.opened(path) as reader:
        columns = [Column(name.strip()) for name in next(reader, [])]
        for row in itertools.islice(reader, ROWS):
            if row and len(row) == len(columns):
                for column, value in zip(columns, row, strict=True):
                    column.values.append(value.strip())
    if len(columns) < 2 or not columns[0].values:
        hint = delimiter_hint([column.name for column in columns])
        raise DataError("expected a header of two columns or more, and rows", where=str(path), hint=hint)
    return columns


def label_of(path: Path, columns: dict[str, Column], label: str | None, other: set[str] | None) -> str:
    """The column to predict: `label`, the one that test.csv lacks, one of a usual name, or the last."""
    if label is not None:
        if label not in columns:
            hint = f"it has {', '.join(list(columns)[:12])}{' …' * (len(columns) > 12)}"
            raise DataError(f"has no column {label!r}{did_you_mean(label, columns)}", where=str(path), hint=hint)
        return label
    if other is not None:
        missing = [name for name in columns if name not in other]
        if len(missing) == 1:
            return missing[0]
    usual = [name for wanted in LABELS for name in columns if name.lower() == wanted]
    varied = [name for name, column in columns.items() if column.distinct > 1 and column.dates == "none"]
    return usual[0] if usual else (varied or list(columns))[-1]


def is_id(column: Column, rows: int) -> bool:
    """Whether a column is named like an id, and no two of its values are the same."""
    named = column.name.lower() in ("id", "index", "") or re.search(r"(_id|[a-z]Id|ID)$", column.name) is not None
    return named and column.distinct == rows > 1


def counts_rows(column: Column, rows: int) -> bool:
    """A column of whole numbers that rise by one: it numbers the rows."""
    if not column.whole or column.gaps or column.distinct != rows or rows < 10:
        return False
    numbers = [float(value) for value in column.values]
    return all(b - a == 1 for a, b in itertools.pairwise(numbers))


def is_time(column: Column, rows: int) -> bool:
    """A column of moments: dates, or numbers of rows under a name such as hour or step, each different."""
    if column.distinct != rows or rows < 30 or column.gaps:
        return False
    if all(re.match(r"\d{4}-\d{2}(-\d{2})?([T ]\d|$)", value) for value in column.values[:100]):
        return True
    named = re.fullmatch(r"(date|time|timestamp|datetime|hour|day|week|month|year|step)", column.name.lower())
    return bool(named) and counts_rows(column, rows)


def useless(column: Column) -> bool:
    """A column of one value, or of too many words."""
    if column.dates != "none":
        return column.dates == "unsure" or column.distinct < 2
    return column.distinct < 2 or (not column.numeric and column.distinct > min(MANY, max(10, len(column.present) / 4)))
