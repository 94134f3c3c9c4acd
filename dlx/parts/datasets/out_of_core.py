"""What does not fit into memory: how much there is, and tables whose numbers lie in a scratch file."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from dlx.data import store
from dlx.errors import DataError, DiskError
from dlx.system import backend, files

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

InMemory = bool | Literal["auto"]
ROWS = 100_000  # of a table, read at a time


def stays(wanted: int, in_memory: InMemory, what: str, where: str, hint: str) -> bool:
    """Whether data of so many bytes stays on disk: as the spec says, or when it would fill a quarter of the memory.

    Raises DataError where it shall not, and does not fit the memory twice: once here, once on the device.
    """
    there = backend.memory()
    if in_memory is False or there is None:
        return in_memory is False
    if in_memory is True and 2 * wanted > there:
        raise DataError(
            f"{what} take {wanted / 2**30:.1f} GiB, too much for a memory of {there / 2**30:.1f} GiB",
            where=where,
            hint=f"in_memory: auto leaves them on disk; or {hint}",
        )
    return in_memory == "auto" and 4 * wanted > there


def table(
    reader: Callable[..., Any],
    count: int,
    columns: Sequence[str],
    words: Sequence[str],
    judged: Callable[[list[str]], tuple[Any, list[str]]],
) -> pd.DataFrame:
    """The columns of a table of `count` rows: numbers as views into a scratch file, words as objects.

    reader: pandas's read_csv for the table; words: columns that stay as they are written; judged: distinct texts ->
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
            held = known[name]
            numbered = np.array([held.setdefault(str(value), len(held)) for value in values], np.int32)
            codes[name][start : start + len(piece)] = numbered[places]
        start += len(piece)
    found: dict[str, Any] = {}
    for place, name in enumerate(columns):
        if name not in unsure:
            found[name] = pd.Series(numbers[:, place], copy=False)
            continue
        values, said = judged(list(known[name]))
        if name not in words and values is not None:
            numbers[:, place] = values[codes[name]]
            found[name] = pd.Series(numbers[:, place], copy=False)
        else:
            found[name] = pd.Series(np.array(said, object)[codes[name]], copy=False)
    return pd.DataFrame(found, copy=False)


def _scratch(rows: int, columns: int) -> np.ndarray:
    """An array (rows, columns) float64 in a file without a name, beside the data store. Raises DiskError."""
    import numpy as np

    size = max(1, 8 * rows * columns)
    try:
        files.private(store.home())
        with tempfile.TemporaryFile(dir=store.home()) as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is found now, and not when a page is written
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                except OSError as error:
                    if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
                        raise
            return np.memmap(file, np.float64, "w+", shape=(rows, columns))
    except OSError as error:
        message = f"cannot keep {size / 2**30:.1f} GiB of a table that stays on disk ({error.strerror})"
        raise DiskError(message, where=str(store.home()), hint="DLX_DATA names another place") from error
