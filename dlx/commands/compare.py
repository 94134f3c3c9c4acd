"""dlx compare."""

from __future__ import annotations

import click

from dlx.commands import complete_runs, runs_dir


@click.command("compare", short_help="What differs between runs, and what resulted.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--sort", metavar="METRIC", help="Best first by this figure, test_accuracy for one.")
@click.option("--columns", metavar="A,B,...", help="The figures to show, instead of the usual ones.")
@click.option("--json", "form", flag_value="json", help="Everything as one JSON object, never folded.")
@click.option("--csv", "form", flag_value="csv", help="The table as CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="The table as Markdown.")
@runs_dir
def command(
    runs: tuple[str, ...], sort: str | None, columns: str | None, form: str | None, runs_dir: str | None
) -> None:
    """Show the settings in which the runs differ, then their figures, the best marked with *.

    Runs that differ in nothing but the seed become one row: mean ± standard deviation.

    \b
    dlx compare runs/*
    dlx compare 'cifar_*' --sort val_accuracy
    dlx compare runs/* --csv > runs.csv
    """
    from dlx.commands.comparing import compare

    compare(runs, sort, columns.split(",") if columns else [], form, runs_dir)
