"""Advice on layers: how they follow one another, and what they are given."""

from __future__ import annotations

from dlx.insight.advice.case import (
    ACTIVATIONS,
    BOUNDED,
    DROPOUTS,
    KERNELS,
    RECURRENT,
    Advice,
    Known,
    activation,
    chains,
    is_head,
    linear,
    main,
    pairs,
    size,
    value,
)
from dlx.parts.registry import Part
from dlx.spec.rules import all_parts
from dlx.spec.sections import Spec

BETWEEN = ("flatten", "reshape", "permute", "identity", *DROPOUTS)  # what keeps a linear function linear
MANY_SIGMOIDS = 3  # hidden layers of sigmoids behind one another whose gradients vanish
FLATTENED, LARGE = 0.8, 1_000_000
EXAMPLES_EACH = 1000  # parameters for an example
PENALTY = {"l1": 0.01, "l2": 0.1}


def two_linear_layers(spec: Spec, known: Known) -> Advice | None:
    """Two layers without an activation behind one another, which are one."""
    if no_nonlinearity(spec, known):
        return None
    for first, second in pairs(spec, BETWEEN):
        if linear(first) and not first.name.startswith("depthwise") and second.name in (*KERNELS, "output"):
            message = f"without an activation, {first.name} and the {second.name} after it are one linear layer"
            return Advice(first.where, message, "activation: relu")
    return None


def no_nonlinearity(spec: Spec, known: Known) -> Advice | None:
    """Hidden layers of weights, and nowhere an activation: a linear model."""
    chain = main(spec)
    hidden = [part for part in chain if part.name in KERNELS and not is_head(spec, part)]
    if not hidden or any(not _stays_linear(part) for part in chain if not is_head(spec, part)):
        return None
    message = f"no layer has an activation: all {len(hidden) + 1} together are one linear layer"
    return Advice(hidden[0].where, message, "activation: relu")


def _stays_linear(part: Part) -> bool:
    named = (*BETWEEN, "average_pooling1d", "average_pooling2d", "global_average_pooling1d", "global_average_pooling2d",
             "batch_normalization", "rescaling", "zero_padding2d", "output")  # fmt: skip
    return linear(part) or part.name in named or (part.name == "activation" and activation(part) == "linear")


def activation_twice(spec: Spec, known: Known) -> Advice | None:
    """An activation on what an activation has given already."""
    for first, second in pairs(spec):
        name = activation(second)
        if second.name not in ("activation", *ACTIVATIONS) or name == "linear" or is_head(spec, second):
            continue
        if first.name in KERNELS and activation(first) != "linear":
            message = f"{name} follows the {activation(first)} that {first.name} has already"
            return Advice(
                second.where, message, f"one of the two: {first.name} without activation, or no {second.name}"
            )
    return None


def bias_before_batch_normalization(spec: Spec, known: Known) -> Advice | None:
    """A bias that the batch normalization behind it takes away again."""
    for first, second in pairs(spec):
        if second.name == "batch_normalization" and linear(first) and first.args.get("use_bias"):
            message = "its bias does nothing: the batch normalization behind it subtracts the mean"
            return Advice(first.where, message, "use_bias: false")
    return None


def batch_normalization_after_dropout(spec: Spec, known: Known) -> Advice | None:
    """Dropout before a batch normalization, whose variance it changes in training alone (Li et al. 2018)."""
    for first, second in pairs(spec, ("flatten", "reshape", "activation")):
        if first.name in DROPOUTS and second.name == "batch_normalization":
            message = "dropout changes the variance in training alone, which this batch normalization then remembers"
            return Advice(second.where, message, "dropout behind the last batch_normalization")
    return None


def small_batches_with_batch_normalization(spec: Spec, known: Known) -> Advice | None:
    """Statistics of a batch of fewer than eight examples are noise (Wu and He 2018)."""
    if spec.batch_size == "full" or int(spec.batch_size) >= 8:
        return None
    for part in all_parts(spec.layers):
        if part.name == "batch_normalization":
            message = f"normalizes by the statistics of a batch of {spec.batch_size}: mostly noise"
            return Advice(part.where, message, "batch_size: 32, or group_normalization / layer_normalization")
    return None


