"""`dlx run`: check every spec, then train one after another and show it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from dlx import spec as specs
from dlx.commands import training_screen as following
from dlx.errors import DataError, DlxError, SpecError
from dlx.runs import run as runs
from dlx.spec import parse as reading
from dlx.spec import sections
from dlx.system import backend as backends
from dlx.system import signals
from dlx.system import terminal as display


def load_all(paths: Sequence[str], settings: Sequence[str]) -> list[sections.Spec]:
    """Every spec, or a SpecError with the problems of all of them."""
    found: list[sections.Spec] = []
    problems: list[DlxError] = []
    for path in paths:
        try:
            found.append(specs.load(path, settings))
        except SpecError as error:
            problems += [problem for problem in error.problems if str(problem) not in map(str, problems)]
    if problems:
        raise SpecError(problems)
    for path, spec in zip(paths, found, strict=True):
        if spec.sweep:
            hint = f"dlx sweep {path} trains its alternatives of {', '.join(spec.sweep)}"
            display.console(error=True).print(display.clean(f"{spec.name} is trained as it stands; {hint}"))
    return [dataclasses.replace(spec, sweep={}) for spec in found]


def run_all(
    paths: Sequence[str],
    settings: Sequence[str],
    *,
    name: str | None,
    tags: Sequence[str],
    repeat: int,
    json: bool,
    backend: str,
    device: str,
    folder: str | None,
    max_time: float | None = None,
) -> int:
    """Run every spec; returns the exit code: of the first run that did not end well, else 0.

    `max_time`: the seconds after which the one that is training is stopped, and no other begins.
    """
    deadline = signals.deadline(max_time)
    labels = [] if name is None else [f"name={reading.write_value(name)}"]
    backends.want(backend, device)  # before a spec's own code loads Keras
    planned = load_all(paths, [*settings, *labels])
    planned = [
        dataclasses.replace(spec, seed=(spec.seed + number) % 2**32, tags=[*spec.tags, *tags])
        for spec in planned
        for number in range(repeat)
    ]
    root = runs.root(folder)
    code = 0
    made: list[str] = []
    stopped = ""
    device_found: backends.Device | None = None
    for number, spec in enumerate(planned):
        from dlx.training import experiment as preparation
        from dlx.training import resume as resumption
        from dlx.training import train as training

        if stopped := stopped or signals.Stop(deadline).reason:
            code = code or signals.code(stopped)
            display.console(error=True).print(f"stopped by {stopped}; {len(planned) - number} not begun")
            break
        try:
            if (before := resumption.unfinished(spec, root)) is not None:
                following.remind(before, folder, error=json)
            experiment = preparation.prepare(spec)
            following.show(experiment, error=json, number=number + 1, of=len(planned))
            if device_found is None:
                device_found = backends.load()
                if len(planned) > 1:
                    _check_all(planned)
            command = ["dlx", *sys.argv[1:]]
            outcome = training.train(experiment, root, command, following.observer(json), deadline=deadline)
        except DlxError as error:
            if json and not isinstance(error, SpecError):
                print(display.as_json({"run": None, "status": "failed", "metrics": {}}), flush=True)
            if len(planned) == 1 or isinstance(error, SpecError):
                raise
            display.console(error=True).print(display.clean_lines(str(error)))
            code = code or error.exit_code
            continue
        if json:
            print(following.as_json(outcome), flush=True)
        made.append(outcome.run.name)
        code = code or outcome.exit_code
        stopped = outcome.stop
    if len(made) > 1:
        where = f" --runs-dir {folder}" if folder else ""
        display.console(error=json).print(f"\n{len(made)} runs; compare them:  dlx compare {' '.join(made)}{where}")
    return code


def _check_all(planned: Sequence[sections.Spec]) -> None:
    """Raise what only Keras can find wrong with any of several specs; a single one is built next anyway."""
    from dlx.training import train as training

    problems: list[DlxError] = []
    seen: set[str] = set()
    for spec in planned:
        text = specs.dump(dataclasses.replace(spec, seed=0))
        if text in seen:
            continue
        seen.add(text)
        try:
            training.check(spec)
        except DataError:
            continue  # told when its turn comes
        except SpecError as error:
            problems += [problem for problem in error.problems if str(problem) not in map(str, problems)]
    if problems:
        raise SpecError(problems)
