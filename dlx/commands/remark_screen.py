"""A remark on a run: what happened, and the command that tries a remedy."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from dlx.errors import DlxError
from dlx.insight import remarks
from dlx.insight.evidence import Evidence
from dlx.runs.run import Run
from dlx.system import terminal

if TYPE_CHECKING:
    from dlx.training.experiment import Experiment

Pairs = list[tuple[str, str]]


def show(found: Evidence, run: Run, error: bool, least: int = 0) -> None:
    """Print the verdict on what a run shows with its command, and what a reader of the figures should know."""
    remark = remarks.verdict(found)
    pairs: Pairs = [("remark", remark.message)] if remark is not None else []
    if remark is not None and (command := remarks.remedy(remark, run)):
        pairs.append(("try", command))
    pairs += [("note", line) for line in remarks.notes(found)]
    terminal.fields(pairs, error, least=least, style=terminal.DOUBT)


def after(run: Run, experiment: Experiment, root: Path, error: bool, least: int) -> None:
    """What is to be said when a training has ended: the verdict, and whether a change against its parent helped."""
    try:
        _after(run, experiment, root, error, least)
    except Exception as reason:  # a finished training is worth more than a remark on it
        with contextlib.suppress(DlxError):
            run.log(f"no remark: {type(reason).__name__}: {reason}")


def _after(run: Run, experiment: Experiment, root: Path, error: bool, least: int) -> None:
    from dlx.insight.aftermath import against_baselines, effect, look_into

    show(look_into(run, experiment), run, error, least)
    pairs = [("" if place else "change", line) for place, line in enumerate(effect(run, root))]
    pairs += [("baselines", line) for line in against_baselines(run, experiment, root)]
    terminal.fields(pairs, error, least=least)
