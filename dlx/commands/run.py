"""dlx run."""

from __future__ import annotations

import click

from dlx.commands import allow_code, complete_specs, device_options, max_time, overrides, run_options, runs_dir


@click.command("run", short_help="Train one or several specs.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete_specs)
@overrides
@click.option("--name", metavar="NAME", help="Name the run, instead of after its spec.")
@click.option(
    "--repeat", type=click.IntRange(1), default=1, metavar="N", help="Run each spec N times, seeds counting up."
)
@run_options
@max_time
@allow_code
@device_options
@runs_dir
def command(
    specs: tuple[str, ...],
    settings: tuple[str, ...],
    name: str | None,
    tags: tuple[str, ...],
    repeat: int,
    as_json: bool,
    max_time: float | None,
    backend: str,
    device: str,
    runs_dir: str | None,
) -> int:
    """Train each SPEC into a run directory of its own.

    All specs are checked before any starts; when one fails, the others still run.

    \b
    dlx run configs/digits.yaml
    dlx run configs/cifar_*_lr.yaml -s epochs=2
    dlx run configs/digits.yaml --repeat 3        the same with three seeds
    """
    from dlx.commands.running import run_all

    return run_all(
        specs,
        settings,
        name=name,
        tags=tags,
        repeat=repeat,
        json=as_json,
        backend=backend,
        device=device,
        folder=runs_dir,
        max_time=max_time,
    )
