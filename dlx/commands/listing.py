"""`dlx list` and `dlx show`, from JSON alone."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Sequence
from typing import Any

from dlx.errors import DlxError, did_you_mean
from dlx.runs import compare as comparison
from dlx.runs import run as runs
from dlx.runs.run import Run
from dlx.system import terminal as display


@comparison.uncollected()
def list_runs(
    folder: str | None,
    words: Sequence[str] = (),
    status: Sequence[str] = (),
    tags: Sequence[str] = (),
    since: str | None = None,
    sort: str | None = None,
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """The runs below the folder, or those that the words mean, which have one of the statuses and all of the tags."""
    root = runs.root(folder)
    paths = [path for word in words for path in runs.find(word, root)] if words else runs.below(root)
    paths = [path for path in paths if not runs.is_folder_of_runs(path)]
    entries: list[comparison.Entry] = []
    for path in dict.fromkeys(paths):
        entries.append(comparison.read(path, entries[0].settings if entries else None))
    changed = dict(zip([entry.path for entry in entries], _changed(entries), strict=True))
    earliest = _time(since) if since is not None else 0.0
    entries = [
        entry
        for entry in entries
        if (not status or entry.status in status) and set(tags) <= _tags(entry) and _started(entry) >= earliest
    ]
    entries = _sorted(entries, sort)
    if as_json:
        print(display.as_json({"runs": [comparison.as_record(entry) for entry in entries]}))
        return
    if quiet:
        for entry in entries:
            print(display.clean(entry.name))
        return
    if not entries:
        left = f"no runs in {root} that fit" if runs.below(root) else f"no runs in {root} yet: dlx run SPEC"
        display.console().print(left)
        return
    columns = [
        ("run", [entry.name for entry in entries]),
        ("status", [_seen(entry) for entry in entries]),
        ("start", [str(entry.info.get("start", ""))[:16].replace("T", " ") for entry in entries]),
        ("figure", [_figure(entry) for entry in entries]),
        ("changed", [_remark(entry, changed[entry.path]) for entry in entries]),
    ]
    display.table(columns, [False, False, False, True, False])


def _tags(entry: comparison.Entry) -> set[str]:
    said = entry.settings.get("tags")
    return {str(tag) for tag in said} if isinstance(said, list) else set()


def _seen(entry: comparison.Entry) -> str:
    """A status, and of a run of another host when it was last seen at work."""
    return f"unknown, {Run(entry.path).seen()}" if entry.status == "unknown" else entry.status


def _remark(entry: comparison.Entry, changed: str) -> str:
    """A run's note before what it changed."""
    note = "" if entry.reason else Run(entry.path).note().replace("\n", " ")
    return "; ".join(word for word in (f"“{note}”" if note else "", changed) if word)


def _started(entry: comparison.Entry) -> float:
    value = entry.info.get("started")
    return float(value) if isinstance(value, (int, float)) else 0.0


def _time(text: str) -> float:
    """The moment that --since says; raises DlxError where it says none."""
    units = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
    if match := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        return time.time() - int(match[1]) * units[match[2]]
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        message = f"--since: expected a date (2026-03-01) or an age (30m, 12h, 7d, 2w), got {text!r}"
        raise DlxError(message) from error


def _sorted(entries: list[comparison.Entry], sort: str | None) -> list[comparison.Entry]:
    """By name as they stand, by start, or best first by a figure; those without it last."""
    if sort in (None, "name"):
        return entries
    if sort == "start":
        return sorted(entries, key=_started)
    known = sorted({key for entry in entries for key in entry.metrics})
    if sort not in known and entries:
        expected = f"expected start, name, or one of {', '.join(known)}"
        raise DlxError(f"--sort: no run has the figure {sort!r}{did_you_mean(str(sort), known)}", hint=expected)
    sign = -1 if runs.maximized(str(sort)) else 1

    def key(entry: comparison.Entry) -> tuple[bool, float]:
        value = entry.metrics.get(str(sort))
        lacking = isinstance(value, bool) or not isinstance(value, (int, float))
        return lacking, 0.0 if lacking else sign * float(str(value))

    return sorted(entries, key=key)


