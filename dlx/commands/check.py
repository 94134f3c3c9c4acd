"""dlx check."""

from __future__ import annotations

import click

from dlx.commands import allow_code, complete_specs, device_options, overrides


@click.command("check", short_help="Find every problem of a spec; show its model.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete_specs)
@overrides
@click.option("--print", "resolved", is_flag=True, help="Print the resolved spec: inheritance, overrides, defaults.")
@allow_code
@device_options
def command(specs: tuple[str, ...], settings: tuple[str, ...], resolved: bool, backend: str, device: str) -> int:
    """Say every problem of each SPEC, each with its file, line and column; then the model table.

    \b
    dlx check configs/digits.yaml
    dlx check configs/*.yaml
    dlx check configs/digits.yaml -s lr=0.01 --print
    """
    from dlx.commands.checking import check_all

    return check_all(specs, settings, resolved, backend, device)
