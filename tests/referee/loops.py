"""Specs of unusual settings, and the same trainings as somebody writes them in plain Keras, a batch at a time.

Where nothing is drawn at random, the losses of every epoch must be equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import figures as referee
import numpy as np

import dlx as api
from dlx import spec as specs
from dlx.engine.fit import compile_program
from dlx.engine.plan import seed_of
from dlx.model.build import build, make_optimizer
from dlx.system.backend import keras
from dlx.training.experiment import plan_of, prepare

Array = np.ndarray
ROWS, CLASSES, L2 = 72, 3, 0.01


def _dense(units: int, **more: Any) -> Any:
    return keras.layers.Dense(units, **more)


def _l2() -> Any:
    return keras.regularizers.L2(L2)


def perceptron(x: Any, **more: Any) -> Any:
    """The network of most of them: one hidden layer."""
    return _dense(CLASSES, **({} if more.pop("bare", False) else _same(more)))(_dense(8, activation="tanh", **more)(x))


def _same(more: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in more.items() if key == "kernel_regularizer"}


@dataclass
class Loop:
    """A spec's settings, and what somebody writes instead of them.

    shape: of an input; network: a function of Keras's tensor of inputs, to logits; optimizer: (class, arguments).
    """

    settings: dict[str, Any]
    shape: tuple[int, ...] = (5,)
    network: Callable[[Any], Any] = perceptron
    optimizer: tuple[str, dict[str, Any]] = ("SGD", {})
    loss: Callable[[], Any] = lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    one_hot: bool = False
    weights: bool = False
    rows: int = ROWS
    extra: dict[str, Any] = field(default_factory=dict)


MLP: list[Any] = [{"dense": {"units": 8, "activation": "tanh"}}, "output"]


def _optimizer(name: str, kind: str, **arguments: Any) -> Loop:
    return Loop({"optimizer": {name: arguments} if arguments else name, "layers": MLP}, optimizer=(kind, arguments))


def _schedule(name: str, **arguments: Any) -> Loop:
    return Loop({"optimizer": "sgd", "lr": 0.3, "layers": MLP, "schedule": {name: arguments}})


def _penalized(layers: list[Any], shape: tuple[int, ...], network: Callable[[Any], Any]) -> Loop:
    return Loop({"optimizer": "sgd", "layers": [*layers, "output"], "regularization": {"l2": L2}}, shape, network)


def _head(x: Any) -> Any:
    return _dense(CLASSES, kernel_regularizer=_l2())(x)


def _residual(x: Any) -> Any:
    y = keras.layers.Conv2D(4, 3, strides=2, padding="same", kernel_regularizer=_l2())(x)
    shortcut = keras.layers.Conv2D(4, 1, use_bias=False, kernel_regularizer=_l2())(x[:, ::2, ::2])
    return _head(keras.layers.Flatten()(keras.layers.Activation("relu")(keras.layers.Add()([shortcut, y]))))


def _residual_dense(x: Any) -> Any:
    y = _dense(7, activation="relu", kernel_regularizer=_l2())(x)
    return _head(keras.layers.Add()([_dense(7, use_bias=False, kernel_regularizer=_l2())(x), y]))


def _positions(x: Any) -> Any:
    places = keras.layers.Embedding(x.shape[1], x.shape[2], embeddings_regularizer=_l2())
    ones = keras.ops.ones_like(x[:, :, 0])
    y = keras.layers.Add()([x, places(keras.ops.cumsum(keras.ops.cast(ones, "int32"), axis=1) - 1)])
    return _head(keras.layers.Flatten()(y))


def _squeeze(x: Any) -> Any:
    y = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = _dense(2, activation="relu", kernel_regularizer=_l2())(y)
    y = keras.layers.Multiply()([x, _dense(4, activation="sigmoid", kernel_regularizer=_l2())(y)])
    return _head(keras.layers.Flatten()(y))


def _separable(x: Any) -> Any:
    more = {"depthwise_regularizer": _l2(), "pointwise_regularizer": _l2()}
    return _head(keras.layers.GlobalMaxPooling2D()(keras.layers.SeparableConv2D(5, 3, **more)(x)))


def _recurrent(x: Any) -> Any:
    cell = keras.layers.LSTM(4, kernel_regularizer=_l2(), recurrent_regularizer=_l2())
    return _head(keras.layers.Bidirectional(cell)(x))


def _attention(x: Any) -> Any:
    return _head(
        keras.layers.GlobalAveragePooling1D()(keras.layers.MultiHeadAttention(2, 3, kernel_regularizer=_l2())(x, x))
    )


def _constrained(x: Any) -> Any:
    y = _dense(
        8,
        activation="tanh",
        kernel_constraint=keras.constraints.MaxNorm(0.5),
        bias_constraint=keras.constraints.NonNeg(),
    )(x)
    return _dense(CLASSES)(y)


def _own_penalties(x: Any) -> Any:
    y = _dense(
        8,
        activation="tanh",
        kernel_regularizer=keras.regularizers.L1L2(0.002, 0.03),
        bias_regularizer=keras.regularizers.L2(0.1),
    )(x)
    return _dense(CLASSES)(y)


CONSTRAINED = {"units": 8, "activation": "tanh", "kernel_constraint": {"max_norm": 0.5}, "bias_constraint": "non_neg"}
OWN = {
    "units": 8,
    "activation": "tanh",
    "kernel_regularizer": {"l1": 0.002, "l2": 0.03},
    "bias_regularizer": {"l2": 0.1},
}

LOOPS: dict[str, Loop] = {
    "sgd_nesterov": _optimizer("sgd", "SGD", momentum=0.8, nesterov=True),
    "sgd_decay": _optimizer("sgd", "SGD", momentum=0.5, weight_decay=0.05),
    "clipnorm": _optimizer("sgd", "SGD", clipnorm=0.05),
    "clipvalue": _optimizer("sgd", "SGD", clipvalue=0.01),
    "global_clipnorm": _optimizer("adam", "Adam", global_clipnorm=0.02),
    "adam_amsgrad": _optimizer("adam", "Adam", amsgrad=True, beta_1=0.8, epsilon=1e-4),
    "adamw": _optimizer("adamw", "AdamW", weight_decay=0.1),
    "adamax": _optimizer("adamax", "Adamax"),
    "nadam": _optimizer("nadam", "Nadam"),
    "rmsprop": _optimizer("rmsprop", "RMSprop", momentum=0.6, centered=True),
    "adagrad": _optimizer("adagrad", "Adagrad", initial_accumulator_value=0.2),
    "adadelta": _optimizer("adadelta", "Adadelta"),
    "ftrl": _optimizer("ftrl", "Ftrl", l1_regularization_strength=0.001),
    "lion": _optimizer("lion", "Lion"),
    "adafactor": _optimizer("adafactor", "Adafactor"),
    "lamb": _optimizer("lamb", "Lamb"),
    "cosine": _schedule("cosine", warmup=0.25, final=0.1),
    "cosine_restarts": _schedule("cosine_restarts", cycles=3, shrink=0.5, final=0.1),
    "exponential": _schedule("exponential", final=0.05),
    "polynomial": _schedule("polynomial", power=2.0, final=0.1, warmup=0.2),
    "inverse_time": _schedule("inverse_time", decay=5.0),
    "step": _schedule("step", at=[0.3, 0.7], factor=0.2),
    "residual": _penalized([{"residual": {"layers": [{"conv2d": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}}], "activation": "relu"}}, "flatten"], (6, 6, 2), _residual),
    "residual_dense": _penalized([{"residual": [{"dense": {"units": 7, "activation": "relu"}}]}], (5,), _residual_dense),
    "position_embedding": _penalized(["position_embedding", "flatten"], (4, 3), _positions),
    "squeeze_excite": _penalized([{"squeeze_excite": 2}, "flatten"], (4, 4, 4), _squeeze),
    "separable": _penalized([{"separable_conv2d": {"filters": 5, "kernel_size": 3}}, "global_max_pooling2d"], (6, 6, 2), _separable),
    "bidirectional": _penalized([{"bidirectional": {"lstm": 4}}], (5, 3), _recurrent),
    "attention": _penalized([{"multi_head_attention": {"num_heads": 2, "key_dim": 3}}, "global_average_pooling1d"], (4, 6), _attention),
    "constraints": Loop({"optimizer": "sgd", "layers": [{"dense": CONSTRAINED}, "output"]}, network=_constrained),
    "own_penalties": Loop({"optimizer": "sgd", "layers": [{"dense": OWN}, "output"]}, network=_own_penalties),
    "class_weights": Loop({"optimizer": "sgd", "layers": MLP, "class_weight": "balanced"}, weights=True),
    "label_smoothing": Loop(
        {"optimizer": "sgd", "layers": MLP, "loss": {"categorical_crossentropy": {"label_smoothing": 0.2}}}, one_hot=True,
        loss=lambda: keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2),
    ),
    "focal": Loop(
        {"optimizer": "sgd", "layers": MLP, "loss": {"categorical_focal_crossentropy": {"gamma": 1.5, "alpha": 0.4}}}, one_hot=True,
        loss=lambda: keras.losses.CategoricalFocalCrossentropy(from_logits=True, gamma=1.5, alpha=0.4),
    ),
}  # fmt: skip


def compare(name: str, folder: Path) -> list[tuple[float, float]]:
    """(dlx's loss, the loop's) of the train and the validation split after each epoch of a spec."""
    loop = LOOPS[name]
    random = np.random.default_rng(len(name))
    inputs = random.normal(size=(loop.rows, *loop.shape)).astype(np.float32)
    targets = (inputs.reshape(loop.rows, -1)[:, :CLASSES]).argmax(axis=1)
    np.savez(folder / f"{name}.npz", x=inputs, y=targets)
    settings = {"lr": 0.05, **loop.settings}
    text = {
        "dataset": {"npz": f"{name}.npz"},
        "task": "classification",
        "validation": 0.25,
        "batch_size": 16,
        "epochs": 4,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({**text, **settings}))
    rows = api.run(path, runs_dir=folder / "runs", verbose=0).history.to_dict("records")
    experiment = prepare(specs.load(path))
    network = build(experiment.spec, experiment.facts)
    plan, train, held = plan_of(experiment), experiment.splits.train, experiment.splits.validation
    assert held is not None
    start = [np.array(weight) for weight in network.logits.get_weights()]
    program = compile_program(network, make_optimizer(experiment.spec), plan, (train.inputs, train.targets), None)
    orders = [program.pieces.order(seed_of(plan.seed, "order"), epoch) for epoch in range(4)]
    pairs = []
    for row, (trained, validated) in zip(rows, _by_hand(loop, settings, start, orders, train, held), strict=True):
        pairs += [(row["train_loss"], trained), (row["val_loss"], validated)]
    return pairs


def _by_hand(
    loop: Loop, settings: dict[str, Any], start: list[Array], orders: list[Array], train: Any, held: Any
) -> list[tuple[float, float]]:
    """The losses of the train and the validation split after each epoch."""
    given = keras.Input(loop.shape)
    model = keras.Model(given, loop.network(given))
    model.set_weights(start)
    kind, arguments = loop.optimizer
    optimizer = getattr(keras.optimizers, kind)(learning_rate=settings["lr"], **arguments)
    model.compile(optimizer=optimizer, loss=loop.loss(), jit_compile=False)
    spread = (lambda y: np.eye(CLASSES, dtype=np.float32)[y]) if loop.one_hot else (lambda y: y)
    balanced = dict(enumerate(referee.class_weights(train.targets, CLASSES))) if loop.weights else None
    schedule, more = next(iter(settings["schedule"].items())) if "schedule" in settings else ("constant", {})
    batches = -(-len(train) // 16)
    losses = []
    for epoch, order in enumerate(orders):
        total = 0.0
        for batch in range(batches):
            progress = (epoch * batches + batch) / (len(orders) * batches)
            optimizer.learning_rate = settings["lr"] * referee.rate(schedule, more, progress)
            rows = order[16 * batch : 16 * batch + 16]
            model.reset_metrics()
            loss = model.train_on_batch(train.inputs[rows], spread(train.targets[rows]), class_weight=balanced)
            total += float(np.asarray(loss)) * len(rows)
        validated = model.evaluate(held.inputs, spread(held.targets), batch_size=len(held), verbose=0)
        losses.append((total / len(train), float(validated)))
    return losses
