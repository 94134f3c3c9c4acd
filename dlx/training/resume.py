"""From a run that was stopped, or that is done, to one that continues exactly where it was."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import DlxError, RunError, SpecError
from dlx.runs import find
from dlx.runs.metrics import reached
from dlx.runs.run import AWAY, START, Run
from dlx.runs.summary import BASELINE, NOTES
from dlx.spec.sections import Spec, changes, defaults, flat, resolved
from dlx.system import backend, locks, machine, versions
from dlx.system.json_text import finite
from dlx.training import checkpoints
from dlx.training.experiment import Experiment, prepare, spec_of
from dlx.training.outcome import Observer, Outcome, Start
from dlx.training.provenance import conditions, scaling_record
from dlx.training.session import Options, Ready
from dlx.training.train import conduct, make_ready, resumption, train

if TYPE_CHECKING:
    import numpy as np

CHANGEABLE = ("epochs", "steps", "early_stop", "stop_at")
Announce = Callable[[Experiment, Start | None], None]


def newest_stopped(root: Path) -> Run:
    """The newest run below `root` that was stopped and can continue; raises RunError where there is none."""
    found = map(Run, filter(find.is_run, find.below(root)))
    stopped = [run for run in found if _stopped(run, ("interrupted", "crashed", "failed", "away"))]
    if not stopped:
        raise RunError(
            "no run is interrupted", where=str(root), hint="dlx resume RUN -s epochs=N trains a finished one further"
        )
    return max(stopped, key=lambda run: find.started(run.path))


def _stopped(run: Run, statuses: Sequence[str] = ("interrupted", "crashed", "failed")) -> bool:
    try:
        failure = run.failure() or {}
        ours = os.access(run.path, os.W_OK)  # another user continues their own
        return run.status in statuses and ours and not failure.get("diverged")
    except RunError:
        return False


def unfinished(spec: Spec, root: Path) -> Run | None:
    """The newest run below `root` that did not end, of the same settings and code, tags and notes apart."""
    return equal(spec, root, ("interrupted", "crashed", "away"))


def equal(spec: Spec, root: Path, statuses: Sequence[str]) -> Run | None:
    """The newest run below `root` of these statuses, named after the spec, of the same settings and code."""
    pattern = re.compile(re.escape(spec.name) + r"-\d+")
    named = [path for path in find.below(root) if pattern.fullmatch(path.name) and find.is_run(path)]
    now = finite(flat(resolved(spec, str((root / "any").resolve()))))
    unwritten = defaults(spec)
    code = sorted(spec.code.digest(path) for path in spec.imports)
    for run in map(Run, sorted(named, key=find.natural, reverse=True)):
        if not _stopped(run, statuses):
            continue
        try:
            info = run.info()
        except RunError:
            continue
        recorded = sorted(map(str, (info.get("code") or {}).values()))
        if code == recorded and not changes(info["settings"], now, unwritten, (*NOTES, "imports")):
            return run
    return None


def resume(
    run: Run,
    settings: Sequence[str] = (),
    *,
    device: Mapping[str, str],
    options: Options | None = None,
    force: bool = False,
    announce: Announce | None = None,
) -> Outcome:
    """Continue a run from its newest whole checkpoint, or from the beginning where it has none.

    With `settings` (of CHANGEABLE alone) it continues as a child run: a directory of its own. `device`: the backend
    and the device, "auto" for those of the run. `announce` hears where the training continues before it does.
    Raises RunError where it cannot continue, or, without `force`, where what decides the figures differs from before:
    versions, backend, device, threads, data.
    """
    options = options or Options()
    info = run.info()
    if info.get("kind") == BASELINE:
        hint = "dlx baseline makes one where there is none"
        raise RunError("is a baseline: there is no training to continue", where=str(run.path), hint=hint)
    if run.status == "running":
        raise RunError("is running", where=str(run.path), hint=f"{locks.who(run.path)} writes to it")
    _check_status(run, settings)
    _want(info, run, device)
    run.take_up(force)
    (run.path / AWAY).unlink(missing_ok=True)  # only by force
    try:
        _check_status(run, settings)  # another process may have finished it in between
        spec = spec_of(run, _overrides(settings, info))
        experiment = prepare(spec.alone, recorded=info)
        changed = differences(info, conditions(experiment, backend.load()))
        changed += _changed_settings(info, run, experiment, CHANGEABLE if settings else ())
        if changed and not force:
            hint = "--force continues all the same: its figures are then not those of a training without a stop"
            raise RunError(f"would not continue as it was: {'; '.join(changed)}", where=str(run.path), hint=hint)
        start, damaged = _start(run, bool(settings))
        for line in [*(f"forced: {change}" for change in changed), *(f"skipped {line}" for line in damaged)]:
            run.log(line)
            options.observer.noted(line)
        if settings:
            run.release()
            return _child(run, experiment, start, changed, options, announce)
        if announce is not None:
            announce(experiment, start)
        ready = make_ready(experiment, run.path.parent, options, restored=start is not None)
    except BaseException:
        run.release()
        raise
    return conduct(ready, run, lambda: _rewound(ready, run, start, changed), options, start)


def _rewound(ready: Ready, run: Run, start: Start | None, forced: Sequence[str]) -> Experiment:
    """Bring the run directory back to where the training continues."""
    if start is None or forced:  # what is trained again need not come to the same
        for kept in filter(None, (run.epochs.keep(), run.steps.keep())):
            run.log(f"the history so far is kept as {kept}")
    checkpoints.drop(run.checkpoints, start.info["number"] if start is not None else 0)
    run.rewind(start.info if start is not None else {})
    step = start.step if start is not None else 0
    before = run.info().get("resumed")
    record: dict[str, Any] = {"resumed": [*(before if isinstance(before, list) else []), resumption(step, forced)]}
    if ready.network.target_scaling is not None:  # of a run that an earlier dlx began, whose model had it in itself
        record["scaling"] = scaling_record(ready.experiment)
    run.update(record)
    for line in ready.notes:
        run.log(line)
    run.log(f"continues at step {step}")
    return ready.experiment


def _check_status(run: Run, settings: Sequence[str]) -> None:
    """Raise RunError for a run with which there is nothing to do."""
    if settings:
        return
    if run.metrics() is not None:
        command = find.command_line("dlx", "resume", run.name, runs_dir=run.path.parent)
        raise RunError("is done", where=str(run.path), hint=f"{command} -s epochs=N trains it further")
    failure = run.failure() or {}
    if failure.get("diverged"):
        hint = str(failure.get("hint") or "dlx run SPEC -s lr=…")
        message = f"would come to the same again: {failure.get('message')}"
        raise RunError(message, where=str(run.path), hint=hint)


def again(
    run: Run, command: Sequence[str], observer: Observer, device: Mapping[str, str], deadline: float | None = None
) -> tuple[Outcome, list[str]]:
    """(the outcome of training a run once more into a run of its own; what differs of the conditions)

    Raises RunError for a run without a training.
    """
    info = run.info()
    if info.get("kind") == BASELINE:
        raise RunError("is a baseline: there is no training to repeat", where=str(run.path))
    if run.status == "running":
        raise RunError("is running: it has no end yet to compare with", where=str(run.path))
    if not run.history():
        raise RunError("finished no epoch: there is nothing to compare with", where=str(run.path))
    _want(info, run, device)
    experiment = prepare(spec_of(run).alone, recorded=info)
    changed = differences(info, {**conditions(experiment, backend.load()), "dlx": versions.own()})
    changed += _changed_settings(info, run, experiment, ())
    options = Options(list(command), observer, parent=run.name, deadline=deadline)
    return train(experiment, run.path.parent, options), changed


def _want(info: Mapping[str, Any], run: Run, device: Mapping[str, str]) -> None:
    """Ask for the backend and device that a command names, or else for those of the run, and for its threads."""
    if info.get("backend", "tensorflow") not in backend.BACKENDS:
        raise RunError("run.json names no backend that dlx has", where=str(run.path))
    chosen = {key: info.get(key, "auto") if want == "auto" else want for key, want in device.items()}
    threads = info.get("threads")
    number = threads if isinstance(threads, int) else None
    backend.want(str(chosen["backend"]), str(chosen["device"]), number, str(chosen.get("devices", "auto")))


def _overrides(settings: Sequence[str], info: Mapping[str, Any]) -> list[str]:
    """The settings of a child run; a length in epochs takes the place of one in steps, and the other way round."""
    overrides, names = list(settings), [text.partition("=")[0].split(".")[0].strip() for text in settings]
    for text, name in zip(settings, names, strict=True):
        if name not in CHANGEABLE:
            problem = DlxError(f"{name} cannot change in a training that continues", where=f"-s {text}")
            problem.hint = f"{', '.join(CHANGEABLE)} can; dlx run trains a new one with another {name}"
            raise SpecError([problem])
    recorded = info["settings"]
    for name, other in (("epochs", "steps"), ("steps", "epochs")):
        if name in names and other not in names and recorded.get(other) is not None:
            overrides.append(f"{other}=null")
    return overrides


def differences(info: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What decides the figures and differs now from what run.json records."""
    changed = []
    for key, now in here.items():
        before: Any = info
        for word in key.split("."):
            before = before.get(word) if isinstance(before, Mapping) else None
        if before is not None and before != now:
            name = key.rpartition(".")[2]
            short = [f"{str(value)[:12]}…" if name == "fingerprint" else value for value in (before, now)]
            changed.append(f"{name.replace('fingerprint', 'data')} was {short[0]}, is {short[1]}")
    return changed


