"""What an annotation of a signature asks for: a part, a list of parts, a section, a value."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from dlx.errors import DlxError, did_you_mean
from dlx.parts import REGISTRIES
from dlx.parts.registry import Parameter, Parts, Registries
from dlx.spec.aliases import KEY_ALIASES
from dlx.spec.parse import Node
from dlx.spec.sections import INTERNAL, Spec


def _sections() -> dict[str, Parameter]:
    hints = typing.get_type_hints(Spec, include_extras=True)
    sections = {}
    for entry in dataclasses.fields(Spec):
        if entry.name in INTERNAL:
            continue
        default: Any = entry.default
        if entry.default_factory is not dataclasses.MISSING:
            default = entry.default_factory()
        missing = default is dataclasses.MISSING
        sections[entry.name] = Parameter(entry.name, hints[entry.name], *([] if missing else [default]))
    return sections


SECTIONS: dict[str, Parameter] = _sections()


def annotation_kind(annotation: Any) -> Any:
    """Parts(kind) for a part, [Parts(kind)] for a list of them, the dataclass of a nested section, else None."""
    for option in options(annotation):
        if typing.get_origin(option) is typing.Annotated:
            base, *extra = typing.get_args(option)
            marker = next((item for item in extra if isinstance(item, Parts)), None)
            if marker:
                return [marker] if typing.get_origin(base) is list else marker
        if dataclasses.is_dataclass(option):
            return option
    return None


def kind_of(section: str) -> Any:
    """The same of a section of a spec, by its name."""
    return annotation_kind(SECTIONS[section].annotation) if section in SECTIONS else None


def options(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, one by one."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(inner for option in typing.get_args(annotation) for inner in options(option))
    return (annotation,)


def entries_of(node: Node) -> list[Node]:
    """The entries of a list, or the one that stands in its place."""
    return list(node.value) if node.is_list else [node]


def unknown_key(key: str, where: str) -> DlxError:
    """The problem of a key that no spec has, with the one that was probably meant."""
    hint = did_you_mean(key, [*SECTIONS, "extends", "set"], KEY_ALIASES)
    return DlxError(
        f"unknown key {key!r}{hint}", where=where, hint="" if hint else f"the keys are {', '.join(SECTIONS)}"
    )


def part_of(node: Node, kind: str, registries: Registries = REGISTRIES) -> tuple[str, Node] | None:
    """(name, arguments as a mapping node) of a part as a spec writes it; None when it is none."""
    if isinstance(node.value, str):
        return node.value, node.with_value({})
    if not node.is_mapping or len(node.value) != 1:
        return None
    ((name, args),) = node.value.items()
    if args.value is None:
        return name, args.with_value({})
    registry = registries[kind]
    parameters = registry.parameters(name) if name in registry else {}
    first = next(iter(parameters.values()), None)
    # `bidirectional: {lstm: 32}`: a mapping that is itself the first parameter's part.
    is_part = first is not None and isinstance(annotation_kind(first.annotation), Parts)
    if args.is_mapping and not (is_part and not set(args.value) & set(parameters)):
        return name, args
    return name, args.with_value({first.name if first else "value": args})
