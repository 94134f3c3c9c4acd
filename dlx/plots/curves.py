"""Learning curves of one run, or of several."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.plots import style
from dlx.plots.history import LONG, SPLITS, Curve, Setting, X, best_of, figure_words, points_of, settings_of, unlike
from dlx.plots.scales import guess_line, judge_scale, place_axis
from dlx.plots.style import Names, look, palette, short, styled
from dlx.plots.subject import Subject
from dlx.runs.metrics import is_number, is_share, maximized

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAINS, NAMED = 3, 12  # settings of which train lines are drawn, and names stand at the lines' ends
SOME = 6  # names of a ramp with more


@styled
def draw_curves(runs: Sequence[Curve], title: str = "", x: X = "epoch") -> Figure:
    """A panel for the loss and for each metric over the epochs: train against validation, the best epoch ringed.

    x: what they are drawn over; over the steps, train figures are those of `log_every` where a run has them. One run
    has a colour a split; several have a colour a run, solid for validation, and of up to three the train lines, dashed.
    Runs of one label are a line, their mean, in a band from the lowest to the highest. A run that diverged does not
    stretch the axis of others: an arrow says where it went.
    """
    settings = settings_of(runs)
    figures = _curve_names(settings) or ["loss"]
    columns = min(len(figures), style.panels_a_row())
    lines = -(-len(figures) // columns)
    figure = style.blank(style.width(), 2.5 * lines + 0.75)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    colours = _colours(settings)
    labelled, guessed = [], False
    for panel, name in itertools.zip_longest(panels, figures):
        if name is None:
            panel.axis("off")
            continue
        names, dotted = draw_panel(panel, name, settings, colours, x)
        guessed = guessed or dotted
        labelled.append((panel, names))
    style.headline(figure, answer(settings, title))
    style.footer(figure, "; ".join([*explained(settings, figures, x), *(["dotted: guessing"] if guessed else [])]))
    for panel, names in labelled:
        style.end_labels(panel, names)
    return figure


def draw_panel(
    panel: Any, name: str, settings: Sequence[Setting], colours: Sequence[str], x: X = "epoch"
) -> tuple[Names, bool]:
    """One figure of the settings into a panel; returns the names at its lines' ends, and whether guessing is drawn."""
    panel.set_title(_unit(name, settings), loc="left", fontweight="bold")
    for setting, colour in zip(settings, colours, strict=True):
        _curve(panel, name, (setting, x), colour, settings)
    away = judge_scale(panel, name, settings)
    for setting, colour in zip(settings, colours, strict=True):
        if setting not in away and len(setting.runs) == 1:
            _ring(panel, name, (setting.first, x), colour, len(settings) == 1)
    panel.grid(True, axis="y")
    panel.set_axisbelow(True)
    place_axis(panel, x, [run.places(x)[-1] for setting in settings for run in setting.runs if run.rows] or [1.0])
    return _names_at_the_end(name, settings, colours, x, away), guess_line(panel, name, settings)


def _sizes(settings: Sequence[Setting]) -> list[float] | None:
    """The sizes of the one setting that labels differ in; None where it is a word, or several settings."""
    matched = [re.fullmatch(r"(.* |)(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)", setting.label) for setting in settings]
    if len(settings) < 2 or not all(matched) or len({m[1] for m in matched if m}) > 1:
        return None
    return [float(m[2]) for m in matched if m]


def _colours(settings: Sequence[Setting]) -> list[str]:
    """A colour for each setting: a ramp where they differ in the size of one, else unlike ones; of many words two."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    if (sizes := _sizes(settings)) is not None:
        order = sorted(set(sizes))
        ramp = style.RAMP if look() is style.LIGHT else style.RAMP_ON_DARK
        shades = LinearSegmentedColormap.from_list("ramp", ramp)
        return [to_hex(shades(order.index(size) / max(len(order) - 1, 1))) for size in sizes]
    if len(settings) > NAMED:
        named = _named(settings)
        return [named.get(number, look().guess) for number in range(len(settings))]
    return [palette()[number % len(palette())] for number in range(len(settings))]


def _named(settings: Sequence[Setting]) -> dict[int, str]:
    """Of many settings the best and the last one, by their numbers, each with its colour."""
    name = judging(settings)
    means = {n: statistics.fmean(kept) for n, setting in enumerate(settings) if (kept := setting.kept(name))}
    if not means:
        return {}
    ranked = sorted(means, key=lambda n: means[n], reverse=maximized(name))
    return {ranked[-1]: look().validation, ranked[0]: look().better}


def judging(settings: Sequence[Setting]) -> str:
    """The figure that the settings are compared by: a share, an error in the target's unit, else the loss."""
    names = _curve_names(settings)
    return next((name for name in names if is_share(name)), next((n for n in ("mae", "rmse") if n in names), "loss"))


