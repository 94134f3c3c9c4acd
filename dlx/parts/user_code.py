"""A user's own parts: Python files named under `imports`, run only with --allow-code.

    import dlx

    @dlx.layer
    def scaled_dense(units: int, scale: float = 0.5): ...      # returns a Keras layer, or a function of x
    @dlx.dataset
    def mine(path: str): ...                                    # returns (x, y), or a pair of these
    @dlx.augmentation
    def jitter(images, seed, amount: float = 3.0): ...          # returns images
    @dlx.loss
    def absolute(targets, predictions, power: float = 1.0): ... # returns a number for each example
    @dlx.metric
    def within(targets, predictions, by: float = 0.5): ...      # returns a number for each example

A class of Keras (keras.layers.Layer, keras.metrics.Metric) may stand in place of a function.

The parts of a spec's files are in the registries of that spec's UserCode, and in no other spec's.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dlx.data.dataset import Dataset
from dlx.errors import DataError, DlxError
from dlx.parts import REGISTRIES, losses
from dlx.parts.datasets import npz
from dlx.parts.keras_signatures import snake
from dlx.parts.registry import Registries
from dlx.system import backend
from dlx.system.backend import keras
from dlx.system.files import regular

T = TypeVar("T")
UserPart = tuple[str, Callable[..., Any]]  # (kind of registry, function)


@dataclass(frozen=True, eq=False)
class Module:
    """A file that has run: its bytes as they were then, their sha256, and the parts that it registered."""

    source: bytes
    digest: str
    parts: Sequence[UserPart] = ()


@dataclass(frozen=True, eq=False)
class UserCode:
    """The files of a spec's `imports` that have run, by absolute path, and the registries that hold their parts."""

    modules: Mapping[str, Module] = dataclasses.field(default_factory=dict)
    registries: Registries = dataclasses.field(default_factory=lambda: REGISTRIES)

    def digest(self, path: str) -> str:
        """The sha256 of the bytes that ran, whatever has become of the file since."""
        return self.modules[str(path)].digest

    def source(self, path: str) -> bytes:
        """The bytes that ran."""
        return self.modules[str(path)].source

    def digests(self) -> dict[str, str]:
        """The sha256 of each file, by its name."""
        return {Path(path).name: module.digest for path, module in self.modules.items()}

    def moved(self, copies: Iterable[tuple[str, Path]]) -> UserCode:
        """The same code with each (file, copy) at the place of its copy: nothing runs again."""
        modules = {str(copy.resolve()): self.modules[path] for path, copy in copies}
        return dataclasses.replace(self, modules=modules)


_executed: dict[tuple[str, str], Module] = {}  # by path and sha256: a file runs once a process for what it holds
_collected: ContextVar[list[UserPart] | None] = ContextVar("_collected", default=None)  # by the file that is running


def allowed() -> bool:
    """Whether a user's code may run: --allow-code, or DLX_ALLOW_CODE=1."""
    return os.environ.get("DLX_ALLOW_CODE", "") not in ("", "0")


def read_source(path: str | Path) -> bytes:
    """The bytes of a Python file. Raises DlxError when it cannot be read."""
    try:
        return Path(regular(path)).read_bytes()
    except OSError as error:
        raise DlxError(f"cannot be read ({error.strerror})", where=str(path)) from error


def load(paths: Sequence[str]) -> UserCode:
    """Run the files, each once a process for what it holds; returns their code.

    The bytes that were read are what is hashed, compiled and kept: no cached bytecode runs in their place.
    Raises DlxError with the line at which one fails.
    """
    if not paths:
        return UserCode()
    backend.load()  # before a file imports Keras by itself
    modules = {}
    for path in map(str, paths):
        source = read_source(path)
        key = path, hashlib.sha256(source).hexdigest()
        if key not in _executed:
            _executed[key] = _execute(path, source, key[1])
        modules[path] = _executed[key]
    latest: dict[UserPart, Any] = {}
    for module in modules.values():  # of two files with one name, the later one wins
        latest |= {(kind, part.__name__): part for kind, part in module.parts}  # type: ignore[misc]
    registries = {
        kind: registry.extended(part for (of, _), part in latest.items() if of == kind)
        for kind, registry in REGISTRIES.items()
    }
    return UserCode(modules, registries)


