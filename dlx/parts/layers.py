"""Layers, with Keras's names, parameters and defaults: a layer copied from a script is the same layer."""

from typing import Any, Literal

from dlx.backend import keras
from dlx.parts.types import (
    Activation,
    Initializer,
    Layer,
    Name,
    NonNegative,
    Padding,
    Positive,
    PositiveFloat,
    Rate,
    Regularizer,
    Size,
)
from dlx.registry import Registry

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
        "relu": "activation",
        "tanh": "activation",
        "sigmoid": "activation",
        "softmax": "activation",
        "rnn": "simple_rnn",
        "prelu": "leaky_relu",
        "bidirectionalrnn": "bidirectional",
        "view": "reshape",
        "head": "output",
        "regression": "output",
    },
)


def _keras(class_name: str, arguments: dict[str, Any]) -> Any:
    """The Keras layer of that class; regularizers become Keras's objects."""
    for key, value in arguments.items():
        if key.endswith("_regularizer") and value is not None:
            arguments[key] = keras.regularizers.L1L2(**value)
    return getattr(keras.layers, class_name)(**arguments)


@registry.register
def dense(
    units: Positive,
    activation: Activation | None = None,
    use_bias: bool = True,
    kernel_initializer: Initializer = "glorot_uniform",
    bias_initializer: Initializer = "zeros",
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    name: Name = None,
) -> Any:
    """Every unit sees every input: (…, features) to (…, units).

    Put `flatten` or `global_average_pooling2d` between images and the first dense layer.
    """
    return _keras("Dense", locals())


@registry.register
def conv1d(
    filters: Positive,
    kernel_size: Positive,
    strides: Positive = 1,
    padding: Literal["valid", "same", "causal"] = "valid",
    dilation_rate: Positive = 1,
    groups: Positive = 1,
    activation: Activation | None = None,
    use_bias: bool = True,
    kernel_initializer: Initializer = "glorot_uniform",
    bias_initializer: Initializer = "zeros",
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    name: Name = None,
) -> Any:
    """Convolution along a sequence: (steps, channels) to (new steps, filters)."""
    return _keras("Conv1D", locals())


@registry.register
def conv2d(
    filters: Positive,
    kernel_size: Size,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: Positive = 1,
    activation: Activation | None = None,
    use_bias: bool = True,
    kernel_initializer: Initializer = "glorot_uniform",
    bias_initializer: Initializer = "zeros",
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    name: Name = None,
) -> Any:
    """Convolution over images: (height, width, channels) to (new height, new width, filters).

    `padding: same` keeps height and width at stride 1; `valid` loses `kernel_size - 1` of each.
    """
    return _keras("Conv2D", locals())


@registry.register
def max_pooling1d(
    pool_size: Positive = 2, strides: Positive | None = None, padding: Padding = "valid", name: Name = None
) -> Any:
    """The largest value of each window along a sequence; strides default to the window."""
    return _keras("MaxPooling1D", locals())


@registry.register
def max_pooling2d(
    pool_size: Size = 2, strides: Size | None = None, padding: Padding = "valid", name: Name = None
) -> Any:
    """The largest value of each window of an image; strides default to the window."""
    return _keras("MaxPooling2D", locals())


@registry.register
def average_pooling2d(
    pool_size: Size, strides: Size | None = None, padding: Padding = "valid", name: Name = None
) -> Any:
    """The mean of each window of an image; strides default to the window."""
    return _keras("AveragePooling2D", locals())


@registry.register
def global_average_pooling2d(keepdims: bool = False, name: Name = None) -> Any:
    """The mean of each channel over a whole image: (height, width, channels) to (channels)."""
    return _keras("GlobalAveragePooling2D", locals())


@registry.register
def flatten(name: Name = None) -> Any:
    """Everything in one row: (height, width, channels) to (height · width · channels)."""
    return _keras("Flatten", locals())


@registry.register
def reshape(target_shape: list[int], name: Name = None) -> Any:
    """The same values in another shape, without the batch axis; one entry may be -1."""
    return _keras("Reshape", locals())


@registry.register
def dropout(rate: Rate, name: Name = None) -> Any:
    """Sets that share of its inputs to 0 while training and scales the rest up (Srivastava et al. 2014).

    `rate` is the share that is dropped: a keep_prob of 0.8 is a rate of 0.2.
    """
    return _keras("Dropout", locals())


@registry.register
def batch_normalization(
    axis: int = -1,
    momentum: Rate = 0.99,
    epsilon: PositiveFloat = 0.001,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Initializer = "zeros",
    gamma_initializer: Initializer = "ones",
    moving_mean_initializer: Initializer = "zeros",
    moving_variance_initializer: Initializer = "ones",
    beta_regularizer: Regularizer = None,
    gamma_regularizer: Regularizer = None,
    name: Name = None,
) -> Any:
    """Normalizes each channel by the batch's mean and variance, or the running ones after training.

    Ioffe and Szegedy 2015.
    """
    return _keras("BatchNormalization", locals())


