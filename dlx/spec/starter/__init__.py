"""`dlx init`: looks at data and writes a commented spec that runs as it stands."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlx.data import images
from dlx.data.dataset import Dataset
from dlx.errors import DataError, DiskError, DlxError, did_you_mean
from dlx.parts import REGISTRIES
from dlx.parts.datasets import loading as registry
from dlx.parts.datasets.loading import FEW
from dlx.parts.datasets.table import ABSENT, MANY, is_number, parted
from dlx.parts.datasets.text import FIRST, words
from dlx.parts.registry import Part
from dlx.spec.parse import write_value
from dlx.system import terminal as display
from dlx.system.files import plain

ROWS = 20_000  # of a table that are looked at
LABELS = ("label", "target", "class", "y", "species", "survived", "outcome", "price", "category", "sentiment", "output")
GATES = ("or", "and", "not", "nand", "nor", "xor")
SAMPLED = 2000  # above so many images some are looked at instead of all
MEASURED = 200  # images whose sizes are looked at
Lines = list[str]


def start(data: str | None, label: str | None, output: str | None, force: bool) -> None:
    """Write a spec for the data, a folder, a file or the name of a dataset; tells what to type next."""
    word = data or "digits"
    path = Path(word)
    if word in REGISTRIES["dataset"] and not path.exists():
        stem, lines, then = word, _named(word), f"dlx predict {word} INPUT"
    elif path.is_dir():
        stem, lines, then = path.resolve().name, _folder(path, output), f"dlx predict {path.resolve().name} PHOTO.jpg"
    elif path.suffix.lower() in (".csv", ".npz") and path.is_file():
        stem = path.stem
        lines = _table(path, label, output) if path.suffix.lower() == ".csv" else _arrays(path, output)
        then = f"dlx predict {stem} OTHER{path.suffix.lower()}"
        beside = path.with_name("test.csv")
        if path.suffix.lower() == ".csv" and path != beside and beside.is_file() and ", test: " not in "".join(lines):
            then = f"dlx predict {stem} {beside} -o submission.csv"
    elif path.exists():
        raise DataError("is no folder, .csv or .npz", where=word)
    else:
        known = did_you_mean(word, REGISTRIES["dataset"])
        raise DataError(
            f"no such file, folder or dataset{known}", where=word, hint="dlx init photos/, train.csv or digits"
        )
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", stem).lstrip(".-") or "spec"
    target = Path(output or f"{stem}.yaml")
    if target.exists() and not force:
        raise DlxError("is there already", where=str(target), hint="-o OTHER.yaml, or --force to write over it")
    try:
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise DiskError(f"cannot write ({error.strerror})", where=str(target)) from error
    out = display.console()
    out.print(f"wrote {display.clean(str(target))}")
    display.lines(
        [("next", f"dlx run {target}"), ("", f"{then}".replace(f"predict {stem} ", f"predict {target.stem} "))]
    )


def _relative(path: Path, output: str | None) -> str:
    """The path as the spec says it: relative to the spec's folder."""
    return os.path.relpath(path, Path(output).parent if output else Path())


TRAINING = [
    "optimizer: adam",
    "lr: 0.001                     # ten times larger and smaller are worth a run each: dlx sweep",
]


def _named(name: str) -> Lines:
    """A spec for a dataset that dlx knows by its name."""
    registry = REGISTRIES["dataset"]
    needed = [parameter.name for parameter in registry.parameters(name).values() if parameter.required]
    if needed:
        raise DlxError(f"{name} needs {', '.join(needed)}", hint=f"dlx init PATH looks at your data; dlx parts {name}")
    facts = registry.help(name).split("\n")[0]
    lines = [f"# {facts}", f"dataset: {name}"]
    if name in ("mnist", "fashion_mnist", "cifar10", "cifar100", "digits"):
        own = name != "digits"
        lines += ["test: auto                    # the dataset's own"] if own else ["test: 0.2"]
        lines += _convolutions(small=True)
        return [*lines, *TRAINING, "batch_size: 64", f"epochs: {5 if own else 30}", "early_stop: 5"]
    if name == "binary_addition":
        return [
            *lines,
            "layers:",
            "  - gru: {units: 16, return_sequences: true}",
            "  - output",
            "lr: 0.01",
            "epochs: 10",
        ]
    gate = name in GATES
    lines += ["validation: none" if gate else "validation: 0.2", "layers:"]
    lines += ["  - dense: {units: 16, activation: tanh}", "  - output"]
    return [*lines, "lr: 0.01", f"epochs: {500 if gate else 200}"]


