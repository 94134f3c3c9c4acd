"""What a training will take: time, memory, disk, device; measured for a second or two, and nothing is left behind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from dlx.insight import brief
from dlx.insight.rates import Range, range_test
from dlx.model.build import make_optimizer
from dlx.system import backend, machine
from dlx.training.budget import needs
from dlx.training.estimate import estimate
from dlx.training.experiment import Experiment
from dlx.training.program_cache import ProgramCache

FASTER, SLOWER = 0.8, 1.3  # than the measured second: the range of a whole training
SHARE = 0.5  # of the free memory that the largest batch may take: what a layer needs is only estimated


@dataclass(frozen=True)
class Outlook:
    """seconds: the range of one training; trainings: how many a sweep has. memory: of this process at its peak, disk:
    of the run, in bytes. batch: the largest that fits, or all of train. rates: what the range test saw."""

    seconds: tuple[float, float]
    trainings: int
    memory: int | None
    disk: int
    device: str
    batch: int | None
    rates: Range

    def record(self) -> dict[str, Any]:
        """As --json has it."""
        return {
            "seconds": [round(one, 1) for one in self.seconds], "trainings": self.trainings, "memory": self.memory,
            "disk": self.disk, "device": self.device, "batch_size": self.batch, "lr": self.rates.proposed,
        }  # fmt: skip


def outlook(experiment: Experiment, trainings: int = 1) -> Outlook:
    """Train for a second, test the rates, and say what the whole would take."""
    network = brief.network(experiment)
    needed = needs(experiment, network, make_optimizer(experiment.spec))
    rates = range_test(experiment)
    seconds = estimate(experiment, ProgramCache())
    on_gpu = backend.load().device != "cpu"  # of whose memory nothing is measured here
    return Outlook(
        seconds=(FASTER * seconds, SLOWER * seconds),
        trainings=trainings,
        memory=None if on_gpu else _peak(),
        disk=needed.disk,
        device=backend.load().shown,
        batch=None if on_gpu else _largest(len(experiment.splits.train), needed.data + needed.weights, needed.each),
        rates=rates,
    )


def _largest(rows: int, fixed: int, each: int) -> int:
    """All of train, halved until it fits."""
    free, batch = machine.free_memory(), rows
    while free is not None and batch > 1 and fixed + batch * each > SHARE * free:
        batch = -(-batch // 2)
    return batch


def _peak() -> int | None:
    """The most memory that this process has had, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) * (1 if os.uname().sysname == "Darwin" else 1024)