def high_dropout(spec: Spec, known: Known) -> Advice | None:
    """More than four of five values dropped."""
    for part in all_parts(spec.layers):
        rate = value(part, "rate", "dropout", default=0.0)
        if (part.name in DROPOUTS or "dropout" in part.args) and isinstance(rate, (int, float)) and rate > 0.8:
            message = f"drops {100 * rate:.0f} % of its values: hardly anything gets through"
            return Advice(part.where, message, "a rate of 0.2 to 0.5")
    return None


def flatten_feeds_most_parameters(spec: Spec, known: Known) -> Advice | None:
    """A dense layer behind `flatten` that holds most of a large network."""
    for first, second in pairs(spec, DROPOUTS):
        applied = known.last(second)
        if first.name != "flatten" or second.name not in ("dense", "output") or applied is None:
            continue
        before = known.last(first)
        deep = before is not None and len(before.before) > 2 and _convolved(spec)
        if deep and applied.parameters >= LARGE and applied.parameters > FLATTENED * known.parameters:
            share = f"{100 * applied.parameters / known.parameters:.0f} % of all {known.parameters:,} parameters"
            message = f"holds {share}, as flatten gives it {size(applied.before):,} inputs"
            return Advice(
                second.where, message, "another pooling layer, or global_average_pooling2d instead of flatten"
            )
    return None


def _convolved(spec: Spec) -> bool:
    return any(part.name.startswith(("conv", "separable")) for part in all_parts(spec.layers))


def pooled_to_one_pixel(spec: Spec, known: Known) -> Advice | None:
    """A convolution behind a layer that leaves one pixel: there are no neighbours to look at."""
    for chain in chains(spec.layers):
        for part in chain:
            applied = known.last(part)
            kernel = value(part, "kernel_size", default=1)
            wide = kernel if isinstance(kernel, int) else max(kernel)
            if not part.name.startswith(("conv", "separable", "depthwise")) or applied is None or wide == 1:
                continue
            extent = applied.before[:-1]
            if extent and all(one == 1 for one in extent) and "transpose" not in part.name:
                shape = " × ".join("1" for _ in extent)
                message = f"its input is {shape}: of {wide} × {wide} weights only the middle ones ever see anything"
                return Advice(part.where, message, "fewer pooling layers before it")
    return None


def deep_sigmoids(spec: Spec, known: Known) -> Advice | None:
    """Three or more hidden layers of sigmoids, through which gradients vanish (Glorot and Bengio 2010)."""
    for chain in chains(spec.layers):
        hidden = [part for part in chain if part.name in KERNELS or part.name in ("activation", "batch_normalization")]
        if any(part.name == "batch_normalization" for part in hidden):
            continue
        bounded = [part for part in hidden if activation(part) in BOUNDED and not is_head(spec, part)]
        if len(bounded) >= MANY_SIGMOIDS:
            message = f"{len(bounded)} layers of sigmoids: each passes on at most a quarter of the gradient"
            return Advice(bounded[0].where, message, "activation: relu (or tanh) in the hidden layers")
    return None


def hidden_softmax(spec: Spec, known: Known) -> Advice | None:
    """A softmax before the last layer: its outputs sum to 1, and hardly any gradient passes."""
    for part in all_parts(spec.layers):
        if activation(part) != "softmax" or is_head(spec, part) or part.name not in (*KERNELS, "activation", "softmax"):
            continue
        message = "a softmax inside the network: its outputs sum to 1, and little gradient passes"
        return Advice(part.where, message, "activation: relu; the head has its softmax already")
    return None


def unseen_pixels(spec: Spec, known: Known) -> Advice | None:
    """A convolution whose strides are larger than its kernel: what lies between is never looked at."""
    for part in all_parts(spec.layers):
        kernel, strides = value(part, "kernel_size", default=1), value(part, "strides", default=1)
        wide, step = (one if isinstance(one, int) else max(one) for one in (kernel, strides))
        if part.name.startswith("conv") and "transpose" not in part.name and step > wide:
            message = f"it looks at {wide} of every {step} pixels in a row, and never at those between"
            return Advice(f"{part.where}.strides", message, f"strides: {min(wide, 2)}, and pooling or more layers")
    return None


def single_hidden_unit(spec: Spec, known: Known) -> Advice | None:
    """A hidden layer of one unit, through which all must pass."""
    outputs = max(len(known.facts.classes), known.facts.targets)
    for chain in chains(spec.layers):
        for part in chain:
            if part.name != "dense" or is_head(spec, part) or part.args.get("units") != 1 or part is chain[-1]:
                continue
            if outputs > 1 or len(chain) > 2:
                message = "one unit: all that the layers after it know is a single number"
                return Advice(part.where, message, "more units")
    return None


