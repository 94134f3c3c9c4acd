"""What the figures of several runs say, and what they do not: sentences with intervals, for `dlx compare`."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dlx.errors import DlxError
from dlx.insight.lift import is_baseline, lift
from dlx.insight.models import compare_models
from dlx.insight.significance import FEWEST, LEVEL, Finding, Grain, deviation_bound, holm, paired, seeds_needed, welch
from dlx.insight.statement import HALF_A_POINT, Statement, amount_text, bound_text, difference_text
from dlx.runs.compare import Row, figure_names, ordered, spread
from dlx.runs.diff import row_labels
from dlx.runs.metrics import is_figure, is_share, maximized, mean_text
from dlx.runs.run import Run
from dlx.runs.summary import SPREAD, Entry

MOST_TIES = 5  # that are named
MOST_ROWS = 60  # all pairs of more are not compared
PART = 0.05  # of a figure that is no share: the difference that seeds are planned for
REPEAT = "dlx run SPEC --repeat 5 trains five seeds"


@dataclass(frozen=True)
class Question:
    """What is asked of the rows. against: the row to compare the others with, else the first, and all pairs of three
    groups or more. figure: which one, else that of test of two rows, that of validation where one of several is chosen.
    apart: the difference that the seeds needed are said for, in points of a share, else in the figure's unit."""

    against: Row | None = None
    figure: str = ""
    apart: float | None = None


@dataclass(frozen=True)
class Said:
    """What is said of several rows: the pairs, what cannot be said of others, and who is first of three groups."""

    statements: Sequence[Statement] = ()
    remarks: Sequence[str] = ()
    ranking: Sequence[str] = ()
    shown: int | None = None  # of the statements, the others being said in the remarks


def compare(rows: Sequence[Row], question: Question) -> Said:
    """What is to be said of the differences between rows on the same data."""
    done = [row for row in rows if row.first.status == "done" and row.first.metrics]
    first = question.against or (done[0] if done else None)
    if first is None or not any(row is first for row in done):
        return Said()
    alike = [row for row in done if _data(row) == _data(first)]
    if question.against is None and any(map(is_baseline, alike)):
        return _with_baselines(alike, question)
    groups = [row for row in alike if len(row.entries) >= FEWEST]
    if question.against is None and len(alike) > 2:
        few = [row for row in alike if row not in groups]
        left = [f"{row.name}: too few runs to be compared; {REPEAT}" for row in few] if groups else []
        if 2 < len(groups) <= MOST_ROWS:
            made = _many(groups, question)
            return replace(made, remarks=[*made.remarks, *left])
        if len(groups) == 2:
            made = _pair((groups[0], groups[1]), question)
            return replace(made, remarks=[*made.remarks, *left])
        if len(groups) > MOST_ROWS:
            words = f"{len(groups)} settings are too many to compare all pairs of: --against RUN compares them with one"
            return Said((), [words])
        repeated = question.apart is not None or any(len(row.entries) > 1 for row in alike)
        return Said((), [f"a setting needs three runs to be compared: {REPEAT}"] if repeated and not groups else [])
    return _against(first, [row for row in alike if row is not first], question)


def _against(first: Row, others: Sequence[Row], question: Question) -> Said:
    """One row against each of the others; where several are groups, Holm over their pairs."""
    groups = [row for row in others if min(len(row.entries), len(first.entries)) >= FEWEST]
    said = [_pair((first, row), question) for row in others if row not in groups or len(groups) == 1]
    if len(groups) > 1:
        figure = question.figure or judged([first, *groups], "test")
        labels = row_labels([first, *groups])
        pairs = [(0, number) for number in range(1, len(groups) + 1)]
        said.append(Said(_family([first, *groups], labels, (figure, pairs), question)))
    remarks = dict.fromkeys(remark for part in said for remark in part.remarks)
    return Said([one for part in said for one in part.statements], list(remarks))


def _with_baselines(alike: Sequence[Row], question: Question) -> Said:
    """The networks among themselves, and each against the best baseline."""
    networks = [row for row in alike if not is_baseline(row)]
    among = compare(networks, question) if len(networks) > 1 else Said()
    figure = judged(alike, "test")
    lifts = list(lift(alike, figure)) if figure and networks else []
    if figure.startswith("train_"):
        unseen = "there is no test and no validation: figures of train say nothing of a network and a simpler method"
        return replace(among, remarks=[*among.remarks, unseen])
    statements = [statement for _, statement in lifts if statement is not None]
    remarks = [*among.remarks, *(sentence for sentence, _ in lifts)]
    return Said([*among.statements, *statements], remarks, among.ranking, len(among.statements))


def _data(row: Row) -> str:
    """What rows must share to be compared: the data, and what is judged by."""
    dataset = row.first.info.get("dataset") or {}
    return repr((row.first.info.get("task"), dataset.get("fingerprint"), dataset.get("test")))


