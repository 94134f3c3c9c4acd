"""A starter spec for a folder of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx.data import images
from dlx.errors import DataError
from dlx.runs.find import command_line
from dlx.spec.parse import write_value
from dlx.spec.starter.layout import TRAINING, Lines, comment, convolutions, named, relative, stops

SAMPLED = 2000  # of more images than this, some are looked at instead of all
MEASURED = 200  # images whose sizes are looked at
Arguments = dict[str, object]


def folder_spec(path: Path, output: str | None) -> Lines:
    """A spec for a folder of images."""
    base = path / "train" if (path / "train").is_dir() else path
    files = images.files(base)
    if not files:
        raise DataError("holds no images", where=str(path), hint=f"looked for {', '.join(images.SUFFIXES)}")
    arguments: Arguments = {"path": relative(path, output)}
    labels, classes = _labels(path, base, files, output)
    arguments |= labels
    sample = _sampled(files)
    if not sample.sizes:
        raise DataError("none of its images can be read", where=str(path))
    more, remarks = _reading(sample, len(files))
    arguments |= more
    counts = named(classes.most_common())
    side = int(str(arguments.get("image_size", max(next(iter(sample.sizes))))))
    rare = classes and max(classes.values()) > 3 * min(classes.values())
    for name in ("valid", "validation", "val"):
        if base != path and (path / name).is_dir():
            remarks.append(f"# {name}/ is not read: the validation is a part of train/; move its images there.")
    inside = sum(classes.values()) if "labels" not in arguments else len(files)
    if loose := len(files) - inside:
        remarks.append(f"# {loose} images lie in no class's folder and are left out.")
    return [
        f"# {len(files):,} images" + (f": {counts}" if counts else ""),
        *remarks,
        f"dataset: {write_value({'image_folder': arguments})}",
        "test: auto" if (path / "test").is_dir() and base != path else "test: 0.15",
        "validation: 0.15",
        "augment: [{flip: horizontal}]  # random changes in training; leave out what your images must not do",
        *convolutions(small=side <= 32),
        *(["class_weight: balanced         # some classes are rare"] if rare else []),
        *TRAINING,
        "batch_size: 32",
        "epochs: 20",
        stops(5),
    ]


def _labels(path: Path, base: Path, files: Sequence[Path], output: str | None) -> tuple[Arguments, Counter[str]]:
    """(how the images are labelled, how many there are of each class as far as that is known)."""
    folders = [name for name in images.classes_below(base) if images.files(base / name)]
    if len(folders) >= 2:
        return {}, Counter({name: len(images.files(base / name)) for name in folders})
    tables = [table for table in (path / "labels.csv", path.with_name("labels.csv")) if table.is_file()]
    if tables:
        return {"labels": relative(tables[0], output)}, Counter()
    if len(folders) == 1 and len(deeper := images.classes_below(base / folders[0])) >= 2:
        hint = command_line("dlx", "init", str(base / folders[0]))
        raise DataError(f"its classes are one folder deeper: {', '.join(deeper[:4])}", where=str(path), hint=hint)
    names = Counter(file.name.partition(".")[0] for file in files)
    if not 2 <= len(names) <= len(files) / 4:
        hint = "a folder a class; files named cat.1.jpg, dog.1.jpg; or a labels.csv of file and label"
        raise DataError("it does not show what the images are of", where=str(path), hint=hint)
    return {"labels": "filename"}, names


@dataclass
class _Sample:
    """What some of the images showed, or all if they are few."""

    sizes: Counter[tuple[int, int]]
    bad: list[Path]
    grey: bool


def _sampled(files: Sequence[Path]) -> _Sample:
    chosen = list(files) if len(files) <= SAMPLED else list(files[:: max(1, len(files) // MEASURED)])
    sample = _Sample(Counter(), [], True)
    for file in chosen:
        try:
            picture = images.read_image(file)
        except DataError:
            sample.bad.append(file)
            continue
        sample.sizes[(picture.shape[0], picture.shape[1])] += 1
        sample.grey = sample.grey and picture.shape[2] == 1
    return sample


def _reading(sample: _Sample, count: int) -> tuple[Arguments, Lines]:
    """(how the images are read, remarks on that)."""
    arguments: Arguments = {}
    remarks: Lines = []
    largest = max(max(size) for size in sample.sizes)
    if len(sample.sizes) > 1 or count > SAMPLED or largest > 128:
        side = 64 if largest < 400 else 128
        arguments["image_size"] = side
        many = len(sample.sizes)
        have = f"have {many} sizes" if many > 1 else "are {} × {}".format(*next(iter(sample.sizes)))
        remarks.append(f"# The images {have}; every one is resized to {side} × {side}.")
    if sample.grey:
        arguments["grayscale"] = True
    if sample.bad or count > SAMPLED:  # of many, the others were not looked at
        arguments["bad"] = "skip"
    if bad := sample.bad:
        names = comment(", ".join(file.name for file in bad[:3]))
        are, them = ("is", "it") if len(bad) == 1 else ("are", "them")
        remarks.append(f"# {len(bad)} cannot be read ({names}) and {are} passed over; run.json counts {them}.")
    return arguments, remarks
