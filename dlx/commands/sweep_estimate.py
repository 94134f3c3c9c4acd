"""`dlx sweep --dry-run`: the trials with the time they will take, measured by one of each structure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from dlx.errors import DlxError
from dlx.search.places.local import Here
from dlx.search.samplers import drawn
from dlx.search.study import Study
from dlx.spec import flat, resolved, write_value
from dlx.spec.space import Trial
from dlx.system import backend, terminal
from dlx.system import problems as problem_screen
from dlx.system.units import duration
from dlx.training.estimate import estimate
from dlx.training.program_cache import ProgramCache

DRAWN = 8  # trials of a search that stand for the rest


def show(study: Study, here: Here) -> int:
    """The table. Returns the exit code of the first trial that cannot run, else 0."""
    trials = list(study.fixed) or _drawn(study)
    times, ahead, problems = _measured(trials, here)
    addresses = list(dict.fromkeys(address for trial in trials for address in trial.settings))
    columns = [("", [str(number) for number in range(1, len(trials) + 1)])]
    for address in addresses:
        columns.append((address, [write_value(trial.settings.get(address, "–")) for trial in trials]))
    terminal.table([*columns, ("time", times)], [True, *(True for _ in addresses), False])
    left = "nothing is left to run" if not problems else "none of the rest can run"
    words = f"about {duration(sum(ahead))} in all; nothing was kept" if ahead else left
    if ahead and not study.fixed:
        whole = sum(ahead) / len(ahead) * (study.search.trials or 0) * study.search.repeats
        words = (
            f"about {duration(whole)} for {study.search.trials} trials like these, drawn at random; nothing was kept"
        )
    terminal.console().print(words)
    for trial, problem in problems:
        problem_screen.show(f"{trial.label}: {problem}")
    return problems[0][1].exit_code if problems else 0


def _drawn(study: Study) -> list[Trial]:
    """A few trials of a search at random."""
    generator, found = random.Random(study.seed), list[Trial]()
    for _ in range(20 * DRAWN):
        try:
            trial = study.space.trial(lambda dimension: drawn(dimension, generator))
        except DlxError:
            continue
        found.append(study.settle(trial))
        if len(found) == min(DRAWN, study.search.trials or DRAWN):
            break
    return found


def _measured(trials: Sequence[Trial], here: Here) -> tuple[list[str], list[float], list[tuple[Trial, DlxError]]]:
    """(what the table says of the time of each trial, the seconds of those ahead, what is wrong with the others)"""
    backend.load()  # once a process, so it is not a part of any combination's time
    times, ahead, cache = list[str](), list[float](), ProgramCache()
    problems: list[tuple[Trial, DlxError]] = []
    known: dict[str, float] = {}
    with terminal.Bar(len(trials), "combinations measured") as bar:
        for number, trial in enumerate(trials, 1):
            run = here.finished.find(trial.spec)
            if run is not None:
                seconds = (run.metrics() or {}).get("total_seconds")
                times.append(f"done, took {duration(float(seconds or 0))}")
            else:
                key = structure(trial)
                try:
                    if key not in known:
                        known[key] = estimate(here.prepare(trial.spec), cache)
                    ahead.append(known[key])
                    times.append(f"about {duration(known[key])}")
                except DlxError as error:
                    problems.append((trial, error))
                    times.append("cannot run")
            bar.update(number)
    return times, ahead, problems


def structure(trial: Trial) -> str:
    """What the time of a trial depends on: all but numbers with a fraction, as rates are, and seeds."""
    settings = flat(resolved(trial.spec))
    kept = {k: v for k, v in settings.items() if not isinstance(v, float) and k not in ("seed", "name", "lr")}
    return repr(sorted(kept.items(), key=lambda pair: pair[0]))
