"""A training as a person follows it: its plan, its progress, its result."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from dlx.data import splits as feed
from dlx.data.dataset import Stream
from dlx.errors import DivergenceError
from dlx.parts import REGISTRIES
from dlx.runs import compare as comparison
from dlx.runs.run import Run
from dlx.system import terminal as display
from dlx.training import checkpoints

if TYPE_CHECKING:
    from dlx.training.experiment import Experiment
    from dlx.training.train import Outcome


def as_json(outcome: Outcome) -> str:
    """How a run ended, as `--json` says it."""
    metrics = outcome.run.metrics() or {}
    return display.as_json({"run": str(outcome.run.path), "status": outcome.status, "metrics": metrics})


def show(experiment: Experiment, error: bool = False, number: int = 1, of: int = 1) -> None:
    """The plan, before Keras is loaded."""

    spec, dataset, splits = experiment.spec, experiment.dataset, experiment.splits
    count = f"   ({number} of {of})" if of > 1 else ""
    out = display.console(error)
    if number > 1:
        out.print()
    out.print(f"{spec.name}{count}", style="bold cyan")
    for line in display.wrapped(spec.description):
        out.print(line)
    sizes = ", ".join(f"{size:,} {name}" for name, size in splits.sizes().items())
    if splits.test_is_validation and splits.test is not None:
        sizes = f"{len(splits.train):,} train, {len(splits.test):,} test, which is also the validation"
    shape = " × ".join(map(str, dataset.shape))
    name = display.say(spec.dataset, REGISTRIES["dataset"].parameters(spec.dataset.name))
    attention = experiment.findings.told(splits.sizes())
    stays = ", read from disk as they are needed" if isinstance(splits.train.inputs, Stream) else ""
    pairs = [("data", f"{name} from {dataset.source}: {sizes}{stays}")]
    if dataset.skipped:
        told = ", ".join(dataset.skipped[:3]) + " …" * (len(dataset.skipped) > 3)
        pairs.append(("skipped", f"{len(dataset.skipped)} that cannot be read: {told}"))
    pairs += [("attention" if number == 0 else "", line) for number, line in enumerate(attention)]
    if dataset.kind == "table" and dataset.encoding.get("categories"):
        shape = f"{len(dataset.encoding['columns'])} columns as {shape} inputs"
    if dataset.task == "multi_label":
        pairs.append(("input", f"{shape}, {len(dataset.classes)} labels, any of which may hold"))
    elif dataset.classes:
        share = feed.commonest(splits.train, len(dataset.classes))
        pairs.append(
            ("input", f"{shape}, {len(dataset.classes)} classes; always guessing the commonest scores {share:.1%}")
        )
    else:
        pairs.append(("input", f"{shape}, {experiment.facts.targets} value(s) to predict"))
    for heading, kind, parts in (
        ("preprocess", "preprocess", spec.preprocess),
        ("augment", "augment", spec.augment),
        ("layers", "layer", spec.layers),
    ):
        if parts:
            pairs.append(
                (heading, " → ".join(display.say(part, REGISTRIES[kind].parameters(part.name)) for part in parts))
            )
    if splits.test is None and spec.test == "auto" and len(splits.train) >= 50:
        pairs.append(("test", "none: the data has no test split; test: 0.2 cuts one off"))
    pairs.append(("training", _training(experiment)))
    display.lines(pairs, error)


def _training(experiment: Experiment) -> str:
    spec = experiment.spec
    words = [display.say(spec.optimizer, REGISTRIES["optimizer"].parameters(spec.optimizer.name)), f"lr {spec.lr:g}"]
    if spec.schedule.name != "constant":
        words.append(display.say(spec.schedule, REGISTRIES["schedule"].parameters(spec.schedule.name)))
    words.append(f"batch {experiment.batch_size:,}")
    each = f"{experiment.steps_per_epoch:,} step{'s' * (experiment.steps_per_epoch != 1)} each"
    words.append(
        f"{spec.steps:,} steps"
        if spec.steps
        else f"{spec.epochs:,} epoch{'s' * (spec.epochs != 1)} of {each}".replace(" each", "")
    )
    if spec.regularization:
        words.append(
            f"l1 {spec.regularization.l1:g}, l2 {spec.regularization.l2:g}".replace("l1 0, ", "").replace(", l2 0", "")
        )
    if spec.precision != "float32":
        words.append(spec.precision)
    if spec.early_stop:
        words.append(f"stops after {spec.early_stop.patience} epochs without a better {experiment.monitor}")
    return ", ".join(words)


def observer(json: bool) -> Any:
    """An Observer that draws a bar or plain lines, and the result."""
    from dlx.training import train as training

    class Screen(training.Observer):
        def __init__(self) -> None:
            self.bar: display.Bar | None = None
            self.last: dict[str, float] = {}
            self.began, self.told, self.skipped = 0.0, time.monotonic(), 0

        def started(self, run: Any, experiment: Experiment, device_name: str, parameters: int) -> None:
            display.lines([("device", f"{device_name}; {parameters:,} parameters"), ("run", str(run.path))], error=json)
            self.bar = display.Bar(experiment.steps, "steps")
            self.bar.__enter__()
            self.skipped, self.last = 0, {}

        def noted(self, line: str) -> None:
            display.console(error=json).print(display.clean(line))

        def progressed(self, experiment: Experiment, progress: Any) -> None:
            if self.bar is None:
                return
            each, epochs = experiment.steps_per_epoch, experiment.epochs
            if not self.skipped:  # the first chunk compiles: it says nothing about the rate
                self.began, self.skipped = time.monotonic(), progress.step
            examples = (progress.step - self.skipped) * len(experiment.splits.train) / each
            rate = f"{examples / (time.monotonic() - self.began):,.0f} examples/s" if examples else ""
            for row in progress.rows:
                self.last, self.told = row, time.monotonic()
                if not sys.stderr.isatty():
                    self.bar.update(int(row["step"]), line=_line(row, epochs))
            if not sys.stderr.isatty() and time.monotonic() - self.told < display.QUIET_SECONDS:
                return
            head = f"epoch {min(progress.step // each + 1, epochs)}/{epochs}"
            words = [head, _figure(self.last, experiment.monitor), rate]
            short = "  ".join(word for word in words if word)
            self.bar.update(progress.step, short, f"{short}  {progress.step / experiment.steps:.0%}")

        def ended(self, experiment: Experiment, outcome: Outcome) -> None:
            if self.bar is not None:
                self.bar.__exit__()
            result(experiment, outcome, json)

    return Screen()


def _figure(row: dict[str, float], name: str) -> str:
    return f"{name} {row[name]:.4f}" if name in row else ""


def _line(row: dict[str, float], epochs: int) -> str:
    """An epoch as a plain line, in Keras's words: loss is the training's, val_loss the validation's."""
    head = f"epoch {int(row['epoch']):>{len(str(epochs))}}/{epochs}"
    figures = {k.removeprefix("train_"): v for k, v in row.items() if k.startswith(("train_", "val_"))}
    # Where the width is short of room for all, the train split's metrics give way first.
    fewer = {k: v for k, v in figures.items() if k == "loss" or k.startswith("val_")}
    for shown, digits in ((figures, 4), (figures, 3), (fewer, 4), (fewer, 3), (fewer, 2)):
        line = "  ".join([head, *(f"{name} {value:.{digits}f}" for name, value in shown.items())])
        if len(line) <= display.width():
            break
    return line


