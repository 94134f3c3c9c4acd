"""Layers: every class of keras.layers by its snake_case name, with Keras's parameters and defaults.

A layer copied from a script is the same layer. Signatures come from Keras's source (`keras_signatures`), help from
`layer_help`; here are other libraries' spellings, and reasons for what a spec cannot say.
"""

from functools import partial
from typing import Any, Literal

from dlx.parts import initializers, keras_signatures
from dlx.parts.layer_help import LAYERS
from dlx.parts.registry import Part, Registry
from dlx.parts.types import Activation, Initializer, Layer, Name, Positive, Regularizer
from dlx.system.backend import keras

registry = Registry(
    "layer",
    aliases={
        "fullyconnected": "dense",
        "fc": "dense",
        "linear": "dense",
        "convolution2d": "conv2d",
        "convolution1d": "conv1d",
        "maxpool1d": "max_pooling1d",
        "maxpool2d": "max_pooling2d",
        "maxpool": "max_pooling2d",
        "pool2d": "max_pooling2d",
        "avgpool2d": "average_pooling2d",
        "averagepool2d": "average_pooling2d",
        "meanpool2d": "average_pooling2d",
        "globalavgpool": "global_average_pooling2d",
        "globalavgpool2d": "global_average_pooling2d",
        "adaptiveavgpool2d": "global_average_pooling2d",
        "batchnorm": "batch_normalization",
        "batchnorm1d": "batch_normalization",
        "batchnorm2d": "batch_normalization",
        "layernorm": "layer_normalization",
        "dropout2d": "dropout",
        "tanh": "activation",
        "sigmoid": "activation",
        "rnn": "simple_rnn",
        "bidirectionalrnn": "bidirectional",
        "view": "reshape",
        "transformer": "transformer_block",
        "selfattention": "multi_head_attention",
        "upsample": "up_sampling2d",
        "convtranspose2d": "conv2d_transpose",
        "deconv2d": "conv2d_transpose",
        "convolution3d": "conv3d",
        "groupnorm": "group_normalization",
        "rmsnorm": "rms_normalization",
        "skip": "residual",
        "branches": "parallel",
        "head": "output",
        "regression": "output",
    },
)


_SEVERAL = "it takes several inputs; `parallel: {layers: […], merge: add}` sets the branches and how they join"
_TEXT = "it reads text inside TensorFlow; the datasets csv and text_csv turn words into numbers"
_FOREIGN = "it wraps code of another framework, which a spec cannot say; write a layer in a file of `imports`"
_BASE = "it is a base class of others"
_LABELS = "it changes labels too"
registry.refused = {
    "lambda": "it runs Python code; write a function in a file of `imports` and mark it with @dlx.layer",
    **dict.fromkeys(("tfsm_layer", "flax_layer", "jax_layer", "torch_module_wrapper"), _FOREIGN),
    **dict.fromkeys(("layer", "wrapper", "input_spec"), _BASE),
    **dict.fromkeys(("input", "input_layer"), "the input's shape follows from the data"),
    **dict.fromkeys(("add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract", "dot"), _SEVERAL),
    **dict.fromkeys(("string_lookup", "integer_lookup", "text_vectorization", "hashing", "hashed_crossing"), _TEXT),
    "mix_up": f"{_LABELS}: augment: [mixup]",
    "cut_mix": f"{_LABELS}: augment: [cutmix]",
    "random_crop": "outside of training it keeps the old size, which no next layer fits: augment: [crop]",
    "equalization": "Keras leaves it out of a network that it is a layer of",
    "random_posterization": "it wants whole numbers, and a network computes in floats",
    "random_shear": "Keras cannot load a saved model that holds it",
    "max_num_bounding_boxes": f"{_LABELS}, which are boxes",
    "normalization": "its mean and variance are fitted on the train split: preprocess: [normalize]",
    "pipeline": "a spec is a list of layers already; `sequential` makes one layer of several",
}
registry.silent = keras_signatures.SILENT
_SELF_ATTENTION = {"Attention": 1, "AdditiveAttention": 1, "MultiHeadAttention": 2, "GroupQueryAttention": 2}


def _build(class_name: str, declared: dict[str, Any], given: keras_signatures.Given) -> Any:
    """The Keras layer of that class; regularizers, constraints and parts become Keras's objects."""
    make = {
        "regularizer": keras_signatures.regularizer,
        "constraint": keras_signatures.constraint,
        "initializer": initializers.make,
    }
    arguments: dict[str, Any] = {}
    for key, value in declared.items():
        if isinstance(value, Part):
            arguments[key] = given["_make"](value)
        elif isinstance(value, list) and any(isinstance(item, Part) for item in value):
            arguments[key] = [given["_make"](item) for item in value]
        elif value is not None or key == "name":
            arguments[key] = make[kind](value) if (kind := key.rpartition("_")[2]) in make else value
    layer: Any = getattr(keras.layers, class_name)(**arguments)
    count = _SELF_ATTENTION.get(class_name)
    if count is None:
        return layer
    return (lambda x: layer([x, x])) if count == 1 else (lambda x: layer(x, x))


_exported = keras_signatures.exported("layers")
for _class, (_, _own) in _exported.items():
    _name = keras_signatures.snake(_class)
    if _class != _own and _own in _exported:  # Keras's own second name: AvgPool2D, Convolution2D
        registry.aliases.setdefault(_class.lower(), keras_signatures.snake(_own))
    elif _name not in registry.refused:
        registry.register_factory(
            _name, partial(keras_signatures.function, "layers", _class, _build, LAYERS.get(_name, ""))
        )


@registry.register
def bidirectional(
    layer: Layer,
    merge_mode: Literal["sum", "mul", "concat", "ave"] = "concat",
    name: Name = None,
    _make: Any = None,
) -> Any:
    """Runs a recurrent layer forwards and backwards over the sequence: `bidirectional: {lstm: 32}`."""
    recurrent = ("simple_rnn", "lstm", "gru", "rnn", "conv_lstm1d", "conv_lstm2d", "conv_lstm3d")
    if layer.name not in recurrent:
        raise ValueError(f"expected a recurrent layer (simple_rnn, lstm, gru, …), got {layer.name!r}")
    return keras.layers.Bidirectional(_make(layer), merge_mode=merge_mode, name=name)


@registry.register
def output(
    units: Positive | Literal["auto"] = "auto",
    activation: Activation | Literal["auto"] = "auto",
    use_bias: bool = True,
    kernel_initializer: Initializer = "glorot_uniform",
    bias_initializer: Initializer = "zeros",
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    scale_targets: bool | None = None,
    name: Name = None,
) -> Any:
    """The head that fits the task: a dense layer with units, activation and loss chosen together.

    Classes: one unit a class and softmax; `units: 1` for two classes: sigmoid. Several labels: one unit
    a label, sigmoid. Regression: one unit a target, linear; it learns the targets at mean 0 and standard deviation 1
    (of the train split, so its loss has no unit) and predicts them in their own, unless `scale_targets: false`.
    Behind a layer that returns sequences, where the data has a class, label or target a step, it is applied at every
    step. The loss is computed from the logits; predictions are probabilities. Another activation on classes or labels
    (tanh, linear) learns by mean_squared_error; the class is the largest output, and outputs are cut to 0..1.
    """
    arguments = locals()
    arguments.pop("scale_targets")
    arguments["activation"] = None  # the model puts the activation behind the logits
    return _build("Dense", arguments, {})
