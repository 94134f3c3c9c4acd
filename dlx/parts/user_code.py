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

import functools
import hashlib
import inspect
import os
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dlx.data.dataset import Dataset
from dlx.errors import DataError, DlxError
from dlx.parts import augment, layers, losses
from dlx.parts import keras_signatures as signatures
from dlx.parts.datasets import loading
from dlx.parts.datasets import npz as files
from dlx.parts.registry import Registry
from dlx.system import backend
from dlx.system.backend import keras
from dlx.system.files import plain

T = TypeVar("T")


@dataclass
class Module:
    """A file that has run: its bytes as they were then, their sha256, and the parts that it registered."""

    source: bytes
    digest: str
    parts: list[tuple[Registry, Any]] = field(default_factory=list)


_modules: dict[str, Module] = {}
_running: Module | None = None


def allowed() -> bool:
    """Whether a spec's own code may run: --allow-code, or DLX_ALLOW_CODE=1."""
    return os.environ.get("DLX_ALLOW_CODE", "") not in ("", "0")


def hash_of(path: str | Path) -> str:
    """The sha256 of a file: of the bytes that ran, where it has. Raises DlxError when it cannot be read."""
    held = _modules.get(str(path))
    return held.digest if held else hashlib.sha256(_read(path)).hexdigest()


def source_of(path: str | Path) -> bytes:
    """The bytes of a file that ran, whatever has become of it since."""
    return _modules[str(path)].source


def _read(path: str | Path) -> bytes:
    try:
        return Path(plain(path)).read_bytes()
    except OSError as error:
        raise DlxError(f"cannot be read ({error.strerror})", where=str(path)) from error


def load(paths: Sequence[str]) -> None:
    """Run the files, each once for what it holds, and make their parts the only own ones that there are.

    The bytes that were read are what is hashed, compiled and kept: no cached bytecode runs in their place.
    Raises DlxError with the line at which one fails.
    """
    backend.load()  # before a file imports Keras by itself
    for path in map(str, paths):
        source = _read(path)
        digest = hashlib.sha256(source).hexdigest()
        if path not in _modules or _modules[path].digest != digest:
            _modules[path] = _execute(path, Module(source, digest))
    install(paths)


def _execute(path: str, module: Module) -> Module:
    global _running
    name = f"dlx_own_{Path(path).stem}_{module.digest[:8]}"
    namespace = types.ModuleType(name)
    namespace.__file__ = path
    sys.modules[name] = namespace
    _running = module
    try:
        exec(compile(module.source, path, "exec"), namespace.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the file raises, sys.exit among it
        raise located(error, path) from error
    finally:
        _running = None
    return module


def install(paths: Sequence[str]) -> None:
    """Let the own parts be those of these files, which have run: another spec's are none of this one's."""
    for registry in (layers.registry, losses.metrics, augment.registry, loading.registry):
        for name in list(registry):
            if registry.own(name):
                registry.forget(name)
    for path in map(str, paths):
        for registry, part in _modules[path].parts if path in _modules else ():
            registry.register(part, again=True)


def adopt(copy: str | Path, original: str | Path) -> None:
    """Let a run's copy of a file stand for it: it need not run again."""
    if str(original) in _modules:
        _modules[str(copy)] = _modules[str(original)]


def located(error: BaseException, path: str = "") -> DlxError:
    """What own code raised, with the line of its file."""
    files = {path} if path else set(_modules)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    place = (path, error.lineno) if isinstance(error, SyntaxError) and path else None
    if place is None and frames:
        place = (frames[-1].filename, frames[-1].lineno)
    said = error.message if isinstance(error, DlxError) else f"{type(error).__name__}: {error}"
    return DlxError(said, where=f"{place[0]}:{place[1]}" if place else path, hint=getattr(error, "hint", ""))


def _guarded(function: Any) -> Any:
    """`function`, whose errors name its file and line."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except (DlxError, KeyboardInterrupt):
            raise
        except BaseException as error:
            found = located(error)
            raise DataError(f"{function.__name__}: {found.message}", where=found.where) from error

    return call


def layer(thing: T) -> T:
    """Register a layer: a class of Keras, or a function that returns a layer or a function of x."""
    target: Any = thing

    def build(**arguments: Any) -> Any:
        made = _guarded(target)(**arguments)
        if not callable(made):
            raise TypeError(f"{target.__name__} returned {type(made).__name__}, expected a Keras layer or a function")
        return made

    _keep(layers.registry, _wrapped(target, build, 0))
    return thing


def metric(thing: T) -> T:
    """Register a metric: a class of Keras, or a function (targets, predictions, …) -> a number for each example.

    The smaller it is the better, where it is the monitored figure.
    """
    function: Any = thing
    if inspect.isclass(thing):

        def made(**arguments: Any) -> Any:
            metric = _guarded(function)(**arguments)
            metric.name = signatures.snake(function.__name__)
            return metric

        _keep(losses.metrics, _wrapped(function, made, 0))
        return thing
    name = function.__name__

    def build(**arguments: Any) -> Any:
        return keras.metrics.MeanMetricWrapper(
            lambda wanted, said: _guarded(function)(wanted, said, **arguments), name=name
        )

    _keep(losses.metrics, _wrapped(function, build, 2))
    return thing


def augmentation(thing: T) -> T:
    """Register an augmentation: a function (images, seed, …) -> images; images are (n, height, width, channels)."""
    function: Any = thing

    def build(**arguments: Any) -> Any:
        return lambda images, seed: _guarded(function)(images, seed, **arguments)

    _keep(augment.registry, _wrapped(function, build, 2))
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
        return files.from_arrays(made, _task, function.__name__)

    _keep(loading.registry, _wrapped(function, build, 0, task=True))
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
    """Register an own part; dlx's own names are taken, and a file may say a name once."""
    name = part.__name__
    if name in registry and not registry.own(name):
        raise DlxError(f"{name!r} is a {registry.kind} of dlx", hint="give your own another name")
    if _running is not None:
        if any(held is registry and other.__name__ == name for held, other in _running.parts):
            raise DlxError(f"{name!r} is registered twice in this file", hint="give one of them another name")
        _running.parts.append((registry, part))
    part.own = True
    registry.register(part, again=True)
