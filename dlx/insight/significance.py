"""Is a difference real? Tests whose error rates were measured on trainings, as pure functions of numbers.

Two models are compared on the same examples, two settings over seeds. Nothing here knows of runs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.05  # of a test; intervals are of 1 - LEVEL
POWER = 0.8
FEWEST = 3  # seeds of a setting: fewer say nothing of how far chance goes
UPPER = 0.8  # the bound of a standard deviation that a number of seeds is planned with
MOST_SEEDS = 100_000


@dataclass(frozen=True)
class Finding:
    """A difference, a - b, its 95 % interval, its p, and the name of the test."""

    difference: float
    low: float
    high: float
    p: float
    test: str

    @property
    def real(self) -> bool:
        """Whether it is shown to be other than 0."""
        return self.p < LEVEL


def mcnemar(only_a: int, only_b: int, rows: int) -> Finding:
    """Two models on the same rows, of which a alone has `only_a` right, and b alone `only_b`.

    p: McNemar's exact test with mid-p (Fagerland, Lydersen and Laake 2013). Interval of the difference of shares:
    Agresti and Min 2005.
    """
    unlike, fewer = only_a + only_b, min(only_a, only_b)
    p = 1.0
    if unlike:
        # Binomial of 1/2 in logarithms: the tail below `fewer`, and half of `fewer` itself, on both sides.
        terms = [_log_binomial(unlike, k) - unlike * math.log(2) for k in range(fewer + 1)]
        tail = math.fsum(math.exp(term) for term in terms)
        p = min(1.0, 2 * tail - math.exp(terms[-1]))
    b, c, n = only_a + 0.5, only_b + 0.5, rows + 2
    half = 1.959964 * math.sqrt(max(b + c - (b - c) ** 2 / n, 0.0)) / n
    middle = (b - c) / n
    return Finding((only_a - only_b) / rows, max(middle - half, -1.0), min(middle + half, 1.0), p, "McNemar mid-p")


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@dataclass(frozen=True)
class Grain:
    """What a comparison of trainings has to know beside the figures.

    least: the smallest standard deviation that can be told from none, as figures are of so many rows. overlap: the
    examples judged by over those trained on, where each training has other ones: their train splits share examples, and
    the variance is corrected (Nadeau and Bengio 2003). pairs: how many are compared at once; intervals hold for all.
    """

    least: float = 0.0
    overlap: float = 0.0
    pairs: int = 1


ONE = Grain()


def paired(differences: Sequence[float], grain: Grain = ONE, test: str = "paired t") -> Finding:
    """The mean of two or more differences, each of two trainings of one seed, or of two models on one example."""
    n = len(differences)
    mean, sd = _mean(differences), max(_sd(differences), grain.least)
    name = f"corrected {test}" if grain.overlap else test
    return _finding((mean, sd * math.sqrt(1 / n + grain.overlap), n - 1), name, grain.pairs)


def welch(a: Sequence[float], b: Sequence[float], grain: Grain = ONE) -> Finding:
    """The difference of the means of two groups of two or more, whose variances may differ (Welch 1947)."""
    parts = [max(_sd(group), grain.least) ** 2 * (1 / len(group) + grain.overlap) for group in (a, b)]
    squares = sum(part**2 / (len(group) - 1) for part, group in zip(parts, (a, b), strict=True))
    freedom = sum(parts) ** 2 / squares if squares else len(a) + len(b) - 2
    name = "corrected Welch" if grain.overlap else "Welch"
    return _finding((_mean(a) - _mean(b), math.sqrt(sum(parts)), freedom), name, grain.pairs)


def _finding(measured: tuple[float, float, float], test: str, pairs: int) -> Finding:
    """What Student's t says of (a difference, its standard error, degrees of freedom); the interval is one of `pairs`
    that all hold together (Bonferroni)."""
    from scipy.special import stdtr, stdtrit

    difference, error, freedom = measured
    if error == 0:
        return Finding(difference, difference, difference, 0.0 if difference else 1.0, test)
    half = float(stdtrit(freedom, 1 - LEVEL / 2 / pairs)) * error
    p = 2 * float(stdtr(freedom, -abs(difference) / error))
    return Finding(difference, difference - half, difference + half, p, test)


def holm(ps: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """The p of each pair, such that no true null of all pairs is called different in 95 % of families (Holm 1979)."""
    adjusted, largest = {}, 0.0
    for place, (pair, p) in enumerate(sorted(ps.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(ps) - place) * p))
        adjusted[pair] = largest
    return adjusted


def deviation_bound(sd: float, freedom: int) -> float:
    """The standard deviation that the true one is below of with 80 %, from that of a sample."""
    from scipy.special import chdtri

    return sd * math.sqrt(freedom / float(chdtri(freedom, UPPER)))


def seeds_needed(difference: float, sd: float, matched: bool = False) -> int | None:
    """How many seeds a side show a true difference in 80 % of cases; None where it takes more than 100,000.

    sd: of one side; matched: of the differences between trainings of one seed.
    """
    from scipy.special import stdtrit

    groups = 1 if matched else 2
    low, high = 2, MOST_SEEDS

    def enough(n: int) -> bool:
        freedom = groups * (n - 1)
        reach = float(stdtrit(freedom, 1 - LEVEL / 2)) + float(stdtrit(freedom, POWER))
        return n >= groups * (reach * sd / difference) ** 2

    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _sd(values: Sequence[float]) -> float:
    return statistics.stdev(values)
