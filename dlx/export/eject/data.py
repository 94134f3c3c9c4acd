"""The data of a run in a script: loaded by the library that it comes from, or as arrays beside the script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dlx.data import cuts
from dlx.data.cuts import fold_of
from dlx.data.dataset import Dataset, Stream
from dlx.data.images import SUFFIXES
from dlx.data.npz import read_arrays
from dlx.data.splits import Splits
from dlx.errors import DataError
from dlx.export.eject import sources
from dlx.export.eject.code import call, literal, words
from dlx.spec.sections import Spec
from dlx.system import machine
from dlx.system.units import byte_size

LARGEST = 2**31  # bytes of arrays that are written beside a script
NAMED = ("mnist", "fashion_mnist", "cifar10", "cifar100")
SPLITS = ("train", "validation", "test")

ADDITION = """
# Pairs of whole numbers, high >= low, each pair once; then in either order. The bits of each number, from the lowest.
generator = np.random.default_rng({seed})
number = generator.choice({pairs}, {count}, replace=False, shuffle=True)
high = ((np.sqrt(8.0 * number + 1) - 1) / 2).astype(np.int64)
both = generator.permuted(np.stack([high, number - high * (high + 1) // 2], axis=1), axis=1)
places = np.arange({bits} + 1)
x = (both[:, None, :] >> places[None, :, None] & 1).astype("float32")
y = (both.sum(axis=1)[:, None] >> places[None, :] & 1).astype("float32")
x_train, y_train = x[:{samples}], y[:{samples}]
x_test, y_test = x[{samples}:], y[{samples}:]
"""

FOLDER = '''
FOLDER = Path({folder})
CLASSES = {classes}
SUFFIXES = {suffixes}


def picture(path):
    """One image as numbers from 0 to 255: (height, width, {channels})."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image).convert({mode}){resize}
    return np.asarray(image, "uint8").reshape({shape})


files, y_train = [], []
for number, name in enumerate(CLASSES):
    found = {found}
    files += found
    y_train += [number] * len(found)
x_train, y_train = np.stack([picture(path) for path in files]), np.array(y_train)
'''


@dataclass
class Data:
    """What a script says of its data.

    lines: they make x_train, y_train and the arrays of the other splits; labels as the dataset has them.
    prepared: the arrays are cut and scaled already. imports: what the lines need; arrays: what lies beside the script;
    remarks: what is not as in the run.
    """

    lines: list[str]
    prepared: bool = False
    imports: list[str] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def data(spec: Spec, dataset: Dataset, splits: Splits) -> Data:
    """The data of a spec. Raises DataError where it would have to lie beside the script and is too large."""
    say = KINDS.get(spec.dataset.name)
    made = say(spec, dataset) if say is not None and not _other_targets(spec, dataset) else None
    if made is None:
        return _beside(dataset, splits)
    made.lines = [*made.lines, *_cuts(spec, splits)]
    return made


def _other_targets(spec: Spec, dataset: Dataset) -> bool:
    """Whether the targets are not those that the dataset has by itself: numbers instead of classes."""
    return spec.task == "regression" and spec.dataset.name != "npz"


def _beside(dataset: Dataset, splits: Splits) -> Data:
    """The arrays of the splits in a file."""
    named = splits.named()
    size = sum(getattr(split.inputs, "nbytes", LARGEST) + split.targets.nbytes for split in named.values())
    if any(isinstance(split.inputs, Stream) for split in named.values()) or size > LARGEST:
        raise DataError(
            f"a script would need {byte_size(size)} of arrays beside it" if size < 2**40 else "its data is too large",
            hint="eject a run on less of it, or on a data set that a library loads",
        )
    lines = [_words(dataset)]
    arrays: dict[str, np.ndarray] = {}
    for name, split in named.items():
        if name == "test" and splits.test_is_validation:
            lines.append("x_test, y_test = x_validation, y_validation")
            continue
        arrays |= {f"x_{name}": np.asarray(split.inputs), f"y_{name}": split.targets}
        lines.append(f'x_{name}, y_{name} = beside["x_{name}"], beside["y_{name}"]')
    return Data(lines, prepared=True, arrays=arrays)


def _words(dataset: Dataset) -> str:
    kind = {"image": "images", "table": "rows of a table", "text": "texts", "series": "windows of a series"}
    scaled = ", each scaled by mean and deviation of the training rows" * (dataset.input_scaling is not None)
    what = f"{kind.get(dataset.kind, 'examples')} of {words(dataset.source)}"
    return f"# The {what} as numbers{scaled}, cut as the run cut them."


def _cuts(spec: Spec, splits: Splits) -> list[str]:
    """What cuts the test and the validation split off the training data, as dlx does."""
    lines: list[str] = []
    stratified = np.issubdtype(splits.train.targets.dtype, np.integer) and splits.train.targets.ndim == 1
    for name, share, purpose in (("test", spec.test, 1), ("validation", spec.validation, 2)):
        split = splits.named().get(name)
        fold = fold_of(share)
        if split is None or not (isinstance(share, float) or fold):
            continue
        lines.append(f"mixed = np.random.default_rng({[spec.split_seed, purpose]}).permutation(len(y_train))")
        if stratified:
            lines.append("mixed = _spread(mixed, y_train[mixed])")
        piece = f"np.array_split(mixed, {fold[1]})[{fold[0] - 1}]" if fold else f"mixed[:{len(split)}]"
        share_text = f"the fold {fold[0]} of {fold[1]}" if fold else f"{share:.3g} of them"
        lines += [
            f"held = np.sort({piece})  # {share_text}",
            f"x_{name}, y_{name} = x_train[held], y_train[held]",
            "x_train, y_train = np.delete(x_train, held, axis=0), np.delete(y_train, held, axis=0)",
        ]
    if splits.test_is_validation:
        lines.append("x_validation, y_validation = x_test, y_test  # the run was judged so, too")
    if lines and stratified:
        lines = [*"\n".join(sources.of([cuts._spread])).splitlines(), "", "", *lines]
    return lines


def _written(spec: Spec, dataset: Dataset) -> Data:
    """A few rows as they are."""
    x, y = np.asarray(dataset.train.inputs), dataset.train.targets
    return Data(
        [f'x_train = np.array({literal(x.tolist())}, "{x.dtype}")', f"y_train = np.array({literal(y.tolist())})"]
    )


def _sklearn(function: str, **names: str) -> Callable[[Spec, Dataset], Data]:
    """A toy of scikit-learn: by the names that its settings have there."""

    def say(spec: Spec, dataset: Dataset) -> Data:
        given = spec.dataset.args

        def made(count: int, seed: int) -> str:
            named = {there: literal(given[here]) for here, there in names.items()} | {"random_state": literal(seed)}
            return call(f"datasets.{function}", [literal(count)], named)

        lines = [f"x_train, y_train = {made(given['samples'], given['seed'])}"]
        if fresh := given.get("test_samples"):
            lines.append(f"x_test, y_test = {made(fresh, (given['seed'] + 1) % 2**32)}")
        return Data(lines, imports=["from sklearn import datasets"])

    return say


def _digits(spec: Spec, dataset: Dataset) -> Data:
    lines = [
        "digits = datasets.load_digits()",
        'x_train = np.round(digits.images[..., None] * (255 / 16)).astype("uint8")  # 0 to 255, as most images are',
        "y_train = digits.target",
    ]
    return Data(lines, imports=["from sklearn import datasets"])


def _iris(spec: Spec, dataset: Dataset) -> Data:
    return Data(["x_train, y_train = datasets.load_iris(return_X_y=True)"], imports=["from sklearn import datasets"])


def _named(spec: Spec, dataset: Dataset) -> Data:
    """One of Keras's image sets."""
    name, limits = spec.dataset.name, (spec.dataset.args.get("limit"), spec.dataset.args.get("test_limit"))
    made = Data([f"(x_train, y_train), (x_test, y_test) = keras.datasets.{name}.load_data()"])
    if dataset.shape[-1] == 1:
        made.lines.append("x_train, x_test = x_train[..., None], x_test[..., None]  # one channel: grey")
    else:
        made.lines.append("y_train, y_test = y_train.reshape(-1), y_test.reshape(-1)")
    for split, limit, known in (("train", limits[0], dataset.train), ("test", limits[1], dataset.test)):
        if limit is not None and known is not None:
            made.arrays[f"rows_{split}"] = known.index
            made.lines.append(
                f'x_{split}, y_{split} = x_{split}[beside["rows_{split}"]], y_{split}[beside["rows_{split}"]]'
                f"  # the {limit:,} that the run used"
            )
    if "JPEG" in dataset.source:
        made.remarks.append(
            f"The run's images came from {words(dataset.source)}: those that Keras loads differ a little."
        )
    return made


def _addition(spec: Spec, dataset: Dataset) -> Data:
    given = spec.dataset.args
    most = 2 ** given["bits"]
    count = given["samples"] + given["test_samples"]
    return Data(ADDITION.strip().format(**given, pairs=most * (most + 1) // 2, count=count).splitlines())


def _folder(spec: Spec, dataset: Dataset) -> Data | None:
    """A folder of images; None where it takes more than a few lines to say how it is read."""
    given = spec.dataset.args
    plain = given["labels"] in ("folder", "filename") and not isinstance(dataset.train.inputs, Stream)
    if not plain or dataset.skipped or any((Path(given["path"]) / name).is_dir() for name in ("train", "test")):
        return None
    size, channels = given["image_size"], dataset.shape[-1]
    height, width = dataset.shape[:2]
    resize = f".resize(({width}, {height}), Image.Resampling.BILINEAR)" if size else ""
    by_folder = 'sorted(path for path in (FOLDER / name).rglob("*") if path.suffix.lower() in SUFFIXES)'
    by_name = (
        'sorted(\n        path for path in FOLDER.rglob("*") if path.suffix.lower() in SUFFIXES'
        ' and path.name.split(".")[0] == name\n    )'
    )
    text = FOLDER.strip().format(
        folder=literal(str(given["path"])), classes=literal(list(dataset.classes)), suffixes=literal(tuple(SUFFIXES)),
        channels=channels, mode=literal("RGB" if channels == 3 else "L"), resize=resize, shape=dataset.shape,
        found=by_folder if given["labels"] == "folder" else by_name,
    )  # fmt: skip
    return Data(text.splitlines(), imports=["from pathlib import Path", "from PIL import Image, ImageOps"])


def _npz(spec: Spec, dataset: Dataset) -> Data | None:
    """A file of arrays; None where classes are words or the task is not the file's own."""
    path = str(spec.dataset.args["path"])
    arrays = read_arrays(Path(path), (machine.memory() or 2**34) // 2, path)
    kinds = {name: array.dtype.kind for name, array in arrays.items()} if isinstance(arrays, dict) else {}
    x, y = ("x_train", "y_train") if "x_train" in kinds else ("x", "y")
    if kinds[y] in "US" or dataset.task != "classification":
        return None
    lines = [f"arrays = np.load({literal(path)})", f'x_train, y_train = arrays["{x}"], arrays["{y}"]']
    if "x_test" in kinds:
        lines.append('x_test, y_test = arrays["x_test"], arrays["y_test"]')
    return Data(lines)


KINDS: dict[str, Callable[[Spec, Dataset], Data | None]] = {
    **dict.fromkeys(("or", "and", "nand", "nor", "xor", "not"), _written),
    "moons": _sklearn("make_moons", noise="noise"),
    "circles": _sklearn("make_circles", noise="noise", factor="factor"),
    "blobs": _sklearn("make_blobs", classes="centers", features="n_features", spread="cluster_std"),
    "digits": _digits,
    "iris": _iris,
    **dict.fromkeys(NAMED, _named),
    "binary_addition": _addition,
    "image_folder": _folder,
    "npz": _npz,
}
