"""What `dlx export` does and says: one format with what it was checked on, or all of them in a table."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlx.export import web
from dlx.export.subject import Quantize
from dlx.runs.metrics import figure_text
from dlx.runs.run import Run
from dlx.system import files, terminal
from dlx.system.units import byte_size
from dlx.training.exporting import Wish, check_place, error_of, exported, written

BENCHMARK: tuple[tuple[str, Quantize], ...] = (
    ("keras", "none"), ("onnx", "none"), ("onnx", "float16"), ("onnx", "dynamic"), ("onnx", "static"),
    ("litert", "none"), ("litert", "float16"), ("litert", "dynamic"), ("litert", "static"), ("saved_model", "none"),
)  # fmt: skip


def export(run: Run, path: Path, how: Mapping[str, Any], runtime: str | None = None) -> None:
    """Write one format. Raises DlxError where it cannot be, or answers otherwise than the network.

    runtime: for a page, a folder with the files that run it in the browser.
    """
    check_place(path, how["to"])
    page = how["to"] == "web"
    with web.runtime(runtime) if page else contextlib.nullcontext(None) as runs_it:
        finish = functools.partial(web.add_runtime, place=runs_it) if runs_it is not None else None
        with terminal.doing(f"converting to {how['to']}"):
            answer = written(run, path, Wish(path="", **how), finish)
    if (error := error_of(answer)) is not None:
        raise error
    terminal.console().print(terminal.clean(f"{path}  {byte_size(files.size_of(path))}"))
    rows = [("checked", _checked(answer))]
    if page:
        rows.append(("next", f"python3 -m http.server -d {path} 8000; then http://localhost:8000"))
    terminal.fields(rows, style=terminal.SECONDARY)


def _checked(answer: Mapping[str, Any]) -> str:
    """On what a model was compared, and how it came out."""
    rows = f"{answer['rows']:,} examples of {answer['data']}" if answer["data"] != "made up" else "made-up inputs"
    if "figure" in answer:
        name = answer["figure"]
        before, after = (figure_text(name, answer[key]) for key in ("before", "after"))
        return f"on {rows}: {name} {before} before, {after} now"
    return f"on {rows}, alone and in sevens: differs by {answer['difference']:.1g} at most"


def benchmark(run: Run, tolerance: float) -> int:
    """A row for each format, the network of Keras first; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        wishes = [
            Wish(form, f"{scratch}/{form}-{quantize}", quantize, tolerance, measure=True)
            for form, quantize in BENCHMARK
        ]
        answers = []
        with terminal.Bar(len(wishes), "formats") as bar:
            for answer in exported(run, wishes):
                answers.append(answer)
                bar.update(len(answers))
    names = [wish.to if wish.quantize == "none" else f"{wish.to} {wish.quantize}" for wish in wishes]
    kept = [(name, answer) for name, answer in zip(names, answers, strict=True) if "error" not in answer]
    columns: list[tuple[str, list[str]]] = [
        ("format", [name for name, _ in kept]),
        ("size", [byte_size(answer["bytes"]) for _, answer in kept]),
        ("loads in", [f"{1000 * answer['load_seconds']:.1f} ms" for _, answer in kept]),
        ("an example", [f"{answer['milliseconds']:.2f} ms" for _, answer in kept]),
        ("differs by", [f"{answer['difference']:.0e}" if "difference" in answer else "" for _, answer in kept]),
    ]
    if figure := next((name for name in ("accuracy", "mae") if name in answers[0]), ""):
        columns.append((figure, [figure_text(figure, answer[figure]) for _, answer in kept]))
    terminal.table(columns, [False, *[True] * (len(columns) - 1)])
    for name, answer in zip(names, answers, strict=True):
        if (error := error_of(answer)) is not None:
            terminal.console(error=True).print(terminal.clean_lines(f"{name}: {error}"))
    return 0 if any(name != "keras" for name, _ in kept) else 4