def _figure(entry: comparison.Entry) -> str:
    """The monitored figure of a finished run, or how far another one came."""
    key = str(entry.info.get("monitor", ""))
    value = entry.metrics.get(key)
    if isinstance(value, (int, float)):
        return f"{key} {comparison.number(float(value))}"
    history = [] if entry.reason else Run(entry.path).history()
    return f"epoch {history[-1].get('epoch', '?')}" if history else ""


def _changed(entries: list[comparison.Entry]) -> list[str]:
    """What each run changed against the one before it, of its name or else on its data; why one is damaged."""
    found = []
    before: dict[str, comparison.Entry] = {}
    neighbour: dict[int, comparison.Entry | None] = {}
    last: dict[str, comparison.Entry] = {}
    for entry in sorted((entry for entry in entries if not entry.reason), key=_started):
        neighbour[id(entry)], last[entry.data] = last.get(entry.data), entry
    for entry in entries:
        base = re.sub(r"-\d+$", "", entry.name)
        earlier = before.get(base) or neighbour.get(id(entry))
        changed = comparison.changes(earlier.settings, entry.settings) if earlier else []
        found.append(entry.reason or ", ".join(changed) or ("" if earlier is None else "nothing"))
        if not entry.reason:
            before[base] = entry
    return found


def show_run(word: str, folder: str | None, as_json: bool) -> None:
    """One run in full."""
    run = runs.one(word, runs.root(folder))
    info, metrics = run.info(), run.metrics() or {}
    if as_json:
        print(display.as_json({"run": str(run.path), "status": run.status, **info, "metrics": metrics}))
        return
    pairs = [("run", str(run.path)), ("status", _status(run)), ("start", str(info.get("start", "")))]
    pairs += [("note", run.note())] if run.note() else []
    pairs += [("command", str(info.get("command", "")))]
    versions = ", ".join(f"{name} {version}" for name, version in dict(info.get("versions") or {}).items())
    pairs += [("versions", f"dlx {info.get('dlx', '?')}, {versions}")]
    pairs += [("device", str(info.get("device_name", "")))]
    pairs += [("data", _data(info))]
    if git := info.get("git"):
        pairs += [("git", f"{str(git.get('commit', ''))[:12]}{' with changes' if git.get('dirty') else ''}")]
    pairs += [("parameters", f"{info.get('parameters', '?'):,}" if isinstance(info.get("parameters"), int) else "?")]
    if run.status in ("interrupted", "crashed") and not (run.failure() or {}).get("diverged"):
        pairs += [("next", f"dlx resume {run.name}" + (f" --runs-dir {folder}" if folder else ""))]
    display.lines(pairs)
    out = display.console()
    out.print("\nsettings", style="bold")
    out.print(display.folded(run.text("spec.yaml")))
    if metrics:
        out.print("\nfigures", style="bold")
        display.lines([(key, _text(value)) for key, value in metrics.items()])
    curve = comparison.sparkline(comparison.read(run.path), 40)
    if curve:
        out.print()
        out.print(display.clean(f"{info.get('monitor', '')}  {curve}"))


def _status(run: Run) -> str:
    failure = run.failure() or {}
    status = run.status
    if status == "unknown":
        return f"unknown, {run.seen()}: it was made on another host"
    if status == "crashed":
        return "crashed: its process ended without a word"
    return f"{status}: {failure['message']}" if status != "done" and "message" in failure else status


def _data(info: dict[str, Any]) -> str:
    data = dict(info.get("dataset") or {})
    sizes = ", ".join(
        f"{data[split]:,} {split}" for split in ("train", "validation", "test") if isinstance(data.get(split), int)
    )
    return f"{data.get('source', '?')}: {sizes}; fingerprint {str(data.get('fingerprint', ''))[:12]}"


def _text(value: Any) -> str:
    return comparison.number(float(value)) if isinstance(value, float) else str(value)
