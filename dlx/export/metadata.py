"""What an exported model says of itself, in one JSON text: all that a program needs to use it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from dlx import __version__
from dlx.inference import onnx_model, threshold
from dlx.runs.run import Run
from dlx.system import files

FORMAT = 1
FILE = "dlx.json"  # where a format keeps it in a file of its own


def record(run: Run, info: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """What is known of a run's model: what it takes, what it gives, and which model.keras it is.

    input: kind, shape and dtype of one example; range: of the values of images; resize: how images come to the shape;
    encoding: how a table, texts or a series become numbers; output: the classes, or the columns whose values it gives,
    in the data's unit; threshold: from which probability on the second of two classes is the answer, where one
    was chosen; model, spec: SHA-256 of model.keras (`digest`) and of spec.yaml.
    """
    facts = onnx_model.facts(info)
    kept = threshold.of_run(run) if threshold.applies(info) else None
    return {
        "format": FORMAT,
        "dlx": __version__,
        "run": run.name,
        **facts,
        **({"range": [0, 255], "resize": "bilinear, antialiased"} if of_bytes(info) else {}),
        **({"threshold": kept.value} if kept else {}),
        "model": digest,
        "spec": files.sha256(run.spec_file),
    }


def of_bytes(info: Mapping[str, Any]) -> bool:
    """Whether a run's inputs are images of whole numbers from 0 to 255, which can be resized."""
    return (info["input"]["kind"], info["input"]["dtype"]) == ("image", "uint8")


def only_in(folder: Path, names: Set[str]) -> bool:
    """Whether a folder holds the file of metadata, and beside it no more than `names`."""
    inside = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    return FILE in inside and inside <= {FILE, *names}
