"""What a run can show of itself: which pictures fit its data and its network, and the arrays behind them."""

from __future__ import annotations
from dlx.data import splits as feed
from dlx.inference import forward as inference
from dlx.parts.datasets import table as tables
from dlx.plots import curves as drawing

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

pass
from dlx.system.backend import keras
from dlx.data.dataset import Dataset
from dlx.plots.curves import Boundary
from dlx.errors import DlxError
pass

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

GRID = 200  # points of a boundary's grid on each side
SHEET = 24  # mistakes on a sheet
MOST_FILTERS = 64
MOST_ROWS = 14  # of activations on a page


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network and its data. model: raw inputs (n, *shape) to probabilities (n, units) or values."""

    name: str
    model: Any
    dataset: Dataset
    splits: feed.Splits
    history: Sequence[Mapping[str, Any]] = ()
    best_epoch: int | None = None

    @functools.cached_property
    def said(self) -> np.ndarray:
        """The predictions of the examples held out, which several pictures are made of."""
        return self.predict(self.held_out[1].inputs)

    def judged(self) -> str:
        """How well the network does on the examples held out, in words: its accuracy, or its mean absolute error."""
        import numpy as np

        name, split = self.held_out
        predictions, targets = self.said, np.asarray(split.targets)
        if self.dataset.task == "classification":
            words = f"{name} accuracy {float((inference.classes_of(predictions) == targets).mean()):.3f}"
        else:
            words = f"{name} mean absolute error {float(np.abs(predictions - targets).mean()):.3g}"
        early = self.best_epoch is not None and self.history and self.best_epoch < int(self.history[-1]["epoch"])
        return f"{words}\nafter epoch {self.best_epoch:,}" if early else words

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def held_out(self) -> tuple[str, Any]:
        """(name, split) of the examples to judge by: test, else validation, else train."""
        if self.splits.test is not None:
            return "test", self.splits.test
        if self.splits.validation is not None:
            return "validation", self.splits.validation
        return "train", self.splits.train

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """(n, classes) probabilities, both classes of one sigmoid unit among them, or (n, targets) values."""
        import numpy as np

        found = np.concatenate(list(inference.forward(self.model, inference.batches(inputs))))
        return inference.both(found, self.dataset.task)


Draw = Callable[[Subject], "Figure"]


def fits(subject: Subject) -> dict[str, Draw]:
    """The pictures that a subject has, by their names; curves are drawn from a history alone."""
    shape = subject.dataset.shape
    classes = subject.dataset.task == "classification" and subject.splits.train.targets.ndim == 1
    image = len(shape) == 3 and shape[-1] in (1, 3)
    found: dict[str, Draw] = {}
    if shape == (2,) and subject.dataset.task != "multi_label" and _one_target(subject):
        found["boundary"] = lambda subject: boundaries([subject])
    if classes and len(subject.classes) <= 200:
        found["confusion"] = confusion
    if classes and image:
        found["mistakes"] = mistakes
    if image and _first_kernel(subject) is not None:
        found["filters"] = filters
    if image:
        found["activations"] = activations
    return found


def _one_target(subject: Subject) -> bool:
    targets = subject.splits.train.targets
    return bool(targets.ndim == 1 or targets.shape[1] == 1)


def curves(subject: Subject) -> Figure:
    """Train against validation, over the epochs."""
    return drawing.curves([drawing.Curve(subject.name, subject.history, subject.best_epoch)], subject.name)


def boundaries(subjects: Sequence[Subject], titles: Sequence[str] = ()) -> Figure:
    """The decision boundaries of networks with two inputs, over their points; several have a title each."""
    import numpy as np

    every = np.concatenate([split.inputs for s in subjects for split in _splits(s)])
    low, high = every.min(axis=0), every.max(axis=0)
    margin = np.where(high > low, 0.12 * (high - low), 0.5)
    (x0, y0), (x1, y1) = low - margin, high + margin
    xs, ys = np.linspace(x0, x1, GRID, dtype=np.float32), np.linspace(y0, y1, GRID, dtype=np.float32)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    panels = []
    for subject, words in zip(subjects, titles or [subjects[0].name], strict=True):
        splits = _splits(subject)
        held = np.concatenate([np.full(len(split), number > 0) for number, split in enumerate(splits)])
        panels.append(
            Boundary(
                f"{words}\n{subject.judged()}",
                xs,
                ys,
                subject.predict(grid).reshape(GRID, GRID, -1),
                np.concatenate([split.inputs for split in splits]),
                np.concatenate([split.targets for split in splits]).reshape(-1),
                held,
            )
        )
    encoding = subjects[0].dataset.encoding  # a column of two categories is two inputs as well
    names = list(tables.inputs_of(encoding)) if encoding else ["first input", "second input"]
    return drawing.boundaries(panels, subjects[0].classes, names)


def _splits(subject: Subject) -> list[Any]:
    """Train first; each split once."""
    splits = subject.splits
    rest = [splits.validation] if splits.test is None or splits.test_is_validation else [splits.validation, splits.test]
    return [splits.train, *(split for split in rest if split is not None)]


def confusion(subject: Subject) -> Figure:
    """Which class was taken for which, over the examples held out."""
    import numpy as np

    name, split = subject.held_out
    said = inference.classes_of(subject.said)
    counts = np.zeros((len(subject.classes),) * 2, np.int64)
    np.add.at(counts, (np.asarray(split.targets), said), 1)
    right, of = int(np.trace(counts)), int(counts.sum())
    title = f"{subject.name}: {right:,} of {of:,} {name} examples right ({right / of:.1%})"
    return drawing.confusion(counts, subject.classes, title)


def mistakes(subject: Subject) -> Figure:
    """The examples held out of which the network was most sure, and wrong."""
    import numpy as np

    name, split = subject.held_out
    predictions = subject.said
    said, truth = inference.classes_of(predictions), np.asarray(split.targets)
    wrong = np.flatnonzero(said != truth)
    sure = predictions[wrong, said[wrong]]
    order = np.argsort(-sure, kind="stable")[:SHEET]
    worst = wrong[order]
    captions = [
        (subject.classes[truth[row]], f"said {subject.classes[said[row]]}, {predictions[row, said[row]]:.0%}")
        for row in worst
    ]
    shown = f"the {len(worst)} most confident of {len(wrong):,}" if len(wrong) > len(worst) else f"all {len(wrong):,}"
    title = f"{subject.name}: {shown} mistakes on {len(split):,} {name} images"
    if not len(wrong):
        title = f"{subject.name}: no mistake on {len(split):,} {name} images"
    return drawing.mistakes(split.inputs[worst], captions, title)


def _first_kernel(subject: Subject) -> tuple[str, np.ndarray] | None:
    """(layer, kernel (height, width, channels, n)) of the first layer with weights; None when it sees no image."""
    shape = subject.dataset.shape
    for layer in subject.model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D" and layer.kernel.shape[2] == shape[-1]:
            return layer.name, keras.ops.convert_to_numpy(layer.kernel)
        if kind == "Dense" and int(layer.kernel.shape[0]) == shape[0] * shape[1] * shape[2]:
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            return layer.name, kernel.reshape(*shape, kernel.shape[-1])
        if kind not in ("InputLayer", "Flatten", "Rescaling", "Normalization", "Dropout", "Resizing"):
            return None
    return None


def filters(subject: Subject) -> Figure:
    """What the first layer looks for: its kernels, or the weights of a dense layer in the shape of the image."""
    found = _first_kernel(subject)
    if found is None:
        raise DlxError("the first layer with weights sees no image", where=subject.name)
    name, kernels = found
    count = kernels.shape[-1]
    shown = kernels[..., :MOST_FILTERS]
    head = subject.dataset.task == "classification" and count == len(subject.classes)
    dense = kernels.shape[:2] == subject.dataset.shape[:2]
    captions = list(subject.classes) if head and dense else [str(number) for number in range(shown.shape[-1])]
    of = f"{shown.shape[-1]} of the {count}" if count > MOST_FILTERS else f"the {count}"
    what = "units" if dense else "filters"
    return drawing.filters(shown, captions, f"{subject.name}: {of} {what} of {name}")


def activations(subject: Subject, image: np.ndarray | None = None, source: str = "") -> Figure:
    """What each layer makes of one image (height, width, channels), the first one held out by default."""
    import numpy as np

    if image is None:
        name, split = subject.held_out
        image, source = np.asarray(split.inputs[0]), f"{name} image {int(split.index[0])}"
        if subject.dataset.task == "classification":
            source += f" (true class: {subject.classes[int(split.targets[0])]})"
    layers = [layer for layer in subject.model.layers if _shows(layer)]
    if len(layers) > MOST_ROWS:  # evenly spread over the depth
        layers = [layers[round(n * (len(layers) - 1) / (MOST_ROWS - 1))] for n in range(MOST_ROWS)]
    outputs = []
    if layers:
        inner = keras.Model(subject.model.inputs, [layer.output for layer in layers])
        made = inner.predict_on_batch(image[None])
        outputs = list(made) if isinstance(made, (list, tuple)) else [made]
    rows = [(layer.name, np.asarray(o[0], np.float32)) for layer, o in zip(layers, outputs, strict=True)]
    rows = [(name, array if array.ndim == 3 else array.reshape(-1)) for name, array in rows]
    answer: list[tuple[str, float]] = []
    if subject.classes:
        shares = subject.predict(image[None])[0]
        ranked = sorted(zip(subject.classes, map(float, shares), strict=True), key=lambda pair: -pair[1])
        answer = ranked[:5]
    return drawing.activations(image, rows, answer, subject.classes, f"{subject.name}: {source}")


def _shows(layer: Any) -> bool:
    """Whether a layer's output is worth a row: what only passes on, reshapes or scales is not."""
    passing = ("InputLayer", "Dropout", "Flatten", "Reshape", "Rescaling", "Normalization", "Resizing", "Add")
    linear = type(layer).__name__ == "Activation"
    return type(layer).__name__ not in passing and not linear and len(layer.output.shape) in (2, 4)
