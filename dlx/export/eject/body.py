"""The section of a script that makes the network: preprocessing with its numbers, a pretrained body, first weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dlx.export.eject import code, network, sources
from dlx.export.eject.learning import Targets
from dlx.export.eject.subject import Script, Subject
from dlx.parts import blocks, efficientnet_lite
from dlx.parts.registry import Part


def section(script: Script, targets: Targets) -> str:
    """The network; returns the activation that makes probabilities of what it gives, or none."""
    subject = script.subject
    activation = subject.network.head[0].rpartition(", ")[2]
    last = None if targets.raw or activation == "linear" else activation
    script.section("The network")
    pretrained = dict(_pretrained(script))
    instead = dict(_fitted(subject)) | pretrained
    if targets.raw:
        script.lines.append(
            "# It ends in logits: a loss that takes them keeps digits which probabilities near 0 and 1 lose."
        )
    script.lines += network.network(subject.network.logits, instead, last, _names(subject.spec.layers))
    if subject.same_start or pretrained or subject.spec.weights:
        kept = {weight.path for made in subject.network.preprocess if made.statistics for weight in made.layer.weights}
        weights = [
            array
            for array, weight in zip(subject.start.weights, subject.network.logits.weights, strict=True)
            if weight.path not in kept
        ]
        script.arrays |= {f"weight_{number}": array for number, array in enumerate(weights)}
        script.lines.append(f'model.set_weights([beside[f"weight_{{number}}"] for number in range({len(weights)})])')
    script.lines.append("model.summary()")
    return activation if targets.raw else "linear"


def _names(value: Any) -> set[str]:
    """The names that a spec gives to layers."""
    if isinstance(value, Part):
        own = {value.args["name"]} if isinstance(value.args.get("name"), str) else set()
        return own | {name for item in value.args.values() for name in _names(item)}
    return {name for item in value for name in _names(item)} if isinstance(value, (list, tuple)) else set()


def _fitted(subject: Subject) -> Iterator[tuple[str, str | None]]:
    """The preprocessing that is fitted: by the name of its layer, with its numbers, or left out where it has none."""
    for number, made in enumerate(subject.network.preprocess):
        if made.statistics is None:
            continue
        if number == 0 and subject.dataset.input_scaling is not None:
            yield made.layer.name, None  # the data is scaled already
            continue
        scalar, images = made.statistics == "scalar", subject.splits.train.inputs
        if number == 0 and images.dtype == np.uint8:
            axes = "" if scalar else f"axis={tuple(range(images.ndim - 1))}"
            numbers = {"mean": f"x_train.mean({axes})", "variance": f"x_train.var({axes})"}
        else:
            known = (
                np.asarray(variable.value).reshape(-1).tolist()
                for variable in (made.layer.adapt_mean, made.layer.adapt_variance)
            )
            mean, variance = (code.literal(one[0] if scalar else one) for one in known)
            numbers = {"mean": mean, "variance": variance}
        yield made.layer.name, code.call("layers.Normalization", [], {"axis": "None" if scalar else "-1", **numbers})


def _pretrained(script: Script) -> Iterator[tuple[str, str | None]]:
    """The network of keras.applications that the spec names, made before the one around it."""
    for part in script.subject.spec.layers:
        if part.name != "pretrained":
            continue
        name = part.args["name"]
        size = tuple(script.subject.network.logits.get_layer(name).input_shape[1:])
        if name == "efficientnet_lite0":
            for text in sources.of([efficientnet_lite.network]):
                script.lines += [*text.replace("keras.layers.", "layers.").splitlines(), "", ""]
            script.lines.append(f'body = network({size}, "{name}")  # its weights are set below')
        else:
            shape = {"include_top": "False", "weights": "None", "input_shape": code.literal(size), "name": f'"{name}"'}
            script.lines.append("body = " + code.call(f"keras.applications.{blocks.NETWORKS[name][0]}", [], shape))
        trainable = part.args.get("trainable")
        trainable = part.args["weights"] == "none" if trainable is None else trainable
        for text in sources.of([blocks._unfreeze]):
            script.lines += ["", *text.splitlines(), ""]
        script.lines += [f"_unfreeze(body, {code.literal(trainable)})", ""]
        yield name, "body"
