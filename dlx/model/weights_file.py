"""A model's weights from a file that anybody may have made: arrays whose names and shapes are known beforehand.

Keras's own loading would follow the file. Here the file is compared with the network of the spec: what is not
exactly there, or is not a plain array of the right shape, is refused before memory is given to it.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

from dlx.errors import DiskError, RunError
from dlx.system import files

MEMBER = "model.weights.h5"
MOST = 100_000  # arrays and groups of a network
SLACK = 2**20  # what HDF5 and Keras write beside the arrays
ELSEWHERE = "TMPDIR names another place for scratch files"


def load(model: Any, root: Path, name: str) -> None:
    """Give `model` the weights in the .keras file `name` below `root`. Raises RunError where they are not its own."""
    where = str(root)
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        template, loaded = Path(scratch) / "network.weights.h5", Path(scratch) / "file.weights.h5"
        with files.disk(Path(scratch), ELSEWHERE):
            model.save_weights(template)
        try:
            raw = _member(root, name, 2 * template.stat().st_size + SLACK)
            _check(template, raw)
            with files.disk(Path(scratch), ELSEWHERE):
                loaded.write_bytes(raw)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras's own use of what NumPy and Python have deprecated
                model.load_weights(loaded)
        except DiskError:
            raise
        except RunError as error:
            error.where = where
            raise
        except Exception as error:  # h5py and zipfile each raise their own
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
            raise RunError(f"{name} does not hold the weights of its spec ({reason})", where=where) from error


def _member(root: Path, name: str, most: int) -> bytes:
    """The bytes of the weights in a .keras file, which are at most `most`."""
    with (
        files.opened(root, name) as descriptor,
        os.fdopen(os.dup(descriptor), "rb") as stream,
        zipfile.ZipFile(stream) as archive,
    ):
        members = [member for member in archive.infolist() if member.filename == MEMBER]
        if len(members) != 1:
            raise RunError(f"{name} holds {len(members)} files {MEMBER}, expected one")
        if members[0].file_size > most:
            raise RunError(f"{name} holds more than the weights of its spec: {members[0].file_size:,} bytes")
        with archive.open(members[0]) as member:
            return member.read(most)


def _check(template: Path, raw: bytes) -> None:
    """Raise RunError unless the HDF5 file `raw` holds exactly the arrays that `template` holds."""
    import h5py

    with h5py.File(template, "r") as own, h5py.File(io.BytesIO(raw), "r") as given:
        expected, loaded = _arrays(own), _arrays(given)
        missing = [name for name in expected if name not in loaded] or [name for name in loaded if name not in expected]
        if missing:
            is_not = "is not there" if missing[0] in expected else "belongs to no layer"
            raise RunError(f"model.keras does not hold the weights of its spec: {missing[0]} {is_not}")
        for name, kind in expected.items():
            if not _fits(loaded[name], kind):
                loaded_kind = " ".join(map(str, loaded[name]))
                message = f"model.keras does not hold the weights of its spec: {name} is {loaded_kind}, expected"
                raise RunError(f"{message} {' '.join(map(str, kind))}")


def _fits(given: tuple[Any, Any], expected: tuple[Any, Any]) -> bool:
    """Whether an array can take another one's place: a count has 32 bits on JAX, and 64 on TensorFlow."""
    whole = all(getattr(dtype, "kind", "") == "i" for dtype, _ in (given, expected))
    return given == expected or (whole and given[1] == expected[1])


def _arrays(file: Any) -> dict[str, tuple[Any, Any]]:
    """(dtype, shape) of every array by its name; reads none. Raises RunError for anything but plain arrays."""
    import h5py

    loaded: dict[str, tuple[Any, Any]] = {}
    groups, seen = [("", file)], 0
    while groups:
        base, group = groups.pop()
        for key in group:
            name = f"{base}{key}"
            seen += 1
            if len(name) > 4096 or seen > MOST:  # a group may stand in many others
                raise RunError("model.keras holds too much for a network")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise RunError(f"model.keras holds a link, {name}")
            item = group[key]
            if isinstance(item, h5py.Group):
                groups.append((f"{name}/", item))
                continue
            plain = isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external
            if not plain or item.id.get_create_plist().get_nfilters() or item.dtype.kind not in "biufV":
                raise RunError(f"model.keras holds {name}, which is not a plain array")
            loaded[name] = (item.dtype, item.shape)
    return loaded
