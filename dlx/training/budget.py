"""What a training will need of disk and memory, estimated before it begins."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from dlx.data.dataset import Stream
from dlx.errors import DiskError, TrainingError
from dlx.model import build as model
from dlx.system import backend
from dlx.system.backend import keras
from dlx.training.experiment import Experiment

CHECKPOINTS = 3  # two that are kept, and one that is being written
ROW = 1000  # bytes of an epoch in the history and in TensorBoard
SPARE = 2


def check(experiment: Experiment, network: model.Network, optimizer: Any, root: Path, held: bool = False) -> None:
    """Raise DiskError or TrainingError where the disk has no room for twice what will be written, or the memory for
    the least that the training takes. `held` says that the backend has data already, which make room or stay."""
    kept = sum(_bytes(weight) for weight in network.model.weights)
    learned = sum(_bytes(weight) for weight in network.logits.trainable_variables)
    state = 2 * kept + _slots(optimizer) * learned
    _disk(experiment, kept, state, root)
    if backend.load().device == "cpu":
        _memory(experiment, network, state + kept, held)


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
    wanted = CHECKPOINTS * state + kept + ROW * experiment.epochs + predictions
    place = root.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < SPARE * wanted:
        raise DiskError(
            f"the run may need {_size(wanted)}, and twice that shall be free, but {_size(free)} are",
            where=str(root),
            hint="free some room, or name another disk with --runs-dir",
        )


def _memory(experiment: Experiment, network: model.Network, weights: int, held: bool) -> None:
    """The least that a training takes: its arrays once more for the backend, the state, gradients, a batch's layers."""
    free = backend.free_memory()
    if free is None:
        return
    splits = [] if held else [split for name, split in experiment.splits.named().items() if name != "test"]
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
        f"needs {_size(fixed + batch * each)} of memory at least, but {_size(free)} are free: "
        f"{_size(data)} for the data, {_size(weights)} for the network, {_size(batch * each)} for a batch",
        where=experiment.spec.locate("batch_size" if fits >= 1 else "layers"),
        hint=hint,
    )


def _numbers(layer: Any) -> int:
    """How many numbers a layer gives for an example."""
    shape = getattr(layer.output, "shape", ()) if hasattr(layer, "output") else ()
    return int(math.prod(extent or 1 for extent in shape[1:]))


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
