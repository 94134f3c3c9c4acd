"""The script of a run: its sections, one after another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from dlx.engine.plan import seed_of
from dlx.errors import DlxError
from dlx.export.eject import body, code, learning, sources
from dlx.export.eject.data import SPLITS, Data, data
from dlx.export.eject.learning import Targets
from dlx.export.eject.subject import Script, Subject
from dlx.model.head import metric_parts
from dlx.parts import schedules
from dlx.parts.augment import Mix
from dlx.parts.registry import Part, Registry

MARK = "Written by `dlx eject`"
KERAS = {"tensorflow": "TensorFlow", "jax": "JAX"}
BATCHES = '''
class Batches(keras.utils.PyDataset):
    """The training examples in batches, in a new order each epoch{changed}.

    `fit` on arrays draws one order for all epochs once set_random_seed was called; so it is told not to shuffle.
    """

    def __init__(self):
        super().__init__()
        self.begin(0)

    def __len__(self):
        return math.ceil(len(x_train) / BATCH_SIZE)

    def __getitem__(self, number):
        rows = self.order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]
{batch}

    def begin(self, epoch):
        self.epoch, self.order = epoch, order(epoch)
'''
DRAWS = '''
class SameDraws(keras.callbacks.Callback):
    """Each layer draws at each step what it drew in the run: its state is the step plus a number of its own."""

    def on_train_begin(self, logs=None):
        self.step = 0
        weights = {id(weight) for weight in self.model.weights}
        self.states = [variable for variable in self.model.variables if id(variable) not in weights]

    def on_train_batch_begin(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        for state, number in zip(self.states, DRAWS, strict=True):
            state.assign([(self.step + number) % 2**32, 0])
        self.step += 1
'''


def write(subject: Subject, stem: str) -> tuple[str, dict[str, np.ndarray]]:
    """(the script of an experiment, the arrays that it reads from `stem`.npz beside it).

    Raises DataError and TrainingError for what no script can say.
    """
    if subject.spec.imports:
        raise DlxError("its spec imports own code, which needs dlx", hint="eject a run of dlx's own parts alone")
    script = Script(subject, stem)
    loss, targets = learning.loss(subject.spec, subject.network, _mixes(subject))
    _data(script, targets)
    _augmentation(script)
    _batches(script)
    ends = body.section(script, targets)
    _training(script, loss, targets)
    _after(script, ends)
    return code.tidy([*_head(script), *script.lines]), script.arrays


def _mixes(subject: Subject) -> bool:
    return any(isinstance(made, Mix) for made in subject.network.augment)


def _head(script: Script) -> Iterator[str]:
    subject, spec, plan = script.subject, script.subject.spec, script.subject.plan
    described, name = code.words(spec.description), code.words(subject.name)
    yield '"""' + (f"{spec.name}: {described}" if described else spec.name)
    yield ""
    yield f"The experiment of the run {name} as a plain script of Keras {subject.keras} on {KERAS[subject.backend]}."
    if script.arrays:
        yield f"It reads {script.stem}.npz, which lies beside it."
    if subject.same_start:
        yield "It begins as the run began: the same weights, the same order of examples, the same random draws."
    else:
        yield "Its first weights and its order of examples are its own, so that figures differ a little from the run's."
    yield f"{MARK}."
    if script.remarks:
        yield ""
        yield "Not as in the run:"
        yield from (f"- {remark}" for remark in script.remarks)
    yield '"""'
    yield ""
    yield "import os"
    yield ""
    yield f'os.environ.setdefault("KERAS_BACKEND", "{subject.backend}")  # before Keras is imported'
    yield ""
    script.imports |= {"from pathlib import Path"} if script.arrays else set()
    standard = sorted(line for line in script.imports if line in ("import math", "from pathlib import Path"))
    yield from [*standard, ""] if standard else []
    yield from sorted(script.imports - set(standard), key=lambda line: (line.startswith("from"), line))
    yield ""
    yield f"SEED = {spec.seed}"
    yield f"EPOCHS = {-(-plan.steps // plan.steps_per_epoch)}"
    yield f"BATCH_SIZE = {plan.batch_size}"
    yield f"LEARNING_RATE = {code.literal(spec.lr)}"
    if "STEPS" in "\n".join(script.lines):
        yield f"STEPS = {plan.steps}  # of the whole training"
    yield ""
    yield "keras.utils.set_random_seed(SEED)"
    if spec.precision != "float32":
        yield f'keras.config.set_dtype_policy("{spec.precision}")  # multiply in 16 bits, keep weights in 32'
    if script.arrays:
        yield f'beside = np.load(Path(__file__).with_name("{script.stem}.npz"))'


