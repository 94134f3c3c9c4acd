"""dlx resume."""

from __future__ import annotations

import click

from dlx.commands import allow_code, complete_runs, device_options, max_time, runs_dir


@click.command("resume", short_help="Go on with a run that was stopped, or train a finished one further.")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=complete_runs)
@click.option(
    "-s", "--set", "settings", multiple=True, metavar="K=V",
    help="Train further, as a child run, with another epochs, steps or early_stop: -s epochs=100",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Go on though versions, device or data are others than they were.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@max_time
@allow_code
@device_options
@runs_dir
def command(
    run: str | None,
    settings: tuple[str, ...],
    force: bool,
    as_json: bool,
    max_time: float | None,
    backend: str,
    device: str,
    runs_dir: str | None,
) -> int:
    """Go on exactly where a run was: its weights, history and predictions are those of a run without a stop.

    Without RUN, the newest one that was stopped. With -s the run stays as it is, and another one goes on from its end.

    \b
    dlx resume
    dlx resume digits-1
    dlx resume digits-1 -s epochs=100
    """
    from dlx.commands.resuming import resume

    return resume(
        run, settings, force=force, json=as_json, max_time=max_time, backend=backend, device=device, folder=runs_dir
    )
