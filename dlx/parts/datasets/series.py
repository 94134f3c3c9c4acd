"""Time series of your own, from tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dlx.data.dataset import Dataset, Split
from dlx.data.encoding import Encoding
from dlx.errors import DataError, did_you_mean
from dlx.parts.datasets import table_encoding, table_reader
from dlx.parts.datasets.loading import finite, registry
from dlx.parts.registry import FilePath
from dlx.parts.types import Positive

if TYPE_CHECKING:
    import numpy as np


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

    frame = table_reader.read_table(path, [])
    header = [str(name) for name in frame.columns]
    for name in (target, *(features or []), *(drop or [])):
        if name not in header:
            raise table_reader.no_column(name, header, str(path))
    numbers = [name for name in header if frame[name].dtype.kind in "if"]
    others = features if features is not None else [name for name in numbers if name not in (drop or [])]
    columns = [target, *(name for name in others if name != target)]
    for name in columns:
        if name not in numbers:
            raise DataError(f"column {name!r} must hold numbers", where=str(path), hint="leave it out of features")
        gaps = np.flatnonzero(frame[name].isna())
        if len(gaps):
            place = f"{path}:{table_reader.line_of(path, int(gaps[0]))}"
            raise DataError(
                f"no value for {name!r} in {len(gaps)} row{'s' * (len(gaps) > 1)}",
                where=place,
                hint="a series has no gaps: fill them",
            )
    floats = [finite(frame[name].to_numpy(np.float64), f"values of {name!r}", str(path)) for name in columns]
    values = np.stack(floats, axis=1)
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
        encoding=Encoding(kind="series", columns=columns, window=window, horizon=horizon, label=target),
        gap=window + horizon - 1,
    )


def windows(rows: Sequence[Sequence[str]], header: Sequence[str], encoding: Encoding, where: str) -> np.ndarray:
    """The windows of a table to predict: (n, window, columns); the last one ends with its last row."""
    import numpy as np

    columns = table_encoding.columns_of(rows, header, replace(encoding, categories={}), where)
    missing = [name for name in encoding.columns if name not in columns]
    if missing:
        raise DataError(f"has no column {missing[0]!r}{did_you_mean(missing[0], header)}", where=where)
    values = np.stack([finite(columns[name], f"values of {name!r}", where) for name in encoding.columns], axis=1)
    if len(values) < encoding.window:
        raise DataError(f"{len(values)} rows; a prediction needs {encoding.window}", where=where)
    view: np.ndarray = np.lib.stride_tricks.sliding_window_view(values, encoding.window, axis=0).transpose(0, 2, 1)
    return view