def _execute(path: str, source: bytes, digest: str) -> Module:
    name = f"dlx_user_{Path(path).stem}_{digest[:8]}"
    namespace = types.ModuleType(name)
    namespace.__file__ = path
    sys.modules[name] = namespace
    parts: list[UserPart] = []
    token = _collected.set(parts)
    try:
        exec(compile(source, path, "exec"), namespace.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the file raises, sys.exit among it
        raise located(error, path) from error
    finally:
        _collected.reset(token)
    return Module(source, digest, parts)


def located(error: BaseException, path: str = "") -> DlxError:
    """What user code raised, with the line of its file."""
    files = {path} if path else {path for path, _ in _executed}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    place = (path, error.lineno) if isinstance(error, SyntaxError) and path else None
    if place is None and frames:
        place = (frames[-1].filename, frames[-1].lineno)
    message = error.message if isinstance(error, DlxError) else f"{type(error).__name__}: {error}"
    return DlxError(message, where=f"{place[0]}:{place[1]}" if place else path, hint=getattr(error, "hint", ""))


def _guarded(function: Any) -> Any:
    """`function`, whose errors name its file and line."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except (DlxError, KeyboardInterrupt):
            raise
        except BaseException as error:
            problem = located(error)
            raise DataError(f"{function.__name__}: {problem.message}", where=problem.where) from error

    return call


def layer(thing: T) -> T:
    """Register a layer: a class of Keras, or a function that returns a layer or a function of x."""
    target: Any = thing

    def build(**arguments: Any) -> Any:
        made = _guarded(target)(**arguments)
        if not callable(made):
            raise TypeError(f"{target.__name__} returned {type(made).__name__}, expected a Keras layer or a function")
        return made

    _collect("layer", _part(target, build, 0))
    return thing


def metric(thing: T) -> T:
    """Register a metric: a class of Keras, or a function (targets, predictions, …) -> a number for each example.

    The smaller it is the better, where it is the monitored figure.
    """
    function: Any = thing
    if inspect.isclass(thing):

        def made(**arguments: Any) -> Any:
            metric = _guarded(function)(**arguments)
            metric.name = snake(function.__name__)
            return metric

        _collect("metric", _part(function, made, 0))
        return thing
    name = function.__name__

    def build(**arguments: Any) -> Any:
        return keras.metrics.MeanMetricWrapper(
            lambda targets, predictions: _guarded(function)(targets, predictions, **arguments), name=name
        )

    _collect("metric", _part(function, build, 2))
    return thing


def loss(thing: T) -> T:
    """Register a loss: a class of Keras, or a function (targets, predictions, …) -> a number for each example.

    targets: (n, units) float32, of classes one-hot; predictions: the same shape, after the head's activation.
    """
    function: Any = thing
    makes = inspect.isclass(thing)

    def build(**arguments: Any) -> Any:
        call = _guarded(function)(**arguments).call if makes else functools.partial(_guarded(function), **arguments)

        def computed(targets: Any, logits: Any, activation: Any) -> Any:
            each = call(losses.spread(targets, logits.shape[-1]), activation(logits))
            shape = tuple(getattr(each, "shape", ()))
            if not shape:
                raise DataError(f"the loss {function.__name__} returned one number, expected one for each example")
            values = keras.backend.standardize_dtype(targets.dtype).startswith("float")
            kept = 1 if values else len(targets.shape)  # class numbers of steps have a loss each
            return keras.ops.mean(each, axis=tuple(range(kept, len(shape)))) if len(shape) > kept else each

        return computed

    _collect("loss", _part(function, build, 0 if makes else 2))
    return thing


def augmentation(thing: T) -> T:
    """Register an augmentation: a function (images, seed, …) -> images; images are (n, height, width, channels)."""
    function: Any = thing

    def build(**arguments: Any) -> Any:
        return lambda images, seed: _guarded(function)(images, seed, **arguments)

    _collect("augment", _part(function, build, 2))
    return thing


def dataset(thing: T) -> T:
    """Register a dataset: a function that returns (x, y), ((x, y), (x_test, y_test)) or arrays by name, as in .npz."""
    function: Any = thing

    def build(_task: str = "auto", **arguments: Any) -> Dataset:
        made = _guarded(function)(**arguments)
        if isinstance(made, Dataset):
            return made
        if isinstance(made, tuple) and len(made) == 2:
            pairs = isinstance(made[0], tuple)
            (x, y), test = (made[0], made[1]) if pairs else (made, None)
            made = {"x": x, "y": y} | ({"x_test": test[0], "y_test": test[1]} if test is not None else {})
        if not isinstance(made, dict):
            raise DataError(f"{function.__name__} returned {type(made).__name__}, expected (x, y) or arrays by name")
        return npz.from_arrays(made, _task, function.__name__)

    _collect("dataset", _part(function, build, 0, task=True))
    return thing


def _part(target: Any, build: Callable[..., Any], given: int, task: bool = False) -> Any:
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

    part.__name__ = snake(target.__name__) if inspect.isclass(target) else target.__name__
    part.__doc__ = inspect.getdoc(target) or f"{target.__name__}, from a file of imports."
    part.__annotations__ = annotations
    part.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return part


def _collect(kind: str, part: Any) -> None:
    """Add a part to those of the file that is running; dlx's own names are taken, and a file may use a name once."""
    name, registry, parts = part.__name__, REGISTRIES[kind], _collected.get()
    if name in registry:
        raise DlxError(f"{name!r} is a {registry.kind} of dlx", hint="give yours another name")
    if parts is None:  # the file was imported by Python itself, and not by a spec
        return
    if any((of, other.__name__) == (kind, name) for of, other in parts):
        raise DlxError(f"{name!r} is registered twice in this file", hint="give one of them another name")
    parts.append((kind, part))
