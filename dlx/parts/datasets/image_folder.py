"""Folders of images of your own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.data import csv_file, images
from dlx.data.dataset import Dataset, Facts, Split
from dlx.errors import DataError
from dlx.parts.datasets.image_reader import ImageReader
from dlx.parts.datasets.loading import fingerprint, finite, guess_task, know, registry
from dlx.parts.datasets.out_of_core import InMemory
from dlx.parts.registry import FilePath
from dlx.parts.types import ImageSize

Labelled = list[tuple[Path, str]]
SHOWN = 8


@registry.register
def image_folder(
    path: FilePath,
    image_size: ImageSize | None = None,
    labels: Literal["folder", "filename"] | FilePath = "folder",
    grayscale: bool = False,
    bad: Literal["fail", "skip"] = "fail",
    class_names: Annotated[list[str], Field(min_length=2)] | None = None,
    in_memory: InMemory = "auto",
    _task: str = "auto",
) -> Dataset:
    """A folder a class: photos/cat/1.jpg, photos/dog/2.jpg; with train/ and test/ above them where there are.

    `image_size` is a number or [height, width] to which every image is resized; without it all images must have
    the same size. Images are turned upright as their EXIF data says. `labels: filename` takes the class from the
    file's name up to its first dot (cat.1.jpg), a path to a CSV table from its two columns, file and label; a label of
    fractions is a regression. `bad: skip` passes over files that cannot be read, and counts them in the run;
    `class_names` names the classes that are wanted, in their order. Hidden files and links are passed over.
    Images that would fill a quarter of the memory stay on disk and are read as they are needed; `in_memory` true or
    false decides for any. The figures are the same.
    """
    import numpy as np

    folder = Path(path)
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), hint="image_folder: {path: …} is relative to the spec")
    if class_names and len(set(class_names)) < len(class_names):
        raise DataError("class_names names a class twice", where="dataset")
    bases = {name: folder / name for name in ("train", "test") if (folder / name).is_dir()}
    base = bases.get("train", folder)
    examples = _labelled(base, labels)
    task = _task_of(examples, _task, labels)
    names = {label for _, label in examples} | set(images.classes_below(base) if labels == "folder" else ())
    classes = tuple(class_names or sorted(names)) if task == "classification" else ()
    wanted = _Targets(classes, task, strict=class_names is None)
    size = (image_size, image_size) if isinstance(image_size, int) else image_size and (image_size[0], image_size[1])
    reader = ImageReader(size, 1 if grayscale else 3, bad == "skip", in_memory)
    train = _split(base, examples, wanted, reader, complete=True)
    test = None
    if "test" in bases and base != folder:
        test = _split(bases["test"], _labelled(bases["test"], labels), wanted, reader, complete=False)
        if test.inputs.shape[1:] != train.inputs.shape[1:]:
            here, there = (" × ".join(map(str, split.inputs.shape[1:3])) for split in (test, train))
            message = f"its images are {here}, those of train {there}"
            raise DataError(message, where=str(bases["test"]), hint="image_size: 64 resizes them all")
    files = np.frombuffer(reader.digest.digest(), np.uint8)
    return Dataset(
        train,
        task,
        fingerprint(files, train.targets, *([test.targets] if test else [])),
        test=test,
        classes=classes,
        kind="image",
        source=folder.name,
        skipped=tuple(reader.skipped),
    )


def _image_facts(image_size: Any, grayscale: bool, class_names: Sequence[str] | None, **_: Any) -> Facts | None:
    """A folder's spec that sets its size and its classes can be checked without the folder."""
    if image_size is None or class_names is None:
        return None
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    return Facts((height, width, 1 if grayscale else 3), "classification", tuple(class_names))


know("image_folder", _image_facts)


