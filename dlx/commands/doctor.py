"""dlx doctor."""

from __future__ import annotations

import click

from dlx.commands import device_options, runs_dir


@click.command("doctor", short_help="What is installed, which devices work, where things are.")
@device_options
@runs_dir
def command(backend: str, device: str, runs_dir: str | None) -> int:
    """Say what is installed, what computes, where data and runs are, and train for ten seconds.

    Nothing is left behind. Ends with 4 when the training fails.

    \b
    dlx doctor
    dlx doctor --device gpu
    """
    from dlx.commands.examining import examine

    return examine(backend, device, runs_dir)
