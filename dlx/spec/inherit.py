"""Inheritance: how several spec files and overrides become one tree."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError, did_you_mean
from dlx.parts import user_code
from dlx.parts.registry import Parts
from dlx.parts.user_code import UserCode
from dlx.spec.annotations import SECTIONS, entries_of, kind_of, part_of
from dlx.spec.overrides import override, put, without_rival
from dlx.spec.parse import Node, read_file, read_text

MAX_FILES = 64

# The keys that a trained network is rebuilt from.
NETWORK = ("name", "layers", "preprocess", "regularization", "seed", "precision", "batch_size", "validation")


def gather(
    source: Path | str, overrides: Sequence[str] = (), alone: bool = False, bare: bool = False
) -> tuple[Node, UserCode]:
    """(the whole tree of a spec: its bases, itself, its `set` and the overrides, in this order; its user code).

    source: a file, or the text of one, whose paths are relative to the working directory.
    User code runs here, if it is allowed to; where it is not, `bare` leaves out all that makes no network.
    """
    if isinstance(source, str):
        root = _Inheritance().over_bases(_of_text(source), Path.cwd() / "spec", ())
    else:
        root = _renamed(read_file(source, alone=True)) if alone else _Inheritance().tree(source)
    problems: list[DlxError] = []
    for text in overrides:
        try:
            root = override(root, text)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    if bare and "imports" in root.value and not user_code.allowed():
        network = {key: node for key, node in root.value.items() if key in NETWORK}
        root = root.with_value({**network, "dataset": root.with_value("or")})
    return root, _imported(root)


def _of_text(text: str) -> Node:
    """The mapping of a spec's text. Raises SpecError where it is none."""
    node = read_text(text, "spec", Path.cwd(), marks=False)
    if node is None or not node.is_mapping:
        raise SpecError([DlxError("expected a mapping of keys to values", where="spec")])
    return node


# Names in earlier runs that have changed since: (part, parameter) -> (parameter, values).
RENAMED: dict[tuple[str, str], tuple[str, dict[Any, Any]]] = {
    ("image_folder", "label"): ("labels", {"file_name": "filename"}),
    ("pretrained", "network"): ("name", {}),
}


def _renamed(node: Node, part: str = "") -> Node:
    """The tree of a run's spec in today's names."""
    if node.is_list:
        return node.with_value([_renamed(child) for child in node.value])
    if not node.is_mapping:
        return node
    entries = {}
    for key, child in node.value.items():
        new, values = RENAMED.get((part, key), (key, {}))
        renamed = isinstance(child.value, str) and child.value in values
        entries[new] = _renamed(child.with_value(values[child.value]) if renamed else child, key)
    return node.with_value(entries)


def _imported(root: Node) -> UserCode:
    """The code of `imports`, run if that is allowed; raises SpecError at the file that is not, or that fails."""
    node = root.value.get("imports")
    listing = [] if node is None or node.value is None else entries_of(node)
    files = [(child, child.base / str(child.value)) for child in listing if isinstance(child.value, str)]
    problems = []
    for child, file in files:
        if not file.is_file():
            problems.append(DlxError(f"no such file: {child.value}", where=f"{child.where}: imports"))
        elif not user_code.allowed():
            count = len(file.read_bytes().splitlines())
            lines = f"{count} line{'s' * (count != 1)}"
            message = f"this spec wants to run {lines} of Python, {child.value}, with your permissions"
            hint = "read them first; --allow-code (or DLX_ALLOW_CODE=1) lets them run"
            problems.append(DlxError(message, where=f"{child.where}: imports", hint=hint))
    if problems:
        raise SpecError(problems)
    try:
        return user_code.load([str(file.resolve()) for _, file in files])
    except DlxError as error:
        raise SpecError([error]) from error


class _Inheritance:
    """Reads a spec over its bases; counts the files."""

    def __init__(self) -> None:
        self.count = 0

    def tree(self, path: Path, chain: tuple[Path, ...] = (), where: str = "") -> Node:
        """The tree of a file over its bases; `chain` are the files that lead to it, `where` the last `extends`."""
        real = self._entered(path, chain, where)
        return self.over_bases(read_file(path), path, (*chain, real))

    def over_bases(self, file: Node, path: Path, chain: tuple[Path, ...]) -> Node:
        """What a file at `path` holds, over its bases."""
        entries = dict(file.value)
        extends, settings = entries.pop("extends", None), entries.pop("set", None)
        root = Node({}, file.where, file.base)
        for base in _bases(extends):
            inherited = self.tree(_beside(path, base), chain, base.where).value
            # The name and the description of a base are its own.
            inherited = {k: v for k, v in inherited.items() if k not in ("name", "description")}
            root = merge(root, root.with_value(inherited))
        root = merge(root, file.with_value(entries))
        if settings is not None and settings.value is not None:
            if not settings.is_mapping:
                message = "set: expected addresses with values, as in {layers.dropout.rate: 0.3}"
                raise SpecError([DlxError(message, where=settings.where)])
            for address, value in settings.value.items():
                root = put(root, address, value, value.key)
        return root

    def _entered(self, path: Path, chain: tuple[Path, ...], where: str) -> Path:
        """The real path of a file that is read next. Raises SpecError for a circle and for too many files."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:  # links in a circle
            raise SpecError([DlxError(f"cannot be read ({error})", where=str(path))]) from error
        if real in chain:
            names = " → ".join(p.name for p in (*chain[chain.index(real) :], real))
            message = f"extends in a circle: {names}"
            raise SpecError([DlxError(message, where=where or str(path), hint="remove one of the extends")])
        self.count += 1
        if self.count > MAX_FILES:
            raise SpecError([DlxError(f"extends more than {MAX_FILES} files", where=where or str(path))])
        return real


def _bases(extends: Node | None) -> list[Node]:
    if extends is None or extends.value is None:
        return []
    bases = extends.value if extends.is_list else [extends]
    for base in bases:
        if not isinstance(base.value, str):
            raise SpecError(
                [DlxError("extends: expected a path beside this file, or a list of them", where=base.where)]
            )
    return list(bases)


def _beside(path: Path, base: Node) -> Path:
    """The file that an `extends` names. Raises SpecError where there is none."""
    file = path.parent / str(base.value)
    if not file.exists():
        near = [p.name for p in file.parent.glob("*.y*ml")] if file.parent.is_dir() else []
        message = f"extends: no file {base.value!r} beside this one{did_you_mean(file.name, near)}"
        raise SpecError([DlxError(message, where=base.where)])
    return file


def merge(below: Node, above: Node, address: str = "") -> Node:
    """`above` laid over `below`: mappings merge, parts of one name merge, all else replaces, null removes."""
    if above.value is None:
        return above
    kind = kind_of(address) if address else None
    if isinstance(kind, Parts):
        old, new = part_of(below, kind.kind), part_of(above, kind.kind)
        if old and new and old[0] == new[0]:
            args = merge(old[1], new[1], f"{address}.{new[0]}")
            return above.with_value({new[0]: args})
        return above
    if dataclasses.is_dataclass(kind):  # a bare value is the section's first field
        first = dataclasses.fields(kind)[0].name
        below, above = (n if n.is_mapping else n.with_value({first: n}) for n in (below, above))
    if not (below.is_mapping and above.is_mapping):
        return above
    merged = dict(below.value) if address else without_rival(below.value, above.value)
    for key, node in above.value.items():
        inner = f"{address}.{key}" if address else key
        laid = merge(merged[key], node, inner) if key in merged else node
        merged.pop(key, None)
        if laid.value is not None or key not in SECTIONS:
            merged[key] = laid
    return above.with_value(merged)
