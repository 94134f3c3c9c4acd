"""What made a run: data, seed, versions, device, code, as run.json keeps it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.data.dataset import Dataset
from dlx.data.scaling import Scaling
from dlx.data.splits import majority_share
from dlx.inference.unlike import Ordinary
from dlx.model.network import Network, parameter_count
from dlx.spec.sections import Spec, flat, resolved
from dlx.system import backend, versions
from dlx.training.experiment import Experiment

# Counts the times that a change of dlx itself changed the figures of an unchanged spec, if only their last digits: a
# training that began before such a change does not continue after it as it was. docs/guide/versions.md has them.
ARITHMETIC = 1


def run_record(
    experiment: Experiment,
    network: Network,
    device: backend.Device,
    command: Sequence[str],
    base: str,
    parent: str | None,
) -> dict[str, Any]:
    """run.json: what made the run. No host name, no absolute path."""
    spec = experiment.spec
    return {
        **origin(spec, command, experiment.started),
        "versions": backend.versions(),
        **device.record(),
        **data_record(experiment),
        "scaled": network.scales,
        "parameters": parameter_count(network),
        "parent": parent,
        "code": spec.code.digests(),
        "settings": flat(resolved(spec, base)),
    }


def data_record(experiment: Experiment) -> dict[str, Any]:
    """What run.json says of the task and the data."""
    dataset = experiment.dataset
    return {
        "task": dataset.task,
        "monitor": experiment.monitor,
        "maximize": experiment.maximize,
        "input": {
            "kind": dataset.kind,
            "shape": list(dataset.shape),
            "dtype": dataset.train.inputs.dtype.name,
            "encoding": dataset.encoding.record() if dataset.encoding else {},
            **_file_inputs(dataset.input_scaling),
            **({"ordinary": Ordinary.of(dataset.train.inputs).record()} if dataset.kind == "image" else {}),
        },
        "dataset": {
            "fingerprint": dataset.fingerprint,
            "source": dataset.source,
            **experiment.splits.sizes(),
            **_most_frequent(experiment),
            **_skipped(dataset),
            **experiment.findings.record(),
        },
        "classes": list(dataset.classes),
        "targets": experiment.facts.targets,
        "steps": experiment.facts.steps,
        "scaling": scaling_record(experiment),
    }


def origin(spec: Spec, command: Sequence[str], started: float) -> dict[str, Any]:
    """What run.json says of where a run comes from: the command, the spec's file, the moment, the commit."""
    zone = time.strftime("%z", time.localtime(started))
    return {
        "dlx": versions.own(),
        "arithmetic": ARITHMETIC,
        "command": " ".join(_relative(word) for word in command),
        "spec": _relative(re.sub(r":\d+:\d+$", "", spec.marks.get("", ""))),
        "changed": [_relative(text) for text in spec.changed()],
        "start": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(started)) + zone,
        "started": started,
        "git": versions.commit(Path.cwd()),
    }


def conditions(experiment: Experiment, device: backend.Device) -> dict[str, Any]:
    """What decides a run's figures beside its spec, by its address in run.json."""
    recorded = device.record()
    libraries = {name: version for name, version in backend.versions().items() if name != "python"}
    return {
        "arithmetic": ARITHMETIC,
        **{f"versions.{name}": version for name, version in libraries.items()},
        **{key: recorded[key] for key in ("backend", "device", "processor", "threads", "devices")},
        **({"device_name": recorded["device_name"]} if device.device.startswith("gpu") else {}),
        "code": experiment.spec.code.digests(),
        "dataset.fingerprint": experiment.dataset.fingerprint,
        **{f"dataset.{name}": size for name, size in experiment.splits.sizes().items()},
    }


def scaling_record(experiment: Experiment) -> dict[str, Any]:
    """Means and deviations, in float64, by which dlx scales inputs and targets."""
    pairs = (("inputs", experiment.dataset.input_scaling), ("targets", experiment.target_scaling))
    return {name: scaling.record() for name, scaling in pairs if scaling is not None}


def _file_inputs(scaling: Scaling | None) -> dict[str, Any]:
    """What is done to inputs before model.keras takes them: (x - offset) / divisor; nothing where it takes them raw."""
    if scaling is None:
        return {}
    record = {}
    if scaling.offset.any():
        record["offset"] = scaling.offset.tolist()
    if (scaling.divisor != 1.0).any():
        record["divisor"] = scaling.divisor.tolist()
    return record


def scaling_notes(experiment: Experiment, network: Network) -> list[str]:
    """What is to know of model.keras, which computes in float32 alone, where that is too coarse for the data."""
    record, targets = _file_inputs(experiment.dataset.input_scaling), experiment.target_scaling
    words = [f"{'less' if name == 'offset' else 'divided by'} input.{name}" for name in record]
    notes = []
    if words:
        what = f"model.keras takes them {', '.join(words)} of run.json"
        notes.append(f"float32 is too coarse for some inputs: {what}; dlx predict takes them as they are")
    if network.scales and targets is not None and targets.coarse.any():
        notes.append(
            "float32 is too coarse for the targets: model.keras rounds its answers to it; dlx predict does not"
        )
    return notes


def _most_frequent(experiment: Experiment) -> dict[str, float]:
    """The share of the most frequent class where a run is judged, which guessing it would score."""
    splits, classes = experiment.splits, len(experiment.facts.classes)
    if experiment.dataset.task != "classification":
        return {}
    return {"most_frequent": round(majority_share(splits.validation or splits.train, classes), 6)}


def _skipped(dataset: Dataset) -> dict[str, Any]:
    """How many files were passed over, and which, and how many rows without a label were left out, where some were."""
    names = list(dataset.skipped)
    files = {"skipped": len(names), "skipped_files": names[:100]} if names else {}
    return {**files, **({"unlabelled": dataset.unlabelled} if dataset.unlabelled else {})}


def _relative(word: str) -> str:
    """A word of the command with the folders of absolute paths cut off: a run names no folders of its machine."""
    return re.sub(r"(?<![\w.…])[~/](?:[^\s,{}\[\]\"'=]*/)([^\s,{}\[\]\"'=/]*)", r"…/\1", word)
