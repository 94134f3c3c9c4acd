"""Folders of images of your own."""

from __future__ import annotations

import csv
import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dlx.data import images
from dlx.data.dataset import Dataset, Facts, Split, Stream
from dlx.errors import DataError
from dlx.parts.datasets import out_of_core as large
from dlx.parts.datasets.loading import fingerprint, float32, guess_task, know, registry
from dlx.parts.datasets.out_of_core import InMemory
from dlx.parts.registry import FilePath
from dlx.parts.types import ImageSize
from dlx.system import terminal as display
from dlx.system.backend import cores
from dlx.system.files import plain

if TYPE_CHECKING:
    import numpy as np

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
    `class_names` says which classes are wanted, and in which order. Hidden files and links are passed over.
    Images that would fill a quarter of the memory stay on disk and are read as they are needed; `in_memory` true or
    false says so for any. The figures are the same.
    """
    import numpy as np

    folder = Path(path)
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), hint="image_folder: {path: …} is relative to the spec")
    if class_names and len(set(class_names)) < len(class_names):
        raise DataError("class_names names a class twice", where="dataset")
    bases = {name: folder / name for name in ("train", "test") if (folder / name).is_dir()}
    base = bases.get("train", folder)
    found = _labelled(base, labels)
    task = _task_of(found, _task, labels)
    named = {label for _, label in found} | set(images.classes_below(base) if labels == "folder" else ())
    classes = tuple(class_names or sorted(named)) if task == "classification" else ()
    size = (image_size, image_size) if isinstance(image_size, int) else image_size and (image_size[0], image_size[1])
    reader = _Reader(size, 1 if grayscale else 3, bad == "skip", in_memory)
    train = _split(base, found, classes, task, reader, strict=class_names is None)
    test = None
    if "test" in bases and base != folder:
        held = _labelled(bases["test"], labels)
        test = _split(bases["test"], held, classes, task, reader, strict=class_names is None, whole=False)
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
    """A folder's spec that says its size and its classes can be checked without the folder."""
    if image_size is None or class_names is None:
        return None
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    return Facts((height, width, 1 if grayscale else 3), "classification", tuple(class_names))


know("image_folder", _image_facts)


def _labelled(folder: Path, labels: str) -> Labelled:
    """The images below a folder with their labels; raises DataError when there are none."""
    if labels == "folder":
        found = [(file, name) for name in images.classes_below(folder) for file in images.files(folder / name)]
        expected, what = f"{folder}/CLASS/image.jpg", "folders of images, one a class"
    elif labels == "filename":
        found = [(file, file.name.partition(".")[0]) for file in images.files(folder)]
        expected, what = f"{folder}/CLASS.1.jpg", "images named after their class"
    else:
        return _from_table(folder, Path(labels))
    if not found:
        here = images.files(folder)
        if classes := images.classes_below(folder) if labels == "folder" else []:
            hint = f"looked for {', '.join(images.SUFFIXES)}"
            raise DataError(f"no images for {', '.join(classes[:SHOWN])}", where=str(folder), hint=hint)
        hint = f"expected {expected}"
        if here and labels == "folder":
            hint += f"; it holds {len(here)} images without folders: labels: filename, or labels: labels.csv"
        raise DataError(f"holds no {what}", where=str(folder), hint=hint)
    return found


def _from_table(folder: Path, table: Path) -> Labelled:
    """The images that a table of file and label names; files are relative to the folder."""
    try:
        with Path(plain(table)).open(newline="", encoding="utf-8-sig") as stream:
            rows = [[field.strip() for field in row] for row in csv.reader(stream) if row]
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(table), hint="labels: folder, filename, or a table") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read as CSV in UTF-8 ({error})", where=str(table)) from error
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
    found = [((folder / name), label) for name, label, *_ in rows[1:]]
    lost = [
        name
        for (file, _), (name, *_) in zip(found, rows[1:], strict=True)
        if not file.is_file() or inside not in file.resolve().parents
    ]
    if lost:
        raise DataError(
            f"{len(lost)} of {len(found)} files are not in {folder.name}: {', '.join(lost[:SHOWN])}", where=str(table)
        )
    return found


