"""Your own data: folders of images and .npz arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dlx import display, images
from dlx.backend import cores
from dlx.dataset import Dataset, Facts, Split
from dlx.errors import DataError
from dlx.parts.datasets.registry import fingerprint, float32, guess_task, know, registry, split
from dlx.parts.types import ImageSize
from dlx.registry import FilePath

if TYPE_CHECKING:
    pass

MOST_CLASSES = 100_000


@registry.register
def image_folder(
    path: FilePath,
    image_size: ImageSize | None = None,
    grayscale: bool = False,
    label: Literal["folder", "file_name"] = "folder",
    class_names: Annotated[list[str], Field(min_length=2)] | None = None,
) -> Dataset:
    """A folder a class: photos/cat/1.jpg, photos/dog/2.jpg; with train/ and test/ above them where there are.

    `image_size` is a number or [height, width] to which every image is resized; without it all images
    must have the same size. With `label: file_name` the class is the file's name up to its first dot:
    photos/cat.1.jpg, photos/dog.2.jpg. `class_names` says which classes are wanted, and in which order.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), hint="image_folder: {path: …} is relative to the spec")
    parts = [folder / name for name in ("train", "test") if (folder / name).is_dir()]
    base = folder / "train" if folder / "train" in parts else folder
    labelled = _by_folder if label == "folder" else _by_file_name
    found = labelled(base)
    classes = class_names or sorted(found)
    if not found:
        expected = f"{base}/CLASS/image.jpg" if label == "folder" else f"{base}/CLASS.1.jpg"
        what = "folders of images, one a class" if label == "folder" else "images named after their class"
        raise DataError(f"holds no {what}", where=str(base), hint=f"expected {expected}")
    if len(set(classes)) < len(classes):
        raise DataError("names a class twice", where="dataset")
    size = (image_size, image_size) if isinstance(image_size, int) else image_size and (image_size[0], image_size[1])
    channels = 1 if grayscale else 3
    train = _folder_split(base, found, classes, size, channels, strict=class_names is None)
    test = None
    if base != folder and folder / "test" in parts:
        held = folder / "test"
        test = _folder_split(
            held, labelled(held), classes, train.inputs.shape[1:3], channels, strict=class_names is None
        )
    arrays = (train.inputs, train.targets) + ((test.inputs, test.targets) if test else ())
    return Dataset(
        train,
        "classification",
        fingerprint(*arrays),
        test=test,
        classes=tuple(classes),
        kind="image",
        source=folder.name,
    )


def _image_facts(image_size: Any, grayscale: bool, class_names: Sequence[str] | None, **_: Any) -> Facts | None:
    """A folder's spec that says its size and its classes can be checked without the folder."""
    if image_size is None or class_names is None:
        return None
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    return Facts((height, width, 1 if grayscale else 3), "classification", tuple(class_names))


know("image_folder", _image_facts)


def _by_folder(folder: Path) -> dict[str, list[Path]]:
    """The images below `folder` by the name of the folder in it that they are in."""
    return {name: images.files(folder / name) for name in images.classes_below(folder)}


def _by_file_name(folder: Path) -> dict[str, list[Path]]:
    """The images below `folder` by their names up to the first dot."""
    found: dict[str, list[Path]] = {}
    for file in images.files(folder):
        found.setdefault(file.name.partition(".")[0], []).append(file)
    return found


