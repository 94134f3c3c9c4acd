"""A spec that comes with dlx, written where somebody works."""

from __future__ import annotations

import re
from pathlib import Path

from dlx.errors import DlxError
from dlx.spec.examples import folder
from dlx.spec.parse import read_file
from dlx.system.files import disk, replacing

_SCHEMA = re.compile(r"# yaml-language-server:.*\n")  # names a file that is not there elsewhere


def about(name: str) -> str:
    """The first sentence of a spec's description, its own or that of what it extends."""
    for path in with_bases(name):
        text = read_file(path).plain().get("description")
        if text:
            return str(text).split(". ")[0].split(": ")[0].rstrip(".")
    return ""


def with_bases(name: str) -> list[Path]:
    """The file of a name, and those that it extends."""
    home = folder()
    assert home is not None
    found = [home / f"{name}.yaml"]
    for path in found:  # grows meanwhile
        bases = read_file(path).plain().get("extends") or []
        found += [home / base for base in ([bases] if isinstance(bases, str) else bases)]
    return list(dict.fromkeys(found))


def write(name: str, output: str | None, force: bool) -> list[Path]:
    """Write the spec of a name, and those that it extends beside it. Returns their paths.

    Raises DlxError where another file is there, DiskError.
    """
    first, *bases = with_bases(name)
    target = Path(output or first.name)
    texts = {target: _text(first), **{target.with_name(base.name): _text(base) for base in bases}}
    for path, text in texts.items():
        same = path != target and path.is_file() and path.read_text(encoding="utf-8") == text
        if path.exists() and not same and not force:
            raise DlxError("is there already", where=str(path), hint="-o OTHER.yaml, or --force to write over it")
    for path, text in texts.items():
        with disk(path), replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(texts)


def _text(path: Path) -> str:
    return _SCHEMA.sub("", path.read_text(encoding="utf-8"), count=1)