def _changed_settings(info: Mapping[str, Any], run: Run, experiment: Experiment, free: Sequence[str]) -> list[str]:
    """Where spec.yaml differs from the settings in run.json; what `free` names may differ."""
    now = finite(flat(resolved(experiment.spec, str(run.path.resolve()))))
    return changes(info["settings"], now, defaults(experiment.spec), free)


def _start(run: Run, again: bool) -> tuple[Start | None, list[str]]:
    """(where to continue, what is wrong with each checkpoint that was passed over); None for the very beginning.

    Raises RunError where no checkpoint is whole, or, to train further, where there is none.
    """
    checkpoint, passed = checkpoints.newest(
        run.checkpoints, lambda info: _misfit(run, info), machine.free_memory() or checkpoints.MAX_BYTES
    )
    if checkpoint is not None:
        rows = run.epochs.rows_until(checkpoint.info["history"])
        logged = run.steps.rows_until(checkpoint.info.get("steps") or START)
        return Start(checkpoint.arrays, {**checkpoint.info, "number": checkpoint.number}, rows, logged), passed
    if passed or again:
        reason = "; ".join(passed) if passed else "it has none"
        command = find.command_line("dlx", "run", str(run.spec_file), runs_dir=run.path.parent)
        hint = f"{command} trains it from the start"
        raise RunError(f"has no whole checkpoint: {reason}", where=str(run.path), hint=hint)
    return None, passed


