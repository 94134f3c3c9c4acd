"""How far the axes of curves go."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from dlx.plots import style
from dlx.plots.history import Setting, X, unlike
from dlx.plots.style import look
from dlx.runs.metrics import is_share, maximized


def judge_scale(panel: Any, name: str, settings: Sequence[Setting]) -> list[Setting]:
    """Give a panel the range of its values; returns the settings that went beyond it.

    Shares go from 0 to 100 %, or from where all are above 90 % in their last half, ten points at least. A loss that
    falls by powers of ten is read on a logarithmic axis.
    """
    if is_share(name):
        halves = [
            values[len(values) // 2 :]
            for setting in settings
            for split in ("train", "val")
            if (values := [point.low for point in setting.points(f"{split}_{name}")])
        ]
        share_scale(panel, min(map(min, halves), default=0.0))
        return []
    away = _diverged(name, settings)
    within = [setting for setting in settings if setting not in away]
    points = [point for one in within for split in ("train", "val") for point in one.points(f"{split}_{name}")]
    values = [value for point in points for value in (point.low, point.high)]
    positive = [v for v in values if v > 0]
    if name in ("loss", "data_loss") and positive and max(positive) / min(positive) > 30:
        panel.set_yscale("log")
        style.plain_ticks(panel.yaxis, (1.0, 2.0, 5.0) if max(positive) / min(positive) < 2000 else (1.0,))
    else:
        style.number_axis(panel.yaxis)
    if away and values:
        room = 0.05 * (max(values) - min(values) or 1.0)
        panel.set_ylim(
            min(positive) / 1.3 if panel.get_yscale() == "log" and positive else min(values) - room, max(values) + room
        )
    return away


def share_scale(panel: Any, least: float) -> None:
    """The height of a panel of shares whose lines end above `least`; its title says where a part is left out."""
    low = math.floor(20 * min(least, 0.9)) / 20 if least > 0.9 else 0.0
    if low:
        panel.set_title(f"{panel.get_title('left')}, axis from {100 * low:g} %", loc="left", fontweight="bold")
    panel.set_ylim(low, 1.0)
    style.percent_axis(panel.yaxis)


def _diverged(name: str, settings: Sequence[Setting]) -> list[Setting]:
    """The settings, not all, whose figure ends ten times above the largest that most of the others have."""
    ends: dict[int, float] = {}
    for number, setting in enumerate(settings):
        if values := [point.value for point in setting.points(f"{setting.judged(name)}_{name}")]:
            ends[number] = max(values[len(values) // 2 :])
    if unlike(settings) or maximized(name):
        return []
    usual = statistics.median_low(ends.values()) if len(ends) > 1 else math.inf
    away = {number for number, end in ends.items() if end > 10 * usual > 0}
    within = [
        point.high
        for number, setting in enumerate(settings)
        for split in ("train", "val")
        if number not in away
        for point in setting.points(f"{split}_{name}")
    ]
    return [settings[number] for number in sorted(away) if not within or ends[number] > max(within)]


def guess_line(panel: Any, name: str, settings: Sequence[Setting]) -> bool:
    """A dotted line where guessing among the classes lies, within the panel's range; whether it is drawn."""
    runs = [run for setting in settings for run in setting.runs]
    counts, guesses = {run.classes for run in runs}, {run.guess for run in runs}
    if len(counts) != 1 or (count := counts.pop()) < 2:
        return False
    share = guesses.pop() if len(guesses) == 1 else 0.0
    heights = {
        "accuracy": share or 1 / count,
        **({"loss": math.log(count)} if all(run.entropy for run in runs) else {}),
    }
    low, high = panel.get_ylim()
    if name not in heights or not low < heights[name] < high:
        return False
    panel.axhline(heights[name], color=look().guess, ls=style.DOTTED, lw=1.2, zorder=1)
    return True


def place_axis(panel: Any, x: X, ends: Sequence[float]) -> None:
    """The axis of epochs, steps or seconds; logarithmic where it is long, or runs of it are of unlike lengths."""
    if x != "epoch":
        panel.set_xlabel("step" if x == "step" else "seconds of training")
        if max(ends) > 8 * min(ends) > 0:
            panel.set_xscale("log")
            style.plain_ticks(panel.xaxis, (1.0,))
            panel.set_xlabel(f"{panel.get_xlabel()} (logarithmic)")
        return
    last = max(ends)
    if last < 1000:
        panel.set_xlim(1 if last > 1 else 0.5, max(last, 1.5))
        panel.xaxis.get_major_locator().set_params(integer=True)
        if last <= 1:
            panel.set_xticks([1])
        panel.set_xlabel("epoch")
    else:
        panel.set_xscale("log")
        panel.set_xlim(1, last)
        style.plain_ticks(panel.xaxis, (1.0,))
        panel.set_xlabel("epoch (logarithmic)")