@registry.register
def layer_normalization(
    axis: int | list[int] = -1,
    epsilon: PositiveFloat = 0.001,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Initializer = "zeros",
    gamma_initializer: Initializer = "ones",
    beta_regularizer: Regularizer = None,
    gamma_regularizer: Regularizer = None,
    name: Name = None,
) -> Any:
    """Normalizes each example by its own mean and variance (Ba et al. 2016)."""
    return _keras("LayerNormalization", locals())


@registry.register
def activation(activation: Activation, name: Name = None) -> Any:
    """An activation function as a layer of its own: `activation: relu`."""
    return _keras("Activation", locals())


@registry.register
def leaky_relu(negative_slope: NonNegative = 0.3, name: Name = None) -> Any:
    """x where it is positive, `negative_slope` · x where it is not (Maas et al. 2013)."""
    return _keras("LeakyReLU", locals())


@registry.register
def embedding(
    input_dim: Positive,
    output_dim: Positive,
    embeddings_initializer: Initializer = "uniform",
    embeddings_regularizer: Regularizer = None,
    mask_zero: bool = False,
    name: Name = None,
) -> Any:
    """A learned vector for each whole number: (steps) of 0 … input_dim-1 to (steps, output_dim)."""
    return _keras("Embedding", locals())


@registry.register
def simple_rnn(
    units: Positive,
    activation: Activation | None = "tanh",
    use_bias: bool = True,
    kernel_initializer: Initializer = "glorot_uniform",
    recurrent_initializer: Initializer = "orthogonal",
    bias_initializer: Initializer = "zeros",
    kernel_regularizer: Regularizer = None,
    recurrent_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    dropout: Rate = 0.0,
    recurrent_dropout: Rate = 0.0,
    return_sequences: bool = False,
    go_backwards: bool = False,
    unroll: bool = False,
    name: Name = None,
) -> Any:
    """A fully recurrent layer: (steps, features) to (units), or to (steps, units) with `return_sequences`."""
    return _keras("SimpleRNN", locals())


@registry.register
def lstm(
    units: Positive,
    activation: Activation | None = "tanh",
    recurrent_activation: Activation = "sigmoid",
    use_bias: bool = True,
    kernel_initializer: Initializer = "glorot_uniform",
    recurrent_initializer: Initializer = "orthogonal",
    bias_initializer: Initializer = "zeros",
    unit_forget_bias: bool = True,
    kernel_regularizer: Regularizer = None,
    recurrent_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    dropout: Rate = 0.0,
    recurrent_dropout: Rate = 0.0,
    return_sequences: bool = False,
    go_backwards: bool = False,
    unroll: bool = False,
    name: Name = None,
) -> Any:
    """Long short-term memory (Hochreiter and Schmidhuber 1997): (steps, features) to (units).

    With `return_sequences: true` to (steps, units), which a following recurrent layer needs.
    """
    return _keras("LSTM", locals())


@registry.register
def gru(
    units: Positive,
    activation: Activation | None = "tanh",
    recurrent_activation: Activation = "sigmoid",
    use_bias: bool = True,
    kernel_initializer: Initializer = "glorot_uniform",
    recurrent_initializer: Initializer = "orthogonal",
    bias_initializer: Initializer = "zeros",
    kernel_regularizer: Regularizer = None,
    recurrent_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    dropout: Rate = 0.0,
    recurrent_dropout: Rate = 0.0,
    return_sequences: bool = False,
    go_backwards: bool = False,
    unroll: bool = False,
    reset_after: bool = True,
    name: Name = None,
) -> Any:
    """Gated recurrent unit (Cho et al. 2014): (steps, features) to (units), or (steps, units)."""
    return _keras("GRU", locals())


@registry.register
def bidirectional(
    layer: Layer,
    merge_mode: Literal["sum", "mul", "concat", "ave"] = "concat",
    name: Name = None,
    _make: Any = None,
) -> Any:
    """Runs a recurrent layer forwards and backwards over the sequence: `bidirectional: {lstm: 32}`."""
    if layer.name not in ("simple_rnn", "lstm", "gru"):
        raise ValueError(f"expected a recurrent layer (simple_rnn, lstm or gru), got {layer.name!r}")
    return keras.layers.Bidirectional(_make(layer), merge_mode=merge_mode, name=name)


@registry.register
def output(
    units: Positive | Literal["auto"] = "auto",
    activation: Activation | Literal["auto"] = "auto",
    kernel_initializer: Initializer = "glorot_uniform",
    bias_initializer: Initializer = "zeros",
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    name: Name = None,
) -> Any:
    """The head that fits the task: a dense layer with units, activation and loss chosen together.

    Classes: one unit a class and softmax; `units: 1` for two classes: sigmoid. Several labels: one unit
    a label, sigmoid. Regression: one unit a target, linear. Behind a layer that returns sequences, where the
    data has a label or target a step, it is one unit, applied at every step. The loss is computed from
    the logits; predictions are probabilities.
    """
    arguments = locals()
    arguments["activation"] = None  # the model puts the activation behind the logits
    return _keras("Dense", arguments)
