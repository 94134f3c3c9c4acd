"""From an Experiment to a Run: build, train, and leave the run directory behind."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx import spec as specs
from dlx.data.scaling import check_targets
from dlx.engine.fit import fit, with_state
from dlx.engine.plan import Plan, Program, Progress, State
from dlx.errors import DiskError, DivergenceError, DlxError, RunError
from dlx.model.build import build, make_optimizer
from dlx.model.check import probe
from dlx.parts.registry import FilePath
from dlx.runs.run import Run
from dlx.system import backend, signals, versions
from dlx.system.files import disk
from dlx.system.json_text import finite
from dlx.system.terminal import doing
from dlx.training import checkpoints
from dlx.training.budget import check_budget
from dlx.training.experiment import Experiment, plan_of
from dlx.training.failures import backend_failure
from dlx.training.hparams import spec_text, stated
from dlx.training.initial_weights import begin_from, donor_weights
from dlx.training.outcome import GuardedObserver, Outcome, Start
from dlx.training.provenance import run_record, scaling_notes
from dlx.training.results import leave
from dlx.training.rows import RowWriter
from dlx.training.session import Options, Ready, Session
from dlx.training.snapshots import Snapshots, graph
from dlx.training.tensorboard import Head, TensorBoard
from dlx.training.tracker import CheckpointKeeper, Tracker


def train(experiment: Experiment, root: Path, options: Options | None = None, start: Start | None = None) -> Outcome:
    """Train into a new run directory below `root`; an Outcome also when the run failed or was stopped.

    `start`: where another run's training continues, for a child run.
    Raises SpecError before the directory is made when the network does not fit, DiskError when it cannot be made.
    """
    options = options or Options()
    backend.load()
    with doing("building the network"):
        ready = make_ready(experiment, root, options, restored=start is not None)
    number = int(options.home.name.rpartition("-")[2]) if options.home is not None else None
    run = Run.create(root, experiment.spec.name, number)
    return conduct(ready, run, lambda: begun(ready, run, options, start), options, start)


def begun(ready: Ready, run: Run, options: Options, start: Start | None = None, lanes: int = 0) -> Experiment:
    """Write what a run is before it trains; returns the experiment with its user code taken from the run.

    lanes: how many trainings its program has, where there are several.
    """
    device, home = backend.load(), options.home or run.path.resolve()
    kept = _with_code(ready.experiment, run)
    names = [FilePath(home / "code" / Path(path).name) for path in kept.spec.imports]
    said = dataclasses.replace(kept, spec=dataclasses.replace(kept.spec, imports=names))
    if start is not None:  # before run.json: a child that is killed at once continues from its parent's end
        run.epochs.append(start.rows)
        run.steps.append(start.logged)
        info = {key: value for key, value in start.info.items() if key != "number"}
        checkpoints.commit(run.checkpoints, start.arrays, {**info, **run.marks()})
    record = run_record(said, ready.network, device, options.command, str(home), options.parent)
    record |= {"trial": dict(options.trial)} if options.trial is not None else {}
    record |= {"lanes": lanes} if lanes else {}
    if start is not None and start.forced:
        record["resumed"] = [resumption(start.step, start.forced)]
    run.begin(specs.dump(said.spec, str(home)), record)
    run.log(f"dlx {versions.own()}, {device.description}")
    for line in ready.notes:
        run.log(line)
        options.observer.noted(line)
    return kept


def resumption(step: int, forced: Sequence[str]) -> dict[str, Any]:
    """What run.json keeps of a training that continues at a step."""
    return {"start": time.time(), "step": step, **({"forced": list(forced)} if forced else {})}


def make_ready(experiment: Experiment, root: Path, options: Options, restored: bool = False) -> Ready:
    """The experiment's network and optimizer, begun from another run's weights where the spec names one.

    `restored`: weights will be loaded into the network. Raises as `check_budget` does where the disk or the memory
    has no room for the training.
    """
    source = None if restored else donor_weights(experiment.spec, root)
    network = build(experiment.spec, experiment.facts, targets=experiment.target_scaling, restored=restored)
    if experiment.target_scaling is not None and not network.scales:
        check_targets(experiment.target_scaling)
    probe(network, experiment.spec)
    optimizer = make_optimizer(experiment.spec)
    check_budget(experiment, network, optimizer, root, data_loaded=bool(options.cache))
    notes = [] if source is None else begin_from(network, source[0].name, source[1])
    notes += scaling_notes(experiment, network)
    return Ready(experiment, network, optimizer, notes)


def _with_code(experiment: Experiment, run: Run) -> Experiment:
    """The experiment with its user code kept in the run, and taken from there from now on."""
    spec = experiment.spec
    copies = run.keep_code([(Path(path).name, spec.code.source(path)) for path in spec.imports])
    code = spec.code.moved(zip(map(str, spec.imports), copies, strict=True))
    imports = [FilePath(copy.resolve()) for copy in copies]
    return dataclasses.replace(experiment, spec=dataclasses.replace(spec, imports=imports, code=code))


def conduct(
    ready: Ready, run: Run, begin: Callable[[], Experiment], options: Options, start: Start | None = None
) -> Outcome:
    """Train in a locked run, after `begin` has prepared its directory, and write there how it ended."""
    experiment, observer, stop = ready.experiment, GuardedObserver(options.observer), signals.Stop(options.deadline)
    try:
        with signals.politely(stop):
            experiment = begin()
            ready = dataclasses.replace(ready, experiment=experiment)
            observer.started(run, experiment, backend.load().shown, ready.network)
            outcome = _train(ready, run, dataclasses.replace(options, observer=observer), start, stop)
    except DlxError as error:
        outcome = Outcome(run, "failed", error=error)
    except KeyboardInterrupt:
        outcome = Outcome(run, "interrupted", stop=stop.signal or "SIGINT")
    except Exception as error:
        options.cache.clear()
        failure = backend_failure(error, experiment)
        if failure is None:
            with contextlib.suppress(DlxError):
                run.fail("failed", f"{type(error).__name__}: {str(error)[:500]}")
            raise
        with contextlib.suppress(DlxError):
            run.log(f"{type(error).__name__}: {error}")
        outcome = Outcome(run, "failed", error=failure)
    outcome.stop = outcome.stop or stop.signal  # this run has ended all the same, but no other one starts
    close(run, outcome)
    observer.ended(experiment, outcome)
    return outcome


def close(run: Run, outcome: Outcome) -> None:
    """Write how a run ended, and let go of it."""
    with contextlib.suppress(DlxError):
        if outcome.error is not None:
            details: dict[str, Any] = {"diverged": True} if isinstance(outcome.error, DivergenceError) else {}
            if outcome.metrics:  # all was computed, and not all could be written
                details["metrics"] = finite(outcome.metrics)
            run.fail("failed", outcome.error.message, hint=outcome.error.hint, **details)
        elif outcome.status == "interrupted":
            run.fail("interrupted", f"stopped by {outcome.stop}")
        elif outcome.status == "pruned":
            run.fail("pruned", outcome.pruned)
        if outcome.status != "done":
            run.log(outcome.status + (f": {outcome.error.message}" if outcome.error else ""))
    run.release()


def _train(ready: Ready, run: Run, options: Options, start: Start | None, stop: signals.Stop) -> Outcome:
    experiment = ready.experiment
    plan = dataclasses.replace(plan_of(experiment), judged=options.judged)
    program = options.cache.program(experiment, ready.network, ready.optimizer, plan)
    if start is not None:
        try:
            arrays = start.arrays if start.info.get("units") else _in_units(start.arrays, program, plan)
            program = with_state(program, {**_counted_later(arrays, program), **arrays})
        except ValueError as error:
            raise RunError(f"its checkpoint is not of this network: {error}", where=str(run.path)) from error
    session = opened(ready, run, options, stop, start)
    try:
        outcome, state = _fit(experiment, session, program, plan, options)
        if outcome.status == "done" or not isinstance(outcome.error, DiskError):
            try:
                leave(ready, session, program, state, outcome)
            except DiskError as error:
                outcome.status, outcome.error = "failed", error
    finally:
        session.rows.close()
        with contextlib.suppress(OSError):  # its files hold what was flushed
            session.board.close()
    return outcome


def opened(ready: Ready, run: Run, options: Options, stop: signals.Stop, start: Start | None = None) -> Session:
    """What a training writes, counts and keeps, open. Raises DiskError."""
    experiment = ready.experiment
    mark, rows, logged = (start.info.get("events"), start.rows, start.logged) if start is not None else (None, [], [])
    with disk(run.path):
        judged = "train" if experiment.splits.validation is None else "validation"
        text = spec_text(experiment.spec, str(run.path.resolve()))
        head = Head(run.name, judged, stated(experiment), text, graph(ready.network))
        board = TensorBoard(run.tensorboard, head, mark, (rows, logged))
    rows_writer = RowWriter(run, board, behind=bool(experiment.spec.log_every))
    tracker, keeper = Tracker(experiment, start), CheckpointKeeper(run, board, rows_writer)
    snapshots = Snapshots(run, board, experiment.spec, ready.network)
    return Session(run, board, tracker, keeper, snapshots, rows_writer, options.observer, stop)


def cut_short(session: Session, progress: Progress, options: Options) -> Outcome | None:
    """The outcome of a training that ends early: stopped, or behind the others; None where it goes on."""
    if session.stop.reason:
        return Outcome(session.run, "interrupted", stop=session.stop.reason)
    if options.judge is not None and progress.rows and (why := options.judge(progress.rows)):
        return Outcome(session.run, "pruned", pruned=why)
    return None


def _in_units(arrays: Mapping[str, Any], program: Program, plan: Plan) -> dict[str, Any]:
    """The state that an earlier dlx kept, whose figures of values were in the data's unit.

    What a regression has counted of an epoch starts over: its train figures are those of its other steps.
    """
    if not plan.units:
        return dict(arrays)
    unit = plan.units.get(plan.monitor.partition("_")[2], 1.0)
    best = {key: arrays[key] / unit for key in ("loop/best", "loop/stop_best", "loop/plateau_best") if key in arrays}
    kept = {key: value for key, value in arrays.items() if not key.startswith("accumulators/")}
    fresh = {key: value for key, value in program.save(program.state).items() if key.startswith("accumulators/")}
    return {**kept, **best, **fresh}


def _counted_later(arrays: Mapping[str, Any], program: Program) -> dict[str, Any]:
    """What an earlier dlx did not count in an epoch, the loss without penalties: it starts over."""
    fresh = program.save(program.state)
    return {key: value for key, value in fresh.items() if key.startswith("accumulators/") and key not in arrays}


def _fit(
    experiment: Experiment, session: Session, program: Program, plan: Plan, options: Options
) -> tuple[Outcome, State]:
    """(how the training ended, the state at its end), its history, logs and checkpoints written."""
    run, tracker, keeper = session.run, session.tracker, session.keeper
    outcome, state, resumable = Outcome(run, "done"), program.state, True
    try:
        if tracker.step == 0:
            session.snapshots.take(program, state, 0)
        for progress in fit(program, plan, options.chunk_steps, tracker.carried):
            state, resumable = progress.state, progress.resumable
            tracker.add(progress)
            session.rows.add(progress)
            session.snapshots.ended(program, progress, session.rows.drain)
            run.beat()
            if resumable and keeper.due():
                keeper.commit(program, state, tracker)
            session.observer.progressed(experiment, progress)
            unfinished = progress.step < experiment.steps and not progress.stopped
            if not resumable or not unfinished:
                continue
            if (ended := cut_short(session, progress, options)) is not None:
                outcome = ended
                break
    except (DiskError, DivergenceError) as error:
        return Outcome(run, "failed", error=error), state
    except DlxError as error:  # a file could not be read any more
        outcome = Outcome(run, "failed", error=error)
    if resumable:
        try:
            keeper.commit(program, state, tracker)
        except DiskError as error:
            if outcome.status != "done":
                raise
            outcome.error = error  # the figures need no room
    return outcome, state
