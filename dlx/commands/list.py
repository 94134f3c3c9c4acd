"""dlx list."""

from __future__ import annotations

import click

from dlx.commands import runs_dir


@click.command("list", short_help="The runs, their status and what they changed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every run.")
@runs_dir
def command(as_json: bool, runs_dir: str | None) -> None:
    """List the runs: status, start, the monitored figure, and what each changed against the one before it.

    \b
    dlx list
    dlx list --runs-dir runs/tutorials
    """
    from dlx.listing import list_runs

    list_runs(runs_dir, as_json)
