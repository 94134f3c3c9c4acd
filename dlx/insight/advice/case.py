"""What a rule of advice looks at, and what it says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Facts, Stream
from dlx.parts.registry import Part
from dlx.spec.sections import Spec

if TYPE_CHECKING:
    from dlx.model.network import Network
    from dlx.training.experiment import Experiment

NUMBERS, FILES = 1_000_000, 8  # values, and examples on disk, that are looked at for the range of the inputs
UNKNOWN_WORD = 1  # the number of a word outside of the vocabulary; 0 is padding


@dataclass(frozen=True)
class Advice:
    """What is unwise in a spec: its address, a sentence, the change to type, and the rule that says so."""

    where: str
    message: str
    change: str
    rule: str = ""


@dataclass(frozen=True)
class Layer:
    """One application of a part: the shapes of one example before and after it (None: any extent), and its weights."""

    before: tuple[int | None, ...]
    after: tuple[int | None, ...]
    parameters: int


@dataclass(frozen=True)
class Data:
    """What is known of data that is loaded: rows of train and of validation (None without one).

    rms: the root of the inputs' mean square, and low to high their range, as they are stored; shares: of each class of
    train; unknown: of words outside of the vocabulary.
    """

    train: int
    validation: int | None = None
    rms: float = 0.0
    low: float = 0.0
    high: float = 0.0
    shares: tuple[float, ...] = ()
    unknown: float = 0.0
    kind: str = "array"

    @property
    def majority(self) -> float:
        """The share of the most frequent class of train, 0 where there are no classes."""
        return max(self.shares, default=0.0)


@dataclass(frozen=True)
class Known:
    """What is known of a spec's data and network beside the spec. data: None where it is not loaded.

    layers: each part that was applied, by its address; one inside `repeat` several times.
    """

    facts: Facts
    data: Data | None = None
    layers: Mapping[str, Sequence[Layer]] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for applied in self.layers.values() for layer in applied)

    def last(self, part: Part) -> Layer | None:
        """The last application of a part."""
        applied = self.layers.get(part.where)
        return applied[-1] if applied else None

    def steps(self, spec: Spec) -> int | None:
        """The steps of an epoch; None where the data is not loaded."""
        if self.data is None:
            return None
        return 1 if spec.batch_size == "full" else -(-self.data.train // int(spec.batch_size))


Rule = Callable[[Spec, Known], Advice | None]


def known(facts: Facts, network: Network | None, experiment: Experiment | None) -> Known:
    """What there is to know: of the network its shapes, of the experiment its data."""
    layers: dict[str, list[Layer]] = {}
    seen = set()
    for part, tensor in network.applied if network is not None else ():
        operation = tensor._keras_history.operation
        own = getattr(operation, "count_params", None)
        count = 0 if own is None or id(operation) in seen else int(own())
        seen.add(id(operation))
        before: Any = getattr(operation, "input", None)
        shape = tuple(before.shape[1:]) if hasattr(before, "shape") else ()
        layers.setdefault(part.where, []).append(Layer(shape, tuple(tensor.shape[1:]), count))
    return Known(facts, None if experiment is None else _data(experiment), layers)


def _data(experiment: Experiment) -> Data:
    import numpy as np

    dataset, splits = experiment.dataset, experiment.splits
    inputs, validation = splits.train.inputs, splits.validation
    each = max(int(np.prod(inputs.shape[1:])), 1)
    count = min(max(NUMBERS // each, 8), FILES if isinstance(inputs, Stream) else len(splits.train), len(splits.train))
    rows = np.linspace(0, len(splits.train) - 1, count).astype(int)
    # What stays on disk is read in order; float64 inputs were scaled before they became float32.
    sample = np.asarray(inputs[: len(rows)] if isinstance(inputs, Stream) else inputs[rows])
    numbers = np.zeros((1,), np.float32) if dataset.kind == "text" else sample.astype(np.float32)
    words = sample[sample > 0] if dataset.kind == "text" else sample[:0]
    classes = len(dataset.classes) if dataset.task == "classification" else 0
    return Data(
        train=len(splits.train),
        validation=None if validation is None else len(validation),
        rms=float(np.sqrt(np.square(numbers).mean(dtype=np.float64))) if numbers.size else 0.0,
        low=float(numbers.min()) if numbers.size else 0.0,
        high=float(numbers.max()) if numbers.size else 0.0,
        shares=_shares(splits.train.targets, classes),
        unknown=float((words == UNKNOWN_WORD).mean()) if words.size else 0.0,
        kind=dataset.kind,
    )


def _shares(targets: Any, classes: int) -> tuple[float, ...]:
    """The share of each class; nothing where there are none."""
    import numpy as np

    if not classes:
        return ()
    return tuple(float(one) for one in np.bincount(targets.reshape(-1), minlength=classes) / max(targets.size, 1))


# Walking the layers

INLINE = ("repeat", "sequential")


def chains(layers: Sequence[Part]) -> Iterator[list[Part]]:
    """The layers as lists of neighbours.

    What `repeat` and `sequential` hold stands in its place, up to four times where it is repeated; what other
    composites hold is a list of its own, after that of their neighbours.
    """
    chain = list(_inlined(layers))
    yield chain
    for part in {id(part): part for part in chain}.values():
        for value in part.args.values():
            inner = [value] if isinstance(value, Part) else value if isinstance(value, list) else []
            parts = [item for item in inner if isinstance(item, Part)]
            branches = [[item] for item in parts] if part.name == "parallel" else [parts] if parts else []
            for branch in branches:
                yield from chains(branch)


def _inlined(layers: Sequence[Part]) -> Iterator[Part]:
    for part in layers:
        if part.name in INLINE:
            for _ in range(min(int(part.args.get("times", 1)), 4)):
                yield from _inlined(part.args["layers"])
        else:
            yield part


def main(spec: Spec) -> list[Part]:
    """The chain from the input to the head."""
    return next(chains(spec.layers))


def pairs(spec: Spec, passed: Sequence[str] = ()) -> Iterator[tuple[Part, Part]]:
    """Every two neighbours in any chain; layers named in `passed` are left out before."""
    for chain in chains(spec.layers):
        left = [part for part in chain if part.name not in passed]
        yield from itertools.pairwise(left)


def activation(part: Part) -> str:
    """The activation of a layer, "linear" without one; of layers that are one, their name."""
    if part.name in ACTIVATIONS:
        return part.name
    return str(part.args.get("activation") or "linear")


ACTIVATIONS = ("relu", "leaky_relu", "elu", "prelu", "softmax")
KERNELS = ("dense", "conv1d", "conv2d", "conv3d", "conv1d_transpose", "conv2d_transpose", "conv3d_transpose",
           "depthwise_conv1d", "depthwise_conv2d", "separable_conv1d", "separable_conv2d", "einsum_dense")  # fmt: skip
RECURRENT = ("simple_rnn", "lstm", "gru")
DROPOUTS = (
    "dropout",
    "spatial_dropout1d",
    "spatial_dropout2d",
    "spatial_dropout3d",
    "alpha_dropout",
    "gaussian_dropout",
)
BOUNDED = ("sigmoid", "hard_sigmoid")


def linear(part: Part) -> bool:
    """Whether a layer is a weighted sum and nothing else."""
    return part.name in KERNELS and activation(part) == "linear"


def is_head(spec: Spec, part: Part) -> bool:
    """Whether a part is what the network ends with, or the layer before a last `activation`."""
    last = spec.layers[-1]
    return part is last or (
        last.name in ("activation", *ACTIVATIONS) and len(spec.layers) > 1 and part is spec.layers[-2]
    )


def size(shape: Sequence[int | None]) -> int:
    """The numbers of a shape, an open extent as 1."""
    return math.prod(extent or 1 for extent in shape)


def value(part: Part, *names: str, default: Any = None) -> Any:
    """The first of the named arguments that a part has."""
    return next((part.args[name] for name in names if part.args.get(name) is not None), default)
