"""From nodes to values: every section and every part against its signature, all problems at once."""

from __future__ import annotations

import dataclasses
import functools
import typing
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dlx.data.store import remote
from dlx.errors import DlxError, SpecError, did_you_mean, suggest
from dlx.parts.registry import FilePath, Parameter, Part, Parts, Registries, Registry, is_address
from dlx.parts.user_code import UserCode
from dlx.spec.aliases import PARAMETER_ALIASES, data_hint
from dlx.spec.annotations import SECTIONS, annotation_kind, entries_of, options, part_of, unknown_key
from dlx.spec.describe import FAR, article, describe
from dlx.spec.parse import Node
from dlx.spec.rules import broken_rules
from dlx.spec.sections import Spec, completed
from dlx.system.files import as_path

MANY = 100  # problems: later ones are reported without the nearest name


def validate(root: Node, stem: str, code: UserCode) -> Spec:
    """The Spec of a tree, its user code attached; raises SpecError with every problem in it."""
    checker = _Checker(code.registries)
    checker.marks[""] = root.where
    values = checker.fields(root, SECTIONS, "", noun="key")
    if checker.problems:
        raise SpecError(checker.problems)
    spec = completed(values, stem)
    spec = dataclasses.replace(spec, marks=checker.marks, code=code)
    problems = list(broken_rules(spec))
    if problems:
        raise SpecError(problems)
    return spec


def parts_of(root: Node, registry: Registry) -> dict[str, Part]:
    """The parts of a mapping of names, of one registry; raises SpecError with every problem in it."""
    checker = _Checker({registry.kind: registry})
    made = {name: checker.part(child, registry.kind, name) for name, child in root.value.items()}
    if checker.problems:
        raise SpecError(checker.problems)
    return made


