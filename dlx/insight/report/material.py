"""What a report is made of: runs, what is said of them, and the examples that they predicted."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import DlxError, RunError
from dlx.insight import evidence, kept
from dlx.insight.comparison import Question, Said, compare, judged
from dlx.insight.flips import Flips, flips
from dlx.insight.lift import best_of, is_baseline
from dlx.insight.remarks import Remark, verdict
from dlx.runs.compare import Row, fold, names_of
from dlx.runs.diff import row_labels
from dlx.runs.run import Run
from dlx.runs.summary import Entry, as_record, read

if TYPE_CHECKING:
    from dlx.data.dataset import Dataset, Split
    from dlx.insight.kept import Kept

MOST_RUNS = 200  # that a page has room for


@dataclass(frozen=True, eq=False)
class Material:
    """The runs of a report; the first row that is best by what its runs are judged by is looked at closely."""

    entries: Sequence[Entry]
    rows: Sequence[Row]

    @functools.cached_property
    def labels(self) -> list[str]:
        """What tells the rows apart."""
        if len(self.rows) == 1 or any(map(is_baseline, self.rows)):
            return names_of(self.rows)
        return row_labels(list(self.rows))

    @functools.cached_property
    def figure(self) -> str:
        """By which the rows are compared; empty where they are on unlike data."""
        rows = [row for row in self.rows if row.first.metrics]
        return judged(rows, "val") if rows and self.alike else ""

    @functools.cached_property
    def alike(self) -> bool:
        """Whether all rows are on the same data."""
        return len({str((row.first.info.get("dataset") or {}).get("fingerprint")) for row in self.rows}) == 1

    @functools.cached_property
    def chosen(self) -> Run:
        """The run that is looked at closely: of several the first of the best row that is no baseline."""
        networks = [row for row in self.rows if not is_baseline(row)] or list(self.rows)
        if not self.figure or len(networks) == 1:
            return Run(networks[0].first.path)
        best = best_of(networks, self.figure)
        equal = [row for row in networks if best is not None and row.figure(self.figure) == best.figure(self.figure)]
        loss = f"{self.figure.partition('_')[0]}_loss"  # of equal ones that with the lower loss
        return Run((best_of(equal, loss) or best or networks[0]).first.path)

    @functools.cached_property
    def said(self) -> Said:
        """What is said of the differences between the rows."""
        return compare(self.rows, Question()) if len(self.rows) > 1 else Said()

    @functools.cached_property
    def remark(self) -> Remark | None:
        """The verdict on the run that is looked at closely."""
        return verdict(evidence.of_run(self.chosen))

    @functools.cached_property
    def kept(self) -> Kept | None:
        """What that run predicted; None where it keeps nothing."""
        try:
            return kept.predictions(self.chosen)
        except DlxError:
            return None

    @functools.cached_property
    def examples(self) -> tuple[Dataset, Split] | None:
        """The data and the examples that it predicted; None where the data is not here any more."""
        try:
            return kept.examples(self.chosen, self.kept) if self.kept is not None else None
        except DlxError:
            return None

    @functools.cached_property
    def flips(self) -> Flips | None:
        """The flips of two single runs."""
        if len(self.entries) != 2:
            return None
        try:
            return flips((Run(self.entries[0].path), Run(self.entries[1].path)))
        except DlxError:
            return None

    def record(self) -> dict[str, Any]:
        """What a program reads from the page: as compare --json."""
        statements = [one.record() for one in self.said.statements]
        return {"runs": [as_record(entry) for entry in self.entries], "statistics": statements}


def gather(paths: Sequence[Path]) -> Material:
    """The material of some runs. Raises RunError where none of them can be read, or where there are too many."""
    entries = [read(path) for path in paths]
    readable = [entry for entry in entries if not entry.reason]
    if not readable:
        reasons = "; ".join(f"{entry.name}: {entry.reason}" for entry in entries[:5])
        raise RunError(f"no run can be read: {reasons}" if entries else "no runs to report on")
    if len(readable) > MOST_RUNS:
        raise RunError(f"{len(readable):,} runs; a report has room for {MOST_RUNS}", hint="name fewer, or a pattern")
    return Material(readable, fold(readable))
