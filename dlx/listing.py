"""`dlx list` and `dlx show`, from JSON alone."""

from __future__ import annotations

import re
from typing import Any

from dlx import comparison, display, runs
from dlx.errors import DlxError
from dlx.runs import Run


def list_runs(folder: str | None, as_json: bool) -> None:
    """Every run below the folder; damaged ones with their reason."""
    root = runs.root(folder)
    paths = [
        path for path in runs.below(root) if runs.is_run(path) or not any(runs.is_run(p) for p in runs.below(path))
    ]
    entries = [comparison.read(path) for path in paths]
    if as_json:
        print(display.as_json({"runs": [comparison.as_record(entry) for entry in entries]}))
        return
    if not entries:
        display.console().print(f"no runs in {root} yet: dlx run SPEC")
        return
    columns = [
        ("run", [entry.name for entry in entries]),
        ("status", [entry.status for entry in entries]),
        ("start", [str(entry.info.get("start", ""))[:16].replace("T", " ") for entry in entries]),
        ("figure", [_figure(entry) for entry in entries]),
        ("changed", _changed(entries)),
    ]
    display.table(columns, [False, False, False, True, False])


def _figure(entry: comparison.Entry) -> str:
    """The monitored figure of a finished run, or how far another one came."""
    key = str(entry.info.get("monitor", ""))
    value = entry.metrics.get(key)
    if isinstance(value, (int, float)):
        return f"{key} {comparison.number(float(value))}"
    history = [] if entry.reason else Run(entry.path).history()
    return f"epoch {history[-1].get('epoch', '?')}" if history else ""


def _changed(entries: list[comparison.Entry]) -> list[str]:
    """What each run changed against the run before it of the same name; the reason of a damaged one."""
    found = []
    before: dict[str, comparison.Entry] = {}
    for entry in entries:
        base = re.sub(r"-\d+$", "", entry.name)
        earlier = before.get(base)
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
    pairs += [("command", str(info.get("command", "")))]
    versions = ", ".join(f"{name} {version}" for name, version in dict(info.get("versions") or {}).items())
    pairs += [("versions", f"dlx {info.get('dlx', '?')}, {versions}")]
    pairs += [("device", str(info.get("device_name", "")))]
    pairs += [("data", _data(info))]
    if git := info.get("git"):
        pairs += [("git", f"{str(git.get('commit', ''))[:12]}{' with changes' if git.get('dirty') else ''}")]
    pairs += [("parameters", f"{info.get('parameters', '?'):,}" if isinstance(info.get("parameters"), int) else "?")]
    display.lines(pairs)
    out = display.console()
    out.print("\nsettings", style="bold")
    try:
        out.print(display.clean_lines(run.spec_file.read_text(encoding="utf-8", errors="replace").rstrip()))
    except OSError as error:
        raise DlxError(f"spec.yaml cannot be read ({error.strerror})", where=str(run.path)) from error
    if metrics:
        out.print("\nfigures", style="bold")
        display.lines([(key, _text(value)) for key, value in metrics.items()])
    curve = comparison.sparkline(comparison.read(run.path), 40)
    if curve:
        out.print(f"\n{info.get('monitor', '')}  {curve}")


def _status(run: Run) -> str:
    failure = run.failure() or {}
    status = run.status
    return f"{status}: {failure['message']}" if status != "done" and "message" in failure else status


def _data(info: dict[str, Any]) -> str:
    data = dict(info.get("dataset") or {})
    sizes = ", ".join(
        f"{data[split]:,} {split}" for split in ("train", "validation", "test") if isinstance(data.get(split), int)
    )
    return f"{data.get('source', '?')}: {sizes}; fingerprint {str(data.get('fingerprint', ''))[:12]}"


def _text(value: Any) -> str:
    return comparison.number(float(value)) if isinstance(value, float) else str(value)
