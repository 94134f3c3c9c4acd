"""Texts and time series of your own, from tables."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from dlx.data.dataset import Dataset, Split
from dlx.errors import DataError, did_you_mean
from dlx.parts.datasets import table as tables
from dlx.parts.datasets.loading import float32, registry
from dlx.parts.registry import FilePath
from dlx.parts.types import Positive

if TYPE_CHECKING:
    import numpy as np

PADDING, UNKNOWN, FIRST = 0, 1, 2


@registry.register
def text_csv(
    path: FilePath,
    text: str,
    label: str | Annotated[list[str], Field(min_length=1)],
    max_tokens: Annotated[int, Field(ge=3, le=1_000_000)] = 20_000,
    sequence_length: Annotated[int, Field(ge=1, le=100_000)] = 200,
    test: FilePath | None = None,
    _task: str = "auto",
) -> Dataset:
    """A table with a column of texts and one to predict from them (or several).

    A text becomes (sequence_length,) whole numbers below `max_tokens`, for a first layer
    `embedding: {input_dim: 20000, output_dim: 64}`: lower case, punctuation removed, split at spaces; 0 is padding, 1 a
    word outside of the vocabulary, which is the commonest words of the train split and stays with the run.
    """
    labels = [label] if isinstance(label, str) else list(label)
    frame = tables.read(path, [text, *labels], gaps=False)
    for name in (text, *labels):
        if name not in frame.columns:
            raise tables.no_column(name, list(frame.columns), str(path))
    if text in labels:
        raise DataError(f"{text!r} cannot be both text and label", where=str(path))
    task = tables.task_of(frame, labels, _task, str(path))
    classes = tables.classes_of(frame, labels, task, str(path))

    def split(table: Any, where: str) -> Split:
        return Split({text: table[text].to_numpy(object)}, *tables.targets_of(table, labels, task, classes, where))

    train = split(frame, path)
    if not any(words(value) for value in train.inputs[text][:1000]):
        raise DataError(f"column {text!r} holds no words", where=str(path))
    held = None if test is None else split(tables.second_of(test, [text, *labels], labels, [text], gaps=False), test)
    encoding = {"kind": "text", "column": text, "max_tokens": max_tokens, "sequence_length": sequence_length}
    return Dataset(
        train,
        task,
        tables.fingerprint_of(path, test, json.dumps([encoding, labels, task]).encode()),
        test=held,
        classes=classes,
        kind="text",
        source=Path(path).name,
        encoding={**encoding, "label": labels[0] if len(labels) == 1 else labels},
        fit=lambda inputs: {"vocabulary": vocabulary(inputs[text], max_tokens)},
        encode=encode_text,
    )


def words(text: str) -> list[str]:
    """A text as its words: lower case, without punctuation."""
    return re.sub(r"[!-/:-@\[-`{-~]", "", text.lower()).split()


def vocabulary(texts: Iterable[str], most: int) -> list[str]:
    """The commonest words, those used alike in the order of the alphabet; two numbers are kept for other ends."""
    counts = Counter(word for text in texts for word in words(text))
    return [word for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: most - FIRST]]


def encode_text(
    inputs: Any, encoding: Mapping[str, Any], where: str = "", strict: bool = False, first: int = 1
) -> np.ndarray:
    """Texts as (n, sequence_length) int32: the numbers of their words, cut or padded behind."""
    import numpy as np

    number = {word: place for place, word in enumerate(encoding["vocabulary"], FIRST)}
    texts, length = inputs[encoding["column"]], int(encoding["sequence_length"])
    found = np.full((len(texts), length), PADDING, np.int32)
    for row, text in enumerate(texts):
        known = [number.get(word, UNKNOWN) for word in words(text)[:length]]
        found[row, : len(known)] = known
    return found


@registry.register
def series_csv(
    path: FilePath,
    target: str,
    window: Positive,
    horizon: Positive = 1,
    features: list[str] | None = None,
    drop: list[str] | None = None,
) -> Dataset:
    """A table whose rows follow one another in time: `window` rows predict the next `horizon` values of `target`.

    An input is (window, columns): the target's own past and every other column of numbers, or those of `features`.
    Splits are cut by time: validation and test are the last examples, and no value that they predict was a target, or
    part of an input, of the examples before. Scale the inputs with `preprocess: [normalize]`.
    """
    import numpy as np

    frame = tables.read(path, [])
    header = [str(name) for name in frame.columns]
    for name in (target, *(features or []), *(drop or [])):
        if name not in header:
            raise tables.no_column(name, header, str(path))
    numbers = [name for name in header if frame[name].dtype.kind in "if"]
    others = features if features is not None else [name for name in numbers if name not in (drop or [])]
    columns = [target, *(name for name in others if name != target)]
    for name in columns:
        if name not in numbers:
            raise DataError(f"column {name!r} must hold numbers", where=str(path), hint="leave it out of features")
        gaps = np.flatnonzero(frame[name].isna())
        if len(gaps):
            place = f"{path}:{tables.line_of(path, int(gaps[0]))}"
            raise DataError(f"no value for {name!r} ({len(gaps)})", where=place, hint="a series has no gaps: fill them")
    values = np.stack(
        [float32(frame[name].to_numpy(np.float64), f"values of {name!r}", str(path)) for name in columns], axis=1
    )
    count = len(values) - window - horizon + 1
    if count < 2:
        message = f"{len(values)} rows, but window {window} and horizon {horizon} need {window + horizon + 1} or more"
        raise DataError(message, where=str(path))
    inputs = np.lib.stride_tricks.sliding_window_view(values[: len(values) - horizon], window, axis=0)
    targets = np.lib.stride_tricks.sliding_window_view(values[window:, 0], horizon)
    encoding = {"kind": "series", "columns": columns, "window": window, "horizon": horizon, "label": target}
    train = Split(inputs.transpose(0, 2, 1), np.ascontiguousarray(targets), np.arange(count, dtype=np.int64) + window)
    fingerprint = hashlib.sha256(Path(path).read_bytes() + json.dumps(encoding).encode()).hexdigest()
    return Dataset(
        train,
        "regression",
        fingerprint,
        kind="series",
        source=Path(path).name,
        encoding=encoding,
        gap=window + horizon - 1,
    )


def windows(
    rows: Sequence[Sequence[str]], header: Sequence[str], encoding: Mapping[str, Any], where: str
) -> np.ndarray:
    """The windows of a table to predict: (n, window, columns); the last one ends with its last row."""
    import numpy as np

    plain = {**encoding, "categories": {}}
    found = tables.columns(rows, header, plain, where)
    lacking = [name for name in encoding["columns"] if name not in found]
    if lacking:
        raise DataError(f"has no column {lacking[0]!r}{did_you_mean(lacking[0], header)}", where=where)
    values = np.stack([float32(found[name], f"values of {name!r}", where) for name in encoding["columns"]], axis=1)
    size = int(encoding["window"])
    if len(values) < size:
        raise DataError(f"{len(values)} rows; a prediction needs {size}", where=where)
    view: np.ndarray = np.lib.stride_tricks.sliding_window_view(values, size, axis=0).transpose(0, 2, 1)
    return view
