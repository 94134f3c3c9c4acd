"""One short module a command: options in, one call, print. Bodies import the work, so that --help loads none of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

COMMANDS = ("run", "sweep", "check", "list", "show", "compare", "plot", "predict", "data", "parts")
F = TypeVar("F", bound=Callable[..., Any])


def runs_dir(function: F) -> F:
    """The option that every command that touches runs has."""
    return click.option(
        "--runs-dir", metavar="DIR", help="The folder that runs live in (environment DLX_RUNS).  [default: runs]"
    )(function)


def overrides(function: F) -> F:
    """-s address=value, any number of times."""
    return click.option(
        "-s", "--set", "settings", multiple=True, metavar="K=V",
        help="Override a setting by its address: -s lr=0.1 -s layers.dropout.rate=0.3",
    )(function)  # fmt: skip


def run_options(function: F) -> F:
    """What every run that a command starts is given, and how it is told."""
    function = click.option(
        "--json", "as_json", is_flag=True, help="One JSON object a line on standard output for each run."
    )(function)
    return click.option("--tag", "tags", multiple=True, metavar="TAG", help="Add a tag; any number of times.")(function)


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
        "--backend", type=click.Choice(["auto", "tensorflow"]), default="auto", help="What Keras runs on."
    )(function)


def _device(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    import re

    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", value):
        raise click.BadParameter(f"expected auto, cpu, gpu or gpu:N, got {value!r}")
    return value
