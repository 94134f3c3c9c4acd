"""What `dlx check --probe` shows: the questions to the network, what the training would take, and a rate."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError
from dlx.insight.outlook import Outlook, outlook
from dlx.insight.probe import Check, checks, probe
from dlx.insight.rates import draw_rates
from dlx.insight.review import Review
from dlx.plots import style
from dlx.spec import trials_of
from dlx.spec.sections import Spec
from dlx.system import terminal
from dlx.system.units import byte_size, duration
from dlx.training.experiment import prepare


@dataclass(frozen=True)
class Tried:
    """What a trial of some seconds found."""

    checks: Sequence[Check]
    outlook: Outlook

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def record(self, spec: Spec) -> dict[str, Any]:
        """As --json has it: `change` is empty where a question passed."""
        items = [
            {"rule": check.rule, "where": spec.locate(check.where), "message": check.message,
             "change": "" if check.passed else check.change, "passed": check.passed}
            for check in self.checks
        ]  # fmt: skip
        return {"probe": items, "plan": self.outlook.record()}

    def draw(self, name: str, output: Path | None) -> None:
        """Write the picture of the rates, and say where."""
        path = output or Path(f"{name}-rates.png")
        style.save(draw_rates(self.outlook.rates, name), path)
        terminal.console(error=True).print(terminal.clean(str(path)))


def try_out(path: str, review: Review, settings: Sequence[str], error: bool) -> Tried:
    """Try a spec, showing the questions as they are answered; error: on standard error."""
    spec = review.spec
    experiment = review.experiment or prepare(spec)
    sys.stdout.flush()
    with terminal.doing("trying a batch"):
        answered = checks(probe(experiment), experiment)
    _show_checks(spec, answered, error)
    with terminal.doing("testing rates, measuring a second of training"):
        expected = outlook(experiment, _trainings(path, settings, spec))
    _show_outlook(expected, len(experiment.splits.train), error)
    return Tried(answered, expected)


def _trainings(path: str, settings: Sequence[str], spec: Spec) -> int:
    """How many trainings a spec's sweep has; one without."""
    if not spec.sweep:
        return 1
    try:
        return len(trials_of(path, settings))
    except (DlxError, SpecError):
        return 1


def _show_checks(spec: Spec, answered: Sequence[Check], error: bool) -> None:
    terminal.console(error).print()
    for check in answered:
        words = f"{check.message} [{check.rule}]"
        terminal.fields([("ok" if check.passed else "FAIL", words)], error, least=6, style=_role(check))
        if not check.passed:
            place = spec.locate(check.where).rpartition(": ")[0]
            change = f"{place}: {check.change}" if place else check.change
            terminal.fields([("", change)], error, least=6, style=terminal.SECONDARY)


def _role(check: Check) -> str:
    return "" if check.passed else terminal.ERROR


def _show_outlook(expected: Outlook, rows: int, error: bool) -> None:
    low, high = expected.seconds
    time, count = f"{duration(low)} to {duration(high)}", expected.trainings
    if count > 1:
        time = f"{time} a training, {duration(low * count)} to {duration(high * count)} for the {count} of the sweep"
    part = "all of train" if expected.batch == rows else "in half of the free memory"
    rates, proposed = expected.rates, "the loss hardly falls at any rate"
    if rates.proposed is not None:
        proposed = f"the loss falls fastest at {rates.proposed:g}"
    pairs = [("device", expected.device), ("time", time)]
    if expected.memory is not None:
        pairs.append(("memory", f"{byte_size(expected.memory)} at its peak, so far"))
    pairs.append(("disk", f"up to {byte_size(expected.disk)}"))
    if expected.batch is not None:
        pairs.append(("batch_size", f"up to {expected.batch:,} fits, {part}"))
    pairs.append(("lr", f"{proposed} (the spec has {rates.own:g})"))
    terminal.console(error).print()
    terminal.fields(pairs, error, least=12)
