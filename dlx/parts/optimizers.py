"""Optimizers: Keras's classes with Keras's parameters and defaults. The learning rate is the spec's `lr`."""

import inspect
from functools import partial
from typing import Any

from dlx.parts import keras_signatures
from dlx.parts.registry import Registry
from dlx.system.backend import keras

registry = Registry(
    "optimizer",
    aliases={
        "gradientdescent": "sgd",
        "momentum": "sgd",
        "nesterov": "sgd",
        "adamweightdecay": "adamw",
        "fusedadam": "adam",
    },
)

HELP = {
    "sgd": "Gradient descent, with momentum if asked; `batch_size: full` makes it deterministic descent.",
    "adam": "Steps scaled by running moments of the gradient (Kingma and Ba 2014).",
    "adamw": "Adam with the weight decay apart from the gradient (Loshchilov and Hutter 2017).",
    "rmsprop": "Steps divided by a running mean of the gradient's size (Hinton 2012).",
    "adadelta": "Steps scaled by running means of gradients and of steps (Zeiler 2012); it wants an lr of about 1.",
    "adafactor": "Adam with factored second moments, for little memory (Shazeer and Stern 2018).",
    "adagrad": "Steps divided by the root of all squared gradients so far (Duchi et al. 2011).",
    "adamax": "Adam with the largest gradient instead of their mean square (Kingma and Ba 2014).",
    "ftrl": "Follow the regularized leader (McMahan et al. 2013), for large sparse linear models.",
    "lamb": "Adam with a rate for each layer, for very large batches (You et al. 2019).",
    "lion": "The sign of a running mean of the gradient (Chen et al. 2023); it wants a tenth of Adam's lr.",
    "muon": "Orthogonalized momentum for matrices, AdamW for the rest (Jordan et al. 2024).",
    "nadam": "Adam with Nesterov's momentum (Dozat 2016).",
}
_ENDS = "it averages the weights only when fit ends, which the best weights of an epoch do not wait for"
registry.refused = {
    "optimizer": "it is a base class of others",
    "lossscaleoptimizer": "precision: mixed_float16 wraps every optimizer in it",
    "multioptimizer": "a spec has one optimizer",
    "optimizermap": "a spec has one optimizer",
    "schedulefreeadamw": "it is judged at averaged weights that Keras keeps to itself",
}
registry.silent = dict.fromkeys(("use_ema", "ema_momentum", "ema_overwrite_frequency"), _ENDS) | {
    "loss_scale_factor": "precision: mixed_float16 scales the loss",
    "gradient_accumulation_steps": "a larger batch_size does the same where it fits into memory",
}


def _build(class_name: str, arguments: dict[str, Any], given: keras_signatures.Given) -> Any:
    return getattr(keras.optimizers, class_name)(given["_learning_rate"], **arguments)


for _class in keras_signatures.exported("optimizers"):
    if _class.lower() not in registry.refused:
        registry.register_factory(
            _class.lower(),
            partial(keras_signatures.function, "optimizers", _class, _build, HELP.get(_class.lower(), "")),
        )


def default_learning_rate(name: str) -> float:
    """Keras's own default for the optimizer `name`: what `lr` is when a spec is silent."""
    return float(inspect.signature(registry.find(name)).parameters["_learning_rate"].default)
