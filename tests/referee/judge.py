"""What a run says, against what its data and its weights say: every disagreement in words."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import figures as referee
import h5py
import numpy as np
from cases import Case

import dlx as api

Array = np.ndarray
COARSE = 1e-3  # of a deviation, by which rounding to float32 may move a value


@dataclass
class Scale:
    """Mean and deviation, of each column or of all; a column that never varies has the deviation 1."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, values: Array, axis: int | None) -> Scale:
        start = values.min(axis=axis)
        extent = np.where(np.ptp(values, axis=axis) > 0, np.ptp(values, axis=axis), 1.0)
        unit = ((values - start) / extent).astype(np.longdouble)
        deviation = np.asarray(unit.std(axis=axis) * extent, np.float64)
        varies = np.ptp(values, axis=axis) > 0
        return cls(np.asarray(unit.mean(axis=axis) * extent + start, np.float64), np.where(varies, deviation, 1.0))

    def apply(self, values: Array) -> Array:
        return np.asarray((values - self.mean) / self.deviation)


def coarse(values: Array) -> bool:
    """Whether rounding to float32 moves a value of some column by more than a thousandth of its deviation."""
    with np.errstate(over="ignore"):
        error = np.abs(values.astype(np.float32).astype(np.float64) - values).max(axis=0)
    return bool(((np.ptp(values, axis=0) > 0) & (error > 0.99 * COARSE * Scale.of(values, 0).deviation)).any())


