"""Many small trainings on JAX: as one program, a lane each, beside one after another.

    python benchmarks/lanes.py                       digits, rates that differ, 1 to 64 lanes, on what JAX sees
    python benchmarks/lanes.py --lanes 64 256 --seeds --epochs 20 configs/digits.yaml

Both sides are compiled before they are timed; the seconds are of the training alone. Prints a line of JSON for each
number of lanes: seconds a training of each side, and the largest difference between the rows of the two.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from dlx import spec as specs
from dlx.engine.fit import compile_program, fit
from dlx.engine.plan import Member
from dlx.model.build import build, make_optimizer
from dlx.model.statistics import fit_preprocessing
from dlx.system import backend
from dlx.training.experiment import plan_of, prepare

DIGITS = Path(__file__).resolve().parent.parent / "configs" / "digits.yaml"
ALONE = 8  # trainings of the other side


def members(path: Path, count: int, settings: list[str], seeds: bool) -> tuple[list[Member], Any]:
    """(so many trainings of a spec, with rates or with seeds that differ; the experiment that they share)."""
    found = []
    shared = prepare(specs.load(path, settings))
    for number in range(count):
        change = f"seed={number}" if seeds else f"lr={0.0005 * 1.01**number}"
        spec = specs.load(path, [*settings, change])
        experiment = prepare(spec, lambda _: shared.dataset)
        network = build(spec, experiment.facts, targets=experiment.target_scaling)
        fit_preprocessing(network, experiment.splits.train.inputs, experiment.dataset.input_scaling)
        found.append(Member(network, make_optimizer(spec), plan_of(experiment)))
    return found, shared


def measure(path: Path, count: int, settings: list[str], seeds: bool) -> dict[str, object]:
    many, experiment = members(path, count, settings, seeds)
    first = many[0]
    splits = (experiment.splits.train, experiment.splits.validation)
    arrays = [split and (split.inputs, first.network.learned(split.targets)) for split in splits]
    program = compile_program(first.network, first.optimizer, first.plan, *arrays)
    assert program.lanes is not None
    singles, alone = [], []
    for member in [many[0], *many[:ALONE]]:  # the first one compiles
        own = program.reuse(member.network, member.optimizer, member.plan)
        began = time.perf_counter()
        rows = [row for progress in fit(own, member.plan) for row in progress.rows]
        singles.append(time.perf_counter() - began)
        alone.append(np.array([[row[name] for name in program.columns] for row in rows]))
    lanes, times = program.lanes(many), []
    for _ in range(3):
        states = {name: value.copy() for name, value in lanes.states.items()}
        began = time.perf_counter()
        _, together = lanes.chunk(states, lanes.numbers, 0, first.plan.steps)
        times.append(time.perf_counter() - began)
    difference = max(float(np.abs(one - other).max()) for one, other in zip(alone[1:], together[:ALONE], strict=True))
    one, all_of_them = statistics.median(singles[1:]), statistics.median(times[1:])
    return {
        "lanes": count, "alone_s": one, "lane_s": all_of_them / count, "times_as_fast": one * count / all_of_them,
        "compile_s": times[0] - all_of_them, "largest_difference": difference,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", type=Path, default=DIGITS)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", action="store_true", help="seeds that differ, instead of rates")
    parser.add_argument("--device", default="auto")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="K=V")
    given = parser.parse_args()
    backend.want("jax", given.device)
    print(json.dumps({"spec": given.spec.stem, "device": backend.load().description}), flush=True)
    for count in given.lanes:
        print(json.dumps(measure(given.spec, count, [*given.set, f"epochs={given.epochs}"], given.seeds)), flush=True)


if __name__ == "__main__":
    main()
