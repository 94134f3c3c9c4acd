"""A run as far as it can be read, from its JSON alone."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.errors import DlxError
from dlx.runs import find
from dlx.runs.run import Run
from dlx.system.json_text import finite

# What a run is called and its notes are no settings of the experiment.
NOTES = ("name", "description", "tags", "plots", "strict")
# The setting that a run without a network has, that of a simpler method.
BASELINE = "baseline"
# What it keeps beside its figures: two runs that differ in it have the same ones.
WATCHED = ("log_every", "snapshots", "histograms")
# What runs differ in that are trained again to see how far chance goes, and what so many of them are called.
SPREAD = {"seed": "seeds", "split_seed": "splits", "validation": "folds"}
LABELS = (*NOTES, *WATCHED, "seed", "split_seed")
# Of run.json, beside the settings.
KEPT = (
    "dataset", "task", "monitor", "start", "started", "code", "backend", "device", "devices", "device_name", "parent",
    "spec", "changed", "trial", "parameters",
)  # fmt: skip


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
    """What distinguishes experiments: all settings but labels and what `apart` names. The seed is not a label."""
    labels = {*NOTES, *apart}
    kept = {key: value for key, value in settings.items() if key.split(".")[0] not in labels}
    return json.dumps(finite(kept), sort_keys=True)


def read(path: Path, like: Mapping[str, Any] | None = None) -> Entry:
    """The run at `path`; one that is damaged, foreign or not ours to read becomes an entry with its reason.

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
        kept_from_us = isinstance(error.__cause__, PermissionError)
        return Entry(path, "unreadable" if kept_from_us else "damaged", reason=error.message)


def gather(words: Iterable[str], folder: Path) -> list[Entry]:
    """The entries that a command line names, as a shell expands `runs/*`.

    Plain files are passed over; a folder of runs means its runs. Raises RunError for a word that names nothing.
    """
    entries: list[Entry] = []
    seen: set[Any] = set()
    like: Mapping[str, Any] | None = None
    for path in find.runs_of(find.find_all(words, folder)):
        place = _place(path)
        if place in seen:
            continue
        seen.add(place)
        entries.append(read(path, like))
        like = like or entries[-1].settings
    return entries


def _place(path: Path) -> Any:
    """What tells a directory from others, whatever it is called."""
    try:
        there = os.stat(path)
    except OSError:
        return path
    return (there.st_dev, there.st_ino) if there.st_ino else path.resolve()


def records(words: Iterable[str], folder: Path | None = None) -> list[dict[str, Any]]:
    """run, status, settings and metrics of each, never folded; a damaged one has a reason."""
    return [as_record(entry) for entry in gather(words, folder or find.root())]


def as_record(entry: Entry) -> dict[str, Any]:
    """An entry as `--json` says it."""
    document = {"run": str(entry.path), "status": entry.status, "settings": entry.settings, "metrics": entry.metrics}
    return {**document, "reason": entry.reason} if entry.reason else document


def same_setting(a: Any, b: Any) -> bool:
    """Whether two settings are equal, and of one type: 1, 1.0 and true are three."""
    return type(a) is type(b) and (repr(a) == repr(b) if isinstance(a, list) else bool(a == b))
