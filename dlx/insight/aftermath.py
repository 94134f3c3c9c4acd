"""After a training: its verdict, a probe where there is something to look into, and whether a change helped."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

from dlx.errors import DlxError
from dlx.insight import evidence
from dlx.insight.baselines import cut_of, existing
from dlx.insight.comparison import judged
from dlx.insight.evidence import Evidence
from dlx.insight.lift import lift
from dlx.insight.probe import probe
from dlx.runs import find
from dlx.runs.compare import Row
from dlx.runs.metrics import figure_text, maximized
from dlx.runs.run import Run
from dlx.runs.summary import identity, read
from dlx.system import terminal
from dlx.training.experiment import Experiment

ALIKE = 0.002  # of a figure: so small a difference is none


def look_into(run: Run, experiment: Experiment) -> Evidence:
    """What a run that has ended shows; one that is suspicious is probed, and the figures are kept in the run."""
    found = evidence.of_run(run)
    if found.suspicious and found.probed is None:
        with terminal.doing("looking for the reason"), contextlib.suppress(DlxError):
            probed = probe(experiment)
            found = replace(found, probed=probed)
            run.write(evidence.PROBE, json.dumps(probed.record(), allow_nan=False))
    return found


def against_baselines(run: Run, experiment: Experiment, root: Path) -> list[str]:
    """How far a finished run is above the baselines of its data that are in the runs folder; nothing without any."""
    there = existing(root, cut_of(experiment.spec), experiment.dataset.fingerprint)
    if not there or run.status != "done":
        return []
    rows = [Row([read(path)]) for path in (run.path, *(one.path for one in there.values()))]
    figure = judged(rows, "val")
    return [sentence for sentence, _ in lift(rows, figure)] if figure else []


def effect(run: Run, root: Path) -> list[str]:
    """Whether a run that was made of another one's spec is better than that, in words; nothing of other runs."""
    info, metrics = run.info(), run.metrics() or {}
    try:
        parent = find.one(str(info["parent"]), root) if info.get("parent") else None
        if parent is None or (not parent.metrics() and parent.status == "running"):
            return []
        before = parent.metrics() or {}
        known = parent.info()
    except DlxError:
        return []
    data = [(one.get("dataset") or {}).get("fingerprint") for one in (known, info)]
    if data[0] != data[1] or identity(known["settings"]) == identity(info["settings"]):
        return []
    rows = [Row([read(one.path)]) for one in (run, parent)]
    name = judged(rows, "val") if metrics and before else ""
    if not name:
        return [f"{parent.name} had no figures: this one has"] if metrics and not before else []
    now, then = (row.figure(name) or 0.0 for row in rows)
    better = now > then if maximized(name) else now < then
    word = "better than" if better else "worse than"
    if abs(now - then) <= ALIKE * max(abs(now), abs(then)):
        word = "about as good as"
    figures = f"{name} {figure_text(name, now)}, there {figure_text(name, then)}"
    compare = find.command_line("dlx", "compare", parent.name, run.name, runs_dir=root)
    return [f"{word} {parent.name}: {figures} (one seed each; {compare} says what the test split shows)"]
