"""What differs between runs and what resulted, from their JSON alone."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import json
import math
import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, RunError, did_you_mean
from dlx.runs import run as runs
from dlx.runs.run import Run

# What a run is called and what was said about it are no settings of the experiment.
LABELS = ("name", "description", "tags", "plots", "strict", "seed")
LISTS = ("layers", "augment", "preprocess", "metrics")
PARTS = ("dataset", "optimizer", "schedule", "loss")
KEPT = ("dataset", "monitor", "start", "started", "code")  # of run.json, beside the settings
MOST = 500  # parts of a list that are paired by their likeness
LARGEST = 1e150
ABSENT = "–"
BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Entry:
    """One run as far as it could be read; `reason` says why not."""

    path: Path
    status: str
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def name(self) -> str:
        return self.path.name

    @functools.cached_property
    def data(self) -> str:
        """What the run learned from: the dataset's name and where it came from; empty where that is not known."""
        part = next((key.split(".")[1] for key in self.settings if key.startswith("dataset.")), "")
        source = (self.info.get("dataset") or {}).get("source", "")
        return f"{part or self.settings.get('dataset', '')} {source}".strip()


def identity(settings: Mapping[str, Any], apart: Sequence[str] = ()) -> str:
    """What tells experiments apart: all the settings but labels, and but what `apart` names. The seed is no label."""
    labels = {*LABELS, *apart} - {"seed"}
    kept = {key: value for key, value in settings.items() if key.split(".")[0] not in labels}
    return json.dumps(runs.finite(kept), sort_keys=True)


def read(path: Path, like: Mapping[str, Any] | None = None) -> Entry:
    """The run at `path`; a damaged or foreign directory becomes an entry with its reason.

    `like` are settings that it probably shares: what is equal is kept once.
    """
    try:
        run = Run(path)
        info = run.info()
        metrics = run.metrics()
        settings = info["settings"]
        if like is not None:
            settings = {
                sys.intern(k): a if type(a := like.get(k, like)) is type(v) is not list and a == v else v
                for k, v in settings.items()
            }
        known = {key: info[key] for key in KEPT if key in info}
        return Entry(path, "done" if metrics is not None else run.status, settings, metrics or {}, known)
    except DlxError as error:
        return Entry(path, "damaged", reason=error.message)


def _same(a: Any, b: Any) -> bool:
    """Whether two settings are equal, and of one type: 1, 1.0 and true are three."""
    return type(a) is type(b) and (repr(a) == repr(b) if isinstance(a, list) else bool(a == b))


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection within: many thousand runs are many objects, and none of them is garbage."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def gather(words: Iterable[str], folder: Path) -> tuple[list[Entry], list[str]]:
    """(entries, remarks) of what a command line names, as a shell expands `runs/*`.

    Plain files are passed over in silence, folders of runs with a remark that says how to name their runs.
    Raises RunError for a word that names nothing.
    """
    entries: list[Entry] = []
    remarks: list[str] = []
    seen: set[Any] = set()
    like: Mapping[str, Any] | None = None
    for word in words:
        if os.path.isfile(word):
            continue
        for path in runs.find(word, folder):
            place = _place(path)
            if place in seen:
                continue
            seen.add(place)
            if runs.is_folder_of_runs(path):
                remarks.append(f"{path} is a folder of runs: dlx compare {path}/* compares them")
            else:
                entries.append(read(path, like))
                like = like or entries[-1].settings
    return entries, remarks


def _place(path: Path) -> Any:
    """What tells a directory from others, whatever it is called."""
    try:
        there = os.stat(path)
    except OSError:
        return path
    return (there.st_dev, there.st_ino) if there.st_ino else path.resolve()


def records(words: Iterable[str], folder: Path | None = None) -> list[dict[str, Any]]:
    """run, status, settings and metrics of each, never folded; a damaged one has a reason."""
    entries, _ = gather(words, folder or runs.root())
    return [as_record(entry) for entry in entries]


