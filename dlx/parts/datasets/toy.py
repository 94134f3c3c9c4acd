"""Datasets made on the spot: logic gates and points in the plane."""

import math
from typing import Annotated, Any

from pydantic import Field

from dlx.dataset import Dataset, Facts
from dlx.parts.datasets.registry import arrays, facts, registry
from dlx.parts.types import Seed

Spread = Annotated[float, Field(ge=0, le=1e6)]
Points = Annotated[int, Field(ge=4, le=10_000_000)]
_ROWS = ((0, 0), (0, 1), (1, 0), (1, 1))


def _gate(name: str, rule: Any) -> None:
    """Register the gate `name`: its truth table is its train split."""

    def gate() -> Dataset:
        rows = _ROWS if name != "not" else ((0,), (1,))
        return arrays(rows, [int(rule(*row)) for row in rows], "01", f"the truth table of {name.upper()}")

    gate.__name__ = name
    gate.__doc__ = f"The truth table of {name.upper()}: every row is an example, the classes are 0 and 1."
    registry.register(gate)
    facts[name] = Facts((1 if name == "not" else 2,), "classification", ("0", "1"))


_gate("or", lambda a, b: a or b)
_gate("and", lambda a, b: a and b)
_gate("nand", lambda a, b: not (a and b))
_gate("nor", lambda a, b: not (a or b))
_gate("xor", lambda a, b: a != b)
_gate("not", lambda a: not a)


@registry.register
def moons(samples: Points = 200, noise: Spread = 0.2, seed: Seed = 0) -> Dataset:
    """Two interleaved half circles in the plane, as scikit-learn makes them; `noise` is a standard deviation."""
    from sklearn.datasets import make_moons

    x, y = make_moons(samples, noise=noise, random_state=seed)
    return arrays(x, y, "01", "scikit-learn")


@registry.register
def circles(
    samples: Points = 200,
    noise: Spread = 0.1,
    factor: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    seed: Seed = 0,
) -> Dataset:
    """A small circle within a large one; `factor` is the ratio of their radii."""
    from sklearn.datasets import make_circles

    x, y = make_circles(samples, noise=noise, factor=factor, random_state=seed)
    return arrays(x, y, "01", "scikit-learn")


@registry.register
def blobs(
    samples: Points = 300,
    classes: Annotated[int, Field(ge=2, le=100)] = 3,
    features: Annotated[int, Field(ge=1, le=10_000)] = 2,
    spread: Spread = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Round clouds of points, one a class; `spread` is their standard deviation."""
    from sklearn.datasets import make_blobs

    x, y = make_blobs(samples, features, centers=classes, cluster_std=spread, random_state=seed)[:2]
    return arrays(x, y, [str(number) for number in range(classes)], "scikit-learn")


@registry.register
def spirals(
    samples: Points = 300,
    classes: Annotated[int, Field(ge=2, le=20)] = 3,
    noise: Spread = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Arms that wind around the origin, one a class; `noise` is a standard deviation of the angle in radians."""
    import numpy as np

    generator = np.random.default_rng(seed)
    label = np.arange(samples) % classes
    radius = (np.arange(samples) // classes + 1) / (samples // classes + 1)
    angle = 4 * radius + 2 * math.pi * label / classes + noise * generator.standard_normal(samples)
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return arrays(points, label, [str(number) for number in range(classes)], "made by dlx")


for _name in ("moons", "circles"):
    facts[_name] = Facts((2,), "classification", ("0", "1"))
