"""`dlx check`: the problems of specs, then the table of their models."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from dlx.errors import DlxError
    from dlx.spec.sections import Spec

PAUSE = 0.2  # seconds between two looks at the files
Stamps = dict[str, tuple[int, int]]


@click.command("check", short_help="Find every problem of a spec; show its model.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=completion.specs)
@overrides
@click.option("--print", "resolved", is_flag=True, help="Print the resolved spec: inheritance, overrides, defaults.")
@click.option("--watch", is_flag=True, help="Check again whenever a spec, or a YAML file beside it, is saved.")
@launch_options()
def command(specs: tuple[str, ...], settings: tuple[str, ...], resolved: bool, watch: bool, launch: Launch) -> int:
    """Show every problem of each SPEC, each with its file, line and column; then the model table.

    \b
    dlx check configs/digits.yaml
    dlx check configs/*.yaml
    dlx check configs/digits.yaml -s lr=0.01 --print
    dlx check mine.yaml --watch
    """
    launch.want()
    paths = _without_bases(specs)
    stamps = _stamps(paths)
    code = _check(paths, settings, resolved, launch.root)
    while watch:
        stamps = _changed(paths, stamps)
        print(flush=True)
        code = _check(paths, settings, resolved, launch.root)
    return code


def _changed(paths: Sequence[str], before: Stamps) -> Stamps:
    """Wait until one of the files, or a YAML file beside one, is another than before they were checked."""
    from dlx.system import terminal

    sys.stdout.flush()
    terminal.console(error=True).print("watching; Ctrl-C ends", style="dim")
    while (now := _stamps(paths)) == before:
        time.sleep(PAUSE)
    return now


def _stamps(paths: Sequence[str]) -> Stamps:
    """When each of the files, and each YAML file beside one, was last written, and its size."""
    folders = {Path(path).parent for path in paths}
    stamps = {}
    for file in {*map(Path, paths), *(file for folder in folders for file in folder.glob("*.y*ml"))}:
        with contextlib.suppress(OSError):  # an editor may put it away for a moment
            stamps[str(file)] = (file.stat().st_mtime_ns, file.stat().st_size)
    return stamps


def _check(paths: Sequence[str], settings: Sequence[str], resolved: bool, root: Path) -> int:
    """Check every spec and show its model, or its resolved text; returns the exit code."""
    from dlx import spec as dlx_spec
    from dlx.errors import DlxError, SpecError

    loaded: list[tuple[str, Spec]] = []
    code = 0
    for path in paths:
        try:
            loaded.append((path, dlx_spec.load(path, settings)))
        except SpecError as error:
            code = _report(error) or code
    if resolved:
        for path, spec in loaded:
            if len(paths) > 1:
                print(f"# {path}")
            print(_explained(dlx_spec.dump(spec), spec, root), end="")
        return code
    for path, spec in loaded:
        try:
            _show_model(path, spec, root)
        except DlxError as error:
            code = _report(error) or code
    return code


def _explained(text: str, spec: Spec, root: Path) -> str:
    """A spec's text with what each `auto` stands for in a comment; as it is where its network cannot be built."""
    import re

    from dlx.errors import DlxError
    from dlx.training.experiment import prepare
    from dlx.training.train import check

    if not re.search(r"\bauto\b", text):
        return text
    try:
        network, experiment = check(spec, root), prepare(spec)
    except DlxError:
        return text
    meaning = {
        "test": "none: the data has no test split" if experiment.splits.test is None else "the data's own",
        "task": experiment.facts.task,
        "loss": network.head[1],
        "metrics": ", ".join(metric.name for metric in network.metrics()) or "none",
        "monitor": experiment.monitor,
        "  - {output": network.head[0],
    }
    lines = text.splitlines()
    for number, line in enumerate(lines):
        key = line.partition(":")[0]
        if key in meaning and re.search(r"\bauto\b", line):
            lines[number] = f"{line}  # {meaning[key]}"
    return "\n".join(lines) + "\n"


def _without_bases(paths: Sequence[str]) -> Sequence[str]:
    """The paths without bases, where there are several, as a shell expands configs/*.yaml."""
    from dlx.system import terminal

    if len(paths) == 1:
        return paths
    for base in [path for path in paths if Path(path).name.startswith("_")]:
        terminal.console(error=True).print(f"{terminal.clean(base)}: a base, checked with the specs that extend it")
    return [path for path in paths if not Path(path).name.startswith("_")]


def _report(error: DlxError) -> int:
    """Print an error; returns its exit code."""
    from dlx.system import terminal

    terminal.console(error=True).print(terminal.clean_lines(str(error)))
    return error.exit_code


def _show_model(path: str, spec: Spec, root: Path) -> None:
    """The table of the layers."""
    from dlx.data import store
    from dlx.model.network import layer_table, parameter_count
    from dlx.system import terminal
    from dlx.training.train import check

    network = check(spec, root)
    rows = layer_table(network)
    total, trainable = sum(row[3] for row in rows), parameter_count(network)
    sums = [("parameters", trainable)] + ([("not trained", total - trainable)] if trainable != total else [])
    columns = [
        ("layer", [row[0] for row in rows] + [name for name, _ in sums]),
        ("kind", [row[1] for row in rows] + [""] * len(sums)),
        ("output", [row[2] for row in rows] + [""] * len(sums)),
        ("parameters", [f"{row[3]:,}" for row in rows] + [f"{count:,}" for _, count in sums]),
    ]
    terminal.console().print(terminal.clean(f"{path}: ok"), style="bold green")
    terminal.table(columns, [False, False, False, True])
    terminal.console().print(terminal.clean(f"output: {network.head[0]}; loss {network.head[1]}"))
    if spec.dataset.name in store.KNOWN and not spec.dataset.args.get("path") and store.info(spec.dataset.name) is None:
        name = spec.dataset.name
        words = f"{name} is not in the store yet: dlx run fetches it, dlx data add {name} PATH takes a copy"
        terminal.console().print(words)
    for remark in network.remarks:
        terminal.console().print(terminal.clean(remark))
