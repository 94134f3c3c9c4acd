"""Specs as estimators of scikit-learn."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import dlx
from dlx.errors import SpecError

SPEC = {"layers": [{"dense": {"units": 8, "activation": "tanh"}}, "output"], "lr": 0.05, "epochs": 20}
X, Y = load_iris(return_X_y=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [dlx.Classifier, dlx.Regressor])
def test_scikit_learn_finds_nothing_wrong(kind: type[dlx.Classifier]) -> None:
    results = check_estimator(kind(), on_fail=None)
    assert len(results) > 50
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


def test_it_is_cross_validated_and_searched() -> None:
    scores = cross_val_score(make_pipeline(StandardScaler(), dlx.Classifier(SPEC)), X, Y, cv=3)
    assert scores.mean() > 0.9
    grid = GridSearchCV(dlx.Classifier(SPEC, preprocess=["normalize"]), {"lr": [1e-6, 0.05], "epochs": [10]}, cv=2)
    grid.fit(X, Y)
    assert grid.best_params_ == {"lr": 0.05, "epochs": 10}


def test_its_parameters_are_settings() -> None:
    estimator = dlx.Classifier(SPEC, lr=0.1, **{"layers.0.units": 3})
    assert estimator.get_params()["layers.0.units"] == 3
    assert clone(estimator).get_params() == estimator.get_params()
    estimator.set_params(epochs=2, **{"layers.0.units": 5}).fit(X, Y)
    assert estimator.run_.settings["layers.0.dense.units"] == 5
    assert (estimator.n_iter_, estimator.run_.settings["lr"]) == (2, 0.1)
    with pytest.raises(SpecError, match="unknown key 'lrr'"):
        dlx.Classifier(SPEC, lrr=1).fit(X, Y)


def test_classes_and_probabilities_are_those_of_y(world: Path) -> None:
    names = np.array(["seven", "five", "six"])[Y]
    estimator = dlx.Classifier(SPEC, runs_dir=world / "kept").fit(X, names)
    assert estimator.classes_.tolist() == ["five", "seven", "six"]
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (150, 3)
    assert (estimator.classes_[probabilities.argmax(axis=1)] == estimator.predict(X)).all()
    assert (world / "kept" / "classifier-1" / "metrics.json").is_file()
    again = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(again.predict_proba(X), probabilities)
    with pytest.raises(NotFittedError):
        dlx.Classifier(SPEC).predict(X)


@pytest.mark.parametrize("targets", [1, 2])
def test_values_are_in_the_unit_of_y(targets: int) -> None:
    y = 1000 + 100 * X[:, :targets] if targets > 1 else 1000 + 100 * X[:, 0]
    estimator = dlx.Regressor(SPEC, epochs=200, preprocess=["normalize"]).fit(X, y)
    assert estimator.predict(X).shape == y.shape
    assert estimator.score(X, y) > 0.9


def test_images_are_trained_as_they_are() -> None:
    images, digits = load_digits(return_X_y=True)
    spec = {"preprocess": [{"rescale": {"scale": 0.0625}}], "layers": [{"conv2d": {"filters": 4, "kernel_size": 3}},
            "flatten", "output"], "epochs": 5}  # fmt: skip
    estimator = dlx.Classifier(spec).fit(images.reshape(-1, 8, 8, 1), digits)
    assert estimator.score(images.reshape(-1, 8, 8, 1), digits) > 0.9


def test_a_file_of_a_spec_without_data_is_enough(world: Path) -> None:
    (world / "net.yaml").write_text("layers: [output]\nepochs: 2\n")
    assert dlx.Classifier("net.yaml").fit(X, Y).run_.settings["dataset.npz.path"].endswith(".npz")
