"""A run's model as an ONNX file: its answers come without Keras and without a backend.

The file says in its metadata what it takes and gives, of which model.keras it was made, and how it was checked. It may
be a stranger's: it is read from memory, where no other file can be named, and by the operators of ONNX alone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError, RunError
from dlx.runs.run import Run
from dlx.system import files, machine

if TYPE_CHECKING:
    import numpy as np

NAME = "model.onnx"
KEY = "dlx"  # of the metadata
INPUT = "input"
OUTPUTS = ("probabilities", "value")
MOST_BYTES = 2 * 2**30 - 1  # what protobuf can hold
DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
# What a file must hold that names another file (the key of its place), or asks for operators beside ONNX's own, which
# ONNX Runtime has. Only one that does is read once more, by a library that takes as long as the prediction.
SUSPECT = (b"location", b"com.m", b"org.pytorch", b"training", b"preview")


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A model in ONNX Runtime. record: what the file says of itself, see `dlx.export.metadata`."""

    session: Any
    record: Mapping[str, Any]

    def answers(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Probabilities (n, classes), or values (n, targets), of each batch of raw inputs (n, *shape).

        Raises DataError where the model cannot take them.
        """
        import numpy as np

        dtype = DTYPES[self.session.get_inputs()[0].type]
        for batch in batches:
            try:
                (answer,) = self.session.run(None, {INPUT: np.ascontiguousarray(batch, dtype)})
            except Exception as error:  # ONNX Runtime's own
                reason = " ".join(str(error).split())[:200]
                raise DataError(f"the network cannot take these inputs ({reason})") from error
            if self.record and answer.shape != (len(batch), *self.shape):
                raise DataError(f"an answer has the shape {answer.shape[1:]}, expected {self.shape}")
            yield answer

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one answer."""
        return answer_shape(self.record)


def answer_shape(facts: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of one answer of a model of which these `facts` are known."""
    steps, classes = int(facts["steps"]), len(facts["classes"])
    return (*([steps] if steps else []), classes or int(facts["targets"]))


DTYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(uint8)": "uint8", "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}  # fmt: skip


GIVEN = ("tensor(float)", "tensor(double)")


def of_run(run: Run) -> OnnxModel | None:
    """What answers for a run's model.keras as it is now; None where no file was made of it and checked."""
    found = checked(run)
    return found[0] if found else None


def checked(run: Run) -> tuple[OnnxModel, Path] | None:
    """(what answers for a run's model.keras as it is now, its file); None where none was made of it and checked."""
    info = run.info()
    if not run.model_file.is_file() or "scaling" not in info:  # an earlier dlx kept the scaling in the network
        return None
    digest = files.sha256(run.model_file)
    try:
        known = {"model": digest, "spec": files.sha256(run.spec_file), **facts(info)}
    except (KeyError, TypeError, ValueError):  # which the network says in a sentence
        return None
    for root, name in ((run.path, NAME), (cache(), f"{digest}.onnx")):
        if (root / name).is_file():
            with contextlib.suppress(RunError):
                model = open_model(root, name)
                if known.items() <= model.record.items() and isinstance(model.record.get("check"), dict):
                    return model, root / name
    return None


def facts(info: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json and the metadata of a model say alike: what it takes, and what it answers."""
    taken = {name: info["input"][name] for name in ("kind", "shape", "dtype", "encoding") if name in info["input"]}
    return {"task": info["task"], "input": taken, "classes": list(info["classes"]), **{
        name: int(info.get(name, usual)) for name, usual in (("targets", 1), ("steps", 0))
    }}  # fmt: skip


def cache() -> Path:
    """The folder for files of runs that nothing can, or should, be written into: DLX_CACHE, or the user's own."""
    if os.environ.get("DLX_CACHE"):
        return Path(os.environ["DLX_CACHE"]).expanduser() / "onnx"
    import platformdirs

    return Path(platformdirs.user_cache_dir("dlx", appauthor=False)) / "onnx"


def open_model(root: Path, name: str = NAME, threads: int | None = None) -> OnnxModel:
    """The ONNX file `name` below `root`. Raises RunError where it is none that dlx has made, or does more than answer.

    threads: how many ONNX Runtime uses; all cores where it is not said.
    """
    try:
        raw = files.contents(root, name, MOST_BYTES)
    except OSError as error:
        raise RunError(f"{name} cannot be read ({error.strerror or error})", where=str(root)) from error
    try:
        if any(word in raw for word in SUSPECT):
            _check_whole(raw)
        model = open_session(raw, threads)
        _check_ends(model)
    except RunError:
        raise
    except Exception as error:  # ONNX Runtime's own, and what metadata may lack
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{name} is not a model that dlx has made ({reason})", where=str(root)) from error
    return model


def open_session(raw: bytes, threads: int | None = None) -> OnnxModel:
    """An ONNX file that this process has made; one without metadata has an empty record."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or machine.cores()
    options.log_severity_level = 4
    session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    return OnnxModel(session, json.loads(session.get_modelmeta().custom_metadata_map.get(KEY, "{}")))


def _check_whole(raw: bytes) -> None:
    """Raise ValueError where numbers would be in another file, or operators are not ONNX's own."""
    import onnx

    for message in _messages(onnx.load_model_from_string(raw)):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto" and (message.external_data or message.data_location):
            raise ValueError("it names other files, which dlx does not read")
        if kind in ("NodeProto", "OperatorSetIdProto", "FunctionProto") and message.domain not in DOMAINS:
            raise ValueError(f"it has operators of {message.domain!r}")


def _messages(message: Any) -> Iterator[Any]:
    """A message of protobuf, and every one inside it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if hasattr(value, "__len__") and not hasattr(value, "DESCRIPTOR") else [value]:
                yield from _messages(inner)


def _check_ends(model: OnnxModel) -> None:
    """Raise ValueError unless the model has one input and one output, named and typed as dlx does it."""
    inputs, outputs = model.session.get_inputs(), model.session.get_outputs()
    if [end.name for end in inputs] != [INPUT] or inputs[0].type not in DTYPES:
        raise ValueError("it has other inputs")
    if len(outputs) != 1 or outputs[0].name not in OUTPUTS or outputs[0].type not in GIVEN:
        raise ValueError("it has other outputs")
    if not {"task", "input", "classes", "targets", "steps"} <= model.record.keys():
        raise ValueError("its metadata says too little")
