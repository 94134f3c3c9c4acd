"""Where XLA makes a training on TensorFlow faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

FUSED_STEPS = 5_000  # fewer steps do not repay XLA's two seconds of compiling
FUSED_SIZE = 1_000_000  # parameters times the examples of a step: what is more is worth two cores
FUSED_LAYERS = {
    "InputLayer", "Dense", "Activation", "Flatten", "Reshape", "Rescaling", "Normalization", "BatchNormalization",
    "LayerNormalization", "LeakyReLU", "Add",
}  # fmt: skip
RECURRENT = {"SimpleRNN", "LSTM", "GRU"}
FUSED_OPTIMIZERS = {"SGD", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta", "Lion"}
FUSED_NUMBERS = 1_000_000_000  # parameters times steps: what is less does not repay half a second of compiling


def fuses_update(loop: Any) -> bool:
    """Whether XLA makes the optimizer's step faster: many numbers that it goes over once instead of ten times."""
    numbers = sum(int(np.prod(variable.shape)) for variable in loop.trainable) * loop.plan.steps
    plain = type(loop.optimizer).__name__ in FUSED_OPTIMIZERS
    return not loop.fused and plain and numbers >= FUSED_NUMBERS and not tf.config.get_visible_devices("GPU")


def fuses(loop: Any) -> bool:
    """Whether XLA makes the loop faster: many small steps of a dense or recurrent network, on a CPU.

    Such a step is two hundred tiny operations, which it fuses: 15 times faster for two moons, 4 for one layer on
    MNIST. Its convolutions and its random numbers are slower than TensorFlow's, and it uses one core.
    """
    kinds = {type(layer).__name__ for layer in loop.model.layers}
    small = sum(int(np.prod(v.shape)) for v in loop.trainable) * loop.plan.batch_size <= FUSED_SIZE
    enough = loop.plan.steps >= FUSED_STEPS * (2 if kinds & RECURRENT else 1)
    plain = kinds <= FUSED_LAYERS | RECURRENT and not loop.generators
    return small and enough and plain and not tf.config.get_visible_devices("GPU")
