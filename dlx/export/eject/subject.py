"""What is ejected, and the script as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlx.data.dataset import Dataset
from dlx.data.splits import Splits
from dlx.engine.plan import Plan
from dlx.model.network import Network
from dlx.spec.sections import Spec


@dataclass(frozen=True)
class Start:
    """How a run begins. weights: those of the network, in its order; orders: (epochs, examples), of the first ones."""

    weights: Sequence[np.ndarray]
    orders: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Subject:
    """What is ejected: an experiment, its network at the beginning, and on what it ran.

    start: where the script shall begin as the run did; compiled: whether XLA compiled the run's training.
    """

    name: str
    spec: Spec
    dataset: Dataset
    splits: Splits
    network: Network
    optimizer: Any
    plan: Plan
    backend: str
    keras: str
    compiled: bool
    start: Start
    same_start: bool


@dataclass
class Script:
    """A script as it grows: its lines, what lies beside it, what it imports, and what is not as in the run."""

    subject: Subject
    stem: str
    lines: list[str] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    imports: set[str] = field(
        default_factory=lambda: {"import keras", "import numpy as np", "from keras import layers"}
    )
    remarks: list[str] = field(default_factory=list)

    def section(self, title: str) -> None:
        self.lines += ["", f"# {title} {'-' * (96 - len(title))}", ""]
