"""YAML 1.2 text as a tree of nodes, each with its place in the file."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from dlx.errors import DlxError, SpecError
from dlx.runs.find import command_line
from dlx.system.files import UnsafeFileError, as_utf8, contents
from dlx.system.units import byte_size

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_VALUES = 10_000


@dataclass(frozen=True)
class Node:
    """A scalar, a list of nodes or a mapping of nodes, and where it was written.

    where: `file:line:column`, or `-s address=value`; key_where: the same of the key it stands under.
    base: the folder that paths in it are relative to.
    """

    value: Any
    where: str
    base: Path
    key_where: str = ""

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    @property
    def key(self) -> str:
        return self.key_where or self.where

    def with_value(self, value: Any) -> Node:
        return replace(self, value=value)

    def plain(self) -> Any:
        if self.is_mapping:
            return {key: child.plain() for key, child in self.value.items()}
        return [child.plain() for child in self.value] if self.is_list else self.value


class Resolver(BaseResolver):
    """YAML 1.2's core schema: `1e-3` is a number, `no` and `on` are words, a date is a word."""


_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", list("~nN") + [""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
)
for _name, _pattern, _first in _SCALARS:
    Resolver.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)


class _Loader(Reader, Scanner, Parser, Composer, Resolver):
    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        Resolver.__init__(self)
        self.depth = self.values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused(event, "anchors and aliases (& and *) are not read", "write the value out, or use extends")
        if getattr(event, "tag", None):
            raise _refused(
                event, f"tags ({event.tag}) are not read", "remove the tag; quote the value if it starts with '!'"
            )
        if self.depth >= MAX_DEPTH:
            raise _refused(event, f"nested deeper than {MAX_DEPTH} levels", "")
        if self.values >= MAX_VALUES:
            raise _refused(event, f"more than {MAX_VALUES:,} values, expected a spec", "")
        self.depth, self.values = self.depth + 1, self.values + 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Refused(Exception):
    def __init__(self, mark: Any, message: str, hint: str) -> None:
        self.mark, self.message, self.hint = mark, message, hint


def _refused(event: Any, message: str, hint: str) -> _Refused:
    return _Refused(event.start_mark, message, hint)


