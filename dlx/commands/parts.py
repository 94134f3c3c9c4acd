"""dlx parts."""

from __future__ import annotations

import click

from dlx.commands import complete_parts


@click.command("parts", short_help="Everything that a spec can name.")
@click.argument("name", required=False, shell_complete=complete_parts)
def command(name: str | None) -> None:
    """List every part, or explain the part NAME: its parameters, their types and defaults.

    \b
    dlx parts
    dlx parts conv2d
    """
    from dlx.commands.explaining import explain, list_parts

    if name:
        explain(name)
    else:
        list_parts()
