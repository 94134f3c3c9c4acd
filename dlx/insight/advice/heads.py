"""Advice on the end of a network: a head, a loss and figures that fit the task."""

from __future__ import annotations

from dlx.insight.advice.case import ACTIVATIONS, DROPOUTS, KERNELS, Advice, Known, activation, main
from dlx.insight.probed import IMBALANCED
from dlx.parts import losses
from dlx.parts.metrics import metric_name
from dlx.parts.registry import Part
from dlx.spec.sections import Spec

TOY = 20  # examples: a truth table is what it is


def _head(spec: Spec) -> tuple[Part, str]:
    """The last layer, and its activation; `auto` where it fits itself to the task."""
    last = spec.layers[-1]
    return last, str(last.args.get("activation") or ("auto" if last.name == "output" else activation(last)))


def sigmoid_over_exclusive_classes(spec: Spec, known: Known) -> Advice | None:
    """A sigmoid a class where an example is of exactly one of several classes."""
    last, name = _head(spec)
    classes = len(known.facts.classes)
    if known.facts.task != "classification" or name != "sigmoid" or (classes == 2 and _units(last, known) == 1):
        return None
    message = f"a sigmoid for each of {classes} classes, of which an example has exactly one: they need not sum to 1"
    return Advice(last.where, message, "activation: softmax")


def softmax_over_labels(spec: Spec, known: Known) -> Advice | None:
    """A softmax where several labels may hold at once."""
    last, name = _head(spec)
    if known.facts.task != "multi_label" or name not in ("softmax", "sparsemax"):
        return None
    message = f"{name} lets labels compete: its outputs sum to 1, but several labels may hold at once"
    return Advice(last.where, message, "activation: sigmoid")


def head_without_probabilities(spec: Spec, known: Known) -> Advice | None:
    """Classes or labels whose outputs are no probabilities."""
    last, name = _head(spec)
    usual = ("auto", "softmax", "sigmoid", "sparsemax")
    if known.facts.task == "regression" or name in usual:
        return None
    message = f"outputs of {name} are no probabilities, and are brought into 0..1"
    best = "sigmoid" if known.facts.task == "multi_label" or _units(last, known) == 1 else "softmax"
    return Advice(last.where, message, f"activation: {best}")


def activation_on_regression(spec: Spec, known: Known) -> Advice | None:
    """An activation behind values to predict, which limits what can be predicted."""
    last, name = _head(spec)
    limits = {"sigmoid": "0 and 1", "hard_sigmoid": "0 and 1", "tanh": "-1 and 1", "softsign": "-1 and 1",
              "hard_tanh": "-1 and 1", "softmax": "0 and 1, all in sum 1"}  # fmt: skip
    if known.facts.task != "regression" or name in ("auto", "linear"):
        return None
    reach = f"between {limits[name]}" if name in limits else "on one side of 0" if name.startswith("relu") else "bent"
    message = f"{name} behind values to predict: they are {reach}, and where it is flat nothing is learned"
    if name == "softplus" or name == "exponential":
        return None  # a choice, for values above 0
    return Advice(last.where, message, "activation: linear (or `output` without one)")


def activation_on_logits(spec: Spec, known: Known) -> Advice | None:
    """A last activation on a layer that has one already: a softmax of a relu, or of a softmax."""
    if len(spec.layers) < 2 or spec.layers[-1].name not in ("activation", *ACTIVATIONS):
        return None
    last, before = spec.layers[-1], spec.layers[-2]
    if before.name not in KERNELS or activation(before) == "linear":
        return None
    message = f"the last {activation(last)} takes the outputs of {activation(before)}, which leave it little to say"
    return Advice(before.where, message, f"{before.name} without activation, or `output` alone")


def loss_of_another_head(spec: Spec, known: Known) -> Advice | None:
    """A loss that is made for another activation than the network ends with."""
    last, name = _head(spec)
    if not isinstance(spec.loss, Part) or known.facts.task == "regression":
        return None
    if name == "auto":
        name = "sigmoid" if _units(last, known) == 1 or known.facts.task == "multi_label" else "softmax"
    one = _units(last, known) == 1 or known.facts.task == "multi_label"
    best = "binary_crossentropy" if one or name == "sigmoid" else "categorical_crossentropy"
    if spec.loss.name in ("mean_squared_error", "mean_absolute_error") and name in ("sigmoid", "softmax"):
        if known.data is not None and known.data.train < TOY:
            return None
        message = (
            f"{spec.loss.name} of a {name} hardly learns from examples that are surely wrong: its gradient is flat"
        )
        return Advice("loss", f"{message} there", f"loss: auto (here {best})")
    fitting = losses.HEADS.get(spec.loss.name, (name,))[0]
    if name == fitting:
        return None
    if spec.loss.name == "binary_crossentropy" and name == "softmax" and _units(last, known) == 2:
        message = "binary_crossentropy of a softmax of two is categorical_crossentropy: the same number"
        return Advice("loss", message, "loss: auto")
    message = f"{spec.loss.name} is usually that of {fitting}; here it takes the outputs of {name}"
    return Advice("loss", message, f"loss: auto (here {best})")


def dropout_before_the_loss(spec: Spec, known: Known) -> Advice | None:
    """Dropout behind the last weights, so that answers themselves are dropped."""
    chain = main(spec)
    ends = [part for part in chain[-3:] if part.name in DROPOUTS]
    last = chain[-1]
    behind = [part for part in ends if last.name in ("activation", *ACTIVATIONS) and part is chain[-2]]
    if not behind and last.name not in DROPOUTS:
        return None
    part = behind[0] if behind else last
    message = "the outputs themselves are dropped: a dropped one is a wrong answer, whatever the network has learned"
    return Advice(part.where, message, "dropout before the last layer with weights")


def accuracy_on_imbalanced_classes(spec: Spec, known: Known) -> Advice | None:
    """Accuracy alone, where one class is most of the data."""
    data = known.data
    if data is None or known.facts.task != "classification" or data.train < TOY:
        return None
    if data.majority <= IMBALANCED or spec.class_weight:
        return None
    names = {metric_name(part) for part in spec.metrics} if spec.metrics != "auto" else {"accuracy"}
    if names - {"accuracy"} or len(known.facts.classes) < 2:
        return None
    message = (
        f"{100 * data.majority:.0f} % of train are of one class: a network that always answers it has that accuracy"
    )
    change = "class_weight: balanced" + (", metrics: [accuracy, auc]" if len(known.facts.classes) == 2 else "")
    return Advice("metrics", message, change)


def _units(last: Part, known: Known) -> int:
    """The units of the last layer; those that fit the task where it fits itself."""
    applied = known.last(last)
    if applied is not None and applied.after:
        return int(applied.after[-1] or 1)
    return len(known.facts.classes) or known.facts.targets


RULES = (
    sigmoid_over_exclusive_classes,
    softmax_over_labels,
    head_without_probabilities,
    activation_on_regression,
    activation_on_logits,
    loss_of_another_head,
    dropout_before_the_loss,
    accuracy_on_imbalanced_classes,
)
