"""Texts of your own, from tables."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dlx.data.dataset import Dataset, Split
from dlx.data.encoding import Encoding
from dlx.errors import DataError
from dlx.parts.datasets import table, table_reader
from dlx.parts.datasets.loading import registry
from dlx.parts.registry import FilePath

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
    missing_label: Literal["error", "drop"] = "error",
    test: FilePath | None = None,
    _task: str = "auto",
) -> Dataset:
    """A table with a column of texts and one to predict from them (or several).

    A text becomes (sequence_length,) whole numbers below `max_tokens`, for a first layer
    `embedding: {input_dim: 20000, output_dim: 64}`: lower case, punctuation removed, split at spaces; 0 is padding, 1 a
    word outside of the vocabulary, which is the most frequent words of the train split and stays with the run.
    `missing_label`: a row without a label is an error, or is left out and counted.
    """
    labels = [label] if isinstance(label, str) else list(label)
    frame = table_reader.read_table(path, [text, *labels], gaps=False)
    for name in (text, *labels):
        if name not in frame.columns:
            raise table_reader.no_column(name, list(frame.columns), str(path))
    if text in labels:
        raise DataError(f"{text!r} cannot be both text and label", where=str(path))
    learned = frame.iloc[table.labelled(frame, labels, str(path), missing_label)]
    task = table.task_of(learned, labels, _task, str(path))
    classes = table.classes_of(learned, labels, task, str(path))
    unlabelled = 0

    def split(frame: Any, where: str) -> Split:
        nonlocal unlabelled
        rows = table.labelled(frame, labels, where, missing_label)
        unlabelled += len(frame) - len(rows)
        targets = table.targets_of(frame.iloc[rows], labels, task, classes, where)
        return Split({text: frame[text].to_numpy(object)[rows]}, targets, rows)

    train = split(frame, path)
    if not any(words(value) for value in train.inputs[text][:1000]):
        raise DataError(f"column {text!r} holds no words", where=str(path))
    test_split = None
    if test is not None:
        test_split = split(table.second_table(test, [text, *labels], labels, [text], gaps=False), test)
    encoding = {"kind": "text", "column": text, "max_tokens": max_tokens, "sequence_length": sequence_length}
    return Dataset(
        train,
        task,
        table.fingerprint_of(path, test, json.dumps([encoding, labels, task]).encode()),
        test=test_split,
        classes=classes,
        kind="text",
        source=Path(path).name,
        encoding=Encoding(
            kind="text",
            column=text,
            label=labels[0] if len(labels) == 1 else labels,
            max_tokens=max_tokens,
            sequence_length=sequence_length,
        ),
        unlabelled=unlabelled,
        fit=lambda inputs: {"vocabulary": vocabulary(inputs[text], max_tokens)},
        encode=encode_text,
    )


def words(text: str) -> list[str]:
    """A text as its words: lower case, without punctuation."""
    return re.sub(r"[!-/:-@\[-`{-~]", "", text.lower()).split()


def vocabulary(texts: Iterable[str], most: int) -> list[str]:
    """The most frequent words, equally frequent ones in alphabetical order; two numbers are kept for other uses."""
    counts = Counter(word for text in texts for word in words(text))
    return [word for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: most - FIRST]]


def encode_text(inputs: Any, encoding: Encoding) -> np.ndarray:
    """Texts as (n, sequence_length) int32: the numbers of their words, cut or padded behind."""
    import numpy as np

    number = {word: place for place, word in enumerate(encoding.vocabulary, FIRST)}
    texts, length = inputs[encoding.column], encoding.sequence_length
    tokens = np.full((len(texts), length), PADDING, np.int32)
    for row, text in enumerate(texts):
        known = [number.get(word, UNKNOWN) for word in words(text)[:length]]
        tokens[row, : len(known)] = known
    return tokens
