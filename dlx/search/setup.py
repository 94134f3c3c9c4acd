"""From a space to a study: the search that a spec names, what it cannot be, and what it is steered by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dlx.errors import DlxError, SpecError, did_you_mean
from dlx.parts.registry import Part
from dlx.parts.searches import Search, registry
from dlx.search.ledger import Ledger
from dlx.search.study import Study
from dlx.search.trials import objective_names
from dlx.spec.rules import SIZES
from dlx.spec.sections import Spec
from dlx.spec.space import Space, Trial, trials_of


def search_of(space: Space) -> Search:
    """The search that a spec names; a grid where it names none."""
    made: Search = registry.make(space.search or Part("grid", {"prune": "none", "objectives": "auto"}))
    return made


def check_search(space: Space, search: Search, spec: Spec) -> None:
    """Raise SpecError with what a search cannot be."""
    where = spec.locate("search")
    problems = []
    if search.prune and len(search.objectives) > 1:
        hint = "one objective, or prune: none"
        problems.append(DlxError("prune holds trials against one another by one objective", where=where, hint=hint))
    if search.prune and search.objectives[0] in SIZES:
        problems.append(DlxError(f"prune needs a figure of every epoch, not {search.objectives[0]}", where=where))
    if search.by in ("gp", "cma_es", "evolution") and len(search.objectives) > 1:
        hint = "tpe and nsga2 take several"
        problems.append(DlxError(f"{search.by} takes one objective", where=where, hint=hint))
    if len(set(search.objectives)) < len(search.objectives):
        problems.append(DlxError("an objective is named twice", where=where, hint="each once"))
    kinds, registry = search.options.get("kinds"), space.code.registries["layer"]
    for kind in kinds if kinds is not None else ():
        if kind not in registry or kind == "output":
            found = "output is always the last" if kind == "output" else f"unknown layer {kind!r}"
            near = did_you_mean(kind, registry, registry.aliases)
            problems.append(DlxError(f"kinds: {found}{near}", where=where))
    if kinds == []:
        problems.append(DlxError("kinds is empty", where=where, hint="leave it out for those of the spec"))
    problems += _unfair(space, search)
    if problems:
        raise SpecError(problems)


LUCK = {
    "seed": "the luckiest seed would win", "split_seed": "the luckiest split would win",
    "validation": "trials would be judged on other examples", "test": "trials would be judged on other examples",
}  # fmt: skip


def _unfair(space: Space, search: Search) -> list[DlxError]:
    """What a search cannot vary, for its trials could not be compared; seeds of a grid stand beside no repeats."""
    found = []
    for dimension in space.dimensions:
        section = dimension.address.split(".")[0]
        if section == "name":
            found.append(DlxError("name: all trials have the sweep's name", where=dimension.where))
        elif section in LUCK and search.by != "grid":
            hint = "--repeat N judges each trial by the mean of N seeds" if "seed" in section else "a grid may vary it"
            found.append(DlxError(f"{section}: {LUCK[section]}", where=dimension.where, hint=hint))
        elif section == "seed" and search.repeats > 1:
            found.append(DlxError("seed varies, and --repeat varies it too", where=dimension.where, hint="one of them"))
    return found


def study_of(
    space: Space,
    root: Path,
    settle: Callable[[Trial], Trial],
    fingerprint: Callable[[Spec], str | None] = lambda spec: None,
) -> Study:
    """The study of a space below a runs folder. settle: gives a trial what the command adds to it.

    fingerprint: of a spec's data as it is now, where it can be told; runs on other data are none of the study.

    Raises SpecError with what is wrong with the search, or of a grid with any of its combinations.
    """
    search = search_of(space)
    fixed = [settle(trial) for trial in trials_of(space)] if search.by == "grid" else []
    spec = (fixed[0] if fixed else settle(space.trial(lambda dimension: dimension.first))).spec
    check_search(space, search, spec)
    monitor = spec.monitor if spec.monitor != "auto" else "val_loss" if spec.validation != "none" else "train_loss"
    study = Study(
        space=space,
        search=search,
        root=root,
        seed=spec.seed,
        objectives=objective_names(search.objectives, monitor),
        epochs=int(spec.epochs or 1),
        ledger=None if search.by == "grid" else Ledger(root, space.name),
        fixed=fixed,
        fingerprint=fingerprint,
        settle=settle,
    )
    study.recall()
    return study