def _folder_split(
    folder: Path, found: dict[str, list[Path]], classes: Sequence[str], size: Any, channels: int, strict: bool
) -> Split:
    """The images of the wanted classes; with `strict` any other class is a mistake."""
    import numpy as np

    unknown = sorted(set(found) - set(classes))
    if unknown and strict:
        raise DataError(f"has classes that train has not: {', '.join(unknown[:5])}", where=str(folder))
    rows = [(file, number) for number, name in enumerate(classes) for file in found.get(name, [])]
    counts = np.bincount([number for _, number in rows], minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if (empty and folder.name != "test") or not rows:
        raise DataError(
            f"no images for {', '.join(empty[:5])}", where=str(folder), hint=f"looked for {', '.join(images.SUFFIXES)}"
        )
    read = images.in_parallel(lambda file: images.read(file, channels, size), [file for file, _ in rows], cores())
    first = next(read)
    _check_room(len(rows) * first.nbytes, f"{len(rows):,} images of {first.shape[0]} × {first.shape[1]}", str(folder))
    pixels = np.empty((len(rows), *first.shape), np.uint8)
    pixels[0] = first
    others: dict[tuple[int, ...], Path] = {}
    with display.Bar(len(rows), "images", plain=len(rows) > 5000) as bar:
        for row, image in enumerate(read, 1):
            if image.shape == first.shape:
                pixels[row] = image
            else:
                others.setdefault(image.shape, rows[row][0])
            if row % 100 == 0:
                bar.update(row)
    if others:
        shape, example = next(iter(others.items()))
        raise DataError(
            f"the images have {len(others) + 1} different sizes (height × width): "
            f"{rows[0][0].name} is {first.shape[0]} × {first.shape[1]}, {example.name} is {shape[0]} × {shape[1]}",
            where=str(folder),
            hint="image_size: 64 resizes them all",
        )
    return split(pixels, np.array([number for _, number in rows], np.int32))


def _check_room(wanted: int, what: str, where: str) -> None:
    """Raise DataError when an array would not fit the memory twice: once here, once on the device."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2 * wanted
    if 2 * wanted > there:
        raise DataError(
            f"{what} take {wanted / 2**30:.1f} GiB, too much for a memory of {there / 2**30:.1f} GiB",
            where=where,
            hint="a smaller image_size, or fewer images",
        )


@registry.register
def npz(path: FilePath, _task: str = "auto") -> Dataset:
    """Arrays saved by numpy.savez: x and y, or x_train, y_train and, if there is one, x_test, y_test.

    x: (n, …) numbers; y: (n,) whole numbers from 0 for classes, or (n,) or (n, k) values for a regression, or
    (n, k) zeros and ones, with `task: multi_label`, for several labels an example.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            held = {name: np.asarray(archive[name]) for name in archive.files}
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path)) from error
    except Exception as error:  # numpy raises what zipfile, tokenize and its own reader raise
        raise DataError(
            "cannot be read as .npz, made by numpy.savez without Python objects", where=str(path)
        ) from error
    x, y = ("x_train", "y_train") if "x_train" in held else ("x", "y")
    if x not in held or y not in held:
        raise DataError(
            f"expected arrays x and y, or x_train and y_train; it holds {', '.join(held) or 'nothing'}", where=str(path)
        )
    if held[y].ndim == 0 or not held[y].size:
        raise DataError(f"{y} has the shape {held[y].shape}, expected (n,) or (n, k)", where=str(path))
    task = guess_task(held[y], _task, str(path), "y")
    test = None
    if "x_test" in held and "y_test" in held:
        test = _array_split(held["x_test"], held["y_test"], task, str(path))
    train = _array_split(held[x], held[y], task, str(path))
    if test is not None and test.inputs.shape[1:] != train.inputs.shape[1:]:
        raise DataError(f"x_test holds {test.inputs.shape[1:]}, {x} holds {train.inputs.shape[1:]}", where=str(path))
    classes: tuple[str, ...] = ()
    if task == "classification":
        highest = max([int(train.targets.max())] + ([int(test.targets.max())] if test else []))
        classes = tuple(str(number) for number in range(highest + 1))
    if task == "multi_label":
        classes = tuple(str(number) for number in range(train.targets.shape[1]))
    arrays = (train.inputs, train.targets) + ((test.inputs, test.targets) if test else ())
    kind = "image" if train.inputs.ndim == 4 and train.inputs.shape[-1] in (1, 3) else "array"
    return Dataset(train, task, fingerprint(*arrays), test=test, classes=classes, kind=kind, source=Path(path).name)  # type: ignore[arg-type]


def _array_split(inputs: Any, targets: Any, task: str, where: str) -> Split:
    import numpy as np

    x, y = np.asarray(inputs), np.asarray(targets)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or not len(x):
        raise DataError(
            f"inputs of shape {x.shape} and targets of shape {y.shape}; expected as many of both", where=where
        )
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        raise DataError(f"expected numbers, got {x.dtype} and {y.dtype}", where=where)
    if x.ndim == 1:
        x = x[:, None]
    if x.dtype.kind == "i" and x.ndim == 2:
        x = x.astype(np.int32)  # tokens stay whole numbers
    elif x.dtype != np.uint8:
        x = float32(x, "inputs", where)
    if task == "classification":
        y = y.reshape(len(y)) if y.size == len(y) else y
        whole = np.isfinite(y).all() and (np.floor(y) == y).all()
        if y.ndim > 2 or not whole or y.min() < 0 or y.max() >= MOST_CLASSES:
            raise DataError(
                f"expected one class number an example (or a step), whole, from 0 to {MOST_CLASSES - 1:,} at most",
                where=where,
                hint="or say task: regression",
            )
        return split(x, y.astype(np.int32))
    if task == "multi_label" and (y.ndim != 2 or not np.isin(y, (0, 1)).all()):
        raise DataError(
            f"expected a column of zeros and ones for each label, got {'other values' if y.ndim == 2 else y.shape}",
            where=where,
        )
    return split(x, float32(y, "targets", where).reshape(len(y), -1))
