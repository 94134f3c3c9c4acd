"""How good the searches are, and what the coordinator costs.

    python benchmarks/search.py quality                  20 seeds of each method, three problems: medians of the best
    python benchmarks/search.py quality --seeds 4 --only layers
    python benchmarks/search.py cost --trials 1000 5000  seconds a suggestion with so many finished trials, and memory

`digits` trains: the rate, the width, dropout and L2 of a small network on 1,294 digits, 8 epochs, judged by val_loss.
`layers` and `mixed` are functions that take no time: a network of 1 to 5 layers whose kinds and sizes have an optimum,
and numbers beside words that depend on one another. Nothing of it is kept.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlx import spec as specs
from dlx.runs.run import Run
from dlx.search.setup import study_of
from dlx.search.study import Study, Task
from dlx.search.sweep import Result, sweep
from dlx.spec.sections import Spec, flat, resolved
from dlx.system import backend

Figure = Callable[[Spec], list[float]]  # a spec -> val_loss of each epoch
METHODS = ("random", "tpe", "evolution", "nsga2", "cma_es")

BASE: dict[str, Any] = {"dataset": "digits", "name": "bench", "epochs": 8, "batch_size": 32}
DIGITS = {
    **BASE,
    "preprocess": ["rescale"],
    "layers": ["flatten", {"dense": {"units": 32, "activation": "relu"}}, {"dropout": 0.2}, "output"],
    "regularization": {"l2": 0.001},
    "sweep": {
        "lr": "log 1e-4..1e-1", "layers.dense.units": [8, 16, 32, 64], "layers.dropout.rate": "0.01..0.7",
        "regularization.l2": "log 1e-6..1e-1",
    },
}  # fmt: skip
MIXED = {
    **BASE,
    "layers": ["flatten", {"dense": {"units": 32, "activation": "relu"}}, "output"],
    "sweep": {
        "lr": "log 1e-5..1", "layers.dense.units": "4..256", "batch_size": "8..256",
        "optimizer": ["adam", {"sgd": {"momentum": "0..0.99"}}, {"rmsprop": {"rho": "0.5..0.99"}}],
    },
}  # fmt: skip
LAYERS = {
    **BASE,
    "layers": ["flatten", "output"],
    "sweep": {"lr": "log 1e-4..1e-1", "layers.*.dense.units": "4..128", "layers.*.dropout.rate": "0.05..0.6"},
}


def layered(by: str) -> dict[str, Any]:
    """The problem of layers: for evolution as a list that it changes, for the others as a setting a place."""
    if by == "evolution":
        start = [["flatten", {"dense": {"units": 16, "activation": "relu"}}, {"dropout": 0.2}, "output"]]
        kinds = {"kinds": ["dense", "dropout", "batch_normalization"]}
        return {**LAYERS, "sweep": {**LAYERS["sweep"], "layers": start}, "search": {"evolution": kinds}}
    place = [None, {"dense": {"units": "4..128"}}, {"dropout": {"rate": "0.05..0.6"}}, "batch_normalization"]
    sweep: dict[str, Any] = {"lr": "log 1e-4..1e-1", "layers.1": place[1:]}
    whole = ["flatten", {"dense": 16}, *({"dense": {"units": 16, "name": f"place{n}"}} for n in range(2, 6)), "output"]
    return {**LAYERS, "layers": whole, "sweep": sweep | {f"layers.place{n}": place for n in range(2, 6)}}


def of_layers(spec: Spec) -> list[float]:
    """Best: dense(64), batch_normalization, dropout(0.3), dense(32) and a rate of 0.005."""
    wanted = [("dense", 64.0), ("batch_normalization", None), ("dropout", 0.3), ("dense", 32.0)]
    found = [(p.name, p.args.get("units") or p.args.get("rate")) for p in spec.layers[1:-1]]
    cost = abs(math.log10(spec.lr / 0.005)) / 2 + 0.3 * abs(len(found) - len(wanted))
    for (kind, number), (other, value) in zip(wanted, found, strict=False):
        cost += 0.5 * (kind != other)
        if kind == other and number is not None:
            cost += min(abs(math.log(float(value) / number)) / 4, 0.4)
    return [cost + 1 / epoch for epoch in range(1, 9)]


def of_mixed(spec: Spec) -> list[float]:
    """Each optimizer has a rate and a number of its own that are best; the best of all is sgd with momentum 0.9."""
    rate = {"adam": 1e-3, "sgd": 5e-2, "rmsprop": 1e-3}[spec.optimizer.name]
    cost = abs(math.log10(spec.lr / rate)) / 3 + abs(math.log(spec.layers[1].args["units"] / 100)) / 6
    cost += (
        abs(math.log(int(spec.batch_size) / 64)) / 8 + {"adam": 0.1, "sgd": 0.0, "rmsprop": 0.2}[spec.optimizer.name]
    )
    cost += abs(float(spec.optimizer.args.get("momentum") or 0.9) - 0.9) * (spec.optimizer.name == "sgd")
    cost += abs(float(spec.optimizer.args.get("rho") or 0.9) - 0.9) * (spec.optimizer.name == "rmsprop")
    return [cost + 1 / epoch for epoch in range(1, 9)]


class Digits:
    """Trains: a program of each width, all else is numbers. What was trained before is known."""

    def __init__(self) -> None:
        from dlx.training.experiment import prepare
        from dlx.training.program_cache import ProgramCache

        self._cache, self._known = ProgramCache(), dict[str, list[float]]()
        self._dataset = prepare(specs.load({key: value for key, value in DIGITS.items() if key != "sweep"})).dataset

    def __call__(self, spec: Spec) -> list[float]:
        import dataclasses

        from dlx.engine.plan import Member
        from dlx.model.build import build, make_optimizer
        from dlx.training.experiment import plan_of, prepare

        key = repr(resolved(dataclasses.replace(spec, name="")))
        if key not in self._known:
            experiment = prepare(spec, lambda _: self._dataset)
            network = build(spec, experiment.facts)
            made = self._cache.lanes([experiment], [Member(network, make_optimizer(spec), plan_of(experiment))])
            assert made is not None
            lanes, (program,) = made
            _, (rows,) = lanes.chunk(lanes.states, lanes.numbers, 0, experiment.steps)
            place = program.columns.index("val_loss")
            self._known[key] = [float(row[place]) for row in rows]
        return self._known[key]


class Quick:
    """A place that writes what a run directory needs to be known, and trains by a function."""

    slots = 1

    def __init__(self, study: Study, figure: Figure) -> None:
        self._study, self._figure, self._task = study, figure, list[Task]()
        self.epochs = 0

    def submit(self, task: Task) -> None:
        self._task.append(task)

    def close(self) -> None: ...

    def ended(self) -> list[tuple[Task, Result]]:
        task = self._task.pop()
        values = self._figure(task.spec)
        run = Run(task.entry.path) if task.promoted and task.entry else Run.create(self._study.root, task.spec.name)
        first = len(run.history())
        if not first:
            record = {"settings": flat(resolved(task.spec, str(run.path))), "monitor": "val_loss", "scaling": {}}
            run.begin("", {**record, "code": {}, "trial": self._study.record(task)})
        for epoch, value in enumerate(values[first:], first + 1):
            row = {"epoch": epoch, "val_loss": value}
            run.epochs.append([row])
            self.epochs += 1
            if epoch in self._study.judged() and (why := self._study.judge(task, [row])):
                run.fail("pruned", why)
                return [(task, Result("pruned", run, why=why))]
        run.finish({"val_loss": min(values), "parameters": 1, "train_seconds": 1.0})
        return [(task, Result("done", run))]


def searched(
    source: dict[str, Any], by: str, seed: int, trials: int, figure: Figure, **more: Any
) -> tuple[Study, Quick]:
    with tempfile.TemporaryDirectory() as root:
        space = specs.space_of({**source, "seed": seed}, [], {"by": by, "trials": trials, **more})
        study = study_of(space, Path(root), lambda trial: trial)
        study.measure = lambda spec: len(spec.layers)
        place = Quick(study, figure)
        with study.held():
            sweep(study, place, lambda task, result: None)
        return study, place


def quality(given: argparse.Namespace) -> None:
    marks = [n for n in (5, 10, 20, 30, 40, 60, 80, 100, 120) if n <= given.trials]
    for name in given.only or ("digits", "mixed", "layers"):
        figure: Figure = Digits() if name == "digits" else of_mixed if name == "mixed" else of_layers
        methods = [m for m in METHODS if name != "layers" or m != "cma_es"]
        for by in methods:
            source = layered(by) if name == "layers" else DIGITS if name == "digits" else MIXED
            best: dict[int, list[float]] = {mark: [] for mark in marks}
            for seed in range(given.seeds):
                study, _ = searched(source, by, seed, given.trials, figure)
                figures = [(o.figures or (math.inf,))[0] for o in study.observations]
                for mark in marks:
                    best[mark].append(min(figures[:mark]))
            medians = {mark: round(statistics.median(values), 4) for mark, values in best.items()}
            print(json.dumps({"problem": name, "search": by, "seeds": given.seeds, "best": medians}), flush=True)
        if name == "digits":
            pruned(given, figure)


def pruned(given: argparse.Namespace, figure: Figure) -> None:
    """What asha saves at the same result."""
    for by in ("random", "tpe"):
        for prune in ("none", "asha"):
            best, epochs = [], []
            for seed in range(given.seeds):
                study, place = searched(DIGITS, by, seed, given.trials, figure, prune=prune)
                best.append((study.ranked()[0].figures or (math.nan,))[0])
                epochs.append(place.epochs)
            row = {"problem": "digits", "search": by, "prune": prune, "best": round(statistics.median(best), 4)}
            print(json.dumps({**row, "epochs": statistics.median(epochs)}), flush=True)


def cost(given: argparse.Namespace) -> None:
    for count in given.trials_done:
        for by in ("random", "tpe", "evolution"):
            with tempfile.TemporaryDirectory() as root:
                study = opened(root, "random", count)
                with study.held():
                    sweep(study, Quick(study, of_mixed), lambda task, result: None)
                began = time.perf_counter()
                again = opened(root, by, count + 5)
                recalled, times = time.perf_counter() - began, []
                for _ in range(5):
                    began = time.perf_counter()
                    again.next()
                    times.append(time.perf_counter() - began)
            print(json.dumps({
                "trials": count, "search": by, "recall_s": round(recalled, 2), "first_s": round(times[0], 3),
                "suggestion_s": round(statistics.median(times[1:]), 3),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }), flush=True)  # fmt: skip


def opened(root: str, by: str, trials: int) -> Study:
    """The study of the mixed problem below a folder."""
    space = specs.space_of(MIXED, [], {"by": by, "trials": trials})
    return study_of(space, Path(root), lambda trial: trial)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quality", "cost"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", dest="trials_done", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--budget", dest="trials", type=int, default=60, help="trials of each search")
    parser.add_argument("--only", nargs="+", choices=("digits", "mixed", "layers"))
    given = parser.parse_args()
    backend.want("jax", "cpu")
    (quality if given.what == "quality" else cost)(given)


if __name__ == "__main__":
    main()
