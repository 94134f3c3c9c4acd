"""From a run that was stopped, or that is done, to one that goes on exactly where it was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx import spec as specs
from dlx.errors import DlxError, RunError, SpecError
from dlx.parts import user_code as own
from dlx.runs import compare as comparison
from dlx.runs import run as runs
from dlx.runs.run import Run
from dlx.spec import sections
from dlx.system import backend
from dlx.training import checkpoints, provenance
from dlx.training import experiment as preparation
from dlx.training import train as training
from dlx.training.experiment import Experiment
from dlx.training.train import Observer, Outcome, Start

if TYPE_CHECKING:
    import numpy as np

CHANGEABLE = ("epochs", "steps", "early_stop")
Told = Callable[[Experiment, Start | None], None]


def newest(root: Path) -> Run:
    """The newest run below `root` that was stopped and can go on; raises RunError where there is none."""
    found = [run for run in map(Run, filter(runs.is_run, runs.below(root))) if _stopped(run)]
    if not found:
        raise RunError(
            "no run is interrupted", where=str(root), hint="dlx resume RUN -s epochs=N trains a finished one on"
        )
    return max(found, key=lambda run: runs.started(run.path))


def _stopped(run: Run, statuses: Sequence[str] = ("interrupted", "crashed", "failed")) -> bool:
    try:
        failure = run.failure() or {}
        return run.status in statuses and not failure.get("diverged")
    except RunError:
        return False


def unfinished(spec: sections.Spec, root: Path) -> Run | None:
    """The newest interrupted or crashed run below `root` of the same settings and code, tags and notes apart."""
    known = re.compile(re.escape(spec.name) + r"-\d+")
    named = [path for path in runs.below(root) if known.fullmatch(path.name) and runs.is_run(path)]
    wanted = ""
    code = sorted(own.hash_of(path) for path in spec.imports)
    for run in map(Run, sorted(named, key=runs.natural, reverse=True)):
        if not _stopped(run, ("interrupted", "crashed")):
            continue
        base = str((root / "any").resolve())
        wanted = wanted or comparison.identity(sections.flat(sections.resolved(spec, base)), ("imports",))
        try:
            info = run.info()
        except RunError:
            continue
        if comparison.identity(info["settings"], ("imports",)) == wanted and code == sorted(
            map(str, (info.get("code") or {}).values())
        ):
            return run
    return None


def resume(
    run: Run,
    settings: Sequence[str] = (),
    *,
    force: bool = False,
    wanted: Mapping[str, str],
    command: Sequence[str] = (),
    observer: Observer | None = None,
    told: Told | None = None,
    chunk_steps: int | None = None,
    deadline: float | None = None,
) -> Outcome:
    """Go on with a run from its newest whole checkpoint, or from the beginning where it has none.

    With `settings` (of CHANGEABLE alone) it goes on as a child run: a directory of its own. `wanted`: the backend
    and the device, "auto" for those of the run.
    Raises RunError where it cannot go on, or, without `force`, where what decides the figures is another than it
    was: versions, backend, device, threads, data.
    """
    info = run.info()
    if run.status == "running":
        raise RunError("is running", where=str(run.path), hint="another process writes to it")
    _check_status(run, settings)
    if info.get("backend", "tensorflow") not in backend.BACKENDS:
        raise RunError("run.json names no backend that dlx has", where=str(run.path))
    chosen = {key: info.get(key, "auto") if want == "auto" else want for key, want in wanted.items()}
    threads = info.get("threads")
    backend.want(str(chosen["backend"]), str(chosen["device"]), threads if isinstance(threads, int) else None)
    run.take_up(force)
    try:
        _check_status(run, settings)  # somebody else may have finished it in between
        spec = specs.load(run.spec_file, _overrides(settings, info), alone=True)
        experiment = preparation.prepare(dataclasses.replace(spec, sweep={}))
        device = backend.load()
        others = differences(info, provenance.conditions(experiment, device))
        others += _other_settings(info, run, experiment, CHANGEABLE if settings else ())
        if others and not force:
            said = "; ".join(others)
            hint = "--force goes on all the same: its figures are then not those of a training without a stop"
            raise RunError(f"would not go on as it was: {said}", where=str(run.path), hint=hint)
        start, passed = _start(run, bool(settings))
        for line in [*(f"forced: {other}" for other in others), *(f"passed over {line}" for line in passed)]:
            run.log(line)
            if observer is not None:
                observer.noted(line)
        if settings:
            run.release()
            return _child(run, experiment, start, others, command, observer, told, deadline)
        if told is not None:
            told(experiment, start)
        backend.prepare(experiment.spec.seed, experiment.spec.precision)
        experiment, network, optimizer, notes = training.built(experiment, run.path.parent, restored=start is not None)
    except BaseException:
        run.release()
        raise

    def begin() -> Experiment:
        checkpoints.drop(run.checkpoints, start.info["number"] if start is not None else 0)
        run.rewind(start.info["history"] if start is not None else {"bytes": 0})
        step = start.step if start is not None else 0
        before = run.info().get("resumed")
        run.update({"resumed": [*(before if isinstance(before, list) else []), training.gone_on(step, others)]})
        for line in notes:
            run.log(line)
        run.log(f"goes on at step {step}")
        return experiment

    return training.conduct(
        experiment, network, optimizer, run, observer or Observer(), begin, start, chunk_steps, deadline
    )


def _check_status(run: Run, settings: Sequence[str]) -> None:
    """Raise RunError for a run with which there is nothing to do."""
    if settings:
        return
    if run.metrics() is not None:
        raise RunError("is done", where=str(run.path), hint=f"dlx resume {run.name} -s epochs=N trains it further")
    failure = run.failure() or {}
    if failure.get("diverged"):
        hint = str(failure.get("hint") or "dlx run SPEC -s lr=…")
        message = f"would come to the same again: {failure.get('message')}"
        raise RunError(message, where=str(run.path), hint=hint)


def _overrides(settings: Sequence[str], info: Mapping[str, Any]) -> list[str]:
    """The settings of a child run; a length in epochs takes the place of one in steps, and the other way round."""
    found, names = list(settings), [text.partition("=")[0].split(".")[0].strip() for text in settings]
    for text, name in zip(settings, names, strict=True):
        if name not in CHANGEABLE:
            problem = DlxError(f"{name} cannot change in a training that goes on", where=f"-s {text}")
            problem.hint = f"{', '.join(CHANGEABLE)} can; dlx run trains a new one with another {name}"
            raise SpecError([problem])
    said = info["settings"]
    for name, other in (("epochs", "steps"), ("steps", "epochs")):
        if name in names and other not in names and said.get(other) is not None:
            found.append(f"{other}=null")
    return found


def differences(info: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What of what decides the figures is another now than run.json says."""
    found = []
    for key, now in here.items():
        before: Any = info
        for word in key.split("."):
            before = before.get(word) if isinstance(before, Mapping) else None
        if before is not None and before != now:
            name = key.rpartition(".")[2]
            short = [f"{str(value)[:12]}…" if name == "fingerprint" else value for value in (before, now)]
            found.append(f"{name.replace('fingerprint', 'data')} was {short[0]}, is {short[1]}")
    return found


