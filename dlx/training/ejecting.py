"""A run's experiment as a script of Keras: its data loaded, its network built as it began."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from dlx.data.dataset import Stream
from dlx.engine.fit import compile_program
from dlx.engine.plan import Program, seed_of
from dlx.errors import DlxError
from dlx.export.eject import script
from dlx.export.eject.script import MARK
from dlx.export.eject.subject import Start, Subject
from dlx.model.statistics import fit_preprocessing
from dlx.runs import find
from dlx.runs.run import Run
from dlx.system import backend, files
from dlx.training.experiment import Experiment, plan_of, prepared_again
from dlx.training.session import Options, Ready
from dlx.training.train import make_ready

ORDERS = 5_000_000  # row numbers that are written beside a script: 20 MB


def eject(run: Run, path: Path, same_start: bool) -> tuple[list[Path], bool]:
    """(the files written: the script at `path` and, where it needs arrays, a .npz beside it; whether the run's data is
    another by now).

    Raises DlxError where what is there is no such script, where the data cannot be loaded, or where no script says it.
    """
    beside = path.with_suffix(".npz")
    _check_place(path)
    info = run.info()
    if info.get("backend") in backend.BACKENDS:
        backend.want(str(info["backend"]), "cpu")
    experiment, changed = prepared_again(run)
    ready = make_ready(experiment, run.path.parent, Options())
    text, arrays = script.write(_subject(run, ready, same_start), path.stem)
    with files.disk(path):
        if arrays:
            with files.replacing(beside) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **dict[str, Any](arrays))
        with files.replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [path, *([beside] if arrays else [])], changed


def _check_place(path: Path) -> None:
    """Raise DlxError where a file would be lost."""
    find.check_outside(path)
    if not re.fullmatch(r"\w[\w. -]*", path.stem):
        raise DlxError(
            "a script cannot say its own name", where=str(path), hint="-o train.py: letters, digits, _ and -"
        )
    text = path.read_text(encoding="utf-8", errors="replace")[:10_000] if path.is_file() else ""
    if path.is_file() and MARK not in text:
        raise DlxError("is there already, and is no script of dlx eject", where=str(path), hint="-o names another file")
    beside = path.with_suffix(".npz")
    if beside.exists() and f"It reads {beside.name}" not in text:
        message = f"is there already, and {path.name} may need a file of that name"
        raise DlxError(message, where=str(beside), hint="-o names another file")
    files.check_writable(path.absolute().parent)


def _subject(run: Run, ready: Ready, same_start: bool) -> Subject:
    experiment, network = ready.experiment, ready.network
    train, plan = experiment.splits.train, plan_of(experiment)
    streamed = isinstance(train.inputs, Stream)
    if not streamed:
        fit_preprocessing(network, train.inputs, experiment.dataset.input_scaling)
    weights = [np.array(weight) for weight in network.logits.get_weights()]
    data = (train.inputs, network.learned(train.targets))
    program = None if streamed else compile_program(network, ready.optimizer, plan, data, None)
    loaded = backend.load()
    return Subject(
        name=run.name, spec=experiment.spec, dataset=experiment.dataset, splits=experiment.splits, network=network,
        optimizer=ready.optimizer, plan=plan, backend=loaded.backend, keras=backend.versions()["keras"],
        compiled=program is not None and program.compiled, same_start=same_start,
        start=Start(weights, _orders(experiment, program) if same_start and program is not None else None),
    )  # fmt: skip


def _orders(experiment: Experiment, program: Program) -> np.ndarray:
    """The order of the examples in each of the first epochs: (epochs, examples)."""
    size = len(experiment.splits.train)
    epochs = min(experiment.epochs, max(1, ORDERS // size))
    base = seed_of(experiment.spec.seed, "order")
    kind = np.uint16 if size < 2**16 else np.uint32
    return np.stack([np.asarray(program.pieces.order(base, epoch)).astype(kind) for epoch in range(epochs)])
