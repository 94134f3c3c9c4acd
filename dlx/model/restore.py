"""A run's trained network, rebuilt from its own spec."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlx import spec as specs
from dlx.data.dataset import Facts
from dlx.data.npz import read_arrays
from dlx.data.scaling import Scaling
from dlx.errors import DataError, RunError, SpecError
from dlx.model import weights_file
from dlx.model.build import build
from dlx.model.network import Network
from dlx.model.statistics import for_scaled_inputs, scaling_of
from dlx.parts import user_code
from dlx.runs import find
from dlx.runs.run import Run
from dlx.runs.summary import BASELINE
from dlx.system import files
from dlx.system.backend import keras


def restore(run: Run) -> tuple[Network, dict[str, Any]]:
    """(the network of a run with its trained weights, run.json).

    It is rebuilt from the run's own spec and takes only arrays from the file: nothing is unpickled and no code is
    deserialised. Raises RunError when there is no trained model in the run.
    """
    info = run.info()
    if info.get("kind") == BASELINE:
        raise RunError("is a baseline: it keeps figures and predictions, and has no network", where=str(run.path))
    if not run.model_file.is_file():
        if run.status == "done":
            hint = f"{find.command_line('dlx', 'run', str(run.spec_file))} trains it"
            raise RunError("has no trained model: it was left out", where=str(run.path), hint=hint)
        message = f"has no trained model: it is {run.status}"
        raise RunError(message, where=str(run.path), hint=find.with_model(run.path))
    try:
        _unchanged(run, info)
        spec = specs.load(run.spec_file, alone=True, bare=True)
        facts, targets, inputs = _facts(info), Scaling.recorded(info, "targets"), Scaling.recorded(info, "inputs")
        if inputs is not None and (not spec.preprocess or inputs.mean.shape not in ((), facts.shape[-1:])):
            raise ValueError("its scaling of inputs is not of this network")
        if targets is not None and targets.mean.shape not in ((), (facts.targets,)):
            raise ValueError("its scaling of targets is not of this network")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"run.json lacks what prediction needs ({error!r})", where=str(run.path)) from error
    except SpecError as error:
        if info.get("code") and not user_code.allowed():
            message = f"its network needs user code, from {', '.join(sorted(info['code']))}"
            hint = "read the code first; --allow-code (or DLX_ALLOW_CODE=1) lets it run"
            raise RunError(message, where=str(run.path), hint=hint) from error
        raise RunError(f"its spec is not valid: {error.problems[0]}", where=str(run.path)) from error
    size = run.model_file.stat().st_size
    how: Any = "no" if not info.get("scaled") else "constants" if "scaling" in info else "variables"
    network = build(spec, facts, targets=targets, restored=True, scaled=how, file_size=size)
    weights_file.load(network.model, run.path, run.model_file.name)
    if network.scales and how == "variables":
        network.model.get_layer("predictions").finalize_state()
        network = dataclasses.replace(network, target_scaling=scaling_of(network.model.get_layer("predictions")))
    if inputs is not None:
        for_scaled_inputs(network)
    return network, info


@contextlib.contextmanager
def with_snapshot(network: Network, run: Run, epoch: int) -> Iterator[None]:
    """Within it the network has the weights that the run kept after an epoch.

    Raises RunError where the snapshot cannot be read, or is not of this network.
    """
    name, weights = f"snapshots/{epoch}.npz", network.logits.weights
    most = 2**20 + 8 * sum(int(np.prod(weight.shape)) for weight in weights)
    try:
        arrays = read_arrays(files.contents(run.path, name, most), most, name)
    except (OSError, DataError) as error:
        raise RunError(f"{name} cannot be read ({error})", where=str(run.path)) from error
    kept = list(arrays.values()) if isinstance(arrays, dict) else []
    if [array.shape for array in kept] != [tuple(weight.shape) for weight in weights]:
        raise RunError(f"{name} holds the weights of another network", where=str(run.path))
    before = [keras.ops.convert_to_numpy(weight.value).copy() for weight in weights]  # else they are views
    try:
        for weight, array in zip(weights, kept, strict=True):
            weight.assign(array)
        yield
    finally:
        for weight, array in zip(weights, before, strict=True):
            weight.assign(array)


def _unchanged(run: Run, info: Mapping[str, Any]) -> None:
    """Raise RunError when a file of the run's user code is not the one that it was trained with."""
    for name, digest in dict(info.get("code") or {}).items() if user_code.allowed() else ():
        if not (run.code / name).is_file() or _digest(run.code / name) != digest:
            raise RunError(f"code/{name} is not the code that this run was trained with", where=str(run.path))


def _digest(path: Path) -> str:
    return hashlib.sha256(user_code.read_source(path)).hexdigest()


def _facts(info: Mapping[str, Any]) -> Facts:
    """What run.json records of the data; raises KeyError, TypeError or ValueError where it does not."""
    shape, task = tuple(int(extent) for extent in info["input"]["shape"]), info["task"]
    if min(shape, default=0) < 1 or task not in ("classification", "regression", "multi_label"):
        raise ValueError(f"shape {shape}, task {task!r}")
    classes, targets = tuple(str(name) for name in info["classes"]), int(info.get("targets", 1))
    tokens = str(info["input"].get("dtype", "")) in ("int32", "int64")
    return Facts(shape, task, classes, targets, tokens, int(info.get("steps", 0)))