def _other_settings(info: Mapping[str, Any], run: Run, experiment: Experiment, free: Sequence[str]) -> list[str]:
    """Where spec.yaml is not what run.json says that it was; what `free` names may be another."""
    before, now = (
        info["settings"],
        runs.finite(sections.flat(sections.resolved(experiment.spec, str(run.path.resolve())))),
    )
    others = [key for key in {**before, **now} if before.get(key) != now.get(key) and key.split(".")[0] not in free]
    return [f"{key} was {before.get(key, 'not there')}, is {now.get(key, 'not there')}" for key in others]


def _start(run: Run, again: bool) -> tuple[Start | None, list[str]]:
    """(where to go on, what is wrong with each checkpoint that was passed over); None for the very beginning.

    Raises RunError where no checkpoint is whole, or, to train further, where there is none.
    """

    def fits(info: Mapping[str, Any]) -> str:
        for key in ("step", "epochs", "best_epoch", "steady_steps"):
            if type(info[key]) is not int or not 0 <= info[key] < 2**53:
                return f"state.json says no number under {key!r}"
        for key in ("seconds", "carried", "steady_seconds", "total_seconds"):
            if type(info[key]) not in (int, float) or not 0 <= info[key] < 2**53:
                return f"state.json says no number of seconds under {key!r}"
        if not isinstance(info["events"] or {}, dict):
            return "state.json does not say how far the events went"
        if not isinstance(info["history"], dict) or type(info["history"]["bytes"]) is not int:
            return "state.json does not say how far the history went"
        return "" if run.begins_with(info["history"]) else "history.jsonl is not what it was then"

    found, passed = checkpoints.newest(run.checkpoints, fits, backend.free_memory() or checkpoints.MAX_BYTES)
    if found is not None:
        rows = run.history_until(found.info["history"])
        return Start(found.arrays, {**found.info, "number": found.number}, rows), passed
    if passed or again:
        said = "; ".join(passed) if passed else "it has none"
        hint = f"dlx run {run.spec_file} trains it anew"
        raise RunError(f"has no whole checkpoint: {said}", where=str(run.path), hint=hint)
    return None, passed


