"""A network as a SavedModel of TensorFlow: a folder that TensorFlow Serving takes as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import TrainingError
from dlx.export import metadata
from dlx.export.agreement import Answers
from dlx.export.subject import Quantize, Subject
from dlx.export.tf_function import convertible, function, output_name
from dlx.inference.onnx_model import INPUT
from dlx.system.backend import quiet

if TYPE_CHECKING:
    import numpy as np


def write(subject: Subject, path: Path, quantize: Quantize) -> None:
    """Write the folder `path`. Raises Exception, whatever TensorFlow does."""
    import tensorflow as tf

    if quantize != "none":
        raise TrainingError("a SavedModel is not quantised", hint="--to litert or --to onnx is")
    with quiet(), convertible(subject.network):
        module = tf.Module()
        module.answer = function(subject.network, subject.info, subject.scaling)
        module.values = [variable.value for variable in subject.network.model.variables]
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.answer})


def describe(path: Path, record: Mapping[str, Any]) -> None:
    """Put what the model says of itself beside it."""
    (path / metadata.FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")


def opened(path: Path, info: Mapping[str, Any]) -> Answers:
    """What answers batches of raw inputs by the folder alone."""
    import tensorflow as tf

    with quiet():
        loaded = tf.saved_model.load(str(path))
    answer = loaded.signatures["serving_default"]
    (taken,) = answer.structured_input_signature[1].values()

    def answers(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            yield answer(**{INPUT: tf.constant(batch, taken.dtype)})[output_name(info)].numpy()
        assert loaded is not None  # its variables live as long as it does

    return answers


def recognizes(path: Path) -> bool:
    """Whether a folder is a SavedModel that dlx has written."""
    return metadata.only_in(path, {"saved_model.pb", "fingerprint.pb", "variables", "assets"})
