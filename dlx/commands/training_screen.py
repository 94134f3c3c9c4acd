"""A training on the screen: its plan, its progress, its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlx.commands import remark_screen
from dlx.data.dataset import Stream
from dlx.data.splits import majority_share, mean_error
from dlx.errors import DivergenceError
from dlx.runs.find import command_line, compare_all
from dlx.runs.metrics import OF_TWO_CLASSES, figure_text, is_figure, reached
from dlx.runs.run import Run
from dlx.system import terminal
from dlx.system.json_text import one_line
from dlx.system.units import duration
from dlx.training import checkpoints
from dlx.training.outcome import Observer, Outcome
from dlx.training.progress_bar import TrainingBar

if TYPE_CHECKING:
    from pathlib import Path

    from dlx.engine.plan import Progress
    from dlx.model.network import Network
    from dlx.parts.registry import Part
    from dlx.spec.sections import Spec
    from dlx.training.experiment import Experiment

COLUMN = 12  # where the texts of the plan and of what comes after begin
ORDERS = 0.7  # auc: a network that orders examples knows something, whatever it answers
MOST_ADVICE = 3  # lines in the plan
EXAMPLES = {"image": "IMAGE.png", "table": "TABLE.csv", "text": "TEXTS.txt", "series": "TABLE.csv"}


def run_line(run: Run | None, status: str, metrics: Mapping[str, Any] | None = None) -> str:
    """How a run ended, as `--json` prints it."""
    return one_line({"run": None if run is None else str(run.path), "status": status, "metrics": metrics or {}})


# The plan


def show_plan(experiment: Experiment, error: bool = False, number: int = 1, of: int = 1) -> None:
    """The plan, before Keras is loaded."""
    spec, dataset, splits = experiment.spec, experiment.dataset, experiment.splits
    count = f"   ({number} of {of})" if of > 1 else ""
    out = terminal.console(error)
    if number > 1:
        out.print()
    out.print(f"{spec.name}{count}", style=terminal.HEADING)
    for line in terminal.wrapped(spec.description):
        out.print(line)
    pairs = [("data", _data(experiment))]
    if dataset.skipped:
        names = ", ".join(dataset.skipped[:3]) + " …" * (len(dataset.skipped) > 3)
        pairs.append(("skipped", f"{len(dataset.skipped)} that cannot be read: {names}"))
    if dataset.unlabelled:
        pairs.append(("left out", f"{dataset.unlabelled:,} row{'s' * (dataset.unlabelled > 1)} without a label"))
    if dataset.encoding and dataset.encoding.dates:
        names = ", ".join(dataset.encoding.dates[:8]) + " …" * (len(dataset.encoding.dates) > 8)
        pairs.append(("dates", f"{names}: days since 1970-01-01"))
    findings = experiment.findings.lines(splits.sizes())
    pairs += [("attention" if place == 0 else "", line) for place, line in enumerate(findings)]
    pairs += [("equal rows", line) for line in experiment.findings.remarks(splits.sizes())]
    pairs.append(("input", _input(experiment)))
    for heading, kind, parts in (
        ("preprocess", "preprocess", spec.preprocess),
        ("augment", "augment", spec.augment),
        ("layers", "layer", spec.layers),
    ):
        if parts:
            pairs.append((heading, " → ".join(_phrase(spec, kind, part) for part in parts)))
        elif kind == "preprocess" and dataset.kind != "text":
            pairs.append((heading, f"none: the network takes the inputs as they are{_range(experiment)}"))
    if splits.test is None and spec.test == "auto" and len(splits.train) >= 50:
        pairs.append(("test", "none: the data has no test split; test: 0.2 cuts one off"))
    pairs.append(("training", _training(experiment)))
    terminal.fields(pairs, error, least=COLUMN)


def _phrase(spec: Spec, kind: str, part: Part) -> str:
    return terminal.phrase(part, spec.registries[kind].parameters(part.name))


def _data(experiment: Experiment) -> str:
    splits = experiment.splits
    sizes = ", ".join(f"{size:,} {name}" for name, size in splits.sizes().items())
    if splits.test_is_validation and splits.test is not None:
        sizes = f"{len(splits.train):,} train, {len(splits.test):,} test, which is also the validation"
    name = _phrase(experiment.spec, "dataset", experiment.spec.dataset)
    on_disk = ", read from disk as they are needed" if isinstance(splits.train.inputs, Stream) else ""
    return f"{name} from {experiment.dataset.source}: {sizes}{on_disk}"


def _input(experiment: Experiment) -> str:
    dataset = experiment.dataset
    shape = " × ".join(map(str, dataset.shape))
    if dataset.encoding and dataset.kind == "table" and dataset.encoding.categories:
        shape = f"{len(dataset.encoding.columns)} columns as {shape} inputs"
    if dataset.task == "multi_label":
        return f"{shape}, {len(dataset.classes)} labels, any of which may hold"
    if dataset.classes:
        share = majority_share(experiment.splits.train, len(dataset.classes))
        return f"{shape}, {len(dataset.classes)} classes; guessing the most frequent one scores {100 * share:.1f} %"
    count, error = experiment.facts.targets, mean_error(experiment.splits.train, experiment.splits.train)
    values = "a value" if count == 1 else f"{count} values"
    return f"{shape}, {values} to predict; always answering the mean is off by {error:.4g} (mae; r2 0)"


def _range(experiment: Experiment) -> str:
    """Between which values the inputs lie, where they are numbers in memory."""
    inputs = experiment.splits.train.inputs
    if isinstance(inputs, Stream) or experiment.dataset.kind == "text" or not inputs.size:
        return ""
    return f", {inputs.min():.4g} to {inputs.max():.4g}"


def _training(experiment: Experiment) -> str:
    spec = experiment.spec
    words = [_phrase(spec, "optimizer", spec.optimizer), f"lr {spec.lr:g}"]
    if spec.schedule.name != "constant":
        words.append(_phrase(spec, "schedule", spec.schedule))
    words.append(f"batch {experiment.batch_size:,}")
    each = f"{experiment.steps_per_epoch:,} step{'s' * (experiment.steps_per_epoch != 1)}"
    words.append(
        f"{spec.steps:,} steps" if spec.steps else f"{spec.epochs:,} epoch{'s' * (spec.epochs != 1)} of {each}"
    )
    if rule := spec.regularization:
        words += [f"{name} {strength:g}" for name, strength in (("l1", rule.l1), ("l2", rule.l2)) if strength]
    if spec.precision != "float32":
        words.append(spec.precision)
    if spec.early_stop:
        words.append(f"stops after {spec.early_stop.patience} epochs without a better {experiment.monitor}")
    words += [f"stops at {name} {number:g}" for name, number in (spec.stop_at or {}).items()]
    words += ["keeps the last weights"] if spec.keep == "last" else []
    words += [f"a row every {spec.log_every:,} steps"] if spec.log_every else []
    return ", ".join(words)


def remind(run: Run, root: Path, error: bool = False) -> None:
    """Say that a run of the same spec can continue, and what to type for it."""
    rows, epochs = run.history(), run.info()["settings"].get("epochs")
    how = f"after epoch {rows[-1].get('epoch')}{f' of {epochs}' if epochs else ''}" if rows else "in its first epoch"
    ended = {"crashed": "crashed", "away": "trains at another place"}.get(run.status, "was interrupted")
    out = terminal.console(error)
    out.print(terminal.clean(f"{run.name} has these settings and {ended} {how}; it continues with:"))
    out.print(terminal.clean(f"  {command_line('dlx', 'resume', run.name, runs_dir=root)}"))
    out.print("this is another run of the same, from the beginning")


def repeats(run: Run, error: bool = False) -> None:
    """Say that an equal run is done, and what came of it."""
    metrics, monitor = run.metrics() or {}, str(run.info().get("monitor", ""))
    figure = f": {monitor} {figure_text(monitor, metrics[monitor])}" if isinstance(metrics.get(monitor), float) else ""
    words = f"{run.name} has these settings and is done{figure}; this is the same once more (--repeat changes the seed)"
    for line in terminal.wrapped(words):
        terminal.console(error).print(line)


# Progress


class RunScreen(Observer):
    """Shows the progress of a training, and its result. With `json` all of it goes to standard error."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._bar: TrainingBar | None = None
        self._advised: set[str] = set()

    def started(self, run: Run, experiment: Experiment, device: str, network: Network) -> None:
        from dlx.model.network import parameter_count

        layer, loss = network.head
        pairs = [
            ("output", f"{layer}; loss {loss}"),
            ("device", f"{device}; {parameter_count(network):,} parameters"),
            ("run", str(run.path)),
        ]
        terminal.fields(pairs, error=self._json, least=COLUMN)
        try:
            self._advise(experiment, network)
        except Exception as error:  # a training is worth more than advice on it
            run.log(f"no advice: {type(error).__name__}: {error}")
        self._bar = TrainingBar(experiment, run.history()).open()

    def _advise(self, experiment: Experiment, network: Network) -> None:
        """Three lines of advice at most, each said once by this command."""
        from dlx.insight.advice import advise, known

        given = list(advise(experiment.spec, known(experiment.facts, network, experiment)))
        lines = [f"{one.where}: {one.message}; {one.change}" for one in given]
        new = [line for line in lines if line not in self._advised]
        self._advised.update(lines)
        pairs = [("" if number else "advice", line) for number, line in enumerate(new[:MOST_ADVICE])]
        if len(new) > MOST_ADVICE:
            pairs[-1] = ("", f"{len(new) - MOST_ADVICE + 1} more: dlx check says all")
        terminal.fields(pairs, error=self._json, least=COLUMN, style=terminal.DOUBT)

    def noted(self, line: str) -> None:
        terminal.console(error=self._json).print(terminal.clean(line))

    def progressed(self, experiment: Experiment, progress: Progress) -> None:
        if self._bar is not None:
            self._bar.progressed(progress)

    def ended(self, experiment: Experiment, outcome: Outcome) -> None:
        if self._bar is not None:
            self._bar.close()
        show_result(experiment, outcome, self._json)


