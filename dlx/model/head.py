"""The head: the last layer, its activation, the loss and the metrics, chosen together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlx.data.scaling import Scaling
from dlx.model.keras_errors import sentence
from dlx.model.layers import Layers
from dlx.parts import losses, metrics
from dlx.parts.registry import Part
from dlx.spec.sections import Spec
from dlx.system.backend import keras

Loss = Callable[..., Any]


def make_head(layers: Layers, part: Part, x: Any) -> tuple[Any, str]:
    """(logits, the name of the activation behind them) of the last layer."""
    activation = part.args.get("activation")
    if part.name == "activation":
        logits = keras.layers.Activation("linear", dtype="float32")(x)
    else:
        if part.name == "output":
            part = _output(layers, part, x)
            activation = part.args["activation"]
        if part.name in ("output", "dense"):
            layer = layers.make(Part(part.name, {**part.args, "activation": None}, part.where))
        else:
            layer, activation = layers.make(part), "linear"
        each_step = part.name == "output" and len(x.shape) == 3
        x = layers.apply(part, layer, x)
        if each_step and not layers.facts.steps:  # the unit of each step is the target of that step
            x = keras.layers.Flatten()(x)
        logits = keras.layers.Activation("linear", dtype="float32")(x)
    activation = activation or "linear"
    _check_shape(layers, part, tuple(logits.shape[1:]))
    _check_activation(layers, part, tuple(logits.shape[1:]), activation)
    return logits, activation


def _output(layers: Layers, part: Part, x: Any) -> Part:
    """`output` with the units and the activation that fit the data."""
    facts = layers.facts
    classes, steps = facts.task == "classification", facts.steps
    each_step = len(x.shape) == 3 and not classes and x.shape[1] == facts.targets
    if steps and (len(x.shape) != 3 or x.shape[1] != steps):
        raise layers.problem(
            part.where,
            f"the data has a class for each of {steps} steps, but this input has the shape {tuple(x.shape[1:])}",
            "keep the steps: return_sequences: true in recurrent layers, padding: same in convolutions, no flatten",
        )
    if len(x.shape) != 2 and not each_step and not steps:
        raise layers.problem(
            part.where,
            f"output expects one row an example, but its input has the shape {tuple(x.shape[1:])}",
            "put global_average_pooling1d or flatten before it; after a recurrent layer leave return_sequences out"
            if len(x.shape) == 3
            else "put flatten or global_average_pooling2d before it",
        )
    units, activation = part.args["units"], part.args["activation"]
    if each_step:
        units = 1
    elif units == "auto" and not classes:
        units = facts.targets
    elif units == "auto":
        count = len(facts.classes)
        units = 1 if activation == "sigmoid" and count == 2 else count
    if activation == "auto":
        sigmoid = facts.task == "multi_label" or (classes and units == 1)
        activation = "sigmoid" if sigmoid else "softmax" if classes else "linear"
    return Part(part.name, {**part.args, "units": units, "activation": activation}, part.where)


def _check_shape(layers: Layers, part: Part, shape: tuple[int, ...]) -> None:
    """Raise SpecError where the network does not end in a number for each class, label or target."""
    facts = layers.facts
    wanted = len(facts.classes) if facts.task == "classification" else facts.targets
    noun = {"classification": "class", "regression": "target", "multi_label": "label"}[facts.task]
    count = f"{wanted} {noun}" + ("" if wanted == 1 else "es" if noun == "class" else "s")
    steps = (facts.steps,) if facts.steps else ()
    one_unit = facts.task == "classification" and wanted == 2 and shape == (*steps, 1)
    if shape != (*steps, wanted) and not one_unit:
        raise layers.problem(
            part.where,
            f"the network ends in the shape {shape}, but the data has {count}: expected {(*steps, wanted)}",
            "end it with `output`, which fits itself to the data" + ("; flatten before it" if len(shape) > 1 else ""),
        )


def _check_activation(layers: Layers, part: Part, shape: tuple[int, ...], activation: str) -> None:
    """Raise SpecError where the activation cannot give what the task needs."""
    task = layers.facts.task
    if activation == "softmax" and shape == (1,):
        raise layers.problem(part.where, "softmax over one unit is always 1", "activation: sigmoid, or two units")
    usual = {"classification": ("softmax", "sigmoid"), "multi_label": ("sigmoid",)}.get(task, (activation,))
    if activation in usual:
        return
    if activation == "linear" and part.name != "output":  # a forgotten activation, more often than a choice
        kind = "classes need probabilities" if task == "classification" else "each label is a question of its own"
        raise layers.problem(
            part.where,
            f"the network ends with the activation {activation}, but {kind}",
            f"expected {' or '.join(usual)}; or end it with `output`, which takes any activation",
        )


def make_loss(layers: Layers, activation: str, units: int) -> tuple[str, Loss]:
    """The loss that the spec sets, or that the task and the head ask for, after its name."""
    part = layers.spec.loss
    if not isinstance(part, Part):
        usual = {
            "classification": ("categorical_crossentropy", "binary_crossentropy"),
            "multi_label": ("binary_crossentropy",),
        }
        fitting = [name for name in usual.get(layers.facts.task, ()) if losses.HEADS[name][0] == activation]
        part = Part(fitting[0] if fitting else "mean_squared_error")
    defined = losses.HEADS.get(part.name, (activation,))
    if activation not in defined or (units == 1 and defined[0] == "softmax"):
        raise layers.problem(
            "loss",
            f"{part.name} expects a head with {defined[0]}, but the network ends with {activation}",
            "loss: auto fits the head; mean_squared_error takes any",
        )
    loss: Loss = layers.spec.registries["loss"].make(part)
    return part.name, loss


def scales_targets(layers: Layers, activation: str) -> bool:
    """Whether the head learns scaled targets: `output` of a regression, unless the spec turns it off."""
    head = layers.spec.layers[-1]
    asked = head.name == "output" and head.args.get("scale_targets") is not False
    return layers.facts.task == "regression" and activation == "linear" and asked


def unscale(logits: Any, scaling: Scaling | None, variables: bool) -> Any:
    """The layer that puts scaled values back into the data's unit, applied: by constants, or by `variables`."""
    if variables:
        return keras.layers.Normalization(axis=-1, invert=True, dtype="float32", name="predictions")(logits)
    numbers = (scaling.deviation.tolist(), scaling.mean.tolist()) if scaling is not None else (1.0, 0.0)
    return keras.layers.Rescaling(*numbers, dtype="float32", name="predictions")(logits)


def metrics_factory(layers: Layers, units: int) -> Callable[[], list[Any]]:
    """What makes fresh metrics; each is fed a made-up example once, to find what does not fit."""
    spec, task = layers.spec, layers.facts.task
    parts, registry = metric_parts(spec, task), spec.registries["metric"]
    made = [registry.make(part, _units=units, _task=task) for part in parts]
    for part, metric in zip(parts, made, strict=True):
        try:
            metrics.update(metric, *metrics.example(task == "classification", units))
        except Exception as error:  # Keras's, or whatever user code raises
            raise layers.problem(part.where, sentence(error)) from error
    return lambda: [registry.make(part, _units=units, _task=task) for part in parts]


def metric_parts(spec: Spec, task: str) -> list[Part]:
    """The metrics of a spec: its own, or those that are usual for the task."""
    if spec.metrics != "auto":
        return list(spec.metrics)
    auto = {"classification": ["accuracy"], "regression": ["mae"], "multi_label": ["accuracy", "exact_match"]}
    return [Part(name) for name in auto[task]]