def _task_of(found: Labelled, wanted: str, labels: str) -> Any:
    """Classes, or values where a table's labels are fractions."""
    import numpy as np

    if wanted == "multi_label":
        raise DataError("an image has one label here", where="task", hint="arrays in an .npz can have several")
    if labels in ("folder", "filename"):
        return "classification"
    try:
        values: Any = np.array([float(label) for _, label in found])
    except ValueError:
        return "classification"
    return guess_task(values, wanted, str(labels), "the label column")


@dataclass
class _Seen:
    """What is known of one image: its shape, the hash of its file, and its pixels where they stay in memory."""

    shape: tuple[int, ...]
    digest: bytes
    pixels: Any


class _Reader:
    """Reads images of one size and channel count, or looks at them and leaves them on disk.

    With `skip` it passes over what cannot be read, and remembers it.
    """

    def __init__(self, size: Any, channels: int, skip: bool, in_memory: InMemory) -> None:
        self.size, self.channels, self.skip, self.in_memory = size, channels, skip, in_memory
        self.skipped: list[str] = []
        self.stay, self.first = False, 0  # pixels of the first image
        self.digest = hashlib.sha256()

    def read(self, folder: Path, files: Sequence[Path]) -> tuple[np.ndarray | Stream, list[int]]:
        """(the images (n, height, width, channels) uint8, the places of those that could be read)."""
        import numpy as np

        pixels, kept = np.empty((0,), np.uint8), list[int]()
        shape: tuple[int, ...] = ()
        problems: list[DataError] = []
        sizes: Counter[tuple[int, ...]] = Counter()
        self.stay = stays = self.stay or self._stays(folder, files)  # train's are the first, and decide for both
        keys = np.zeros(len(files), np.uint64)  # of the files: what tells images apart that are not read
        with display.Bar(len(files), "images", plain=len(files) > 5000) as bar:
            for place, image in enumerate(self._each(files, pixels=not stays)):
                if isinstance(image, DataError):
                    problems.append(image)
                    continue
                if not kept:
                    shape = image.shape
                    pixels = np.empty((0 if stays else len(files), *shape), np.uint8)
                sizes[image.shape[:2]] += 1
                if image.shape == shape:
                    if not stays:
                        pixels[len(kept)] = image.pixels
                    self.digest.update(image.digest)
                    keys[place] = int.from_bytes(image.digest[:8], "little")
                    kept.append(place)
                if place % 100 == 0:
                    bar.update(place)
        self._judge(folder, files, problems, sizes)
        self.digest.update(str(shape).encode())
        if stays and kept:
            read = partial(self._pixels, [str(file) for file in files], shape)
            return Stream(read, np.array(kept), shape, np.dtype("uint8"), keys), kept
        return pixels[: len(kept)], kept

    def _stays(self, folder: Path, files: Sequence[Path]) -> bool:
        """Whether the images stay on disk."""
        if self.in_memory is False:
            return True
        looked = (self._look(file, pixels=False) for file in files[:100])
        first = next((found for found in looked if isinstance(found, _Seen)), None)
        shape = first.shape if first else (0, 0, 0)
        self.first = shape[0] * shape[1]
        what = f"{len(files):,} images of {shape[0]} × {shape[1]}"
        smaller = "a smaller image_size, or fewer images"
        return large.stays(len(files) * math.prod(shape), self.in_memory, what, str(folder), smaller)

    def _each(self, files: Sequence[Path], pixels: bool) -> Iterator[_Seen | DataError]:
        yield from images.in_parallel(partial(self._look, pixels=pixels), files, cores())

    def _look(self, file: Path, pixels: bool) -> _Seen | DataError:
        """What can be said of a file: from all of it, or from its header where that is enough."""
        try:
            try:
                raw = images.contents(file)
            except OSError as error:
                raise DataError(f"cannot be read ({error.strerror})", where=str(file)) from error
            digest = hashlib.sha256(raw).digest()
            larger = pixels and not self.size and self.first and math.prod(images.extent(raw, str(file))) > self.first
            if larger:  # of another size, which is an error: hundreds of such images would be held at once
                return _Seen((*images.extent(raw, str(file)), self.channels), digest, None)
            if pixels or self.skip:
                array = images.read(raw, self.channels, self.size, str(file))
                return _Seen(array.shape, digest, array if pixels else None)
            if not images.complete(raw):  # perhaps cut off: only decoding it can tell
                images.read(raw, self.channels, None, str(file))
            extent = images.extent(raw, str(file))
            return _Seen((*(self.size or extent), self.channels), digest, None)
        except DataError as error:
            return error

    def _pixels(self, names: Sequence[str], shape: tuple[int, ...], rows: np.ndarray) -> np.ndarray:
        """The images at the places `rows`, decoded in parallel: (rows, height, width, channels) uint8."""
        import numpy as np

        def read(row: int) -> np.ndarray:
            try:
                image = images.read(Path(names[row]), self.channels, self.size)
                if image.shape != shape:
                    expected = " × ".join(map(str, shape))
                    raise DataError(f"is {' × '.join(map(str, image.shape))}, expected {expected}", where=names[row])
            except DataError as error:
                error.hint = "bad: skip looks at every image before the training"
                raise
            return image

        found = np.empty((len(rows), *shape), np.uint8)
        for place, image in enumerate(images.in_parallel(read, rows.tolist(), cores(), ahead=max(1, len(rows)))):
            found[place] = image
        return found

    def _judge(self, folder: Path, files: Sequence[Path], problems: Sequence[DataError], sizes: Any) -> None:
        """Raise DataError for files that could not be read, or that differ in size."""
        if len(sizes) > 1:
            counted = ", ".join(f"{count} of {h} × {w}" for (h, w), count in sizes.most_common(4))
            raise DataError(
                f"the images have {len(sizes)} different sizes (height × width): {counted}" + " …" * (len(sizes) > 4),
                where=str(folder),
                hint="image_size: 64 resizes them all",
            )
        if problems and (not self.skip or len(problems) == len(files)):
            told = "".join(f"\n  {problem.where}: {problem.message}" for problem in problems[:SHOWN])
            count = f"{len(problems)} of {len(files)} images cannot be used:"
            more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            hint = f"expected {', '.join(images.FORMATS)}; bad: skip passes over them"
            raise DataError(f"{count}{told}{more}", where=str(folder), hint=hint)
        self.skipped += [os.path.relpath(problem.where, folder) for problem in problems]


