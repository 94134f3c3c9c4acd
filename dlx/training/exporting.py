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
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx import errors
from dlx.errors import DataError, DlxError, TrainingError
from dlx.export import agreement, conversion, metadata
from dlx.export.subject import Examples, Quantize, Subject, made_up
from dlx.inference.forward import in_batches
from dlx.inference.predictor import KerasModel
from dlx.model.restore import restore
from dlx.runs.run import Run
from dlx.system import backend
from dlx.training.experiment import prepare, spec_of

if TYPE_CHECKING:
    import numpy as np

USUAL = 256  # raw inputs of the train split from which a static quantisation takes its ranges
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


def check_place(path: Path, run: Run) -> None:
    """Raise DlxError where an exported model would take the place of something that is none."""
    folder = path.is_dir()
    hint = "-o names another place"
    if (folder and not (path / "dlx.json").is_file()) or (path.exists() and not folder and not _is_model(path)):
        raise DlxError("is there already, and is no model that dlx has exported", where=str(path), hint=hint)
    if run.path.resolve() in path.resolve().parents:
        raise DlxError("is inside the run, in which nothing but dlx writes", where=str(path), hint=hint)


def _is_model(path: Path) -> bool:
    """Whether a file is an exported model: its metadata is inside."""
    return b'"dlx": "' in path.read_bytes()


def exported(run: Run, wishes: Sequence[Wish]) -> Iterator[dict[str, Any]]:
    """What became of each wish, in order: {"difference", "rows", "data", …}, or {"error"} where it cannot be.

    Raises DlxError where the run has no model, or the process ends before it has answered.
    """
    order = {"run": str(run.path), "wishes": [asdict(wish) for wish in wishes]}
    words = [sys.executable, "-m", "dlx.training.exporting", json.dumps(order)]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield from _answers(process, wishes)
        except EOFError as error:
            log.seek(0)
            last = (log.read().strip().splitlines() or ["without a word"])[-1]
            raise TrainingError(f"the process that converts to {error} has ended: {last[:300]}") from None
        finally:
            process.kill()


def _answers(process: Any, wishes: Sequence[Wish]) -> Iterator[dict[str, Any]]:
    """The answer to each wish; raises EOFError, of the wish, where the process has ended, and DlxError."""
    for wish in wishes:
        if not (line := process.stdout.readline()):
            raise EOFError(wish.to)
        answer = json.loads(line)
        if answer.get("fatal"):
            raise _error(answer)
        yield answer


def _error(answer: dict[str, Any]) -> DlxError:
    kind = getattr(errors, str(answer["kind"]), DlxError)
    plain = isinstance(kind, type) and issubclass(kind, DlxError) and kind is not errors.SpecError
    return (kind if plain else DlxError)(answer["error"], where=answer["where"], hint=answer["hint"])


def error_of(answer: dict[str, Any]) -> DlxError | None:
    """The error that an answer tells of."""
    return _error(answer) if "error" in answer else None


def subject_of(run: Run) -> Subject:
    """A run's network with examples of its data: its test split, or validation, or train; made up where it is gone.

    Raises RunError where there is no trained model.
    """
    network, info = restore(run)
    record = metadata.record(run, info)
    try:
        experiment = prepare(spec_of(run), recorded=info)
    except DataError:
        return Subject(network, info, record, made_up(info))
    scaling = experiment.dataset.input_scaling
    name, split = next(reversed(experiment.splits.named().items()))

    def raw(inputs: Any, count: int) -> np.ndarray:
        import numpy as np

        rows = np.asarray(inputs[:count])
        return rows if scaling is None else scaling.undo(rows)

    examples = Examples(name, raw(split.inputs, 10_000), split.targets[:10_000])
    return Subject(network, info, record, examples, raw(experiment.splits.train.inputs, USUAL))


def _made(subject: Subject, wish: Wish) -> dict[str, Any]:
    """One wish: the file, whole at its place, or an error."""
    path = Path(wish.path)
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)
    try:
        found = conversion.convert(subject, wish.to, partial, wish.quantize, wish.tolerance)
        _remove(path)
        partial.rename(path)
    except OSError as error:
        raise errors.DiskError(error.strerror or str(error), where=str(path)) from error
    finally:
        _remove(partial)
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
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return {"bytes": size, "load_seconds": loaded, "milliseconds": 1000 * each, **_figures(subject, answer)}


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
            say(_told(error))


def _told(error: DlxError) -> dict[str, Any]:
    if isinstance(error, errors.SpecError):
        error = error.problems[0]
    return {"kind": type(error).__name__, "error": error.message, "where": error.where, "hint": error.hint}


def main() -> None:
    """Answer one order; what TensorFlow prints goes to the standard error stream."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=sink, flush=True)

    try:
        _work(json.loads(sys.argv[1]), say)
    except DlxError as error:
        say({**_told(error), "fatal": True})


if __name__ == "__main__":
    main()
