"""Addresses: a value laid into a tree at `layers.dropout.rate`."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError, did_you_mean
from dlx.parts import REGISTRIES
from dlx.parts.registry import Part, Parts, Registries
from dlx.spec.annotations import SECTIONS, annotation_kind, kind_of, part_of, unknown_key
from dlx.spec.parse import Node, read_text


def without_rival(below: dict[str, Node], above: dict[str, Node]) -> dict[str, Node]:
    """`below` without the epochs or steps that `above` replaces by the other."""
    rivals = {"steps": "epochs", "epochs": "steps"}
    replaced = {rivals[key] for key in rivals if key in above and above[key].value is not None}
    return {key: node for key, node in below.items() if key not in replaced - set(above)}


def override(root: Node, text: str, registries: Registries = REGISTRIES) -> Node:
    """The tree with `address=value`, as a shell writes it, laid in. Raises SpecError, located at the override."""
    shown = f"-s {text}"
    address, equals, raw = text.partition("=")
    if not equals or not address.strip():
        raise SpecError([DlxError("expected address=value, as in lr=0.1", where=shown)])
    value = read_text(raw, shown, Path.cwd(), marks=False) if raw.strip() else Node("", shown, Path.cwd())
    node = Node(None, shown, Path.cwd()) if value is None else value
    return put(root, address.strip(), node, shown, registries)


def put(
    root: Node, address: str, value: Node, where: str, registries: Registries = REGISTRIES, known: bool = False
) -> Node:
    """The tree with `value` at the dotted address. Raises SpecError, located at `where`.

    `known`: also where a part on the way has no parameter of that name, which else is for the check of the whole spec.
    """
    section, *rest = address.split(".")
    if section not in SECTIONS:
        problem = unknown_key(section, where)
        for key in ("layers", "augment", "preprocess"):
            items = root.value[key].value if key in root.value and root.value[key].is_list else []
            if any((part := part_of(item, kind_of(key)[0].kind, registries)) and part[0] == section for item in items):
                problem = DlxError(f"unknown key {section!r} (did you mean {key}.{address}?)", where=where)
        raise SpecError([problem])
    current = root.value.get(section)
    if current is None:
        current = Node(_default(section), where, value.base)
    try:
        changed = _Placement(value, registries, known).into(current, rest, section, kind_of(section))
    except DlxError as error:
        raise SpecError([DlxError(error.message, where=where, hint=error.hint)]) from error
    entries = {key: node for key, node in without_rival(root.value, {section: value}).items() if key != section}
    if changed.value is not None:
        entries[section] = changed
    return root.with_value(entries)


def _default(section: str) -> Any:
    """What a section holds when no file sets it, as far as an address can lead into it."""
    default = SECTIONS[section].default
    if section == "search":
        return "grid"
    if isinstance(default, Part):
        return default.name
    return [] if isinstance(default, list) else {}


@dataclasses.dataclass(frozen=True)
class _Placement:
    """Lays a value into a node at the rest of an address; every method returns the changed node."""

    value: Node
    registries: Registries
    known: bool = False

    def into(self, node: Node, rest: list[str], address: str, kind: Any) -> Node:
        if not rest:
            part = part_of(node, kind.kind, self.registries) if isinstance(kind, Parts) else None
            if part and self.value.value is not None and not isinstance(self.value.value, (str, dict)):
                return node.with_value({part[0]: self.value})  # layers.dropout=0.4, as a spec writes dropout: 0.4
            return self.value
        if isinstance(kind, Parts):
            return self._into_part(node, rest, address, kind)
        if isinstance(kind, list):
            return self._into_list(node, rest, address, kind[0])
        if not node.is_mapping:
            if dataclasses.is_dataclass(kind):  # a bare value is the section's first field
                node = node.with_value({dataclasses.fields(kind)[0].name: node})
            else:
                raise DlxError(f"{address} holds no {rest[0]!r}: it is {node.plain()!r}")
        key = rest[0]
        inner = node.value.get(key) or Node({}, self.value.where, self.value.base)
        entries = dict(node.value) | {key: self.into(inner, rest[1:], f"{address}.{key}", None)}
        return node.with_value({k: n for k, n in entries.items() if n.value is not None})

    def _into_part(self, node: Node, rest: list[str], address: str, kind: Parts) -> Node:
        part = part_of(node, kind.kind, self.registries)
        if part is None:
            raise DlxError(f"{address} is not a {kind.kind} with parameters")
        name, args = part
        registry = self.registries[kind.kind]
        parameters = registry.parameters(name) if name in registry else {}
        if rest[0] == name and rest[0] not in parameters:
            rest = rest[1:]
            if not rest:
                return node.with_value({name: self.value})
        elif rest[0] in registry and rest[0] not in parameters:
            hint = f"-s {address}={rest[0]} would make it {rest[0]}"
            raise DlxError(f"{address} is {name}, not {rest[0]}", hint=hint)
        key = rest[0]
        parameter = parameters.get(key)
        if parameter is None and self.known:
            raise DlxError(f"{name} has no parameter {key!r}{did_you_mean(key, parameters)}")
        kind_inside = annotation_kind(parameter.annotation) if parameter else None
        default = [] if isinstance(kind_inside, list) else getattr(parameter, "default", None)
        empty = {} if default in (None, inspect.Parameter.empty) else default
        inner = args.value.get(key) or Node(empty, self.value.where, self.value.base)
        changed = self.into(inner, rest[1:], f"{address}.{name}.{key}", kind_inside)
        entries = dict(args.value) | {key: changed}
        return node.with_value({name: args.with_value({k: n for k, n in entries.items() if n.value is not None})})

    def _into_list(self, node: Node, rest: list[str], address: str, kind: Parts) -> Node:
        items = list(node.value) if node.is_list else []
        if rest[0] == "*":
            return self._into_all(node, rest[1:], address, kind)
        number = self._position(items, rest[0], address, kind)
        changed = self.into(items[number], rest[1:], f"{address}.{number}", kind)
        items[number : number + 1] = [] if changed.value is None else [changed]
        return node.with_value(items)

    def _into_all(self, node: Node, rest: list[str], address: str, kind: Parts) -> Node:
        """The value laid into every part of the kind that `*` is followed by, however deep it stands."""
        registry = self.registries[kind.kind]
        if len(rest) < 2 or rest[0] not in registry:
            hint = f"{address}.*.dropout.rate is the rate of every dropout" if kind.kind == "layer" else ""
            found = f": {rest[0]!r}{did_you_mean(rest[0], registry, registry.aliases)}" if rest else ""
            raise DlxError(f"{address}.* expects the name of a {kind.kind} and a parameter{found}", hint=hint)
        changed, count = self._each(node, rest, f"{address}.*", kind)
        if not count:
            raise DlxError(f"{address} has no {rest[0]!r} for {address}.* to mean")
        return changed

    def _each(self, node: Node, rest: list[str], address: str, kind: Parts) -> tuple[Node, int]:
        """(the list with the value laid into every part of a kind, those inside of parts too; how many they are)"""
        items, count = [], 0
        for item in node.value if node.is_list else []:
            part = part_of(item, kind.kind, self.registries)
            if part is not None and part[0] == rest[0]:
                item, count = self.into(item, rest, address, kind), count + 1
            elif part is not None and part[0] in self.registries[kind.kind]:
                name, args = part
                entries = dict(args.value)
                for key, parameter in self.registries[kind.kind].parameters(name).items():
                    if key in entries and isinstance(annotation_kind(parameter.annotation), list):
                        entries[key], inner = self._each(entries[key], rest, address, kind)
                        count += inner
                item = item.with_value({name: args.with_value(entries)}) if entries else item
            items.append(item)
        return node.with_value(items), count

    def _position(self, items: list[Node], word: str, address: str, kind: Parts) -> int:
        """The item that `word` means: a number from 0, or a name that one item alone has."""
        if word.isascii() and word.lstrip("-").isdigit():
            if not 0 <= int(word) < len(items):
                raise DlxError(f"{address} has {len(items)} entries, numbered from 0: there is no {word}")
            return int(word)
        names: list[set[str]] = []
        for item in items:
            part = part_of(item, kind.kind, self.registries)
            label = part[1].value.get("name") if part else None
            names.append({part[0] if part else "", str(label.value) if label else ""})
        if not word:
            raise DlxError(
                f"{address} is followed by an empty part", hint=f"expected {address}.0, or a name after the dot"
            )
        hits = [number for number, both in enumerate(names) if word in both]
        if len(hits) == 1:
            return hits[0]
        if hits:
            which = ", ".join(f"{address}.{number}" for number in hits)
            raise DlxError(
                f"{len(hits)} entries of {address} are called {word!r}",
                hint=f"write which one: {which}; or give one a name (name: first), and write {address}.first",
            )
        known = sorted({name for both in names for name in both if name})
        hint = f"it has {', '.join(known)}" if known else f"{address} is empty"
        raise DlxError(f"{address} has no {word!r}{did_you_mean(word, known)}", hint=hint)
