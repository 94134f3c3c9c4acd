"""From parts to a keras.Model: raw inputs in, probabilities or values out, preprocessing inside."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dlx import spec as specs
from dlx.data.dataset import Facts
from dlx.errors import DlxError, RunError, SpecError, TrainingError
from dlx.model import weights_file as weights
from dlx.parts import REGISTRIES, losses
from dlx.parts import user_code as own
from dlx.parts.augment import Mix
from dlx.parts.registry import Part
from dlx.runs.run import Run
from dlx.spec import validate as checking
from dlx.spec.sections import Spec
from dlx.system import backend
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np

LARGE = 100_000_000
# First layers that take whole numbers as they are.
TOKENS = ("embedding", "reversible_embedding", "category_encoding")
layers, optimizers, preprocess = REGISTRIES["layer"], REGISTRIES["optimizer"], REGISTRIES["preprocess"]


@dataclass(frozen=True, eq=False)
class Network:
    """What the engine trains.

    model: raw inputs to predictions (probabilities, or values); logits: the same up to the last activation.
    loss: `(targets, logits, activation) -> losses`; metrics: makes fresh Keras metrics.
    activation: logits to predictions; scaler: the layer that puts scaled targets back, if there is one.
    """

    model: Any
    logits: Any
    activation: Any
    loss: Callable[[Any, Any, Any], Any]
    metrics: Callable[[], list[Any]]
    preprocess: Sequence[Any]
    augment: Sequence[Callable[[Any, Any], Any]]
    units: int
    classes: bool
    scaler: Any = None
    applied: Sequence[tuple[Part, Any]] = ()


def build(
    spec: Spec,
    facts: Facts,
    restored: bool = False,
    scaled: bool = True,
    measure: bool = True,
    held: int | None = None,
) -> Network:
    """The network of a spec for inputs and targets as in `facts`. Loads Keras.

    `restored` says that weights will be loaded into it: no pretrained ones are fetched. `scaled: False` is for runs
    of before there were scaled targets. `held`: the bytes of the file that the weights are in, where there is one.

    Raises TrainingError where its weights alone do not fit into memory, and SpecError, located at the layer, where one
    cannot follow another or the head does not fit the task.
    """
    own.install(spec.imports)
    if measure and _may_be_large(spec, facts):
        _check_size(spec, facts, scaled, held)
    builder = _Builder(spec, facts, restored, scaled)
    tokens = facts.integer and bool(spec.layers) and spec.layers[0].name in TOKENS
    inputs = keras.Input(facts.shape, dtype="int32" if tokens else "float32", name="input")
    x, fitted = inputs, []
    for part in spec.preprocess:
        made = preprocess.make(part)
        x = builder.apply(part, made.layer, x)
        fitted.append(made)
    for part in spec.layers[:-1]:
        x = builder.apply(part, builder.make(part), x)
    logits, activation = builder.head(spec.layers[-1], x)
    loss, scaler = builder.loss(activation), None
    if builder.scales(activation):
        scaler = keras.layers.Normalization(axis=-1, invert=True, dtype="float32", name="predictions")
        predictions, loss = scaler(logits), _scaled(loss, scaler)
    else:
        predictions = keras.layers.Activation(activation, dtype="float32", name="predictions")(logits)
    units = int(logits.shape[-1])
    try:
        whole = keras.Model(inputs, predictions, name=_identifier(spec.name))
        body = keras.Model(inputs, logits, name="logits")
    except (
        ValueError,
        RecursionError,
    ) as error:  # a name given twice: inside repeat, or one that a layer without a name has got
        hint = "give each layer another name; one inside repeat needs none, and input and predictions are taken"
        raise builder.problem("layers", sentence(error), hint) from error
    return Network(
        whole,
        body,
        scaler or keras.activations.get(activation),
        loss,
        builder.metrics(units),
        fitted,
        builder.augmentations(),
        units,
        facts.task == "classification",
        scaler,
        builder.applied,
    )


def _may_be_large(spec: Spec, facts: Facts) -> bool:
    """Whether the largest number that the layers name, times itself or the size of an input, is a hundred million."""
    named = max((abs(value) for part in checking.below(spec.layers) for value in _wholes(part.args)), default=1)
    return named * max(named, math.prod(facts.shape)) >= LARGE


def _wholes(value: Any) -> Iterator[int]:
    """Every whole number in the arguments of a part."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _wholes(item)


