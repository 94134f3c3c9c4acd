"""`dlx check`: the problems of specs, then the table of their models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlx import spec as specs
from dlx.errors import DlxError, SpecError
from dlx.spec import sections
from dlx.system import backend as backends
from dlx.system import terminal as display


def check_all(paths: Sequence[str], settings: Sequence[str], resolved: bool, backend: str, device: str) -> int:
    """Check every spec and go on after one that fails; returns the first exit code that is not 0."""
    code = 0
    backends.want(backend, device)  # before a spec's own code loads Keras
    if len(paths) > 1:  # as a shell expands configs/*.yaml
        for base in [path for path in paths if Path(path).name.startswith("_")]:
            display.console(error=True).print(f"{display.clean(base)}: a base, checked with the specs that extend it")
        paths = [path for path in paths if not Path(path).name.startswith("_")]
    found: list[tuple[str, sections.Spec]] = []
    for path in paths:
        try:
            found.append((path, specs.load(path, settings)))
        except SpecError as error:
            display.console(error=True).print(display.clean_lines(str(error)))
            code = code or error.exit_code
    if resolved:
        for path, spec in found:
            if len(paths) > 1:
                print(f"# {path}")
            print(specs.dump(spec), end="")
        return code
    for path, spec in found:
        try:
            _table(path, spec)
        except DlxError as error:
            display.console(error=True).print(display.clean_lines(str(error)))
            code = code or error.exit_code
    return code


def _table(path: str, spec: sections.Spec) -> None:
    from dlx.model import build as model
    from dlx.training import train as training

    network = training.check(spec)
    rows = model.table(network)
    total = sum(row[3] for row in rows)
    learned = model.parameters(network)
    sums = [("total", total)] + ([("learned", learned)] if learned != total else [])
    columns = [
        ("layer", [row[0] for row in rows] + [name for name, _ in sums]),
        ("kind", [row[1] for row in rows] + [""] * len(sums)),
        ("output", [row[2] for row in rows] + [""] * len(sums)),
        ("parameters", [f"{row[3]:,}" for row in rows] + [f"{count:,}" for _, count in sums]),
    ]
    display.console().print(display.clean(f"{path}: ok"), style="bold green")
    display.table(columns, [False, False, False, True])
