"""What no key of a spec can know alone."""

from __future__ import annotations

import typing

from dlx.data.cuts import fold_of
from dlx.errors import DlxError, did_you_mean
from dlx.parts import initializers, metrics
from dlx.parts.registry import Part
from dlx.spec.sections import Spec

AUTO_METRICS = ("accuracy", "mae", "exact_match")


def broken_rules(spec: Spec) -> typing.Iterator[DlxError]:
    """What no key can know alone."""
    if spec.steps is not None and spec.epochs is not None:
        yield DlxError("epochs and steps are both set; expected one of them", where=spec.locate("steps"))
    if (fold := fold_of(spec.validation)) and not (fold[0] <= fold[1] >= 2):
        message = f"there is no fold {fold[0]} of {fold[1]}; expected fold 1 of 5, for one, up to fold 5 of 5"
        yield DlxError(message, where=spec.locate("validation"))
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
    for part in inner_parts(spec.layers):
        if part.name == "output":
            yield DlxError(
                "output cannot stand inside another layer; put it last in layers", where=spec.locate(part.where)
            )
    for part in all_parts(spec.layers):
        for key, value in part.args.items():
            if key.endswith("initializer") and (message := initializers.problem(value)):
                yield DlxError(message, where=spec.locate(f"{part.where}.{key}"))
    names = [name for part in all_parts(spec.layers) for name in (part.name, part.args.get("name")) if name]
    own = [part.args["name"] for part in all_parts(spec.layers) if part.args.get("name")]
    for name in sorted({name for name in own if own.count(name) > 1}):
        yield DlxError(f"two layers have the name {name!r}", where=spec.locate("layers"))
    if spec.metrics != "auto":
        counted = [metrics.metric_name(part) for part in spec.metrics]
        for name in sorted({name for name in counted if counted.count(name) > 1}):
            yield DlxError(f"two metrics are called {name!r}", where=spec.locate("metrics"))
    if spec.regularization is not None:
        for name in spec.regularization.excluded:
            if name not in names:
                hint = did_you_mean(name, names)
                yield DlxError(
                    f"except names {name!r}, which is not a layer of this spec{hint}",
                    where=spec.locate("regularization.except"),
                )
    yield from _figures(spec)


def _figures(spec: Spec) -> typing.Iterator[DlxError]:
    names = [metrics.metric_name(p) for p in spec.metrics] if spec.metrics != "auto" else list(AUTO_METRICS)
    figures = ["loss", *(["data_loss"] if penalized(spec) else []), *names]
    known = [f"train_{f}" for f in figures] + ([f"val_{f}" for f in figures] if spec.validation != "none" else [])
    named = [] if spec.monitor == "auto" else [(spec.monitor, "monitor")]
    if spec.search is not None:
        yield from _objectives(spec, known)
    for name, where in [*named, *((name, f"stop_at.{name}") for name in spec.stop_at or ())]:
        if name not in known:
            why = " (there is no validation)" if spec.validation == "none" and name.startswith("val_") else ""
            yield DlxError(
                f"{name!r} is not a figure of this run{why}{did_you_mean(name, known)}",
                where=spec.locate(where),
                hint="expected train_ or val_ with loss, or with one of the metrics: val_loss, val_accuracy, …",
            )


SIZES = ("parameters", "seconds", "size")  # what a search can look for beside figures: less is better


def _objectives(spec: Spec, known: typing.Sequence[str]) -> typing.Iterator[DlxError]:
    """What is no figure to search by."""
    args = spec.search.args if spec.search is not None else {}
    names = args.get("objectives", "auto")
    where = spec.locate(f"search.{spec.search.name if spec.search else ''}.objectives")
    for name in [names] if isinstance(names, str) else names:
        if name.startswith("test_"):
            hint = f"val_{name.removeprefix('test_')}; confirm judges the best on test, once"
            yield DlxError(f"{name} would choose by the test split", where=where, hint=hint)
        elif name not in (*known, *SIZES, "auto"):
            hint = f"expected {', '.join(known[-3:])}, {', '.join(SIZES)}"
            yield DlxError(f"{name!r} is no figure to search by{did_you_mean(name, known)}", where=where, hint=hint)


def penalized(spec: Spec) -> bool:
    """Whether the losses of a spec's training hold a penalty."""
    rule, arguments = spec.regularization, [part.args.items() for part in all_parts(spec.layers)]
    own = any(name.endswith("regularizer") and value for items in arguments for name, value in items)
    return own or (rule is not None and bool(rule.l1 or rule.l2))


def inner_parts(parts: typing.Iterable[Part]) -> typing.Iterator[Part]:
    """Every part inside the given ones, at any depth."""
    for part in parts:
        for value in part.args.values():
            inner = [value] if isinstance(value, Part) else value if isinstance(value, list) else []
            nested = [item for item in inner if isinstance(item, Part)]
            yield from nested
            yield from inner_parts(nested)


def all_parts(parts: typing.Sequence[Part]) -> typing.Iterator[Part]:
    """The given parts, and every one inside them."""
    yield from parts
    yield from inner_parts(parts)
