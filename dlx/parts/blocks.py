"""Composites: layers made of layers, whole networks among them. They share the registry of the layers."""

import os
import re
import warnings
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.errors import DataError
from dlx.parts import efficientnet_lite
from dlx.parts.layers import registry
from dlx.parts.registry import FilePath, Part
from dlx.parts.types import Activation, Branches, Name, Positive, PositiveFloat, Rate, Stack
from dlx.system.backend import keras


@registry.register
def repeat(times: Annotated[int, Field(gt=0, le=100)], layers: Stack, _build: Any = None) -> Callable[[Any], Any]:
    """The same stack of layers several times over, each time with weights of its own."""
    stacks = [_build(layers) for _ in range(times)]

    def apply(x: Any) -> Any:
        for stack in stacks:
            x = stack(x)
        return x

    return apply


@registry.register
def residual(
    layers: Stack, activation: Activation | None = None, name: Name = None, _build: Any = None, _make: Any = None
) -> Callable[[Any], Any]:
    """x + layers(x), then the activation (He et al. 2015).

    Where the layers change the shape of an image, x goes through a 1×1 convolution with the
    strides that fit; where they change the width of a vector, through a dense layer.
    """
    stack = _build(layers)

    def apply(x: Any) -> Any:
        y = stack(x)
        y = keras.layers.Add(name=name)([_shortcut(x, tuple(y.shape), _make), y])
        return keras.layers.Activation(activation)(y) if activation else y

    return apply


