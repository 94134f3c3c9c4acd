"""A run's model in other formats, converted in a process of its own: `python -m dlx.training.exporting`.

A converter may end its process without a word, and TensorFlow may not be the backend here. The process is told in JSON,
{"run", "wishes": [{"to", "quantize", "tolerance", "path", "measure"}]}, and answers a line for each wish.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError, DlxError, TrainingError, as_message, of_message
from dlx.export import agreement, conversion, metadata
from dlx.export.subject import Examples, Quantize, Subject, made_up
from dlx.inference.forward import in_batches
from dlx.inference.predictor import KerasModel
from dlx.model.restore import restore
from dlx.runs import find
from dlx.runs.run import Run
from dlx.system import backend, files
from dlx.training.experiment import prepared_again

if TYPE_CHECKING:
    import numpy as np

USUAL = 256  # raw inputs of the train split from which a static quantisation takes its ranges
GRACE = 20.0  # seconds that the process has to end, once it has answered
TIMED = 50  # single examples whose answers are timed


@dataclass(frozen=True)
class Wish:
    """A file that is wanted. to: its format, or "keras", which is measured alone; tolerance: see `conversion.convert`.

    measure: also its size, how long it takes to load, and milliseconds an example.
    """

    to: str
    path: str
    quantize: Quantize = "none"
    tolerance: float = 0.0
    measure: bool = False


def check_place(path: Path, form: str) -> None:
    """Raise DlxError where an exported model would take the place of something that is none, DiskError where nothing
    can be written."""
    find.check_outside(path)
    with files.disk(path):
        free = not os.path.lexists(path) or conversion.recognizes(form, Path(os.path.realpath(path)))
    if not free:
        message = "is there already, and is no model that dlx has exported so"
        raise DlxError(message, where=str(path), hint="-o names another place")
    files.check_writable(path.absolute().parent)


def written(run: Run, path: Path, wish: Wish, finish: Callable[[Path], None] | None = None) -> dict[str, Any]:
    """Write one file or folder at `path`, whole or not at all; returns what became of it as `exported` does.

    wish: its own path is not looked at; finish: what is still done to it before it is at its place. Raises DiskError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        (answer,) = exported(run, [replace(wish, path=str(partial.absolute()))])
        if "error" not in answer:
            with files.disk(path):
                if finish is not None:
                    finish(partial)
                if path.is_dir():
                    path.rename(old := path.with_name(f".{path.name}.{os.getpid()}.old"))
                    partial.rename(path)
                    _remove(old)
                else:
                    os.replace(partial, path)
    finally:
        _remove(partial)
    return answer


def exported(run: Run, wishes: Sequence[Wish]) -> Iterator[dict[str, Any]]:
    """What became of each wish, in order: {"difference", "rows", "data", …}, or {"error", …} where it cannot be.

    A converter that ends its process is an error of its wish; another process goes on. Raises DlxError where the run
    has no model.
    """
    left = list(wishes)
    while left:
        try:
            for answer in _asked(run, left):
                left.pop(0)
                yield answer
        except EOFError as error:
            wish = left.pop(0)
            message = f"the process that converts to {wish.to} has ended: {error}"
            yield as_message(TrainingError(message))


def _asked(run: Run, wishes: Sequence[Wish]) -> Iterator[dict[str, Any]]:
    """What one process answers; raises EOFError, with its last words, where it ends before."""
    order = {"run": str(run.path), "wishes": [asdict(wish) for wish in wishes]}
    # -P: files of the working directory are not taken for modules.
    words = [sys.executable, "-P", "-m", "dlx.training.exporting", json.dumps(order)]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            for _ in wishes:
                if not (line := process.stdout.readline()):
                    log.seek(0)
                    raise EOFError((log.read().strip().splitlines() or ["without a word"])[-1][:300])
                answer = json.loads(line)
                if answer.get("fatal"):
                    raise of_message(answer)
                yield answer
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)  # at its end TensorFlow takes its scratch files away
        finally:
            process.kill()
            process.wait()


def error_of(answer: dict[str, Any]) -> DlxError | None:
    """The error that an answer tells of."""
    return of_message(answer) if "error" in answer else None


def subject_of(run: Run) -> Subject:
    """A run's network with examples of its data: its test split, or validation, or train; made up where it is gone.

    Raises RunError where there is no trained model.
    """
    digest = files.sha256(run.model_file) if run.model_file.is_file() else ""
    network, info = restore(run)
    record = metadata.record(run, info, digest)
    try:
        experiment, changed = prepared_again(run)
    except DataError:
        return Subject(network, info, record, made_up(info))
    scaling = experiment.dataset.input_scaling
    name, split = next(reversed(experiment.splits.named().items()))
    if changed:
        name += ", which has changed since the run"

    def raw(inputs: Any, count: int) -> np.ndarray:
        import numpy as np

        rows = np.asarray(inputs[:count])
        return rows if scaling is None else scaling.undo(rows)

    examples = Examples(name, raw(split.inputs, 10_000), split.targets[:10_000])
    return Subject(network, info, record, examples, raw(experiment.splits.train.inputs, USUAL))


def _made(subject: Subject, wish: Wish) -> dict[str, Any]:
    """One wish: the file and how it was checked."""
    path = Path(wish.path)
    with files.disk(path):
        found = conversion.convert(subject, wish.to, path, wish.quantize, wish.tolerance)
        return {**found.record(), **(_measured(subject, wish.to, path) if wish.measure else {})}


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _measured(subject: Subject, form: str, path: Path) -> dict[str, Any]:
    """Size in bytes, seconds to load it, milliseconds for one example, and its figure on the examples."""
    began = time.perf_counter()
    if form == "keras":
        answer: Any = KerasModel(subject.network, subject.scaling).answers
    else:
        answer = conversion.opened(form, path, subject.info)
    first = subject.examples.inputs[:1]
    next(iter(answer([first])))
    loaded = time.perf_counter() - began
    began = time.perf_counter()
    for _ in answer([first] * TIMED):
        pass
    each = (time.perf_counter() - began) / TIMED
    known = {"bytes": files.size_of(path), "load_seconds": loaded, "milliseconds": 1000 * each}
    return {**known, **_figures(subject, answer)}


def _figures(subject: Subject, answer: Callable[..., Iterator[np.ndarray]]) -> dict[str, Any]:
    import numpy as np

    examples, task = subject.examples, subject.info["task"]
    if examples.targets is None:
        return {}
    answers = np.concatenate(list(answer(in_batches(examples.inputs))))
    return {agreement.figure_name(task): agreement.figure(answers, examples.targets, task)}


def _work(order: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
    backend.want("tensorflow", "cpu")
    run = Run.open(order["run"])
    subject = subject_of(run)
    for wish in (Wish(**each) for each in order["wishes"]):
        try:
            say(_measured(subject, "keras", run.model_file) if wish.to == "keras" else _made(subject, wish))
        except DlxError as error:
            say(as_message(error))
        except Exception as error:  # one format's, not that of the others
            say(as_message(TrainingError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")))


def _end_with_parent() -> None:
    """End when nobody is there any more to be answered: the other end of the input closes."""
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Answer one order; what TensorFlow prints goes to the standard error stream."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=sink, flush=True)

    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _work(json.loads(sys.argv[1]), say)
    except DlxError as error:
        say({**as_message(error), "fatal": True})


if __name__ == "__main__":
    main()