def result(experiment: Experiment, outcome: Outcome, error: bool = False) -> None:
    """How the run ended, and what to type next."""
    out = display.console(error)
    run, metrics = outcome.run, outcome.metrics
    kept = bool(checkpoints.numbers(run.checkpoints)) and not isinstance(outcome.error, DivergenceError)
    place, name = display.clean(str(run.path)), display.clean(run.name)
    on = f"dlx resume {name}{_where(run)}"
    if outcome.error is not None:
        failed = display.console(error=True)
        failed.print(display.clean_lines(f"failed: {outcome.error}"))
        failed.print(f"history and log are in {place}" + (f"; {on} goes on from its checkpoint" if kept else ""))
        return
    if outcome.status == "interrupted":
        rows = run.history()
        saved = "the best weights so far and the history are" if run.model_file.is_file() else "the history is"
        out.print(f"interrupted; {saved if rows else 'its checkpoint is'} in {place}")
        how = f"by {outcome.stop}, " + (f"after epoch {rows[-1]['epoch']:,}" if rows else "in its first epoch")
        display.lines([("stopped", how), ("next", f"{on} goes on there")], error)
        return
    rate = f"{metrics['examples_per_second']:,.0f} examples/s once compiled"
    out.print(
        f"done in {metrics['total_seconds']:.1f} s (training {metrics['train_seconds']:.1f} s, {rate})",
        style="bold green",
    )
    if experiment.spec.early_stop and metrics["epochs"] < experiment.epochs:
        out.print(f"stopped after epoch {metrics['epochs']:,} of {experiment.epochs:,}: no better {experiment.monitor}")
    _figures(metrics, experiment, error)
    where = _where(run)
    examples = {"image": "IMAGE.png", "table": "TABLE.csv", "text": "TEXTS.txt", "series": "TABLE.csv"}
    example = examples.get(experiment.dataset.kind, "ARRAY.npy")
    display.lines(
        [
            ("next", f"dlx compare {display.clean(str(run.path.parent))}/*"),
            ("", f"dlx predict {name} {example}{where}"),
            ("", f"tensorboard --logdir {display.clean(str(run.path.parent))}"),
        ],
        error,
    )


