"""`dlx check`: the problems of specs, then the table of their models."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import PICTURES, Launch, file_to_write, launch_options, overrides

if TYPE_CHECKING:
    from dlx.errors import DlxError
    from dlx.insight.review import Review
    from dlx.spec.sections import Spec

PAUSE = 0.2  # seconds between two looks at the files
Stamps = dict[str, tuple[int, int]]


@click.command("check", short_help="Find every problem of a spec; show its model.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=completion.specs)
@overrides
@click.option("--print", "resolved", is_flag=True, help="Print the resolved spec: inheritance, overrides, defaults.")
@click.option("--full", is_flag=True, help="Build it on the backend that trains, also where shapes alone can tell.")
@click.option("--watch", is_flag=True, help="Check again whenever a spec, or a YAML file beside it, is saved.")
@click.option("--ignore", "ignored", multiple=True, metavar="RULE", help="Leave out the advice of a rule.")
@click.option("--strict-advice", "strict", is_flag=True, help="Exit with 2 where there is advice, too.")
@click.option("--probe", is_flag=True, help="Try it for some seconds: what would go wrong, time, memory, a rate.")
@click.option("-o", "output", type=click.Path(), metavar="FILE", help="Where --probe draws its test of rates.")
@launch_options("json")
def command(
    specs: tuple[str, ...],
    settings: tuple[str, ...],
    resolved: bool,
    full: bool,
    watch: bool,
    ignored: tuple[str, ...],
    strict: bool,
    probe: bool,
    output: str | None,
    launch: Launch,
) -> int:
    """Show every problem of each SPEC, each with its file, line and column; then the model table, and advice.

    Advice is what is allowed and unwise; `dlx parts --advice` lists the rules. With --json a line for each spec.

    --probe trains for some seconds on real data and keeps nothing: each question passes or fails, with its figure; then
    what the whole training would take, and a learning rate. Exit code 4 where one fails.

    \b
    dlx check digits.yaml
    dlx check *.yaml
    dlx check digits.yaml -s lr=0.01 --print
    dlx check mine.yaml --watch
    dlx check mine.yaml --probe
    """
    environment = dict(os.environ)
    launch.want()
    paths = _without_bases(specs)
    stamps = _stamps(paths)
    if resolved and (probe or strict or launch.json):
        raise click.UsageError("--print shows the resolved spec alone, without --probe, --strict-advice and --json")
    if output is not None and not probe:
        raise click.UsageError("-o FILE is for the picture of --probe")
    picture = None if output is None else file_to_write(output, PICTURES)
    if picture is not None and len(specs) > 1:
        raise click.UsageError("-o FILE is for the picture of one spec")
    full = full or watch or probe
    check = _Check(settings, resolved, full, ignored, strict, launch, environment, _Trial(probe, picture))
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
class _Trial:
    """Whether a spec is tried on real data, and where the picture of its rates goes."""

    probe: bool = False
    output: Path | None = None


@dataclass(frozen=True)
class _Check:
    """How specs are checked: by shapes alone where these can tell, by the backend that trains where not."""

    settings: Sequence[str]
    resolved: bool
    full: bool
    ignored: Sequence[str]
    strict: bool
    launch: Launch
    environment: Mapping[str, str]
    trial: _Trial

    def all(self, paths: Sequence[str]) -> int:
        """Check every spec and show its model and advice, or its resolved text; returns the exit code."""
        from dlx import spec as dlx_spec
        from dlx.errors import SpecError
        from dlx.insight.advice import check_names

        check_names(self.ignored)
        loaded: list[tuple[str, Spec]] = []
        code = 0
        for path in paths:
            try:
                loaded.append((path, dlx_spec.load(path, self.settings)))
            except SpecError as error:
                code = self._report(path, error) or code
        quick = self._quick([spec for _, spec in loaded if self._builds(spec)])
        for path, spec in loaded:
            code = self._one(path, spec, quick, len(paths) > 1) or code
        return code

    def _builds(self, spec: Spec) -> bool:
        """Whether more than the spec's own text is asked for."""
        from dlx import spec as dlx_spec
        from dlx.commands.check_screen import leaves_to_the_data

        return not self.resolved or leaves_to_the_data(dlx_spec.dump(spec))

    def _quick(self, specs: Sequence[Spec]) -> bool:
        """Whether shapes alone can tell of all these specs, and JAX is there to compute them."""
        from dlx.system import backend
        from dlx.training.check import shapes_suffice

        return not self.full and bool(specs) and all(map(shapes_suffice, specs)) and backend.load_jax()

    def _one(self, path: str, spec: Spec, quick: bool, several: bool) -> int:
        """Show one spec's model and advice, or its resolved text; returns the exit code."""
        from dlx import spec as dlx_spec
        from dlx.commands.check_screen import explained
        from dlx.errors import DlxError
        from dlx.insight.review import review

        if self.resolved and several:
            print(f"# {path}")
        text = dlx_spec.dump(spec) if self.resolved else ""
        if self._builds(spec):
            try:
                found = review(spec, self.launch.root, quick, self.ignored)
                if found is None:
                    return self._in_another_process(path)
                if not self.resolved:
                    return self._show(path, found)
                text = explained(text, found)
            except DlxError as error:
                if not self.resolved:
                    return self._report(path, error)
        print(text, end="")
        return 0

    def _show(self, path: str, review: Review) -> int:
        """Show the model, the advice, and what a trial found; returns the exit code."""
        from dlx.commands import check_screen

        code = 2 if self.strict and review.advice else 0
        if not self.launch.json:
            check_screen.show_model(path, review)
            check_screen.show_advice(review.spec, review.advice)
        if not self.trial.probe:
            if self.launch.json:
                print(check_screen.as_line(path, review, None))
            return code
        from dlx.commands.probe_screen import try_out

        tried = try_out(path, review, self.settings, error=self.launch.json)
        if self.launch.json:
            print(check_screen.as_line(path, review, None, tried.record(review.spec)))
        if self.trial.output is not None or not self.launch.json:
            tried.draw(review.spec.name, self.trial.output)
        return code or (0 if tried.passed else 4)

    def _report(self, path: str, error: DlxError) -> int:
        """Print an error; returns its exit code."""
        from dlx.commands.check_screen import as_line
        from dlx.system import problems

        if self.launch.json:
            print(as_line(path, None, error))
        else:
            problems.show(error)
        return error.exit_code

    def _in_another_process(self, path: str) -> int:
        """Check a spec in another process, on the backend that trains: this one has JAX; returns the exit code."""
        import subprocess

        words = ["--backend", self.launch.backend, "--device", self.launch.device, "--runs-dir", str(self.launch.root)]
        words += ["--print"] * self.resolved + ["--json"] * self.launch.json + ["--strict-advice"] * self.strict
        words += [f"--set={setting}" for setting in self.settings] + [f"--ignore={rule}" for rule in self.ignored]
        sys.stdout.flush()
        command = [sys.executable, "-P", "-m", "dlx", "check", "--full", *words, "--", path]
        return subprocess.run(command, env=self.environment).returncode


def _without_bases(paths: Sequence[str]) -> Sequence[str]:
    """The paths without bases, where there are several, as a shell expands configs/*.yaml."""
    from dlx.system import terminal

    if len(paths) == 1:
        return paths
    for base in [path for path in paths if Path(path).name.startswith("_")]:
        terminal.console(error=True).print(f"{terminal.clean(base)}: a base, checked with the specs that extend it")
    return [path for path in paths if not Path(path).name.startswith("_")]
