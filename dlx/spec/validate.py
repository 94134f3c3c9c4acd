"""From nodes to values: every section and every part against its signature, all problems at once."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dlx.errors import DlxError, SpecError, did_you_mean, suggest
from dlx.parts import REGISTRIES, losses
from dlx.parts.registry import FilePath, Parameter, Part, Parts
from dlx.parts.types import Tuned
from dlx.spec.parse import Node
from dlx.spec.sections import Spec, completed

MANY = 100  # problems: what comes behind them is told without the nearest name
AUTO_METRICS = ("accuracy", "mae", "exact_match")
KEY_ALIASES = {
    "learningrate": "lr",
    "model": "layers",
    "network": "layers",
    "data": "dataset",
    "batch": "batch_size",
    "nepoch": "epochs",
    "nbepoch": "epochs",
    "numepochs": "epochs",
    "patience": "early_stop",
    "earlystopping": "early_stop",
    "validationsplit": "validation",
    "val": "validation",
    "regularizer": "regularization",
    "weightdecay": "regularization",
    "augmentation": "augment",
    "preprocessing": "preprocess",
    "objective": "loss",
    "dtype": "precision",
    "maxsteps": "steps",
    "randomseed": "seed",
    "scheduler": "schedule",
    "lrschedule": "schedule",
    "classweights": "class_weight",
    "sampleweight": "class_weight",
    "pretrainedweights": "weights",
    "initfrom": "weights",
    "checkpoint": "weights",
}
PARAMETER_ALIASES = {
    "filter": "filters",
    "nbfilter": "filters",
    "outchannels": "filters",
    "kernel": "kernel_size",
    "filtersize": "kernel_size",
    "stride": "strides",
    "nunits": "units",
    "outfeatures": "units",
    "p": "rate",
    "keepprob": "rate",
    "prob": "rate",
    "regularizer": "kernel_regularizer",
    "weightsinit": "kernel_initializer",
    "alpha": "negative_slope",
    "size": "image_size",
    "target": "label",
    "nsamples": "samples",
    "angle": "degrees",
    "betas": "beta_1",
    "eps": "epsilon",
}


def _sections() -> dict[str, Parameter]:
    hints = typing.get_type_hints(Spec, include_extras=True)
    found = {}
    for entry in dataclasses.fields(Spec):
        if entry.name == "marks":
            continue
        default: Any = entry.default
        if entry.default_factory is not dataclasses.MISSING:
            default = entry.default_factory()
        missing = default is dataclasses.MISSING
        found[entry.name] = Parameter(entry.name, hints[entry.name], *([] if missing else [default]))
    return found


SECTIONS: dict[str, Parameter] = _sections()


def annotation_kind(annotation: Any) -> Any:
    """Parts(kind) for a part, [Parts(kind)] for a list of them, the dataclass of a section of its own, else None."""
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


def listed(node: Node) -> list[Node]:
    """The entries of a list, or the one that stands in its place."""
    return list(node.value) if node.is_list else [node]


def unknown_key(key: str, where: str) -> DlxError:
    """The problem of a key that no spec has, with the one that was probably meant."""
    hint = did_you_mean(key, [*SECTIONS, "extends", "set"], KEY_ALIASES)
    return DlxError(
        f"unknown key {key!r}{hint}", where=where, hint="" if hint else f"the keys are {', '.join(SECTIONS)}"
    )


def part_of(node: Node, kind: str) -> tuple[str, Node] | None:
    """(name, arguments as a mapping node) of a part as a spec writes it; None when it is none."""
    if isinstance(node.value, str):
        return node.value, node.with_value({})
    if not node.is_mapping or len(node.value) != 1:
        return None
    ((name, args),) = node.value.items()
    if args.value is None:
        return name, args.with_value({})
    registry = REGISTRIES[kind]
    parameters = registry.parameters(name) if name in registry else {}
    first = next(iter(parameters.values()), None)
    # `bidirectional: {lstm: 32}`: a mapping that is itself the first parameter's part.
    is_part = first is not None and isinstance(annotation_kind(first.annotation), Parts)
    if args.is_mapping and not (is_part and not set(args.value) & set(parameters)):
        return name, args
    return name, args.with_value({first.name if first else "value": args})


def check(root: Node, stem: str) -> Spec:
    """The Spec of a tree; raises SpecError with every problem in it."""
    checker = _Checker()
    checker.marks[""] = root.where
    values = checker.fields(root, SECTIONS, "", noun="key")
    if checker.problems:
        raise SpecError(checker.problems)
    spec = completed(values, stem)
    spec = dataclasses.replace(spec, marks=checker.marks)
    problems = list(_crosswise(spec, values))
    if problems:
        raise SpecError(problems)
    return spec


class _Checker:
    """Walks a tree along the annotations; collects problems and marks."""

    def __init__(self) -> None:
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
            elif child.value is not None:
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
        silent = next((r.silent[key] for r in REGISTRIES.values() if owner in r and key in r.silent), "")
        if silent:
            self.problem(child.key, address, f"{owner} has no parameter {key!r} here", silent)
            return
        hint = did_you_mean(key, known, PARAMETER_ALIASES)
        names = ", ".join(known) or "none"
        self.problem(child.key, address, f"unknown parameter {key!r}{hint}", "" if hint else f"{owner} has {names}")

    def value(self, node: Node, annotation: Any, address: str) -> Any:
        """The value of a node under an annotation, or _BAD after noting the problem."""
        words = [word for o in options(annotation) if typing.get_origin(o) is Literal for word in typing.get_args(o)]
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
            found = [self.path(child, f"{address}.{number}") for number, child in enumerate(listed(node))]
            return _BAD if any(path is _BAD for path in found) else found
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
        try:
            return FilePath((node.base / Path(node.value).expanduser()).resolve())
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
        found = []
        for number, child in enumerate(node.value):
            found.append(self.part(child, kind, f"{address}.{number}"))
        return _BAD if any(part is _BAD for part in found) else found

    def part(self, node: Node, kind: str, address: str) -> Any:
        registry = REGISTRIES[kind]
        found = part_of(node, kind)
        if found is None:
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
        name, args = found
        where = next(iter(node.value.values())).key if node.is_mapping else node.where
        self.marks.setdefault(address, where)
        if name not in registry:
            try:
                registry.find(name)
            except DlxError as error:
                self.problem(where, address, error.message, error.hint)
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


def _least(annotation: Any) -> int:
    """The smallest number of entries that a list may have."""
    held = [item for option in options(annotation) for item in typing.get_args(option)[1:]]
    bounds = [bound for item in held for bound in getattr(item, "metadata", [])]
    return max((int(bound.min_length) for bound in bounds if hasattr(bound, "min_length")), default=0)


_BAD: Any = object()
FAR = 1e9


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
    words = [word for o in options(annotation) if typing.get_origin(o) is Literal for word in typing.get_args(o)]
    if isinstance(node.value, str) and words:
        return did_you_mean(node.value, words).strip(" ()")
    far = isinstance(node.value, (int, float)) and abs(node.value) >= FAR
    return "that is too large" if far and node.value not in (float("inf"), -float("inf")) else ""


def describe(annotation: Any) -> str:
    """What a value must be, in words: "a whole number, at least 1", "'same' or 'valid'"."""
    return " or ".join(dict.fromkeys(_describe(option) for option in options(annotation) if option is not type(None)))


def _describe(option: Any) -> str:
    if option == Tuned:
        return "a mapping like {random_normal: 0.02}"
    origin = typing.get_origin(option)
    if origin is typing.Annotated:
        base, *extra = typing.get_args(option)
        marker = next((item for item in extra if isinstance(item, Parts)), None)
        if marker:
            noun = REGISTRIES[marker.kind].kind
            return f"a list of {noun}s" if typing.get_origin(base) is list else f"{article(noun)} {noun}"
        return _describe(base) + _limits(extra)
    if origin is Literal:
        words = [str(word) for word in typing.get_args(option)]
        return " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"
    if origin is list:
        return f"a list of {_plural(describe(typing.get_args(option)[0]))}"
    if origin is dict:
        key, value = typing.get_args(option)
        return f"a mapping of {describe(key)} to {describe(value)}"
    if option is FilePath:
        return "a path"
    if dataclasses.is_dataclass(option):
        return f"a mapping of {', '.join(f.name.rstrip('_') for f in dataclasses.fields(option))}"
    names = {Any: "a value", int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(option, str(option))


def article(noun: str) -> str:
    """The one that fits the noun."""
    return "an" if noun[0] in "aeiou" else "a"


def _plural(text: str) -> str:
    for singular, plural in (
        ("a whole number", "whole numbers"),
        ("a number", "numbers"),
        ("a text", "texts"),
        ("a path", "paths"),
        ("a value", "values"),
    ):
        text = text.replace(singular, plural)
    return text


def _limits(extra: list[Any]) -> str:
    """The bounds of an annotation, in brackets: (above 0, at most 1)."""
    bounds = [item for info in extra for item in getattr(info, "metadata", [info])]

    def found(name: str) -> Any:
        return next((value for item in bounds if (value := getattr(item, name, None)) is not None), None)

    words = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))
    # Bounds far beyond any use keep arithmetic sound; to name them would only distract.
    said = [f"{word} {found(name)}" for name, word in words if found(name) is not None and abs(found(name)) < FAR]
    low, high = found("min_length"), found("max_length")
    if low is not None:
        said.append(f"{low} of them" if low == high else f"at least {low} of them")
    if found("pattern"):
        last = str(found("pattern")).startswith("^last")
        said.append("last 1, last 2, …" if last else "letters, digits and _ . - alone")
    return f" ({', '.join(said)})" if said else ""


def _crosswise(spec: Spec, said: dict[str, Any]) -> typing.Iterator[DlxError]:
    """What no key can know alone."""
    if spec.steps is not None and spec.epochs is not None:
        yield DlxError("epochs and steps are both said; expected one of them", where=spec.locate("steps"))
    if not spec.layers:
        yield DlxError("the list is empty; expected at least an output", where=spec.locate("layers"))
    if spec.optimizer.args.get("nesterov") and not spec.optimizer.args.get("momentum"):
        hint = f"add momentum: 0.9 to {spec.optimizer.name}"
        yield DlxError("nesterov does nothing without momentum", where=spec.locate(spec.optimizer.where), hint=hint)
    mixers = [part for part in spec.augment if part.name in ("mixup", "cutmix")]
    if len(mixers) > 1:
        yield DlxError("mixup and cutmix cannot both mix a batch", where=spec.locate(mixers[1].where))
    if len(spec.layers) > 500:
        yield DlxError(
            f"{len(spec.layers)} layers; expected at most 500", where=spec.locate("layers"), hint="see repeat"
        )
    for number, part in enumerate(spec.layers):
        if part.name == "output" and number != len(spec.layers) - 1:
            yield DlxError("output must be the last layer", where=spec.locate(part.where))
    for part in inside(spec.layers):
        if part.name == "output":
            yield DlxError(
                "output cannot stand inside another layer; put it last in layers", where=spec.locate(part.where)
            )
    names = [name for part in below(spec.layers) for name in (part.name, part.args.get("name")) if name]
    own = [part.args["name"] for part in below(spec.layers) if part.args.get("name")]
    for name in sorted({name for name in own if own.count(name) > 1}):
        yield DlxError(f"two layers have the name {name!r}", where=spec.locate("layers"))
    if spec.metrics != "auto":
        counted = [losses.metric_name(part) for part in spec.metrics]
        for name in sorted({name for name in counted if counted.count(name) > 1}):
            yield DlxError(f"two metrics are called {name!r}", where=spec.locate("metrics"))
    if spec.regularization is not None:
        for name in spec.regularization.excluded:
            if name not in names:
                hint = did_you_mean(name, names)
                yield DlxError(
                    f"except names {name!r}, which is no layer of this spec{hint}",
                    where=spec.locate("regularization.except"),
                )
    yield from _monitor(spec)


def _monitor(spec: Spec) -> typing.Iterator[DlxError]:
    if spec.monitor == "auto":
        return
    metrics = [losses.metric_name(p) for p in spec.metrics] if spec.metrics != "auto" else list(AUTO_METRICS)
    figures = ["loss", *metrics]
    known = [f"train_{f}" for f in figures] + ([f"val_{f}" for f in figures] if spec.validation != "none" else [])
    if spec.monitor not in known:
        why = " (there is no validation)" if spec.validation == "none" and spec.monitor.startswith("val_") else ""
        yield DlxError(
            f"{spec.monitor!r} is no figure of this run{why}{did_you_mean(spec.monitor, known)}",
            where=spec.locate("monitor"),
            hint="expected train_ or val_ with loss, or with one of the metrics: val_loss, val_accuracy, …",
        )


def inside(parts: typing.Iterable[Part]) -> typing.Iterator[Part]:
    """Every part inside the given ones, at any depth."""
    for part in parts:
        for value in part.args.values():
            inner = [value] if isinstance(value, Part) else value if isinstance(value, list) else []
            nested = [item for item in inner if isinstance(item, Part)]
            yield from nested
            yield from inside(nested)


def below(parts: typing.Sequence[Part]) -> typing.Iterator[Part]:
    """The given parts, and every one inside them."""
    yield from parts
    yield from inside(parts)
