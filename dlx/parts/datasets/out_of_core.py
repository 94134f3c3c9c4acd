"""Data that does not fit into memory: what stays on disk, and tables whose numbers are in a scratch file."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from dlx.data import store
from dlx.errors import DataError, DiskError
from dlx.system import files, machine
from dlx.system.units import byte_size

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

InMemory = bool | Literal["auto"]
ROWS = 100_000  # of a table, read at a time


def keeps_on_disk(wanted: int, in_memory: InMemory, what: str, where: str, hint: str) -> bool:
    """Whether data of `wanted` bytes stays on disk: as the spec sets, or when it would fill a quarter of the memory.

    Raises DataError where it must not, and does not fit the memory twice: once here, once on the device.
    """
    there = machine.memory()
    if in_memory is False or there is None:
        return in_memory is False
    if in_memory is True and 2 * wanted > there:
        raise DataError(
            f"{what} take {byte_size(wanted)}, too much for a memory of {byte_size(there)}",
            where=where,
            hint=f"in_memory: auto leaves them on disk; or {hint}",
        )
    return in_memory == "auto" and 4 * wanted > there


def table(
    reader: Callable[..., Any],
    count: int,
    columns: Sequence[str],
    words: Sequence[str],
    parse: Callable[[list[str]], tuple[Any, list[str]]],
) -> pd.DataFrame:
    """The columns of a table of `count` rows: numbers as views into a scratch file, words as objects.

    reader: pandas's read_csv for the table; words: columns that stay as they are written; parse: distinct texts ->
    (numbers, or None where one is none; words). The file has no name and is gone with the process.
    """
    import numpy as np
    import pandas as pd

    numbers = _scratch(count, len(columns))
    unsure, start = dict.fromkeys(words), 0
    given: Any = {"usecols": list(columns), "chunksize": ROWS}
    for piece in reader(dtype=dict.fromkeys(words, str), numbers=True, **given):
        for place, name in enumerate(columns):
            if name not in unsure and piece[name].dtype.kind in "if":
                numbers[start : start + len(piece), place] = piece[name].to_numpy(np.float64)
            else:
                unsure[name] = None
        start += len(piece)
    codes = {name: np.empty(count, np.int32) for name in unsure}
    known: dict[str, dict[str, int]] = {name: {} for name in unsure}
    start, given["usecols"] = 0, list(unsure)
    for piece in reader(dtype=str, **given) if unsure else ():
        for name in unsure:
            places, values = pd.factorize(piece[name].fillna(""))
            numbers_of = known[name]
            numbered = np.array([numbers_of.setdefault(str(value), len(numbers_of)) for value in values], np.int32)
            codes[name][start : start + len(piece)] = numbered[places]
        start += len(piece)
    series: dict[str, Any] = {}
    for place, name in enumerate(columns):
        if name not in unsure:
            series[name] = pd.Series(numbers[:, place], copy=False)
            continue
        values, texts = parse(list(known[name]))
        if name not in words and values is not None:
            numbers[:, place] = values[codes[name]]
            series[name] = pd.Series(numbers[:, place], copy=False)
        else:
            series[name] = pd.Series(np.array(texts, object)[codes[name]], copy=False)
    return pd.DataFrame(series, copy=False)


def _scratch(rows: int, columns: int) -> np.ndarray:
    """An array (rows, columns) float64 in a file without a name, beside the data store. Raises DiskError."""
    import numpy as np

    size = max(1, 8 * rows * columns)
    try:
        files.make_private(store.home())
        with tempfile.TemporaryFile(dir=store.home()) as file:
            if hasattr(os, "posix_fallocate"):  # a full disk shows now, and not when a page is written
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                except OSError as error:
                    if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
                        raise
            return np.memmap(file, np.float64, "w+", shape=(rows, columns))
    except OSError as error:
        message = f"cannot keep {byte_size(size)} of a table that stays on disk ({error.strerror})"
        raise DiskError(message, where=str(store.home()), hint="DLX_DATA names another place") from error