def _check_size(spec: Spec, facts: Facts, scaled: bool, held: int | None) -> None:
    """Count the weights of a network without making them.

    Raises TrainingError where they do not fit into memory, or cannot be in a file of `held` bytes.
    """
    free = backend.free_memory()
    if free is None and held is None:
        return
    try:
        with keras.StatelessScope(initialize_variables=False):
            count = build(spec, facts, True, scaled, measure=False).model.count_params()
    except Exception:  # what is wrong with it, the building in earnest will tell
        count = 0
    backend.prepare(spec.seed, spec.precision)  # names and seeds begin anew
    if held is not None and 2 * count > held:  # a weight takes two bytes at least
        message = f"the network has {count:,} parameters, which a model.keras of {held:,} bytes does not hold"
        raise TrainingError(message, where=spec.locate("layers"))
    if free is not None and 4 * count > free:
        message = f"the network has {count:,} parameters, {4 * count / 1e9:,.0f} GB, but {free / 1e9:.0f} GB are free"
        raise TrainingError(message, where=spec.locate("layers"), hint="a smaller layer, or a smaller input to it")


def probe(network: Network, spec: Spec) -> None:
    """Compute one blank example: what symbolic shapes let pass is found here, at its layer. Raises SpecError."""
    inputs = network.model.inputs[0]
    blank = keras.ops.zeros((1, *inputs.shape[1:]), inputs.dtype)
    try:
        network.model(blank, training=False)
    except Exception as error:  # whatever the backend raises
        for part, tensor in network.applied:
            try:
                keras.Model(network.model.inputs, tensor)(blank, training=False)
            except Exception as first:
                message = f"cannot be computed ({sentence(first)})"
                raise SpecError([DlxError(message, where=spec.locate(part.where))]) from first
        message = f"the network cannot be computed ({sentence(error)})"
        raise SpecError([DlxError(message, where=spec.locate("layers"))]) from error


def restore(run: Run) -> tuple[Network, dict[str, Any]]:
    """(the network of a run with its trained weights, run.json).

    It is rebuilt from the run's own spec and takes only arrays from the file: nothing is unpickled and no code is
    deserialised. Raises RunError when there is no trained model in the run.
    """
    info = run.info()
    if not run.model_file.is_file():
        raise RunError(f"has no trained model: it is {run.status}", where=str(run.path))
    try:
        _unchanged(run, info)
        spec = specs.load(run.spec_file, alone=True, bare=True)
        facts = _facts(info)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"run.json lacks what prediction needs ({error!r})", where=str(run.path)) from error
    except SpecError as error:
        if info.get("code") and not own.allowed():
            message = f"its network has layers of its own, from {', '.join(sorted(info['code']))}"
            hint = "read the code first; --allow-code (or DLX_ALLOW_CODE=1) lets it run"
            raise RunError(message, where=str(run.path), hint=hint) from error
        raise RunError(f"its spec is not valid: {error.problems[0]}", where=str(run.path)) from error
    backend.prepare(spec.seed, spec.precision)
    held = run.model_file.stat().st_size
    network = build(spec, facts, restored=True, scaled=bool(info.get("scaled")), held=held)
    weights.load(network.model, run.path, run.model_file.name)
    if network.scaler is not None:
        network.scaler.finalize_state()
    return network, info


def _unchanged(run: Run, info: Mapping[str, Any]) -> None:
    """Raise RunError when a file of the run's own code is not the one that it was trained with."""
    for name, digest in dict(info.get("code") or {}).items() if own.allowed() else ():
        if not (run.code / name).is_file() or own.hash_of(run.code / name) != digest:
            raise RunError(f"code/{name} is not the code that this run was trained with", where=str(run.path))