def _split(
    folder: Path, found: Labelled, classes: Sequence[str], task: str, reader: _Reader, strict: bool, whole: bool = True
) -> Split:
    """The images of the wanted classes; with `strict` any other class is a mistake, with `whole` an empty one too."""
    import numpy as np

    number = {name: place for place, name in enumerate(classes)}
    if task == "classification":
        unknown = sorted({label for _, label in found} - set(classes))
        if unknown and strict:
            raise DataError(f"has classes that train has not: {', '.join(unknown[:SHOWN])}", where=str(folder))
        found = sorted((pair for pair in found if pair[1] in number), key=lambda pair: number[pair[1]])
    pixels, kept = reader.read(folder, [file for file, _ in found]) if found else (np.empty(0), [])
    said = [found[place][1] for place in kept]
    empty = [name for name in classes if name not in set(said)]
    if not kept or (empty and whole):
        hint = f"looked for {', '.join(images.SUFFIXES)}"
        raise DataError(f"no images for {', '.join(empty[:SHOWN]) or 'any class'}", where=str(folder), hint=hint)
    if task == "classification":
        targets: Any = np.array([number[label] for label in said], np.int32)
    else:
        targets = float32([float(label) for label in said], "labels", str(folder))[:, None]
    # A row's number is its place among all files, so that a skipped one moves no other.
    return Split(pixels, targets, np.array(kept, np.int64))
