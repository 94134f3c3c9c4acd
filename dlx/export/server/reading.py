"""What a request holds, as the batches of inputs that `dlx predict` makes of the same file."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dlx.errors import DataError, suggest
from dlx.inference.inputs import Batch, Inputs

MOST_ARRAY = 256 * 2**20  # bytes of the arrays in one request
SCALARS = (str, int, float, bool, type(None))


def fresh(inputs: Inputs) -> Inputs:
    """The same kind of inputs, with remarks of its own."""
    return dataclasses.replace(inputs, skipped=[], remarks=[], files=[])


def of_file(inputs: Inputs, raw: bytes, name: str) -> Iterator[Batch]:
    """The inputs of a file that was sent. Raises DataError for what is none."""
    if not raw:
        raise DataError("is empty", where=name)
    return inputs.of_bytes(raw, name, MOST_ARRAY)


def parsed(raw: bytes) -> Any:
    """The value of a JSON text; raises DataError where it is none."""
    try:
        return json.loads(raw, object_pairs_hook=_once)
    except RecursionError as error:
        raise DataError("is JSON inside JSON, too deep to be read", where="the body") from error
    except ValueError as error:
        reason = "a number with too many digits" if "limit" in str(error) else str(error)
        raise DataError(f"is no JSON ({reason})", where="the body") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise DataError(f"names {next(name for name in names if names.count(name) > 1)!r} twice", where="the body")
    return found


def is_array(raw: bytes) -> bool:
    """Whether a file is NumPy's own."""
    return raw[:6] == b"\x93NUMPY" or raw[:4] == b"PK\x03\x04"


def of_json(inputs: Inputs, value: Any, where: str = "input") -> Iterator[Batch]:
    """Rows as objects by column, texts, images in base64, or nested lists of numbers; one of them, or a list."""
    if isinstance(value, Mapping):
        value = [value]
    if inputs.kind == "text" and isinstance(value, str):
        value = [value]
    if value == []:
        raise DataError("is an empty list, expected an input", where=where)
    if not isinstance(value, list):
        raise DataError("expected a list of inputs, or one", where=where)
    if all(isinstance(item, Mapping) for item in value):
        if len(inputs.shape) == 3:
            return _encoded(inputs, value, where)
        return inputs.of_columns(columns_of(inputs, value, where), where)
    if inputs.kind == "text":
        if not all(isinstance(item, str) for item in value):
            raise DataError("expected texts", where=where)
        return inputs.of_columns({inputs.encoding.column: value}, where)
    return of_array(inputs, value, where)


def of_array(inputs: Inputs, value: Any, where: str = "input") -> Iterator[Batch]:
    """Batches of an array of inputs (n, *shape), or of nested lists."""
    names, count = columns(inputs), math.prod(inputs.shape)
    if names and (inputs.kind == "text" or len(names) != count):  # words become several numbers, or one
        shown = ", ".join(map(repr, names[:8])) + " …" * (len(names) > 8)
        raise DataError("is numbers, expected values by column", where=where, hint=f"the columns are {shown}")
    start = 0
    for piece in inputs.pieces(value, where):
        yield [f"{where}:{row}" for row in range(start, start + len(piece))], piece
        start += len(piece)


def columns(inputs: Inputs) -> list[str]:
    """The named columns that a request may hold."""
    return [inputs.encoding.column] if inputs.kind == "text" else list(inputs.encoding.columns)


def columns_of(inputs: Inputs, rows: Sequence[Mapping[str, Any]], where: str) -> dict[str, list[Any]]:
    """The columns of rows that are objects; what a row does not say is a gap. Raises DataError for a misspelt name."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        shown = ", ".join(map(repr, columns(inputs)[:8]))
        raise DataError("is an object without columns", where=where, hint=f"expected {shown or 'columns'}")
    wanted = [name for name in columns(inputs) if name]
    for number, row in enumerate(rows, 1):
        if wrong := [name for name, value in row.items() if not isinstance(value, SCALARS)]:
            raise DataError(f"{wrong[0]!r} is no text or number", where=f"{where}:{number}")
        absent = [name for name in wanted if name not in row]
        for name in row.keys() - {*wanted, *inputs.labels}:
            if absent and (near := suggest(name, absent)) is not None:
                raise DataError(f"has no column {near!r}, but one called {name!r}", where=f"{where}:{number}")
    return {name: [row.get(name) for row in rows] for name in names}


def _encoded(inputs: Inputs, items: Iterable[Mapping[str, Any]], where: str) -> Iterator[Batch]:
    for number, item in enumerate(items):
        name = f"{where}:{number}"
        encoded = item.get("b64", item.get("image_bytes"))
        encoded = encoded.get("b64") if isinstance(encoded, Mapping) else encoded
        if not isinstance(encoded, str):
            raise DataError('expected {"b64": "the image, in base64"}', where=name)
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"is no base64 ({error})", where=name) from error
        yield from of_file(inputs, raw, name)
