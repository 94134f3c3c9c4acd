"""A network as a folder for the browser: a page that predicts there, with no server but one of files."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from dlx.errors import DlxError
from dlx.export import metadata, onnx
from dlx.export.agreement import Answers
from dlx.export.subject import Quantize, Subject
from dlx.inference.onnx_model import NAME
from dlx.system.files import disk

PAGE = ("index.html", "page.css", "inputs.js", "page.js", "local.js")
# What the page needs of onnxruntime-web, and all that it has of files.
RUNTIME = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PACKAGE = "onnxruntime-web"


def write(subject: Subject, path: Path, quantize: Quantize) -> None:
    """Write the folder `path`, but for the runtime. Raises as `onnx.write` does."""
    path.mkdir()
    onnx.write(subject, path / NAME, quantize)
    for name in PAGE:
        (path / name).write_bytes(files("dlx.export").joinpath("page", name).read_bytes())


def describe(path: Path, record: Mapping[str, Any]) -> None:
    """Put what the model says of itself into it, and beside it for the page."""
    onnx.describe(path / NAME, record)
    (path / metadata.FILE).write_text(json.dumps(record), encoding="utf-8")


def opened(path: Path, info: Mapping[str, Any]) -> Answers:
    """What answers by the folder's model."""
    return onnx.opened(path / NAME, info)


@contextlib.contextmanager
def runtime(folder: str | None) -> Iterator[Path]:
    """A folder with the files of onnxruntime-web: the one that is given, or one that npm fetches.

    Raises DlxError where they are not to be had.
    """
    hint = f"npm pack {PACKAGE}, unpack it, and --runtime package/dist"
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        place = Path(folder) if folder is not None else _fetched(Path(scratch), hint)
        if missing := [name for name in RUNTIME if not (place / name).is_file()]:
            raise DlxError(f"has no {missing[0]}", where=str(place), hint=hint)
        yield place


def _fetched(scratch: Path, hint: str) -> Path:
    """onnxruntime-web as npm packs it; of its archive the files of RUNTIME alone are read."""
    npm = shutil.which("npm")
    if npm is None:
        raise DlxError("the page needs onnxruntime-web, and there is no npm to fetch it", hint=hint)
    try:
        words = [npm, "pack", PACKAGE, "--silent"]
        done = subprocess.run(words, cwd=scratch, capture_output=True, text=True, check=False, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        raise DlxError(f"npm cannot fetch onnxruntime-web ({error})", hint=hint) from error
    archives = list(scratch.glob("*.tgz"))
    if done.returncode or not archives:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise DlxError(f"npm cannot fetch onnxruntime-web ({last[:200]})", hint=hint)
    with disk(scratch), tarfile.open(archives[0]) as archive:
        for name in RUNTIME:
            with contextlib.suppress(KeyError):
                if (source := archive.extractfile(f"package/dist/{name}")) is not None:
                    (scratch / name).write_bytes(source.read())
    return scratch


def add_runtime(path: Path, place: Path) -> None:
    """Copy the runtime into a folder."""
    with disk(path):
        for name in RUNTIME:
            shutil.copyfile(place / name, path / name)


def recognizes(path: Path) -> bool:
    """Whether a folder is a page that dlx has written."""
    return metadata.only_in(path, {*PAGE, *RUNTIME, NAME})
