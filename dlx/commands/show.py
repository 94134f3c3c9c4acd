"""`dlx show`: one run, from its JSON alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir

if TYPE_CHECKING:
    from dlx.runs.run import Run


SMALL = 64  # numbers that are printed in full


@click.command("show", short_help="One run: settings, data, versions, figures.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.option("--weights", is_flag=True, help="The weights: small ones in full, of others shape, mean, sd and zeros.")
@click.option("--json", "as_json", is_flag=True, help="run.json, metrics and status as one JSON object.")
@runs_dir
def command(run: str, weights: bool, as_json: bool, runs_dir: str | None) -> None:
    """Show one RUN: a directory, a name under the runs folder, a spec's name (its newest run), or latest.

    \b
    dlx show latest
    dlx show digits
    dlx show or_gate --weights
    """
    from dlx.runs import find
    from dlx.system.json_text import one_line

    root = find.root(runs_dir)
    existing = find.one(run, root)
    if weights:
        _show_weights(existing)
        return
    info, metrics = existing.info(), existing.metrics() or {}
    if as_json:
        from dlx.insight import evidence, remarks

        record_of = {
            "format": info["format"],
            "run": str(existing.path),
            "status": existing.status,
            **info,
            "metrics": metrics,
        }
        print(one_line({**record_of, "remark": remarks.record(existing, remarks.verdict(evidence.of_run(existing)))}))
    else:
        _show(existing, info, metrics, root)


def _show(run: Run, info: dict[str, Any], metrics: dict[str, Any], root: Path) -> None:
    from dlx.commands import remark_screen
    from dlx.insight import evidence
    from dlx.runs.compare import sparkline
    from dlx.runs.summary import read
    from dlx.system import terminal

    terminal.fields(_head(run, info, root))
    out = terminal.console()
    out.print("\nsettings", style=terminal.HEADING)
    out.print(terminal.folded(run.text("spec.yaml")))
    if metrics:
        out.print("\nfigures", style=terminal.HEADING)
        terminal.fields([(key, _text(key, value)) for key, value in metrics.items()])
    out.print()
    remark_screen.show(evidence.of_run(run), run, error=False, least=12)
    curve = sparkline(read(run.path), 40)
    if curve:
        out.print()
        out.print(terminal.clean(f"{info.get('monitor', '')}  {curve}"))


def _show_weights(run: Run) -> None:
    """The arrays of a run's network: those of a few numbers in full, a table of the others."""
    import numpy as np

    from dlx.model.restore import restore
    from dlx.system import terminal

    network, _ = restore(run)
    out, large = terminal.console(), []
    for weight in network.model.weights:
        array = np.asarray(weight.value)
        if array.size > SMALL:
            large.append((weight.path, array))
            continue
        out.print(
            terminal.clean(f"{weight.path}, {' × '.join(map(str, array.shape)) or 'one number'}"),
            style=terminal.HEADING,
        )
        print(np.array2string(array.astype(np.float64), precision=4, suppress_small=True, max_line_width=78))
    if large:
        columns = [
            ("weights", [path for path, _ in large]),
            ("shape", [" × ".join(map(str, array.shape)) for _, array in large]),
            ("numbers", [f"{array.size:,}" for _, array in large]),
            ("mean", [f"{array.mean():.4f}" for _, array in large]),
            ("sd", [f"{array.std():.4f}" for _, array in large]),
            ("zeros", [f"{100 * (array == 0).mean():.1f} %" for _, array in large]),
        ]
        terminal.table(columns, [False, False, True, True, True, True])


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


def _text(key: str, value: Any) -> str:
    from dlx.runs.metrics import figure_text

    if isinstance(value, float):
        return figure_text(key, value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
