"""The settings in which runs differ; lists of layers are aligned first."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.runs.compare import ABSENT, Row, names_of, spread
from dlx.runs.run import Run
from dlx.runs.summary import BASELINE, LABELS, SPREAD, read, same_setting

LISTS = ("layers", "augment", "preprocess", "metrics")
PARTS = ("dataset", "optimizer", "schedule", "loss")
MOST = 500  # parts of a list that are paired by their likeness


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
            aligned = _parts(section, firsts) if section in PARTS else _aligned(section, firsts)
            columns += [Column(c.address, c.title, [c.cells[place] for place in places]) for c in aligned]
    columns += [Column(key, key, [_spread(row, key) for row in rows]) for key in SPREAD]
    prints = [str((row.first.info.get("dataset") or {}).get("fingerprint", ""))[:8] or ABSENT for row in rows]
    columns.append(Column("data", "data", prints))
    for name in ("backend", "device", "devices"):  # a condition is part of a figure
        columns.append(Column(name, name, [_condition(row, name) for row in rows]))
    readable = [bool(row.first.settings) for row in rows]
    networks = [BASELINE not in row.first.settings for row in rows]  # others have no setting of a network
    order = {section: place for place, section in enumerate(("dataset", *LISTS, "optimizer", "lr"))}
    differing = [c for c in columns if len(_cells(c, readable, networks)) > 1]
    if any(column.address.startswith("dataset") for column in differing):
        differing = [column for column in differing if column.address != "data"]
    return sorted(differing, key=lambda c: order.get(c.address.split(".")[0], 99))


def _cells(column: Column, readable: Sequence[bool], networks: Sequence[bool]) -> set[str]:
    """The distinct cells of a column; that a baseline lacks a setting is no difference."""
    rows = zip(column.cells, readable, networks, strict=True)
    return {cell for cell, ok, network in rows if ok and (network or cell != ABSENT)}


def _spread(row: Row, key: str) -> str:
    """The seed or the cut of a row, or how many it has."""
    if not row.first.settings or BASELINE in row.first.settings:
        return ABSENT
    values = {repr(spread(entry, key)) for entry in row.entries}
    return text(row.first.settings.get(key)) if len(values) == 1 else f"{len(values)} {SPREAD[key]}"


def _condition(row: Row, name: str) -> str:
    """What the runs of a row were computed with; several where they differ."""
    values = []
    if BASELINE in row.first.settings:
        return ABSENT
    for entry in row.entries:
        value = str(entry.info.get(name) or (1 if name == "devices" else ABSENT))  # which an earlier dlx did not say
        described = entry.info.get("device_name") if name == "device" and value.startswith("gpu") else None
        values.append(str(described or value))
    return ", ".join(dict.fromkeys(values))


def labels_of(runs: Sequence[Run]) -> list[str]:
    """What tells the runs apart: the settings in which they differ, or their names."""
    return row_labels([Row([read(run.path)]) for run in runs])


def settings_in(rows: Sequence[Row]) -> list[Column]:
    """The settings that are not the same in all rows; the seeds and cuts that a row is repeated with are none."""
    repeated = any(len(row.entries) > 1 for row in rows)
    return [column for column in differences(rows) if not (repeated and column.address in SPREAD)]


def row_labels(rows: Sequence[Row]) -> list[str]:
    """What tells the rows apart: the settings in which they differ, or their names."""
    columns = settings_in(rows)
    names = names_of(rows)
    if len(set(names)) < len(names):
        names = [f"{number} {name}" for number, name in enumerate(names, 1)]
    if not 0 < len(columns) <= 3:
        return names
    labels = []
    for number in range(len(rows)):
        words = []
        for column in columns:
            title, cell = heading(column), column.cells[number]
            words.append(f"no {title}" if cell == ABSENT else f"{title} {cell}")
        labels.append(", ".join(words))
    return labels if len(set(labels)) == len(labels) else names


def heading(column: Column) -> str:
    """The setting of a column in words: dense units."""
    return re.sub(r"\[\d+\]", "", column.title).replace(".", " ")


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
    differing: set[str] = set()
    for s in settings:
        differing.update([k for k, v in s.items() if (a := first.get(k, first)) is not v and not same_setting(a, v)])
        if not first.keys() <= s.keys():
            differing |= first.keys() - s.keys()
    order = dict.fromkeys([*first, *(key for s in settings for key in s if key in differing)]) if differing else {}
    return [key for key in order if key in differing]


def _plain(settings: Sequence[Mapping[str, Any]], varying: Sequence[str]) -> list[Column]:
    special = (*LABELS, *LISTS, *PARTS, *SPREAD)
    keys = [key for key in varying if key.split(".")[0] not in special]
    return [Column(key, key, [text(s.get(key)) for s in settings]) for key in keys]


def _parts(section: str, settings: Sequence[Mapping[str, Any]]) -> list[Column]:
    """A column for the name of a part, and one for each argument among the runs that share a part."""
    parts = [_part(section, s) for s in settings]
    columns = [Column(section, section, [name for name, _ in parts])]
    for name in dict.fromkeys(name for name, _ in parts):
        sharing = [args for other, args in parts if other == name]
        for key in dict.fromkeys(key for args in sharing for key in args):
            if len({text(args.get(key)) for args in sharing}) > 1:
                cells = [text(args.get(key)) if other == name else ABSENT for other, args in parts]
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
    layers: dict[int, Layer] = {}
    for key, value in settings.items():
        if not key.startswith(section) or (where := _placed(section, key)) is None:
            continue
        place, name, parameter = where
        if name is None:
            layers[place] = (text(value), {})
        else:
            layers.setdefault(place, (name, {}))[1][parameter] = value
    return [layers[place] for place in sorted(layers)]


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
            # What differs among the runs that have the part is a column too; its first argument is shown already.
            keys = [key for key in keys if _shown_argument(slot.values()) != key and _differ(slot.values(), key)]
        for key in keys:
            cells = [text(slot[run][1][1].get(key)) if run in slot else ABSENT for run in range(len(settings))]
            columns.append(Column(f"{address}.{key}", f"{title}.{key}", cells))
    return columns


def _differ(places: Iterable[tuple[int, Layer]], key: str) -> bool:
    return len({text(args.get(key)) for _, (_, args) in places}) > 1


def _shown_argument(places: Iterable[tuple[int, Layer]]) -> str | None:
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
