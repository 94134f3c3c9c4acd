"""A network as a LiteRT (TensorFlow Lite) file, for phones and small machines."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError
from dlx.export import metadata
from dlx.export.agreement import Answers
from dlx.export.subject import Quantize, Subject
from dlx.export.tf_function import convertible, function
from dlx.system.backend import quiet

if TYPE_CHECKING:
    import numpy as np


def write(subject: Subject, path: Path, quantize: Quantize) -> None:
    """Write the file `path`; its input and output are float32 where other formats have float64.

    Raises Exception, whatever TensorFlow does: above all where an operation is none of LiteRT's own.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    with quiet(), convertible(subject.network, unroll=True):
        answer = function(subject.network, subject.info, subject.scaling, double=False)
        frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "static":
            converter.representative_dataset = _usual(subject, answer.input_signature[0].dtype.as_numpy_dtype)
        path.write_bytes(converter.convert())


def _usual(subject: Subject, dtype: Any) -> Callable[[], Iterator[list[np.ndarray]]]:
    """The inputs from which LiteRT takes the ranges of what layers give."""
    if subject.usual is None:
        raise DataError("a static quantisation needs examples, and the run's data cannot be loaded")
    rows = subject.usual
    return lambda: ([row[None].astype(dtype)] for row in rows)


def describe(path: Path, record: Mapping[str, Any]) -> None:
    """Put what the model says of itself into it: an archive at its end, as the format has it for such files."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(metadata.FILE, json.dumps(record))


def opened(path: Path, info: Mapping[str, Any]) -> Answers:
    """What answers batches of raw inputs by the file alone."""
    import tensorflow as tf

    with quiet():
        interpreter = tf.lite.Interpreter(str(path))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answers(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            interpreter.resize_tensor_input(taken["index"], batch.shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(taken["index"], batch.astype(taken["dtype"]))
            interpreter.invoke()
            yield interpreter.get_tensor(given["index"])

    return answers


def recognizes(path: Path) -> bool:
    """Whether a file is a LiteRT file that dlx has written."""
    return path.is_file() and zipfile.is_zipfile(path) and metadata.FILE in zipfile.ZipFile(path).namelist()