def _misfit(run: Run, info: Mapping[str, Any]) -> str:
    """Why a checkpoint's record cannot be used; an empty text where it can."""
    later = ("inner_steps",) if "inner_steps" in info else ()  # an earlier dlx did not count them
    for key in ("step", "epochs", "best_epoch", "steady_steps", *later):
        if type(info[key]) is not int or not 0 <= info[key] < 2**53:
            return f"state.json has no number under {key!r}"
    if not isinstance(info["events"] or {}, dict):
        return "state.json does not tell how long the event files were"
    for key, file in (("history", run.epochs), ("steps", run.steps)):
        if key == "steps" and info.get(key) is None:  # of an earlier dlx
            continue
        mark = info[key]
        if not isinstance(mark, dict) or type(mark["bytes"]) is not int:
            return f"state.json does not tell how long {file.name} was"
        if not file.begins_with(mark):
            return f"{file.name} differs from what it was then"
    return ""


def _child(
    parent: Run,
    experiment: Experiment,
    start: Start | None,
    forced: Sequence[str],
    options: Options,
    announce: Announce | None,
) -> Outcome:
    """Train a run further in a directory of its own."""
    import numpy as np

    assert start is not None
    if start.step >= experiment.steps:
        epochs = int(start.arrays["loop/epochs"])
        hint = f"-s epochs=N, N above {epochs}: it counts from the beginning"
        message = f"has trained {epochs:,} epochs ({start.step:,} steps) already, expected more"
        raise RunError(message, where=str(parent.path), hint=hint)
    start, note = _reopened(start, experiment)
    if note:
        options.observer.noted(note)
    if bool(start.arrays["loop/stopped"]):
        _check_patience(start, experiment, parent)
        start = dataclasses.replace(start, arrays={**start.arrays, "loop/stopped": np.asarray(False)})
    if announce is not None:
        announce(experiment, start)
    start = dataclasses.replace(start, info={**start.info, "events": None}, forced=forced)
    return train(experiment, parent.path.parent, dataclasses.replace(options, parent=parent.name), start)