def as_record(entry: Entry) -> dict[str, Any]:
    """An entry as `--json` says it."""
    found = {"run": str(entry.path), "status": entry.status, "settings": entry.settings, "metrics": entry.metrics}
    return {**found, "reason": entry.reason} if entry.reason else found


# Folding and sorting


@dataclass
class Row:
    """One line of the comparison: a run, or several that differ in nothing but the seed."""

    entries: list[Entry]

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def name(self) -> str:
        if len(self.entries) == 1:
            return self.first.name
        return f"{self.first.settings.get('name', self.first.name)} (n={len(self.entries)})"

    def values(self, key: str) -> list[float]:
        """The figures under `key` that are finite, and not so large that their sum would not be."""
        found = (entry.metrics.get(key) for entry in self.entries)
        numbers = [float(v) for v in found if isinstance(v, (int, float)) and not isinstance(v, bool)]
        return [value for value in numbers if abs(value) < LARGEST]

    def figure(self, key: str) -> float | None:
        """The mean; None when a run of the row has no finite one, so that a NaN is never best."""
        values = self.values(key)
        return statistics.fmean(values) if len(values) == len(self.entries) else None

    def shown(self, key: str) -> str:
        values = self.values(key)
        if not values:
            return ABSENT
        mean = statistics.fmean(values)
        if len(self.entries) == 1:
            return number(mean)
        spread = f" ± {number(statistics.stdev(values))}" if len(values) > 1 else ""
        short = "" if len(values) == len(self.entries) else f" ({len(values)} of {len(self.entries)})"
        return f"{number(mean)}{spread}{short}"


def number(value: float) -> str:
    """A figure as a person reads it: four decimals below 10, fewer above, four digits where it is small."""
    size = abs(value)
    if value == int(value) and size < 1e15:
        return str(int(value))
    if size < 0.01:
        return f"{value:.3g}"
    return f"{value:.4f}" if size < 10 else f"{value:.2f}" if size < 1000 else f"{value:.0f}"


def fold(entries: Sequence[Entry]) -> list[Row]:
    """Finished runs of the same settings but for the seed in one row, in order of their first run."""
    rows: dict[Any, Row] = {}
    first: Mapping[str, Any] = entries[0].settings if entries else {}
    for entry in entries:
        key: Any = id(entry)
        if entry.status == "done" and entry.settings:
            # What it has otherwise than the first, or not at all, says what it has.
            other = [
                (k, v) for k, v in entry.settings.items() if (a := first.get(k, first)) is not v and not _same(a, v)
            ]
            lacks = (
                [k for k in first if k not in entry.settings] if len(entry.settings) - len(other) < len(first) else []
            )
            same = [pair for pair in [*other, *((k, ABSENT) for k in lacks)] if pair[0].split(".")[0] not in LABELS]
            key = (repr(sorted(same)), str((entry.info.get("dataset") or {}).get("fingerprint")))
            alike = rows.get(key)
            seeds = [e.settings.get("seed") for e in alike.entries] if alike else []
            if entry.settings.get("seed") in seeds:
                key = id(entry)  # the same seed twice is no repetition to average over
        if key in rows:
            rows[key].entries.append(entry)
        else:
            rows[key] = Row([entry])
    return list(rows.values())


def is_figure(metric: str) -> bool:
    """Whether one value of the metric is better than another."""
    return metric.startswith(("train_", "val_", "test_")) and metric not in ("train_seconds", "test_is_validation")


def ordered(rows: list[Row], metric: str | None) -> list[Row]:
    """The best first by `metric`; rows without a finite figure last. Without one, as they were named.

    Raises RunError when no run has that metric.
    """
    if metric is None:
        return rows
    known = sorted({key for row in rows for entry in row.entries for key in entry.metrics})
    if metric not in known and rows:
        raise RunError(
            f"no run has a figure {metric!r}{did_you_mean(metric, known)}", hint=f"there are {', '.join(known)}"
        )
    sign = -1 if runs.maximized(metric) else 1

    def key(row: Row) -> tuple[bool, float]:
        value = row.figure(metric)
        return (value is None, sign * (value or 0.0))

    return sorted(rows, key=key)


