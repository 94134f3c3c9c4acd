"""Advice on how a network is trained and judged: rates, batches, lengths, splits."""

from __future__ import annotations

import math

from dlx.insight.advice.case import Advice, Known, value
from dlx.runs.metrics import maximized
from dlx.spec.rules import all_parts
from dlx.spec.sections import Spec

# Between which rates an optimizer is used; outside of them a rate is far from all that works.
ADAM = (1e-6, 0.05)
USUAL = {
    "adam": ADAM, "adamw": ADAM, "nadam": ADAM, "adamax": ADAM, "rmsprop": ADAM, "lamb": (1e-6, 0.1),
    "sgd": (1e-4, 2.0), "adagrad": (1e-4, 1.0), "adadelta": (0.01, 10.0), "lion": (1e-7, 0.003),
    "adafactor": (1e-5, 0.1), "muon": (1e-5, 0.1), "ftrl": (1e-4, 1.0),
}  # fmt: skip
FEW_STEPS = 50
NOISE = 5.0  # points of accuracy by which a validation figure may be off
TYPICAL = 0.9  # the accuracy at which that is computed


def rate_far_from_usual(spec: Spec, known: Known) -> Advice | None:
    """A learning rate far outside of those that the optimizer is used with."""
    name = spec.optimizer.name
    low, high = USUAL.get(name, (0.0, math.inf))
    momentum = float(value(spec.optimizer, "momentum", default=0.0)) if name == "sgd" else 0.0
    high = high * (1 - momentum) * 2.5 if momentum else high
    if low <= spec.lr <= high:
        return None
    where = "above" if spec.lr > high else "below"
    also = f" with a momentum of {momentum:g}" if momentum else ""
    message = f"{spec.lr:g} is far {where} what {name}{also} is used with ({low:g} to {high:.3g})"
    return Advice("lr", message, f"lr: {_suggested(name, momentum):g}")


def _suggested(name: str, momentum: float) -> float:
    usual = {"sgd": 0.01 if momentum else 0.1, "adadelta": 1.0, "lion": 1e-4, "adagrad": 0.01, "ftrl": 0.01}
    return usual.get(name, 0.001)


def long_warmup(spec: Spec, known: Known) -> Advice | None:
    """A warm-up of half the training or more."""
    warmup = value(spec.schedule, "warmup", "peak", default=0.0)
    if warmup < 0.5 or (spec.schedule.name == "one_cycle" and warmup < 0.7):
        return None
    message = f"the rate rises for {100 * warmup:.0f} % of the training, and hardly has time to fall"
    key = "warmup" if "warmup" in spec.schedule.args else "peak"
    return Advice(f"schedule.{spec.schedule.name}.{key}", message, f"{key}: {0.05 if key == 'warmup' else 0.3}")


def patience_as_long_as_the_training(spec: Spec, known: Known) -> Advice | None:
    """Early stopping, or a plateau, that waits as long as the whole training lasts."""
    epochs = _epochs(spec, known)
    waits = [("early_stop", spec.early_stop.patience)] if spec.early_stop else []
    if spec.schedule.name == "plateau":
        waits.append(("schedule.plateau", int(spec.schedule.args["patience"])))
    for where, patience in waits:
        if epochs and patience >= epochs:
            message = f"a patience of {patience:,} epochs in a training of {epochs:,}: it never acts"
            return Advice(f"{where}.patience", message, f"patience: {max(epochs // 5, 1)}, or more epochs")
    return None


def patience_of_single_steps(spec: Spec, known: Known) -> Advice | None:
    """A patience counted in epochs where an epoch is one step."""
    if known.steps(spec) != 1:
        return None
    waits = [("early_stop", spec.early_stop.patience)] if spec.early_stop else []
    if spec.schedule.name == "plateau":
        waits.append(("schedule.plateau", int(spec.schedule.args["patience"])))
    for where, patience in waits:
        if patience < 20:
            message = f"an epoch is one step here, so that a patience of {patience} is {patience} steps"
            return Advice(f"{where}.patience", message, "patience: 100, or a smaller batch_size")
    return None


def batch_of_all_examples(spec: Spec, known: Known) -> Advice | None:
    """A batch size as large as the train split: one step an epoch, whatever was meant."""
    data = known.data
    if data is None or spec.batch_size == "full" or data.train <= 50 or int(spec.batch_size) < data.train:
        return None
    message = f"train has {data.train:,} examples: a batch holds all of them, and an epoch is one step"
    return Advice("batch_size", message, "batch_size: 32; or full, if that is meant")


def few_steps(spec: Spec, known: Known) -> Advice | None:
    """A training of fewer than 50 steps."""
    each, epochs = known.steps(spec), _epochs(spec, known)
    if each is None or not epochs:
        return None
    steps = spec.steps or each * epochs
    if steps >= FEW_STEPS:
        return None
    message = f"the whole training is {steps} steps: weights hardly move"
    return Advice("steps" if spec.steps else "epochs", message, "more epochs, or a smaller batch_size")


def validated_on_test(spec: Spec, known: Known) -> Advice | None:
    """Choosing by the test split: its figure is then too good."""
    if spec.validation != "test":
        return None
    kept = spec.keep == "last" and spec.early_stop is None and spec.schedule.name != "plateau"
    message = "test is looked at in every epoch" + ("" if kept else ", and chooses the weights")
    message += ": no unseen examples are left to judge by"
    return Advice("validation", message, "validation: 0.1")