def _data(script: Script, targets: Targets) -> None:
    """The splits as the network and the loss take them."""
    subject = script.subject
    script.section("The data")
    made = data(subject.spec, subject.dataset, subject.splits)
    script.lines += made.lines
    script.imports |= set(made.imports)
    script.arrays |= made.arrays
    script.remarks += made.remarks
    names = [name for name in SPLITS if name in subject.splits.named()]
    script.lines += [*_inputs(subject, made, names), *_labels(subject, targets, names)]


def _inputs(subject: Subject, made: Data, names: Sequence[str]) -> Iterator[str]:
    """What makes float32 of inputs that are none, scaled where the spec's first preprocessing scales them."""
    dataset, inputs = subject.dataset, subject.splits.train.inputs
    if made.prepared or inputs.dtype.kind != "f":
        return
    if dataset.input_scaling is None:
        yield from (f'x_{name} = x_{name}.astype("float32")' for name in names)
        return
    axes = "" if dataset.input_scaling.mean.ndim == 0 else f"axis={tuple(range(inputs.ndim - 1))}"
    yield "# Scaled in 64 bits, by what the training split says alone."
    yield f"mean, deviation = x_train.mean({axes}), x_train.std({axes})"
    yield "deviation = np.where(deviation > 0, deviation, 1)"
    yield from (f'x_{name} = ((x_{name} - mean) / deviation).astype("float32")' for name in names)


def _labels(subject: Subject, targets: Targets, names: Sequence[str]) -> Iterator[str]:
    """What makes of labels what the loss wants."""
    if subject.plan.class_weights:
        yield f"CLASS_WEIGHT = np.array({code.literal(list(subject.plan.class_weights))}, 'float32')"
        yield "weight_train = CLASS_WEIGHT[y_train]"
    if targets.one_hot:
        count = subject.network.units
        yield from (f"y_{name} = keras.utils.to_categorical(y_{name}, {count})" for name in names)
    elif targets.column:
        yield from (f'y_{name} = y_{name}[..., None].astype("float32")' for name in names)
    elif subject.network.scales:
        yield "# The network learns targets of mean 0 and deviation 1; `answers` at the end puts them back."
        yield "y_mean, y_deviation = y_train.mean(axis=0), y_train.std(axis=0)"
        yield "y_deviation = np.where(y_deviation > 0, y_deviation, 1)"
        yield from (f'y_{name} = ((y_{name} - y_mean) / y_deviation).astype("float32")' for name in names)
    elif subject.dataset.task != "classification":
        yield from (f'y_{name} = y_{name}.astype("float32")' for name in names)


