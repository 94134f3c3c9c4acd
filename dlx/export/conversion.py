"""A network written as a file for other programs, read back by their own runtime, and compared before it counts.

A format is a module with four functions: `write` a network, `describe` it in the file's metadata, `opened`, which reads
it back, and `recognizes`, whether what is at a place is one that dlx has written, and nothing else.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, TrainingError
from dlx.export.agreement import TOLERANCE, Agreement, Answers, checked, difference, kept_figure
from dlx.export.subject import Quantize, Subject
from dlx.system import backend

ROWS = 64  # examples on which answers are compared one by one


def convert(subject: Subject, form: str, path: Path, quantize: Quantize = "none", tolerance: float = 0.0) -> Agreement:
    """Write `path` in a format and return how well it agrees with the network.

    tolerance: how much of its figure on the examples a quantised model may lose, as a share of 1.
    Raises TrainingError where the network cannot be said in the format, where its answers differ by more than 1e-5, or
    where quantisation costs more than the tolerance; what was written then is no model.
    """
    module = importlib.import_module(f"dlx.export.{form}")
    some = subject.examples.inputs[:ROWS]
    known = subject.answers[:ROWS]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters' own
            module.write(subject, path, quantize)
        answers = opened(form, path, subject.info)
        if quantize == "none":
            found = checked(known, answers, some, subject.unit(known), subject.examples.data)
        else:
            found = kept_figure(subject.answers, answers, subject.examples, subject.info["task"], tolerance)
        module.describe(path, {**subject.record, "quantize": quantize, "check": found.record()})
        once_more = next(iter(opened(form, path, subject.info)([some])))
        if difference(next(iter(answers([some]))), once_more, subject.unit(known)) > TOLERANCE:
            raise TrainingError("once described, the file answers otherwise")
    except (DlxError, OSError, MemoryError):
        raise
    except Exception as error:  # the converter's, and the runtime's
        raise TrainingError(f"cannot be written as {form}: {reason(error)}", hint=HINTS.get(form, "")) from error
    return found


def opened(form: str, path: Path, info: Mapping[str, Any]) -> Answers:
    """What answers by a file of a format alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that LiteRT will move to a package of its own
        answers: Answers = importlib.import_module(f"dlx.export.{form}").opened(path, info)
    return answers


def recognizes(form: str, path: Path) -> bool:
    """Whether what is at a place is an exported model of a format, and nothing else."""
    found: bool = importlib.import_module(f"dlx.export.{form}").recognizes(path)
    return found


HINTS = {
    "onnx": "litert and saved_model may say it; `dlx export RUN --benchmark` tries all",
    "litert": "LiteRT lacks some operations; onnx and saved_model have nearly all",
}


def reason(error: BaseException) -> str:
    """An error of a converter in a line."""
    text = " ".join(str(error).split())
    if missing := re.search(r"'tf\.(\w+)' op is neither", text):
        return f"it has no operation {missing[1]}"
    return f"{type(error).__name__}: {text[:200]}"


def possible() -> bool:
    """Whether this process can convert: the converters read TensorFlow's functions."""
    return backend.loaded() == "tensorflow"
