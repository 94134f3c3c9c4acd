"""CSV files from anybody, opened in one way: regular files, UTF-8 with or without a mark, long fields."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterator
from typing import Any

from dlx.errors import DataError
from dlx.system.files import regular

csv.field_size_limit(2**22)  # texts are longer than the 131,072 characters that Python allows


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], hint: str = "") -> Iterator[Any]:
    """A csv.reader of the file. Raises DataError, with `hint`, where it is missing or not a CSV in UTF-8."""
    try:
        with open(regular(path), newline="", encoding="utf-8-sig") as stream:
            yield csv.reader(stream)
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        message = f"cannot be read as CSV in UTF-8 ({error})"
        raise DataError(message, where=str(path), hint="save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot be read as CSV in UTF-8 ({error})", where=str(path)) from error