def _convolutions(small: bool) -> Lines:
    """Preprocessing and layers for images."""
    blocks = (16, 32) if small else (16, 32, 64, 64)
    lines = ["preprocess: [rescale]          # 0..255 becomes 0..1", "layers:"]
    for filters in blocks:
        lines += [
            f"  - conv2d: {{filters: {filters}, kernel_size: 3, padding: same, activation: relu}}",
            "  - max_pooling2d",
        ]
    return [*lines, "  - flatten" if small else "  - global_average_pooling2d", "  - dropout: 0.3", "  - output"]


# Folders of images


def _folder(path: Path, output: str | None) -> Lines:
    """A spec for a folder of images."""
    base = path / "train" if (path / "train").is_dir() else path
    found = images.files(base)
    if not found:
        raise DataError("holds no images", where=str(path), hint=f"looked for {', '.join(images.SUFFIXES)}")
    classes = [name for name in images.classes_below(base) if images.files(base / name)]
    arguments: dict[str, object] = {"path": _relative(path, output)}
    remarks = []
    if len(classes) >= 2:
        named: Counter[str] = Counter({name: len(images.files(base / name)) for name in classes})
    else:
        named = Counter(file.name.partition(".")[0] for file in found)
        tables = [table for table in (path / "labels.csv", path.with_name("labels.csv")) if table.is_file()]
        if tables:
            arguments["labels"] = _relative(tables[0], output)
            named = Counter()
        elif 2 <= len(named) <= len(found) / 2:
            arguments["labels"] = "filename"
        else:
            hint = "a folder a class; files named cat.1.jpg, dog.1.jpg; or a labels.csv of file and label"
            raise DataError("it does not show what the images are of", where=str(path), hint=hint)
    sizes, bad, grey = _measured(found)
    if not sizes:
        raise DataError("none of its images can be read", where=str(path))
    if len(sizes) > 1 or len(found) > SAMPLED or max(max(size) for size in sizes) > 128:
        side = 64 if max(max(size) for size in sizes) < 400 else 128
        arguments["image_size"] = side
        remarks.append(f"# The images have {len(sizes)} sizes; every one is resized to {side} × {side}.")
    if grey:
        arguments["grayscale"] = True
    if len(found) > SAMPLED and not bad:
        arguments["bad"] = "skip"  # the others were not looked at
    if bad:
        arguments["bad"] = "skip"
        told = ", ".join(file.name for file in bad[:3])
        verb = "cannot be read ({}) and is passed over; run.json counts it" if len(bad) == 1 else ""
        verb = verb or "cannot be read ({}) and are passed over; run.json counts them"
        remarks.append(f"# {len(bad)} {verb.format(_name(told))}.")
    counts = ", ".join(f"{count:,} {name}" for name, count in named.most_common(8))
    head = f"# {len(found):,} images" + (f": {counts}" if counts else "")
    side = int(str(arguments.get("image_size", max(next(iter(sizes))))))
    rare = named and max(named.values()) > 3 * min(named.values())
    return [
        head,
        *remarks,
        f"dataset: {write_value({'image_folder': arguments})}",
        "test: auto" if (path / "test").is_dir() and base != path else "test: 0.15",
        "validation: 0.15",
        "augment: [{flip: horizontal}]  # random changes in training; leave out what your images must not do",
        *_convolutions(small=side <= 32),
        *(["class_weight: balanced         # some classes are rare"] if rare else []),
        *TRAINING,
        "batch_size: 32",
        "epochs: 20",
        "early_stop: 5                 # stops after 5 epochs without a better val_loss",
    ]


