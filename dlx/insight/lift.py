"""How far a network is above the simpler methods on the same data: what compare says where baselines are among runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlx.errors import DlxError
from dlx.insight.models import compare_models
from dlx.insight.statement import Statement, difference_text
from dlx.runs.compare import Row
from dlx.runs.metrics import maximized
from dlx.runs.run import Run
from dlx.runs.summary import BASELINE

MOST = 8  # networks that are held against the best baseline


def is_baseline(row: Row) -> bool:
    """Whether a row is of a simpler method, and no network."""
    return BASELINE in row.first.settings


def best_of(rows: Sequence[Row], figure: str) -> Row | None:
    """The row with the best figure; None where none has one."""
    having = [row for row in rows if row.figure(figure) is not None]
    sign = -1 if maximized(figure) else 1
    return min(having, key=lambda row: sign * (row.figure(figure) or 0.0), default=None)


def lift(rows: Sequence[Row], figure: str) -> Iterator[tuple[str, Statement | None]]:
    """(a sentence, the test where two single runs predicted the same) of each network against the best baseline."""
    simple = [row for row in rows if is_baseline(row)]
    best = best_of(simple, figure)
    networks = [row for row in rows if not is_baseline(row) and row.figure(figure) is not None]
    if best is None:
        return
    method, there = str(best.first.settings[BASELINE]), best.figure(figure) or 0.0
    for row in networks[:MOST]:
        gap = (row.figure(figure) or 0.0) - there
        beats = gap > 0 if maximized(figure) else gap < 0
        statement = None
        if len(row.entries) == 1:
            try:
                statement = compare_models((Run(row.first.path), Run(best.first.path)))
            except DlxError:
                statement = None
        which = f"the best of {len(simple)} baselines here" if len(simple) > 1 else "the baseline"
        words = f"{row.name} {row.shown(figure)}, {which}, {method}, {best.shown(figure)}: "
        words += f"{difference_text(figure, gap)} of {figure}"
        yield f"{words}. {_judgement(beats, statement)}.", statement


def _judgement(beats: bool, statement: Statement | None) -> str:
    """Whether the network is better, as far as two models can show it."""
    if statement is not None and not statement.finding.real:
        than = "the simpler method does as well" if not beats else "not shown to be better than the simpler method"
        return f"{than[0].upper()}{than[1:]} ({statement.finding.test} {statement.finding.p:.2g})"
    return "The network is better" if beats else "The network does not beat the simpler method"