# The result


def show_result(experiment: Experiment, outcome: Outcome, error: bool = False) -> None:
    """How the run ended, and what to type next."""
    if outcome.error is not None:
        _show_failure(experiment, outcome)
    elif outcome.status == "interrupted":
        _show_stop(outcome, error)
    else:
        _show_figures(experiment, outcome, error)


def _resume(run: Run) -> str:
    return terminal.clean(command_line("dlx", "resume", run.name, runs_dir=run.path.parent))


def _show_failure(experiment: Experiment, outcome: Outcome) -> None:
    run = outcome.run
    resumable = bool(checkpoints.numbers(run.checkpoints)) and not isinstance(outcome.error, DivergenceError)
    out = terminal.console(error=True)
    if outcome.metrics:  # all was computed, and not all could be written
        _table(outcome.metrics, experiment, True)
    out.print(terminal.clean_lines(f"failed: {outcome.error}"))
    more = f"; {_resume(run)} continues from its checkpoint" if resumable else ""
    out.print(f"history and log are in {terminal.clean(str(run.path))}{more}")
    if isinstance(outcome.error, DivergenceError):
        remark_screen.after(run, experiment, run.path.parent, True, COLUMN)


def _show_stop(outcome: Outcome, error: bool) -> None:
    run = outcome.run
    rows = run.history()
    keep = run.info()["settings"].get("keep", "best")
    kept = f"the {keep} weights so far and the history are" if run.model_file.is_file() else "the history is"
    terminal.console(error).print(
        f"interrupted; {kept if rows else 'its checkpoint is'} in {terminal.clean(str(run.path))}"
    )
    how = f"by {outcome.stop}, " + (f"after epoch {rows[-1]['epoch']:,}" if rows else "in its first epoch")
    terminal.fields([("stopped", how), ("next", f"{_resume(run)} continues there")], error, least=COLUMN)


