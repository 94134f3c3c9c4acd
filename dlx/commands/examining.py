"""`dlx doctor`: what is installed, what computes, where things are, and a short training."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from importlib import metadata, util
from pathlib import Path

from dlx import __version__
from dlx.data import store
from dlx.errors import DlxError, TrainingError
from dlx.runs import run as runs
from dlx.system import backend as backends
from dlx.system import terminal as display

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


def examine(backend: str, device: str, folder: str | None) -> int:
    """Say what there is; returns 4 when the short training fails, else 0."""
    out = display.console()
    out.print("versions", style="bold")
    display.lines(
        [("  dlx", __version__), ("  python", sys.version.split()[0])]
        + [(f"  {name}", _version(name)) for name in ("keras", "tensorflow", "jax", "numpy", "pandas")]
    )
    out.print("\nplaces", style="bold")
    root = runs.root(folder)
    count = sum(runs.is_run(path) for path in runs.below(root))
    here = [name for name, found in store.entries() if found]
    display.lines(
        [
            ("  runs", f"{root.resolve()}, {count} run{'s' * (count != 1)}; {_room(root)}"),
            ("  data", f"{store.home()}: {', '.join(here) or 'no named set yet'}; {_room(store.home())}"),
        ]
    )
    out.print("\ncomputing", style="bold")
    backends.want(backend, device)
    try:
        found = backends.load()
    except DlxError as error:
        display.lines([("  device", f"{error.message}; {error.hint}")])
        return error.exit_code
    pairs = [("  device", found.description), ("  backend", f"{found.backend}, {found.threads} threads")]
    display.lines([*pairs, ("  bfloat16", _bfloat16(found))])
    out.print(f"\na training of {SECONDS:.0f} seconds", style="bold")
    return _train()


def _version(name: str) -> str:
    """The version of a library, or that it is not there."""
    if util.find_spec(name) is None:
        return "not installed"
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "there, of an unknown version"


def _room(path: Path) -> str:
    """The free space where a folder is, or will be, and whether it can be written to."""
    place = path.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 2**30
    return f"{free:,.1f} GiB free" + ("" if os.access(place, os.W_OK) else ", but NOT writable")


def _bfloat16(device: backends.Device) -> str:
    """Whether precision: mixed_bfloat16 is worth a try."""
    if device.device != "cpu":
        return "fast on GPUs since 2020: precision: mixed_bfloat16"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return "unknown; try precision: mixed_bfloat16"
    if "avx512_bf16" in flags or "amx_bf16" in flags:
        return "this processor computes in it: precision: mixed_bfloat16 is faster"
    return "not in this processor: precision: float32 is faster"


def _train() -> int:
    """Train a small network for ten seconds into nowhere; says how fast it was."""
    from dlx import spec as specs
    from dlx.engine import fit as engine
    from dlx.model import build as model
    from dlx.training import experiment as preparation
    from dlx.training import train as training

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "doctor.yaml"
        file.write_text(PROBE, encoding="utf-8")
        spec = specs.load(file)
    try:
        experiment = preparation.prepare(spec)
        backends.prepare(spec.seed, spec.precision)
        network = model.build(spec, experiment.facts)
        whole = preparation.plan(experiment)
        program = training.program(experiment, network, model.optimizer(spec), whole)
        began, first, step, rows = time.monotonic(), 0.0, 0, []
        with display.Bar(int(SECONDS * 10), "tenths of a second", plain=False) as bar:
            for progress in engine.fit(program, whole):
                if not step:
                    first, step = time.monotonic(), progress.step
                rows += progress.rows
                bar.update(min(int((time.monotonic() - began) * 10), int(SECONDS * 10)))
                if time.monotonic() - began > SECONDS:
                    break
        if not rows:
            raise TrainingError(f"not one of its epochs ended within {SECONDS:.0f} seconds")
    except Exception as error:  # to say what is wrong with the backend is what this command is for
        display.lines([("  failed", f"{type(error).__name__}: {model.sentence(error)}")])
        return TrainingError.exit_code
    rate = (progress.step - step) * experiment.batch_size / max(time.monotonic() - first, 1e-9)
    loss, accuracy = rows[-1]["val_loss"], rows[-1]["val_accuracy"]
    display.lines(
        [
            ("  compiled", f"after {first - began:.1f} s"),
            ("  trained", f"{progress.step:,} steps, {rate:,.0f} examples/s"),
            (
                "  learned",
                f"val_loss {rows[0]['val_loss']:.3f} at first, {loss:.3f} at last; val_accuracy {accuracy:.3f}",
            ),
        ]
    )
    healthy = accuracy > 0.8
    display.console().print("\nall is well" if healthy else "\nit trains, but it does not learn: please report it")
    return 0 if healthy else TrainingError.exit_code
