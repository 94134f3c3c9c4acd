"""dlx: run deep-learning experiments from YAML specs.

    import dlx
    run = dlx.run("configs/digits.yaml", lr=0.01)
    run.metrics["test_accuracy"], run.history, run.predict(images)
    dlx.compare(["runs/digits-1", "runs/digits-2"]).frame

@dlx.layer, @dlx.dataset, @dlx.augmentation, @dlx.loss and @dlx.metric mark a user's own parts, in a file of a spec's
`imports`.
Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.4.0"
_MARKS = ("augmentation", "dataset", "layer", "loss", "metric")
_ESTIMATORS = ("Classifier", "Regressor")
__all__ = [
    "Classifier", "Comparison", "Regressor", "Run", "__version__", "augmentation", "check", "compare", "dataset",
    "layer", "load", "loss", "metric", "plot", "predict", "resume", "run", "sweep",
]  # fmt: skip

if TYPE_CHECKING:
    from dlx.api import Comparison, Run, check, compare, load, plot, predict, resume, run, sweep
    from dlx.api.estimators import Classifier, Regressor
    from dlx.parts.user_code import augmentation, dataset, layer, loss, metric

_HOMES = {
    **dict.fromkeys(__all__, "dlx.api"),
    **dict.fromkeys(_ESTIMATORS, "dlx.api.estimators"),
    **dict.fromkeys(_MARKS, "dlx.parts.user_code"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dlx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
