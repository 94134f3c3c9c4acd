"""What a training does beside its network, in a script: loss, metrics, schedule, callbacks."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlx.engine.plan import Plan
from dlx.export.eject.code import call, literal
from dlx.model.network import Network
from dlx.parts.losses import HEADS
from dlx.parts.metrics import metric_name
from dlx.parts.registry import Part
from dlx.runs.metrics import maximized
from dlx.spec.sections import Spec

CROSSENTROPIES = ("categorical_crossentropy", "sparse_categorical_crossentropy")
VALUES = {
    "mean_squared_error": "MeanSquaredError", "mean_absolute_error": "MeanAbsoluteError", "huber": "Huber",
    "log_cosh": "LogCosh", "binary_crossentropy": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
}  # fmt: skip
ERRORS = {"mae": "MeanAbsoluteError", "mse": "MeanSquaredError", "rmse": "RootMeanSquaredError"}
STOP_AT = '''
class StopAt(keras.callbacks.Callback):
    """Ends the training once these figures are as good as that."""

    def on_epoch_end(self, epoch, logs=None):
        if {conditions}:
            self.model.stop_training = True
'''
STOP_AFTER = '''
class StopAfter(keras.callbacks.Callback):
    """Ends the training after so many steps, which may be in the middle of an epoch."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.model.stop_training = True
'''
STEPS = '''
class Steps(keras.callbacks.Callback):
    """Writes the mean loss of {every_words} to a file."""

    def __init__(self, path):
        super().__init__()
        self.file, self.step, self.losses = open(path, "w"), 0, []
        print("step,loss", file=self.file)

    def on_epoch_begin(self, epoch, logs=None):
        self.total = 0.0  # Keras's figures are means since the epoch began: the sum tells one step from the next

    def on_train_batch_end(self, batch, logs=None):
        seen = min((batch + 1) * BATCH_SIZE, len(x_train))
        total = float(logs["loss"]) * seen
        self.losses.append((total - self.total, min(BATCH_SIZE, seen - batch * BATCH_SIZE)))
        self.total, self.step = total, self.step + 1
        if self.step % {every} == 0:
            loss, examples = map(sum, zip(*self.losses))
            print(f"{{self.step}},{{loss / examples}}", file=self.file, flush=True)
            self.losses = []

    def on_train_end(self, logs=None):
        self.file.close()
