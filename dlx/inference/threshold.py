"""From which probability on the second of two classes is the answer: one half, or what is kept with a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.errors import RunError
from dlx.runs.run import Run
from dlx.system import files

if TYPE_CHECKING:
    import numpy as np

FILE = "threshold.json"
FIGURES = ("balanced_accuracy", "f1", "accuracy")
HALF = 0.5
LEAST = 10  # examples of each class on which one is chosen


@dataclass(frozen=True)
class Threshold:
    """value: the probability; figure, split: by which and on which it was chosen, empty where a person gave it."""

    value: float
    figure: str = ""
    split: str = ""


def of_run(run: Run) -> Threshold | None:
    """What is kept with the model that a run has now; None where nothing is. Raises RunError for what is none."""
    if not (run.path / FILE).is_file() or not run.model_file.is_file():
        return None
    try:
        record = json.loads(files.contents(run.path, FILE, 10_000))
        kept = Threshold(float(record["threshold"]), str(record.get("figure", "")), str(record.get("split", "")))
        if not 0 < kept.value < 1:
            raise ValueError(f"it is {kept.value:g}")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{FILE} cannot be read ({error})", where=str(run.path), hint="dlx evaluate RUN --threshold none"
        ) from error
    return kept if record.get("model") == files.sha256(run.model_file) else None


def keep(run: Run, threshold: Threshold | None) -> None:
    """Keep it with the run's model, or keep none."""
    if threshold is None:
        with files.disk(run.path):
            (run.path / FILE).unlink(missing_ok=True)
        return
    chosen = {"figure": threshold.figure, "split": threshold.split} if threshold.figure else {}
    record = {"threshold": threshold.value, **chosen, "model": files.sha256(run.model_file)}
    with files.disk(run.path):
        run.write(FILE, json.dumps(record, indent=1) + "\n")


def applies(info: Mapping[str, Any]) -> bool:
    """Whether a run's answers are one of two classes."""
    return info["task"] == "classification" and len(info["classes"]) == 2 and not info.get("steps")


def choose(label: np.ndarray, share: np.ndarray, figure: str) -> tuple[float, float]:
    """(the threshold with the best figure, that figure); of equals the one nearest to one half.

    label: (n,) 0 or 1; share: (n,) probabilities of 1. Candidates lie in the middle between neighbours.
    """
    import numpy as np

    order = np.argsort(-share, kind="stable")
    ranked, actual = share[order].astype(np.float64), label[order] == 1
    taken = np.arange(len(share) + 1)  # the n surest are taken for the second class
    right = np.concatenate([[0], np.cumsum(actual)])
    positive, negative = int(actual.sum()), int((~actual).sum())
    true_negative = negative - (taken - right)
    figures = {
        "balanced_accuracy": (right / max(positive, 1) + true_negative / max(negative, 1)) / 2,
        "f1": 2 * right / np.maximum(taken + positive, 1),
        "accuracy": (right + true_negative) / max(len(share), 1),
    }
    edges = np.concatenate([[1.0], ranked, [0.0]])
    middle = (edges[:-1] + edges[1:]) / 2
    possible = (edges[:-1] > edges[1:]) & (middle > 0) & (middle < 1)
    values = np.where(possible, figures[figure], -1.0)
    best = np.flatnonzero(values >= values.max() - 1e-12)
    place = best[np.argmin(np.abs(middle[best] - HALF))]
    return float(middle[place]), float(values[place])


def moved(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """(n, 2) probabilities in the same order, with the threshold at one half: what is decided by them is right."""
    import numpy as np

    if threshold == HALF:
        return probabilities
    second = probabilities[:, 1]
    above = HALF + HALF * (second - threshold) / (1 - threshold)
    second = np.where(second >= threshold, np.maximum(above, np.nextafter(HALF, 1)), HALF * second / threshold)
    return np.stack([1 - second, second], axis=1)
