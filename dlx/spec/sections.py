"""What a spec can say: one frozen dataclass, whose annotations are the check and whose defaults are the defaults."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.data.cuts import FOLD
from dlx.parts import REGISTRIES
from dlx.parts.optimizers import default_learning_rate
from dlx.parts.registry import FilePath, Part, Parts, Registries, plain
from dlx.parts.types import Count, Layers, NonNegative, Number, Positive, PositiveFloat, Seed
from dlx.parts.user_code import UserCode
from dlx.runs.run import ABSENT

Share = Annotated[float, Field(gt=0, lt=1)]
Fold = Annotated[str, Field(pattern=FOLD)]
RunName = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]  # letters of any script


@dataclass(frozen=True)
class EarlyStop:
    """Stops after `patience` epochs in which the monitored figure did not improve by more than `min_delta`."""

    patience: Positive
    min_delta: NonNegative = 0.0


@dataclass(frozen=True)
class Regularization:
    """A penalty on every kernel and embedding but those of the layers in `except`; a layer's own wins."""

    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    except_: str | list[str] = field(default_factory=list)

    @property
    def excluded(self) -> tuple[str, ...]:
        return (self.except_,) if isinstance(self.except_, str) else tuple(self.except_)


@dataclass(frozen=True)
class Spec:
    """One validated experiment, every default filled in.

    `marks`: the place in a file of each address; `code`: the user code of `imports`, and the registries with its parts.
    """

    dataset: Annotated[Part, Parts("dataset")]
    layers: Layers
    name: RunName = ""
    description: str = ""
    task: Literal["auto", "classification", "regression", "multi_label"] = "auto"
    test: Literal["auto", "none"] | Share = "auto"
    validation: Literal["test", "none"] | Share | Fold = 0.1
    preprocess: Annotated[list[Part], Parts("preprocess")] = field(default_factory=list)
    augment: Annotated[list[Part], Parts("augment")] = field(default_factory=list)
    optimizer: Annotated[Part, Parts("optimizer")] = field(default_factory=lambda: Part("adam"))
    lr: PositiveFloat = 0.0
    schedule: Annotated[Part, Parts("schedule")] = field(default_factory=lambda: Part("constant"))
    loss: Annotated[Part, Parts("loss")] | Literal["auto"] = "auto"
    metrics: Annotated[list[Part], Parts("metric")] | Literal["auto"] = "auto"
    regularization: Regularization | None = None
    class_weight: Literal["balanced"] | dict[str, PositiveFloat] | None = None
    weights: FilePath | None = None
    batch_size: Positive | Literal["full"] = 32
    epochs: Count | None = None
    steps: Positive | None = None
    monitor: str = "auto"
    keep: Literal["best", "last"] = "best"
    early_stop: EarlyStop | None = None
    stop_at: dict[str, Number] | None = None
    log_every: Positive | None = None
    snapshots: Annotated[list[Count], Field(max_length=1000)] = field(default_factory=list)
    histograms: Positive | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    seed: Seed = 42
    split_seed: Seed = 0
    plots: bool = False
    strict: bool = False
    tags: list[str] = field(default_factory=list)
    imports: list[FilePath] = field(default_factory=list)
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)] | str] = field(default_factory=dict)
    search: Annotated[Part, Parts("search")] | None = None
    marks: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    code: UserCode = field(default_factory=UserCode, compare=False, repr=False)

    @property
    def alone(self) -> Spec:
        """The experiment by itself: without what a sweep makes of it."""
        return replace(self, sweep={}, search=None)

    @property
    def registries(self) -> Registries:
        return self.code.registries

    def changed(self) -> list[str]:
        """What was said beside the spec's file, `address=value` each: by -s, by Python, by a sweep or a repetition."""
        return list(dict.fromkeys(mark.removeprefix("-s ") for mark in self.marks.values() if mark.startswith("-s ")))

    def with_change(self, address: str, value: str) -> Spec:
        """The same with another mark of what was changed."""
        return replace(self, marks={**self.marks, address: f"-s {address}={value}"})

    def locate(self, address: str) -> str:
        """The place of the address, or of the nearest one above it, followed by the address itself."""
        parts = address.split(".")
        for end in range(len(parts), 0, -1):
            at = self.marks.get(".".join(parts[:end]))
            if at:
                return f"{at}: {address}"
        return f"{self.marks['']}: {address}" if self.marks.get("") else address