def _facts(info: Mapping[str, Any]) -> Facts:
    """What a run says of its data; raises KeyError, TypeError or ValueError where it does not."""
    shape, task = tuple(int(extent) for extent in info["input"]["shape"]), info["task"]
    if min(shape, default=0) < 1 or task not in ("classification", "regression", "multi_label"):
        raise ValueError(f"shape {shape}, task {task!r}")
    classes, targets = tuple(str(name) for name in info["classes"]), int(info.get("targets", 1))
    tokens = str(info["input"].get("dtype", "")) in ("int32", "int64")
    return Facts(shape, task, classes, targets, tokens, int(info.get("steps", 0)))


def weights_of(network: Network) -> dict[str, list[np.ndarray]]:
    """The arrays of every layer that has some, by the layer's name."""
    return {layer.name: layer.get_weights() for layer in network.model.layers if layer.weights}


def start_from(network: Network, donated: Mapping[str, list[np.ndarray]]) -> tuple[list[str], list[str]]:
    """Put another network's arrays into the layers of the same name and shapes.

    Returns (the layers that got them, the layers that stay as they are, each with the reason).
    """
    matched, fresh = [], []
    for layer in network.model.layers:
        if not layer.weights or any(layer is made.layer for made in network.preprocess) or layer is network.scaler:
            continue  # what the train split decides is none of another run's
        own, given = [tuple(weight.shape) for weight in layer.weights], donated.get(layer.name)
        if given is None:
            fresh.append(f"{layer.name} (no layer of that name there)")
        elif [array.shape for array in given] != own:
            fresh.append(f"{layer.name} ({_largest(given)} there, {_largest(layer.weights)} here)")
        else:
            layer.set_weights(given)
            matched.append(layer.name)
    return matched, fresh


def _largest(arrays: Sequence[Any]) -> str:
    """The shape of the largest array, for a remark."""
    return " × ".join(map(str, max((tuple(array.shape) for array in arrays), key=math.prod, default=())))


def _scaled(loss: Callable[..., Any], scaler: Any) -> Callable[..., Any]:
    """`loss` of targets as the network sees them: of mean 0 and standard deviation 1 over the train split."""

    def scaled(targets: Any, logits: Any, activation: Any) -> Any:
        spread = keras.ops.sqrt(keras.ops.cast(scaler.adapt_variance.value, "float32"))
        return loss((targets - scaler.adapt_mean.value) / spread, logits, lambda same: same)

    return scaled


def optimizer(spec: Spec) -> Any:
    """The optimizer of a spec, its learning rate a variable; scales the loss under mixed_float16."""
    try:
        made = optimizers.make(spec.optimizer, _learning_rate=spec.lr)
    except Exception as error:  # Keras checks what a signature cannot say, nesterov without momentum for one
        raise SpecError([DlxError(sentence(error), where=spec.locate(f"optimizer.{spec.optimizer.name}"))]) from error
    return keras.optimizers.LossScaleOptimizer(made) if spec.precision == "mixed_float16" else made


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in name)