def _shade(split: str) -> str:
    """The colour of a split, where a picture has one setting."""
    return look().validation if split == "val" else look().train


def answer(settings: Sequence[Setting], title: str) -> str:
    """What came of it, in a sentence: the headline."""
    name = judging(settings)
    count = sum(len(setting.runs) for setting in settings)
    best = [
        (statistics.fmean(kept), setting)
        for setting in settings
        if len(kept := setting.kept(name)) == len(setting.runs)  # a run without a finite figure is never best
    ]
    if not best:
        return title or f"{count} runs"
    if unlike(settings) or len({setting.judged(name) for _, setting in best}) > 1:
        return f"{count} runs on unlike data, whose figures say nothing of one another"
    if count == 1:
        ((value, setting),) = best
        run = setting.first
        epoch = run.kept_epoch or run.best_epoch
        of = f"epoch {epoch:,} of {len(run.rows):,}" if epoch else f"{len(run.rows):,} epochs"
        return f"{title + ': ' if title else ''}{figure_words(name, [value])} on {SPLITS[setting.judged(name)]}, {of}"
    top, setting = (max if maximized(name) else min)(best, key=lambda one: one[0])
    equal = [other.label for value, other in best if value == top]
    kept, split = setting.kept(name), SPLITS[setting.judged(name)]
    lead = f"{title + ': ' if title else ''}" if len(settings) == 1 else f"{best_of(equal)}: "
    return f"{lead}{figure_words(name, kept)} on {split}{f' (n={len(kept)})' if len(kept) > 1 else ''}"


def explained(settings: Sequence[Setting], figures: Sequence[str], x: X) -> list[str]:
    """What the marks mean."""
    runs = [run for setting in settings for run in setting.runs]
    repeated = max(len(setting.runs) for setting in settings)
    words = ["solid: validation"] if any(s.judged(name) == "val" for s in settings for name in figures) else []
    if words and len(settings) <= TRAINS:
        words.append("dashed: train, a mean over each epoch" if x != "step" else "dashed: train")
    if repeated > 1:
        words.append(f"line: the mean of {'up to ' * (min(len(s.runs) for s in settings) < repeated)}{repeated} runs")
        words += ["band: from the lowest to the highest"] if len(settings) <= NAMED else []
    if len(settings) > NAMED:
        words.append(f"some of {len(settings)} settings are named")
    if any(run.best_epoch for run in runs) and any(len(setting.runs) == 1 for setting in settings):
        monitor = runs[0].monitor if len({run.monitor for run in runs}) == 1 else ""
        words.append(f"ring: the epoch that was best{' by ' + monitor if monitor else ''}")
    if repeated == 1 and any(len(run.rows) >= LONG for run in runs):
        words.append("lines: medians; pale: from the lowest to the highest")
    return words


def _names_at_the_end(
    name: str, settings: Sequence[Setting], colours: Sequence[str], x: X, away: Sequence[Setting]
) -> Names:
    """What stands at the right of a panel: the splits of one setting, or the settings, some where they are many."""
    entries: Names = []
    for number, (setting, colour) in enumerate(zip(settings, colours, strict=True)):
        split = setting.judged(name)
        points = setting.points(f"{split}_{name}", x)
        if not points or number not in _shown(settings):
            continue
        if len(settings) > 1:
            again = "-- " if len(settings) <= NAMED and number >= len(palette()) and _sizes(settings) is None else ""
            text = f"{again}{'↑ ' if setting in away else ''}{short(setting.label, 26)}"
            entries.append((math.inf if setting in away else points[-1].value, text, colour))
            continue
        entries.append((points[-1].value, SPLITS[split], _shade(split)))
        if split == "val" and (train := setting.points(f"train_{name}", x)):
            entries.append((train[-1].value, "train", _shade("train")))
    return entries


def _shown(settings: Sequence[Setting]) -> set[int]:
    """The numbers of the settings that are named at their ends."""
    if len(settings) <= NAMED:
        return set(range(len(settings)))
    if (sizes := _sizes(settings)) is None:
        return set(_named(settings))
    order = sorted(range(len(sizes)), key=lambda n: sizes[n])
    return {order[round(n * (len(order) - 1) / (SOME - 1))] for n in range(SOME)} | set(_named(settings))


