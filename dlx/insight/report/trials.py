"""The section of a report on the trials of a sweep: what each came to, the best, and whom these come from."""

from __future__ import annotations

from dlx.insight.report import charts, sections
from dlx.insight.report.material import Material
from dlx.plots.search import FEWEST, line_of, trials_of
from dlx.runs.metrics import figure_text, maximized, setting_text
from dlx.runs.run import Run

BEST = 5


def trials(material: Material) -> str:
    """A chart of the figure of each trial by its number, and a table of the best; empty for other runs."""
    figure, found = trials_of([Run(entry.path) for entry in material.entries])
    ended = [trial for trial in found if trial.figure is not None and trial.status == "done"]
    if len(ended) < FEWEST:
        return ""
    places, values = [float(t.number) for t in ended], [t.figure or 0.0 for t in ended]
    chart = charts.settings(places, [], values, ("trial", figure))
    ended.sort(key=lambda t: t.figure or 0.0, reverse=maximized(figure))
    statuses = [trial.status for trial in found]
    counts = ", ".join(f"{statuses.count(s)} {s}" for s in ("done", "pruned", "failed") if s in statuses)
    families = any(trial.parents for trial in found)
    body = [
        [
            str(trial.number),
            charts.text(figure_text(figure, trial.figure or 0.0)),
            *([charts.text(" ← ".join(map(str, line_of(trial, found))) or "–")] if families else []),
            " ".join(f"{sections.name(key)} {sections.name(setting_text(v))}" for key, v in trial.values.items()),
        ]
        for trial in ended[:BEST]
    ]
    head = ["trial", charts.text(figure), *(["comes from"] if families else []), "chose"]
    drawn = f'<div class="charts">{sections.captioned(f"{figure} of each trial", chart)}</div>'
    return f"<p>{len(found)} trials: {counts}.</p>{drawn}{sections.table(head, body, numbers=9)}"
