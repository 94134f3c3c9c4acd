"""A search on the screen: how far it is, the best of it, what mattered, and what to type next."""

from __future__ import annotations

from pathlib import Path

from dlx.runs.find import command_line
from dlx.runs.metrics import figure_text, is_number, maximized, setting_text
from dlx.runs.run import Run
from dlx.search import pruning, winner
from dlx.search.study import Study
from dlx.search.trials import Observation
from dlx.spec.rules import SIZES
from dlx.system import terminal

BEST = 5  # rows of the table


def show(study: Study, root: Path, error: bool = False) -> None:
    """The state of a search, whether it has ended or not."""
    out = terminal.console(error)
    out.print()
    out.print(counted(study))
    ranked = winner.pareto(study) if len(study.objectives) > 1 else study.ranked()
    if not ranked:
        return
    out.print()
    if len(study.objectives) > 1:
        out.print(f"{len(ranked)} than which none is better in every objective")
    elif len(ranked) > BEST:
        out.print(f"the best {BEST} of {len(ranked)}")
    _table(study, ranked if len(study.objectives) > 1 else ranked[:BEST], error)
    _best(study, ranked[0], error)
    _confirmed(study, error)
    _importance(study, error)
    _next(ranked[0], root, error)


def counted(study: Study) -> str:
    """How many trials there are of each kind, and what pruning has saved."""
    statuses = [observation.status for observation in study.observations]
    kinds = [(statuses.count(status), status) for status in ("done", "pruned", "failed", "running", "waiting")]
    of = study.search.trials or len(study.fixed)
    found = ", ".join(f"{count} {status}" for count, status in kinds if count)
    text = f"{len(statuses)} of {of} trials{': ' * bool(found)}{found}"
    spared = pruning.saved(study.observations, {o.number: study.epochs for o in study.observations})
    return f"{text}; {spared:,} of {study.epochs * len(statuses):,} epochs saved" if spared else text


def _table(study: Study, rows: list[Observation], error: bool) -> None:
    names = [d.name for d in study.space.dimensions if any(d.name in row.values for row in rows)]
    names += ["layers"] * ("layers" not in names and any("layers" in row.values for row in rows))
    columns = [("", [row.runs[0].name if row.runs else str(row.number) for row in rows])]
    for number, name in enumerate(study.objectives):
        columns.append((name, [text(name, (row.figures or ())[number]) for row in rows]))
    for name in names:
        columns.append((name, [setting_text(row.values.get(name, "–")) for row in rows]))
    terminal.table(columns, [False, *(terminal.are_numbers(cells) for _, cells in columns[1:])], error=error)


def text(objective: str, value: float) -> str:
    """An objective as a person reads it."""
    return f"{value:,.4g}" if objective in SIZES else figure_text(objective, value)


def _best(study: Study, best: Observation, error: bool) -> None:
    """The winner, and how far its figure flatters."""
    name, figures = study.objectives[0], best.figures or ()
    lines = [f"best by {name}: {best.runs[0].name}  {text(name, figures[0])}"]
    metrics = Run(best.runs[0]).metrics() or {}
    unseen = name.replace("val_", "test_", 1)
    if name.startswith("val_") and is_number(metrics.get(unseen)) and not metrics.get("test_is_validation"):
        lines.append(f"{unseen} of this run, by which nothing was chosen: {figure_text(unseen, metrics[unseen])}")
    found = winner.flattery(study)
    if found is not None:
        points = f"{100 * found.amount:.1f}"
        lines.append(
            f"{found.contenders} trials lie within chance of it on {found.rows:,} validation examples: as the best of "
            f"them it is likely to flatter itself by about {points} points"
        )
    elif maximized(name) is False and len(study.ranked()) > 1 and study.search.confirm is None:
        lines.append(
            f"as the best of {len(study.ranked())} its figure is likely too good: search: {{{study.search.by}: "
            "{confirm: {top: 3}}} trains the best again"
        )
    out = terminal.console(error)
    out.print()
    for line in lines:
        for part in terminal.wrapped(terminal.clean(line)):
            out.print(part)


def _confirmed(study: Study, error: bool) -> None:
    """The best with fresh seeds."""
    rows = winner.confirmed(study)
    if not rows:
        return
    out, figure = terminal.console(error), rows[0].figure
    out.print()
    out.print(f"trained again with {len(rows[0].values)} fresh seeds each")
    columns = [
        ("", [row.observation.runs[0].name for row in rows]),
        (figure, [figure_text(figure, row.mean) for row in rows]),
        ("95 % interval", [f"{figure_text(figure, row.low)} to {figure_text(figure, row.high)}" for row in rows]),
    ]
    terminal.table(columns, [False, True, True], error=error)
    first = rows[0]
    sign = 1 if study.maximize[0] else -1
    tied = [row.observation.runs[0].name for row in rows[1:] if sign * row.high >= sign * first.mean
            or sign * row.low >= sign * first.mean]  # fmt: skip
    if tied:
        words = f"{first.observation.runs[0].name} is first; within its reach: {', '.join(tied)}"
        out.print(terminal.clean(words))


def _importance(study: Study, error: bool) -> None:
    """What set the better trials apart."""
    shares = winner.importance(study)
    if not shares:
        return
    out = terminal.console(error)
    out.print()
    out.print("what sets the better trials apart")
    terminal.fields([(name, terminal.share_bar(share)) for name, share in shares.items()], error)


def _next(best: Observation, root: Path, error: bool) -> None:
    """The command that trains the best one longer, and those that look at all."""
    run = Run(best.runs[0])
    epochs = (run.metrics() or {}).get("epochs")
    longer = f"epochs={2 * epochs}" if isinstance(epochs, int) and epochs else "epochs=N"
    lines = [("next", command_line("dlx", "resume", run.name, "-s", longer, runs_dir=root))]
    lines.append(("", command_line("dlx", "show", run.name, runs_dir=root)))
    terminal.console(error).print()
    terminal.fields(lines, error, style=terminal.SECONDARY)
