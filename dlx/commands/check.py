"""`dlx check`: the problems of specs, then the table of their models."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from dlx.errors import DlxError
    from dlx.model.network import Network
    from dlx.spec.sections import Spec

PAUSE = 0.2  # seconds between two looks at the files
Stamps = dict[str, tuple[int, int]]


@click.command("check", short_help="Find every problem of a spec; show its model.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=completion.specs)
@overrides
@click.option("--print", "resolved", is_flag=True, help="Print the resolved spec: inheritance, overrides, defaults.")
@click.option("--full", is_flag=True, help="Build it on the backend that trains, also where shapes alone can tell.")
@click.option("--watch", is_flag=True, help="Check again whenever a spec, or a YAML file beside it, is saved.")
@launch_options()
def command(
    specs: tuple[str, ...], settings: tuple[str, ...], resolved: bool, full: bool, watch: bool, launch: Launch
) -> int:
    """Show every problem of each SPEC, each with its file, line and column; then the model table.

    \b
    dlx check configs/digits.yaml
    dlx check configs/*.yaml
    dlx check configs/digits.yaml -s lr=0.01 --print
    dlx check mine.yaml --watch
    """
    environment = dict(os.environ)
    launch.want()
    paths = _without_bases(specs)
    stamps = _stamps(paths)
    check = _Check(settings, resolved, full or watch, launch, environment)
    code = check.all(paths)
    while watch:
        stamps = _changed(paths, stamps)
        print(flush=True)
        code = check.all(paths)
    return code


def _changed(paths: Sequence[str], before: Stamps) -> Stamps:
    """Wait until one of the files, or a YAML file beside one, is another than before they were checked."""
    from dlx.system import terminal

    sys.stdout.flush()
    terminal.console(error=True).print("watching; Ctrl-C ends", style=terminal.SECONDARY)
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


@dataclass(frozen=True)
class _Check:
    """How specs are checked: by shapes alone where these can tell, by the backend that trains where not."""

    settings: Sequence[str]
    resolved: bool
    full: bool
    launch: Launch
    environment: Mapping[str, str]

    def all(self, paths: Sequence[str]) -> int:
        """Check every spec and show its model, or its resolved text; returns the exit code."""
        from dlx import spec as dlx_spec
        from dlx.errors import SpecError

        loaded: list[tuple[str, Spec]] = []
        code = 0
        for path in paths:
            try:
                loaded.append((path, dlx_spec.load(path, self.settings)))
            except SpecError as error:
                code = _report(error) or code
        quick = self._quick([spec for _, spec in loaded if not self.resolved or _auto(dlx_spec.dump(spec))])
        for path, spec in loaded:
            code = self._one(path, spec, quick, len(paths) > 1) or code
        return code

    def _quick(self, specs: Sequence[Spec]) -> bool:
        """Whether shapes alone can tell of all these specs, and JAX is there to compute them."""
        from dlx.system import backend
        from dlx.training.check import shapes_suffice

        return not self.full and bool(specs) and all(map(shapes_suffice, specs)) and backend.load_jax()

    def _one(self, path: str, spec: Spec, quick: bool, several: bool) -> int:
        """Show one spec's model, or its resolved text; returns the exit code."""
        from dlx import spec as dlx_spec
        from dlx.errors import DlxError
        from dlx.training.check import check, check_shapes

        if self.resolved and several:
            print(f"# {path}")
        text = dlx_spec.dump(spec) if self.resolved else ""
        if self.resolved and not _auto(text):
            print(text, end="")
            return 0
        try:
            network = (check_shapes if quick else check)(spec, self.launch.root)
            if network is None:
                return self._in_another_process(path)
            if not self.resolved:
                _show_model(path, spec, network)
                return 0
            text = _explained(text, spec, network)
        except DlxError as error:
            if not self.resolved:
                return _report(error)
        print(text, end="")
        return 0

    def _in_another_process(self, path: str) -> int:
        """Check a spec in another process, on the backend that trains: this one has JAX; returns the exit code."""
        import subprocess

        words = ["--backend", self.launch.backend, "--device", self.launch.device, "--runs-dir", str(self.launch.root)]
        words += ["--print"] * self.resolved + [f"--set={setting}" for setting in self.settings]
        sys.stdout.flush()
        command = [sys.executable, "-m", "dlx", "check", "--full", *words, "--", path]
        return subprocess.run(command, env=self.environment).returncode


def _auto(text: str) -> bool:
    """Whether a resolved spec leaves something to the data."""
    return re.search(r"\bauto\b", text) is not None


def _explained(text: str, spec: Spec, network: Network) -> str:
    """A spec's text with what each `auto` stands for in a comment; as it is where its data cannot be loaded."""
    from dlx.errors import DlxError
    from dlx.training.experiment import prepare

    try:
        experiment = prepare(spec)
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
    from dlx.system import problems

    problems.show(error)
    return error.exit_code


def _show_model(path: str, spec: Spec, network: Network) -> None:
    """The table of the layers."""
    from dlx.data import store
    from dlx.model.network import layer_table, parameter_count
    from dlx.system import terminal

    rows = layer_table(network)
    total, trainable = sum(row[3] for row in rows), parameter_count(network)
    sums = [("parameters", trainable)] + ([("not trained", total - trainable)] if trainable != total else [])
    shares = [terminal.share_bar(row[3] / total) if row[3] else "" for row in rows]
    columns = [
        ("layer", [row[0] for row in rows] + [name for name, _ in sums]),
        ("kind", [row[1] for row in rows] + [""] * len(sums)),
        ("output", [row[2] for row in rows] + [""] * len(sums)),
        ("parameters", [f"{row[3]:,}" for row in rows] + [f"{count:,}" for _, count in sums]),
        ("share", [*shares, *("" for _ in sums)]),
    ]
    terminal.console().print(terminal.clean(f"{path}: ok"), style=f"bold {terminal.BETTER}")
    terminal.table(columns, [False, False, False, True, False])
    terminal.console().print(terminal.clean(f"output: {network.head[0]}; loss {network.head[1]}"))
    if spec.dataset.name in store.KNOWN and not spec.dataset.args.get("path") and store.info(spec.dataset.name) is None:
        name = spec.dataset.name
        words = f"{name} is not in the store yet: dlx run fetches it, dlx data add {name} PATH takes a copy"
        terminal.console().print(words)
    for remark in network.remarks:
        terminal.console().print(terminal.clean(remark))
