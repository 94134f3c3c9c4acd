"""Max pooling for a GPU is Keras's, and so is its gradient."""

from __future__ import annotations

import pytest
from conftest import modules_after

PROGRAM = """
import os
os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
import jax, jax.numpy as jnp, numpy as np
from keras.src.backend.jax import nn
from dlx.system.pooling import faster, pooled
calls = []
own = faster(lambda *given, **named: calls.append(given) or nn.max_pool(*given, **named))
for shape, size, strides, padding, fits in (
    ((3, 8, 8, 5), (2, 2), (2, 2), "valid", True), ((3, 8, 6, 5), (2, 2), (2, 2), "same", True),
    ((2, 9, 6, 3), (3, 2), (3, 2), "valid", True), ((2, 9, 9, 3), (2, 2), (2, 2), "same", False),
    ((2, 8, 8, 3), (3, 3), (2, 2), "same", False),
):
    # Few numbers, so that many pixels of a window are the largest.
    x = jnp.array(np.random.default_rng(0).integers(0, 4, shape), jnp.float32)
    weights = jnp.arange(nn.max_pool(x, size, strides, padding, "channels_last").size, dtype=jnp.float32)
    def loss(pool, x):
        return (pool(x, size, strides, padding, "channels_last").ravel() * weights).sum()
    before = len(calls)
    (value, gradient), (other, expected) = (jax.value_and_grad(loss, 1)(pool, x) for pool in (own, nn.max_pool))
    assert (len(calls) == before) is fits, (shape, size)
    assert value == other
    assert (gradient == expected).all(), (shape, size)
"""


def test_pooling_and_its_gradient_are_those_of_keras() -> None:
    pytest.importorskip("jax")
    assert "jax" in modules_after(PROGRAM)


def test_a_cpu_pools_as_before() -> None:
    pytest.importorskip("jax")
    load = "import sys\nfrom dlx.system import backend\nbackend.want('jax', 'cpu')\nbackend.load()\n"
    assert "jax" in modules_after(f"{load}assert 'dlx.system.pooling' not in sys.modules")
