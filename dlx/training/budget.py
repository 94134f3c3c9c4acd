"""What a training will need of disk and memory, estimated before it begins."""

from __future__ import annotations

import math
import shutil
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


def check_budget(
    experiment: Experiment, network: Network, optimizer: Any, root: Path, data_loaded: bool = False
) -> None:
    """Raise DiskError or TrainingError where the disk has no room for twice what will be written, or the memory for
    the least that the training takes. `data_loaded`: the backend has data already, which make room or stay."""
    kept = sum(_bytes(weight) for weight in network.model.weights)
    learned = sum(_bytes(weight) for weight in network.logits.trainable_variables)
    state = 2 * kept + _slots(optimizer) * learned
    _disk(experiment, kept, state, root)
    if backend.load().device == "cpu":
        _memory(experiment, network, state + kept, data_loaded)


def _slots(optimizer: Any) -> int:
    """How many numbers an optimizer keeps for each weight: tried on one of a size that nothing else has."""
    twin = type(optimizer).from_config(optimizer.get_config())
    twin.build([keras.Variable(keras.ops.zeros((7,)))])
    return sum(tuple(variable.shape) == (7,) for variable in twin.variables)


def _bytes(variable: Any) -> int:
    return int(math.prod(variable.shape)) * 4


def _disk(experiment: Experiment, kept: int, state: int, root: Path) -> None:
    classes = max(1, len(experiment.dataset.classes))
    predictions = (8 + 8 + 4 * classes) * max((len(split) for split in experiment.splits.named().values()), default=0)
    spec, snapshots = experiment.spec, len([one for one in experiment.spec.snapshots if one <= experiment.epochs])
    rows = experiment.epochs + (experiment.steps // spec.log_every if spec.log_every else 0)
    wanted = CHECKPOINTS * state + (1 + snapshots) * kept + ROW * rows + predictions
    place = root.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < SPARE * wanted:
        raise DiskError(
            f"the run wants {byte_size(SPARE * wanted)} free, twice what it may need, but {byte_size(free)} are free",
            where=str(root),
            hint="free some room, or name another disk with --runs-dir",
        )


def _memory(experiment: Experiment, network: Network, weights: int, data_loaded: bool) -> None:
    """The least that a training takes: its arrays once more for the backend, the state, gradients, a batch's layers."""
    free = machine.free_memory()
    if free is None:
        return
    splits = [] if data_loaded else [split for name, split in experiment.splits.named().items() if name != "test"]
    data = sum(int(s.inputs.nbytes) + int(s.targets.nbytes) for s in splits if not isinstance(s.inputs, Stream))
    fixed = data + weights
    size = 4 if experiment.spec.precision == "float32" else 2
    each = size * sum(_numbers(layer) for layer in network.logits.layers if layer.trainable_weights)
    batch = experiment.batch_size
    if fixed + batch * each <= free:
        return
    fits = (free - fixed) // max(each, 1)
    hint = (
        f"-s batch_size={2 ** int(math.log2(fits))} would fit" if fits >= 1 else "a smaller network, or fewer examples"
    )
    raise TrainingError(
        f"needs {byte_size(fixed + batch * each)} of memory at least, but {byte_size(free)} are free: "
        f"{byte_size(data)} for the data, {byte_size(weights)} for the network, {byte_size(batch * each)} for a batch",
        where=experiment.spec.locate("batch_size" if fits >= 1 else "layers"),
        hint=hint,
    )


def _numbers(layer: Any) -> int:
    """How many numbers a layer gives for an example."""
    shape = getattr(layer.output, "shape", ()) if hasattr(layer, "output") else ()
    return int(math.prod(extent or 1 for extent in shape[1:]))
