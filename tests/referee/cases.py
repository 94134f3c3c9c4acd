"""Data sets and specs drawn at random: shapes, scales, offsets, imbalance, constant columns, labels of every kind."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

Array = np.ndarray


@dataclass
class Case:
    """A data set, and a spec of a network with at most one hidden layer for it.

    columns: named input columns, float64 or words; targets: (n,) classes, (n, k) labels, or (n, k) values.
    """

    task: str
    columns: dict[str, Array]
    targets: Array
    spec: dict[str, Any]
    form: str = "npz"
    names: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> Path:
        """The files of the case; returns the spec."""
        if self.form == "npz":
            targets: Array = self.targets if not self.names else np.array(self.names)[self.targets]
            np.savez(folder / "d.npz", x=np.stack(list(self.columns.values()), axis=1), y=targets)
            dataset: dict[str, Any] = {"npz": {"path": "d.npz"}}
        else:
            labels = self.targets.reshape(len(self.targets), -1).T
            heads = [f"y{number}" for number in range(len(labels))]
            if self.names:
                labels = np.array(self.names)[labels]
            lines = [",".join([*self.columns, *heads])]
            for row in range(len(self.targets)):
                cells = [*(c[row] for c in self.columns.values()), *(label[row] for label in labels)]
                lines.append(",".join(c if isinstance(c, str) else repr(c.item()) for c in cells))
            (folder / "d.csv").write_text("\n".join(lines) + "\n")
            dataset = {"csv": {"path": "d.csv", "label": heads[0] if len(heads) == 1 else heads}}
        path = folder / "case.yaml"
        path.write_text(json.dumps({"dataset": dataset, "task": self.task, **self.spec}))
        return path


@st.composite
def columns(draw: Any, rows: int, width: int, seed: int) -> tuple[dict[str, Array], Array]:
    """(columns of numbers of many scales, the same at mean 0 and deviation 1, from which targets are made)."""
    random = np.random.default_rng(seed)
    plain = random.normal(size=(rows, width))
    if draw(st.booleans()):  # rows that are there several times
        plain = plain[random.integers(0, max(2, rows // 2), rows)]
    made = {}
    for number in range(width):
        kind = draw(st.sampled_from(["plain", "scaled", "offset", "whole", "constant", "nearly", "float32"]))
        values = plain[:, number]
        scale = 10.0 ** draw(st.integers(-30, 30))
        if kind == "scaled":
            values = values * scale
        elif kind == "offset":
            values = scale * (values + 10.0 ** draw(st.integers(0, 9)) * draw(st.sampled_from([1, -1])))
        elif kind == "whole":
            values = np.round(values * 10 ** draw(st.integers(0, 6)))
        elif kind == "constant":
            values = np.full(rows, draw(st.sampled_from([0.0, 1.0, 0.1, -3e7, 1e-9])))
        elif kind == "nearly":
            values = np.full(rows, 7.0)
            values[random.integers(rows)] = draw(st.sampled_from([7.000001, 8.0, -7e6]))
        elif kind == "float32":
            values = values.astype(np.float32).astype(np.float64)
        made[f"x{number}"] = values
    return made, plain


@st.composite
def cases(draw: Any) -> Case:
    """A case; every choice is Hypothesis's, so that a failing one is repeated and made small."""
    task = draw(st.sampled_from(["classification", "regression", "multi_label"]))
    seed = draw(st.integers(0, 2**31))
    random = np.random.default_rng(seed)
    rare = task == "classification" and draw(st.integers(0, 9)) == 0
    rows = 2000 if rare else draw(st.integers(24, 160))
    width = draw(st.integers(1, 5))
    made, plain = draw(columns(rows, width, seed))
    score = plain @ random.normal(size=(width, 3)) + 0.2 * random.normal(size=(rows, 3))
    names: list[str] = []
    if task == "classification":
        classes = 2 if rare else draw(st.sampled_from([2, 2, 3]))
        targets: Array = score[:, :classes].argmax(axis=1)
        if rare:  # 0.1 % of one class
            targets = (score[:, 0] >= np.sort(score[:, 0])[-max(2, rows // 1000)]).astype(int)
        targets[:classes] = np.arange(classes)
        targets = targets.astype(draw(st.sampled_from([np.int64, np.int32, np.uint8])))
        if draw(st.booleans()):
            names = sorted(["no", "yes", "ähm ☂"][:classes])
    elif task == "multi_label":
        targets = (score[:, : draw(st.integers(2, 3))] > draw(st.sampled_from([0.0, 2.0]))).astype(np.int64)
    else:
        width = draw(st.integers(1, 2))
        scales = 10.0 ** np.array([draw(st.integers(-30, 30)) for _ in range(width)])
        offsets = np.array([draw(st.sampled_from([0.0, 1.0, -1e3, 1e6, 1e9])) for _ in range(width)])
        targets = scales * (score[:, :width] + offsets)
    form = draw(st.sampled_from(["npz", "csv"])) if task != "multi_label" or not rare else "npz"
    if form == "csv" and draw(st.booleans()):
        made["colour"] = np.array(["red", "green", "blue"], object)[random.integers(0, 3, rows)]
    return Case(task, made, targets, draw(specs(task, len(set(targets.ravel().tolist())) == 2)), form, names)


@st.composite
def specs(draw: Any, task: str, two: bool) -> dict[str, Any]:
    """All of a spec but its data."""
    one_unit = task == "classification" and two and draw(st.booleans())
    output: Any = {"output": {"units": 1}} if one_unit else "output"
    if one_unit:
        output = {"output": {"units": 1, "activation": "sigmoid"}}
    hidden = draw(
        st.sampled_from(
            [[], [], [{"dense": {"units": 5, "activation": "tanh"}}], [{"dense": {"units": 4, "activation": "relu"}}]]
        )
    )
    losses: list[Any] = ["auto"]
    if task == "regression":
        losses += ["mean_absolute_error", {"huber": {"delta": 0.5}}, "log_cosh"]
        figures = [["mae", "r2"], ["mse", "rmse", "mae", "r2"]]
    elif task == "multi_label" or one_unit:
        losses += [{"binary_crossentropy": {"label_smoothing": 0.1}}, {"binary_focal_crossentropy": {"gamma": 1.5}}]
        figures = [["accuracy", "auc"], ["accuracy", "f1", "precision", "recall", "auc"]]
    else:
        losses += [
            {"categorical_crossentropy": {"label_smoothing": 0.2}},
            {"categorical_focal_crossentropy": {"gamma": 1.0}},
        ]
        figures = [["accuracy", "auc"], ["accuracy", "f1", "precision", "recall", "auc"]]
    if task == "multi_label":
        figures += [["accuracy", "exact_match"]]
    schedule: Any = draw(st.sampled_from([
        "constant", {"cosine": {"warmup": 0.3, "final": 0.1}}, {"cosine_restarts": {"cycles": 3, "shrink": 0.5, "final": 0.2}},
        {"exponential": {"final": 0.05}}, {"polynomial": {"power": 2.0, "final": 0.1}}, {"inverse_time": {"decay": 4.0}},
        {"step": {"at": [0.4, 0.8], "factor": 0.3}},
    ]))  # fmt: skip
    spec = {
        "test": draw(st.sampled_from([0.2, 0.35])),
        "validation": draw(st.sampled_from([0.25, "test", 0.1, "none"])),
        "preprocess": draw(
            st.sampled_from([["normalize"], ["normalize"], ["standardize"], [{"standardize": "channel"}], []])
        ),
        "layers": [*hidden, output],
        "loss": draw(st.sampled_from(losses)),
        "metrics": draw(st.sampled_from(figures)),
        "optimizer": draw(st.sampled_from(["sgd", "sgd", "adam", {"rmsprop": {"momentum": 0.5}}])),
        "lr": draw(st.sampled_from([0.01, 0.1])),
        "schedule": schedule,
        "batch_size": draw(st.sampled_from(["full", "full", 1, 7, 32, 1000])),
        "epochs": draw(st.integers(1, 4)),
        "seed": draw(st.integers(0, 1000)),
    }
    if draw(st.booleans()):
        rule: dict[str, Any] = {"l2": draw(st.sampled_from([0.0, 0.01])), "l1": 0.003}
        spec["regularization"] = {**rule, **({"except": "output"} if hidden and draw(st.booleans()) else {})}
    if task == "classification" and draw(st.booleans()):
        spec["class_weight"] = "balanced"
    return spec
