"""`dlx show`: one run, from its JSON alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir

if TYPE_CHECKING:
    from dlx.runs.run import Run


@click.command("show", short_help="One run: settings, data, versions, figures.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.option("--json", "as_json", is_flag=True, help="run.json, metrics and status as one JSON object.")
@runs_dir
def command(run: str, as_json: bool, runs_dir: str | None) -> None:
    """Show one RUN: a directory, a name under the runs folder, a spec's name (its newest run), or latest.

    \b
    dlx show latest
    dlx show digits
    """
    from dlx.runs import find
    from dlx.system.json_text import one_line

    root = find.root(runs_dir)
    existing = find.one(run, root)
    info, metrics = existing.info(), existing.metrics() or {}
    if as_json:
        print(one_line({"run": str(existing.path), "status": existing.status, **info, "metrics": metrics}))
    else:
        _show(existing, info, metrics, root)


def _show(run: Run, info: dict[str, Any], metrics: dict[str, Any], root: Path) -> None:
    from dlx.runs.compare import sparkline
    from dlx.runs.summary import read
    from dlx.system import terminal

    terminal.fields(_head(run, info, root))
    out = terminal.console()
    out.print("\nsettings", style="bold")
    out.print(terminal.folded(run.text("spec.yaml")))
    if metrics:
        out.print("\nfigures", style="bold")
        terminal.fields([(key, _text(value)) for key, value in metrics.items()])
    curve = sparkline(read(run.path), 40)
    if curve:
        out.print()
        out.print(terminal.clean(f"{info.get('monitor', '')}  {curve}"))


def _head(run: Run, info: dict[str, Any], root: Path) -> list[tuple[str, str]]:
    """What made the run."""
    from dlx.runs.find import command_line

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
        pairs += [("next", command_line("dlx", "resume", run.name, runs_dir=root))]
    return pairs


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
    from dlx.runs.compare import figure_text

    return figure_text(float(value)) if isinstance(value, float) else str(value)
