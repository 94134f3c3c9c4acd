"""How far a network is above the simpler methods on the same data: what compare says where baselines are among runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlx.errors import DlxError
from dlx.insight.models import compare_models
from dlx.insight.significance import FEWEST, Finding, paired
from dlx.insight.statement import Statement, difference_text
from dlx.runs.compare import Row, ordered
from dlx.runs.metrics import maximized, plain_name
from dlx.runs.run import Run
from dlx.runs.summary import BASELINE

MOST = 8  # networks that are held against the best baseline


def is_baseline(row: Row) -> bool:
    """Whether a row is of a simpler method, and no network."""
    return BASELINE in row.first.settings


def best_of(rows: Sequence[Row], figure: str) -> Row | None:
    """The row with the best figure; None where none has one."""
    having = [row for row in rows if row.figure(figure) is not None]
    return next(iter(ordered(having, figure)), None)


def lift(rows: Sequence[Row], figure: str) -> Iterator[tuple[str, Statement | None]]:
    """(a sentence, the test of two single runs) of each network against the best baseline; nothing by figures of train.

    The baseline is chosen by validation, where there is one, and judged by `figure`.
    """
    simple = [row for row in rows if is_baseline(row)]
    chosen_by = figure.replace("test_", "val_", 1)
    best = best_of(simple, chosen_by) or best_of(simple, figure)
    if best is None or best.figure(figure) is None or figure.startswith("train_"):
        return
    networks = [row for row in rows if not is_baseline(row) and row.figure(figure) is not None]
    method, there = str(best.first.settings[BASELINE]), best.figure(figure) or 0.0
    for row in networks[:MOST]:
        gap = (row.figure(figure) or 0.0) - there
        which = f"the best of {len(simple)} baselines here" if len(simple) > 1 else "the baseline"
        words = f"{row.name} {row.shown(figure)}, {which}, {method}, {best.shown(figure)}: "
        words += f"{difference_text(figure, gap)} of {figure}"
        statement = _statement(row, best, figure)
        finding = statement.finding if statement is not None else _of_seeds(row, figure, there)
        yield f"{words}. {_judgement(gap > 0 if maximized(figure) else gap < 0, finding)}.", statement


def _statement(row: Row, best: Row, figure: str) -> Statement | None:
    """The test of a single run and the baseline by their predictions, where it is of this figure."""
    if len(row.entries) > 1:
        return None
    try:
        made = compare_models((Run(row.first.path), Run(best.first.path)))
    except DlxError:
        return None
    return made if plain_name(made.figure) == plain_name(figure) else None


def _of_seeds(row: Row, figure: str, there: float) -> Finding | None:
    """Whether the mean over seeds is other than the baseline's figure; None of too few seeds."""
    values = row.values(figure)
    return paired([value - there for value in values], test="t over seeds") if len(values) >= FEWEST else None


def _judgement(beats: bool, finding: Finding | None) -> str:
    """Whether the network is better, as far as that is shown."""
    words = "the network is better" if beats else "the network does not beat the simpler method"
    if finding is None:
        words += ", by these figures; not tested"
    elif not finding.real:
        words = "not shown to be better than the simpler method" if beats else "the simpler method does as well"
        words += f" ({finding.test} {finding.p:.2g})"
    return f"{words[0].upper()}{words[1:]}"
