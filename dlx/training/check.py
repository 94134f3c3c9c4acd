"""Whether a spec could be trained, found out without training: by a network without numbers, or by a whole one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dlx.data.dataset import Facts
from dlx.errors import DlxError, SpecError
from dlx.model.build import build, make_optimizer
from dlx.model.check import may_be_large, probe
from dlx.model.network import Network
from dlx.parts.registry import Part
from dlx.spec.rules import all_parts
from dlx.spec.sections import Spec
from dlx.system import backend
from dlx.training.experiment import facts_of
from dlx.training.initial_weights import donor

# Layers that each backend computes wherever their shapes fit, with any precision.
PLAIN = frozenset(
    "activation average_pooling1d average_pooling2d batch_normalization conv1d conv2d dense dropout flatten"
    " global_average_pooling1d global_average_pooling2d global_max_pooling1d global_max_pooling2d layer_normalization"
    " leaky_relu max_pooling1d max_pooling2d output relu repeat reshape residual rescaling sequential softmax".split()
)
# The same in float32.
PLAIN_IN_FLOAT32 = PLAIN | frozenset(
    "bidirectional conv2d_transpose dense_block elu embedding gaussian_noise gru lstm parallel permute"
    " position_embedding simple_rnn spatial_dropout1d spatial_dropout2d squeeze_excite transformer_block"
    " up_sampling2d zero_padding2d".split()
)
# Arguments with which a backend may not compute what shapes allow, and the values with which it does.
COMMON = {"groups": (None, 1), "dilation_rate": (None, 1, (1, 1), [1, 1]), "data_format": (None, "channels_last")}


def check(spec: Spec, root: Path, facts: Facts | None = None) -> Network:
    """Build the network of a spec without training it; `root`: the folder of the runs that `weights` may name.

    facts: of its data, where they are known. Raises SpecError, located, where it does not fit.
    """
    return _built(spec, _facts(spec, root, facts))


def _built(spec: Spec, facts: Facts) -> Network:
    """The network, tried on a blank example, and the optimizer."""
    network = build(spec, facts, restored=True)
    probe(network, spec)
    make_optimizer(spec)
    return network


def check_shapes(spec: Spec, root: Path, facts: Facts | None = None) -> Network | None:
    """The same as `check` in a fraction of the time: JAX traces it, so that arrays have shapes and no numbers.

    For specs of which `shapes_suffice`, where JAX is loaded. None where only the backend that trains can tell. Raises
    as `check` does.
    """
    facts = _facts(spec, root, facts)
    if may_be_large(spec, facts):
        return None

    try:
        return backend.traced(lambda: _built(spec, facts))
    except DlxError as error:
        if error.__cause__ is None or _by_keras(error.__cause__):
            raise
    except Exception:  # what needs numbers cannot be traced
        pass
    return None


def _facts(spec: Spec, root: Path, facts: Facts | None) -> Facts:
    """What the data looks like; raises SpecError where a file or a run that the spec names is not there."""
    facts = facts or facts_of(spec)
    for part in all_parts(spec.layers):
        file = str(part.args["weights"]) if part.name == "pretrained" else ""
        if os.path.isabs(file) and not os.path.isfile(file):
            raise SpecError([DlxError(f"no such file: {file}", where=spec.locate(part.where))])
    if spec.weights is not None:
        donor(spec, root)
    return facts


def shapes_suffice(spec: Spec) -> bool:
    """Whether every layer of a spec is one that each backend computes where its shapes fit."""
    known = PLAIN_IN_FLOAT32 if spec.precision == "float32" else PLAIN
    return not spec.imports and all(part.name in known and _common(part) for part in all_parts(spec.layers))


def _common(part: Part) -> bool:
    return all(part.args.get(key) in values for key, values in COMMON.items())


def _by_keras(error: BaseException) -> bool:
    """Whether an error was raised by Keras's own lines, which are the same on every backend."""
    trace: Any = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename.replace(os.sep, "/")
    return "/keras/src/" in file and "/keras/src/backend/jax/" not in file