# The order in which a resolved spec is written.
ORDER = (
    "name", "description", "dataset", "task", "test", "validation", "preprocess", "augment", "layers", "optimizer",
    "lr", "schedule", "loss", "metrics", "regularization", "class_weight", "weights",
    "batch_size", "epochs", "steps", "monitor", "keep", "early_stop", "stop_at", "log_every", "snapshots", "histograms",
    "precision", "seed", "split_seed", "plots", "strict", "tags", "imports", "sweep", "search",
)  # fmt: skip
INTERNAL = ("marks", "code")  # what no file can set
DEFAULT_EPOCHS = 10


def run_name(stem: str) -> str:
    """The name of a spec without one: its file's, with what a name may not have as _."""
    return re.sub(r"[^\w.-]", "_", stem).lstrip(".-")[:100] or "spec"


def completed(values: dict[str, Any], stem: str) -> Spec:
    """The Spec of checked values, with the defaults that depend on others filled in."""
    for section, kind in (("optimizer", "adam"), ("schedule", "constant")):
        parameters = REGISTRIES[section].parameters(kind).values()
        values.setdefault(section, Part(kind, {p.name: p.default for p in parameters}, f"{section}.{kind}"))
    values.setdefault("name", run_name(stem))
    values.setdefault("lr", default_learning_rate(values["optimizer"].name))
    if values.get("steps") is None:
        values.setdefault("epochs", DEFAULT_EPOCHS)
    return Spec(**values)


def resolved(spec: Spec, base: str | None = None) -> dict[str, Any]:
    """The spec as plain values, in the order of a spec file; paths relative to the folder `base`."""
    settings: dict[str, Any] = {}
    for name in ORDER:
        value = getattr(spec, name)
        if value is None or (name in ("description", "snapshots", "imports", "sweep") and not value):
            continue
        if dataclasses.is_dataclass(value) and not isinstance(value, Part):
            value = {
                f.name.rstrip("_"): getattr(value, f.name)
                for f in dataclasses.fields(value)
                if getattr(value, f.name) not in ([], None)
            }
        settings[name] = plain(value, base)
    return settings


def flat(value: Any, address: str = "") -> dict[str, Any]:
    """A resolved spec by dotted address: `{"layers.3.dense.units": 512, "layers.2": "flatten", …}`."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, list) and any(isinstance(item, (dict, list, str)) for item in value) and address != "tags":
        items = {str(number): item for number, item in enumerate(value)}.items()
    else:
        return {address: value}
    settings: dict[str, Any] = {}
    for key, item in items:
        settings |= flat(item, f"{address}.{key}" if address else key)
    return settings


KINDS = {
    "dataset": "dataset", "preprocess": "preprocess", "augment": "augment", "layers": "layer", "optimizer": "optimizer",
    "schedule": "schedule", "loss": "loss", "metrics": "metric",
}  # fmt: skip


def defaults(spec: Spec) -> dict[str, Any]:
    """What each setting of the spec is where it is not written, by address: a run that lacks one was made before it."""

    def walk(value: Any, address: str, kind: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Part):
            parameters = spec.registries[kind].parameters(value.name)
            for key, item in value.args.items():
                here = f"{address}.{value.name}.{key}"
                if key in parameters and not parameters[key].required:
                    yield from flat(plain(parameters[key].default), here).items()
                yield from walk(item, here, kind)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from walk(item, f"{address}.{number}", kind)

    written = dict(ABSENT)
    for section, kind in KINDS.items():
        written |= dict(walk(getattr(spec, section), section, kind))
    return written


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any], unwritten: Mapping[str, Any], apart: Container[str] = ()
) -> list[str]:
    """The addresses at which settings differ from those that a run recorded `before`, in words.

    A setting that the run lacks is what it was before it had a name, as `defaults` says; sections in `apart` are left
    out.
    """
    changed = []
    for key in {**before, **now}:
        if key.split(".")[0] in apart:
            continue
        was, name = before.get(key, unwritten.get(key, "not there")), before.get(key)
        if key not in now and any(other.startswith(f"{key}.{name}.") for other in now):
            continue  # a part without arguments then has some now
        if was != now.get(key, "not there"):
            changed.append(f"{key} was {was}, is {now.get(key, 'not there')}")
    return changed


__all__ = ["ORDER", "EarlyStop", "FilePath", "Regularization", "Spec", "changes", "completed", "flat", "resolved"]