def _labelled(folder: Path, labels: str) -> Labelled:
    """The images below a folder with their labels; raises DataError when there are none."""
    if labels == "folder":
        examples = [(file, name) for name in images.classes_below(folder) for file in images.files(folder / name)]
        expected, kind = f"{folder}/CLASS/image.jpg", "folders of images, one a class"
    elif labels == "filename":
        examples = [(file, file.name.partition(".")[0]) for file in images.files(folder)]
        expected, kind = f"{folder}/CLASS.1.jpg", "images named after their class"
    else:
        return _from_table(folder, Path(labels))
    if not examples:
        here = images.files(folder)
        if classes := images.classes_below(folder) if labels == "folder" else []:
            hint = f"looked for {', '.join(images.SUFFIXES)}"
            raise DataError(f"no images for {', '.join(classes[:SHOWN])}", where=str(folder), hint=hint)
        hint = f"expected {expected}"
        if here and labels == "folder":
            hint += f"; it holds {len(here)} images without folders: labels: filename, or labels: labels.csv"
        raise DataError(f"holds no {kind}", where=str(folder), hint=hint)
    return examples


def _from_table(folder: Path, table: Path) -> Labelled:
    """The images in a table of file and label; files are relative to the folder."""
    with csv_file.opened(table, hint="labels: folder, filename, or a table") as reader:
        rows = [[text.strip() for text in row] for row in reader if row]
    if len(rows) < 2 or any(len(row) < 2 or not row[0] or not row[1] for row in rows):
        raise DataError("expected a header and rows of two columns, file and label", where=str(table))
    if any(len(row) > 2 for row in rows):
        raise DataError("expected two columns, file and label; an image has one label", where=str(table))
    if (folder / rows[0][0]).is_file():
        raise DataError(
            "has no header: its first row names a file", where=f"{table}:1", hint="begin it with file,label"
        )
    twice = [name for name, count in Counter(row[0] for row in rows[1:]).items() if count > 1]
    if twice:
        raise DataError(f"names {len(twice)} files more than once: {', '.join(twice[:SHOWN])}", where=str(table))
    inside = folder.resolve()
    examples = [((folder / name), label) for name, label, *_ in rows[1:]]
    lost = [
        name
        for (file, _), (name, *_) in zip(examples, rows[1:], strict=True)
        if not file.is_file() or inside not in file.resolve().parents
    ]
    if lost:
        message = f"{len(lost)} of {len(examples)} files are not in {folder.name}: {', '.join(lost[:SHOWN])}"
        raise DataError(message, where=str(table))
    return examples


def _task_of(examples: Labelled, wanted: str, labels: str) -> Any:
    """Classes, or values where a table's labels are fractions."""
    import numpy as np

    if wanted == "multi_label":
        raise DataError("an image has one label here", where="task", hint="arrays in an .npz can have several")
    if labels in ("folder", "filename"):
        return "classification"
    try:
        values: Any = np.array([float(label) for _, label in examples])
    except ValueError:
        return "classification"
    return guess_task(values, wanted, str(labels), "the label column")


@dataclass(frozen=True)
class _Targets:
    """The classes in their order, or values; with `strict` any other class is a mistake."""

    classes: tuple[str, ...]
    task: Any
    strict: bool


def _split(folder: Path, examples: Labelled, wanted: _Targets, reader: ImageReader, complete: bool) -> Split:
    """The images of the wanted classes; with `complete` a class without images is a mistake."""
    import numpy as np

    number = {name: place for place, name in enumerate(wanted.classes)}
    classes = wanted.task == "classification"
    if classes:
        unknown = sorted({label for _, label in examples} - set(wanted.classes))
        if unknown and wanted.strict:
            raise DataError(f"has classes that train lacks: {', '.join(unknown[:SHOWN])}", where=str(folder))
        examples = sorted((pair for pair in examples if pair[1] in number), key=lambda pair: number[pair[1]])
    pixels, kept = reader.read(folder, [file for file, _ in examples]) if examples else (np.empty(0), [])
    labels = [examples[place][1] for place in kept]
    empty = [name for name in wanted.classes if name not in set(labels)]
    if not kept or (empty and complete):
        hint = f"looked for {', '.join(images.SUFFIXES)}"
        raise DataError(f"no images for {', '.join(empty[:SHOWN]) or 'any class'}", where=str(folder), hint=hint)
    if classes:
        targets: Any = np.array([number[label] for label in labels], np.int32)
    else:
        targets = finite([float(label) for label in labels], "labels", str(folder))[:, None]
    files = [file for file, _ in examples]
    # A row's number is its place among all files, so that a skipped one moves no other.
    index = np.array(kept, np.int64)
    return Split(pixels, targets, index, place=lambda row: files[row].relative_to(folder).as_posix())