def _pair(pair: tuple[Row, Row], question: Question) -> Said:
    """Two rows: groups of runs over their seeds, single runs by their predictions."""
    sizes = [len(row.entries) for row in pair]
    labels = _labels(pair)
    if max(sizes) == 1:
        try:
            return Said([compare_models((Run(pair[0].first.path), Run(pair[1].first.path)))])
        except DlxError as error:
            return Said((), [f"{error.where}: {error.message}" if error.where else error.message])
    if min(sizes) < FEWEST:
        words = ", ".join(f"{label} has {size}" for label, size in zip(labels, sizes, strict=True))
        return Said((), [f"a setting needs three runs to be compared, but {words}: {REPEAT}"])
    figure = question.figure or judged(pair, "test")
    made = _compared(pair, figure, question.apart, 1)
    if made is None:
        return Said((), [f"{labels[0]} and {labels[1]} have no figure that all their runs reached"])
    return Said([_stated(made, labels, figure, made.finding)])


def _labels(pair: tuple[Row, Row]) -> list[str]:
    """What two rows are called: the settings in which they differ, or their names."""
    labels = [label.partition(" (n=")[0] for label in row_labels(list(pair))]
    return labels if labels[0] != labels[1] else row_labels(list(pair))


def judged(rows: Sequence[Row], split: str) -> str:
    """The figure to compare by: of `split` where all rows have it, else of test, validation or train; empty without."""
    named = filter(is_figure, figure_names(rows))
    names = [name for name in named if all(row.figure(name) is not None for row in rows)]
    valued = all(row.first.info.get("task") == "regression" for row in rows)
    for wanted in (split, "test", "val", "train"):
        of_split = [name for name in names if name.startswith(f"{wanted}_")]
        of_split.sort(key=lambda name: (valued and not name.endswith("_mae"), name.endswith("loss")))
        if of_split:
            return of_split[0]
    return ""


# Groups of seeds


@dataclass(frozen=True)
class _Compared:
    """Two groups: their values, what the test says, and how many seeds would tell the difference `apart`."""

    pair: tuple[Row, Row]
    values: tuple[list[float], list[float]]
    finding: Finding
    matched: bool
    apart: float
    needed: int | None


def _compared(pair: tuple[Row, Row], figure: str, apart: float | None, pairs: int) -> _Compared | None:
    """Two groups compared, pair by pair where all their seeds match; None where a run has no such figure."""
    if not figure or any(row.figure(figure) is None for row in pair):
        return None
    a, b = (row.values(figure) for row in pair)
    by_seed = [dict(zip(map(_cut, row.entries), values, strict=True)) for row, values in zip(pair, (a, b), strict=True)]
    matched = set(by_seed[0]) == set(by_seed[1])
    grain = Grain(_least(pair, figure), _overlap(pair), pairs)
    if matched:
        differences = [value - by_seed[1][seed] for seed, value in by_seed[0].items()]
        finding, sd, freedom = paired(differences, grain), statistics.stdev(differences), len(differences) - 1
    else:
        finding, freedom = welch(a, b, grain), len(a) + len(b) - 2
        sd = math.sqrt(sum(statistics.variance(v) * (len(v) - 1) for v in (a, b)) / freedom)
    if apart is not None:
        wanted = apart / 100 if is_share(figure) else apart
    else:
        wanted = HALF_A_POINT if is_share(figure) else PART * abs(statistics.fmean(a))
    plans = wanted > 0 and sd > 0 and not grain.overlap
    plans = plans and (apart is not None or not finding.real)
    needed = seeds_needed(wanted, deviation_bound(sd, freedom), matched) if plans else None
    return _Compared(pair, (a, b), finding, matched, wanted, needed)


def _cut(entry: Entry) -> tuple[str, ...]:
    """The seed, the split seed and the fold of a run."""
    return tuple(repr(spread(entry, key)) for key in SPREAD)


def _least(pair: tuple[Row, Row], figure: str) -> float:
    """Half an example of the split that a share is of: a smaller deviation is none that so few rows can show."""
    split = {"val": "validation"}.get(figure.removeprefix("last_").partition("_")[0], figure.partition("_")[0])
    rows = (pair[0].first.info.get("dataset") or {}).get(split)
    return 0.5 / rows if is_share(figure) and isinstance(rows, int) and rows > 0 else 0.0


def _overlap(pair: tuple[Row, Row]) -> float:
    """The examples judged by over those trained on, where the runs of a row were cut differently; 0 where not."""
    cut = any(len({_cut(entry)[1:] for entry in row.entries}) > 1 for row in pair)
    sizes = pair[0].first.info.get("dataset") or {}
    rows, train = sizes.get("test") or sizes.get("validation"), sizes.get("train")
    return rows / train if cut and isinstance(rows, int) and isinstance(train, int) and train else 0.0


