"""dlx show."""

from __future__ import annotations

import click

from dlx.commands import complete_runs, runs_dir


@click.command("show", short_help="One run: settings, data, versions, figures.")
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.option("--json", "as_json", is_flag=True, help="run.json, metrics and status as one JSON object.")
@runs_dir
def command(run: str, as_json: bool, runs_dir: str | None) -> None:
    """Show one RUN: a directory, a name under the runs folder, a spec's name (its newest run), or latest.

    \b
    dlx show latest
    dlx show digits
    """
    from dlx.commands.listing import show_run

    show_run(run, runs_dir, as_json)
