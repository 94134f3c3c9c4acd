"""A data set in the terminal: its splits, its classes, and a few examples as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlx.data.cuts import cut
from dlx.data.dataset import Dataset, Split
from dlx.data.splits import encoded
from dlx.errors import DataError, DlxError
from dlx.parts.datasets import loading
from dlx.parts.registry import Part
from dlx.system import terminal
from dlx.system.units import byte_size

SHADES = " .:-=+*#%@"
BLOCKS = 24  # of the longest bar
WIDE, TALL = 60, 20  # letters of a picture of points


def show(name: str) -> None:
    """Show a data set that needs no file of the user's. Raises DlxError for one that does, or that there is not."""
    registry = loading.registry
    if name not in registry:
        try:
            registry.find(name)
        except DlxError as error:  # did you mean …
            raise DataError(error.message, hint=error.hint) from error
    needed = [parameter.name for parameter in registry.parameters(name).values() if parameter.required]
    if needed:
        hint = f"dlx plot SPEC.yaml --only data shows the data of a spec; dlx parts {name} says what it takes"
        raise DataError(f"{name} reads files of your own: it needs {', '.join(needed)}", hint=hint)
    dataset = _loaded(name)
    splits = {"train": dataset.train, **({"test": dataset.test} if dataset.test is not None else {})}
    sizes = ", ".join(f"{len(split):,} {split_name}" for split_name, split in splits.items())
    inputs = dataset.train.inputs
    pairs = [
        ("name", name),
        ("examples", f"{sizes} ({dataset.source})"),
        ("input", f"{' × '.join(map(str, dataset.shape))}, {inputs.dtype}, {inputs.min():g} to {inputs.max():g}"),
        ("predicts", _predicts(dataset)),
        ("fingerprint", dataset.fingerprint),
        ("memory", byte_size(sum(split.inputs.nbytes for split in splits.values()))),
    ]
    terminal.fields(pairs)
    _examples(dataset)


def show_examples(name: str) -> None:
    """The classes and a few examples of a set that is in the store."""
    _examples(_loaded(name))


def _loaded(name: str) -> Dataset:
    parameters = loading.registry.parameters(name).values()
    part = Part(name, {parameter.name: parameter.default for parameter in parameters})
    dataset = loading.load(part)
    return encoded(dataset, cut(dataset, "auto", "none"))[0]


def _predicts(dataset: Dataset) -> str:
    if dataset.task == "classification":
        return f"one of {len(dataset.classes)} classes: {', '.join(dataset.classes)}"
    if dataset.task == "multi_label":
        return f"{len(dataset.classes)} labels: {', '.join(dataset.classes)}"
    targets = dataset.train.targets
    return f"{targets.shape[1]} value(s), {targets.min():g} to {targets.max():g}"


def _examples(dataset: Dataset) -> None:
    """The counts of the classes, then examples in the way that fits them."""
    out, train = terminal.console(), dataset.train
    out.print()
    for line in _counts(dataset):
        out.print(terminal.clean(line))
    for line in _lines(dataset, train):
        print(terminal.clean(line))


def _counts(dataset: Dataset) -> Iterator[str]:
    import numpy as np

    if dataset.task != "classification":
        return
    counts = np.bincount(dataset.train.targets.reshape(-1), minlength=len(dataset.classes))
    widest = max(terminal.cells(name) for name in dataset.classes)
    for name, count in zip(dataset.classes, counts, strict=True):
        bar = "█" * round(BLOCKS * count / counts.max())
        yield f"{terminal.padded(name, widest)}  {bar} {count:,}"
    yield ""


def _lines(dataset: Dataset, train: Split) -> Iterator[str]:
    shape = dataset.shape
    if dataset.reading is not None:
        for row in _unlike(train, 5):
            target = train.targets[row]
            answer = dataset.reading.answer(target) if dataset.reading.answer else dataset.classes[int(target)]
            yield f"{dataset.reading.example(train.inputs[row])} → {answer}"
    elif len(shape) == 3:
        yield from _images(dataset, train)
    elif shape == (2,) and dataset.task == "classification":
        yield from _points(dataset, train)
    else:
        for row in _unlike(train, 5):
            values = " ".join(f"{value:.4g}" for value in train.inputs[row].reshape(-1)[:12])
            more = " …" if train.inputs[row].size > 12 else ""
            yield f"{values}{more} → {_target(dataset, train.targets[row])}"


def _unlike(train: Split, count: int) -> list[int]:
    """So many rows of a split: the first of each class, then the others as they come."""
    import numpy as np

    firsts = [] if train.targets.ndim > 1 else np.sort(np.unique(train.targets, return_index=True)[1]).tolist()
    return list(dict.fromkeys([*firsts[:count], *range(min(count, len(train)))]))[:count]


def _target(dataset: Dataset, target: Any) -> str:
    if dataset.task == "classification":
        return dataset.classes[int(target)]
    return " ".join(f"{float(value):.4g}" for value in target)


def _images(dataset: Dataset, train: Split) -> Iterator[str]:
    """Two images side by side, a shade a pixel."""
    import numpy as np

    for row in _unlike(train, 2):
        image = np.asarray(train.inputs[row], np.float64).mean(axis=-1)
        image = image[:: max(1, image.shape[0] // 28), :: max(1, image.shape[1] // 28)]
        low, high = image.min(), image.max()
        places = ((image - low) / ((high - low) or 1) * (len(SHADES) - 1)).round().astype(int)
        yield f"{_target(dataset, train.targets[row])}:"
        for line in places:
            yield "".join(SHADES[place] * 2 for place in line).rstrip()


def _points(dataset: Dataset, train: Split) -> Iterator[str]:
    """The points of two inputs, each as the first letter of its class."""
    import numpy as np

    points = np.asarray(train.inputs, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    places = ((points - low) / np.where(high > low, high - low, 1) * (WIDE - 1, TALL - 1)).round().astype(int)
    page = [[" "] * WIDE for _ in range(TALL)]
    for (x, y), target in zip(places, train.targets, strict=True):
        page[TALL - 1 - y][x] = dataset.classes[int(target)][0]
    yield from ("".join(line).rstrip() for line in page)
