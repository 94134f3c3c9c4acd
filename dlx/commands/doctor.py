"""`dlx doctor`: what is installed, what computes, where things are, and a short training."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlx.commands.options import Launch, launch_options

if TYPE_CHECKING:
    from dlx.spec.sections import Spec

SECONDS = 10.0
PROBE = """\
dataset: digits
preprocess: [rescale]
layers:
  - conv2d: {filters: 32, kernel_size: 3, padding: same, activation: relu}
  - flatten
  - dense: {units: 64, activation: relu}
  - output
steps: 1000000
"""


LIBRARIES = ("keras", "tensorflow", "jax", "numpy", "pandas")


@click.command("doctor", short_help="What is installed, which devices work, where things are.")
@launch_options("json")
def command(launch: Launch) -> int:
    """Show what is installed, what computes, where data and runs are, and train for ten seconds.

    Nothing is left behind. Ends with 4 when the training fails. With --json it is one object.

    \b
    dlx doctor
    dlx doctor --device gpu
    """
    from dlx.errors import DlxError
    from dlx.system import backend, machine, versions

    report = _Report(launch.json)
    libraries = [(name, versions.of(name) or "not installed") for name in LIBRARIES]
    report.section("versions", [("dlx", versions.own()), ("python", sys.version.split()[0]), *libraries])
    report.section("places", _places(launch.root))
    launch.want()
    try:
        device = backend.load()
    except DlxError as error:
        report.section("computing", [("device", f"{error.message}; {error.hint}")])
        return report.end(False, error.exit_code)
    bfloat16 = "fast on GPUs since 2020: precision: mixed_bfloat16"
    if device.device == "cpu":
        bfloat16 = machine.bfloat16()
    threads = f"{device.backend}, {device.threads} threads"
    report.section("computing", [("device", device.shown), ("backend", threads), ("bfloat16", bfloat16)])
    return _train(report)


class _Report:
    """Headings with fields, shown as they come, or kept for one object of JSON."""

    def __init__(self, json: bool) -> None:
        self._json, self._record = json, dict[str, Any]()

    def section(self, heading: str, pairs: Sequence[tuple[str, str]] = (), under: str = "") -> None:
        """Show a heading, and what is already known below it; `under`: what JSON calls it."""
        from dlx.system import terminal

        self._record.setdefault(under or heading, {}).update(pairs)
        if self._json:
            return
        if heading:
            terminal.console().print("\n" * (len(self._record) > 1) + heading, style=terminal.HEADING)
        terminal.fields([(f"  {name}", text) for name, text in pairs])

    def end(self, healthy: bool, code: int, words: str = "") -> int:
        """Say whether all is well; returns the exit code."""
        from dlx.system import terminal
        from dlx.system.json_text import one_line

        if self._json:
            print(one_line({"format": 1, **self._record, "healthy": healthy}))
        elif words:
            terminal.console().print(f"\n{words}")
        return code


def _places(root: Path) -> list[tuple[str, str]]:
    """Where runs and data are, and how much room there is."""
    from dlx.data import store
    from dlx.errors import DiskError
    from dlx.runs import find

    count = sum(find.is_run(path) for path in find.below(root))
    runs = ("runs", f"{root.resolve()}, {count} run{'s' * (count != 1)}; {_room(root)}")
    try:
        here = ", ".join(name for name, copy in store.entries() if copy) or "no named set yet"
        return [runs, ("data", f"{store.home()}: {here}; {_room(store.home())}")]
    except DiskError as error:
        return [runs, ("data", f"{error.message}; {error.hint}")]


def _room(path: Path) -> str:
    """The free space where a folder is, or will be, and whether it can be written to."""
    from dlx.system.units import byte_size

    place = path.resolve()
    while not place.exists():
        place = place.parent
    return f"{byte_size(shutil.disk_usage(place).free)} free" + (
        "" if os.access(place, os.W_OK) else ", but NOT writable"
    )


def _train(report: _Report) -> int:
    """Train a small network for ten seconds into nowhere, and show how fast it was."""
    from dlx import spec as specs
    from dlx.errors import TrainingError
    from dlx.model.keras_errors import sentence

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "doctor.yaml"
        file.write_text(PROBE, encoding="utf-8")
        spec = specs.load(file)
    report.section(f"a training of {SECONDS:.0f} seconds", under="training")
    try:
        pairs, accuracy = _measure(spec)
    except Exception as error:  # to find what is wrong with the backend is what this command is for
        report.section("", [("failed", f"{type(error).__name__}: {sentence(error)}")], under="training")
        return report.end(False, TrainingError.exit_code)
    report.section("", pairs, under="training")
    if accuracy > 0.8:
        return report.end(True, 0, "all is well")
    return report.end(False, TrainingError.exit_code, "it trains, but it does not learn: please report it")


def _measure(spec: Spec) -> tuple[list[tuple[str, str]], float]:
    """(what to show of a training of ten seconds, its validation accuracy at the end)."""
    from dlx.engine.fit import fit
    from dlx.errors import TrainingError
    from dlx.model.build import build, make_optimizer
    from dlx.system import terminal
    from dlx.training.experiment import plan_of, prepare
    from dlx.training.program_cache import ProgramCache

    experiment = prepare(spec)
    network, plan = build(spec, experiment.facts), plan_of(experiment)
    program = ProgramCache().program(experiment, network, make_optimizer(spec), plan)
    began, first, step, rows = time.monotonic(), 0.0, 0, []
    with terminal.Bar(int(SECONDS * 10), "tenths of a second", plain=False) as bar:
        for progress in fit(program, plan):
            if not step:
                first, step = time.monotonic(), progress.step
            rows += progress.rows
            bar.update(min(int((time.monotonic() - began) * 10), int(SECONDS * 10)))
            if time.monotonic() - began > SECONDS:
                break
    if not rows:
        raise TrainingError(f"not one of its epochs ended within {SECONDS:.0f} seconds")
    rate = (progress.step - step) * experiment.batch_size / max(time.monotonic() - first, 1e-9)
    loss, accuracy = rows[-1]["val_loss"], rows[-1]["val_accuracy"]
    learned = f"val_loss {rows[0]['val_loss']:.3f} at first, {loss:.3f} at last; val_accuracy {accuracy:.3f}"
    return [
        ("compiled", f"after {first - began:.1f} s"),
        ("trained", f"{progress.step:,} steps, {rate:,.0f} examples/s"),
        ("learned", learned),
    ], accuracy
