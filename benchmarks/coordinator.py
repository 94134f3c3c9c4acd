"""How far one coordinator of a sweep goes: a thousand workers, fifty thousand trials, a row a second each.

    python benchmarks/coordinator.py [--workers 1000] [--trials 50000] [--search random] [--prune asha]

The workers are stand-ins: they answer as real ones do, in a time that is only counted. Each training has 20 epochs of a
second; one worker in a hundred is lost every minute, and its training waits for another one. What is measured is the
processor time of what decides (`dlx.search`), against the time that the workers would have taken: above 1 the workers
wait for the coordinator. The writing of the runs' files belongs to the workers and is not counted.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from dlx import spec as specs
from dlx.runs.run import Run
from dlx.search.setup import study_of
from dlx.search.study import Study, Task
from dlx.search.sweep import Result, sweep
from dlx.spec.sections import flat, resolved

SPEC = """\
name: many
dataset: digits
layers: [flatten, {dense: {units: 8}}, {dropout: 0.1}, output]
epochs: 20
sweep: {lr: log 1e-5..1e-1, layers.dropout.rate: 0.0..0.8, batch_size: 8..512}
"""
EPOCHS, LOST = 20, 0.01  # of the workers, a minute


class StandIns:
    """So many workers of a time that is only counted; `spent` is what they themselves cost here."""

    def __init__(self, study: Study, workers: int) -> None:
        self.slots, self._study, self.now, self.spent = workers, study, 0.0, 0.0
        self._random = random.Random(0)
        self._events: list[tuple[float, int, Task, int]] = []
        self._count = 0
        self.trained = self.rows = self.lost = 0

    def close(self) -> None: ...

    def submit(self, task: Task) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + 1.0 + self._random.random(), self._count, task, 1))

    def ended(self) -> list[tuple[Task, Result]]:
        while True:
            self.now, number, task, epoch = heapq.heappop(self._events)
            if self._random.random() < LOST / 60:
                self.lost += 1
                return [(task, Result("interrupted", why="its worker is lost; it continues"))]
            self.rows += 1
            rate = float(task.spec.lr)
            value = abs(math.log10(rate) + 2.5) + 1.0 / epoch
            row = {"epoch": epoch, "step": epoch, "val_loss": value, "train_loss": value, "seconds": 1.0}
            why = self._study.judge(task, [row]) if epoch in self._study.judged() else ""
            if why or epoch == EPOCHS:
                self.trained += 1
                return [(task, self._left(task, value, why))]
            heapq.heappush(self._events, (self.now + 1.0, number, task, epoch + 1))

    def _left(self, task: Task, value: float, why: str) -> Result:
        """A run as a worker leaves it; what that costs is a worker's."""
        begun = time.process_time()
        path = self._study.root / f"many-{self.trained}"
        path.mkdir(parents=True)
        run = Run(path)
        record = {"settings": flat(resolved(task.spec, str(path))), "monitor": "val_loss", "scaling": {}, "code": {}}
        run.begin("", {**record, "trial": self._study.record(task)})
        run.epochs.append([{"epoch": EPOCHS, "step": EPOCHS, "val_loss": value}])
        if why:
            run.fail("pruned", why)
        else:
            run.finish({"val_loss": value})
        self.spent += time.process_time() - begun
        return Result("pruned" if why else "done", run, why=why)


def main() -> None:
    """Print a line whenever the number of trials has doubled."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=50_000)
    parser.add_argument("--search", default="random")
    parser.add_argument("--prune", default="none")
    parser.add_argument("--minutes", type=float, default=8.0, help="of this machine, after which it ends")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        (Path(scratch) / "many.yaml").write_text(SPEC)
        search: dict[str, Any] = {"by": given.search, "trials": given.trials, "prune": given.prune, "repeats": None}

        def made() -> Study:
            space = specs.space_of(f"{scratch}/many.yaml", (), search)
            return study_of(space, Path(scratch) / "runs", lambda trial: trial)

        study = made()
        place = StandIns(study, given.workers)
        print(f"{given.workers:,} workers, {given.search}, prune {given.prune}")
        print("  trials   rows/s  of the workers' time   CPU a trial   memory  ledger  lost")
        told = {"trials": 125, "cpu": time.process_time(), "now": 0.0, "done": 0, "rows": 0, "spent": 0.0}
        until = time.monotonic() + 60 * given.minutes

        def report(task: Task, result: Result) -> None:
            if place.trained < told["trials"] and place.trained < given.trials:
                if time.monotonic() > until:
                    raise SystemExit(f"stopped after {given.minutes:g} minutes at {place.trained:,} trials")
                return
            cpu = time.process_time() - told["cpu"] - (place.spent - told["spent"])
            virtual, done = max(place.now - told["now"], 1e-9), max(place.trained - told["done"], 1)
            ledger = sum(path.stat().st_size for path in (study.root / ".sweeps").glob("*") if path.is_file())
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows = (place.rows - told["rows"]) / max(cpu, 1e-9)
            print(
                f"{place.trained:>8,} {rows:>8,.0f} {cpu / virtual:>20.2f} {1000 * cpu / done:>11.1f} ms"
                f" {memory:>5,.0f} MB {ledger / 1e6:>4.1f} MB {place.lost:>5,}",
                flush=True,
            )
            told.update(
                trials=2 * told["trials"], cpu=time.process_time(), now=place.now, done=place.trained, rows=place.rows,
                spent=place.spent,
            )  # fmt: skip

        with study.held():
            sweep(study, place, report)
        begun = time.process_time()
        again = made()
        seconds, files = time.process_time() - begun, sum(len(names) for _, _, names in os.walk(study.root))
        done = sum(observation.status != "waiting" for observation in again.observations)
        print(f"begun again: {done:,} trials read from {files:,} files in {seconds:.1f} s")


if __name__ == "__main__":
    main()
