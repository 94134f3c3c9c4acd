"""The examples that one of two runs has right and the other wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.errors import RunError
from dlx.inference.forward import classes_of
from dlx.insight import kept
from dlx.plots.classification import draw_mistakes
from dlx.runs.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlx.data.dataset import Split

SHEET = 24  # images of a picture
NOTE = "true class: answer of the first run → of the second"


@dataclass(frozen=True)
class Flip:
    """row: the position in the split, as `predict --rows` counts; place: the example's file, where it has one."""

    row: int
    truth: str
    a: str
    b: str
    place: str = ""


@dataclass(frozen=True, eq=False)
class Flips:
    """What two runs answered otherwise, one of them rightly. classes: of each (name, examples, a alone, b alone)."""

    split: str
    rows: int
    names: tuple[str, str]
    only_a: Sequence[Flip]
    only_b: Sequence[Flip]
    classes: Sequence[tuple[str, int, int, int]]
    examples: Split | None = None

    def record(self) -> dict[str, Any]:
        """As --json has it."""

        def plain(flips: Sequence[Flip]) -> list[dict[str, Any]]:
            keys = ("row", "truth", "a", "b", *(["place"] if any(flip.place for flip in flips) else []))
            return [{key: getattr(flip, key) for key in keys} for flip in flips]

        return {"split": self.split, "rows": self.rows, "a": self.names[0], "b": self.names[1],
                "only_a": plain(self.only_a), "only_b": plain(self.only_b)}  # fmt: skip


def flips(runs: tuple[Run, Run], images: bool = False) -> Flips:
    """The flips of two runs. images: the data is loaded, too, to be shown; that of folders of images is always, for the
    names of the files.

    Raises RunError where the runs do not predict the classes of the same examples.
    """
    import numpy as np

    a, b = (kept.predictions(run) for run in runs)
    if not kept.same_rows(a, b):
        raise RunError(f"{runs[0].name} and {runs[1].name} predicted other rows: none of them can flip")
    if a.task != "classification" or a.label.ndim != 1:
        raise RunError(f"flips are of single classes, but the task is {a.task.replace('_', ' ')}", where=runs[0].name)
    foldered = any(key.startswith("dataset.image_folder") for key in runs[0].info()["settings"])
    examples = kept.examples(runs[0], a)[1] if images or foldered else None
    place: Callable[[int], str] = examples.place if examples is not None and examples.place else lambda index: ""
    answers = [classes_of(one.prediction) for one in (a, b)]

    def listed(which: Any) -> list[Flip]:
        made = []
        for row in map(int, np.flatnonzero(which)):
            truth, first, second = (a.classes[int(numbers[row])] for numbers in (a.label, *answers))
            made.append(Flip(row, truth, first, second, place(int(a.index[row]))))
        return made

    right, other = a.right(), b.right()
    only = (right & ~other, other & ~right)
    counts = []
    for number, name in enumerate(a.classes):
        of_class = a.label == number
        counts.append((name, *(int(which.sum()) for which in (of_class, only[0] & of_class, only[1] & of_class))))
    names = (runs[0].name, runs[1].name)
    return Flips(a.split, len(a), names, listed(only[0]), listed(only[1]), counts, examples)  # type: ignore[arg-type]


def draw_flips(found: Flips) -> Figure:
    """The flipped examples as images, those that the second run alone has right first. Raises RunError without any."""
    import numpy as np

    shown = [*found.only_b, *found.only_a][:SHEET]
    if not shown or found.examples is None or len(found.examples.inputs.shape) != 4:
        raise RunError("no image flips between these runs" if shown else "no example flips between these runs")
    pictures = np.asarray(found.examples.inputs[np.array([flip.row for flip in shown])])
    captions = [(f"{flip.truth}: {flip.a}", flip.b) for flip in shown]
    total = len(found.only_a) + len(found.only_b)
    part = f"{len(shown)} of {total:,}" if total > len(shown) else f"all {total:,}"
    return draw_mistakes(pictures, captions, f"{found.names[0]} → {found.names[1]}: {part} flips, {found.split}", NOTE)
