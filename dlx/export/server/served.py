"""The runs of a server: each ready to answer, and of a word such as `latest` or a spec's name the newest one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlx.errors import DlxError
from dlx.export import keep, metadata
from dlx.inference import onnx_model
from dlx.inference.predictor import Predictor, load_predictor
from dlx.runs import find
from dlx.runs.run import Run
from dlx.system import files

EVERY = 2.0  # seconds between looks for a newer run


class Served:
    """What RUN means, and what answers for it; both are others once there is a newer run of that name.

    about: what is known of the model, see `dlx.export.metadata`, and under which name it is served.
    """

    def __init__(self, word: str, root: Path) -> None:
        """Loads the model; raises RunError where there is none."""
        self.word, self.root = word, root
        run = _newest(word, root)
        self.name = word if _follows(word, run) else run.name
        self._take(run)

    def _take(self, run: Run) -> None:
        self._state = _state(run)  # one that cannot be loaded is not tried again
        predictor = _load(run)
        record = metadata.record(run, predictor.info, files.sha256(run.model_file))
        self.about = {"name": self.name, **record, "output": predictor.classes or predictor.value_names}
        self.predictor, self.since = predictor, time.time()

    @property
    def follows(self) -> bool:
        """Whether a newer run takes its place."""
        return _follows(self.word, self.predictor.run)

    def renew(self) -> bool:
        """Load the newer run, or the newer model, if there is one. Returns whether it did."""
        run = _newest(self.word, self.root) if self.follows else self.predictor.run
        if _state(run) in (None, self._state):
            return False
        self._take(run)
        return True


def _follows(word: str, run: Run) -> bool:
    """Whether RUN is a spec's name, or `latest`: not this very run, but the newest."""
    return word in ("latest", find.stem(run.name))


def follow(models: list[Served], say: Callable[[str], None]) -> None:
    """From now on look for newer runs, in a thread; `say` is told of each, and of what cannot be loaded."""

    def look() -> None:
        while True:
            time.sleep(EVERY)
            for served in models:
                try:
                    if served.renew():
                        say(f"{served.name} is {served.predictor.run.name} now")
                except (DlxError, OSError) as error:
                    say(f"{served.name} stays {served.predictor.run.name}: {error}")

    threading.Thread(target=look, name="follow", daemon=True).start()


def _newest(word: str, root: Path) -> Run:
    """The run that a word means; of `latest` or a spec's name the last that has a model, if any has."""
    run = find.one(word, root)
    if run.model_file.is_file() or not _follows(word, run):
        return run
    others = find.below(root) if word == "latest" else find.of_name(run.path)
    having = [path for path in others if Run(path).model_file.is_file()]
    return Run.open(max(having, key=find.started)) if having else run


def _state(run: Run) -> tuple[Any, ...] | None:
    """What is another once the model of a run is; None where it has none."""
    try:
        status = run.model_file.stat()
    except OSError:
        return None
    return (run.path.resolve(), status.st_ino, status.st_mtime_ns, status.st_size)


def _load(run: Run) -> Predictor:
    """What answers for a run: its checked model.onnx, made now where it can be made, else the network of Keras."""
    predictor = load_predictor(run, exact=False)
    if keep.quicken(predictor) == "" and onnx_model.of_run(run) is not None:
        return load_predictor(run, exact=False)
    return predictor
