"""From a run and inputs of any kind to predictions, in batches and in bounded memory.

What answers is the run's model.onnx, where it was checked against the model.keras that is there; else the network,
which is rebuilt from the run's own spec and takes only its weights from the file: nothing is unpickled and no code is
deserialised.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from dlx.data.encoding import Encoding
from dlx.data.scaling import Scaling
from dlx.errors import DataError, DlxError, RunError
from dlx.inference import onnx_model, threshold
from dlx.inference.forward import answers, class_probabilities
from dlx.inference.inputs import Batch, Inputs
from dlx.inference.prediction import Prediction
from dlx.inference.unlike import Ordinary, remarks
from dlx.runs.run import Run
from dlx.system import files

if TYPE_CHECKING:
    import numpy as np

    from dlx.model.network import Network

# What the encoding of a run must have, by the kind of its inputs.
NEEDED = {"text": ("column", "vocabulary", "sequence_length"), "series": ("columns", "window", "horizon")}


class Model(Protocol):
    """What answers: a network of Keras, or an ONNX file."""

    def answers(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Probabilities, or values in the data's unit, of each batch of raw inputs; DataError where it takes none."""


@dataclass(frozen=True, eq=False)
class KerasModel:
    """A network, and how its inputs are scaled before it takes them."""

    network: Network
    scaling: Scaling | None = None

    def answers(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        from dlx.model.keras_errors import sentence

        try:
            yield from answers(self.network, map(self.scaled, batches))
        except DlxError:
            raise
        except Exception as error:  # the backend's: a token that the embedding does not have
            raise DataError(f"the network cannot take these inputs ({sentence(error)[:200]})") from error

    def scaled(self, inputs: np.ndarray) -> np.ndarray:
        """Raw inputs as the network takes them."""
        import numpy as np

        if self.scaling is not None:
            return self.scaling.apply(inputs)
        return inputs.astype(np.float32) if inputs.dtype == np.float64 else inputs


@dataclass(eq=False)
class Predictor:
    """A trained run, ready to predict: `.predict(array)` gives probabilities or values, `.run` is the Run.

    targets: the scaling of a regression's values, where its network learned scaled ones. digest: the SHA-256 of the
    model.keras that its network was made of.
    """

    run: Run
    model: Model
    info: Mapping[str, Any]
    inputs: Inputs
    targets: Scaling | None = None
    digest: str = ""

    @cached_property
    def network(self) -> Network:
        """The network itself. Loads Keras. Raises RunError where it cannot be made."""
        return self.model.network if isinstance(self.model, KerasModel) else _restored(self.run)[0]

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.info["classes"]]

    @property
    def labels(self) -> list[str]:
        """The columns that a run on a table learned to predict."""
        return self.inputs.labels

    @property
    def steps(self) -> int:
        """How many classes an input has, one for each step of a sequence; 0 where it has one."""
        return int(self.info.get("steps") or 0)

    @property
    def value_names(self) -> list[str]:
        """What the values of a regression are called: value, or the columns that it learned, or value_0, value_1, …"""
        count = int(self.info.get("targets", 1))
        if count == 1:
            return ["value"]
        return self.labels if len(self.labels) == count else [f"value_{number}" for number in range(count)]

    @property
    def label_shape(self) -> tuple[int, ...]:
        """The shape of what is true of one example: a class number has none."""
        if self.info["task"] == "classification":
            return (self.steps,) if self.steps else ()
        return (len(self.classes),) if self.info["task"] == "multi_label" else (int(self.info.get("targets", 1)),)

    @property
    def submission(self) -> list[str] | None:
        """The columns that a prediction of a table is wanted as: its id and what is predicted; None without an id."""
        return [self.inputs.encoding.id, *self.labels] if self.inputs.encoding.id else None

    @property
    def skipped(self) -> list[DlxError]:
        """The inputs that could not be read so far, with the reason."""
        return self.inputs.skipped

    @property
    def remarks(self) -> list[str]:
        """What was questionable in the inputs so far."""
        return self.inputs.remarks

    def predict(self, inputs: Any) -> np.ndarray:
        """Probabilities (n, classes), or values (n, targets) in the data's unit.

        inputs: an array (n, *shape), as the dataset stores them; or a table, a DataFrame or a mapping of names to
        columns, which is read as `dlx predict` reads the same table from a CSV file: by name, with the run's encoding,
        with the same errors, and with `remarks`; or, of a run that was trained on texts, a list of them.
        """
        import numpy as np

        batches: Iterable[np.ndarray]
        if (table := self._table(inputs)) is not None:
            batches = (array for _, array in self.inputs.of_columns(table, "the table"))
        else:
            batches = self.inputs.pieces(inputs, "the array")
        pieces = list(self.model.answers(batches))
        whole = np.concatenate(pieces) if pieces else np.zeros((0, max(len(self.classes), 1)), np.float32)
        return class_probabilities(whole, self.info["task"])

    def predict_files(self, paths: Sequence[str]) -> np.ndarray:
        """The same of files: images, folders of images, .csv, .npy or .npz. Raises DataError for an unreadable one."""
        import numpy as np

        batches, _ = self.read(paths)
        pieces = [piece for _, array in batches for piece in self.model.answers([array])]
        if self.skipped:
            raise self.skipped[0]
        return class_probabilities(np.concatenate(pieces), self.info["task"])

    def read(self, words: Sequence[str]) -> tuple[Iterator[Batch], int | None]:
        """(batches of inputs, how many there are if that is known) of what a command line names; see Inputs.read."""
        return self.inputs.read(words)

    def stream(self, batches: Iterable[Batch], top: int | None = None) -> Iterator[Prediction]:
        """A Prediction of each input, a batch in memory at a time; `top` as in Prediction.of."""
        found = list[tuple[str, str]]()
        for names, array in batches:
            found += self.unlike(names, array)
            for piece in self.model.answers([array]):
                yield from self.predictions(names, piece, top)
        self.remarks.extend(remarks(found))

    def predictions(self, names: Sequence[str], answers: np.ndarray, top: int | None = None) -> Iterator[Prediction]:
        """A Prediction of each answer of the model, (n, classes) or (n, targets)."""
        several, classes = self.info.get("task") == "multi_label", self.classes
        for name, answer in zip(names, self.readable(answers), strict=True):
            yield Prediction.of(name, answer, classes, top, several, self.threshold)

    @cached_property
    def threshold(self) -> float | None:
        """From which probability on the second of two classes is the label, where one is kept with the model."""
        kept = threshold.of_run(self.run) if threshold.applies(self.info) else None
        return kept.value if kept else None

    def unlike(self, names: Sequence[str], array: np.ndarray) -> Iterable[tuple[str, str]]:
        """(name, in what it is unlike the training) of the inputs that are, where that is known."""
        return self._ordinary.unlike(names, array) if self._ordinary is not None else ()

    @cached_property
    def _ordinary(self) -> Ordinary | None:
        return Ordinary.of_record(self.info["input"].get("ordinary"))

    def _table(self, inputs: Any) -> Mapping[str, Sequence[Any]] | None:
        """The named columns of what is a table, or texts; None for anything else."""
        if isinstance(inputs, Mapping):
            return inputs
        if hasattr(inputs, "columns") and hasattr(inputs, "iloc"):
            names = [str(name) for name in inputs.columns]
            if len(set(names)) < len(names):
                raise DataError("names a column twice", where="the table")
            return {name: inputs.iloc[:, place] for place, name in enumerate(names)}
        if self.inputs.kind == "text":
            if isinstance(inputs, str) or not all(isinstance(text, str) for text in inputs):
                raise DataError("expected a list of texts", where="the input", hint='predict(["a text", "another"])')
            return {self.inputs.encoding.column: list(inputs)}
        return None

    def readable(self, predictions: np.ndarray) -> np.ndarray:
        """Probabilities of every class, or values without digits that say nothing."""
        if self.targets is not None:
            return self.targets.rounded(predictions)
        return class_probabilities(predictions, self.info["task"])


