"""`dlx reproduce`: a run once more, and whether it came out the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options

if TYPE_CHECKING:
    from dlx.insight.reproduction import Reproduced
    from dlx.runs.run import Run


@click.command("reproduce", short_help="Train a run once more; is it the same?")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@launch_options("json", "deadline")
def command(run: str, launch: Launch) -> int:
    """Train RUN again beside it, by its own spec, and say whether it came out the same.

    Equal to the bit, equal within rounding, or from which epoch on it differs; then what differs of the conditions
    (settings, code, data, backend, device, threads, versions), the most likely cause first. It trains on the backend,
    the device and the threads of RUN unless others are named. Exit code 0 where it is equal, 4 where it differs.

    \b
    dlx reproduce latest
    dlx reproduce digits-1 --backend jax
    """
    from dlx.runs import find

    existing = find.one(run, launch.root)
    again, changed = _train(existing, launch)
    if again is None:
        return 75
    from dlx.insight.reproduction import judge, ordered

    found = judge(existing, again)
    _show(existing, again, found, ordered(changed), launch)
    return 0 if found.equal != "no" else 4


def _train(run: Run, launch: Launch) -> tuple[Run | None, list[str]]:
    """(the second run, None where it was stopped; what differs of the conditions). Raises TrainingError where it failed
    and the first did not."""
    from dlx.commands.training_screen import RunScreen
    from dlx.training.resume import again

    device = {"backend": launch.backend, "device": launch.device}
    outcome, changed = again(run, ["dlx", *sys.argv[1:]], RunScreen(launch.json), device, launch.deadline)
    if outcome.status == "interrupted":
        return None, changed
    return outcome.run, changed


def _show(run: Run, again: Run, found: Reproduced, changed: list[str], launch: Launch) -> None:
    """The verdict, and what differs."""
    from dlx.system import terminal
    from dlx.system.json_text import one_line

    if launch.json:
        keys = ("equal", "epochs", "epoch", "figure", "before", "now", "predictions")
        record = {"run": str(run.path), "again": str(again.path), **{key: getattr(found, key) for key in keys}}
        print(one_line({**record, "differences": changed, "sentence": found.sentence}))
        return
    role = terminal.BETTER if found.equal != "no" else terminal.DOUBT
    out = terminal.console()
    out.print()
    for line in terminal.wrapped(f"{run.name} and {again.name}: {found.sentence}"):
        out.print(terminal.clean(line), style=f"bold {role}")
    pairs = [("" if place else "differs", line) for place, line in enumerate(changed)]
    if not changed:
        pairs = [("conditions", "the same: settings, code, data, backend, device, threads, versions")]
    terminal.fields(pairs, least=12)
