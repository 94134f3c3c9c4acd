"""From parts to a keras.Model: raw inputs in, probabilities or values out, preprocessing inside."""

from __future__ import annotations

import re
from typing import Any, Literal

from dlx.data.dataset import Facts
from dlx.data.scaling import Scaling
from dlx.errors import DlxError, SpecError
from dlx.model.check import check_size, may_be_large
from dlx.model.head import make_head, make_loss, metrics_factory, scales_targets, unscale
from dlx.model.keras_errors import sentence
from dlx.model.layers import Layers
from dlx.model.network import Network
from dlx.parts.augment import Mix
from dlx.spec.sections import Spec
from dlx.system import backend
from dlx.system.backend import keras

# First layers that take whole numbers as they are.
TOKENS = ("embedding", "reversible_embedding", "category_encoding")


def build(
    spec: Spec,
    facts: Facts,
    *,
    targets: Scaling | None = None,
    restored: bool = False,
    scaled: Literal["constants", "variables", "no"] = "constants",
    file_size: int | None = None,
) -> Network:
    """The network of a spec for inputs and targets as in `facts`, its names and seeds started again. Loads Keras.

    `targets`: mean and deviation of a regression's. `restored`: weights will be loaded into it, so no pretrained ones
    are fetched. `scaled`: how the model puts scaled targets back; "variables" and "no" are for runs made by an earlier
    dlx. `file_size`: the bytes of the file that the weights are in, where there is one.

    Raises TrainingError where its weights alone do not fit into memory, and SpecError, located at the layer, where one
    cannot follow another or the head does not fit the task.
    """
    backend.prepare(spec.seed, spec.precision)
    if may_be_large(spec, facts):
        try:
            check_size(spec, lambda: int(_assemble(spec, facts, True, targets, scaled).model.count_params()), file_size)
        finally:  # else Keras would make the counted weights with those of the next network
            backend.prepare(spec.seed, spec.precision)
    return _assemble(spec, facts, restored, targets, scaled)


def _assemble(spec: Spec, facts: Facts, restored: bool, targets: Scaling | None, scaled: str) -> Network:
    layers = Layers(spec, facts, restored)
    tokens = facts.integer and bool(spec.layers) and spec.layers[0].name in TOKENS
    inputs = keras.Input(facts.shape, dtype="int32" if tokens else "float32", name="input")
    x, fitted = inputs, []
    for part in spec.preprocess:
        preprocess = spec.registries["preprocess"].make(part)
        x = layers.apply(part, preprocess.layer, x)
        fitted.append(preprocess)
    for part in spec.layers[:-1]:
        x = layers.apply(part, layers.make(part), x)
    logits, activation = make_head(layers, spec.layers[-1], x)
    units = int(logits.shape[-1])
    loss_name, loss = make_loss(layers, activation, units)
    scales = scaled != "no" and scales_targets(layers, activation)
    if scales:
        predictions = unscale(logits, targets, scaled == "variables")
    else:
        predictions = keras.layers.Activation(activation, dtype="float32", name="predictions")(logits)
    try:
        model = keras.Model(inputs, predictions, name=_identifier(spec.name))
        body = keras.Model(inputs, logits, name="logits")
    except (ValueError, RecursionError) as error:  # a name given twice: inside repeat, or one that Keras has given
        hint = "give each layer another name; one inside repeat needs none, and input and predictions are taken"
        raise layers.problem("layers", sentence(error), hint) from error
    return Network(
        model=model,
        logits=body,
        activation=keras.activations.get(activation),
        loss=loss,
        metrics=metrics_factory(layers, units),
        preprocess=fitted,
        augment=augmentations(spec, facts),
        units=units,
        classes=facts.task == "classification",
        scales=scales,
        target_scaling=targets,
        applied=layers.applied,
        head=(f"{_last(spec.layers[-1].name, units)}, {activation}", loss_name),
    )


def _last(name: str, units: int) -> str:
    return name if name == "activation" else f"{'dense' if name == 'output' else name}({units})"


def make_optimizer(spec: Spec) -> Any:
    """The optimizer of a spec, its learning rate a variable; scales the loss under mixed_float16."""
    try:
        optimizer = spec.registries["optimizer"].make(spec.optimizer, _learning_rate=spec.lr)
    except Exception as error:  # Keras checks what a signature cannot say, nesterov without momentum for one
        raise SpecError([DlxError(sentence(error), where=spec.locate(f"optimizer.{spec.optimizer.name}"))]) from error
    return keras.optimizers.LossScaleOptimizer(optimizer) if spec.precision == "mixed_float16" else optimizer


def _identifier(name: str) -> str:
    """A name as TensorFlow's scopes take it."""
    text = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"m{text}" if text.startswith("_") else text


def augmentations(spec: Spec, facts: Facts) -> list[Any]:
    """The augmentations of a spec, each tried on a blank image. Raises SpecError, located."""
    functions, registry = [], spec.registries["augment"]
    for number, part in enumerate(spec.augment):
        try:
            augment = registry.make(part)
            blank = keras.ops.zeros((2, *facts.shape))
            (augment.apply if isinstance(augment, Mix) else augment)(blank, keras.random.SeedGenerator(0))
        except Exception as error:  # Keras's, or whatever user code raises
            where = spec.locate(part.where or f"augment.{number}")
            raise SpecError([DlxError(sentence(error), where=where)]) from error
        functions.append(augment)
    return functions
