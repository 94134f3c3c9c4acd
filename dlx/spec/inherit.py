"""Inheritance and overrides: how several spec trees become one."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError, did_you_mean
from dlx.parts import REGISTRIES
from dlx.parts import user_code as own
from dlx.parts.registry import Parts
from dlx.spec.parse import Node, read_file, read_text
from dlx.spec.validate import SECTIONS, annotation_kind, kind_of, listed, part_of, unknown_key

MAX_FILES = 64

# The keys that a trained network is rebuilt from.
NETWORK = ("name", "layers", "preprocess", "regularization", "seed", "precision", "batch_size", "validation")


def gather(path: Path, overrides: Sequence[str] = (), alone: bool = False, bare: bool = False) -> Node:
    """The whole tree of a spec: its bases, itself, its `set`, and the overrides, in this order.

    Its own code runs here, if it is allowed to; where it is not, `bare` leaves out all that makes no network.
    """
    root = _renamed(read_file(path, alone=True)) if alone else _file(path, ())
    problems: list[DlxError] = []
    for text in overrides:
        try:
            root = override(root, text)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    if bare and "imports" in root.value and not own.allowed():
        kept = {key: node for key, node in root.value.items() if key in NETWORK}
        root = root.with_value({**kept, "dataset": root.with_value("or")})
    _import(root)
    return root


# What runs of before say by names that have changed since: (part, parameter) -> (parameter, values).
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
    found = {}
    for key, child in node.value.items():
        new, values = RENAMED.get((part, key), (key, {}))
        value = (
            child.with_value(values[child.value]) if isinstance(child.value, str) and child.value in values else child
        )
        found[new] = _renamed(value, key)
    return node.with_value(found)


def _import(root: Node) -> None:
    """Run the files of `imports`, if that is allowed; raises SpecError at the file that is not, or that fails."""
    node = root.value.get("imports")
    listing = [] if node is None or node.value is None else listed(node)
    files = [(child, child.base / str(child.value)) for child in listing if isinstance(child.value, str)]
    problems = []
    for child, file in files:
        if not file.is_file():
            problems.append(DlxError(f"no such file: {child.value}", where=f"{child.where}: imports"))
        elif not own.allowed():
            count = len(file.read_bytes().splitlines())
            lines = f"{count} line{'s' * (count != 1)}"
            message = f"this spec wants to run {lines} of Python, {child.value}, which may do whatever you may"
            hint = "read them first; --allow-code (or DLX_ALLOW_CODE=1) lets them run"
            problems.append(DlxError(message, where=f"{child.where}: imports", hint=hint))
    if problems:
        raise SpecError(problems)
    try:
        if files:
            own.load([str(file.resolve()) for _, file in files])
        else:
            own.install(())
    except DlxError as error:
        raise SpecError([error]) from error


def _file(path: Path, chain: tuple[Path, ...], said: str = "", read: list[Path] | None = None) -> Node:
    """The tree of a file over its bases; `read` are the files read so far for the spec."""
    read = [] if read is None else read
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise SpecError([DlxError(f"cannot be read ({error})", where=str(path))]) from error
    if real in chain:
        names = " → ".join(p.name for p in (*chain[chain.index(real) :], real))
        raise SpecError(
            [DlxError(f"extends in a circle: {names}", where=said or str(path), hint="remove one of the extends")]
        )
    read.append(real)
    if len(read) > MAX_FILES:
        raise SpecError([DlxError(f"extends more than {MAX_FILES} files", where=said or str(path))])
    own = read_file(path)
    entries = dict(own.value)
    extends, settings = entries.pop("extends", None), entries.pop("set", None)
    root = Node({}, own.where, own.base)
    for base in _bases(extends):
        beside = path.parent / base.value
        if not beside.exists():
            near = [p.name for p in beside.parent.glob("*.y*ml")] if beside.parent.is_dir() else []
            problem = DlxError(
                f"extends: no file {base.value!r} beside this one{did_you_mean(beside.name, near)}", where=base.where
            )
            raise SpecError([problem])
        inherited = _file(beside, (*chain, real), base.where, read).value
        # What a base is called and says of itself is its own affair.
        root = merge(root, root.with_value({k: v for k, v in inherited.items() if k not in ("name", "description")}))
    root = merge(root, own.with_value(entries))
    if settings is not None and settings.value is not None:
        if not settings.is_mapping:
            raise SpecError(
                [
                    DlxError(
                        "set: expected addresses with values, as in {layers.dropout.rate: 0.3}", where=settings.where
                    )
                ]
            )
        for address, value in settings.value.items():
            root = put(root, address, value, value.key)
    return root


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
    merged = dict(below.value) if address else _without_rival(below.value, above.value)
    for key, node in above.value.items():
        inner = f"{address}.{key}" if address else key
        laid = merge(merged[key], node, inner) if key in merged else node
        merged.pop(key, None)
        if laid.value is not None or key not in SECTIONS:
            merged[key] = laid
    return above.with_value(merged)


def _without_rival(below: dict[str, Node], above: dict[str, Node]) -> dict[str, Node]:
    """`below` without the epochs or steps that `above` replaces by the other."""
    rivals = {"steps": "epochs", "epochs": "steps"}
    gone = {rivals[key] for key in rivals if key in above and above[key].value is not None}
    return {key: node for key, node in below.items() if key not in gone - set(above)}


def override(root: Node, text: str) -> Node:
    """The tree with `address=value`, as a shell says it, laid in. Raises SpecError, located at the override."""
    shown = f"-s {text}"
    address, equals, raw = text.partition("=")
    if not equals or not address.strip():
        raise SpecError([DlxError("expected address=value, as in lr=0.1", where=shown)])
    value = read_text(raw, shown, Path.cwd(), marks=False) if raw.strip() else Node("", shown, Path.cwd())
    node = Node(None, shown, Path.cwd()) if value is None else value
    return put(root, address.strip(), node, shown)


def put(root: Node, address: str, value: Node, where: str) -> Node:
    """The tree with `value` at the dotted address. Raises SpecError, located at `where`."""
    section, *rest = address.split(".")
    if section not in SECTIONS:
        raise SpecError([unknown_key(section, where)])
    current = root.value.get(section)
    if current is None:
        current = Node(_default(section), where, value.base)
    try:
        placed = _put(current, rest, value, section, kind_of(section))
    except DlxError as error:
        raise SpecError([DlxError(error.message, where=where, hint=error.hint)]) from error
    entries = {key: node for key, node in _without_rival(root.value, {section: value}).items() if key != section}
    if placed.value is not None:
        entries[section] = placed
    return root.with_value(entries)


def _default(section: str) -> Any:
    """What a section holds when no file says it, as far as an address can lead into it."""
    from dlx.parts.registry import Part

    default = SECTIONS[section].default
    if isinstance(default, Part):
        return default.name
    return [] if isinstance(default, list) else {}


def _put(node: Node, rest: list[str], value: Node, address: str, kind: Any) -> Node:
    if not rest:
        found = part_of(node, kind.kind) if isinstance(kind, Parts) else None
        if found and value.value is not None and not isinstance(value.value, (str, dict)):
            return node.with_value({found[0]: value})  # layers.dropout=0.4, as a spec writes dropout: 0.4
        return value
    if isinstance(kind, Parts):
        return _put_part(node, rest, value, address, kind)
    if isinstance(kind, list):
        return _put_list(node, rest, value, address, kind[0])
    if not node.is_mapping:
        if dataclasses.is_dataclass(kind):  # a bare value is the section's first field
            node = node.with_value({dataclasses.fields(kind)[0].name: node})
        else:
            raise DlxError(f"{address} holds no {rest[0]!r}: it is {node.plain()!r}")
    key = rest[0]
    inner = node.value.get(key) or Node({}, value.where, value.base)
    entries = dict(node.value) | {key: _put(inner, rest[1:], value, f"{address}.{key}", None)}
    return node.with_value({k: n for k, n in entries.items() if n.value is not None})


def _put_part(node: Node, rest: list[str], value: Node, address: str, kind: Parts) -> Node:
    found = part_of(node, kind.kind)
    if found is None:
        raise DlxError(f"{address} is no {kind.kind} with parameters")
    name, args = found
    registry = REGISTRIES[kind.kind]
    parameters = registry.parameters(name) if name in registry else {}
    if rest[0] == name and rest[0] not in parameters:
        rest = rest[1:]
        if not rest:
            return node.with_value({name: value})
    elif rest[0] in registry and rest[0] not in parameters:
        raise DlxError(f"{address} is {name}, not {rest[0]}", hint=f"-s {address}={rest[0]} would make it {rest[0]}")
    key = rest[0]
    parameter = parameters.get(key)
    kind_inside = annotation_kind(parameter.annotation) if parameter else None
    default = [] if isinstance(kind_inside, list) else getattr(parameter, "default", None)
    inner = args.value.get(key) or Node(
        {} if default in (None, inspect.Parameter.empty) else default, value.where, value.base
    )
    placed = _put(inner, rest[1:], value, f"{address}.{name}.{key}", kind_inside)
    entries = dict(args.value) | {key: placed}
    return node.with_value({name: args.with_value({k: n for k, n in entries.items() if n.value is not None})})


def _put_list(node: Node, rest: list[str], value: Node, address: str, kind: Parts) -> Node:
    items = list(node.value) if node.is_list else []
    number = _find(items, rest[0], address, kind)
    placed = _put(items[number], rest[1:], value, f"{address}.{number}", kind)
    items[number : number + 1] = [] if placed.value is None else [placed]
    return node.with_value(items)


def _find(items: list[Node], word: str, address: str, kind: Parts) -> int:
    """The item that `word` means: a number from 0, or a name that one item alone has."""
    if word.isascii() and word.lstrip("-").isdigit():
        if not 0 <= int(word) < len(items):
            raise DlxError(f"{address} has {len(items)} entries, numbered from 0: there is no {word}")
        return int(word)
    names: list[set[str]] = []
    for item in items:
        found = part_of(item, kind.kind)
        own = found[1].value.get("name") if found else None
        names.append({found[0] if found else "", str(own.value) if own else ""})
    hits = [number for number, both in enumerate(names) if word in both]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise DlxError(
            f"{len(hits)} entries of {address} are called {word!r}",
            hint=f"say which: {', '.join(f'{address}.{number}' for number in hits)}; or give one a name:",
        )
    known = sorted({name for both in names for name in both if name})
    raise DlxError(f"{address} has no {word!r}{did_you_mean(word, known)}")