class _Builder:
    def __init__(self, spec: Spec, facts: Facts, restored: bool, scaled: bool) -> None:
        self.spec, self.facts, self.restored, self.scaled = spec, facts, restored, scaled
        self.applied: list[tuple[Part, Any]] = []

    def problem(self, address: str, message: str, hint: str = "") -> SpecError:
        return SpecError([DlxError(message, where=self.spec.locate(address), hint=hint)])

    def make(self, part: Part, plain: bool = False) -> Any:
        """The layer of a part, with the spec's regularization laid under its own, unless it is left `plain`."""
        plain = plain or self.excluded(part)
        inner = {"_make": partial(self.make, plain=plain), "_build": partial(self.stack, plain=plain)}
        try:
            return layers.make(part if plain else self.regularized(part), **inner, _restored=self.restored)
        except DlxError:
            raise
        except Exception as error:  # Keras raises ValueError, TypeError and others for arguments that do not fit
            raise self.problem(part.where, sentence(error)) from error

    def stack(self, parts: Sequence[Part], plain: bool = False) -> Callable[[Any], Any]:
        """Several parts as one function."""
        made = [(part, self.make(part, plain)) for part in parts]

        def apply(x: Any) -> Any:
            for part, layer in made:
                x = self.apply(part, layer, x)
            return x

        return apply

    def apply(self, part: Part, layer: Any, x: Any) -> Any:
        before = tuple(x.shape[1:])
        if part.name.endswith(("_cell", "_cells")):
            raise self.problem(part.where, "is a cell, no layer", f"rnn: {{{part.name}: …}} is the layer of it")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # Keras remarks on masks that end at a layer
                y = layer(x)
            self.applied.append((part, y))
            return y
        except DlxError:
            raise
        except Exception as error:  # Keras raises ValueError, the backend what it likes
            if "OOM" in str(error) or isinstance(error, MemoryError):
                raise TrainingError(
                    "the weights of this layer do not fit into memory",
                    where=self.spec.locate(part.where),
                    hint="a smaller layer, or a smaller input to it",
                ) from error
            message = f"cannot follow: its input has the shape {before} ({sentence(error)})"
            raise self.problem(part.where, message, _shape_hint(part.name, before, str(error))) from error

    def excluded(self, part: Part) -> bool:
        """Whether the regularization leaves out a layer, and with it all that is inside."""
        rule = self.spec.regularization
        return rule is not None and bool({part.name, part.args.get("name")} & set(rule.excluded))

    def regularized(self, part: Part) -> Part:
        rule = self.spec.regularization
        if rule is None or not (rule.l1 or rule.l2):
            return part
        penalty = {key: value for key, value in (("l1", rule.l1), ("l2", rule.l2)) if value}
        known = layers.parameters(part.name)
        kinds = ("kernel", "recurrent", "embeddings", "depthwise", "pointwise")
        names = [f"{kind}_regularizer" for kind in kinds]
        added = {key: penalty for key in names if key in known and part.args.get(key) is None}
        return Part(part.name, {**part.args, **added}, part.where) if added else part

    def head(self, part: Part, x: Any) -> tuple[Any, str]:
        """(logits, the name of the activation behind them) of the last layer."""
        activation = part.args.get("activation")
        if part.name == "activation":
            logits = keras.layers.Activation("linear", dtype="float32")(x)
        else:
            if part.name == "output":
                part = self._output(part, x)
                activation = part.args["activation"]
            if part.name in ("output", "dense"):
                plain = Part(part.name, {**part.args, "activation": None}, part.where)
                layer = self.make(plain)
            else:
                layer, activation = self.make(part), "linear"
            each_step = part.name == "output" and len(x.shape) == 3
            x = self.apply(part, layer, x)
            if each_step and not self.facts.steps:  # the unit of each step is the target of that step
                x = keras.layers.Flatten()(x)
            logits = keras.layers.Activation("linear", dtype="float32")(x)
        activation = activation or "linear"
        self._fits(part, tuple(logits.shape[1:]), activation)
        return logits, activation

    def _output(self, part: Part, x: Any) -> Part:
        labels = self.facts.task == "multi_label"
        classes, steps = self.facts.task == "classification", self.facts.steps
        each_step = len(x.shape) == 3 and not classes and x.shape[1] == self.facts.targets
        if steps and (len(x.shape) != 3 or x.shape[1] != steps):
            raise self.problem(
                part.where,
                f"the data has a class for each of {steps} steps, but this input has the shape {tuple(x.shape[1:])}",
                "keep the steps: return_sequences: true in recurrent layers, padding: same in convolutions, no flatten",
            )
        if len(x.shape) != 2 and not each_step and not steps:
            raise self.problem(
                part.where,
                f"output expects one row an example, but its input has the shape {tuple(x.shape[1:])}",
                "put global_average_pooling1d or flatten before it; after a recurrent layer leave return_sequences out"
                if len(x.shape) == 3
                else "put flatten or global_average_pooling2d before it",
            )
        units, activation = part.args["units"], part.args["activation"]
        if each_step:
            units = 1
        elif units == "auto" and not classes:
            units = self.facts.targets
        elif units == "auto":
            count = len(self.facts.classes)
            units = 1 if activation == "sigmoid" and count == 2 else count
        if activation == "auto":
            activation = "sigmoid" if labels or (classes and units == 1) else "softmax" if classes else "linear"
        return Part(part.name, {**part.args, "units": units, "activation": activation}, part.where)

    def _fits(self, part: Part, shape: tuple[int, ...], activation: str) -> None:
        count = len(self.facts.classes)
        wanted = count if self.facts.task == "classification" else self.facts.targets
        noun = {"classification": "class", "regression": "target", "multi_label": "label"}[self.facts.task]
        what = f"{wanted} {noun}" + ("" if wanted == 1 else "es" if noun == "class" else "s")
        steps = (self.facts.steps,) if self.facts.steps else ()
        fits = shape == (*steps, wanted)
        fits = fits or (self.facts.task == "classification" and count == 2 and shape == (*steps, 1))
        if not fits:
            raise self.problem(
                part.where,
                f"the network ends in the shape {shape}, but the data has {what}: expected {(*steps, wanted)}",
                "end it with `output`, which fits itself to the data"
                + ("; flatten before it" if len(shape) > 1 else ""),
            )
        if self.facts.task == "classification" and activation not in ("softmax", "sigmoid"):
            raise self.problem(
                part.where,
                f"the network ends with the activation {activation}, but classes need probabilities",
                "expected softmax (or sigmoid for one unit); or end it with `output`",
            )
        if self.facts.task == "multi_label" and activation != "sigmoid":
            raise self.problem(
                part.where,
                f"the network ends with the activation {activation}, but each label is a question of its own",
                "expected sigmoid; or end it with `output`",
            )
        if activation == "softmax" and shape == (1,):
            raise self.problem(part.where, "softmax over one unit is always 1", "activation: sigmoid, or two units")

    def loss(self, activation: str) -> Callable[..., Any]:
        """The loss: what the spec says, or what the task and the head ask for."""
        part = self.spec.loss
        if not isinstance(part, Part):
            names = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}
            part = Part("mean_squared_error" if self.facts.task == "regression" else names[activation])
        needed = losses.HEADS.get(part.name, activation)
        if needed != activation:
            raise self.problem(
                "loss",
                f"{part.name} expects a head with {needed}, but the network ends with {activation}",
                "loss: auto fits the head",
            )
        function: Callable[..., Any] = REGISTRIES["loss"].make(part)
        return function

    def scales(self, activation: str) -> bool:
        """Whether the head learns scaled targets: `output` of a regression, unless it says otherwise."""
        head = self.spec.layers[-1]
        scaled = head.name == "output" and head.args.get("scale_targets") is not False
        return self.scaled and self.facts.task == "regression" and activation == "linear" and scaled

    def metrics(self, units: int) -> Callable[[], list[Any]]:
        """What makes fresh metrics; each is fed a made-up example once, to find what does not fit."""
        parts, registry = self.metric_parts(), REGISTRIES["metric"]
        made = [registry.make(part, _units=units, _task=self.facts.task) for part in parts]
        for part, metric in zip(parts, made, strict=True):
            try:
                losses.update(metric, *losses.example(self.facts.task == "classification", units))
            except Exception as error:  # Keras's, or whatever a spec's own code raises
                raise self.problem(part.where, sentence(error)) from error
        return lambda: [registry.make(part, _units=units, _task=self.facts.task) for part in parts]

    def augmentations(self) -> list[Any]:
        """The augmentations, each tried on a blank image."""
        made, registry = [], REGISTRIES["augment"]
        for number, part in enumerate(self.spec.augment):
            try:
                augment = registry.make(part)
                blank = keras.ops.zeros((2, *self.facts.shape))
                (augment.apply if isinstance(augment, Mix) else augment)(blank, keras.random.SeedGenerator(0))
            except Exception as error:  # Keras's, or whatever a spec's own code raises
                raise self.problem(part.where or f"augment.{number}", sentence(error)) from error
            made.append(augment)
        return made

    def metric_parts(self) -> list[Part]:
        if self.spec.metrics != "auto":
            return list(self.spec.metrics)
        auto = {"classification": ["accuracy"], "regression": ["mae"], "multi_label": ["accuracy", "exact_match"]}
        return [Part(name) for name in auto[self.facts.task]]


