"""What TensorBoard says of a run beside its curves: its settings, its spec and its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dlx import spec as specs
from dlx.runs.metrics import figure_text, is_figure
from dlx.spec.sections import KINDS, Spec, flat, resolved
from dlx.system import terminal
from dlx.training.experiment import Experiment

APART = ("name", "description", "tags", "plots", "strict", "imports", "sweep", "search", "task", *KINDS)
LONGEST = 60  # letters of a setting

Setting = bool | float | str


def stated(experiment: Experiment) -> dict[str, Setting]:
    """The settings of a run for the HParams tab: a few that all runs have, and what its spec says beyond the defaults.

    Parts are phrases, layers a chain. What was changed beside the spec's file stands under its address, so that the
    runs of a sweep differ in a column of numbers.
    """
    spec = experiment.spec
    found: dict[str, Any] = {
        "lr": spec.lr,
        "batch_size": experiment.batch_size,
        "epochs": experiment.epochs,
        "seed": spec.seed,
        "dataset": spec.dataset.name,
        "optimizer": _phrase(spec, "optimizer"),
        "layers": _phrase(spec, "layers"),
    }
    for section in ("preprocess", "augment", "schedule"):
        if (words := _phrase(spec, section)) not in ("", "constant"):
            found[section] = words
    usual = {field.name: field.default for field in dataclasses.fields(Spec)}
    for key, value in flat(resolved(spec)).items():
        if key.split(".")[0] not in APART and key not in found and usual.get(key) != value:
            found[key] = value
    for change in spec.changed():
        address, _, text = change.partition("=")
        if address not in found and address.split(".")[0] not in APART[:7]:
            found[address] = _number(text)
    plain = {k: float(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in found.items()}
    return {key: value for key, value in plain.items() if isinstance(value, (bool, float, str))}


def _phrase(spec: Spec, section: str) -> str:
    """A part, or the parts of a list, in a phrase."""
    value = getattr(spec, section)
    parts = value if isinstance(value, list) else [value]
    parameters = spec.registries[KINDS[section]].parameters
    return _short(" > ".join(terminal.phrase(part, parameters(part.name)) for part in parts))


def _number(text: str) -> Setting:
    try:
        return float(text)
    except ValueError:
        return _short(text)


def _short(words: str) -> str:
    """Words in few letters, of those that the tab does not write as numbers."""
    return terminal.shortened(terminal.clean(words), LONGEST).replace("…", "..")


def spec_text(spec: Spec, base: str) -> str:
    """The spec for the Text tab, in Markdown."""
    return f"```yaml\n{specs.dump(spec, base)}```\n"


def result_text(metrics: Mapping[str, Any]) -> str:
    """The final figures for the Text tab: a table in Markdown."""
    rows = [f"| {key} | {figure_text(key, float(value))} |" for key, value in final(metrics).items()]
    counts = [f"| {key} | {metrics[key]} |" for key in ("best_epoch", "epochs", "parameters") if metrics.get(key)]
    return "\n".join(["| figure | value |", "|---|---|", *rows, *counts, ""])


def final(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The final figures of a run that are numbers."""
    return {key: float(value) for key, value in metrics.items() if is_figure(key) and value is not None}