class Judge:
    """The data of a case, cut and scaled by the referee."""

    def __init__(self, case: Case) -> None:
        self.case, self.task = case, case.task
        spec, rows = case.spec, np.arange(len(case.targets))
        self.targets = case.targets if case.task != "regression" else case.targets.astype(np.float64)
        labels = case.targets if case.task == "classification" else None
        rest, self.test = referee.cut(rows, spec["test"], 1, labels)
        self.train, self.val = rest, self.test if spec["validation"] == "test" else np.array([], int)
        if isinstance(spec["validation"], float):
            self.train, self.val = referee.cut(rest, spec["validation"], 2, None if labels is None else labels[rest])
        self.raw, self.inputs = self._inputs()
        self.first = next(iter(spec["preprocess"]), "")
        self.target_scale = Scale.of(self.targets[self.train], 0) if case.task == "regression" else None
        self.scale = (
            None if not self.first else Scale.of(self.inputs[self.train], None if self.first == "standardize" else 0)
        )

    def _inputs(self) -> tuple[Any, Array]:
        """(inputs as a person has them, as numbers): words become a column for each that train has."""
        blocks = []
        for column in self.case.columns.values():
            if column.dtype == object:
                blocks.append(column[:, None] == np.array(sorted(set(column[self.train])), object))
            else:
                blocks.append(column[:, None])
        numbers = np.concatenate([np.asarray(block, np.float64) for block in blocks], axis=1)
        raw: Any = self.case.columns if self.case.form == "csv" else np.stack(list(self.case.columns.values()), axis=1)
        return raw, numbers

    def some(self, rows: Array) -> Any:
        """The raw inputs of some rows."""
        return {n: c[rows] for n, c in self.raw.items()} if isinstance(self.raw, dict) else self.raw[rows]

    def refusal(self, message: str) -> str:
        """Why a refusal is wrong; an empty text where it is right."""
        train, first = self.inputs[self.train], self.first
        if "too coarse" in message:
            each, lost = Scale.of(train, 0), coarse(train)
            if first == "standardize" and self.scale is not None:  # how far apart float32s are where a column then lies
                apart = np.abs(each.mean - self.scale.mean) * 2.0**-24
                lost = bool(((np.ptp(train, axis=0) > 0) & (apart > 0.99 * COARSE * each.deviation)).any())
            return "" if first in ("", "standardize") and lost else f"not coarse: {message}"
        if "beyond 3.4e38" in message:
            largest = max(np.abs(self.inputs).max(), np.abs(self.targets).max())
            return "" if largest > np.finfo(np.float32).max else f"not beyond: {message}"
        if "not finite" in message:
            return "" if not first and np.abs(train).max() > 1e3 else f"diverged: {message}"
        return f"refused: {message}"

    # A run that was trained

    def disagreements(self, run: Path, start: list[Array]) -> list[str]:
        """Every disagreement with a run; `start` are the weights that its training began with."""
        info, stated = (json.loads((run / name).read_text()) for name in ("run.json", "metrics.json"))
        history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        with np.load(run / "predictions.npz", allow_pickle=False) as saved:
            self.saved = dict(saved)
        with zipfile.ZipFile(run / "model.keras") as archive:
            self.file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        wrong = [*self._splits(info), *self._scaling(info), *self._predictions(run), *self._model(run, info)]
        wrong += [*self._metrics(run, stated), *self._history(history, stated), *self._training(history, start)]
        return wrong

    def _splits(self, info: dict[str, Any]) -> list[str]:
        wrong = []
        for name, rows in (("train", self.train), ("test", self.test)):
            if info["dataset"][name] != len(rows):
                wrong.append(f"{name} has {info['dataset'][name]} rows, not {len(rows)}")
        if not np.array_equal(self.saved["index"], self.test):
            wrong.append("the test rows are others")
        if not np.array_equal(self.saved["label"].reshape(self.targets[self.test].shape), self.targets[self.test]):
            wrong.append("the labels are others")
        return wrong

    def _scaling(self, info: dict[str, Any]) -> list[str]:
        wrong = []
        for name, scale in (("inputs", self.scale), ("targets", self.target_scale)):
            recorded = info["scaling"].get(name)
            if recorded is None or scale is None:
                continue
            apart = np.abs(np.array(recorded["mean"]) - scale.mean) / scale.deviation
            spacing = np.spacing(np.abs(scale.mean)) / scale.deviation
            if (apart > 1e-9 + 4 * spacing).any():
                wrong.append(f"the mean of the {name} is {recorded['mean']}, not {scale.mean}")
            if not np.allclose(recorded["deviation"], scale.deviation, rtol=1e-8, atol=0):
                wrong.append(f"the deviation of the {name} is {recorded['deviation']}, not {scale.deviation}")
        return wrong

    def _layers(self) -> list[tuple[Array, Array]]:
        """(kernel, bias) of each dense layer of the file, float64."""
        names = ["dense"] if len(self.case.spec["layers"]) == 1 else ["dense", "dense_1"]
        return [tuple(np.asarray(self.file[f"layers/{n}/vars/{v}"], np.float64) for v in "01") for n in names]  # type: ignore[misc]

    def _logits(self, inputs: Array, layers: list[tuple[Array, Array]]) -> Array:
        for number, (kernel, bias) in enumerate(layers):
            inputs = inputs @ kernel + bias
            if number < len(layers) - 1:
                activation = self.case.spec["layers"][number]["dense"]["activation"]
                inputs = np.tanh(inputs) if activation == "tanh" else np.maximum(inputs, 0)
        return inputs

    def logits(self, rows: Array) -> Array:
        inputs = self.inputs[rows]
        return self._logits(inputs if self.scale is None else self.scale.apply(inputs), self._layers())

    def _whole(self, answers: Array) -> Array:
        """Probabilities of both classes of one unit; values in the data's unit."""
        if self.target_scale is not None:
            return answers * self.target_scale.deviation + self.target_scale.mean
        if self.task == "classification" and answers.shape[1] == 1:
            return np.concatenate([1 - answers, answers], axis=1)
        return answers

    def _unit(self) -> Array:
        return np.ones(1) if self.target_scale is None else self.target_scale.deviation

    def _predictions(self, run: Path) -> list[str]:
        logits = self.logits(self.test)
        expected = self._whole(referee.answers(logits, self.task))
        found = self.saved["prediction"].astype(np.float64)
        wrong = []
        allowed = 3e-6 * (1 + np.abs(logits).max()) * self._unit() + 8 * np.spacing(np.abs(expected))
        if not (np.abs(found - expected) <= allowed).all():
            apart = float((np.abs(found - expected) / self._unit()).max())
            wrong.append(f"predictions are {apart:.2g} deviations off")
        again = api.load(run).predict(self.some(self.test))
        if not (np.abs(again - found) <= 1e-6 * self._unit() + 2 * np.spacing(np.abs(found))).all():
            wrong.append(f"predict differs from predictions.npz by {np.abs(again - found).max():.2g}")
        return wrong

    def _model(self, run: Path, info: dict[str, Any]) -> list[str]:
        """Plain Keras reads the saved model: its answers are those of its weights to the inputs that it gets."""
        import keras

        offset, divisor = (np.array(info["input"].get(n, d)) for n, d in (("offset", 0.0), ("divisor", 1.0)))
        given = ((self.inputs[self.test] - offset) / divisor).astype(np.float32)
        found = keras.models.load_model(run / "model.keras").predict(given, verbose=0).astype(np.float64)
        scaled = given
        if self.first:
            mean, variance = (np.asarray(self.file[f"layers/normalization/vars/{v}"], np.float32) for v in "01")
            scaled = (given - mean) / np.maximum(np.sqrt(variance), np.float32(1e-7))
        logits = self._logits(scaled.astype(np.float64), self._layers())
        expected = referee.answers(logits, self.task)
        if self.target_scale is not None:
            expected = self._whole(expected)
        allowed = 3e-5 * (1 + np.abs(logits).max()) * self._unit() + 4 * np.spacing(np.abs(expected).astype(np.float32))
        beyond = np.abs(expected) > np.finfo(np.float32).max  # for which float32 has infinities alone
        right = np.where(beyond, found == np.copysign(np.inf, expected), np.abs(found - expected) <= allowed)
        wrong = [] if right.all() else ["the saved model answers otherwise"]
        if self.scale is not None:  # what it makes of its inputs is what the training saw, to float32's spacing of them
            spacing = np.spacing(np.abs(given)).astype(np.float64) * divisor / self.scale.deviation
            apart = np.abs(scaled - self.scale.apply(self.inputs[self.test]))
            if not (apart <= 2 * spacing + 1e-5 * (1 + np.abs(scaled))).all():
                wrong.append(f"the saved model scales its inputs otherwise, by {float(apart.max()):.2g} deviations")
        return wrong

    def _penalty(self, layers: list[tuple[Array, Array]]) -> float:
        rule = self.case.spec.get("regularization")
        if rule is None:
            return 0.0
        kernels = [kernel for kernel, _ in layers][: -1 if rule.get("except") else None]
        return float(sum(rule["l1"] * np.abs(k).sum() + rule["l2"] * (k**2).sum() for k in kernels))

    def _losses(self, rows: Array, logits: Array) -> Array:
        named = self.case.spec["loss"]
        units = logits.shape[1]
        auto = {"regression": "mean_squared_error", "multi_label": "binary_crossentropy"}.get(
            self.task, "binary_crossentropy" if units == 1 else "categorical_crossentropy"
        )
        name, arguments = (named, {}) if isinstance(named, str) else next(iter(named.items()))
        targets = self.targets[rows]
        if self.target_scale is not None:
            targets = self.target_scale.apply(targets)
        return referee.loss(auto if name == "auto" else name, arguments, self.task, targets, logits)

    def _metrics(self, run: Path, stated: dict[str, Any]) -> list[str]:
        wrong = []
        predictor = api.load(run)
        for split, rows in (("val", self.val), ("test", self.test)):
            if not len(rows):
                continue
            logits = self.logits(rows)
            loss = float(self._losses(rows, logits).mean()) + self._penalty(self._layers())
            # Keras's focal losses clip probabilities on one backend, and not on another.
            clipped = "focal" in str(self.case.spec["loss"]) and np.abs(logits).max() > 12
            if not clipped and not np.isclose(stated[f"{split}_loss"], loss, rtol=2e-5, atol=2e-6):
                wrong.append(f"{split}_loss is {stated[f'{split}_loss']}, not {loss}")
            predictions = predictor.predict(self.some(rows)).astype(np.float64)
            unasked = [name for name in ("auc", "precision", "recall") if f"{split}_{name}" in stated]
            for name in dict.fromkeys([*self.case.spec["metrics"], *unasked]):
                value, expected = (
                    stated[f"{split}_{name}"],
                    referee.metric(name, self.task, self.targets[rows], predictions),
                )
                value = np.nan if value is None else value
                if not np.isclose(
                    value, expected, rtol=1e-5, atol=1e-300 if name in ("mae", "mse", "rmse") else 1e-6, equal_nan=True
                ):
                    wrong.append(f"{split}_{name} is {value}, not {expected}")
        return wrong

    def _history(self, history: list[dict[str, Any]], stated: dict[str, Any]) -> list[str]:
        spec, wrong = self.case.spec, []
        size = len(self.train) if spec["batch_size"] == "full" else min(spec["batch_size"], len(self.train))
        each = -(-len(self.train) // size)
        if [row["step"] for row in history] != [each * (n + 1) for n in range(spec["epochs"])]:
            wrong.append(f"the steps are {[row['step'] for row in history]}")
        named = spec["schedule"]
        schedule, arguments = (named, {}) if isinstance(named, str) else next(iter(named.items()))
        for row in history:
            expected = spec["lr"] * referee.rate(schedule, arguments, (row["step"] - 1) / (each * spec["epochs"]))
            if not np.isclose(row["learning_rate"], expected, rtol=1e-4, atol=1e-7):
                wrong.append(f"the rate of epoch {row['epoch']} is {row['learning_rate']}, not {expected}")
        monitor = "val_loss" if len(self.val) else "train_loss"
        best = min(history, key=lambda row: row[monitor])
        if stated["best_epoch"] != best["epoch"]:
            wrong.append(f"the best epoch is {stated['best_epoch']}, not {best['epoch']}")
        for name in ["loss", *spec["metrics"]] if len(self.val) else []:
            value, final = best[f"val_{name}"], stated[f"val_{name}"]
            exact = name in ("loss", "mae", "mse", "rmse", "r2")
            if value is None and final is not None and abs(final) > np.finfo(np.float32).max:
                continue  # the loop computes in float32, the final figures in float64
            if name != "auc" and not np.isclose(
                value,
                final,
                rtol=1e-4,
                atol=1e-5
                if exact and name != "mae" and name != "mse" and name != "rmse"
                else 0
                if exact
                else 1.5 / len(self.val),
            ):
                wrong.append(f"val_{name} is {value} in the history, {final} at the end")
        return wrong

    def _training(self, history: list[dict[str, Any]], start: list[Array]) -> list[str]:
        """Gradient descent of one dense layer on the whole train split, epoch by epoch."""
        spec = self.case.spec
        if (
            spec["batch_size"] != "full"
            or spec["optimizer"] != "sgd"
            or len(spec["layers"]) > 1
            or spec["loss"] != "auto"
        ):
            return []
        inputs = self.inputs[self.train] if self.scale is None else self.scale.apply(self.inputs[self.train])
        if np.abs(inputs).max() > 100:
            return []
        kernel, bias = (array.astype(np.float64) for array in start)
        weight = np.ones(len(self.train))
        if spec.get("class_weight"):
            weight = referee.class_weights(self.targets[self.train], self._classes())[self.targets[self.train]]
        rule, wrong = spec.get("regularization") or {"l1": 0.0, "l2": 0.0}, []
        named = spec["schedule"]
        schedule, arguments = (named, {}) if isinstance(named, str) else next(iter(named.items()))
        for row in history:
            logits = inputs @ kernel + bias
            loss = float((self._losses(self.train, logits) * weight).mean()) + self._penalty([(kernel, bias)])
            if not np.isclose(row["train_loss"], loss, rtol=1e-4, atol=1e-5):
                wrong.append(f"train_loss of epoch {row['epoch']} is {row['train_loss']}, not {loss}")
            slope = self._slope(logits) * weight[:, None] / len(self.train)
            rate = spec["lr"] * referee.rate(schedule, arguments, (row["step"] - 1) / len(history))
            bias = bias - rate * slope.sum(axis=0)
            kernel = kernel - rate * (inputs.T @ slope + rule["l1"] * np.sign(kernel) + 2 * rule["l2"] * kernel)
        return wrong

    def _classes(self) -> int:
        return len(set(self.case.targets.tolist()))

    def _slope(self, logits: Array) -> Array:
        """The gradient of an example's loss by its logits."""
        targets, units = self.targets[self.train], logits.shape[1]
        if self.target_scale is not None:
            return 2 * (logits - self.target_scale.apply(targets)) / units
        wanted = (
            targets.reshape(len(logits), -1) if self.task == "multi_label" or units == 1 else np.eye(units)[targets]
        )
        answers = referee.answers(logits, self.task)
        return np.asarray((answers - wanted) / (units if self.task == "multi_label" else 1))
