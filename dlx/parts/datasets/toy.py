"""Datasets made on the spot; moons, circles and blobs are equal to those of scikit-learn for the same seed."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from dlx.data.dataset import Dataset, Facts, Reading
from dlx.errors import DataError
from dlx.parts.datasets.loading import arrays, fingerprint, know, registry, split
from dlx.parts.types import Seed

Spread = Annotated[float, Field(ge=0, le=1e6)]
Points = Annotated[int, Field(ge=4, le=10_000_000)]
Fresh = Annotated[int, Field(ge=0, le=10_000_000)]
_ROWS = ((0, 0), (0, 1), (1, 0), (1, 1))


def _gate(name: str, rule: Any) -> None:
    """Register the gate `name`: its truth table is its train split."""

    def gate() -> Dataset:
        rows = _ROWS if name != "not" else ((0,), (1,))
        targets, source = [int(rule(*row)) for row in rows], f"the truth table of {name.upper()}"
        return arrays(rows, targets, "01", source, reading=Reading(_bits))

    gate.__name__ = name
    gate.__doc__ = f"The truth table of {name.upper()}: every row is an example, the classes are 0 and 1."
    registry.register(gate)
    know(name, Facts((1 if name == "not" else 2,), "classification", ("0", "1")))


def _bits(row: Any) -> str:
    """The inputs of a gate: 0 1."""
    return " ".join(f"{value:g}" for value in row)


_gate("or", lambda a, b: a or b)
_gate("and", lambda a, b: a and b)
_gate("nand", lambda a, b: not (a and b))
_gate("nor", lambda a, b: not (a or b))
_gate("xor", lambda a, b: a != b)
_gate("not", lambda a: not a)


@registry.register
def moons(samples: Points = 200, noise: Spread = 0.2, seed: Seed = 0, test_samples: Fresh = 0) -> Dataset:
    """Two interleaved half circles in the plane; `noise` is a standard deviation.

    `test_samples` fresh points become the test split.
    """
    import numpy as np

    def made(count: int, seed: int) -> Dataset:
        outer, inner = (np.linspace(0, np.pi, half) for half in (count // 2, count - count // 2))
        halves = [[np.cos(outer), np.sin(outer)], [1 - np.cos(inner), 1 - np.sin(inner) - 0.5]]
        return _scattered([np.transpose(half) for half in halves], noise, np.random.RandomState(seed))

    points = made(samples, seed)
    if not test_samples:
        return points
    fresh = made(test_samples, (seed + 1) % 2**32)
    return replace(points, test=fresh.train, fingerprint=f"{points.fingerprint[:32]}{fresh.fingerprint[:32]}")


@registry.register
def circles(
    samples: Points = 200,
    noise: Spread = 0.1,
    factor: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    seed: Seed = 0,
) -> Dataset:
    """A small circle within a large one; `factor` is the ratio of their radii."""
    import numpy as np

    halves = (np.linspace(0, 2 * np.pi, half, endpoint=False) for half in (samples // 2, samples - samples // 2))
    outer, inner = (np.stack([np.cos(angle), np.sin(angle)], axis=1) for angle in halves)
    return _scattered([outer, inner * factor], noise, np.random.RandomState(seed))


def _scattered(clouds: Sequence[Any], noise: float, generator: Any) -> Dataset:
    """The points of every cloud, its number as label, in the order and with the noise that scikit-learn draws."""
    import numpy as np

    order = np.arange(sum(map(len, clouds)))
    generator.shuffle(order)
    x = np.concatenate(clouds)[order]
    y = np.repeat(np.arange(len(clouds)), [len(cloud) for cloud in clouds])[order]
    if noise:
        x = x + generator.normal(scale=noise, size=x.shape)
    return arrays(x, y, [str(number) for number in range(len(clouds))], "scikit-learn")


@registry.register
def blobs(
    samples: Points = 300,
    classes: Annotated[int, Field(ge=2, le=100)] = 3,
    features: Annotated[int, Field(ge=1, le=10_000)] = 2,
    spread: Spread = 1.0,
    seed: Seed = 0,
) -> Dataset:
    """Round clouds of points, one a class; `spread` is their standard deviation."""
    import numpy as np

    generator = np.random.RandomState(seed)
    centers = generator.uniform(-10, 10, size=(classes, features))
    sizes = [samples // classes + (number < samples % classes) for number in range(classes)]
    clouds = [generator.normal(center, spread, (size, features)) for center, size in zip(centers, sizes, strict=True)]
    return _scattered(clouds, 0, generator)


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


@registry.register
def binary_addition(
    bits: Annotated[int, Field(ge=1, le=16)] = 8,
    samples: Points = 10_000,
    test_samples: Points = 2_000,
    seed: Seed = 0,
) -> Dataset:
    """Two whole numbers below 2^bits, read bit by bit from the lowest, and the bits of their sum to predict.

    An input is (bits + 1, 2), a label a step. No pair of the test split is in the train split, in either order.
    """
    import numpy as np

    most = 2**bits
    pairs = most * (most + 1) // 2
    if samples + test_samples > pairs:
        raise DataError(
            f"{samples:,} and {test_samples:,} pairs are more than the {pairs:,} that {bits} bits have",
            hint="fewer samples and test_samples, or more bits",
        )
    generator = np.random.default_rng(seed)
    number = generator.choice(pairs, samples + test_samples, replace=False, shuffle=True)
    # The pairs with high >= low, counted row by row: number = high (high + 1) / 2 + low.
    high = ((np.sqrt(8.0 * number + 1) - 1) / 2).astype(np.int64)
    both = np.stack([high, number - high * (high + 1) // 2], axis=1)
    both = generator.permuted(both, axis=1)
    places = np.arange(bits + 1)
    x = (both[:, None, :] >> places[None, :, None] & 1).astype(np.float32)
    y = (both.sum(axis=1)[:, None] >> places[None, :] & 1).astype(np.float32)
    return Dataset(
        split(x[:samples], y[:samples]),
        "multi_label",
        fingerprint(x, y),
        test=split(x[samples:], y[samples:]),
        classes=_places(bits),
        source="made by dlx",
        reading=Reading(lambda pair: f"{_number(pair[:, 0])} + {_number(pair[:, 1])}", lambda sum: str(_number(sum))),
    )


def _number(bits: Any) -> int:
    """The whole number of bits, from the lowest."""
    return sum(int(bit > 0.5) << place for place, bit in enumerate(bits))


def _places(bits: int) -> tuple[str, ...]:
    """The labels of a sum are the values of its bits: 1, 2, 4, …"""
    return tuple(str(2**place) for place in range(bits + 1))


know(
    "binary_addition",
    lambda bits, **_: Facts((bits + 1, 2), "multi_label", _places(bits), targets=bits + 1),
)

for _name in ("moons", "circles"):
    know(_name, Facts((2,), "classification", ("0", "1")))
