"""model.onnx: a run's model for ONNX Runtime, made when it costs little, and kept once it was checked."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from dlx.errors import DlxError
from dlx.export import metadata
from dlx.export.conversion import convert
from dlx.export.subject import Examples, Subject
from dlx.inference import onnx_model
from dlx.model.network import Network
from dlx.runs.run import Run
from dlx.system import files

SECONDS = 1.5  # that the first one of a process takes


def keep(subject: Subject, run: Run) -> Path:
    """Write a run's model.onnx, into the run, or into dlx's cache where the run is not to be written into.

    Raises TrainingError where it cannot be made, or answers otherwise than the network, and DiskError.
    """
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        made = Path(scratch) / onnx_model.NAME
        convert(subject, "onnx", made)
        return _keep(run, made.read_bytes())


def _keep(run: Run, raw: bytes) -> Path:
    """Write a run's model.onnx, into the run, or into dlx's cache where the run is not to be written into."""
    if os.access(run.path, os.W_OK) and not _tracked(run):
        with run.replacing(onnx_model.NAME) as path:
            path.write_bytes(raw)
        return run.path / onnx_model.NAME
    folder = onnx_model.cache()
    with files.disk(folder):
        files.make_private(folder)
        place = folder / f"{files.sha256(run.model_file)}.onnx"
        with files.replacing(place) as path:
            path.write_bytes(raw)
    return place


def _tracked(run: Run) -> bool:
    """Whether a run is published: its files are in a repository of git."""
    words = ["git", "-C", str(run.path), "ls-files", "--error-unmatch", "run.json"]
    try:
        return not subprocess.run(words, capture_output=True, check=False, timeout=10).returncode
    except (OSError, subprocess.SubprocessError):
        return False


def remember(run: Run, network: Network, examples: Examples) -> str:
    """Make and keep a run's model.onnx; returns why there is none, or an empty text."""
    info = run.info()
    try:
        keep(Subject(network, info, metadata.record(run, info), examples), run)
    except DlxError as error:
        return error.message
    return ""