def equal_units(spec: Spec, known: Known) -> Advice | None:
    """Hidden kernels that begin as one number: all units stay the same."""
    for part in all_parts(spec.layers):
        first = part.args.get("kernel_initializer")
        same = first in ("zeros", "ones") or (isinstance(first, dict) and "constant" in first)
        if not same or is_head(spec, part) or part.name not in (*KERNELS, *RECURRENT):
            continue
        message = "every unit begins as the same numbers, gets the same gradient, and stays like the others"
        return Advice(f"{part.where}.kernel_initializer", message, "kernel_initializer: glorot_uniform, or he_normal")
    return None


def dead_at_the_start(spec: Spec, known: Known) -> Advice | None:
    """A relu whose bias begins far below 0: most of its units answer 0 to everything, and get no gradient."""
    for part in all_parts(spec.layers):
        bias = part.args.get("bias_initializer")
        if not isinstance(bias, dict) or activation(part) not in ("relu", "relu6"):
            continue
        arguments = next(iter(bias.values()))
        low = (
            arguments if isinstance(arguments, (int, float)) else value(Part("", arguments), "value", "mean", default=0)
        )
        if "constant" in bias and isinstance(low, (int, float)) and low <= -0.5:
            message = f"a bias of {low:g} before relu: most units answer 0 from the start, and learn nothing"
            return Advice(f"{part.where}.bias_initializer", message, "bias_initializer: zeros")
    return None


def relu_in_a_recurrent_layer(spec: Spec, known: Known) -> Advice | None:
    """An activation without bounds that is applied at each step grows from step to step."""
    for part in all_parts(spec.layers):
        if part.name in RECURRENT and activation(part) in ("relu", "elu", "gelu", "silu", "leaky_relu", "linear"):
            message = (
                f"{activation(part)} has no upper bound, and is applied once a step: values grow along the sequence"
            )
            return Advice(part.where, message, "activation: tanh")
    return None


def long_sequence(spec: Spec, known: Known) -> Advice | None:
    """A simple recurrent layer over more than 100 steps, which forgets the first."""
    for part in all_parts(spec.layers):
        applied = known.last(part)
        if part.name != "simple_rnn" or applied is None or len(applied.before) < 2 or (applied.before[0] or 0) <= 100:
            continue
        message = f"{applied.before[0]} steps: a simple_rnn hardly learns from more than a few tens of steps before"
        return Advice(part.where, message, "lstm or gru")
    return None


def strong_penalty(spec: Spec, known: Known) -> Advice | None:
    """A penalty on weights that leaves none of them."""
    rule = spec.regularization
    named = [("regularization", {"l1": rule.l1, "l2": rule.l2})] if rule is not None else []
    for part in all_parts(spec.layers):
        named += [(f"{part.where}.{key}", item) for key, item in part.args.items()
                  if key.endswith("kernel_regularizer") and isinstance(item, dict)]  # fmt: skip
    for where, strengths in named:
        for kind, strength in strengths.items():
            if strength >= PENALTY[kind]:
                message = f"{kind} of {strength:g}: the penalty outweighs the loss, and the weights go to 0"
                return Advice(f"{where}.{kind}", message, f"{kind}: {PENALTY[kind] / 100:g} or less")
    return None


def more_parameters_than_examples(spec: Spec, known: Known) -> Advice | None:
    """More than a thousand parameters for an example."""
    if known.data is None or any(part.name == "pretrained" for part in all_parts(spec.layers)):
        return None
    each = known.parameters / max(known.data.train, 1)
    if each <= EXAMPLES_EACH:
        return None
    message = (
        f"{known.parameters:,} parameters for {known.data.train:,} examples: {each:,.0f} each, to learn them by heart"
    )
    return Advice("layers", message, "fewer units or filters; or augment, dropout, pretrained")


RULES = (
    two_linear_layers, no_nonlinearity, activation_twice, bias_before_batch_normalization,
    batch_normalization_after_dropout, small_batches_with_batch_normalization, high_dropout,
    flatten_feeds_most_parameters, pooled_to_one_pixel, deep_sigmoids, hidden_softmax, unseen_pixels,
    single_hidden_unit, equal_units, dead_at_the_start, relu_in_a_recurrent_layer, long_sequence, strong_penalty,
    more_parameters_than_examples,
)  # fmt: skip
