"""Parts of a spec's own: Python files named under `imports`, run only with --allow-code.

    import dlx

    @dlx.layer
    def scaled_dense(units: int, scale: float = 0.5): ...      # returns a Keras layer, or a function of x
    @dlx.dataset
    def mine(path: str): ...                                    # returns (x, y), or a pair of these
    @dlx.augmentation
    def jitter(images, seed, amount: float = 3.0): ...          # returns images
    @dlx.metric
    def within(targets, predictions, by: float = 0.5): ...      # returns a number for each example

A class of Keras (keras.layers.Layer, keras.metrics.Metric) may stand in place of a function.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import dlx
from dlx import backend
from dlx.backend import keras
from dlx.dataset import Dataset
from dlx.errors import DataError, DlxError
from dlx.parts import augment, datasets, layers, losses, signatures
from dlx.registry import Registry

T = TypeVar("T")
_done: set[tuple[str, str]] = set()


def allowed() -> bool:
    """Whether a spec's own code may run: --allow-code, or DLX_ALLOW_CODE=1."""
    return os.environ.get("DLX_ALLOW_CODE", "") not in ("", "0")


def hash_of(path: str | Path) -> str:
    """The sha256 of a file. Raises DlxError when it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise DlxError(f"cannot be read ({error.strerror})", where=str(path)) from error


def load(paths: Sequence[str]) -> None:
    """Run the files, each once; raises DlxError with the line at which one fails."""
    backend.load()  # before a file imports Keras by itself
    for path in paths:
        key = (str(path), hash_of(path))
        if key in _done:
            continue
        name = f"dlx_own_{Path(path).stem}_{key[1][:8]}"
        found = importlib.util.spec_from_file_location(name, path)
        if found is None or found.loader is None:
            raise DlxError("is no Python file", where=str(path))
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        try:
            found.loader.exec_module(module)
        except Exception as error:  # whatever the file raises
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else lines[-1] if lines else None
            said = error.message if isinstance(error, DlxError) else f"{type(error).__name__}: {error}"
            raise DlxError(said, where=f"{path}:{line}" if line else str(path)) from error
        _done.add(key)


def layer(thing: T) -> T:
    """Register a layer: a class of Keras, or a function that returns a layer or a function of x."""
    target: Any = thing
    _keep(layers.registry, _wrapped(target, target, 0))
    return thing


def metric(thing: T) -> T:
    """Register a metric: a class of Keras, or a function (targets, predictions, …) -> a number for each example.

    The smaller it is the better, where it is the monitored figure.
    """
    function: Any = thing
    if inspect.isclass(thing):
        _keep(losses.metrics, _wrapped(function, function, 0))
        return thing
    name = function.__name__

    def build(**arguments: Any) -> Any:
        return keras.metrics.MeanMetricWrapper(lambda wanted, said: function(wanted, said, **arguments), name=name)

    _keep(losses.metrics, _wrapped(function, build, 2))
    return thing


def augmentation(thing: T) -> T:
    """Register an augmentation: a function (images, seed, …) -> images; images are (n, height, width, channels)."""
    function: Any = thing

    def build(**arguments: Any) -> Any:
        return lambda images, seed: function(images, seed, **arguments)

    _keep(augment.registry, _wrapped(function, build, 2))
    return thing


def dataset(thing: T) -> T:
    """Register a dataset: a function that returns (x, y), ((x, y), (x_test, y_test)) or arrays by name, as in .npz."""
    function: Any = thing

    def build(_task: str = "auto", **arguments: Any) -> Dataset:
        made = function(**arguments)
        if isinstance(made, Dataset):
            return made
        if isinstance(made, tuple) and len(made) == 2:
            pairs = isinstance(made[0], tuple)
            (x, y), test = (made[0], made[1]) if pairs else (made, None)
            made = {"x": x, "y": y} | ({"x_test": test[0], "y_test": test[1]} if test is not None else {})
        if not isinstance(made, dict):
            raise DataError(f"{function.__name__} returned {type(made).__name__}, expected (x, y) or arrays by name")
        return datasets.files.from_arrays(made, _task, function.__name__)

    _keep(datasets.registry, _wrapped(function, build, 0, task=True))
    return thing


def _wrapped(target: Any, build: Callable[..., Any], given: int, task: bool = False) -> Any:
    """`build` with the signature of `target` but for its first `given` parameters, which dlx gives."""
    parameters = list(inspect.signature(target, eval_str=True).parameters.values())[given:]
    shown = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = parameter.annotation
        if kind is parameter.empty:
            by_type = {bool: bool, int: int, float: float, str: str}
            kind = by_type.get(type(parameter.default), Any)
        shown.append(parameter.replace(annotation=kind, kind=parameter.KEYWORD_ONLY))
    annotations = {parameter.name: parameter.annotation for parameter in shown}
    if task:
        shown.append(inspect.Parameter("_task", inspect.Parameter.KEYWORD_ONLY, default="auto"))

    def part(**arguments: Any) -> Any:
        return build(**arguments)

    part.__name__ = signatures.snake(target.__name__) if inspect.isclass(target) else target.__name__
    part.__doc__ = inspect.getdoc(target) or f"{target.__name__}, from a file of imports."
    part.__annotations__ = annotations
    part.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return part


def _keep(registry: Registry, part: Any) -> None:
    """Register an own part; one of its own name may come again from a changed file, dlx's never."""
    if part.__name__ in registry and not getattr(registry.find(part.__name__), "own", False):
        raise DlxError(f"{part.__name__!r} is a {registry.kind} of dlx", hint="give your own another name")
    part.own = True
    registry.register(part, again=True)


# Importing dlx.dataset, the module, has put it there under the name of the decorator, which a file of parts means.
dlx.dataset = dataset  # type: ignore[assignment]
