"""Arrays from anybody: a header that lies is refused before it gets memory."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlx.data.npz import read_arrays
from dlx.errors import DataError


def header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def packed(**members: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(f"{name}.npy", raw)
    return held.getvalue()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (header("(1000000000000,)"), "its header claims the shape"),
        (header("(-1,)"), "its header claims|cannot be read as an array"),
        (header("(1,)", "|O"), "Python objects"),
        (b"no array", "cannot be read as an array"),
        (packed(a=header("(1000000000000,)") + b"x"), "its header claims the shape"),
        (packed(a=header("(2,)") + bytes(12)), "is cut off, or longer"),
        (packed(a=header("(2,)") + bytes(8), b=b""), "cannot be read as an array"),
        (packed(a=header("(100000000,)", "|u1") + bytes(10**8)), "unpacks to more than"),
    ],
)
def test_arrays_that_lie_are_refused(raw: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_arrays(raw, 10**7, "it")


def test_arrays_are_read_as_they_were_saved(world: Path) -> None:
    value = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.save(world / "a.npy", value)
    np.savez(world / "a.npz", x=value, y=np.array(3), words=np.array(["a", "bc"]))
    assert (read_arrays(world / "a.npy", 10**6) == value).all()
    found = read_arrays(world / "a.npz", 10**6)
    assert isinstance(found, dict)
    assert (found["x"] == value).all()
    assert found["y"] == 3
    assert found["words"].tolist() == ["a", "bc"]
    with pytest.raises(DataError, match="unpacks to"):
        read_arrays(packed(a=header("(2,)") + bytes(8)), 10**6, "it", stored=True)
