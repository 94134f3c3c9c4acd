"""How pictures look: 7.2 inches wide, no letter too small, none cut off, turned or upon another."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from dlx.data.dataset import Dataset, Split
from dlx.data.encoding import Encoding
from dlx.data.splits import Splits
from dlx.model.network import LayerRow
from dlx.plots import style
from dlx.plots.boundary import boundaries
from dlx.plots.classification import confusion, draw_confusion, mistakes, probabilities
from dlx.plots.curves import draw_curves
from dlx.plots.data import pictures
from dlx.plots.diagram import draw_network
from dlx.plots.history import Curve
from dlx.plots.layers import draw_layers
from dlx.plots.network import Maps, draw_activations, draw_filters
from dlx.plots.overview import overview
from dlx.plots.regression import forecast, residuals
from dlx.plots.settings import draw_settings
from dlx.plots.subject import Subject

LONG = "an_experiment_that_somebody_described_in_its_name_twice_over"
RANDOM = np.random.default_rng(0)


def rows(epochs: int, speed: float = 1.0, noise: float = 0.02) -> list[dict[str, float]]:
    """A history that learns."""
    random = np.random.default_rng(epochs)
    history = []
    for epoch in range(1, epochs + 1):
        done = 1 - np.exp(-3 * speed * epoch / epochs)
        wobble = noise * random.normal(size=2)
        figures = {"train_accuracy": 0.1 + 0.85 * done, "val_accuracy": 0.1 + 0.8 * done + wobble[0]}
        losses = {"train_loss": 2.3 - 2.2 * done, "val_loss": 2.3 - 2 * done + abs(wobble[1])}
        history.append({"epoch": epoch, "step": 10 * epoch, "seconds": 0.1, **figures, **losses})
    return history


def curve(label: str, epochs: int = 20, **how: float) -> Curve:
    return Curve(label, rows(epochs, **how), max(1, epochs * 3 // 4), classes=10, entropy=True, monitor="val_loss")


def subject(
    task: str, shape: tuple[int, ...], classes: tuple[str, ...] = (), count: int = 120, **more: object
) -> Subject:
    """A network that is often right, over examples that a random number generator made."""
    inputs = (
        RANDOM.integers(0, 255, (count, *shape)).astype(np.uint8)
        if len(shape) == 3
        else RANDOM.normal(size=(count, *shape))
    )
    if task == "classification":
        targets = np.minimum(RANDOM.geometric(0.3, count) - 1, len(classes) - 1).astype(np.int32)
        said = RANDOM.dirichlet([0.3] * len(classes), count) + 1.2 * np.eye(len(classes))[targets]
        said /= said.sum(axis=1, keepdims=True)
    else:
        targets = 50 + 10 * np.sin(np.arange(count) / 4) + RANDOM.normal(size=count)
        said = targets[:, None] + RANDOM.normal(size=(count, 1))

    def predict_on_batch(batch: np.ndarray) -> np.ndarray:
        return np.resize(said, (len(batch), said.shape[1]))

    split = Split(inputs.astype(np.float32) if len(shape) < 3 else inputs, targets, np.arange(count))
    model = SimpleNamespace(predict_on_batch=predict_on_batch, layers=[])
    network = SimpleNamespace(model=model, logits=model, answers=lambda logits: logits)
    dataset = Dataset(split, task, "", classes=classes, **more)  # type: ignore[arg-type]
    return Subject(LONG, network, dataset, Splits(split, None, split), curve(LONG), 15)


MANY = tuple(f"product class {size} {what}" for size in ("small", "large", "round", "flat", "old", "new") for what in ("red bottle", "blue bottle", "cup", "jar", "tin"))  # fmt: skip
SERIES = Encoding("series", columns=["load"], label="load_mw", window=12, horizon=1)
CHAIN = [LayerRow("input", "InputLayer", "32 × 32 × 3", 0, [])] + [
    LayerRow(f"conv2d_{n}", "Conv2D", "32 × 32 × 64", 36_928 * n, [f"conv2d_{n - 1}" if n else "input"])
    for n in range(60)
]
PICTURES: dict[str, Callable[[], Figure]] = {
    "one run": lambda: draw_curves([curve(LONG)], LONG),
    "one epoch": lambda: draw_curves([curve("one", 1)], "one"),
    "diverged": lambda: draw_curves([curve("lr 0.01"), curve("lr 0.1"), Curve("lr 1000", [{"epoch": n, "val_loss": 10.0**n} for n in range(1, 9)])]),
    "two runs": lambda: draw_curves([curve("dropout 0.5"), curve("no dropout", speed=2)]),
    "eight words": lambda: draw_curves([curve(f"{LONG} {n}", speed=n) for n in range(1, 9)]),
    "thirty rates": lambda: draw_curves([curve(f"lr {n / 100}", speed=n / 9) for n in range(1, 31)]),
    "thirty words": lambda: draw_curves([curve(f"{'abc'[n % 3]}{n}x", speed=n / 9) for n in range(1, 31)]),
    "repeated": lambda: draw_curves([Curve(f"units {units}", rows(20, units / 9, 0.05)) for units in (1, 9, 20) for _ in range(4)]),
    "long": lambda: draw_curves([curve("long", 3000)], "long"),
    "settings": lambda: draw_settings("val_accuracy", [("lr", ["0.001", "0.01", "0.1"])], [[0.5, 0.6], [0.8, 0.82], [0.7]]),
    "two settings": lambda: draw_settings("val_loss", [("lr", ["0.1", "0.2"] * 2), ("optimizer", ["sgd", "sgd", "adam", "adam"])], [[1.0], [0.5], [0.4], [0.2]], 1),
    "three settings": lambda: draw_settings("val_loss", [(LONG, ["1", "2", "3"]), ("b", ["x", "y", "z"]), ("c", ["1", "1", "2"])], [[1.0], [2.0], [3.0]]),
    "overview of images": lambda: overview(subject("classification", (8, 8, 1), tuple("0123456789"))),
    "overview of many classes": lambda: overview(subject("classification", (8, 8, 3), MANY, 400)),
    "overview of two classes": lambda: overview(subject("classification", (5,), ("no", "yes"))),
    "overview of values": lambda: overview(subject("regression", (5,))),
    "overview of a series": lambda: overview(subject("regression", (12, 1), kind="series", encoding=SERIES)),
    "confusion of two": lambda: confusion(subject("classification", (5,), ("no", "yes"))),
    "confusion of ten": lambda: confusion(subject("classification", (5,), tuple("0123456789"))),
    "confusion of a hundred": lambda: draw_confusion(np.eye(100, dtype=int), [f"class {n}" for n in range(100)], LONG),
    "mistakes": lambda: mistakes(subject("classification", (8, 8, 3), MANY, 400)),
    "probabilities": lambda: probabilities(subject("classification", (5,), ("no", "yes"))),
    "residuals": lambda: residuals(subject("regression", (5,))),
    "forecast": lambda: forecast(subject("regression", (12, 1), count=300, kind="series", encoding=SERIES)),
    "one boundary": lambda: boundaries([subject("classification", (2,), ("0", "1"))]),
    "seven boundaries": lambda: boundaries([subject("classification", (2,), ("0", "1"), 40)] * 7, [f"dense units {n}" for n in range(7)]),
    "surface": lambda: boundaries([subject("regression", (2,))]),
    "weights": lambda: draw_network([("hidden", RANDOM.normal(size=(2, 4)), np.zeros(4)), ("output", RANDOM.normal(size=(4, 1)), np.zeros(1))], ["first input", "second input"], ["1"], LONG),
    "chain": lambda: draw_layers(CHAIN, LONG),
    "filters": lambda: draw_filters(RANDOM.normal(size=(3, 3, 1, 32)), [f"{n}: 0.46" for n in range(32)], LONG),
    "activations": lambda: draw_activations(RANDOM.random((8, 8, 1)), [Maps("conv2d", RANDOM.random((8, 8, 16)), np.arange(16) < 3), Maps("dense", RANDOM.random(10), np.zeros(10, bool))], [(f"class {n}", 0.2) for n in range(5)], [f"c{n}" for n in range(10)], (LONG, "each in its own scale")),
    "points": lambda: data(subject("classification", (2,), ("0", "1")), "data"),
    "columns": lambda: data(subject("classification", (7,), ("0", "1")), "data"),
    "images": lambda: data(subject("classification", (8, 8, 1), tuple("0123456789")), "data"),
    "classes": lambda: data(subject("classification", (5,), MANY), "classes"),
}  # fmt: skip


def data(drawn: Subject, kind: str) -> Figure:
    return pictures(drawn.dataset, drawn.splits, LONG)[kind]()


Written = list[tuple[Text, Bbox]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[Figure], Written]:
    """Draws a figure; returns what is written in it, and where, in pixels."""

    def draw(figure: Figure) -> Written:
        found: Written = []
        plain = Text.draw

        def recorded(text: Text, renderer: RendererBase) -> None:
            if text.get_visible() and text.get_text().strip():
                found.append((text, text.get_window_extent(renderer)))
            plain(text, renderer)

        canvas = FigureCanvasAgg(figure)
        with mpl.rc_context(style._settings()):
            canvas.draw()  # lays it out
            monkeypatch.setattr(Text, "draw", recorded)
            canvas.draw()
            monkeypatch.setattr(Text, "draw", plain)
        return found

    return draw


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_can_be_read(name: str, written: Callable[[Figure], Written]) -> None:
    figure = PICTURES[name]()
    width, height = figure.get_size_inches()
    assert width == pytest.approx(style.WIDTH) or name.startswith("confusion")
    assert 2 < height < 12
    canvas, there = figure.bbox, written(figure)
    assert there
    assert problems_of(there, canvas, small="hundred" in name) == []


@pytest.mark.parametrize(
    "name", ["one run", "long", "mistakes", "probabilities", "residuals", "one boundary", "forecast"]
)
def test_a_picture_on_a_card_can_be_read(name: str, written: Callable[[Figure], Written]) -> None:
    with style.on_card():
        figure = PICTURES[name]()
        assert figure.get_figwidth() == style.CARD
        assert problems_of(written(figure), figure.bbox) == []


def problems_of(there: Written, canvas: Bbox, small: bool = False) -> list[str]:
    """What of the written cannot be read."""
    problems = []
    for text, box in there:
        if text.get_fontsize() < style.LEAST - 0.01 and not small:
            problems.append(f"{text.get_text()!r} has {text.get_fontsize()} points")
        if text.get_rotation():
            problems.append(f"{text.get_text()!r} is turned")
        if box.x0 < canvas.x0 - 1 or box.x1 > canvas.x1 + 1 or box.y0 < canvas.y0 - 1 or box.y1 > canvas.y1 + 1:
            problems.append(f"{text.get_text()!r} is cut")
    for (one, a), (other, b) in itertools.combinations(there, 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2:
            problems.append(f"{one.get_text()!r} lies upon {other.get_text()!r}")
    return problems


def test_what_cannot_be_read_is_noticed(written: Callable[[Figure], Written]) -> None:
    """The check itself can fail."""
    figure = draw_curves([curve("a")], "a")
    figure.suptitle("cut " * 90, x=0.01, ha="left")
    for words, turn in (("one", 0), ("other", 45)):
        figure.axes[0].text(0.5, 0.5, words, transform=figure.axes[0].transAxes, rotation=turn, fontsize=5)
    found = "; ".join(problems_of(written(figure), figure.bbox))
    assert all(problem in found for problem in ("is cut", "'one' lies upon 'other'", "'other' is turned", "5.0 points"))


@pytest.mark.parametrize("name", ["one run", "confusion of ten", "overview of values", "chain"])
def test_on_a_dark_ground_letters_are_light(name: str) -> None:
    with style.on_dark():
        figure = PICTURES[name]()
        with Image.open(io.BytesIO(style.rendered(figure))) as picture:
            colours = {colour: count for count, colour in picture.convert("RGB").getcolors(10**6) or ()}
    assert max(colours, key=lambda colour: colours[colour]) == (0x16, 0x19, 0x1D)
    assert (0xE6, 0xE8, 0xEB) in colours
    assert (0x1F, 0x23, 0x28) not in colours
