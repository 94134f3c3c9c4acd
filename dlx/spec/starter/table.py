"""A starter spec for a table: columns, texts or a time series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx.errors import DataError
from dlx.parts.datasets.loading import FEW
from dlx.parts.datasets.table import MANY
from dlx.parts.datasets.text import FIRST, words
from dlx.spec.parse import write_value
from dlx.spec.starter.columns import ROWS, Column, counts_rows, is_id, is_time, label_of, read_columns, useless
from dlx.spec.starter.layout import TRAINING, Lines, comment, named, relative, signal, smooth, stops

Arguments = dict[str, object]
LAYERS = [
    "preprocess: [normalize]        # every input at mean 0 and deviation 1 over the train split",
    "layers:",
    "  - dense: {units: 64, activation: relu}",
    "  - dropout: 0.2",
    "  - dense: {units: 32, activation: relu}",
    "  - output",
]


@dataclass(frozen=True)
class _Table:
    """A table as `init` reads it: the columns, the one to predict, whether the user named it, and those of test.csv."""

    path: Path
    columns: Sequence[Column]
    target: Column
    target_named: bool
    test_columns: set[str] | None

    @property
    def rows(self) -> int:
        return len(self.target.values)

    @property
    def others(self) -> list[Column]:
        return [column for column in self.columns if column is not self.target]

    @property
    def head(self) -> str:
        guess = "" if self.target_named else "; --label NAME chooses another column"
        count = f"{self.rows:,}{'+' if self.rows == ROWS else ''} rows"
        return f"# {comment(self.path.name)}: {count}; {comment(self.target.name)} is predicted{guess}"


def table_spec(path: Path, label: str | None, output: str | None) -> Lines:
    """A spec for a table."""
    table = _read(path, label)
    target, others = table.target, table.others
    times = [column for column in others if is_time(column, table.rows)]
    if times and target.numeric and (not table.target_named or not target.whole or target.distinct > FEW):
        return _series(table, times[0], output)
    texts = [column for column in others if column.free_text and column.distinct > MANY / 2]
    if texts and len(others) <= 3:
        return _texts(table, texts[0], output)
    return _rows(table, output)


def _read(path: Path, label: str | None) -> _Table:
    """The table, its label checked. Raises DataError where nothing can be learned from it."""
    columns = read_columns(path)
    by_name = {column.name: column for column in columns}
    if len(by_name) < len(columns):
        raise DataError("the header names a column twice", where=f"{path}:1")
    beside = path.with_name("test.csv")
    has_test = beside.is_file() and beside != path
    test_columns = {column.name for column in read_columns(beside)} if has_test else None
    target = by_name[label_of(path, by_name, label, test_columns)]
    if target.distinct < 2:
        hint = "--label NAME chooses another column"
        raise DataError(f"every value of {target.name!r}, the label, is the same", where=str(path), hint=hint)
    return _Table(path, columns, target, label is not None, test_columns)


def _rows(table: _Table, output: str | None) -> Lines:
    """A spec for rows of numbers and categories."""
    target = table.target
    arguments: Arguments = {"path": relative(table.path, output), "label": target.name}
    more, remarks, used = _inputs(table)
    arguments |= more
    shares = Counter(target.present).most_common()
    rare = target.distinct <= FEW and shares[0][1] > 3 * shares[-1][1]
    if target.distinct <= FEW:
        remarks.append(f"# {named(shares)}")
    few = table.rows < 20
    test = "test: none                    # too few rows" if few else "test: 0.2"
    there = table.test_columns
    if there is not None and target.name in there and {column.name for column in used} <= there:
        arguments["test"] = relative(table.path.with_name("test.csv"), output)
        test = "test: auto                    # test.csv"
    task, remark = _task(target)
    return [
        table.head,
        *remarks,
        f"dataset: {write_value({'csv': arguments})}",
        *([f"task: {task:<24} # {remark}"] if remark else []),
        test,
        "validation: none" if few else "validation: 0.2",
        *(["class_weight: balanced         # some classes are rare"] if rare and task != "regression" else []),
        *((_signal(used) if "missing" not in arguments else []) or LAYERS),
        *TRAINING,
        "batch_size: 32",
        f"epochs: {100 if table.rows < 20_000 else 20}",
        stops(10, not few),
    ]


def _signal(used: Sequence[Column]) -> Lines:
    """Preprocessing and layers where the columns of a row are the steps of a signal; else nothing."""
    if not all(column.numeric for column in used):
        return []
    rows = [[float(value) for value in row] for row in zip(*(column.values[:200] for column in used), strict=True)]
    return signal((len(used),), flat=True) if smooth(rows) else []


def _inputs(table: _Table) -> tuple[Arguments, Lines, list[Column]]:
    """(what becomes of the columns beside the label, remarks on that, the columns to learn from)."""
    rows, others = table.rows, table.others
    arguments: Arguments = {}
    remarks: Lines = []
    if table.target.gaps:
        arguments["missing_label"] = "drop"
        rows_have = "1 row has" if table.target.gaps == 1 else f"{table.target.gaps} rows have"
        remarks.append(f"# {rows_have} no {comment(table.target.name)}: left out.")
    number = next((c for c in others if is_id(c, rows)), None)
    number = number or next((c for c in others if counts_rows(c, rows)), None)
    if number is not None:
        arguments["id"] = number.name
        remarks.append(f"# {comment(number.name)} numbers the rows and predicts nothing.")
    dated = [c for c in others if c is not number and c.dates == "days"]
    if dated:
        remarks.append(f"# Dates become days since 1970-01-01: {', '.join(comment(c.name) for c in dated)}.")
    dropped = [c for c in others if c is not number and useless(c)]
    if dropped:
        arguments["drop"] = [column.name for column in dropped]
        why = ", ".join(f"{comment(c.name)} ({c.distinct:,} different)" for c in dropped)
        remarks.append(f"# Left out, because nothing can be learned from them: {why}.")
    used = [column for column in others if column is not number and column not in dropped]
    if not used:
        raise DataError(f"has no column to predict {table.target.name!r} from", where=str(table.path))
    gaps = [column for column in used if column.gaps]
    if gaps or rows == ROWS:
        arguments["missing"] = "flag"
        where = ", ".join(f"{comment(c.name)} ({c.gaps})" for c in gaps) or "where there are some"
        remarks.append(f"# Gaps are filled with the median, and an input marks where they were: {where}.")
    elif any(not column.numeric and column not in dated for column in used):
        arguments["missing"] = "median"
        remarks.append("# missing: median lets predict take words that are not in this table; they count as unknown.")
    return arguments, remarks, used


def _series(table: _Table, time: Column, output: str | None) -> Lines:
    """A spec for a time series: the label, or else the first column of numbers, from its own past and the others'."""
    columns = table.others if table.target_named else table.columns
    numbers = [column for column in columns if column.numeric and column is not time]
    target = table.target if table.target_named else numbers[0]
    window = max(4, min(24, len(time.values) // 20))
    arguments: Arguments = {"path": relative(table.path, output), "target": target.name}
    arguments |= {"window": window, "horizon": 1}
    if time.numeric:
        arguments["drop"] = [time.name]
    others = "; --label NAME chooses another column" if not table.target_named and len(numbers) > 1 else ""
    return [
        f"# {comment(table.path.name)}: {len(time.values):,} rows that follow one another in {comment(time.name)}",
        f"# {window} rows predict the next value of {comment(target.name)}{others}.",
        f"dataset: {write_value({'series_csv': arguments})}",
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


def _task(target: Column) -> tuple[str, str]:
    """(task, why the spec names it): a remark where `auto` would not do."""
    if not target.whole:
        return "auto", ""
    low = min(float(value) for value in target.present)
    if target.distinct <= FEW and low in (0, 1):
        return "auto", ""
    if target.distinct <= FEW:
        return "classification", f"{target.distinct} whole numbers; or regression, if they are amounts"
    return "regression", f"{target.distinct:,} whole numbers; or classification, if they are classes"


def _texts(table: _Table, text: Column, output: str | None) -> Lines:
    """A spec for a column of texts."""
    lengths = sorted(len(value.split()) for value in text.present)
    length = max(8, min(400, lengths[int(len(lengths) * 0.95)]))
    known = len({word for value in text.present for word in words(value)}) + FIRST
    tokens = min(20_000, known)
    arguments: Arguments = {"path": relative(table.path, output), "text": text.name, "label": table.target.name}
    arguments |= {"sequence_length": length, "max_tokens": tokens}
    if table.target.gaps:
        arguments["missing_label"] = "drop"
    task, remark = _task(table.target)
    return [
        table.head,
        f"# from {comment(text.name)}, cut at {length} words, which 95 of 100 texts do not exceed; {known:,} words.",
        f"dataset: {write_value({'text_csv': arguments})}",
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