'''
SCHEDULE = '''
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each step, by the share of the training that is done."""

    def __init__(self):
        self.factor = {factor}

    def __call__(self, step):
        return LEARNING_RATE * self.factor(keras.ops.cast(step, "float32") / STEPS)

    def get_config(self):
        return {{}}
'''


@dataclass
class Targets:
    """What the loss wants of labels, and what the network gives it.

    raw: the loss is computed from logits; one_hot: labels become a row of 0 and 1; column: they become a column.
    """

    raw: bool
    one_hot: bool = False
    column: bool = False


@dataclass
class Callbacks:
    """The definitions that callbacks need, how they are made, and what is not as in the run."""

    definitions: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def loss(spec: Spec, network: Network, mixes: bool) -> tuple[str, Targets]:
    """(the loss as Keras's class makes it, what it wants of the targets); mixes: labels are shared between examples."""
    name, head = network.head[1], network.head[0].rpartition(", ")[2]
    args = dict(spec.loss.args) if isinstance(spec.loss, Part) else {}
    integer, units = network.classes, network.units
    if name == "binary_crossentropy" and head == "softmax" and units == 2:
        name = CROSSENTROPIES[0]
    raw = name in HEADS and (HEADS[name][0] == head or "focal" in name)
    named = {key: literal(value) for key, value in args.items() if value}
    if name in CROSSENTROPIES:
        named = {"from_logits": literal(raw), **named}
        kind = "CategoricalCrossentropy" if named.get("label_smoothing") or mixes else "SparseCategoricalCrossentropy"
        return call(f"keras.losses.{kind}", [], named), Targets(raw, one_hot=not kind.startswith("Sparse"))
    if raw:
        named["from_logits"] = "True"
    targets = Targets(raw, one_hot=integer and units > 1, column=integer and units == 1)
    return call(f"keras.losses.{VALUES[name]}", [], named), targets


def metrics(parts: list[Part], network: Network, targets: Targets) -> tuple[dict[str, str], list[str]]:
    """(by its name how each metric is made, remarks on those that a script has not)."""
    made, left_out = dict[str, str](), list[str]()
    several = network.classes and network.units > 1
    sparse = "Sparse" if several and not targets.one_hot else ""
    for part in parts:
        name = metric_name(part)
        if part.name == "accuracy" and several:
            kind, more = f"{sparse}CategoricalAccuracy", {}
        elif part.name == "accuracy":
            # A logit of 0 is a probability of one half.
            kind, more = "BinaryAccuracy", {"threshold": "0.0"} if targets.raw else {}
        elif part.name == "top_k":
            kind, more = f"{sparse}TopKCategoricalAccuracy", {"k": literal(part.args["k"])}
        elif part.name in ERRORS:
            kind, more = ERRORS[part.name], {}
        else:
            if part.name == "exact_match":
                made[name] = name
            else:
                left_out.append(f"The run counts {name} in a way of its own: left out here; scikit-learn has it.")
            continue
        made[name] = call(f"keras.metrics.{kind}", [], {"name": literal(name), **more})
    return made, left_out


def exact_match(targets: Targets) -> list[str]:
    """The metric of that name, where labels are right together or not at all."""
    border = "0.0" if targets.raw else "0.5"
    return [
        "",
        "",
        "def exact_match(labels, outputs):",
        '    """Whether every label of an example is right."""',
        f"    right = (outputs > {border}) == (labels > 0.5)",
        '    return keras.ops.cast(keras.ops.all(right, axis=-1), "float32")',
        "",
    ]


def callbacks(spec: Spec, plan: Plan, known: list[str], stem: str) -> Callbacks:
    """The callbacks of a plan. known: the metrics that the script has; stem: of the files that it writes."""
    found = Callbacks()
    monitor, mode = _keras_name(plan.monitor, known), literal("max" if plan.maximize else "min")
    if monitor is None:
        monitor, mode = ("val_loss" if plan.monitor.startswith("val") else "loss"), '"min"'
        found.remarks.append(f"The run is judged by {plan.monitor}, the script by {monitor}.")
    watch = {"monitor": literal(monitor), "mode": mode}
    found.made.append(call("keras.callbacks.CSVLogger", [literal(f"{stem}.csv")]))
    if plan.log_every:
        words = "each step" if plan.log_every == 1 else f"every {plan.log_every} steps"
        found.definitions.append(STEPS.format(every=plan.log_every, every_words=words))
        found.made.append(f'Steps("{stem}.steps.csv")')
    if spec.keep == "best":
        kept = {"save_best_only": "True", "save_weights_only": "True"}
        found.made.append(call("keras.callbacks.ModelCheckpoint", [literal(f"{stem}.weights.h5")], watch | kept))
    if plan.plateau is not None:
        one = plan.plateau
        names = {name: literal(getattr(one, name)) for name in ("factor", "patience", "min_delta", "min_lr")}
        found.made.append(call("keras.callbacks.ReduceLROnPlateau", [], watch | names))
    if plan.patience is not None:
        names = {"patience": literal(plan.patience), "min_delta": literal(plan.min_delta)}
        found.made.append(call("keras.callbacks.EarlyStopping", [], watch | names))
    if plan.stop_at:
        _stop_at(plan, known, found)
    if plan.steps % plan.steps_per_epoch:
        found.definitions.append(STOP_AFTER)
        found.made.append("StopAfter(STEPS)")
    return found


def _stop_at(plan: Plan, known: list[str], found: Callbacks) -> None:
    names = {column: _keras_name(column, known) for column in plan.stop_at}
    if None in names.values():
        found.remarks.append(f"The run stops at {', '.join(plan.stop_at)}: the script has no such figure, and goes on.")
        return
    conditions = [
        f'logs["{names[column]}"] {">=" if maximized(column) else "<="} {literal(number)}'
        for column, number in plan.stop_at.items()
    ]
    found.definitions.append(STOP_AT.format(conditions=" and ".join(conditions)))
    found.made.append("StopAt()")


def _keras_name(column: str, known: list[str]) -> str | None:
    """What Keras calls a column of a history; None where the script has it not."""
    split, _, figure = column.partition("_")
    if figure not in ("loss", *known):
        return None
    return f"val_{figure}" if split == "val" else figure