def read_file(path: Path, alone: bool = False) -> Node:
    """The mapping in a spec file, `alone` that of a run. Raises SpecError, located, when it is none."""
    shown = str(path)
    try:
        if path.is_dir():
            run = (path / "spec.yaml").is_file()
            hint = f"of a run it is {path / 'spec.yaml'}; dlx resume {path.name} goes on with it" if run else ""
            raise SpecError([DlxError("is a folder, expected a YAML file", where=shown, hint=hint)])
        raw = contents(path.parent, path.name, MAX_BYTES) if alone else _bytes_of(path)
    except FileNotFoundError as error:
        raise SpecError([_no_file(path)]) from error
    except (OSError, ValueError) as error:
        raise SpecError([DlxError(f"cannot be read ({error})", where=shown)]) from error
    if len(raw) > MAX_BYTES:
        raise SpecError([DlxError(f"is larger than {byte_size(MAX_BYTES)}, expected a spec", where=shown)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError([DlxError("is not text in UTF-8, expected YAML", where=shown)]) from error
    node = read_text(text, shown, path.resolve().parent)
    if node is None:
        raise SpecError(
            [DlxError("is empty, expected a spec", where=shown, hint="dlx parts lists what a spec can say")]
        )
    if not node.is_mapping and path.suffix.lower() == ".csv":
        hint = f"{command_line('dlx', 'init', shown)} writes a spec for it"
        raise SpecError([DlxError("is a table, no spec", where=shown, hint=hint)])
    if not node.is_mapping:
        raise SpecError([DlxError(f"expected keys (dataset: …, layers: …), got {_kind(node)}", where=node.where)])
    return node


def _bytes_of(path: Path) -> bytes:
    """At most one byte more than a spec may have. A pipe is read where the shell has made it: dlx run <(…)."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as stream:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            if not stat.S_ISFIFO(mode) or not str(path).startswith(("/dev/fd/", "/proc/self/fd/")):
                raise UnsafeFileError("is not a regular file")
            os.set_blocking(descriptor, True)
        return stream.read(MAX_BYTES + 1)


def _no_file(path: Path) -> DlxError:
    from dlx.errors import did_you_mean

    folder = path.parent
    from dlx.spec.examples import names

    near = [p.name for p in folder.glob("*.y*ml")] if folder.is_dir() else []
    hint = f"dlx init {path.stem} writes it: it comes with dlx" if path.stem in names() else ""
    return DlxError(f"no such file{did_you_mean(path.name, near)}", where=str(path), hint=hint)


def read_text(text: str, where: str, base: Path, marks: bool = True) -> Node | None:
    """The nodes of a YAML text; None when it holds nothing. Without `marks` (of a command line) all are at `where`."""
    try:
        root = _Loader(text if marks else as_utf8(text)).get_single_node()
    except _Refused as error:
        raise SpecError([DlxError(error.message, where=_at(where, error.mark, marks), hint=error.hint)]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"not valid YAML: {error.problem or error.context}"
        hint = "YAML indents with spaces, not tabs" if "\\t" in message or _tab_at(text, mark) else ""
        if not hint and ("mapping values" in message or "expected <block end>" in message):
            hint = "is this line, or the one before it, indented like its neighbours?"
        if not hint and "could not find expected ':'" in message:
            hint = "a colon is missing in the line before"
        raise SpecError([DlxError(message, where=_at(where, mark, marks), hint=hint)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(
            [DlxError(f"not valid YAML: {error.reason}", where=f"{where}:{line}" if marks else where)]
        ) from error
    except (ValueError, OverflowError) as error:  # an escape such as \U00110000, which names no character
        raise SpecError([DlxError(f"not valid YAML: {error}", where=where)]) from error
    if root is None:
        return None
    problems: list[DlxError] = []
    node = _convert(root, where, base, marks, problems)
    if problems:
        raise SpecError(problems)
    return node


def _tab_at(text: str, mark: Any) -> bool:
    lines = text.splitlines()
    return mark is not None and mark.line < len(lines) and "\t" in lines[mark.line]


def _at(where: str, mark: Any, marks: bool = True) -> str:
    return f"{where}:{mark.line + 1}:{mark.column + 1}" if marks and mark is not None else where


def _convert(node: Any, where: str, base: Path, marks: bool, problems: list[DlxError]) -> Node:
    at = _at(where, node.start_mark, marks)
    if isinstance(node, yaml.SequenceNode):
        return Node([_convert(item, where, base, marks, problems) for item in node.value], at, base)
    if isinstance(node, yaml.MappingNode):
        return Node(_mapping(node, where, base, marks, problems), at, base)
    return Node(_scalar(node, at, problems), at, base)


def _mapping(node: Any, where: str, base: Path, marks: bool, problems: list[DlxError]) -> dict[str, Node]:
    mapping: dict[str, Node] = {}
    for key_node, value_node in node.value:
        at = _at(where, key_node.start_mark, marks)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(DlxError("a key must be a word, not a list or a mapping", where=at))
            continue
        # A key is what stands there: `or:` and `1:` are names, whatever they would mean as values.
        key = key_node.value
        if key in mapping:
            problems.append(
                DlxError(f"duplicate key {key!r}, first at {mapping[key].key}", where=at, hint="keep one of the two")
            )
        mapping[key] = replace(_convert(value_node, where, base, marks, problems), key_where=at)
    return mapping


def _scalar(node: Any, at: str, problems: list[DlxError]) -> Any:
    kind, text = node.tag.rpartition(":")[2], node.value
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int" and len(text) > 400:
            raise ValueError
        if kind == "int":
            return int(text, 8 if "0o" in text else 16 if "0x" in text else 10)
        if kind == "float":
            return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))
    except ValueError:
        problems.append(DlxError(f"{text[:20]}… is not a number that can be read", where=at))
        return None
    if any("\ud800" <= character <= "\udfff" for character in text):
        problems.append(DlxError("holds half of a surrogate pair, which is not a character", where=at))
        return None
    return text


def _kind(node: Node) -> str:
    if node.is_mapping:
        return "a mapping"
    return "a list" if node.is_list else "a single value"


class Dumper(yaml.SafeDumper):
    """Writes what `read_text` reads back as the same value."""

    yaml_implicit_resolvers = Resolver.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_value(value: Any) -> str:
    """One value in YAML's flow style, on one line."""

    def dumped(readable: bool) -> str:
        text: str = yaml.dump(
            value, Dumper=Dumper, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=readable
        )
        return text

    text = dumped(True)
    if any(line_break in text for line_break in "\x85\u2028\u2029"):  # written plainly, YAML folds them into spaces
        text = dumped(False)
    return text.removesuffix("\n").removesuffix("\n...").rstrip("\n")
