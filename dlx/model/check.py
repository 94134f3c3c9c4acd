"""What can be wrong with a network: its size, and layers that cannot be computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dlx.data.dataset import Facts
from dlx.errors import DlxError, SpecError, TrainingError
from dlx.model.keras_errors import sentence
from dlx.model.network import Network
from dlx.spec.rules import all_parts
from dlx.spec.sections import Spec
from dlx.system import machine
from dlx.system.backend import keras
from dlx.system.units import byte_size

LARGE = 100_000_000


def may_be_large(spec: Spec, facts: Facts) -> bool:
    """Whether the largest number that the layers name, times itself or the size of an input, is a hundred million."""
    named = max((abs(value) for part in all_parts(spec.layers) for value in _wholes(part.args)), default=1)
    return named * max(named, math.prod(facts.shape)) >= LARGE


def _wholes(value: Any) -> Iterator[int]:
    """Every whole number in the arguments of a part."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _wholes(item)


def check_size(spec: Spec, count: Callable[[], int], file_size: int | None) -> None:
    """Count the weights of a network without making them, and hold the number against what there is.

    count: builds the network and counts; what it raises is passed over. Raises TrainingError where the weights do not
    fit into memory, or cannot be in a file of `file_size` bytes.
    """
    free = machine.free_memory()
    if free is None and file_size is None:
        return
    try:
        with keras.StatelessScope(initialize_variables=False):
            weights = count()
    except Exception:  # whatever Keras, the backend or user code raises
        weights = 0
    if file_size is not None and 2 * weights > file_size:  # a weight takes two bytes at least
        message = f"the network has {weights:,} parameters, which a model.keras of {file_size:,} bytes does not hold"
        raise TrainingError(message, where=spec.locate("layers"))
    if free is not None and 4 * weights > free:
        message = f"the network has {weights:,} parameters, {byte_size(4 * weights)}, but {byte_size(free)} are free"
        raise TrainingError(message, where=spec.locate("layers"), hint="a smaller layer, or a smaller input to it")


def probe(network: Network, spec: Spec) -> None:
    """Compute one blank example: what symbolic shapes let pass shows here, at its layer. Raises SpecError."""
    inputs = network.model.inputs[0]
    blank = keras.ops.zeros((1, *inputs.shape[1:]), inputs.dtype)
    try:
        network.model(blank, training=False)
    except Exception as error:  # whatever the backend raises
        for part, tensor in network.applied:
            try:
                keras.Model(network.model.inputs, tensor)(blank, training=False)
            except Exception as first:
                message = f"cannot be computed ({sentence(first)})"
                raise SpecError([DlxError(message, where=spec.locate(part.where))]) from first
        message = f"the network cannot be computed ({sentence(error)})"
        raise SpecError([DlxError(message, where=spec.locate("layers"))]) from error