# Settings that differ


@dataclass
class Column:
    """A column of the comparison: its full address, its heading, and a text for each row."""

    address: str
    title: str
    cells: list[str]


def differences(rows: Sequence[Row]) -> list[Column]:
    """A column for each setting that is not the same in all rows; lists of layers are aligned first."""
    settings = [row.first.settings for row in rows]
    varying = _varying(settings)
    columns = _plain(settings, varying)
    for section in (*PARTS, *LISTS):
        keys = [key for key in varying if key.split(".")[0] == section]
        if keys:  # the rows that are alike in the section are looked at once
            alike: dict[str, int] = {}
            places = [alike.setdefault(repr([s.get(key, ABSENT) for key in keys]), len(alike)) for s in settings]
            unlike = dict(zip(reversed(places), reversed(settings), strict=True))
            firsts = [unlike[number] for number in range(len(alike))]
            found = _parts(section, firsts) if section in PARTS else _aligned(section, firsts)
            columns += [Column(c.address, c.title, [c.cells[place] for place in places]) for c in found]
    seeds = [ABSENT if not s else str(s.get("seed")) if len(row.entries) == 1 else f"{len(row.entries)} seeds"
             for row, s in zip(rows, settings, strict=True)]  # fmt: skip
    columns.append(Column("seed", "seed", seeds))
    prints = [str((row.first.info.get("dataset") or {}).get("fingerprint", ""))[:8] or ABSENT for row in rows]
    columns.append(Column("data", "data", prints))
    readable = [bool(row.first.settings) for row in rows]
    order = {section: place for place, section in enumerate(("dataset", *LISTS, "optimizer", "lr"))}
    found = [c for c in columns if len({cell for cell, ok in zip(c.cells, readable, strict=True) if ok}) > 1]
    if any(column.address.startswith("dataset") for column in found):
        found = [column for column in found if column.address != "data"]
    return sorted(found, key=lambda c: order.get(c.address.split(".")[0], 99))


def text(value: Any) -> str:
    """A setting as a cell."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    return str(value)


def _varying(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys that not all have, or not with the same value, in the order in which the first of them has them."""
    first = settings[0] if settings else {}
    found: set[str] = set()
    for s in settings:
        found.update([k for k, v in s.items() if (a := first.get(k, first)) is not v and not _same(a, v)])
        if not first.keys() <= s.keys():
            found |= first.keys() - s.keys()
    order = dict.fromkeys([*first, *(key for s in settings for key in s if key in found)]) if found else {}
    return [key for key in order if key in found]


def _plain(settings: Sequence[Mapping[str, Any]], varying: Sequence[str]) -> list[Column]:
    special = (*LABELS, *LISTS, *PARTS)
    keys = [key for key in varying if key.split(".")[0] not in special]
    return [Column(key, key, [text(s.get(key)) for s in settings]) for key in keys]


def _parts(section: str, settings: Sequence[Mapping[str, Any]]) -> list[Column]:
    """A column for the name of a part, and one for each argument among the runs that share a part."""
    found = [_part(section, s) for s in settings]
    columns = [Column(section, section, [name for name, _ in found])]
    for name in dict.fromkeys(name for name, _ in found):
        sharing = [args for other, args in found if other == name]
        for key in dict.fromkeys(key for args in sharing for key in args):
            if len({text(args.get(key)) for args in sharing}) > 1:
                cells = [text(args.get(key)) if other == name else ABSENT for other, args in found]
                columns.append(Column(f"{section}.{name}.{key}", f"{name}.{key}", cells))
    return columns