def sentence(error: BaseException) -> str:
    """What a Keras or backend error says, on one line: without its frames, its arguments and its colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("Arguments received by")[0]
    lines = [line.strip() for line in text.splitlines()]
    idle = ("Graph execution error", "Detected at node", "Exception encountered when calling", "<stack", "File ")
    said = [line for line in lines if line and not line.startswith(idle)]
    found = " ".join(" ".join(said or lines).split())
    found = re.sub(r"\{\{function_node .*?\}\}", "", found).split("[[{{node")[0].strip()
    return found[:300] or type(error).__name__


def _shape_hint(name: str, shape: tuple[int | None, ...], said: str) -> str:
    if name.startswith(("conv2d", "max_pooling2d", "average_pooling2d", "global_average")) and len(shape) != 3:
        return "it expects images: (height, width, channels); reshape brings a row back to one"
    if name in ("conv1d", "max_pooling1d", "simple_rnn", "lstm", "gru", "bidirectional") and len(shape) != 2:
        return "it expects a sequence: (steps, features); an RNN before it needs return_sequences: true"
    shrunk = "negative" in said or "smaller than or equal to 0" in said or "output size" in said
    return "a smaller window, or padding: same, keeps more of the image" if shrunk else ""


def fit_preprocessing(network: Network, inputs: np.ndarray) -> None:
    """Set each fitted layer's statistics from the train split alone; inputs: (n, *shape) as stored.

    Each layer is fitted on what the ones before it make of the inputs. In chunks: memory stays bounded.
    """
    import numpy as np

    before: list[Any] = []
    for made in network.preprocess:
        if made.reduce is not None:
            axes = made.reduce(inputs.ndim)
            count, total, square = 0.0, np.float64(0), np.float64(0)
            for start in range(0, len(inputs), 2048):
                chunk = np.asarray(inputs[start : start + 2048], np.float32)
                for layer in before:
                    chunk = keras.ops.convert_to_numpy(layer(chunk))
                count += chunk.size / np.prod([chunk.shape[a] for a in range(chunk.ndim) if a not in axes], initial=1.0)
                total = total + chunk.sum(axis=axes, dtype=np.float64)
                square = square + np.square(chunk, dtype=np.float64).sum(axis=axes)
            mean = total / count
            set_statistics(made.layer, mean, np.maximum(square / count - mean**2, 0.0))
        before.append(made.layer)


def fit_targets(network: Network, targets: np.ndarray) -> None:
    """Set the scale of a regression's targets, (n, k), from the train split alone."""
    import numpy as np

    if network.scaler is not None:
        values = np.asarray(targets, np.float64)
        set_statistics(network.scaler, values.mean(axis=0), values.var(axis=0))


