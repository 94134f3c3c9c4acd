"""`dlx resume`: go on with a run and show it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.commands import training_screen as following
from dlx.errors import DlxError
from dlx.runs import run as runs
from dlx.system import signals
from dlx.system import terminal as display

if TYPE_CHECKING:
    from dlx.training.experiment import Experiment


def resume(
    word: str | None,
    settings: Sequence[str],
    *,
    force: bool,
    json: bool,
    max_time: float | None,
    backend: str,
    device: str,
    folder: str | None,
) -> int:
    """Go on with a run, the newest that was stopped where none is named; returns the exit code."""
    from dlx.training import resume as resumption

    deadline = signals.deadline(max_time)
    root = runs.root(folder)
    run = resumption.newest(root) if word is None else runs.one(word, root)

    def told(experiment: Experiment, start: Any) -> None:
        following.show(experiment, error=json)
        where = "the beginning: it has no checkpoint yet"
        if start is not None:
            where = f"step {start.step:,} of {experiment.steps:,}, after epoch {start.info['epochs']:,}"
            behind = len(run.history()) - len(start.rows)
            if behind > 0 and not settings:
                where += f"; {behind:,} epoch{'s' * (behind > 1)} behind that checkpoint will be trained again"
        display.lines([("goes on", f"{run.name} from {where}")], json)

    try:
        outcome = resumption.resume(
            run,
            settings,
            force=force,
            wanted={"backend": backend, "device": device},
            command=["dlx", *sys.argv[1:]],
            observer=following.observer(json),
            told=told,
            deadline=deadline,
        )
    except DlxError:
        if json:
            print(display.as_json({"run": str(run.path), "status": "failed", "metrics": {}}), flush=True)
        raise
    if json:
        print(following.as_json(outcome), flush=True)
    return outcome.exit_code
