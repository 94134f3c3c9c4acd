"""The compiled programs of the last trainings, for those that differ in numbers alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dlx.engine.fit import compile_program
from dlx.engine.plan import LANE_LAYERS, LANE_OPTIMIZERS, Lanes, Member, Plan, Program
from dlx.inference.forward import share
from dlx.model.network import Network
from dlx.model.statistics import fit_preprocessing
from dlx.runs.summary import NOTES
from dlx.spec.sections import flat, resolved
from dlx.training.experiment import Experiment

# Settings that are variables of a compiled program, or that it does not depend on.
VARIABLE = (*NOTES, "seed", "lr", "sweep", "search", "weights", "keep", "snapshots", "histograms")
MOST, SMALL = 4, 32 * 2**20  # programs that are kept, and the bytes of data from which it is one
# The addresses of what lanes may differ in besides.
OF_LAYERS = "|".join(f"{kind}.{number}" for kind, number in LANE_LAYERS.items()).replace(".", r"\.")
TUNED = re.compile(rf"\.({OF_LAYERS})$|^optimizer\.\w+\.({'|'.join(LANE_OPTIMIZERS)})$")


class ProgramCache:
    """Keeps the last compiled programs, with their data on the device, until others are made.

    A command that trains several runs owns one and passes it on. A run that differs from an earlier one in the seed,
    the rate or a penalty's strength compiles nothing. Of small data several programs are kept, of large data one.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Program, Network]] = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def clear(self) -> None:
        """Let go of the programs: their data leaves the device."""
        self._kept.clear()

    def program(self, experiment: Experiment, network: Network, optimizer: Any, plan: Plan) -> Program:
        """The compiled training, its preprocessing fitted on the train split."""
        fit_preprocessing(network, experiment.splits.train.inputs, experiment.dataset.input_scaling)
        key = structure(experiment, plan)
        if experiment.spec.imports:  # user code may keep state
            self.clear()
        if (kept := self._kept.get(key)) is not None:
            share(network.logits, kept[1].logits)
            return kept[0].reuse(network, optimizer, plan)
        return self._compiled(key, experiment, Member(network, optimizer, plan))

    def lanes(self, experiments: Sequence[Experiment], members: Sequence[Member]) -> tuple[Lanes, list[Program]] | None:
        """(several trainings of one structure as one program; the program of each); None where there is no such thing.

        The trainings share the data, and `structure(…, lanes=True)`.
        """
        first, member = experiments[0], members[0]
        for experiment, one in zip(experiments, members, strict=True):
            fit_preprocessing(one.network, experiment.splits.train.inputs, experiment.dataset.input_scaling)
        key = f"lanes {structure(first, member.plan, lanes=True)}"
        if key not in self._kept:
            self._compiled(key, first, member)
        program, network = self._kept[key]
        if program.lanes is None:
            return None
        for one in members:
            share(one.network.logits, network.logits)
        return program.lanes(members), [program.reuse(one.network, one.optimizer, one.plan) for one in members]

    def _compiled(self, key: str, experiment: Experiment, member: Member) -> Program:
        splits = (experiment.splits.train, experiment.splits.validation)
        large = sum(getattr(s.inputs, "nbytes", SMALL) for s in splits if s) >= SMALL
        while self._kept and (large or len(self._kept) >= MOST):  # before other data comes
            del self._kept[next(iter(self._kept))]
        arrays = [s and (s.inputs, member.network.learned(s.targets)) for s in splits]
        program = compile_program(member.network, member.optimizer, member.plan, *arrays)
        self._kept[key] = program, member.network
        return program


def structure(experiment: Experiment, plan: Plan, lanes: bool = False) -> str:
    """What a compiled training depends on: all but the numbers that are variables in it; of lanes there are more."""
    rule = experiment.spec.regularization
    kinds = rule and (bool(rule.l1), bool(rule.l2), sorted(rule.excluded))
    settings = {k: v for k, v in flat(resolved(experiment.spec)).items() if k not in VARIABLE}
    settings = {k: v for k, v in settings.items() if not k.startswith("regularization")}
    if lanes:
        settings = {k: bool(v) if TUNED.search(k) and isinstance(v, float) else v for k, v in settings.items()}
    scaled = experiment.dataset.input_scaling is not None
    return repr((sorted(settings.items()), kinds, experiment.dataset.fingerprint, scaled, plan.class_weights))
