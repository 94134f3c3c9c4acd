"""What a training elsewhere needs: dlx itself, the files that its spec names, its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlx
from dlx.data import store
from dlx.data.store import remote
from dlx.data.store.catalog import KNOWN
from dlx.parts.registry import FilePath, Part, is_address, located
from dlx.spec.sections import Spec

PACKAGE = Path(dlx.__file__).resolve().parent
# What a Python must have to train; its backend is looked for by itself.
NEEDED = ("keras", "numpy", "click", "yaml", "pydantic", "rich", "filelock", "platformdirs", "sklearn", "threadpoolctl")


@dataclass(frozen=True)
class Goods:
    """A file or folder that travels: `path` is where it lies here; below a place's folder it lies in `below`.

    name: what it is called there. said: how a spec names it, a path or an address; empty where none does.
    """

    path: Path
    below: str
    name: str
    said: str = ""


def code_digest() -> str:
    """A short hash of dlx's own files: what is there already need not be sent."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(PACKAGE)} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def goods(spec: Spec, fingerprint: str) -> list[Goods]:
    """The files of a spec: its data by fingerprint, a run that it begins from and its own code by their contents."""
    below = f"data/{fingerprint[:24]}"
    paths = enumerate(paths_of(spec.dataset), 1)
    found = [_goods(path, f"{below}/{number}") for number, path in paths]
    name = spec.dataset.name
    if name in KNOWN and not found:
        found.append(Goods(store.home() / name, "data", name))
    inner = [path for part in spec.layers for path in paths_of(part)]
    for path in [*([spec.weights] if spec.weights else []), *inner]:
        found.append(_goods(path, f"weights/{_contents(Path(path))}"))
    for path in spec.imports:
        found.append(_goods(path, f"code/{_contents(Path(path))}"))
    return found


def _goods(path: FilePath, below: str) -> Goods:
    """What a path of a spec names, or the copy of an address."""
    lies = remote.known(path) if is_address(path) else Path(located(path))
    return Goods(lies, below, lies.name, str(path))


def paths_of(value: Any) -> Iterator[FilePath]:
    """Every path in a part, in their order."""
    if isinstance(value, FilePath):
        yield value
    elif isinstance(value, Part):
        yield from paths_of(value.args)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from paths_of(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from paths_of(inner)


def _contents(path: Path) -> str:
    """A short hash of a file, or of the files of a run that a model is taken from."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else [path / name for name in ("run.json", "spec.yaml", "model.keras")]
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