def _reopened(start: Start, experiment: Experiment) -> tuple[Start, str]:
    """(the start with an epoch that the end of the training cut short open again, a remark on that or an empty text)"""
    import numpy as np

    state, epochs = dict(start.arrays), int(start.arrays["loop/epochs"])
    if epochs * experiment.steps_per_epoch <= start.step:
        return start, ""
    state["loop/epochs"] = np.asarray(epochs - 1)
    best = int(state["loop/best_epoch"]) == epochs
    _unjudge(state, best, experiment.maximize)
    note = f"epoch {epochs} ended at step {start.step}; its train figures will be those of its other steps"
    info = dict(start.info)
    if best:
        info["best_epoch"] = 0
        note += ", and as it was the best one, the best weights are looked for again from it on"
    return dataclasses.replace(start, arrays=state, info=info, rows=list(start.rows)[:-1]), note


def _check_patience(start: Start, experiment: Experiment, parent: Run) -> None:
    """Raise RunError where a training that was stopped early, or at its goal, would stop again at once."""
    goals, last = experiment.spec.stop_at or {}, start.rows[-1] if start.rows else {}
    if goals and all(reached(name, last.get(name), goal) for name, goal in goals.items()):
        shown = ", ".join(f"{name} {goal:g}" for name, goal in goals.items())
        message = f"stopped at {shown}, and would again after an epoch"
        raise RunError(message, where=str(parent.path), hint="-s stop_at=none trains on")
    waited, stop = int(start.arrays["loop/waited"]), experiment.spec.early_stop
    if stop is not None and waited >= stop.patience:
        message = f"stopped after {waited} epochs without a better {experiment.monitor}, and would again"
        hint = f"-s early_stop={2 * waited} waits longer, -s early_stop=null does not stop"
        raise RunError(message, where=str(parent.path), hint=hint)


def _unjudge(state: dict[str, np.ndarray], best: bool, maximize: bool) -> None:
    """Take back what the end of an epoch that now continues has decided; `best`: it was the best one."""
    import numpy as np

    worst = -np.inf if maximize else np.inf
    for waited, figure in (("waited", "stop_best"), ("plateau_waited", "plateau_best")):
        if count := int(state[f"loop/{waited}"]):
            state[f"loop/{waited}"] = np.asarray(count - 1)
        else:
            state[f"loop/{figure}"] = np.asarray(worst, np.float32)
    if best:
        state["loop/best"], state["loop/best_epoch"] = np.asarray(worst, np.float32), np.asarray(0)