def _shortcut(x: Any, shape: tuple[int | None, ...], make: Callable[[Part], Any]) -> Any:
    """x brought to `shape` (batch axis first) by the cheapest learned projection."""
    before = tuple(x.shape)
    if before == shape:
        return x
    if len(before) == len(shape) == 4:
        strides = [-(-a // b) if a and b else 1 for a, b in zip(before[1:3], shape[1:3], strict=True)]
        # Every other pixel first, then 1×1: the same numbers. oneDNN's gradient of a strided 1×1 convolution of few
        # channels is now and then wrong on a CPU.
        x = x if strides == [1, 1] else keras.layers.MaxPooling2D(1, strides)(x)
        x = make(Part("conv2d", {"filters": shape[-1], "kernel_size": 1, "use_bias": False}))(x)
    elif len(before) == len(shape):
        x = make(Part("dense", {"units": shape[-1], "use_bias": False}))(x)
    if tuple(x.shape) != shape:
        raise ValueError(
            f"the layers turn {before[1:]} into {shape[1:]}, and no projection of the input has that shape"
        )
    return x


@registry.register
def sequential(layers: Stack, _build: Any = None) -> Callable[[Any], Any]:
    """Several layers as one: a branch of `parallel`, or what `time_distributed` cannot hold."""
    stack: Callable[[Any], Any] = _build(layers)
    return stack


@registry.register
def parallel(
    layers: Branches,
    merge: Literal["concatenate", "add", "average", "multiply", "maximum", "minimum"] = "concatenate",
    name: Name = None,
    _build: Any = None,
) -> Callable[[Any], Any]:
    """Every layer sees the same input, and their outputs are joined (Szegedy et al. 2014).

    `concatenate` joins along the last axis; the others want outputs of one shape. A branch of several layers is
    a `sequential`, one that changes nothing an `identity`.
    """
    stacks = [_build([layer]) for layer in layers]
    join = getattr(keras.layers, merge.title())(name=name)
    return lambda x: join([stack(x) for stack in stacks])


@registry.register
def dense_block(
    times: Annotated[int, Field(gt=0, le=100)],
    growth_rate: Positive = 12,
    bottleneck: bool = False,
    dropout: Rate = 0.0,
    _make: Any = None,
) -> Callable[[Any], Any]:
    """Convolutions of which each sees the outputs of all before it (DenseNet, Huang et al. 2016).

    Each of the `times` adds `growth_rate` channels: batch normalization, relu, convolution 3 × 3; with `bottleneck`
    a convolution 1 × 1 to 4 · growth_rate channels comes before.
    """

    def convolution(x: Any, filters: int, size: int) -> Any:
        x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
        arguments = {"filters": filters, "kernel_size": size, "padding": "same", "use_bias": False}
        return _make(Part("conv2d", arguments))(x)

    def apply(x: Any) -> Any:
        for _ in range(times):
            y = convolution(x, 4 * growth_rate, 1) if bottleneck else x
            y = convolution(y, growth_rate, 3)
            x = keras.layers.Concatenate()([x, keras.layers.Dropout(dropout)(y) if dropout else y])
        return x

    return apply


@registry.register
def squeeze_excite(ratio: Positive = 16, _make: Any = None) -> Callable[[Any], Any]:
    """Weighs each channel of an image by what the whole image shows (Hu et al. 2017): the same shape."""

    def apply(x: Any) -> Any:
        channels = int(x.shape[-1])
        y = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        y = _make(Part("dense", {"units": max(1, channels // ratio), "activation": "relu"}))(y)
        return keras.layers.Multiply()([x, _make(Part("dense", {"units": channels, "activation": "sigmoid"}))(y)])

    return apply


@registry.register
def transformer_block(
    num_heads: Positive,
    key_dim: Positive,
    ff_dim: Positive,
    dropout: Rate = 0.0,
    activation: Activation = "relu",
    norm_first: bool = False,
    epsilon: PositiveFloat = 1e-6,
    _make: Any = None,
) -> Callable[[Any], Any]:
    """Self-attention, then two dense layers, each with a residual connection (Vaswani et al. 2017): the same shape.

    Layer normalization comes behind each of the two, or before it with `norm_first`.
    """

    def apply(x: Any) -> Any:
        def attend(y: Any) -> Any:
            return _make(
                Part("multi_head_attention", {"num_heads": num_heads, "key_dim": key_dim, "dropout": dropout})
            )(y)

        def feed(y: Any) -> Any:
            y = _make(Part("dense", {"units": ff_dim, "activation": activation}))(y)
            return _make(Part("dense", {"units": int(x.shape[-1])}))(y)

        for step in (attend, feed):
            y = step(keras.layers.LayerNormalization(epsilon=epsilon)(x) if norm_first else x)
            x = keras.layers.Add()([x, keras.layers.Dropout(dropout)(y) if dropout else y])
            x = x if norm_first else keras.layers.LayerNormalization(epsilon=epsilon)(x)
        return x

    return apply


@registry.register
def position_embedding(name: Name = None, _make: Any = None) -> Callable[[Any], Any]:
    """Adds a learned vector for each place in the sequence: (steps, features) to the same (Gehring et al. 2017)."""

    def apply(x: Any) -> Any:
        if len(x.shape) != 3 or None in x.shape[1:]:
            raise ValueError(f"expected (steps, features), got {tuple(x.shape[1:])}; put it behind an embedding")
        ones = keras.ops.ones_like(x[:, :, 0])
        places = keras.ops.cumsum(keras.ops.cast(ones, "int32"), axis=1) - 1
        vectors = _make(Part("embedding", {"input_dim": x.shape[1], "output_dim": x.shape[2], "name": name}))(places)
        return keras.layers.Add()([x, vectors])

    return apply


# keras.applications by snake_case name -> (class, module that holds its preprocess_input)
NETWORKS: dict[str, tuple[str, str]] = {
    **{f"convnext_{size.lower()}": (f"ConvNeXt{size}", "convnext")
       for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    **{f"densenet{depth}": (f"DenseNet{depth}", "densenet") for depth in (121, 169, 201)},
    **{f"efficientnet_b{size}": (f"EfficientNetB{size}", "efficientnet") for size in range(8)},
    "efficientnet_lite0": ("EfficientNetLite0", "efficientnet_lite"),
    **{f"efficientnet_v2_b{size}": (f"EfficientNetV2B{size}", "efficientnet_v2") for size in range(4)},
    **{f"efficientnet_v2_{size}": (f"EfficientNetV2{size.upper()}", "efficientnet_v2") for size in "sml"},
    "inception_resnet_v2": ("InceptionResNetV2", "inception_resnet_v2"),
    "inception_v3": ("InceptionV3", "inception_v3"),
    "mobilenet": ("MobileNet", "mobilenet"),
    "mobilenet_v2": ("MobileNetV2", "mobilenet_v2"),
    "mobilenet_v3_small": ("MobileNetV3Small", "mobilenet_v3"),
    "mobilenet_v3_large": ("MobileNetV3Large", "mobilenet_v3"),
    "nasnet_mobile": ("NASNetMobile", "nasnet"),
    "nasnet_large": ("NASNetLarge", "nasnet"),
    **{f"resnet{depth}": (f"ResNet{depth}", "resnet") for depth in (50, 101, 152)},
    **{f"resnet{depth}_v2": (f"ResNet{depth}V2", "resnet_v2") for depth in (50, 101, 152)},
    "vgg16": ("VGG16", "vgg16"),
    "vgg19": ("VGG19", "vgg19"),
    "xception": ("Xception", "xception"),
}  # fmt: skip


def _application(name: str) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    """(what makes the network, how it scales values from 0 to 255)."""
    class_name, module = NETWORKS[name]
    if name == "efficientnet_lite0":
        return efficientnet_lite.EfficientNetLite0, efficientnet_lite.preprocess_input
    return getattr(keras.applications, class_name), getattr(keras.applications, module).preprocess_input


@registry.register
def pretrained(
    name: Literal[tuple(NETWORKS)],  # type: ignore[valid-type]
    weights: Literal["imagenet", "none"] | FilePath = "imagenet",
    trainable: bool | Annotated[str, Field(pattern=r"^last [1-9]\d{0,3}$")] | None = None,
    _restored: bool = False,
) -> Callable[[Any], Any]:
    """A network of keras.applications without its head: images (height, width, 3) to its last feature maps.

    It expects values from 0 to 255 and scales them itself, as it was trained. `weights`: Keras's, trained on ImageNet
    (downloaded once); a file of weights for this network without its head; or none. Weights from elsewhere stay as
    they are unless `trainable`: true, or `last 20`, the last layers with weights (of which batch normalizations stay);
    with `none` all of them learn, unless it is false.
    """
    from_file = weights not in ("imagenet", "none")

    def apply(x: Any) -> Any:
        size = tuple(x.shape[1:])
        if len(size) != 3 or size[2] != 3 or min(size[:2]) < 32:
            raise ValueError(f"{name} expects colour images of at least 32 × 32, got {size}")
        made, scaled = _application(name)
        source = "imagenet" if weights == "imagenet" and not _restored else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that no weights were made for this very size
            try:
                body = made(include_top=False, weights=source, input_shape=size, name=name)
            except DataError:
                raise
            except Exception as error:  # urllib, ssl and Keras raise their own
                if source is None:
                    raise
                raise DataError(
                    f"the ImageNet weights of {name} cannot be downloaded ({str(error)[:120]})",
                    hint=f"put {_weights_file(error, name)} into {_cache()}; or weights: FILE, or weights: none",
                ) from error
        if from_file and not _restored:
            try:
                body.load_weights(str(weights))
            except Exception as error:  # Keras, h5py and zipfile each raise their own
                raise DataError(
                    f"does not hold the weights of {name} without its head ({' '.join(str(error).split())[:120]})",
                    where=str(weights),
                ) from error
        _unfreeze(body, weights == "none" if trainable is None else trainable)
        return body(scaled(x))

    return apply


def _cache() -> str:
    """Where Keras looks for weights before it downloads them."""
    return os.path.join(os.environ.get("KERAS_HOME") or os.path.join("~", ".keras"), "models")


def _weights_file(error: Exception, name: str) -> str:
    """The file that Keras wanted, by the address in its message."""
    match = re.search(r"/([^/\s]+\.(?:h5|keras))", str(error))
    return match[1] if match else f"Keras's file of {name} without its top"


def _unfreeze(body: Any, trainable: bool | str) -> None:
    """Let all, none or the last layers with weights learn; among the last, batch normalizations keep what they are."""
    body.trainable = bool(trainable)
    if not isinstance(trainable, str):
        return
    weighted = [layer for layer in body.layers if layer.weights]
    for layer in weighted[: -int(trainable.split()[1])]:
        layer.trainable = False
    for layer in body.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.trainable = False
