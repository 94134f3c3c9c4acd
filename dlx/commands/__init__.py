"""One short module a command: options in, one call, print. Bodies import the work, so that --help loads none of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

COMMANDS = (
    "init", "run", "resume", "sweep", "check", "list", "show", "note", "rm", "compare", "plot", "predict", "data",
    "parts", "schema", "doctor",
)  # fmt: skip
F = TypeVar("F", bound=Callable[..., Any])


def complete_runs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The runs, for the shell."""
    from dlx.runs import run as runs

    folder = runs.root(ctx.params.get("runs_dir"))
    names = [path.name for path in runs.below(folder)]
    if "rm" in ctx.command_path and ctx.params.get("restore"):
        names = [path.name for path in runs.below(runs.trash(folder))]
    return [name for name in [*names, "latest"] if name.startswith(incomplete)]


def complete_specs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Spec files and folders, for the shell; bases are left out."""
    from pathlib import Path

    from click.shell_completion import CompletionItem

    folder = Path(incomplete).parent if not incomplete.endswith("/") else Path(incomplete)
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if str(path).startswith(incomplete) and not path.name.startswith((".", "_")):
            if path.is_dir():
                found.append(CompletionItem(f"{path}/"))
            elif path.suffix in (".yaml", ".yml"):
                found.append(CompletionItem(str(path)))
    return found


def complete_settings(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The addresses of the specs named so far, and the keys of every spec, for the shell after -s."""
    from dlx import spec as specs
    from dlx.errors import DlxError
    from dlx.spec import sections
    from dlx.spec.validate import SECTIONS

    os.environ.pop("DLX_ALLOW_CODE", None)  # the tabulator key runs no code of a spec
    found = set(SECTIONS)
    # click has not parsed the line before an option that still waits for its value.
    words = os.environ.get("COMP_WORDS", "").split()
    for word in words:
        if not word.endswith((".yaml", ".yml")):
            continue
        try:
            found |= set(sections.flat(sections.resolved(specs.load(word))))
        except DlxError:
            continue
    return [f"{address}=" for address in sorted(found) if address.startswith(incomplete)]


def complete_parts(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of all parts, for the shell."""
    from dlx.parts import REGISTRIES

    return sorted({name for registry in REGISTRIES.values() for name in registry if name.startswith(incomplete)})


def runs_dir(function: F) -> F:
    """The option that every command that touches runs has."""
    return click.option(
        "--runs-dir", metavar="DIR", help="The folder that runs live in (environment DLX_RUNS).  [default: runs]"
    )(function)


def overrides(function: F) -> F:
    """-s address=value, any number of times."""
    return click.option(
        "-s", "--set", "settings", multiple=True, metavar="K=V", shell_complete=complete_settings,
        help="Override a setting by its address: -s lr=0.1 -s layers.dropout.rate=0.3",
    )(function)  # fmt: skip


def run_options(function: F) -> F:
    """What every run that a command starts is given, and how it is told."""
    function = click.option(
        "--json", "as_json", is_flag=True, help="One JSON object a line on standard output for each run."
    )(function)
    return click.option("--tag", "tags", multiple=True, metavar="TAG", help="Add a tag; any number of times.")(function)


def max_time(function: F) -> F:
    """--max-time: stop politely before somebody else does so otherwise."""

    def seconds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
        import re

        if value is None:
            return None
        text = value.replace(" ", "")
        if re.fullmatch(r"\d+", text):
            return float(text)
        found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?", text)
        if found is None or not any(found.groups()):
            raise click.BadParameter(f"expected a time such as 90, 45m, 2h or 1h30m, got {value!r}")
        return sum(int(text or 0) * size for text, size in zip(found.groups(), (86400, 3600, 60, 1), strict=True))

    return click.option(
        "--max-time", metavar="TIME", callback=seconds,
        help="Stop so long after the start (90, 45m, 2h, 1h30m), keep a checkpoint, exit with 75; dlx resume goes on.",
    )(function)  # fmt: skip


def allow_code(function: F) -> F:
    """--allow-code: a spec's own Python may run."""

    def allow(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            os.environ["DLX_ALLOW_CODE"] = "1"

    return click.option(
        "--allow-code", is_flag=True, expose_value=False, is_eager=True, callback=allow,
        help="Let the Python files that a spec imports run.",
    )(function)  # fmt: skip


def device_options(function: F) -> F:
    """Which backend and device the process uses; no part of a spec."""
    function = click.option(
        "--device", default="auto", metavar="auto|cpu|gpu|gpu:N", callback=_device, help="What to compute on."
    )(function)
    return click.option(
        "--backend", type=click.Choice(["auto", "tensorflow", "jax"]), default="auto", help="What Keras runs on."
    )(function)


def _device(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    import re

    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", value):
        raise click.BadParameter(f"expected auto, cpu, gpu or gpu:N, got {value!r}")
    return value