def _curve_names(settings: Sequence[Setting]) -> list[str]:
    runs = [run for setting in settings for run in setting.runs]
    keys = dict.fromkeys(key for run in runs for row in run.rows[:1] for key in row)
    names = dict.fromkeys(key.partition("_")[2] for key in keys if key.startswith(("train_", "val_")))
    if len(settings) == 1 and not any(map(_penalty_shows, runs)):
        names.pop("data_loss", None)
    return sorted(names, key=lambda name: name != "loss")


def _penalty_shows(run: Curve) -> bool:
    """Whether the loss of a run is anywhere a tenth more than that of its data."""
    pairs: list[tuple[Any, Any]] = [(row.get("train_loss"), row.get("train_data_loss")) for row in run.rows]
    return any(is_number(loss) and is_number(data) and loss > 1.1 * data for loss, data in pairs)


def _unit(name: str, settings: Sequence[Setting]) -> str:
    """The title of a panel."""
    target = short(next((run.unit for one in settings for run in one.runs if run.unit), "the target"), 30)
    units = {
        "loss": "loss",
        "data_loss": "loss without penalties",
        "exact_match": "exact match",
        "mae": f"mae, in the unit of {target}",
        "rmse": f"rmse, in the unit of {target}",
        "mse": f"mse, in the unit of {target}, squared",
    }
    return units.get(name, name)


def _curve(panel: Any, name: str, drawn: tuple[Setting, X], colour: str, settings: Sequence[Setting]) -> None:
    """The lines of a setting, and the band that they lie in."""
    (setting, x), number = drawn, settings.index(drawn[0])
    alone, validated = len(settings) == 1, setting.judged(name) == "val"
    words = len(settings) <= NAMED and _sizes(settings) is None
    dash = style.DASHES[number // len(palette()) % len(style.DASHES) if words else 0]  # where colours come again
    for split, solid in (("train", not validated), ("val", True)):
        points = setting.points(f"{split}_{name}", x)
        if not points or (split == "train" and validated and len(settings) > TRAINS):
            continue
        shade = _shade(split) if alone else colour
        front = colour == look().guess and not alone  # one of many that are not named
        places, values, lows, highs = zip(*points, strict=True)
        panel.plot(places, values, color=shade, ls=dash if solid else style.DASHED, lw=1.8 if solid else 1.2,
                   alpha=0.5 if front else 1, zorder=3 if solid and not front else 2,
                   marker="o" if len(values) == 1 else None, ms=4)  # fmt: skip
        if lows != highs and not front and len(settings) <= NAMED:
            panel.fill_between(places, lows, highs, color=shade, alpha=0.18, lw=0, zorder=1)


def _ring(panel: Any, name: str, drawn: tuple[Curve, X], colour: str, alone: bool) -> None:
    """The epoch whose weights were kept; of one run with its figure beside it."""
    run, x = drawn
    marked = "val" if points_of(run, f"val_{name}") else "train"
    of_steps = x == "step" and marked == "train" and run.logged  # a mean of the epoch lies beside that line
    best = [
        (place, row[f"{marked}_{name}"])
        for place, row in zip(run.places(x), run.rows, strict=True)
        if row.get("epoch") == run.best_epoch and is_number(row.get(f"{marked}_{name}")) and not of_steps
    ]
    if not best:
        return
    if len(run.rows) > 1:  # a single epoch is a dot
        panel.plot(*[[value] for value in best[0]], "o", color=look().ink if alone else colour,
                   mfc=look().background, ms=5.5, zorder=4, clip_on=False)  # fmt: skip
    if alone:
        value = best[0][1]
        text = f"{100 * value:.1f} %" if is_share(name) else style.number(value)
        panel.get_ylim()  # settles what the data asks for
        across, height = panel.transAxes.inverted().transform(panel.transData.transform(best[0]))
        under = height > 0.15 and (not is_share(name) or height > 0.8)  # a loss is best where it is lowest
        side = "right" if across > 0.9 else "center"
        panel.annotate(text, best[0], xytext=(0, -13 if under else 8), textcoords="offset points", ha=side,
                       fontsize=style.TICKS, color=look().ink, annotation_clip=False, zorder=5,
                       bbox={"fc": look().background, "ec": "none", "alpha": 0.75, "pad": 0.6})  # fmt: skip


def curves(subject: Subject) -> Figure:
    """Train against validation, over the epochs."""
    return draw_curves([subject.curve], subject.name)