def _show_figures(experiment: Experiment, outcome: Outcome, error: bool) -> None:
    out, run, metrics = terminal.console(error), outcome.run, outcome.metrics
    rate = f"{metrics['examples_per_second']:,.0f} examples/s once compiled"
    doubt = no_better(experiment, metrics)
    out.print(
        f"done in {duration(metrics['total_seconds'])} (training {duration(metrics['train_seconds'])}, {rate})",
        style=f"bold {terminal.DOUBT if doubt else terminal.BETTER}",
    )
    if doubt:
        out.print(doubt, style=terminal.DOUBT)
    if metrics["epochs"] < experiment.epochs:
        out.print(
            f"stopped after epoch {metrics['epochs']:,} of {experiment.epochs:,}: {_why_stopped(run, experiment)}"
        )
    _table(metrics, experiment, error)
    if experiment.facts.task == "regression":
        out.print(_of_the_mean(experiment))
    classes = experiment.facts.classes
    of_one = [name for name in OF_TWO_CLASSES if f"test_{name}" in metrics and len(classes) == 2]
    if of_one:
        out.print(terminal.clean(f"{', '.join(of_one)}: of the class {classes[1]}"))
    history = run.history()
    for name, number in (experiment.spec.stop_at or {}).items():
        if metrics["epochs"] == experiment.epochs and history and not reached(name, history[-1].get(name), number):
            out.print(f"{name} {_written(name, history[-1][name])} did not reach {_written(name, number)}")
    for place, line in enumerate(outcome.examples):
        out.print(terminal.clean(f"{'' if place else 'predicted':{COLUMN}}{line}"))
    root = run.path.parent
    remark_screen.after(run, experiment, root, error, COLUMN)
    example = EXAMPLES.get(experiment.dataset.kind, "ARRAY.npy")
    if experiment.dataset.reading is not None:
        example = "--random=3"
    steps = [
        ("next", compare_all(root)),
        ("", command_line("dlx", "predict", run.name, example, runs_dir=root)),
        ("", command_line("dlx", "tensorboard", runs_dir=root)),
    ]
    out.print()
    terminal.fields(steps, error, least=COLUMN, style=terminal.SECONDARY)


