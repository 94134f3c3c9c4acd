"""model.onnx: a run's model for ONNX Runtime, made when it costs little, and kept once it was checked."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dlx import __version__
from dlx.errors import DlxError
from dlx.export import conversion, metadata
from dlx.export.subject import Examples, Subject, made_up
from dlx.inference import onnx_model
from dlx.inference.predictor import KerasModel, Predictor
from dlx.model.network import Network
from dlx.runs.run import Run
from dlx.system import files

SECONDS, FOR_A_MILLION = 1.5, 0.5  # that the first one of a process takes, and for a million numbers of a network
MOST_INDEX = 2**26  # bytes of a git index


def seconds(network: Network) -> float:
    """About how long it takes to make one."""
    return SECONDS + FOR_A_MILLION * float(network.model.count_params()) / 1e6


def remember(run: Run, network: Network, examples: Examples, digest: str) -> str:
    """Make and keep a run's model.onnx; returns why there is none, or an empty text.

    digest: the SHA-256 of the model.keras that the network is of; another one by now has no use for it. What cannot be
    made is not tried again, until dlx is another.
    """
    mark = onnx_model.cache() / f"{digest}-{__version__}.none"
    if mark.exists():
        return ""
    try:
        info = run.info()
        subject = Subject(network, info, metadata.record(run, info, digest), examples)
        with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
            made = Path(scratch) / onnx_model.NAME
            conversion.convert(subject, "onnx", made)
            _keep(run, made.read_bytes(), digest)
    except Exception as error:
        reason = error.message if isinstance(error, DlxError) else f"{type(error).__name__}: {error}"
        reason = " ".join(reason.split())[:300]
        try:
            files.make_private(mark.parent)
            mark.write_text(reason, encoding="utf-8")
        except OSError:
            return ""
        return reason
    return ""


def quicken(predictor: Predictor) -> str | None:
    """Make the model.onnx of what Keras answers for; as `remember`, and None where there is nothing to make."""
    if not isinstance(predictor.model, KerasModel) or not predictor.digest or not conversion.possible():
        return None
    return remember(predictor.run, predictor.network, made_up(predictor.run.info()), predictor.digest)


def _keep(run: Run, raw: bytes, digest: str) -> None:
    """Write it into the run, or into dlx's cache where the run is not to be written into."""
    if files.sha256(run.model_file) != digest:
        return
    if os.access(run.path, os.W_OK) and not _published(run):
        with run.replacing(onnx_model.NAME) as path:
            path.write_bytes(raw)
        return
    folder = onnx_model.cache()
    with files.disk(folder):
        files.make_private(folder)
        with files.replacing(folder / f"{digest}.onnx") as path:
            path.write_bytes(raw)


def _published(run: Run) -> bool:
    """Whether a run's files are in a repository of git: its index is read, git itself would obey a stranger's."""
    place = run.path.resolve() / "run.json"
    for folder in place.parents:
        if (folder / ".git").is_dir():
            try:
                index = files.contents(folder, ".git/index", MOST_INDEX)
            except OSError:
                return False
            return place.relative_to(folder).as_posix().encode() + b"\0" in index
    return False
