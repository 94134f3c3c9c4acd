"""How often `dlx compare` calls equal settings different, and how often it sees a real difference.

    dlx sweep configs/digits.yaml -s seed=1,2,…,200 -s lr=0.002,0.002002 --runs-dir pool
    python benchmarks/calibration.py pool

The runs of a folder differ in the seed and in a rate that is as good as the same: the second is the null of matched
seeds. Groups of 3, 5 and 10 seeds are drawn 500 times, families of 5 groups of 5 seeds 200 times.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

from dlx.insight.significance import Grain, holm, paired, welch
from dlx.runs.metrics import is_share, maximized
from dlx.runs.summary import read

PAIRS, FAMILIES, EFFECT = 500, 200, 2.0  # the last in standard deviations over seeds
Values = Mapping[int, float]


def pools(folder: Path, figure: str) -> tuple[list[Values], int]:
    """(the figure by seed of each of the two rates, the rows that it is of)"""
    found: dict[float, dict[int, float]] = {}
    rows = 1
    for path in folder.iterdir():
        entry = read(path)
        if entry.status == "done" and figure in entry.metrics:
            found.setdefault(entry.settings["lr"], {})[entry.settings["seed"]] = entry.metrics[figure]
            rows = (entry.info.get("dataset") or {}).get("test", rows)
    return [found[rate] for rate in sorted(found)], rows


def main(folder: Path) -> None:
    """Print a table for test_accuracy and test_loss."""
    head = ("figure", "n", "matched: false", "unmatched: false", "power, matched", "power, unmatched")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for figure in ("test_accuracy", "test_loss"):
        (*_, a, b), rows = pools(folder, figure)
        grain = Grain(least=0.5 / rows if is_share(figure) else 0.0)
        seeds, rng = sorted(set(a) & set(b)), random.Random(1)
        shift = EFFECT * statistics.stdev(a[seed] for seed in seeds)
        for n in (3, 5, 10):
            counts = [0, 0, 0, 0]
            for _ in range(PAIRS):
                drawn = rng.sample(seeds, 2 * n)
                x, y = drawn[:n], drawn[n:]
                here, there = [a[seed] for seed in x], [a[seed] for seed in y]
                counts[0] += paired([a[seed] - b[seed] for seed in x], grain).real
                counts[1] += welch(here, there, grain).real
                counts[2] += paired([a[seed] + shift - b[seed] for seed in x], grain).real
                counts[3] += welch([value + shift for value in here], there, grain).real
            print(f"| {figure} | {n} | " + " | ".join(f"{100 * count / PAIRS:.1f} %" for count in counts) + " |")
        print(f"{figure}: a false first in {100 * families(a, figure, grain):.1f} % of {FAMILIES} families")


def families(values: Values, figure: str, grain: Grain) -> float:
    """The share of families of five equal settings in which the best is called better than another."""
    rng, false = random.Random(2), 0
    for _ in range(FAMILIES):
        drawn = rng.sample(sorted(values), 25)
        groups = [[values[seed] for seed in drawn[5 * k : 5 * k + 5]] for k in range(5)]
        pairs = itertools.combinations(range(5), 2)
        ps = holm({(i, j): welch(groups[i], groups[j], grain).p for i, j in pairs})
        means = [statistics.fmean(group) for group in groups]
        best = means.index(max(means) if maximized(figure) else min(means))
        false += any(p < 0.05 for pair, p in ps.items() if best in pair)
    return false / FAMILIES


if __name__ == "__main__":
    main(Path(sys.argv[1]))
