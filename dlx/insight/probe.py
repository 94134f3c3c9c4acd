"""A network as it begins, tried on real data: what would go wrong in its training, each with the figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Split
from dlx.inference.evaluate import data_loss
from dlx.inference.forward import forward, in_batches
from dlx.insight import brief
from dlx.insight.probed import LARGEST_LOSS, LEARNED, MOST_DEAD, Probed, scaling_for
from dlx.model.network import Network
from dlx.parts.registry import Part
from dlx.spec.rules import all_parts
from dlx.system.backend import keras
from dlx.training.experiment import Experiment

if TYPE_CHECKING:
    import numpy as np

EXAMPLES, BATCH, STEPS = 256, 32, 150  # that are looked at; that are learned by heart, in so many steps
ENOUGH = 0.3  # times the loss of an even guess: there the probe ends
ADAM, ADAM_RATE = Part("adam", {}), 1e-3
SLOW = ("simple_rnn", "lstm", "gru", "bidirectional", "embedding")  # layers that need more steps to begin
MORE_STEPS = 1000


@dataclass(frozen=True)
class Check:
    """One question to the network: its rule, whether it passed, what was seen, and the change to type if not."""

    rule: str
    passed: bool
    message: str
    change: str = ""
    where: str = "layers"


def probe(experiment: Experiment) -> Probed:
    """Measure the network of an experiment as it begins. Takes a few seconds; trains on 32 examples and forgets it."""
    import numpy as np

    network = brief.network(experiment)
    split, batch = brief.sample(experiment, EXAMPLES), brief.sample(experiment, BATCH, seed=1)
    logits = np.concatenate(list(forward(network.logits, in_batches(split.inputs))))
    even = data_loss(network, split, np.broadcast_to(_even(network, split, logits), logits.shape))
    own = brief.train(experiment, batch, STEPS, enough=ENOUGH * even)
    gradient = brief.train(experiment, split, 1, Part("sgd", {}), 1.0)
    usual = experiment.spec.optimizer.name == "adam" and abs(math.log10(experiment.spec.lr / ADAM_RATE)) < 0.1
    adam = own if usual else brief.train(experiment, batch, STEPS, ADAM, ADAM_RATE, enough=ENOUGH * even)
    rate = experiment.spec.lr if usual else ADAM_RATE
    if _end(adam.losses) > LEARNED * even and any(part.name in SLOW for part in all_parts(experiment.spec.layers)):
        rate = 10 * ADAM_RATE
        adam = brief.train(experiment, batch, MORE_STEPS, ADAM, rate, enough=ENOUGH * even)
    hidden, dead = _hidden(network, split)
    update, largest = _update(own)
    ratio, without = _gradient(gradient)
    return Probed(
        optimizer=experiment.spec.optimizer.name,
        even=even,
        start=data_loss(network, split, logits),
        rms=_rms(network, split),
        update=update,
        largest_update=largest,
        dead=dead[1],
        dead_layer=dead[0],
        gradient=ratio,
        without=without,
        spread=1.0 if _tokens(network) else hidden,  # embeddings begin small
        same=bool(np.ptp(logits, axis=0).max() <= 1e-6 * max(float(np.abs(logits).max()), 1e-30)),
        own=_end(own.losses),
        adam=_end(adam.losses),
        adam_rate=rate,
        highest=max([loss if math.isfinite(loss) else math.inf for loss in own.losses], default=math.inf),
        steps=len(own.losses),
    )


def _end(losses: Sequence[float]) -> float:
    """The loss of the last steps, their median, so that one unlucky dropout does not count; not finite is infinite."""
    import statistics

    last = losses[-10:]
    return statistics.median(last) if last and all(map(math.isfinite, last)) else math.inf


def _even(network: Network, split: Split, logits: np.ndarray) -> Any:
    """The outputs of an even guess: all classes alike; of values the mean."""
    import numpy as np

    if network.classes or not network.target_scaling:
        return np.zeros(logits.shape[1:], np.float32)
    return np.asarray(network.learned(split.targets), np.float32).mean(axis=0)


def _rms(network: Network, split: Split) -> float:
    import numpy as np

    count = len(network.preprocess)
    inputs = np.asarray(split.inputs)
    if count:
        inputs = np.concatenate(list(forward(_until(network, network.applied[count - 1][1]), in_batches(inputs))))
    elif inputs.dtype.kind in "iu" and _tokens(network):
        return 0.0
    return float(np.sqrt(np.square(inputs.astype(np.float64)).mean()))


def _tokens(network: Network) -> bool:
    return str(network.model.inputs[0].dtype).startswith("int")


def _until(network: Network, tensor: Any) -> Any:
    return keras.Model(network.model.inputs[0], tensor)


RELUS = ("relu", "relu6")


def _hidden(network: Network, split: Split) -> tuple[float, tuple[str, float]]:
    """(the sd over examples of the last hidden layer's outputs; the layer of relu with the most dead units)"""
    import numpy as np

    layers = [layer for layer in network.logits.layers if layer.name != "input" and hasattr(layer, "output")]
    relu = [layer for layer in layers if _is_relu(layer)]
    weighted = [layer for layer in layers if layer.trainable_weights]
    before = weighted[-1].input if weighted else None
    wanted = [layer.output for layer in relu] + ([before] if before is not None else [])
    if not wanted:
        return 1.0, ("", 0.0)
    outputs = _until(network, wanted)(np.asarray(split.inputs), training=False)
    arrays = [np.asarray(keras.ops.convert_to_numpy(output)) for output in outputs]
    spread = float(arrays[-1].std(axis=0).mean()) if before is not None and len(weighted) > 1 else 1.0
    dead = [(layer.name, _dead(array)) for layer, array in zip(relu, arrays, strict=False)]
    return spread, max(dead, key=lambda one: one[1], default=("", 0.0))


def _is_relu(layer: Any) -> bool:
    named = getattr(getattr(layer, "activation", None), "__name__", "")
    return named in RELUS or type(layer).__name__ == "ReLU"


def _dead(outputs: np.ndarray) -> float:
    """The share of units, the last axis, that answer 0 everywhere."""
    return float((outputs.reshape(-1, outputs.shape[-1]).max(axis=0) <= 0).mean())


def _kernels(steps: brief.Steps) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, weights, what the step changed) of the weights with two axes or more that are trained."""
    for name, trained, before, after in zip(steps.names, steps.trained, steps.before, steps.after, strict=True):
        if trained and before.ndim > 1:
            yield name, before, after - before


def _size(array: np.ndarray) -> float:
    import numpy as np

    return float(np.sqrt(np.square(array.astype(np.float64)).mean()))


def _update(steps: brief.Steps) -> tuple[float, float]:
    import statistics

    ratios = [_size(change) / size for _, before, change in _kernels(steps) if (size := _size(before)) > 0]
    finite = [ratio if math.isfinite(ratio) else math.inf for ratio in ratios]
    return (statistics.median(finite), max(finite)) if finite else (0.01, 0.01)


def _gradient(steps: brief.Steps) -> tuple[float, Sequence[str]]:
    sizes = {name: _size(change) for name, _, change in _kernels(steps) if "embedding" not in name}
    without = [name.split("/")[0] for name, size in sizes.items() if size == 0]
    ordered = list(sizes.values())
    if len(ordered) < 2 or ordered[-1] == 0:
        return (1.0, without)
    return ordered[0] / ordered[-1], without


# Questions


def checks(figures: Probed, experiment: Experiment) -> list[Check]:
    """The questions to what was measured, in the order in which they are asked."""
    return [
        Check(
            "input_scale",
            not figures.unscaled,
            f"the first layer's input has an RMS of {figures.rms:.3g}"
            if figures.rms
            else "the first layer takes words",
            f"preprocess: [{scaling_for(experiment.dataset.kind)}]",
            "preprocess",
        ),
        _start(figures, experiment),
        Check(
            "outputs_depend_on_inputs",
            not figures.stuck,
            "one answer for every example" if figures.stuck else "other inputs have other outputs",
            "look for a layer that passes nothing on: zeros as weights, a dropout near 1, dead units",
        ),
        _dead_units(figures),
        _gradients(figures),
        _steps(figures, experiment),
        _one_batch(figures),
    ]


def _start(figures: Probed, experiment: Experiment) -> Check:
    """A high loss at the start alone is no failure: a network that learns its batch gets over it."""
    classes = len(experiment.dataset.classes) if experiment.dataset.task == "classification" else 0
    guess = f"an even guess has {figures.even:.3g}"
    if classes and abs(figures.even - math.log(classes)) < 0.01:
        guess = f"ln {classes} is {math.log(classes):.3g}"
    elif experiment.dataset.task == "regression":
        guess = f"always the mean has {figures.even:.3g}"
    high = figures.start > LARGEST_LOSS * max(figures.even, 1e-9)
    passed = not high or (figures.learns and not figures.unscaled)
    words = f"loss at the start {figures.start:.3g}; {guess}"
    return Check("loss_at_start", passed, words, "smaller initial weights, or scaled inputs")


def _dead_units(figures: Probed) -> Check:
    name, share = figures.dead_layer, figures.dead
    words = f"{100 * share:.0f} % of {name}'s units answer 0 to every example" if name else "no relu that could die"
    change = "bias_initializer: zeros, kernel_initializer: he_normal"
    return Check("dead_units", share <= MOST_DEAD, words, change)


def _gradients(figures: Probed) -> Check:
    of_last, spread = f"{figures.gradient:.2g}", f"{figures.spread:.2g}"
    words = f"the first kernel's gradient is {of_last} of the last one's; hidden outputs vary by {spread}"
    if figures.without:
        words = f"no gradient reaches {', '.join(figures.without[:3])}"
    change = "activation: relu with kernel_initializer: he_normal, or batch_normalization between"
    return Check("gradients", not figures.vanishes, words, change)


def _steps(figures: Probed, experiment: Experiment) -> Check:
    spec, large = experiment.spec, figures.step_large
    passed = not large and not figures.step_small
    words = f"a step changes weights by {100 * figures.update:.2g} % of their size"
    if large and figures.highest > figures.start:
        words += f", and the loss rises to {figures.highest:.3g}"
    return Check("update_ratio", passed, words, f"lr: {figures.better_rate(spec.lr):g}", "lr")


def _one_batch(figures: Probed) -> Check:
    words = f"{figures.steps} steps on a batch of {BATCH} bring the loss from {figures.start:.3g} to {figures.own:.3g}"
    if not figures.learns:
        words += f", slowly; Adam at {figures.adam_rate:g} brings it to {figures.adam:.3g}"
    change = "a head that fits, a larger network, less dropout, a weaker penalty"
    if figures.could_learn:
        change = f"optimizer: adam, lr: {figures.adam_rate:g}"
    return Check("one_batch", figures.learns or (figures.could_learn and not figures.step_small), words, change)
