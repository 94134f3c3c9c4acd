"""dlx: run deep-learning experiments from YAML specs.

    import dlx
    run = dlx.run("configs/digits.yaml", lr=0.01)
    dlx.load(run.path).predict(images)
    dlx.compare(["runs/digits-1", "runs/digits-2"])

@dlx.layer, @dlx.dataset, @dlx.augmentation and @dlx.metric mark a user's own parts, in a file of a spec's `imports`.
Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "augmentation", "compare", "dataset", "layer", "load", "metric", "predict", "run"]

if TYPE_CHECKING:
    from dlx.api import compare, load, predict, run
    from dlx.parts.user_code import augmentation, dataset, layer, metric

_HOMES = {
    **dict.fromkeys(("compare", "load", "predict", "run"), "dlx.api"),
    **dict.fromkeys(("augmentation", "dataset", "layer", "metric"), "dlx.parts.user_code"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dlx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