def _augmentation(script: Script) -> None:
    """The functions that change training images."""
    parts, subject = script.subject.spec.augment, script.subject
    if not parts:
        return
    script.section("Random changes of the training images")
    functions = [subject.spec.registries["augment"].find(part.name) for part in parts]
    for text in sources.of(functions):
        script.lines += [*text.replace("return Mix(apply)", "return apply").splitlines(), "", ""]
        if "math." in text:
            script.imports.add("import math")
    calls = [code.call(part.name, [], _said(part, subject.spec.registries["augment"])) for part in parts]
    script.lines.append("CHANGES = [" + ", ".join(calls) + "]")
    if subject.same_start:
        numbers = [seed_of(subject.plan.seed, f"augment {n}") for n in range(len(parts))]
        script.lines.append(f"CHANCE = {numbers}  # a number of its own for each: with the step it is the random state")
    script.lines.append("generators = [keras.random.SeedGenerator(SEED + number) for number in range(len(CHANGES))]")
    if _mixes(subject) and subject.network.head[1] not in learning.CROSSENTROPIES:
        script.remarks.append(
            "The run shares the loss of mixed images between their labels, the script mixes the labels."
        )


def _said(part: Part, registry: Registry) -> dict[str, str]:
    """The arguments of a part that differ from its defaults, as code."""
    known = registry.parameters(part.name)
    return {key: code.literal(value) for key, value in part.args.items() if value != known[key].default}


def _batches(script: Script) -> None:
    """The batches of an epoch."""
    subject = script.subject
    if _whole(subject):
        return
    script.section("Batches")
    script.imports.add("import math")
    if subject.same_start and subject.start.orders is not None:
        script.arrays["order"] = subject.start.orders
        more = f"  # of the first {len(subject.start.orders)} epochs; then others"
        script.lines.append(f'ORDERS = beside["order"]{more}')
    script.lines += ["", "def order(epoch):", '    """The rows in the order in which an epoch sees them."""']
    if "order" in script.arrays:
        script.lines += ["    if epoch < len(ORDERS):", "        return ORDERS[epoch]"]
    script.lines += ["    return np.random.default_rng([SEED, epoch]).permutation(len(x_train))", ""]
    changed = ", each image changed a little" if subject.spec.augment else ""
    script.lines += BATCHES.format(changed=changed, batch=code.indented("\n".join(_batch(subject)), 8)).splitlines()


def _whole(subject: Subject) -> bool:
    """Whether every step sees all examples as they are: then there is nothing to draw."""
    return subject.plan.steps_per_epoch == 1 and not subject.spec.augment


def _batch(subject: Subject) -> Iterator[str]:
    weight = ", weight_train[rows]" if subject.plan.class_weights and not _mixes(subject) else ""
    if not subject.spec.augment:
        yield f"return x_train[rows], y_train[rows]{weight}"
        return
    yield 'images, labels = keras.ops.convert_to_tensor(x_train[rows], "float32"), y_train[rows]'
    if subject.plan.class_weights and not weight:
        yield "labels = labels * weight_train[rows, None]  # a label's weight goes where its share goes"
    if subject.same_start:
        yield "step = self.epoch * len(self) + number"
        yield "for generator, chance in zip(generators, CHANCE, strict=True):"
        yield "    generator.state.assign([(step + chance) % 2**32, 0])"
    yield "for change, generator in zip(CHANGES, generators, strict=True):"
    if not _mixes(subject):
        yield "    images = change(images, generator)"
    else:
        yield "    changed = change(images, generator)"
        yield "    if isinstance(changed, tuple):  # two images in one: their labels are shared alike"
        yield "        images, partners, share = map(keras.ops.convert_to_numpy, changed)"
        yield "        share = share.reshape(-1, *[1] * (labels.ndim - 1))"
        yield "        labels = share * labels + (1 - share) * labels[partners]"
        yield "    else:"
        yield "        images = changed"
    yield f"return keras.ops.convert_to_numpy(images), labels{weight}"


