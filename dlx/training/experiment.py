"""From a Spec to an Experiment: load the data, cut and check it, before Keras is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from dlx import spec as specs
from dlx.data.audit import Findings, audit, check_finite
from dlx.data.cuts import cut
from dlx.data.dataset import Dataset, Facts, Split, as_values
from dlx.data.scaling import Scaling
from dlx.data.splits import First, Splits, encoded, scaled_inputs
from dlx.engine.plan import Plan
from dlx.errors import DataError, DlxError, RunError, SpecError
from dlx.parts import REGISTRIES, metrics
from dlx.parts.datasets import loading, table_encoding
from dlx.parts.optimizers import default_learning_rate
from dlx.parts.registry import Part
from dlx.parts.schedules import Plateau
from dlx.runs.metrics import maximized
from dlx.runs.run import Run
from dlx.spec.sections import Spec
from dlx.training.data_fit import check_data, check_fit


@dataclass(frozen=True, eq=False)
class Experiment:
    """A spec with its data loaded and split. Making one loads no Keras.

    started: seconds since 1970; begun: the same moment of time.monotonic(), which no one sets back.
    """

    spec: Spec
    dataset: Dataset
    splits: Splits
    findings: Findings = field(default_factory=Findings)
    started: float = field(default_factory=time.time)
    begun: float = field(default_factory=time.monotonic)

    @property
    def facts(self) -> Facts:
        return Facts.of(self.dataset)

    @cached_property
    def target_scaling(self) -> Scaling | None:
        """Mean and deviation of a regression's targets over the train split."""
        return Scaling.fit(self.splits.train.targets) if self.dataset.task == "regression" else None

    @property
    def batch_size(self) -> int:
        size = len(self.splits.train)
        return size if self.spec.batch_size == "full" else min(int(self.spec.batch_size), size)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.splits.train) // self.batch_size)

    @property
    def steps(self) -> int:
        return self.spec.steps or self.steps_per_epoch * int(self.spec.epochs or 0)

    @property
    def epochs(self) -> int:
        return -(-self.steps // self.steps_per_epoch)

    @property
    def monitor(self) -> str:
        if self.spec.monitor != "auto":
            return self.spec.monitor
        return "val_loss" if self.splits.validation is not None else "train_loss"

    @property
    def maximize(self) -> bool:
        return maximized(self.monitor)


def prepare(
    spec: Spec, load: Callable[[Spec], Dataset] | None = None, recorded: Mapping[str, Any] | None = None
) -> Experiment:
    """Load and split the data of a spec; `load` takes the place of the loader, to keep data from one spec to the next.

    `recorded` is run.json, for a run whose data is prepared again: an earlier dlx scaled inputs in the network alone,
    and took dates for words.
    Raises DataError, or SpecError where the spec does not fit the data.
    """
    started, begun = time.time(), time.monotonic()
    try:
        words = ((recorded or {}).get("input") or {}).get("encoding", {}).get("categories", ())
        registry = spec.registries["dataset"]
        dataset = load(spec) if load else loading.load(spec.dataset, spec.task, registry, list(words))
        if spec.task == "regression" and dataset.task == "classification":
            dataset = as_values(dataset)
        _check_task(spec, dataset.task)
        if dataset.task == "classification" and len(dataset.classes) < 2:
            raise DataError(f"every example is of the class {dataset.classes[0]!r}; expected two classes or more")
        dataset, splits = encoded(dataset, cut(dataset, spec.test, spec.validation, spec.split_seed))
        check_data(spec, dataset)
        check_finite(splits)
        findings = audit(dataset, splits)
        if spec.strict and (lines := findings.lines(splits.sizes())):
            hint = "strict: false trains all the same, and counts them in the run"
            raise DataError("; ".join(lines), where=spec.locate("strict"), hint=hint)
        names = list(table_encoding.input_names(dataset.encoding)) if dataset.encoding else []
        raw = recorded is not None and "inputs" not in (recorded.get("scaling") or {})
        first: First = "never" if raw else _scales_first(spec)
        dataset, splits = scaled_inputs(dataset, splits, first, names)
    except MemoryError as error:
        message = f"does not fit into memory ({error})" if str(error) else "does not fit into memory"
        raise DataError(message, where=spec.locate("dataset")) from error
    except DataError as error:
        # A place in a file stands; an address in the spec, or none, becomes a place in the spec.
        if error.where in ("", "validation", "test", "split_seed", "dataset"):
            error.where = spec.locate(error.where or "dataset")
        elif not error.where.startswith(spec.locate("").partition(": ")[0] or " "):
            error.where = f"{spec.locate(f'dataset.{spec.dataset.name}')}: {error.where}"
        raise
    check_fit(spec, Facts.of(dataset))
    return Experiment(spec, dataset, splits, findings, started, begun)


def _scales_first(spec: Spec) -> First:
    """What the spec's first preprocessing takes means and deviations of, where it takes some of the data itself."""
    if spec.augment:  # images are changed as they are stored
        return ""
    first = spec.preprocess[0] if spec.preprocess else Part("")
    if first.name == "standardize" and first.args["per"] == "dataset":
        return "scalar"
    return "columns" if first.name in ("normalize", "standardize") else ""


def spec_of(run: Run, overrides: Sequence[str] = ()) -> Spec:
    """The spec of an existing run, with the `test_limit` that its settings have, though its file may be older."""
    spec = specs.load(run.spec_file, overrides, alone=True)
    limit = run.info()["settings"].get(f"dataset.{spec.dataset.name}.test_limit")
    if limit is None or spec.dataset.args.get("test_limit") is not None:
        return spec
    return replace(spec, dataset=replace(spec.dataset, args={**spec.dataset.args, "test_limit": limit}))


def prepared_again(run: Run) -> tuple[Experiment, bool]:
    """(the experiment of an existing run, whether its data is another by now). Raises as `prepare` does."""
    info = run.info()
    experiment = prepare(spec_of(run), recorded=info)
    recorded = (info.get("dataset") or {}).get("fingerprint")
    return experiment, recorded not in (None, experiment.dataset.fingerprint)


def chosen_split(run: Run, experiment: Experiment, name: str | None) -> str:
    """The name of a run's split: the one asked for, else test, validation or train. Raises RunError."""
    splits = experiment.splits.named()
    if name is not None and name not in splits:
        raise RunError(f"has no {name} split; it has {', '.join(splits)}", where=str(run.path))
    return name or next(reversed(splits))


def class_weights(spec: Spec, dataset: Dataset, train: Split) -> tuple[float, ...] | None:
    """What an example of each class counts: as the spec says, or so that all classes count alike in the train split."""
    import numpy as np

    if spec.class_weight is None:
        return None
    if spec.class_weight != "balanced":
        return tuple(float(spec.class_weight.get(name, 1.0)) for name in dataset.classes)
    counts = np.bincount(np.asarray(train.targets).reshape(-1), minlength=len(dataset.classes))
    return tuple(float(share) for share in counts.sum() / (len(counts) * np.maximum(counts, 1)))


def facts_of(spec: Spec) -> Facts:
    """What the data looks like, without its arrays where that is known; loads them otherwise."""
    known = loading.facts(spec.dataset)
    if known is None:
        return prepare(spec).facts
    if spec.task == "regression" and known.task == "classification":
        known = known.as_values()
    _check_task(spec, known.task)
    check_fit(spec, known)
    return known


def _check_task(spec: Spec, task: str) -> None:
    """Raise SpecError where the data does not hold what the spec's task predicts."""
    if spec.task not in ("auto", task):
        kinds = {"classification": "classes", "regression": "values", "multi_label": "several labels an example"}
        message = f"task: {spec.task}, but {spec.dataset.name} holds {kinds[task]}"
        raise SpecError([DlxError(message, where=spec.locate("task"), hint="leave task out, or task: auto")])


def plan_of(experiment: Experiment) -> Plan:
    """How long the training is, how fast, and by which figure."""
    spec, stop = experiment.spec, experiment.spec.early_stop
    schedule = REGISTRIES["schedule"].make(spec.schedule)
    units = metrics.units(experiment.target_scaling)
    unit = units.get(experiment.monitor.partition("_")[2], 1.0)
    if isinstance(schedule, Plateau):
        schedule = replace(schedule, min_delta=schedule.min_delta / unit)
    return Plan(
        seed=spec.seed,
        lr=spec.lr,
        batch_size=experiment.batch_size,
        steps_per_epoch=experiment.steps_per_epoch,
        steps=experiment.steps,
        monitor=experiment.monitor,
        maximize=experiment.maximize,
        patience=stop.patience if stop else None,
        min_delta=stop.min_delta / unit if stop else 0.0,
        stop_at={key: value / units.get(key.partition("_")[2], 1.0) for key, value in (spec.stop_at or {}).items()},
        log_every=spec.log_every,
        snapshots=tuple(spec.snapshots),
        histograms=spec.histograms,
        usual_lr=default_learning_rate(spec.optimizer.name),
        schedule=None if isinstance(schedule, Plateau) else schedule,
        plateau=schedule if isinstance(schedule, Plateau) else None,
        class_weights=class_weights(spec, experiment.dataset, experiment.splits.train),
        units=units,
    )
