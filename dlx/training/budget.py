"""What a training will need of disk and memory, estimated before it begins."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.data.dataset import Stream
from dlx.errors import DiskError, TrainingError
from dlx.model.network import Network
from dlx.system import backend, machine
from dlx.system.backend import keras
from dlx.system.units import byte_size
from dlx.training.experiment import Experiment

CHECKPOINTS = 3  # two that are kept, and one that is being written
ROW = 1000  # bytes of an epoch in the history and in TensorBoard
SPARE = 2


@dataclass(frozen=True)
class Needs:
    """What a training needs at least, in bytes: on the disk; in memory for the data, for the weights with gradients and
    what the optimizer keeps of them, and for each example of a batch."""

    disk: int
    data: int
    weights: int
    each: int

    def memory(self, batch: int) -> int:
        """In memory, with batches of so many examples."""
        return self.data + self.weights + batch * self.each


def needs(experiment: Experiment, network: Network, optimizer: Any, data_loaded: bool = False) -> Needs:
    """What a training needs. `data_loaded`: the backend has data already, which make room or stay."""
    kept = sum(_bytes(weight) for weight in network.model.weights)
    learned = sum(_bytes(weight) for weight in network.logits.trainable_variables)
    state = 2 * kept + _slots(optimizer) * learned
    splits = [] if data_loaded else [split for name, split in experiment.splits.named().items() if name != "test"]
    data = sum(int(s.inputs.nbytes) + int(s.targets.nbytes) for s in splits if not isinstance(s.inputs, Stream))
    size = 4 if experiment.spec.precision == "float32" else 2
    each = size * sum(_numbers(layer) for layer in network.logits.layers if layer.trainable_weights)
    return Needs(_on_disk(experiment, kept, state), data, state + kept, each)


def check_budget(
    experiment: Experiment, network: Network, optimizer: Any, root: Path, data_loaded: bool = False
) -> None:
    """Raise DiskError or TrainingError where the disk has no room for twice what will be written, or the memory for
    the least that the training takes. `data_loaded`: the backend has data already, which make room or stay."""
    needed = needs(experiment, network, optimizer, data_loaded)
    _disk(needed, root)
    if backend.load().device == "cpu":
        _memory(experiment, needed)


def _slots(optimizer: Any) -> int:
    """How many numbers an optimizer keeps for each weight: tried on one of a size that nothing else has."""
    twin = type(optimizer).from_config(optimizer.get_config())
    twin.build([keras.Variable(keras.ops.zeros((7,)))])
    return sum(tuple(variable.shape) == (7,) for variable in twin.variables)


def _bytes(variable: Any) -> int:
    return int(math.prod(variable.shape)) * 4


def _on_disk(experiment: Experiment, kept: int, state: int) -> int:
    """The bytes that a run's directory may take."""
    classes = max(1, len(experiment.dataset.classes))
    predictions = (8 + 8 + 4 * classes) * max((len(split) for split in experiment.splits.named().values()), default=0)
    spec, snapshots = experiment.spec, len([one for one in experiment.spec.snapshots if one <= experiment.epochs])
    rows = experiment.epochs + (experiment.steps // spec.log_every if spec.log_every else 0)
    return CHECKPOINTS * state + (1 + snapshots) * kept + ROW * rows + predictions


def _disk(needed: Needs, root: Path) -> None:
    place = root.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < SPARE * needed.disk:
        wanted = f"{byte_size(SPARE * needed.disk)} free, twice what it may need"
        raise DiskError(
            f"the run wants {wanted}, but {byte_size(free)} are free",
            where=str(root),
            hint="free some room, or name another disk with --runs-dir",
        )


def _memory(experiment: Experiment, needed: Needs) -> None:
    """The least that a training takes: its arrays once more for the backend, the state, gradients, a batch's layers."""
    free, batch = machine.free_memory(), experiment.batch_size
    if free is None or needed.memory(batch) <= free:
        return
    fits = (free - needed.memory(0)) // max(needed.each, 1)
    hint = (
        f"-s batch_size={2 ** int(math.log2(fits))} would fit" if fits >= 1 else "a smaller network, or fewer examples"
    )
    raise TrainingError(
        f"needs {byte_size(needed.memory(batch))} of memory at least, but {byte_size(free)} are free: "
        f"{byte_size(needed.data)} for the data, {byte_size(needed.weights)} for the network, "
        f"{byte_size(batch * needed.each)} for a batch",
        where=experiment.spec.locate("batch_size" if fits >= 1 else "layers"),
        hint=hint,
    )


def _numbers(layer: Any) -> int:
    """How many numbers a layer gives for an example."""
    shape = getattr(layer.output, "shape", ()) if hasattr(layer, "output") else ()
    return int(math.prod(extent or 1 for extent in shape[1:]))