def noisy_validation(spec: Spec, known: Known) -> Advice | None:
    """A validation split so small that its figure is noise."""
    data = known.data
    if data is None or data.validation is None or spec.validation == "test" or known.facts.task == "regression":
        return None
    if data.train + data.validation < 100:  # a toy
        return None
    points = 100 * 1.96 * math.sqrt(TYPICAL * (1 - TYPICAL) / data.validation)
    if points <= NOISE:
        return None
    message = f"{data.validation:,} examples of validation: an accuracy of 90 % is known to ± {points:.0f} points"
    larger = isinstance(spec.validation, float) and spec.validation < 0.2
    change = "validation: 0.2; or dlx run SPEC --folds 5" if larger else "dlx run SPEC --folds 5 judges by all of train"
    return Advice("validation", message, change)


def stops_by_train(spec: Spec, known: Known) -> Advice | None:
    """Early stopping by a figure of train, though there is a validation."""
    if spec.early_stop is None or not spec.monitor.startswith("train_") or spec.validation == "none":
        return None
    message = f"stops by {spec.monitor}, which goes on falling while the network overfits"
    better = "val_accuracy" if maximized(spec.monitor) else "val_loss"
    return Advice("monitor", message, f"monitor: {better}")


def keeps_the_last_of_an_early_stop(spec: Spec, known: Known) -> Advice | None:
    """Early stopping that keeps the last weights, which are `patience` epochs behind the best."""
    if spec.early_stop is None or spec.keep != "last":
        return None
    message = f"the last weights are those after {spec.early_stop.patience} epochs without improvement"
    return Advice("keep", message, "keep: best")


def two_decays(spec: Spec, known: Known) -> Advice | None:
    """A weight decay in the optimizer, and an L2 penalty beside it."""
    decay, rule = spec.optimizer.args.get("weight_decay"), spec.regularization
    if not decay or rule is None or not rule.l2:
        return None
    message = f"weights are decayed twice, by {spec.optimizer.name}'s weight_decay {decay:g} and by l2 {rule.l2:g}"
    return Advice("regularization.l2", message, "one of the two; weight_decay with an Adam")


def stops_before_the_plateau(spec: Spec, known: Known) -> Advice | None:
    """Early stopping that is less patient than the schedule, which then never lowers the rate."""
    if spec.early_stop is None or spec.schedule.name != "plateau":
        return None
    stop, plateau = spec.early_stop.patience, int(spec.schedule.args["patience"])
    if stop > plateau:
        return None
    message = f"the training stops after {stop} epochs without improvement, before plateau acts, after {plateau}"
    return Advice("early_stop.patience", message, f"patience: {3 * plateau}, or a plateau of {max(stop // 3, 1)}")


def finetuned_at_a_high_rate(spec: Spec, known: Known) -> Advice | None:
    """Pretrained weights that are trained at a rate for fresh ones, which destroys them."""
    body = next((part for part in all_parts(spec.layers) if part.name == "pretrained"), None)
    if body is None or not body.args.get("trainable") or spec.weights is not None:
        return None
    most = 0.02 if spec.optimizer.name == "sgd" else 3e-4
    if spec.lr <= most:
        return None
    message = f"{spec.lr:g} is a rate for fresh weights: it destroys what the pretrained ones know"
    return Advice("lr", message, f"lr: {most / 10:g}, or trainable: false first")


def class_weights_inverted(spec: Spec, known: Known) -> Advice | None:
    """Weights with which the rarest class counts less than the most frequent one."""
    weights, data, classes = spec.class_weight, known.data, known.facts.classes
    if not isinstance(weights, dict) or data is None or len(data.shares) != len(classes) or not classes:
        return None
    rare, frequent = (pick(range(len(classes)), key=data.shares.__getitem__) for pick in (min, max))
    pair = [weights.get(classes[number], 1.0) for number in (rare, frequent)]
    if pair[0] >= pair[1] or data.shares[rare] > 0.5 * data.shares[frequent]:
        return None
    frequently = f"{classes[frequent]}, the most frequent, {pair[1]:g}"
    message = f"{classes[rare]}, the rarest class, counts {pair[0]:g}, and {frequently}"
    return Advice("class_weight", message, "class_weight: balanced")


def extreme_momentum(spec: Spec, known: Known) -> Advice | None:
    """A momentum above 0.99: steps of hundreds of steps before."""
    momentum = value(spec.optimizer, "momentum", default=0.0)
    if not isinstance(momentum, (int, float)) or momentum <= 0.99 or spec.optimizer.name not in ("sgd", "rmsprop"):
        return None
    message = f"a momentum of {momentum:g} is a step {1 / max(1 - momentum, 1e-9):,.0f} times as large as lr says"
    return Advice(f"optimizer.{spec.optimizer.name}.momentum", message, "momentum: 0.9")


def _epochs(spec: Spec, known: Known) -> int | None:
    """The epochs of the training, where they are known."""
    if spec.epochs is not None:
        return spec.epochs
    each = known.steps(spec)
    return -(-int(spec.steps or 0) // each) if each else None


RULES = (
    rate_far_from_usual, long_warmup, patience_as_long_as_the_training, patience_of_single_steps, batch_of_all_examples,
    few_steps, validated_on_test, noisy_validation, stops_by_train, keeps_the_last_of_an_early_stop, two_decays,
    stops_before_the_plateau, finetuned_at_a_high_rate,
    class_weights_inverted, extreme_momentum,
)  # fmt: skip
