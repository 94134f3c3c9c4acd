"""dlx sweep."""

from __future__ import annotations

import click

from dlx.commands import allow_code, complete_specs, device_options, max_time, overrides, run_options, runs_dir


@click.command("sweep", short_help="Train every combination of alternatives.")
@click.argument("spec", metavar="SPEC", shell_complete=complete_specs)
@overrides
@click.option(
    "--dry-run",
    is_flag=True,
    help="List the combinations with the time they will take: each is trained for a second, and nothing kept.",
)
@run_options
@max_time
@allow_code
@device_options
@runs_dir
def command(
    spec: str,
    settings: tuple[str, ...],
    dry_run: bool,
    tags: tuple[str, ...],
    as_json: bool,
    max_time: float | None,
    backend: str,
    device: str,
    runs_dir: str | None,
) -> int:
    """Train SPEC once for each combination of the alternatives in its `sweep` section, or after -s, parted by commas.

    Each is an ordinary run. One that fails is told, and the rest go on. Started again, only what is missing
    runs: a finished run of the same settings counts.

    \b
    dlx sweep configs/moons_hidden_sizes.yaml
    dlx sweep configs/digits.yaml -s lr=0.001,0.01,0.1 -s layers.dropout.rate=0,0.2
    dlx sweep configs/digits.yaml -s lr=0.001,0.01 --dry-run
    """
    if dry_run and as_json:
        raise click.UsageError("--dry-run prints a table, --json one object for each run; expected one of them")
    from dlx.search.sweep import run_sweep

    made, code = run_sweep(
        spec,
        settings,
        tags=tags,
        dry_run=dry_run,
        as_json=as_json,
        backend=backend,
        device=device,
        folder=runs_dir,
        max_time=max_time,
    )
    if len(made) > 1 and not as_json:
        from dlx.commands.comparing import compare

        print()
        compare([str(run.path) for run in made], None, [], None, runs_dir)
        print(f"\nnext  dlx plot {' '.join(run.name for run in made)}{f' --runs-dir {runs_dir}' if runs_dir else ''}")
    return code