def no_better(experiment: Experiment, metrics: Mapping[str, Any]) -> str:
    """In words, that the model is no better than guessing the most frequent class, or than the mean; else nothing.

    Of 100 examples or more, a share counts as better only beyond what chance gives one guesser in twenty.
    """
    splits, task = experiment.splits, experiment.facts.task
    split, judged = next(
        (n, s) for n, s in (("test", splits.test), ("val", splits.validation), ("train", splits.train)) if s
    )
    if task == "regression":
        mae, mean = metrics.get(f"{split}_mae"), mean_error(splits.train, judged)
        worse = mae is not None and mae >= mean
        return f"no better than always answering the mean of train (mae {mean:.4g})" if worse else ""
    accuracy = metrics.get(f"{split}_accuracy")
    if task != "classification" or accuracy is None or (metrics.get(f"{split}_auc") or 0.0) > ORDERS:
        return ""
    guess, count = majority_share(judged, len(experiment.facts.classes)), judged.targets.size
    chance = 1.64 * (guess * (1 - guess) / count) ** 0.5 if count >= 100 else 0.0
    return (
        f"no better than guessing the most frequent class ({100 * guess:.1f} %)" if accuracy <= guess + chance else ""
    )


def _of_the_mean(experiment: Experiment) -> str:
    """What a regression is to be better than, on the examples that it is judged by."""
    splits = experiment.splits
    name, judged = ("test", splits.test) if splits.test is not None else ("validation", splits.validation)
    if judged is None:
        name, judged = "train", splits.train
    return f"to compare: always answering the mean of train has mae {mean_error(splits.train, judged):.4g} on {name}"


def _why_stopped(run: Run, experiment: Experiment) -> str:
    """What ended a training before its last epoch."""
    last, goal = run.history()[-1], experiment.spec.stop_at or {}
    if goal and all(reached(name, last.get(name), number) for name, number in goal.items()):
        return ", ".join(
            f"{name} {_written(name, last[name])} reached {_written(name, number)}" for name, number in goal.items()
        )
    return f"no better {experiment.monitor}"


def _table(metrics: dict[str, Any], experiment: Experiment, error: bool) -> None:
    """A row a split, a column a figure."""
    figures = [key for key in metrics if is_figure(key)]
    names = list(dict.fromkeys(key.partition("_")[2] for key in figures if not key.startswith("last_")))
    rows, sizes = _rows(metrics, experiment), experiment.splits.sizes()
    counted = [f"{sizes.get(label.partition('=')[0], 0):,}" for _, label, _ in rows]
    columns = [("", [label for _, label, _ in rows]), ("n", counted)]
    for name in names:
        columns.append((name, [_written(name, metrics.get(f"{split}_{name}")) for split, _, _ in rows]))
    columns.append(("", [remark for _, _, remark in rows]))
    answer = max((n for n, (split, _, _) in enumerate(rows) if split in ("val", "test")), default=len(rows) - 1)
    terminal.table(columns, [False, True, *(True for _ in names), False], error=error, answer=answer)


def _rows(metrics: dict[str, Any], experiment: Experiment) -> list[tuple[str, str, str]]:
    """(what its figures begin with, what it is called, of which weights they are) of each split that has figures."""
    epochs, best, twins = metrics["epochs"], metrics["best_epoch"], experiment.splits.test_is_validation
    keeps_last = experiment.spec.keep == "last"
    kept = f"last weights, epoch {epochs}" if keeps_last else f"best weights, epoch {best}"
    kept = kept if epochs else "before the training"
    validation = "test=validation" if twins else "validation"
    rows = [("train", "train", _of_train(metrics, keeps_last))] if epochs else []
    rows += [("val", validation, kept)] if "val_loss" in metrics and not twins else []
    rows += [("test", "test=validation" if twins else "test", kept)] if "test_loss" in metrics else []
    if "last_val_loss" in metrics and best != epochs and not keeps_last:
        rows.append(("last_val", validation, f"last weights, epoch {epochs}"))
    return rows


def _of_train(metrics: dict[str, Any], keeps_last: bool) -> str:
    """What train's figures are, and where no other split says it, which weights the run keeps."""
    judged = "val_loss" in metrics or "test_loss" in metrics
    return "mean over the last epoch" + (
        "" if judged or keeps_last else f"; the model keeps epoch {metrics['best_epoch']}"
    )


def _written(name: str, value: Any) -> str:
    return "–" if value is None else figure_text(name, float(value))
