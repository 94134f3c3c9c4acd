"""The trials of a sweep as far as they have come: what samplers and pruners learn from. Read from run directories."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.parts.registry import FilePath
from dlx.runs import find
from dlx.runs.metrics import better, is_number
from dlx.runs.run import Run
from dlx.runs.summary import Entry, identity, read
from dlx.spec.sections import Spec, flat, resolved
from dlx.system.json_text import finite


@dataclass
class Observation:
    """One trial: what it chose, how it is, and what it came to.

    values: by a dimension's name, in words. status: waiting | running | done | pruned | failed. figures: of each
    objective the mean over its runs, once it is done. curve: of the first objective its best figure up to each epoch.
    spec: of a trial that no values describe, what a sampler keeps of it. bad: it failed in a way that its values
    explain, as a loss that is not finite, or a full memory.
    """

    number: int
    values: Mapping[str, Any]
    key: str = ""
    status: str = "waiting"
    figures: tuple[float, ...] | None = None
    curve: dict[int, float] = field(default_factory=dict)
    bad: bool = False
    parents: tuple[int, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    runs: list[Path] = field(default_factory=list)
    message: str = ""


def objective_names(names: Sequence[str], monitor: str) -> tuple[str, ...]:
    """The objectives by their names in metrics.json; `auto` is what the trainings are steered by."""
    return tuple(monitor if name == "auto" else name for name in names)


def figure(run: Run, metrics: Mapping[str, Any], name: str) -> float | None:
    """One objective of a finished run; None where it is not finite."""
    if name == "size":
        try:
            return float(run.model_file.stat().st_size)
        except OSError:
            return None
    value: Any = metrics.get("train_seconds" if name == "seconds" else name)
    return float(value) if is_number(value) else None


def curve(rows: Sequence[Mapping[str, Any]], name: str) -> dict[int, float]:
    """The best figure up to each epoch, by its number; a NaN is never best."""
    best, found = None, {}
    for row in rows:
        value: Any = row.get(name)
        if is_number(value) and better(name, value, best):
            best = float(value)
        found[int(row["epoch"])] = math.nan if best is None else best
    return found


def as_recorded(spec: Spec, root: Path) -> dict[str, Any]:
    """The settings of a spec as a run below a folder records them: its code is in the run."""
    base = (root / "any").resolve()
    imports = [FilePath(base / "code" / name) for name in spec.code.digests()]
    return flat(resolved(dataclasses.replace(spec, imports=imports), str(base)))


def run_key(settings: Mapping[str, Any], code: Mapping[str, Any] | None) -> str:
    """What a trial shares with its runs: name, settings and code; the seed is one of the settings."""
    return f"{settings.get('name')} {identity(finite(dict(settings)))} {sorted((code or {}).items())!r}"


class Runs:
    """The runs of one name in a folder, by what tells their experiments apart; of equal ones the furthest."""

    ORDER = (
        "done", "running", "away", "pruned", "interrupted", "crashed", "failed", "unknown", "damaged", "unreadable",
    )  # fmt: skip

    def __init__(self, root: Path, name: str) -> None:
        self._found: dict[str, Entry] = {}
        for path in sorted(find.below(root), key=find.natural):
            if not path.name.startswith(f"{name}-") or not find.is_run(path):
                continue
            entry = read(path)
            if entry.settings:
                key = run_key(entry.settings, entry.info.get("code"))
                before = self._found.get(key)
                if before is None or self._rank(entry) <= self._rank(before):
                    self._found[key] = entry

    def _rank(self, entry: Entry) -> int:
        return self.ORDER.index(entry.status) if entry.status in self.ORDER else len(self.ORDER)

    def trials(self, sweep: str) -> list[Mapping[str, Any]]:
        """What the runs say of the trials of a sweep."""
        records = [entry.info.get("trial") for entry in self._found.values()]
        return [record for record in records if isinstance(record, dict) and record.get("sweep") == sweep]

    def get(self, key: str) -> Entry | None:
        return self._found.get(key)


class Statuses(dict[tuple[int, int], str]):
    """How each training is, by its trial and repeat; `waiting` are those that wait, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[tuple[int, int], None] = {}

    def __setitem__(self, here: tuple[int, int], status: str) -> None:
        super().__setitem__(here, status)
        if status == "waiting":
            self.waiting[here] = None
        else:
            self.waiting.pop(here, None)

    def clear(self) -> None:
        super().clear()
        self.waiting.clear()