def remind(run: Run, folder: str | None, error: bool = False) -> None:
    """Say that a run of the same spec can go on, and what to type for it."""
    rows, epochs = run.history(), run.info()["settings"].get("epochs")
    how = f"after epoch {rows[-1].get('epoch')}{f' of {epochs}' if epochs else ''}" if rows else "in its first epoch"
    where = f" --runs-dir {folder}" if folder else ""
    ended = "crashed" if run.status == "crashed" else "was interrupted"
    out = display.console(error)
    out.print(display.clean(f"{run.name} has these settings and {ended} {how}; it goes on with:"))
    out.print(display.clean(f"  dlx resume {run.name}{where}"))
    out.print("this is another run of the same, from the beginning")


def _where(run: Run) -> str:
    return "" if str(run.path.parent) == "runs" else f" --runs-dir {display.clean(str(run.path.parent))}"


def _figures(metrics: dict[str, Any], experiment: Experiment, error: bool) -> None:
    figures = [key for key in metrics if comparison.is_figure(key)]
    names = list(dict.fromkeys(key.partition("_")[2] for key in figures))
    best = f"best weights, epoch {metrics['best_epoch']}"
    judged = "val_loss" in metrics or "test_loss" in metrics
    shown = [
        (
            "train",
            "train",
            "mean over the last epoch" + ("" if judged else f"; the model keeps epoch {metrics['best_epoch']}"),
        )
    ]
    if "val_loss" in metrics and not experiment.splits.test_is_validation:
        shown.append(("val", "validation", best))
    if "test_loss" in metrics:
        shown.append(("test", "test" + "=validation" * experiment.splits.test_is_validation, best))
    columns = [("", [label for _, label, _ in shown])]
    for name in names:
        columns.append((name, [_decimal(metrics.get(f"{split}_{name}")) for split, _, _ in shown]))
    columns.append(("", [remark for _, _, remark in shown]))
    display.table(columns, [False, *(True for _ in names), False], error=error)


def _decimal(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) >= 0.001 or value == 0 else f"{value:.3g}"