class _Checker:
    """Walks a tree along the annotations; collects problems and marks."""

    def __init__(self, registries: Registries) -> None:
        self.registries = registries
        self.problems: list[DlxError] = []
        self.marks: dict[str, str] = {}

    def problem(self, where: str, address: str, message: str, hint: str = "") -> None:
        self.problems.append(DlxError(message, where=f"{where}: {address}" if address else where, hint=hint))

    def fields(
        self, node: Node, known: dict[str, Parameter], address: str, noun: str, owner: str = ""
    ) -> dict[str, Any]:
        """The values of a mapping whose keys are `known`, checked; keys that are null are left to their defaults."""
        values: dict[str, Any] = {}
        for key, child in node.value.items():
            if key not in known:
                self._unknown(key, child, known, address, noun, owner)
            elif child.value is not None and not (noun == "key" and _is_none(child, known[key])):
                inner = f"{address}.{key}" if address else key
                self.marks[inner] = child.key
                result = self.value(child, known[key].annotation, inner)
                if result is not _BAD:
                    values[f"{key}_" if key == "except" else key] = result
        unknown = [key for key in node.value if key not in known]
        meant = {suggest(key, known, PARAMETER_ALIASES) for key in unknown[:MANY]}
        for name, parameter in known.items():
            if parameter.required and name not in meant and (name not in node.value or node.value[name].value is None):
                what = f"{owner} needs {name}" if owner else f"the spec has no {name}"
                self.problem(node.key, address, f"{what}: expected {describe(parameter.annotation)}")
        return values

    def _unknown(self, key: str, child: Node, known: dict[str, Parameter], address: str, noun: str, owner: str) -> None:
        if len(self.problems) > MANY:  # the nearest name takes time, and nobody reads so many
            self.problems.append(DlxError(f"unknown {noun} {key!r}", where=child.key))
            return
        if noun == "key":
            error = unknown_key(key, child.key)
            self.problems.append(error)
            return
        if address.startswith("optimizer") and key in ("lr", "learning_rate"):
            self.problem(
                child.key, address, f"unknown parameter {key!r}", "the learning rate is a key of its own: lr: 0.001"
            )
            return
        silent = next((r.silent[key] for r in self.registries.values() if owner in r and key in r.silent), "")
        if silent:
            self.problem(child.key, address, f"{owner} has no parameter {key!r} here", silent)
            return
        hint = did_you_mean(key, known, PARAMETER_ALIASES)
        names = ", ".join(known) or "none"
        self.problem(child.key, address, f"unknown parameter {key!r}{hint}", "" if hint else f"{owner} has {names}")

    def value(self, node: Node, annotation: Any, address: str) -> Any:
        """The value of a node under an annotation, or _BAD after noting the problem."""
        words = _words(annotation)
        if isinstance(node.value, str) and node.value in words:
            return node.value
        kind = annotation_kind(annotation)
        if isinstance(kind, Parts):
            return self.part(node, kind.kind, address)
        if isinstance(kind, list):
            return self.parts(node, kind[0].kind, address, words, _least(annotation))
        if dataclasses.is_dataclass(kind):
            return self.section(node, kind, address)
        if any(option is FilePath for option in options(annotation)):
            return self.path(node, address)
        if annotation == list[FilePath]:
            paths = [self.path(child, f"{address}.{number}") for number, child in enumerate(entries_of(node))]
            return _BAD if any(path is _BAD for path in paths) else paths
        return self.scalar(node, annotation, address)

    def section(self, node: Node, section: Any, address: str) -> Any:
        hints = typing.get_type_hints(section, include_extras=True)
        known = {}
        for entry in dataclasses.fields(section):
            required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
            name = entry.name.rstrip("_")
            known[name] = Parameter(name, hints[entry.name], *([] if required else [None]))
        first = next(iter(known))
        if address == "regularization" and not node.is_mapping:
            self.problem(node.where, address, f"expected a mapping like {{l2: 0.001}}, got {_shown(node)}")
            return _BAD
        if not node.is_mapping:
            node = node.with_value({first: node})
        before = len(self.problems)
        values = self.fields(node, known, address, noun="parameter", owner=address)
        return _BAD if len(self.problems) > before else section(**values)

    def path(self, node: Node, address: str) -> Any:
        if not isinstance(node.value, str) or not node.value or "\0" in node.value:
            self.problem(node.where, address, f"expected a path, got {_shown(node)}")
            return _BAD
        if is_address(node.value):
            data = address.split(".")[0] == "dataset"
            wrong = remote.problem(node.value) if data else "expected a path: an address may name data alone"
            if wrong:
                self.problem(node.where, address, f"{wrong}, got {_shown(node)}")
            return _BAD if wrong else FilePath(node.value)
        try:
            return FilePath((node.base / Path(as_path(node.value)).expanduser()).resolve())
        except (OSError, RuntimeError, UnicodeError) as error:  # a home that is not known, links in a circle
            self.problem(node.where, address, f"expected a path, got {_shown(node)} ({error})")
            return _BAD

    def parts(self, node: Node, kind: str, address: str, words: list[Any], least: int = 0) -> Any:
        if not node.is_list:
            also = f", or {' or '.join(words)}" if words else ""
            self.problem(
                node.where,
                address,
                f"expected a list, got {_shown(node)}{also}",
                f"write it as\n    {address}:\n      - …",
            )
            return _BAD
        if len(node.value) < least:
            self.problem(node.where, address, f"expected {least} entries or more, got {len(node.value)}")
            return _BAD
        parts = [self.part(child, kind, f"{address}.{number}") for number, child in enumerate(node.value)]
        return _BAD if any(part is _BAD for part in parts) else parts

    def part(self, node: Node, kind: str, address: str) -> Any:
        registry = self.registries[kind]
        written = part_of(node, kind, self.registries)
        if written is None:
            hint = ""
            if node.is_mapping and len(node.value) > 1:
                names = list(node.value)
                hint = f"{names[1]!r} stands beside {names[0]!r}; put parameters inside: {names[0]}: {{{names[1]}: …}}"
            self.problem(
                node.where,
                address,
                f"expected {article(registry.kind)} {registry.kind}: name, name: value or name: {{parameter: value}}, "
                f"got {_shown(node)}",
                hint,
            )
            return _BAD
        name, args = written
        where = next(iter(node.value.values())).key if node.is_mapping else node.where
        self.marks.setdefault(address, where)
        if name not in registry:
            try:
                registry.find(name)
            except DlxError as error:
                hint = data_hint(name, Path(node.base)) if registry.kind == "dataset" else ""
                self.problem(where, address, error.message, hint or error.hint)
            return _BAD
        inner = f"{address}.{name}"
        self.marks[inner] = where
        parameters = registry.parameters(name)
        if not parameters and args.value:
            self.problem(where, inner, f"{name} has no parameters")
            return _BAD
        before = len(self.problems)
        values = self.fields(args, parameters, inner, noun="parameter", owner=name)
        if len(self.problems) > before:
            return _BAD
        filled = {p.name: values.get(p.name, p.default) for p in parameters.values()}
        return Part(name, filled, inner)

    def scalar(self, node: Node, annotation: Any, address: str) -> Any:
        try:
            return _adapter(annotation).validate_python(node.plain())
        except ValidationError as error:
            where = _deepest(node, error.errors()[0])
            self.problem(
                where, address, f"expected {describe(annotation)}, got {_shown(node)}", _value_hint(node, annotation)
            )
            return _BAD


def _is_none(node: Node, key: Parameter) -> bool:
    """Whether a key of the spec that may be left out says `none`."""
    kinds = options(key.annotation)
    return node.value == "none" and type(None) in kinds and not {str, FilePath} & set(map(_plain_type, kinds))


def _plain_type(kind: Any) -> Any:
    return kind if isinstance(kind, type) else None


def _words(annotation: Any) -> list[Any]:
    """The words that an annotation allows by themselves."""
    return [word for o in options(annotation) if typing.get_origin(o) is Literal for word in typing.get_args(o)]


def _least(annotation: Any) -> int:
    """The smallest number of entries that a list may have."""
    extra = [item for option in options(annotation) for item in typing.get_args(option)[1:]]
    bounds = [bound for item in extra for bound in getattr(item, "metadata", [])]
    return max((int(bound.min_length) for bound in bounds if hasattr(bound, "min_length")), default=0)


_BAD: Any = object()


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(strict=True))


def _deepest(node: Node, detail: ErrorDetails) -> str:
    for step in detail["loc"]:
        inside = (
            isinstance(step, int) and step < len(node.value) if node.is_list else node.is_mapping and step in node.value
        )
        if inside:
            node = node.value[step]
    return node.where


def _shown(node: Node) -> str:
    text = repr(node.plain())
    return text if len(text) <= 60 else f"{text[:57]}…"


def _value_hint(node: Node, annotation: Any) -> str:
    words = _words(annotation)
    if isinstance(node.value, str) and words:
        return did_you_mean(node.value, words).strip(" ()")
    far = isinstance(node.value, (int, float)) and abs(node.value) >= FAR
    return "that is too large" if far and node.value not in (float("inf"), -float("inf")) else ""
