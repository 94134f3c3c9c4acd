"""dlx list."""

from __future__ import annotations

import click

from dlx.commands import complete_runs, runs_dir

STATUS = ("running", "done", "failed", "interrupted", "crashed", "damaged")


@click.command("list", short_help="The runs, their status and what they changed.")
@click.argument("runs", metavar="[RUN...]", nargs=-1, shell_complete=complete_runs)
@click.option(
    "--status", type=click.Choice(STATUS), multiple=True, help="Only runs of this status; any number of times."
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag.")
@click.option("--since", metavar="TIME", help="Only runs started since: 2026-03-01, 30m, 12h, 7d or 2w.")
@click.option("--sort", metavar="METRIC", help="Best first by this figure; or by start, or name.")
@click.option("-q", "--quiet", is_flag=True, help="Names alone, for other commands.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every run.")
@runs_dir
def command(
    runs: tuple[str, ...],
    status: tuple[str, ...],
    tags: tuple[str, ...],
    since: str | None,
    sort: str | None,
    quiet: bool,
    as_json: bool,
    runs_dir: str | None,
) -> None:
    """List the runs: status, start, the monitored figure, and what each changed against the one before it.

    \b
    dlx list
    dlx list 'cifar_*' --status done --sort val_accuracy
    dlx list --since 7d --tag seeds
    dlx rm $(dlx list -q --status failed)
    """
    from dlx.commands.listing import list_runs

    list_runs(runs_dir, runs, status, tags, since, sort, quiet, as_json)