def load_predictor(run: Run, exact: bool = True) -> Predictor:
    """What answers for a run: its network, or unless it shall be `exact` an ONNX file that was checked against it.

    Raises RunError when there is no trained model in it.
    """
    if not exact and (model := onnx_model.of_run(run)) is not None:
        info = run.info()
        return Predictor(run, model, info, _inputs(run, info), _scaling(run, info) if info.get("scaled") else None)
    digest = "" if exact or not run.model_file.is_file() else files.sha256(run.model_file)
    network, info = _restored(run)
    targets = network.target_scaling if network.scales else None
    inputs = _inputs(run, info)
    return Predictor(run, KerasModel(network, _scaling(run, info, "inputs")), info, inputs, targets, digest)


def _restored(run: Run) -> tuple[Network, dict[str, Any]]:
    from dlx.model.restore import restore

    return restore(run)


def _scaling(run: Run, info: Mapping[str, Any], name: str = "targets") -> Scaling | None:
    """How the inputs or the targets of a run are scaled; raises RunError where that cannot be read."""
    with _recorded(run):
        return Scaling.recorded(info, name)


def _inputs(run: Run, info: Mapping[str, Any]) -> Inputs:
    with _recorded(run):
        facts = info["input"]
        encoding = _encoding(facts, int(info.get("targets", 1)))
        return Inputs(str(facts.get("kind")), tuple(facts["shape"]), str(facts.get("dtype")), encoding)


@contextlib.contextmanager
def _recorded(run: Run) -> Iterator[None]:
    """What cannot be read in the block is a RunError."""
    try:
        yield
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"run.json lacks what prediction needs ({reason})", where=str(run.path)) from error


def _encoding(facts: Mapping[str, Any], targets: int) -> Encoding:
    """The encoding of a run's inputs; raises ValueError where it is none, or does not go with their shape."""
    recorded = facts.get("encoding") or {}
    if not isinstance(recorded, Mapping):
        raise ValueError(f"its encoding is {recorded!r}")
    kind = str(facts.get("kind"))
    if not recorded and kind not in NEEDED:
        return Encoding()
    from pydantic import TypeAdapter

    known = {key: value for key, value in recorded.items() if key != "kind"}
    encoding = TypeAdapter(Encoding).validate_python({**known, "kind": kind if kind in NEEDED else "table"})
    if missing := [name for name in NEEDED.get(kind, ()) if name not in recorded]:
        raise ValueError(f"no {missing[0]}")
    extents = {"sequence_length": facts["shape"][0], "window": facts["shape"][0], "horizon": targets}
    for name, extent in extents.items():
        if name in NEEDED.get(kind, ()) and getattr(encoding, name) != extent:
            raise ValueError(f"{name} {getattr(encoding, name)}, expected {extent}")
    return encoding
