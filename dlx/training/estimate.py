"""How long a training would take."""

from __future__ import annotations

import time

from dlx.engine.fit import fit
from dlx.model.build import build, make_optimizer
from dlx.training.experiment import Experiment, plan_of
from dlx.training.program_cache import ProgramCache
from dlx.training.tracker import Tracker


def estimate(experiment: Experiment, cache: ProgramCache, seconds: float = 1.0) -> float:
    """About how many seconds a training would take: trains for `seconds` and leaves nothing behind."""
    spec, began = experiment.spec, time.monotonic()
    network = build(spec, experiment.facts, targets=experiment.target_scaling)
    splits, plan = experiment.splits, plan_of(experiment)
    program = cache.program(experiment, network, make_optimizer(spec), plan)
    tracker, first = Tracker(experiment), 0.0
    for progress in fit(program, plan):
        tracker.add(progress)
        first = first or tracker.seconds  # compiling
        if tracker.seconds - first > seconds or progress.stopped:
            break
    spent = time.monotonic() - began
    if tracker.step >= experiment.steps or progress.stopped:
        return spent
    left = experiment.steps - tracker.step
    rate = tracker.examples_per_second()
    # A forward pass costs a third of a step; where epochs are that short, the measured steps contain theirs already.
    validated = len(splits.validation) if splits.validation is not None and not tracker.last else 0
    return spent + (left * len(splits.train) / experiment.steps_per_epoch + experiment.epochs * validated / 3) / rate
