"""The pictures that `dlx plot` draws of one run, or of several side by side."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dlx.data import images
from dlx.errors import DlxError, RunError
from dlx.model.restore import with_snapshot
from dlx.plots import search
from dlx.plots.boundary import boundaries
from dlx.plots.curves import draw_curves
from dlx.plots.film import film
from dlx.plots.history import X
from dlx.plots.network import activations
from dlx.plots.pictures import Draw, largest, pictures_of
from dlx.plots.settings import settings
from dlx.plots.subject import Subject
from dlx.runs.diff import labels_of
from dlx.runs.find import numbered, stem
from dlx.runs.run import Run
from dlx.training.subject import curves_of, subject_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEARCH = ("trials", "parallel", "family")  # of the trials of a sweep
TOGETHER = ("curves", "settings", *SEARCH, "boundary")  # of several side by side
ALONE = (
    "overview", "confusion", "probabilities", "residuals", "forecast", "mistakes", "filters", "activations", "network",
    "layers",
)  # fmt: skip
FILMED = ("boundary", "filters", "activations", "network")  # of a run with snapshots, also epoch by epoch
FRAMES = 24  # of a film: of more epochs some are left out, evenly
Drawing = tuple[str, Callable[[], "Figure | Mapping[str, bytes]"]]


class Gallery:
    """The runs to draw, each loaded when a picture first needs its network.

    `problems`: what could not be drawn; `remarks`: which runs are missing in a picture of several, and why.
    """

    def __init__(self, runs: Sequence[Run], image: str | None, x: X = "epoch") -> None:
        self._runs, self._image, self._x = runs, image, x
        self._subjects: dict[Path, Subject] = {}
        self._names = _distinct_names(runs)
        self.problems: list[DlxError] = []
        self.remarks: list[str] = []

    def drawings(self, only: Sequence[str]) -> list[Drawing]:
        """(file name, function) of every picture that fits, or of those in `only`; one of these that does not fit is a
        problem.

        One run gets every picture that fits it. Several get those that compare them, and the others on request.
        """
        together, asked = len(self._runs) > 1, bool(only)
        alone = [kind for kind in (*TOGETHER, *ALONE) if kind not in ("settings", *SEARCH)]
        wanted = only or (TOGETHER if together else alone)
        drawings: list[Drawing] = []
        if "curves" in wanted:
            drawings += self._curves()
        if "settings" in wanted:
            drawings += self._settings(asked)
        if set(wanted) & set(SEARCH):
            drawings += self._search(wanted, asked)
        if set(wanted) <= {"curves", "settings", *SEARCH}:
            return drawings
        each = asked and set(wanted) & set(ALONE)
        pictures = {run.path: self._pictures(run) for run in self._runs if not together or each or _two_inputs(run)}
        if "boundary" in wanted:
            drawings += self._boundaries(pictures, asked)
        if not together or asked:
            for run in self._runs:
                drawings += self._alone(run, pictures.get(run.path), wanted, asked)
                drawings += self._films(run, pictures.get(run.path, {}), wanted)
        return sorted(drawings, key=lambda drawing: not drawing[0].endswith("-overview"))

    def _curves(self) -> list[Drawing]:
        together = _stem(self._runs)
        with_rows = [run for run in self._runs if run.history()]
        if not with_rows:
            self.problems.append(RunError("finished no epoch: there is no curve", where=together))
            return []
        for run in self._runs:
            if run not in with_rows:
                self.remarks.append(f"{run.name} is not among the curves: it finished no epoch")

        def draw() -> Figure:
            curves, title = curves_of(with_rows)
            short = all(len(c.rows) == 1 for c in curves)
            by_steps = short and all(curve.logged for curve in curves)  # a single epoch is no curve
            return draw_curves(curves, title, "step" if by_steps and self._x == "epoch" else self._x)

        return [(f"{together}-curves", draw)]

    def _settings(self, asked: bool) -> list[Drawing]:
        """The figure of each run against the settings that differ: of three settings, of two on request."""
        drawn = settings(self._runs, least=2 if asked else 3)
        if drawn is None and asked:
            message = "a picture of settings needs two runs or more on the same data that differ in a setting"
            self.problems.append(RunError(message, where=_stem(self._runs)))
        return [(f"{_stem(self._runs)}-settings", drawn)] if drawn is not None else []

    def _search(self, wanted: Sequence[str], asked: bool) -> list[Drawing]:
        """The pictures of a sweep's trials, where the runs are some."""
        drawn = search.pictures(self._runs)
        for kind in SEARCH if asked else ():
            if kind in wanted and kind not in drawn:
                message = f"a picture of {kind} needs {search.FEWEST} trials of a sweep or more" + (
                    ", of which some come from others" if kind == "family" else ""
                )
                self.problems.append(RunError(message, where=_stem(self._runs)))
        return [(f"{_stem(self._runs)}-{kind}", draw) for kind, draw in drawn.items() if kind in wanted]

    def _boundaries(self, pictures: dict[Path, dict[str, Draw]], asked: bool) -> list[Drawing]:
        together = _stem(self._runs)
        bounded = [run for run in self._runs if "boundary" in pictures.get(run.path, ())]
        alike = [run for run in bounded if self._alike(run, bounded[0])]
        for run in [run for run in self._runs if run not in alike] if alike else []:
            reason = "has other data" if run in bounded else "is not a network with two inputs"
            self.remarks.append(f"{run.name} is not among the boundaries: it {reason}")
        if asked and not bounded:
            self.problems.append(RunError("a decision boundary needs a network with two inputs", where=together))

        def draw() -> Figure:
            subjects = [self._subject(run) for run in alike]
            return boundaries(subjects, labels_of(alike) if len(alike) > 1 else ())

        return [(f"{together}-boundary", draw)] if alike else []

    def _alone(self, run: Run, pictures: dict[str, Draw] | None, wanted: Sequence[str], asked: bool) -> list[Drawing]:
        """The pictures of one run that stand alone."""
        drawings: list[Drawing] = []
        for kind in ALONE:
            draw = (pictures or {}).get(kind)
            if kind not in wanted:
                continue
            if draw is not None:
                alone = self._activations if kind == "activations" else draw
                drawings.append((f"{self._names[run.path]}-{kind}", self._drawing(run, alone)))
            elif asked and pictures is not None and run.path in self._subjects:
                message = f"has no picture of {kind}: its data does not fit one"
                self.problems.append(RunError(message, where=run.name))
        return drawings

    def _films(self, run: Run, pictures: dict[str, Draw], wanted: Sequence[str]) -> list[Drawing]:
        """The pictures of a run after each epoch whose weights it has kept."""
        epochs = run.snapshot_epochs()
        kinds = [kind for kind in FILMED if kind in pictures and kind in wanted and epochs]
        few = sorted({epochs[round(n * (len(epochs) - 1) / (FRAMES - 1))] for n in range(FRAMES)}) if epochs else []
        return [
            (f"{self._names[run.path]}-{kind}-epochs", self._film(run, kind, pictures[kind], few)) for kind in kinds
        ]

    def _film(self, run: Run, kind: str, draw: Draw, epochs: Sequence[int]) -> Callable[[], Mapping[str, bytes]]:
        subject = self._subject(run)

        def size(epoch: int) -> float:
            with with_snapshot(subject.network, run, epoch):
                return largest(subject, kind) or 0.0

        def frame(epoch: int, most: float | None) -> Figure:
            name = f"{subject.name}, epoch {epoch:,}"
            with with_snapshot(subject.network, run, epoch):
                return draw(replace(subject, name=name, best_epoch=None, largest=most))

        def drawn() -> Mapping[str, bytes]:
            most = max(map(size, epochs)) or None  # one scale for all epochs
            return film([partial(frame, epoch, most) for epoch in epochs])

        return drawn

    def _drawing(self, run: Run, draw: Draw) -> Callable[[], Figure]:
        return lambda: draw(self._subject(run))

    def _pictures(self, run: Run) -> dict[str, Draw]:
        """The pictures that a run has beside its curves; one that cannot be loaded is a problem and has none."""
        try:
            return pictures_of(self._subject(run))
        except DlxError as error:
            self.problems.append(error)
            return {}

    def _alike(self, run: Run, other: Run) -> bool:
        """Whether two runs are drawn side by side: the same inputs, and classes or values of one kind."""
        import numpy as np

        one, two = self._subject(run), self._subject(other)
        same = np.array_equal(np.asarray(one.splits.train.inputs), np.asarray(two.splits.train.inputs))
        return same and (one.dataset.task, one.classes) == (two.dataset.task, two.classes)

    def _subject(self, run: Run) -> Subject:
        if run.path not in self._subjects:
            self._subjects[run.path], unchanged = subject_of(run, self._names[run.path])
            if not unchanged:
                self.remarks.append(f"{run.name}: the data has changed since the run")
        return self._subjects[run.path]

    def _activations(self, subject: Subject) -> Figure:
        if self._image is None:
            return activations(subject)
        height, width, channels = subject.dataset.shape
        picture = images.read_image(Path(self._image), channels, (height, width))
        return activations(subject, picture, Path(self._image).name)