def _stated(made: _Compared, labels: Sequence[str], figure: str, found: Finding) -> Statement:
    """The sentence of two groups; `found` may have its p adjusted."""
    kinds = [row.counted.split(" ", 1)[-1] for row in made.pair]
    noun = kinds[0] if kinds[0].isalpha() else "seeds"
    means = [mean_text(figure, statistics.fmean(v), statistics.stdev(v)) for v in made.values]
    n = (len(made.values[0]), len(made.values[1]))
    words = f"{labels[0]} {means[0]} ({n[0]} {noun}), {labels[1]} {means[1]} ({n[1]}): "
    words += f"{difference_text(figure, found.difference)} of {figure}, 95 % interval "
    words += f"{bound_text(figure, found.low)} to {bound_text(figure, found.high)} ({found.test}). "
    better = labels[0] if (found.difference > 0) == maximized(figure) else labels[1]
    words += f"Shown to differ: {better} is better." if found.real else "Not shown to differ."
    if made.needed is not None:
        side = "seeds, the same on both sides" if made.matched else "seeds a side"
        words += f" To tell {amount_text(figure, made.apart)} apart takes about {made.needed:,} {side}."
    paths = [str(row.first.path) for row in made.pair]
    return Statement(paths[0], paths[1], figure, found, n, words)


def _many(groups: Sequence[Row], question: Question) -> Said:
    """Three groups or more: every pair, and who is first, tied with whom (Holm over all pairs)."""
    figure, labels = question.figure or judged(groups, "val"), row_labels(groups)
    pairs = list(itertools.combinations(range(len(groups)), 2))
    stated = _family(groups, labels, (figure, pairs), question)
    if not stated:
        return Said((), ["the rows have no figure that all their runs reached"])
    place = {str(row.first.path): number for number, row in enumerate(groups)}
    ps = {(place[one.a], place[one.b]): one.finding.p for one in stated}
    having = [row for row in groups if row.figure(figure) is not None]
    order = [place[str(row.first.path)] for row in ordered(having, figure)]
    path = str(groups[order[0]].first.path)
    stated.sort(key=lambda one: path not in (one.a, one.b))  # those of the first before the others
    return Said(stated, ranking=list(_ranking(groups, labels, (figure, order), ps)))


def _family(
    rows: Sequence[Row], labels: Sequence[str], asked: tuple[str, Sequence[tuple[int, int]]], question: Question
) -> list[Statement]:
    """Pairs of rows that are compared at once: p by Holm, intervals that hold for all; asked: the figure, the pairs."""
    figure, pairs = asked
    made = {(i, j): _compared((rows[i], rows[j]), figure, question.apart, len(pairs)) for i, j in pairs}
    known = {pair: one for pair, one in made.items() if one is not None}
    ps = holm({pair: one.finding.p for pair, one in known.items()})
    stated = []
    for (i, j), one in known.items():
        found = replace(one.finding, p=ps[i, j], test=f"{one.finding.test}, {len(ps)} pairs at once")
        stated.append(_stated(one, (labels[i], labels[j]), figure, found))
    return stated


def pilot(row: Row, question: Question) -> str:
    """How many seeds a side would tell a difference apart, by the runs of one setting; empty where nothing is known."""
    figure = question.figure or judged([row], "test")
    if question.apart is None or len(row.entries) < FEWEST or not figure or row.figure(figure) is None:
        return ""
    values = row.values(figure)
    sd = max(statistics.stdev(values), _least((row, row), figure))
    wanted = question.apart / 100 if is_share(figure) else question.apart
    needed = seeds_needed(wanted, deviation_bound(sd, len(values) - 1)) if sd > 0 else None
    count = f"about {needed:,} seeds a side" if needed is not None else "more than 100,000 seeds a side"
    return f"{row.name} {row.shown(figure)} of {figure}: to tell {amount_text(figure, wanted)} apart takes {count}"


def _ranking(
    groups: Sequence[Row],
    labels: Sequence[str],
    ranked: tuple[str, Sequence[int]],
    ps: Mapping[tuple[int, int], float],
) -> Iterator[str]:
    """Who is first, and who is not shown to be worse; `ranked`: the figure, and the rows by it, the best first."""
    figure, (best, *others) = ranked
    ties = [labels[number] for number in others if ps[min(best, number), max(best, number)] >= LEVEL]
    ties = [*ties[:MOST_TIES], f"{len(ties) - MOST_TIES} more"] if len(ties) > MOST_TIES + 1 else ties
    words = f"First by {figure}: {labels[best]} ({groups[best].shown(figure)})"
    words += f", tied with {', '.join(ties)}" if ties else f", shown to be better than the other {len(others)}"
    yield f"{words} (Holm over all {len(ps)} pairs)."
    test, row = figure.replace("val_", "test_", 1), groups[best]
    if test != figure and row.figure(test) is not None and not row.first.metrics.get("test_is_validation"):
        yield f"Its {test} is {row.shown(test)}: it was chosen by {figure}, which flatters it."