def _measured(found: Sequence[Path]) -> tuple[Counter[tuple[int, int]], list[Path], bool]:
    """(sizes with their counts, files that cannot be read, whether all are grey) of some, or of all if they are few."""
    chosen = list(found) if len(found) <= SAMPLED else list(found[:: max(1, len(found) // MEASURED)])
    sizes: Counter[tuple[int, int]] = Counter()
    bad, grey = [], True
    for file in chosen:
        try:
            picture = images.read(file)
        except DataError:
            bad.append(file)
            continue
        sizes[(picture.shape[0], picture.shape[1])] += 1
        grey = grey and picture.shape[2] == 1
    return sizes, bad, grey


# Tables


@dataclass
class _Column:
    """What a column of a table holds."""

    name: str
    values: list[str] = field(default_factory=list)

    @property
    def held(self) -> list[str]:
        return [value for value in self.values if value not in ABSENT]

    @property
    def gaps(self) -> int:
        return len(self.values) - len(self.held)

    @property
    def distinct(self) -> int:
        return len(set(self.held))

    @property
    def numeric(self) -> bool:
        return bool(self.held) and all(is_number(value) for value in self.held)

    @property
    def whole(self) -> bool:
        return self.numeric and all(float(value).is_integer() for value in self.held)

    @property
    def wordy(self) -> bool:
        """Whether it holds sentences."""
        return not self.numeric and sum(len(v.split()) for v in self.held) > 5 * max(len(self.held), 1)


def _columns(path: Path) -> list[_Column]:
    try:
        with Path(plain(path)).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            columns = [_Column(name) for name in header]
            for number, row in enumerate(reader):
                if number >= ROWS:
                    break
                if row and len(row) == len(columns):
                    for column, value in zip(columns, row, strict=True):
                        column.values.append(value.strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read as CSV in UTF-8 ({error})", where=str(path)) from error
    if len(columns) < 2 or not columns[0].values:
        hint = parted([column.name for column in columns])
        raise DataError("expected a header of two columns or more, and rows", where=str(path), hint=hint)
    return columns


def _table(path: Path, label: str | None, output: str | None) -> Lines:
    """A spec for a table."""
    read = _columns(path)
    columns = {column.name: column for column in read}
    if len(columns) < len(read):
        raise DataError("the header names a column twice", where=f"{path}:1")
    beside = path.with_name("test.csv")
    other = {column.name for column in _columns(beside)} if beside.is_file() and beside != path else None
    target = columns[_label(path, columns, label, other)]
    rest = [column for column in columns.values() if column is not target]
    rows = len(target.values)
    if target.gaps:
        hint = "remove these rows: nothing can be learned from them"
        raise DataError(f"no value for {target.name!r}, the label, in {target.gaps} rows", where=str(path), hint=hint)
    if target.distinct < 2:
        hint = "--label NAME chooses another column"
        raise DataError(f"every value of {target.name!r}, the label, is the same", where=str(path), hint=hint)
    times = [column for column in rest if _is_time(column, rows)]
    if times and target.numeric and (label is None or not target.whole or target.distinct > FEW):
        return _series(path, times[0], rest if label else list(columns.values()), target if label else None, output)
    guess = "" if label else "; --label NAME chooses another column"
    told = f"# {_name(path.name)}: {rows:,}{'+' if rows == ROWS else ''} rows; {_name(target.name)} is predicted{guess}"
    texts = [column for column in rest if column.wordy and column.distinct > MANY / 2]
    if texts and len(rest) <= 3:
        return _texts(path, texts[0], target, told, output)
    arguments: dict[str, object] = {"path": _relative(path, output), "label": target.name}
    remarks: Lines = []
    number = next((c for c in rest if _is_id(c, rows)), None) or next((c for c in rest if _counts(c, rows)), None)
    if number is not None:
        arguments["id"] = number.name
        remarks.append(f"# {_name(number.name)} numbers the rows and predicts nothing.")
    dropped = [c for c in rest if c is not number and _useless(c)]
    if dropped:
        arguments["drop"] = [column.name for column in dropped]
        why = ", ".join(f"{_name(c.name)} ({c.distinct:,} different)" for c in dropped)
        remarks.append(f"# Left out, as no column to learn from as it stands: {why}.")
    used = [column for column in rest if column is not number and column not in dropped]
    if not used:
        raise DataError(f"has no column to predict {target.name!r} from", where=str(path))
    gaps = [column for column in used if column.gaps]
    if gaps or rows == ROWS:
        arguments["missing"] = "flag"
        told_gaps = ", ".join(f"{_name(c.name)} ({c.gaps})" for c in gaps) or "where there are some"
        remarks.append(f"# Gaps are filled with the median, and an input says where they were: {told_gaps}.")
    elif any(not column.numeric for column in used):
        arguments["missing"] = "median"
        remarks.append("# missing: median lets predict take words that are not in this table, as none of its own.")
    shares = Counter(target.held).most_common()
    rare = target.distinct <= FEW and shares[0][1] > 3 * shares[-1][1]
    if target.distinct <= FEW:
        remarks.append("# " + ", ".join(f"{count:,} {_name(name)}" for name, count in shares[:8]))
    few = rows < 20
    held_out = "test: none                    # too few rows" if few else "test: 0.2"
    if other is not None and target.name in other and {column.name for column in used} <= other:
        arguments["test"] = _relative(beside, output)
        held_out = "test: auto                    # test.csv"
    task, remark = _task(target)
    return [
        told,
        *remarks,
        f"dataset: {write_value({'csv': arguments})}",
        *([f"task: {task:<24} # {remark}"] if remark else []),
        held_out,
        "validation: none" if few else "validation: 0.2",
        *(["class_weight: balanced         # some classes are rare"] if rare and task != "regression" else []),
        "preprocess: [normalize]        # every input at mean 0 and deviation 1 over the train split",
        "layers:",
        "  - dense: {units: 64, activation: relu}",
        "  - dropout: 0.2",
        "  - dense: {units: 32, activation: relu}",
        "  - output",
        *TRAINING,
        "batch_size: 32",
        f"epochs: {100 if rows < 20_000 else 20}",
        "early_stop: 10                # stops after 10 epochs without a better val_loss",
    ]


def _label(path: Path, columns: dict[str, _Column], label: str | None, other: set[str] | None) -> str:
    """The column to predict: the one said, the one that test.csv lacks, one of a usual name, or the last."""
    if label is not None:
        if label not in columns:
            raise DataError(f"has no column {label!r}{did_you_mean(label, columns)}", where=str(path))
        return label
    if other is not None:
        lacking = [name for name in columns if name not in other]
        if len(lacking) == 1:
            return lacking[0]
    usual = [name for wanted in LABELS for name in columns if name.lower() == wanted]
    varied = [name for name, column in columns.items() if column.distinct > 1]
    return usual[0] if usual else (varied or list(columns))[-1]


def _is_id(column: _Column, rows: int) -> bool:
    named = column.name.lower() in ("id", "index", "") or re.search(r"(_id|[a-z]Id|ID)$", column.name) is not None
    return named and column.distinct == rows > 1


def _counts(column: _Column, rows: int) -> bool:
    """A column of whole numbers that rise by one: it numbers the rows."""
    if not column.whole or column.gaps or column.distinct != rows or rows < 10:
        return False
    numbers = [float(value) for value in column.values]
    return all(b - a == 1 for a, b in itertools.pairwise(numbers))


def _is_time(column: _Column, rows: int) -> bool:
    """A column of moments: dates, or times of a name that says so, each different."""
    if column.distinct != rows or rows < 30 or column.gaps:
        return False
    if all(re.match(r"\d{4}-\d{2}(-\d{2})?([T ]\d|$)", value) for value in column.values[:100]):
        return True
    named = re.fullmatch(r"(date|time|timestamp|datetime|hour|day|week|month|year|step)", column.name.lower())
    return bool(named) and _counts(column, rows)


def _series(path: Path, time: _Column, rest: Sequence[_Column], target: _Column | None, output: str | None) -> Lines:
    """A spec for a time series: the label, or else the first column of numbers, from its own past and the others'."""
    numbers = [column for column in rest if column.numeric and column is not time]
    wanted = target or numbers[0]
    window = max(4, min(24, len(time.values) // 20))
    said: dict[str, object] = {"path": _relative(path, output), "target": wanted.name, "window": window, "horizon": 1}
    if time.numeric:
        said["drop"] = [time.name]
    others = "; --label NAME chooses another column" if target is None and len(numbers) > 1 else ""
    return [
        f"# {_name(path.name)}: {len(time.values):,} rows that follow one another in {_name(time.name)}",
        f"# {window} rows predict the next value of {_name(wanted.name)}{others}.",
        f"dataset: {write_value({'series_csv': said})}",
        "test: 0.2                     # the last rows: a series is cut by time",
        "validation: 0.2",
        "preprocess: [normalize]",
        "layers:",
        "  - gru: 32",
        "  - output",
        "metrics: [mae, r2]",
        *TRAINING,
        "batch_size: 32",
        "epochs: 30",
        "early_stop: 5",
    ]


def _name(text: str) -> str:
    """A name from the data, as a comment can hold it."""
    return display.clean(" ".join(text.split()))


def _useless(column: _Column) -> bool:
    """A column of one value, or of too many words."""
    return column.distinct < 2 or (not column.numeric and column.distinct > min(MANY, max(10, len(column.held) / 4)))


def _task(target: _Column) -> tuple[str, str]:
    """(task, why it is said): a remark where `auto` would not do."""
    if not target.whole:
        return "auto", ""
    low = min(float(value) for value in target.held)
    if target.distinct <= FEW and low in (0, 1):
        return "auto", ""
    if target.distinct <= FEW:
        return "classification", f"{target.distinct} whole numbers; or regression, if they are amounts"
    return "regression", f"{target.distinct:,} whole numbers; or classification, if they are classes"


def _texts(path: Path, text: _Column, target: _Column, told: str, output: str | None) -> Lines:
    lengths = sorted(len(value.split()) for value in text.held)
    length = max(8, min(400, lengths[int(len(lengths) * 0.95)]))
    known = len({word for value in text.held for word in words(value)}) + FIRST
    tokens = min(20_000, known)
    said: dict[str, object] = {"path": _relative(path, output), "text": text.name, "label": target.name}
    said |= {"sequence_length": length, "max_tokens": tokens}
    task, remark = _task(target)
    return [
        told,
        f"# from {_name(text.name)}, cut at {length} words, which 95 of 100 texts do not exceed; {known:,} words.",
        f"dataset: {write_value({'text_csv': said})}",
        *([f"task: {task:<24} # {remark}"] if remark else []),
        "test: 0.2",
        "validation: 0.2",
        "layers:",
        f"  - embedding: {{input_dim: {tokens}, output_dim: 32}}   # input_dim is the dataset's max_tokens",
        "  - global_average_pooling1d",
        "  - dropout: 0.3",
        "  - dense: {units: 16, activation: relu}",
        "  - output",
        *TRAINING,
        "batch_size: 32",
        "epochs: 60",
        "early_stop: 5",
    ]


def _tasks(part: Part) -> Iterator[tuple[str, Dataset]]:
    """The tasks that arrays of whole numbers may be for, the likeliest first, each with the data as it reads them."""
    for task in ("multi_label", "classification", "regression"):
        with contextlib.suppress(DataError):
            found = registry.load(part, task)
            if task != "classification" or found.train.targets.ndim == 1 or len(found.shape) == 2:
                yield task, found


def _arrays(path: Path, output: str | None) -> Lines:
    """A spec for .npz arrays."""
    lines = [f"dataset: {write_value({'npz': _relative(path, output)})}"]
    try:
        found = registry.load(Part("npz", {"path": str(path)}))
    except DataError as error:
        if "say which" not in error.hint:
            raise
        task, found = next(_tasks(Part("npz", {"path": str(path)})))
        lines.append(f"task: {task:<24} # whole numbers; another one, if they mean something else")
    lines.insert(0, f"# {path.name}: {len(found.train):,} examples of shape {found.shape}")
    if len(found.train) < 20:
        lines += ["validation: none"]
    if found.kind == "image":
        lines += _convolutions(small=max(found.shape[:2]) <= 32)
    elif len(found.shape) == 2:
        lines += ["preprocess: [normalize]", "layers:", "  - lstm: 32", "  - output"]
    else:
        flat = [] if len(found.shape) == 1 else ["  - flatten"]
        lines += ["preprocess: [normalize]", "layers:", *flat, "  - dense: {units: 64, activation: relu}", "  - output"]
    return [*lines, "test: 0.2" if found.test is None else "test: auto", *TRAINING, "epochs: 30", "early_stop: 5"]
