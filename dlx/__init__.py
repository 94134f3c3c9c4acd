"""dlx: run deep-learning experiments from YAML specs.

    import dlx
    run = dlx.run("configs/digits.yaml", lr=0.01)
    dlx.load(run.path).predict(images)
    dlx.compare(["runs/digits-1", "runs/digits-2"])

@dlx.layer, @dlx.dataset, @dlx.augmentation and @dlx.metric mark parts of a spec's own, in a file of its `imports`.
Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "augmentation", "compare", "dataset", "layer", "load", "metric", "predict", "run"]


def __getattr__(name: str) -> Any:
    if name in ("layer", "dataset", "augmentation", "metric"):
        from dlx.parts import user_code as own

        return getattr(own, name)
    raise AttributeError(f"module 'dlx' has no attribute {name!r}")


def run(spec: str, runs_dir: str | None = None, **overrides: Any) -> Any:
    """Train a spec file; returns its Run. `lr=0.1`, or `**{"layers.dropout.rate": 0.3}`, overrides it.

    Raises SpecError, DataError or TrainingError, each with what to try next.
    """
    from dlx.runs import run as runs
    from dlx.spec import parse as reading
    from dlx.training import train as training

    texts = [f"{key}={reading.write_value(value)}" for key, value in overrides.items()]
    outcome = training.run_file(spec, runs.root(runs_dir), texts)
    if outcome.error is not None:
        raise outcome.error
    if outcome.stop:
        raise KeyboardInterrupt
    return outcome.run


def load(path: Any) -> Any:
    """A trained run's Predictor: `.predict(array)` gives probabilities or values, `.run` is the Run."""
    from dlx.inference import predictor as prediction
    from dlx.runs import run as runs

    return prediction.load(runs.Run.open(path))


def predict(path: Any, array: Any) -> Any:
    """`load(path).predict(array)`."""
    return load(path).predict(array)


def compare(paths: Any) -> list[dict[str, Any]]:
    """What `dlx compare --json` says of the runs: run, status, settings and metrics of each."""
    from dlx.runs import compare as comparison

    return comparison.records([str(path) for path in paths])