def set_statistics(layer: Any, mean: Any, variance: Any) -> None:
    """Give a Normalization layer its mean and variance, as `adapt` would; a feature that never varies stays 0."""
    import numpy as np

    constant = np.asarray(variance) <= 1e-12 * np.square(mean)
    safe = np.where(constant, 1.0, variance)
    layer.adapt_mean.assign(np.reshape(mean, layer.adapt_mean.shape))
    layer.adapt_variance.assign(np.reshape(safe, layer.adapt_variance.shape))
    layer.finalize_state()


def table(network: Network) -> list[tuple[str, str, str, int]]:
    """(layer, kind, output shape, parameters) of each layer, for the model table."""
    rows = []
    for layer in network.model.layers:
        shape = tuple(layer.output.shape[1:])
        rows.append((layer.name, type(layer).__name__, " × ".join(map(str, shape)), int(layer.count_params())))
    # The linear pass that keeps logits in float32 says nothing to a reader.
    return [
        row
        for row in rows
        if not (row[1] == "Activation" and row[0] != "predictions" and row[3] == 0 and _pass(network, row[0]))
    ]


def _pass(network: Network, name: str) -> bool:
    return getattr(network.model.get_layer(name).activation, "__name__", "") == "linear"


def parameters(network: Network) -> int:
    """How many numbers the training changes."""
    return sum(math.prod(variable.shape) for variable in network.model.trainable_variables)
