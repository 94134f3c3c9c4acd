"""`dlx plot`: the pictures of one run, or of several side by side, as files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx import spec as specs
from dlx.errors import DataError, DlxError, RunError
from dlx.inference import predictor as prediction
from dlx.plots import curves as drawing
from dlx.plots import subject as pictures
from dlx.runs import compare as comparison
from dlx.runs import run as runs
from dlx.runs.run import Run
from dlx.system import backend as backends
from dlx.system import terminal as display
from dlx.training import experiment as preparation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOGETHER = ("curves", "boundary")  # of one run, or of several side by side
ALONE = ("confusion", "mistakes", "filters", "activations")
Drawing = tuple[str, Callable[[], "Figure"]]


def plot(
    words: Sequence[str],
    only: Sequence[str],
    output: str,
    svg: bool,
    image: str | None,
    backend: str,
    device: str,
    folder: str | None,
) -> int:
    """Draw the pictures of the runs that `words` name; returns the code of the first that could not be drawn, else 0.

    One run gets every picture that fits it. Several get those that compare them, and the others on request.
    """
    found = [Run.open(path) for word in words for path in runs.find(word, runs.root(folder))]
    found = list({run.path.resolve(): run for run in found}.values())
    if image is not None and only and "activations" not in only:
        only = [*only, "activations"]
    backends.want(backend, device)
    gallery = _Gallery(found, image)
    wanted = only or (TOGETHER if len(found) > 1 else (*TOGETHER, *ALONE))
    drawings = gallery.drawings(wanted, asked=bool(only))
    out, errors = display.console(), display.console(error=True)
    code, written = 0, 0
    with display.Bar(len(drawings), "pictures", plain=False) as bar:
        for number, (name, draw) in enumerate(drawings, 1):
            path = Path(output) / f"{name}.{'svg' if svg else 'png'}"
            try:
                drawing.save(draw(), path)
            except DlxError as error:
                if error.exit_code == 5:
                    raise
                gallery.problems.append(error)
                continue
            written += 1
            bar.update(number)
            out.print(display.clean(str(path)))
    for remark in gallery.remarks:
        errors.print(display.clean(remark))
    for problem in gallery.problems:
        errors.print(display.clean_lines(f"not drawn: {problem}"))
    if gallery.problems and (only or image is not None or not written):
        code = gallery.problems[0].exit_code
    return code


class _Gallery:
    """The runs to draw, each loaded when a picture first needs its network."""

    def __init__(self, found: Sequence[Run], image: str | None) -> None:
        self._runs, self._image = found, image
        self._subjects: dict[str, pictures.Subject] = {}
        plain = [run.name for run in found]
        # Runs of two folders may have the same name.
        self._names = {run.path: run.name if plain.count(run.name) == 1 else f"{run.path.parent.name}-{run.name}"
                       for run in found}  # fmt: skip
        if len(set(self._names.values())) < len(found):
            self._names = {run.path: f"{number}-{run.name}" for number, run in enumerate(found, 1)}
        self.problems: list[DlxError] = []
        self.remarks: list[str] = []

    def drawings(self, wanted: Sequence[str], asked: bool) -> list[Drawing]:
        """(file name, function) of every wanted picture that fits; what was asked for and does not is a problem."""
        found: list[Drawing] = []
        together = len(self._runs) > 1
        stem = _stem([run.name for run in self._runs])
        if "curves" in wanted:
            with_rows = [run for run in self._runs if run.history()]
            for run in self._runs if with_rows else []:
                if run not in with_rows:
                    self.remarks.append(f"{run.name} is not among the curves: it finished no epoch")
            if with_rows:
                found.append((f"{stem}-curves", lambda: self._curves(with_rows)))
            else:
                self.problems.append(RunError("finished no epoch: there is no curve", where=stem))
        if set(wanted) == {"curves"}:
            return found
        each = asked and set(wanted) & set(ALONE)
        fitting = {run.path: self._fits(run) for run in self._runs if not together or each or self._two_inputs(run)}
        if "boundary" in wanted:
            bounded = [run for run in self._runs if "boundary" in fitting.get(run.path, ())]
            alike = [run for run in bounded if self._alike(run, bounded[0])]
            if alike:
                found.append((f"{stem}-boundary", lambda: self._boundaries(alike)))
            for run in [run for run in self._runs if run not in alike] if alike else []:
                reason = "has other data" if run in bounded else "is no network with two inputs"
                self.remarks.append(f"{run.name} is not among the boundaries: it {reason}")
            if asked and not bounded:
                self.problems.append(RunError("a decision boundary needs a network with two inputs", where=stem))
        for run in self._runs:
            for kind in ALONE:
                draw = fitting.get(run.path, {}).get(kind)
                if kind not in wanted or (together and not asked):
                    continue
                if draw is not None:
                    alone = self._activations if kind == "activations" else draw
                    found.append((f"{self._names[run.path]}-{kind}", self._drawing(run, alone)))
                elif asked and run.path in fitting and self._names[run.path] in self._subjects:
                    self.problems.append(
                        RunError(f"has no picture of {kind}: its data does not fit one", where=run.name)
                    )
        return found

    def _two_inputs(self, run: Run) -> bool:
        return bool((run.info().get("input") or {}).get("shape") == [2])

    def _fits(self, run: Run) -> dict[str, Any]:
        """The pictures that a run has beside its curves; one that cannot be loaded is a problem and has none."""
        try:
            return dict(pictures.fits(self._subject(run)))
        except DlxError as error:
            self.problems.append(error)
            return {}

    def _subject(self, run: Run) -> pictures.Subject:
        if self._names[run.path] not in self._subjects:
            predictor = prediction.load(run)
            try:
                experiment = preparation.prepare(specs.load(run.spec_file, alone=True))
            except DataError as error:
                raise DataError(
                    f"its data cannot be loaded: {error.message}", where=run.name, hint=error.hint
                ) from error
            self._subjects[self._names[run.path]] = pictures.Subject(
                self._names[run.path],
                predictor.model,
                experiment.dataset,
                experiment.splits,
                run.history(),
                _best_epoch(run),
            )
            recorded = (run.info().get("dataset") or {}).get("fingerprint")
            if recorded not in (None, experiment.dataset.fingerprint):
                self.remarks.append(f"{run.name}: the data has changed since the run")
        return self._subjects[self._names[run.path]]

    def _curves(self, with_rows: Sequence[Run]) -> Figure:
        labels = _labels(with_rows) if len(with_rows) > 1 else [with_rows[0].name]
        curves = []
        for run, label in zip(with_rows, labels, strict=True):
            curves.append(drawing.Curve(label, run.history(), _best_epoch(run)))
        return drawing.curves(curves, with_rows[0].name if len(with_rows) == 1 else "")

    def _boundaries(self, alike: Sequence[Run]) -> Figure:
        subjects = [self._subject(run) for run in alike]
        return pictures.boundaries(subjects, _labels(alike) if len(alike) > 1 else ())

    def _alike(self, run: Run, first: Run) -> bool:
        return self._subject(run).dataset.fingerprint == self._subject(first).dataset.fingerprint

    def _drawing(self, run: Run, draw: Callable[[pictures.Subject], Figure]) -> Callable[[], Figure]:
        return lambda: draw(self._subject(run))

    def _activations(self, subject: pictures.Subject) -> Figure:
        if self._image is None:
            return pictures.activations(subject)
        from dlx.data import images

        height, width, channels = subject.dataset.shape
        picture = images.read(Path(self._image), channels, (height, width))
        return pictures.activations(subject, picture, Path(self._image).name)


def _best_epoch(run: Run) -> int | None:
    found = (run.metrics() or {}).get("best_epoch")
    return found if isinstance(found, int) else None


def _labels(found: Sequence[Run]) -> list[str]:
    """What tells the runs apart: the settings in which they differ, or their names."""
    rows = [comparison.Row([comparison.read(run.path)]) for run in found]
    columns = comparison.differences(rows)
    names = [run.name for run in found]
    if not 0 < len(columns) <= 3:
        return names
    labels = []
    for number in range(len(found)):
        words = []
        for column in columns:
            title = re.sub(r"\[\d+\]", "", column.title).replace(".", " ")
            cell = column.cells[number]
            words.append(f"no {title}" if cell == comparison.ABSENT else f"{title} {cell}")
        labels.append(", ".join(words))
    return labels if len(set(labels)) == len(labels) else names


def _stem(names: Sequence[str]) -> str:
    """One run's name; of several, what their names have in common."""
    if len(names) == 1:
        return names[0]
    heads = {re.sub(r"-\d+$", "", name) for name in names}
    return heads.pop() if len(heads) == 1 else "compared"
