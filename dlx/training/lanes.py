"""Several trainings of one structure as one program, each into a run of its own: many small ones of a sweep."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlx.engine.fit import Clock, diverged, next_length, rows_of
from dlx.engine.plan import ROWS, Lanes, Member, Plan, Program, Progress
from dlx.errors import DiskError, DlxError
from dlx.runs.run import Run
from dlx.system import backend, signals
from dlx.training.experiment import Experiment, plan_of
from dlx.training.failures import backend_failure
from dlx.training.outcome import GuardedObserver, Outcome
from dlx.training.program_cache import ProgramCache, structure
from dlx.training.results import leave
from dlx.training.session import Options, Ready, Session
from dlx.training.train import begun, close, cut_short, make_ready, opened

FEWEST = 2  # trainings that are worth a program of their own
TAKE_SECONDS = 5.0  # that fewer lanes must save, for what compiling them costs


class NoLanesError(Exception):
    """These trainings cannot be one program: each has to be trained by itself."""


@dataclasses.dataclass
class _Lane:
    """One training: what it is, what it writes, and how it ended, once it has."""

    ready: Ready
    run: Run
    options: Options
    session: Session
    program: Program
    place: int  # among the states
    state: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    outcome: Outcome | None = None


def key(experiment: Experiment) -> str:
    """What trainings must share to be lanes of one program; an empty text where they can be none."""
    spec = experiment.spec
    if spec.imports or spec.log_every or spec.snapshots or spec.histograms or experiment.steps == 0:
        return ""
    return structure(experiment, plan_of(experiment), lanes=True)


def train_together(
    experiments: Sequence[Experiment], root: Path, options: Sequence[Options], cache: ProgramCache
) -> list[Outcome]:
    """Train experiments of one key as one program; the outcomes in their order.

    Raises NoLanesError before anything is written where they cannot be one, and DlxError as `train` does.
    """
    backend.load()
    readies = [make_ready(e, root, o) for e, o in zip(experiments, options, strict=True)]
    plans = [dataclasses.replace(plan_of(e), judged=o.judged) for e, o in zip(experiments, options, strict=True)]
    members = [Member(ready.network, ready.optimizer, plan) for ready, plan in zip(readies, plans, strict=True)]
    try:
        made = cache.lanes(experiments, members)
    except ValueError as error:
        raise NoLanesError(str(error)) from error
    if made is None:
        raise NoLanesError
    lanes, programs = made
    stop, them = signals.Stop(options[0].deadline), list[_Lane]()
    with signals.politely(stop):
        try:
            for ready, one, program in zip(readies, options, programs, strict=True):
                them.append(_begin(ready, root, one, program, (len(them), len(readies)), stop))
            _conduct(them, lanes, plans[0])
        except Exception as error:  # a disk that is full, a memory: each is trained by itself, and says so
            for lane in them:
                _remove(lane)
            if isinstance(error, DlxError) or backend_failure(error, experiments[0]) is not None:
                raise NoLanesError(str(error)) from error
            raise
        except KeyboardInterrupt:
            for lane in them:
                lane.outcome = lane.outcome or Outcome(lane.run, "interrupted", stop=stop.signal or "SIGINT")
        for lane in them:
            _end(lane, stop)
    return [lane.outcome or Outcome(lane.run, "interrupted", stop="SIGINT") for lane in them]


def _begin(
    ready: Ready, root: Path, options: Options, program: Program, place: tuple[int, int], stop: signals.Stop
) -> _Lane:
    """A run of its own for one training, which is so many of so many. Raises DiskError, and leaves nothing then."""
    run = Run.create(root, ready.experiment.spec.name)
    try:
        ready = dataclasses.replace(ready, experiment=begun(ready, run, options, lanes=place[1]))
        watched = dataclasses.replace(options, observer=GuardedObserver(options.observer))
        session = opened(ready, run, watched, stop)
    except BaseException:
        run.release()
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    watched.observer.started(run, ready.experiment, backend.load().shown, ready.network)
    return _Lane(ready, run, watched, session, program, place[0])


def _remove(lane: _Lane) -> None:
    """Let nothing remain of a training that is done again by itself."""
    lane.session.rows.close()
    with contextlib.suppress(OSError):
        lane.session.board.close()
    lane.run.release()
    shutil.rmtree(lane.run.path, ignore_errors=True)


def _conduct(them: Sequence[_Lane], lanes: Lanes, plan: Plan) -> None:
    """Train until every lane has ended."""
    states, numbers, step, length = lanes.states, lanes.numbers, 0, 1
    while alive := [lane for lane in them if lane.outcome is None]:
        began = time.perf_counter()
        count = min(length, plan.pause(step) - step, (ROWS - 2) * plan.steps_per_epoch)  # rows have so much room
        states, rows = lanes.chunk(states, numbers, step, count)
        counters = lanes.counters(states)
        seconds = time.perf_counter() - began
        step += count
        length = next_length(length, count, seconds)
        for lane in alive:
            lane.state = lanes.lane(states, lane.place)
            own = {name: values[lane.place] for name, values in counters.items()}
            progress = _progress(lane, own, rows[lane.place], plan, seconds / len(alive))
            _hear(lane, progress, int(own["bad_step"]), plan)
        left = [lane for lane in alive if lane.outcome is None]
        ahead = (plan.steps - step) * seconds / max(count, 1)
        if left and 2 * len(left) <= len(rows) and ahead * (1 - len(left) / len(rows)) > TAKE_SECONDS:
            states, numbers = lanes.take(states, numbers, [lane.place for lane in left])
            for place, lane in enumerate(left):
                lane.place = place


def _progress(lane: _Lane, own: Mapping[str, Any], rows: np.ndarray, plan: Plan, seconds: float) -> Progress:
    """What a chunk has done for one lane, which has counters of its own."""
    tracker, step, epochs = lane.session.tracker, int(own["step"]), int(own["epochs"])
    clock = Clock(tracker.carried)
    return Progress(
        step=step,
        epochs=epochs,
        state=lane.state,
        rows=clock.share(rows_of(lane.program.columns, plan, rows, epochs), tracker.step, step, seconds),
        logged=[],
        seconds=seconds,
        best_epoch=int(own["best_epoch"]) or None,
        stopped=bool(own["stopped"]),
        carried=clock.carried,
        resumable=own["bad_step"] == 0,
    )


def _hear(lane: _Lane, progress: Progress, bad_step: int, plan: Plan) -> None:
    """Write what a chunk has done; the lane's outcome, where it has ended."""
    session = lane.session
    try:
        session.tracker.add(progress)
        session.rows.add(progress)
        lane.run.beat()
        session.observer.progressed(lane.ready.experiment, progress)
        if bad_step:
            raise diverged(bad_step, plan)
        if progress.step >= plan.steps or progress.stopped:
            lane.outcome = Outcome(lane.run, "done")
        else:
            lane.outcome = cut_short(session, progress, lane.options)
        if lane.outcome is not None or session.keeper.due():
            session.keeper.commit(lane.program, progress.state, session.tracker)
    except DlxError as error:
        lane.outcome = Outcome(lane.run, "failed", error=error)


def _end(lane: _Lane, stop: signals.Stop) -> None:
    """Leave behind what an ended training leaves."""
    outcome = lane.outcome or Outcome(lane.run, "interrupted", stop=stop.signal or "SIGINT")
    lane.outcome = outcome
    try:
        if lane.state and not isinstance(outcome.error, DiskError):
            leave(lane.ready, lane.session, lane.program, lane.state, outcome)
    except DlxError as error:
        outcome.status, outcome.error = "failed", error
    finally:
        lane.session.rows.close()
        with contextlib.suppress(OSError):  # its files hold what was flushed
            lane.session.board.close()
    outcome.stop = outcome.stop or stop.signal
    close(lane.run, outcome)
    lane.options.observer.ended(lane.ready.experiment, outcome)
