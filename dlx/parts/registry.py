"""Parts and the registries that know them. A part's signature is its schema."""

from __future__ import annotations

import inspect
import os
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dlx.errors import DlxError, did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


class FilePath(str):
    """An absolute path, resolved from the file that names it, or an address. As an annotation: a path is wanted."""


def is_address(text: str) -> bool:
    """Whether a text names something in an object store, or on a web server, as s3://bucket/table.csv does."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


_lie: dict[str, str] = {}  # paths of a spec from another machine, and where the same lies on this one


def relocate(files: Mapping[str, str]) -> None:
    """Say where the files and folders of specs that come from another machine lie on this one, for this process."""
    _lie.update(files)


def located(path: str) -> FilePath:
    """Where a path of a spec lies on this machine; of an address its copy, which is brought. Raises DataError."""
    there = _lie.get(path, path)
    if is_address(there):
        from dlx.data.store import remote

        return FilePath(remote.fetched(there))
    return FilePath(there)


@dataclass(frozen=True)
class Part:
    """A name with arguments: anything that a spec names.

    `where` is the dotted address in the spec, for messages; it takes no part in equality.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    where: str = field(default="", compare=False)


def plain(value: Any, base: str | None = None) -> Any:
    """`value` in YAML's and JSON's own types: a part is `name`, or `{name: {parameter: value}}`.

    Paths are written relative to the folder `base`, if one is given.
    """
    if isinstance(value, Part):
        args = {key: plain(item, base) for key, item in value.args.items() if item is not None}
        return {value.name: args} if args else value.name
    if isinstance(value, FilePath):
        return os.path.relpath(value, base) if base and not is_address(value) else str(value)
    if isinstance(value, Mapping):
        return {key: plain(item, base) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, base) for item in value]
    return value


@dataclass(frozen=True)
class Parts:
    """An annotation: this parameter holds a part (or, in a list, parts) of the registry `kind`."""

    kind: str


@dataclass(frozen=True)
class Parameter:
    """One parameter of a part: what a spec may write, and its default."""

    name: str
    annotation: Any
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


class Registry:
    """Maps names to typed functions.

    `kind` is the singular noun for messages ("layer"); `aliases` maps foreign spellings to ours; `refused` maps
    names that a person may well write to the reason why they are no parts, `silent` the same of parameters.
    Parameters whose names begin with an underscore are given by dlx, never by a spec.
    """

    def __init__(self, kind: str, aliases: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.aliases = dict(aliases or {})
        self.refused: dict[str, str] = {}
        self.silent: dict[str, str] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        self._factories: dict[str, Callable[[], Callable[..., Any]]] = {}
        self._parameters: dict[str, dict[str, Parameter]] = {}

    def register(self, function: F) -> F:
        """Add `function` under its own name. Raises ValueError for a second one of that name."""
        name = function.__name__.rstrip("_")
        if name in self._functions:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._functions[name] = function
        return function

    def register_factory(self, name: str, factory: Callable[[], Callable[..., Any]]) -> None:
        """Add a part whose function `factory` makes when it is first needed; a registered function comes first."""
        self._factories[name] = factory

    def extended(self, functions: Iterable[Callable[..., Any]]) -> Registry:
        """A registry that has these functions too; this one stays as it is. Raises ValueError as `register` does."""
        other = Registry(self.kind, self.aliases)
        other.refused, other.silent, other._factories = self.refused, self.silent, self._factories
        other._functions, other._parameters = dict(self._functions), dict(self._parameters)
        for function in functions:
            other.register(function)
        return other

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._functions, *self._factories}))

    def __contains__(self, name: object) -> bool:
        return name in self._functions or name in self._factories

    def find(self, name: str) -> Callable[..., Any]:
        """The function called `name`; raises DlxError with the nearest name otherwise, or why there is none."""
        if name not in self._functions and name in self._factories:
            self._functions[name] = self._factories[name]()
        if name in self._functions:
            return self._functions[name]
        if name in self.refused:
            raise DlxError(f"{name} cannot be a {self.kind} of a spec", hint=self.refused[name])
        spaced = re.fullmatch(r"(\w+)\s*[ (:]\s*([\w.]+)\)?", str(name))
        if spaced and spaced[1] in self:
            raise DlxError(f"unknown {self.kind} {name!r}", hint=f"write it as {spaced[1]}: {spaced[2]}")
        hint = did_you_mean(name, self, self.aliases)
        raise DlxError(
            f"unknown {self.kind} {name!r}{hint}",
            hint="" if hint else f"`dlx parts` lists every {self.kind}",
        )

    def parameters(self, name: str) -> dict[str, Parameter]:
        """The parameters of the part `name` that a spec may set, in the order of its signature."""
        if name not in self._parameters:
            function = self.find(name)
            hints = typing.get_type_hints(function, include_extras=True)
            self._parameters[name] = {
                p.name: Parameter(p.name, hints.get(p.name, Any), p.default)
                for p in inspect.signature(function).parameters.values()
                if not p.name.startswith("_")
            }
        return self._parameters[name]

    def help(self, name: str) -> str:
        return inspect.getdoc(self.find(name)) or ""

    def make(self, part: Part, **given: Any) -> Any:
        """Call the function of `part` with its arguments, and with those of `given` that it asks for."""
        function = self.find(part.name)
        wanted = inspect.signature(function).parameters
        extra = {key: value for key, value in given.items() if key in wanted}
        args = {key: located(value) if isinstance(value, FilePath) else value for key, value in part.args.items()}
        return function(**args, **extra)


Registries = Mapping[str, Registry]  # by kind: dataset, preprocess, augment, layer, optimizer, schedule, loss, metric