def _training(script: Script, loss: str, targets: Targets) -> None:
    subject, spec, plan = script.subject, script.subject.spec, script.subject.plan
    script.section("The training")
    rate = "LEARNING_RATE"
    if plan.schedule is not None:
        for text in sources.of([getattr(schedules, spec.schedule.name)]):
            script.lines += [*text.splitlines(), "", ""]
            if "math." in text:
                script.imports.add("import math")
        made = code.call(spec.schedule.name, [], _said(spec.schedule, schedules.registry))
        script.lines += [*learning.SCHEDULE.format(factor=made).splitlines(), "", ""]
        rate = "Schedule()"
    metrics, left_out = learning.metrics(metric_parts(spec, subject.dataset.task), subject.network, targets)
    script.remarks += left_out
    if "exact_match" in metrics:
        script.lines += learning.exact_match(targets)
    found = learning.callbacks(spec, plan, list(metrics), script.stem)
    logits = subject.network.logits
    draws = len(logits.variables) - len(logits.weights)  # random states
    if subject.same_start and draws:
        numbers = [seed_of(plan.seed, f"layer {number}") for number in range(draws)]
        script.lines += [f"DRAWS = {numbers}", "", *DRAWS.splitlines(), ""]
        found.made.insert(0, "SameDraws()")
    script.remarks += found.remarks
    for text in found.definitions:
        script.lines += [*text.splitlines(), "", ""]
    compiled = {
        "optimizer": code.of_optimizer(subject.optimizer, rate),
        "loss": loss,
        "metrics": f"[{', '.join(metrics.values())}]",
    }
    if subject.backend == "tensorflow" and not subject.compiled:
        compiled["jit_compile"] = "False"  # as the run
    script.lines += code.call("model.compile", [], compiled).splitlines()
    script.lines += _fit(subject, found.made)


def _fit(subject: Subject, callbacks: Sequence[str]) -> list[str]:
    epochs = -(-subject.plan.steps // subject.plan.steps_per_epoch)
    held = subject.splits.validation is not None
    named = {
        "epochs": "EPOCHS",
        **({"validation_data": "(x_validation, y_validation)"} if held else {}),
        **({"validation_batch_size": str(max(subject.plan.batch_size, 128))} if held else {}),
        "callbacks": "callbacks",
        "verbose": "2" if epochs <= 200 else "0",
    }
    shown = ["callbacks = [", *(code.indented(f"{one},") for one in callbacks), "]"]
    if not _whole(subject):
        begin = "keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin(epoch)),"
        shown = ["batches = Batches()", shown[0], code.indented(begin), *shown[1:]]
        return [*shown, *code.call("history = model.fit", ["batches"], {"shuffle": "False", **named}).splitlines()]
    weights = {"sample_weight": "weight_train"} if subject.plan.class_weights else {}
    more = {"batch_size": "BATCH_SIZE", "shuffle": "False", **weights, **named}
    return [*shown, *code.call("history = model.fit", ["x_train", "y_train"], more).splitlines()]


def _after(script: Script, activation: str) -> None:
    """What follows the training: the best weights, the test split, answers."""
    subject, spec = script.subject, script.subject.spec
    script.section("What came of it")
    if spec.keep == "best":
        script.lines.append(f'model.load_weights("{script.stem}.weights.h5")  # of the best epoch')
    if subject.splits.test is not None:
        script.lines.append('print("test", model.evaluate(x_test, y_test, verbose=0, return_dict=True))')
    name = "test" if subject.splits.test is not None else "train"
    if subject.network.scales:
        script.lines += [
            "",
            "",
            "def answers(x):",
            '    """Values in the unit of the data."""',
            "    return model.predict(x, verbose=0) * y_deviation + y_mean",
            "",
        ]
    elif activation != "linear":
        made = f"layers.Activation({json.dumps(activation)})(model.outputs[0])"
        script.lines.append(f"probabilities = keras.Model(model.inputs, {made})")
        script.lines.append(f"print(probabilities.predict(x_{name}[:3], verbose=0))")
        script.lines.append(f'probabilities.save("{script.stem}.keras")')
        return
    call = "answers" if subject.network.scales else "model.predict"
    script.lines += ["", f"print({call}(x_{name}[:3]))", f'model.save("{script.stem}.keras")']