def _distinct_names(runs: Sequence[Run]) -> dict[Path, str]:
    """A name for the pictures of each run: runs of two folders may have the same one."""
    plain = [run.name for run in runs]
    names = {run.path: run.name if plain.count(run.name) == 1 else f"{run.path.parent.name}-{run.name}" for run in runs}
    if len(set(names.values())) < len(runs):
        names = {run.path: f"{number}-{run.name}" for number, run in enumerate(runs, 1)}
    return names


def _two_inputs(run: Run) -> bool:
    return bool((run.info().get("input") or {}).get("shape") == [2])


def _stem(runs: Sequence[Run]) -> str:
    """One run's name; of several their names, or what these have in common."""
    if len(runs) == 1:
        return runs[0].name
    heads = list(dict.fromkeys(stem(run.name) for run in runs))
    numbers = [match[1] for run in runs if (match := re.search(r"-(\d+)$", run.name))]
    if len(heads) == 1 and len(numbers) == len(runs):
        name = f"{heads[0]}-{'+'.join(numbered(sorted(map(int, numbers))))}"
    else:
        name = "+".join(run.name for run in runs)
    if len(name) <= 80:
        return name
    # Of many runs, or of long names, the beginning, and what tells them from others.
    mark = zlib.crc32("/".join(run.name for run in runs).encode())
    return f"{name[:60]}-{mark:08x}"
