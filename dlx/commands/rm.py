"""dlx rm."""

from __future__ import annotations

import click

from dlx.commands import complete_runs, runs_dir


@click.command("rm", short_help="Move runs to the trash, or back.")
@click.argument("runs", metavar="[RUN...]", nargs=-1, shell_complete=complete_runs)
@click.option("--restore", is_flag=True, help="Bring the named runs back from the trash; without names list it.")
@click.option("--empty", is_flag=True, help="Delete what is in the trash for good.")
@runs_dir
def command(runs: tuple[str, ...], restore: bool, empty: bool, runs_dir: str | None) -> None:
    """Move each RUN to the folder .trash beside the runs; a run that is running stays.

    \b
    dlx rm digits-3
    dlx rm 'failed_*' wider-1
    dlx rm --restore digits-3
    dlx rm --empty
    """
    from dlx.commands.keeping import empty_trash, remove, restore_runs

    if empty and (restore or runs):
        raise click.UsageError("--empty stands alone: it deletes all that is in the trash")
    if empty:
        empty_trash(runs_dir)
    elif restore:
        restore_runs(runs, runs_dir)
    elif runs:
        remove(runs, runs_dir)
    else:
        raise click.UsageError("expected RUN..., --restore or --empty")
