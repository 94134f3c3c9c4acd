"""How a table, texts or a series become numbers: what is fitted on the train split, and used by prediction again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

# What an encoding of each kind always has.
FIELDS = {
    "table": ("columns", "label", "id", "missing", "types", "categories", "fill", "gaps"),
    "text": ("column", "label", "max_tokens", "sequence_length", "vocabulary"),
    "series": ("columns", "label", "window", "horizon"),
}


@dataclass(frozen=True)
class Encoding:
    """How a row, a text or a window becomes an input. run.json keeps it.

    columns: the inputs, in order; label: what is predicted, one column or several; id: the column that numbers rows.
    Of a table: missing (what becomes of a gap), types, categories (the values of each), fill (what fills a gap), gaps
    (the columns that had some), dates (the columns that are days since 1970-01-01), year_last (what comes first in
    those of them whose year is last). Of texts: column, vocabulary, max_tokens, sequence_length. Of a series: window
    and horizon.
    """

    kind: Literal["table", "text", "series"] = "table"
    columns: list[str] = field(default_factory=list)
    label: str | list[str] | None = None
    id: str | None = None
    missing: str = "error"
    types: dict[str, str] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    fill: dict[str, float | str | None] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    year_last: dict[str, Literal["day", "month"]] = field(default_factory=dict)
    column: str = ""
    max_tokens: int = 0
    sequence_length: int = 1
    vocabulary: list[str] = field(default_factory=list)
    window: int = 1
    horizon: int = 1

    @property
    def labels(self) -> list[str]:
        """The columns that are predicted."""
        if self.label is None:
            return []
        return [self.label] if isinstance(self.label, str) else list(self.label)

    @property
    def lenient(self) -> bool:
        """Whether gaps and unknown words are filled, and no error."""
        return self.missing != "error"

    def record(self) -> dict[str, Any]:
        """What run.json keeps: the fields of its kind, and of the others those that differ from the default.

        A table that came as numbers has nothing fitted: of it, the columns are kept.
        """
        always = FIELDS[self.kind] if self.kind != "table" or self.types else ("columns", "categories")
        defaults = vars(Encoding())
        return {name: value for name, value in vars(self).items() if name in always or value != defaults[name]}
