"""Runs side by side, as Python sees them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, overload

from dlx.api import page
from dlx.api.result import Place, Run
from dlx.runs import find
from dlx.runs.compare import figure_names, fold, names_of
from dlx.runs.diff import differences
from dlx.runs.summary import Entry, as_record, gather

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]


class Comparison:
    """Several runs: what differs between them, and what resulted. It iterates over records, as `--json` prints them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = list(entries)

    @property
    def runs(self) -> list[Run]:
        """The runs that can be read."""
        return [Run(entry.path) for entry in self._entries if not entry.reason]

    @property
    def frame(self) -> pd.DataFrame:
        """A row a run, never folded: its status, each setting that differs by its address, each figure."""
        import pandas as pd

        readable = [entry for entry in self._entries if not entry.reason]
        rows = [row for entry in readable for row in fold([entry])]
        columns: dict[str, list[Any]] = {"run": [entry.name for entry in readable]}
        columns["status"] = [entry.status for entry in readable]
        for column in differences(rows) if rows else []:
            values = [entry.settings.get(column.address) for entry in readable]
            plain = all(value is not None for value in values)
            columns[column.address] = values if plain else list(column.cells)
        for figure in figure_names(rows) if rows else []:
            columns[figure] = [entry.metrics.get(figure) for entry in readable]
        return pd.DataFrame(columns).set_index("run")

    @property
    def statistics(self) -> list[dict[str, object]]:
        """What is said of differences, a record a pair, as `dlx compare --json` has it; each has its `sentence`."""
        from dlx.insight.comparison import Question, compare

        rows = fold([entry for entry in self._entries if not entry.reason])
        return [one.record() for one in compare(rows, Question()).statements] if len(rows) > 1 else []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Record]:
        return map(as_record, self._entries)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        return list(self)[place]

    def __str__(self) -> str:
        return str(self.frame.to_string())

    def __repr__(self) -> str:
        names = ", ".join(entry.name for entry in self._entries[:5])
        return f"<dlx.Comparison of {len(self)} runs: {names}{', …' if len(self) > 5 else ''}>"

    def _repr_html_(self) -> str:
        rows = fold([entry for entry in self._entries if not entry.reason])
        if not rows:
            return "<p>no runs to compare</p>"
        settings, figures = differences(rows), figure_names(rows)
        head = ["run", *(column.title for column in settings), *figures]
        names = names_of(rows)
        body = [
            [names[number], *(column.cells[number] for column in settings), *(row.shown(figure) for figure in figures)]
            for number, row in enumerate(rows)
        ]
        return page.table(head, body)


def compare(runs: Run | Place | Iterable[Run | Place], runs_dir: Place | None = None) -> Comparison:
    """The comparison of runs: a Run, a name, a pattern ("cifar_*"), a directory, or a list of these.

    Raises RunError for a word that names nothing.
    """
    several = [runs] if isinstance(runs, (Run, str, os.PathLike)) else list(runs)
    words = [os.fspath(run.path) if isinstance(run, Run) else os.fspath(run) for run in several]
    return Comparison(gather(words, find.root(runs_dir)))