def _child(
    parent: Run,
    experiment: Experiment,
    start: Start | None,
    forced: Sequence[str],
    command: Sequence[str],
    observer: Observer | None,
    told: Told | None,
    deadline: float | None,
) -> Outcome:
    """Train a run further in a directory of its own."""
    import numpy as np

    assert start is not None
    state, info, rows = dict(start.arrays), dict(start.info), list(start.rows)
    step, epochs, each = start.step, int(state["loop/epochs"]), experiment.steps_per_epoch
    spec = experiment.spec
    if step >= experiment.steps:
        done = f"{epochs:,} epochs ({step:,} steps)"
        hint = f"-s epochs=N, N above {epochs}: it counts from the beginning"
        raise RunError(f"has trained {done} already, expected more", where=str(parent.path), hint=hint)
    if epochs * each > step:  # the end of the training ended an epoch, which now goes on
        state["loop/epochs"], rows = np.asarray(epochs - 1), rows[:-1]
        best = int(state["loop/best_epoch"]) == epochs
        _unjudge(state, best, experiment.maximize)
        said = f"epoch {epochs} ended at step {step}; its train figures will be those of its other steps"
        if best:
            info["best_epoch"], said = (
                0,
                f"{said}, and as it was the best one, the best weights are looked for anew from it on",
            )
        if observer is not None:
            observer.noted(said)
    if bool(state["loop/stopped"]):
        waited = int(state["loop/waited"])
        if spec.early_stop is not None and waited >= spec.early_stop.patience:
            message = f"stopped after {waited} epochs without a better {experiment.monitor}, and would again"
            hint = f"-s early_stop={2 * waited} waits longer, -s early_stop=null does not stop"
            raise RunError(message, where=str(parent.path), hint=hint)
        state["loop/stopped"] = np.asarray(False)
    info["events"] = None
    if told is not None:
        told(experiment, start)
    start = Start(state, info, rows, forced)
    return training.train(
        experiment, parent.path.parent, command, observer, parent=parent.name, start=start, deadline=deadline
    )


def _unjudge(state: dict[str, np.ndarray], best: bool, maximize: bool) -> None:
    """Take back what the end of an epoch that now goes on has decided; `best` says that it was the best one."""
    import numpy as np

    worst = -np.inf if maximize else np.inf
    for waited, held in (("waited", "stop_best"), ("plateau_waited", "plateau_best")):
        if count := int(state[f"loop/{waited}"]):
            state[f"loop/{waited}"] = np.asarray(count - 1)
        else:
            state[f"loop/{held}"] = np.asarray(worst, np.float32)
    if best:
        state["loop/best"], state["loop/best_epoch"] = np.asarray(worst, np.float32), np.asarray(0)
