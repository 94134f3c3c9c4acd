"""Every layer in every format: equal to the network, or refused with a reason; never written and wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import EXAMPLES, data, facts, make_spec

from dlx.commands.export import ENDS
from dlx.errors import TrainingError
from dlx.export.conversion import convert
from dlx.export.subject import Examples, Subject
from dlx.model.build import build
from dlx.system import backend

FORMATS = ("onnx", "litert", "saved_model")  # those that are each a conversion of its own
# What Keras hands to XLA, which converters do not read.
MORE: dict[str, Any] = {
    "groups of 1d": ((8, 4), {"conv1d": {"filters": 6, "kernel_size": 3, "groups": 2}}),
    "groups of 2d": ((8, 8, 4), {"conv2d": {"filters": 4, "kernel_size": 3, "groups": 4, "padding": "same"}}),
}
# What a format cannot say, and what is said of it.
REFUSED = {
    "onnx": {"discretization": "INVALID_GRAPH", "mel_spectrogram": "INVALID_GRAPH"},
    "litert": {
        "adaptive_average_pooling3d": "no operation AvgPool3D", "adaptive_max_pooling3d": "no operation MaxPool3D",
        "average_pooling3d": "no operation AvgPool3D", "max_pooling3d": "no operation MaxPool3D",
        "category_encoding": "no operation DenseBincount",
    },
    "saved_model": {},
}  # fmt: skip
# Equal or refused: the difference is about 1e-5.
NEAR = {("litert", "mel_spectrogram")}
# In every format with the fast tests: what converters get wrong, or say in a way of their own. All others are slow.
QUICK = {
    "activation", "attention", "aug_mix", "batch_normalization", "category_encoding", "conv2d", "dense", "discretization",
    "embedding", "gru", "max_pooling2d", "multi_head_attention", "normalization", "resizing", "separable_conv2d",
    "spectral_normalization", "time_distributed", "transformer_block",
} & EXAMPLES.keys()  # fmt: skip
CASES = [
    pytest.param(form, name, marks=[] if name in QUICK else [pytest.mark.slow]) for form in FORMATS for name in EXAMPLES
]


def subject(world: Path, name: str) -> Subject:
    """A network around a layer, its weights such that every part of it counts."""
    shape, example = EXAMPLES[name] if name in EXAMPLES else MORE[name]
    spec = make_spec(world, [example, *([] if name == "output" else ["flatten", "output"])])
    backend.prepare(spec.seed, spec.precision)
    network = build(spec, facts(shape))
    generator = np.random.default_rng(0)
    for variable in network.model.variables:
        if variable.dtype.startswith("float") and "variance" not in variable.name:
            variable.assign(generator.normal(0, 0.3, variable.shape))
    known = {"kind": "array", "shape": list(shape), "dtype": "float32"}
    info: dict[str, Any] = {"task": "classification", "input": known, "classes": ["a", "b", "c"]}
    inputs, _ = data(shape)
    return Subject(network, info, {"targets": 1, "steps": 0, **info}, Examples("made up", inputs))


@pytest.mark.parametrize(("form", "name"), [*CASES, *((form, name) for form in FORMATS for name in MORE)])
def test_a_layer_is_equal_in_a_format_or_refused(world: Path, form: str, name: str) -> None:
    made = subject(world, name)
    reason = REFUSED[form].get(name)
    if reason is not None:
        with pytest.raises(TrainingError, match=reason):
            convert(made, form, world / f"model{ENDS[form]}")
        return
    with contextlib.suppress(TrainingError) if (form, name) in NEAR else contextlib.nullcontext():
        found = convert(made, form, world / f"model{ENDS[form]}")
        assert found.difference <= 1e-5
        assert found.rows == len(made.examples.inputs)