def _part(section: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if section in settings:
        return text(settings[section]), {}
    args: dict[str, Any] = {}
    name = ABSENT
    for key, value in settings.items():
        if key.startswith(section + "."):
            name, _, parameter = key[len(section) + 1 :].partition(".")
            args[parameter] = value
    return name, args


Layer = tuple[str, dict[str, Any]]


def _listed(section: str, settings: Mapping[str, Any]) -> list[Layer]:
    """The parts of a list, from the flat settings: (name, arguments by their address below the part)."""
    found: dict[int, Layer] = {}
    for key, value in settings.items():
        if not key.startswith(section) or (where := _placed(section, key)) is None:
            continue
        place, name, parameter = where
        if name is None:
            found[place] = (text(value), {})
        else:
            found.setdefault(place, (name, {}))[1][parameter] = value
    return [found[place] for place in sorted(found)]


@functools.cache
def _placed(section: str, key: str) -> tuple[int, str | None, str] | None:
    """(place, name, parameter) of a key of a list: layers.0.dense.units; no name where the part has no arguments."""
    head, _, rest = key.partition(".")
    place, _, below = rest.partition(".")
    if head != section or not (place.isascii() and place.isdigit() and len(place) < 10):
        return None
    name, _, parameter = below.partition(".")
    return int(place), name or None, parameter


def _likeness(a: Layer, b: Layer) -> float:
    """How well two parts go together: 0 for different names, 3 for the same part."""
    if a[0] != b[0]:
        return 0.0
    keys = set(a[1]) | set(b[1])
    same = sum(a[1].get(key) == b[1].get(key) for key in keys)
    return 1.0 + 2.0 * (same / len(keys) if keys else 1.0)


def align(first: Sequence[Layer], second: Sequence[Layer]) -> list[tuple[int | None, int | None]]:
    """Pairs of positions that go together, in order; None where one list has nothing (Needleman and Wunsch 1970)."""
    if _in_step(first, second):
        return [(place, place) for place in range(len(first))]
    if max(len(first), len(second)) > MOST:  # no spec has so many
        return list(itertools.zip_longest(range(len(first)), range(len(second))))
    best = [[0.0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        for j in range(len(second) - 1, -1, -1):
            like = _likeness(first[i], second[j])
            both = like + best[i + 1][j + 1] if like else 0.0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(first) or j < len(second):
        like = _likeness(first[i], second[j]) if i < len(first) and j < len(second) else 0.0
        if like and best[i][j] == like + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif j == len(second) or (i < len(first) and best[i][j] == best[i + 1][j]):
            pairs.append((i, None))
            i += 1
        else:
            pairs.append((None, j))
            j += 1
    return pairs


def _in_step(first: Sequence[Layer], second: Sequence[Layer]) -> bool:
    """Whether no other pairing can be better than place by place: what differs there goes together nowhere better."""
    if len(first) != len(second) or len(first) > MOST:
        return False
    for a, b in zip(first, second, strict=True):
        if a == b:
            continue
        like = _likeness(a, b)
        if not like or any(_likeness(a, other) > like for other in second):
            return False
    return True


def _aligned(section: str, settings: Sequence[Mapping[str, Any]]) -> list[Column]:
    """A column for each part that some runs lack, and one for each argument that differs."""
    slots: list[dict[int, tuple[int, Layer]]] = []
    lists = [_listed(section, s) for s in settings]
    if all(parts == lists[0] for parts in lists):
        return []
    for run, parts in enumerate(lists):
        if slots and len(slots) == len(parts) and _in_step([next(iter(s.values()))[1] for s in slots], parts):
            for place, slot in enumerate(slots):
                slot[run] = (place, parts[place])
            continue
        merged = []
        representative = [next(iter(slot.values()))[1] for slot in slots]
        for old, new in align(representative, parts):
            slot = dict(slots[old]) if old is not None else {}
            if new is not None:
                slot[run] = (new, parts[new])
            merged.append(slot)
        slots = merged
    columns = []
    for slot in slots:
        place, (name, _) = next(iter(slot.values()))
        title, address = f"{name}[{place}]", f"{section}.{place}.{name}"
        keys = list(dict.fromkeys(key for _, (_, args) in slot.values() for key in args))
        if len(slot) < sum(bool(s) for s in settings):
            cells = [_summary(slot[run][1]) if run in slot else ABSENT for run in range(len(settings))]
            columns.append(Column(address, title, cells))
            # What differs among the runs that have the part is a column too; its first argument is told already.
            keys = [key for key in keys if _told(slot.values()) != key and _differ(slot.values(), key)]
        for key in keys:
            cells = [text(slot[run][1][1].get(key)) if run in slot else ABSENT for run in range(len(settings))]
            columns.append(Column(f"{address}.{key}", f"{title}.{key}", cells))
    return columns


def _differ(places: Iterable[tuple[int, Layer]], key: str) -> bool:
    return len({text(args.get(key)) for _, (_, args) in places}) > 1


def _told(places: Iterable[tuple[int, Layer]]) -> str | None:
    """The argument that `_summary` shows of every one of these, if it is the same one."""
    firsts = {_first(layer) for _, layer in places}
    return firsts.pop() if len(firsts) == 1 else None


def _first(layer: Layer) -> str | None:
    first = next(iter(layer[1]), "")
    return first if first and "." not in first and first not in ("axis", "keepdims") else None


def _summary(layer: Layer) -> str:
    """A part that others lack, in a word: its first argument, as a spec would say it."""
    first = _first(layer)
    return text(layer[1][first]) if first else "yes"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What `after` changed, as `address=value`."""
    keys = [key for key in dict.fromkeys([*before, *after]) if key not in ("name", "description")]
    return [f"{key}={text(after.get(key))}" for key in keys if before.get(key) != after.get(key)]


# Results


def figures(rows: Sequence[Row], chosen: Sequence[str] = ()) -> list[str]:
    """The result columns: the chosen ones, or the usual few that some run has.

    Raises RunError for a chosen one that no run has.
    """
    known = dict.fromkeys(key for row in rows for entry in row.entries for key in entry.metrics)
    if chosen:
        for key in chosen:
            if key not in known:
                raise RunError(
                    f"no run has a figure {key!r}{did_you_mean(key, known)}", hint=f"there are {', '.join(known)}"
                )
        return list(chosen)
    twins = all(entry.metrics.get("test_is_validation") for row in rows for entry in row.entries if entry.metrics)
    wanted = []
    for split in ("train", "val", "test"):
        if split == "test" and twins:
            continue
        names = [key for key in known if key.startswith(f"{split}_") and is_figure(key)]
        wanted += sorted(names, key=lambda key: not key.endswith("loss"))
    return [*wanted, *(key for key in ("best_epoch", "epochs", "train_seconds") if key in known)]


def best(rows: Sequence[Row], metric: str) -> list[Row]:
    """The rows with the best figure, several if they are equal.

    None with fewer than two to choose from, nor among runs on unlike data, whose figures say nothing of one another.
    """
    if not is_figure(metric):
        return []
    having = [(value, row) for row in rows if (value := row.figure(metric)) is not None]
    if len(having) < 2 or len({row.first.data for _, row in having}) > 1:
        return []
    top = (max if runs.maximized(metric) else min)(value for value, _ in having)
    found = [row for value, row in having if value == top]
    return found if len(found) < len(having) else []


def sparkline(entry: Entry, width: int = 12) -> str:
    """The monitored figure over the epochs, in so many bars; a figure that is not finite is a blank."""
    monitor = entry.info.get("monitor", "val_loss")
    values = Run(entry.path).curve(monitor)
    if not values:
        return ""
    places = (
        [round(i * (len(values) - 1) / (width - 1)) for i in range(width)]
        if len(values) > width
        else range(len(values))
    )
    picked = [values[place] for place in places]
    finite = [v for v in picked if isinstance(v, (int, float)) and math.isfinite(v)]
    if not finite:
        return " " * len(picked)
    if monitor.endswith("loss") and min(finite) > 0 and max(finite) > 30 * min(finite):  # as dlx plot draws it
        picked = [math.log(v) if v in finite else v for v in picked]
        finite = [math.log(v) for v in finite]
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(
        BARS[round((v - low) / span * 7)] if isinstance(v, (int, float)) and math.isfinite(v) else " " for v in picked
    )
