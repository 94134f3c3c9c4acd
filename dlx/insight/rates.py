"""A range test of the learning rate, which grows from step to step until the loss does, too (Smith 2015)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dlx.data.splits import Splits
from dlx.engine.fit import compile_program, fit
from dlx.errors import DivergenceError
from dlx.insight import brief
from dlx.model.build import make_optimizer
from dlx.plots import style
from dlx.plots.style import look, palette, styled
from dlx.system.backend import keras
from dlx.training.experiment import Experiment, plan_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 200
LOWEST, HIGHEST = 1e-6, 10.0
SMOOTH = 0.9  # of the last mean in the next
EARLY = 15  # steps whose mean is still settling
BLOWN = 3.0  # times the lowest loss: the test is over


@dataclass(frozen=True)
class Range:
    """rates: of the steps; losses: their running means, as far as they are finite; proposed: None where none is."""

    rates: Sequence[float]
    losses: Sequence[float]
    proposed: float | None
    own: float


def range_test(experiment: Experiment) -> Range:
    """Train the network as it begins for 200 steps, at rates from 1e-6 to 10, and propose one."""
    spec = replace(
        brief.alone(experiment.spec, STEPS), lr=HIGHEST, log_every=1, batch_size=experiment.batch_size,
        augment=experiment.spec.augment,
    )  # fmt: skip
    split = brief.sample(experiment, STEPS * experiment.batch_size)
    plan = plan_of(replace(experiment, spec=spec, splits=Splits(split, None, None)))
    low = LOWEST / HIGHEST
    plan = replace(plan, schedule=lambda progress: keras.ops.power(low, 1.0 - progress))
    made = brief.network(experiment)
    data = (split.inputs, made.learned(split.targets))
    program = compile_program(made, make_optimizer(spec), plan, data, None)
    rows: list[dict[str, float]] = []
    try:
        for progress in fit(program, plan, chunk_steps=10):
            rows += progress.logged
            if rows and not math.isfinite(rows[-1]["train_loss"]):
                break
    except DivergenceError:
        pass
    rates = [row["learning_rate"] for row in rows]
    return proposal(rates, [row["train_loss"] for row in rows], experiment.spec.lr)


def proposal(rates: Sequence[float], losses: Sequence[float], own: float = 0.0) -> Range:
    """The rate at which the loss falls fastest, by its running mean; None where it hardly falls."""
    smooth, mean = [], 0.0
    for count, loss in enumerate(losses, 1):
        if not math.isfinite(loss):
            break
        mean = SMOOTH * mean + (1 - SMOOTH) * loss
        smooth.append(mean / (1 - SMOOTH**count))
        if smooth[-1] > BLOWN * min(smooth) and count > 20:
            break
    lowest = min(range(len(smooth)), key=smooth.__getitem__, default=0)
    start = statistics.median(smooth[:EARLY]) if smooth else 0.0
    falls = [smooth[n + 5] - smooth[n - 5] for n in range(EARLY, lowest - 4)]  # the first means are noise
    if not falls or smooth[lowest] > 0.95 * start:
        return Range(rates[: len(smooth)], smooth, None, own)
    steepest = EARLY + min(range(len(falls)), key=falls.__getitem__)
    return Range(rates[: len(smooth)], smooth, float(f"{rates[steepest]:.1g}"), own)


@styled
def draw_rates(found: Range, name: str) -> Figure:
    """The loss against the rate, with the rate that is proposed and that of the spec."""
    figure = style.blank(style.width(), 3.2)
    ax = figure.subplots()
    ax.set_xscale("log")
    ax.plot(found.rates, found.losses, color=palette()[0], lw=1.8)
    marks = [(found.own, look().secondary, f"lr {found.own:g}")]
    if found.proposed is not None:
        marks.append((found.proposed, palette()[1], f"falls fastest at {found.proposed:g}"))
    top = max(found.losses[0], min(found.losses))
    for place, (rate, colour, words) in enumerate(marks):
        ax.axvline(rate, color=colour, lw=1.2, ls="--")
        ax.text(rate, 0.96 - 0.09 * place, f" {words}", color=colour, transform=ax.get_xaxis_transform(), va="top")
    ax.set_ylim(0, 1.6 * top)
    ax.set_xlabel("learning rate")
    ax.set_title("loss", loc="left", fontweight="bold")
    ax.grid(True, axis="y")
    words = f"{found.proposed:g}" if found.proposed is not None else "no rate"
    style.headline(figure, f"{name}: the loss falls fastest at a learning rate of {words}")
    style.footer(figure, f"{len(found.rates)} steps of a rate that grows, the running mean of their losses")
    return figure
