"""The compiled program of the last training, for one that differs in numbers alone."""

from __future__ import annotations

from typing import Any

from dlx.engine.fit import compile_program
from dlx.engine.plan import Plan, Program
from dlx.model.network import Network
from dlx.model.statistics import fit_preprocessing
from dlx.runs.summary import NOTES
from dlx.spec.sections import flat, resolved
from dlx.training.experiment import Experiment

# Settings that are variables of a compiled program, or that it does not depend on.
VARIABLE = (*NOTES, "seed", "lr", "sweep", "search", "weights", "keep", "snapshots", "histograms")


class ProgramCache:
    """Keeps the last compiled program, with its data on the device, until another is made.

    A command that trains several runs owns one and passes it on. A run that differs from the last one in the seed,
    the rate or a penalty's strength compiles nothing.
    """

    def __init__(self) -> None:
        self._key, self._program = "", None

    _program: Program | None

    def __bool__(self) -> bool:
        return self._program is not None

    def clear(self) -> None:
        """Let go of the program: its data leaves the device."""
        self._key, self._program = "", None

    def program(self, experiment: Experiment, network: Network, optimizer: Any, plan: Plan) -> Program:
        """The compiled training, its preprocessing fitted on the train split."""
        train, validation = experiment.splits.train, experiment.splits.validation
        fit_preprocessing(network, train.inputs, experiment.dataset.input_scaling)
        key = _structure(experiment, plan)
        if self._program is not None and self._key == key and not experiment.spec.imports:  # user code may keep state
            return self._program.reuse(network, optimizer, plan)
        self.clear()  # before other data comes
        arrays = [s and (s.inputs, network.learned(s.targets)) for s in (train, validation)]
        program = compile_program(network, optimizer, plan, *arrays)
        self._key, self._program = key, program
        return program


def _structure(experiment: Experiment, plan: Plan) -> str:
    """What a compiled training depends on: all but the numbers that are variables in it."""
    rule = experiment.spec.regularization
    kinds = rule and (bool(rule.l1), bool(rule.l2), sorted(rule.excluded))
    settings = {k: v for k, v in flat(resolved(experiment.spec)).items() if k not in VARIABLE}
    settings = {k: v for k, v in settings.items() if not k.startswith("regularization")}
    scaled = experiment.dataset.input_scaling is not None
    return repr((sorted(settings.items()), kinds, experiment.dataset.fingerprint, scaled, plan.class_weights))
