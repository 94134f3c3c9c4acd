"""NumPy's own files from anybody: what a header claims is checked before it gets memory. Nothing is unpickled."""

from __future__ import annotations

import io
import math
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError
from dlx.system.files import regular
from dlx.system.units import byte_size

if TYPE_CHECKING:
    import numpy as np

MAX_MEMBERS = 100_000
MAX_HEADER = 65536
LARGE, MAX_PACKED = 256 * 2**20, 100  # a large array that is packed so tightly is made to fill the memory


def read_arrays(
    source: Path | bytes, most: int, where: str = "", stored: bool = False
) -> np.ndarray | dict[str, np.ndarray]:
    """The array of a .npy, or the arrays by name of a .npz; a .npy in a file is mapped, not read.

    With `stored` a .npz may not be packed, so that it takes no more memory than it has bytes.

    Raises DataError for what is neither, holds Python objects, is cut off, or would take more than `most` bytes.
    """
    where = where or str(source)
    try:
        if not isinstance(source, bytes):
            regular(source)
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            if stream.read(4) != b"PK\x03\x04":
                stream.seek(0)
                return _npy(stream, source, where)
            with zipfile.ZipFile(stream) as archive:
                return _npz(archive, most, where, stored)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError("no such file", where=where) from error
    except Exception as error:  # numpy and zipfile raise what their parts raise, MemoryError among it
        message = "cannot be read as an array, made by numpy.save or numpy.savez without Python objects"
        raise DataError(message, where=where) from error


def _npy(stream: Any, source: Path | bytes, where: str) -> np.ndarray:
    import numpy as np

    start = stream.tell()
    size = stream.seek(0, os.SEEK_END) - start
    stream.seek(start)
    shape, order, dtype = _header(stream, size, where)
    if isinstance(source, bytes):
        flat = np.frombuffer(source, dtype, math.prod(shape), offset=stream.tell())
        return flat.reshape(shape, order="F" if order else "C")
    array: np.ndarray = np.load(source, mmap_mode="r", allow_pickle=False, max_header_size=MAX_HEADER)
    return array


def _npz(archive: zipfile.ZipFile, most: int, where: str, stored: bool) -> dict[str, np.ndarray]:
    import numpy as np

    members = archive.infolist()
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > most:
        raise DataError(f"unpacks to more than {byte_size(most)} or {MAX_MEMBERS:,} arrays", where=where)
    for member in members:
        packed = member.file_size > LARGE and member.file_size > MAX_PACKED * member.compress_size
        if packed or (stored and member.compress_type != zipfile.ZIP_STORED):
            sizes = f"{byte_size(member.file_size)} from {byte_size(member.compress_size)}"
            hint = "numpy.savez keeps arrays without packing them"
            raise DataError(f"{member.filename} unpacks to {sizes}", where=where, hint=hint)
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name in arrays:
            raise DataError(f"holds two arrays called {name!r}", where=where)
        with archive.open(member) as stream:
            shape, fortran, dtype = _header(stream, member.file_size, f"{where}:{name}")
            raw = stream.read(math.prod(shape) * dtype.itemsize + 1)
        if len(raw) != math.prod(shape) * dtype.itemsize:
            raise DataError(f"{name} is cut off, or longer than its header says", where=where)
        arrays[name] = np.frombuffer(bytearray(raw), dtype).reshape(shape, order="F" if fortran else "C")
    return arrays


def _header(stream: Any, size: int, where: str) -> tuple[tuple[int, ...], bool, Any]:
    """(shape, whether in Fortran's order, dtype) of an array of `size` bytes with its header."""
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = reader(stream, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise DataError("holds Python objects, which are not read", where=where)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise DataError(f"its header claims the shape {shape} of {dtype}, but it has {size:,} bytes", where=where)
    return shape, fortran, dtype
