"""A report: whole without a script, inert whatever names it holds, small, and quiet in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium, opened
from conftest import ROOT, Dlx

from dlx.inference.evaluate import calibration, confusion_counts, per_class, surest_mistakes
from dlx.insight.report import charts

SPEC = "dataset: digits\ntest: 0.2\npreprocess: [rescale]\nlayers: [flatten, {dense: 8}, output]\nepochs: 3\nlr: 0.01\n"
HOSTILE = "<script>alert(1)</script>\"'&\u202eevil\u2066" + "x" * 10_000


class Page(HTMLParser):
    """The tags of a page, each opened and closed, with their attributes."""

    VOID = ("meta", "input", "img", "br", "line", "circle", "rect", "polyline")

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def runs(dlx: Dlx, world: Path) -> Path:
    (world / "d.yaml").write_text(SPEC)
    assert dlx("run", "d.yaml").code == 0
    assert dlx("run", "d.yaml", "-s", "lr=0.002").code == 0
    return world


def test_a_page_is_whole_and_asks_for_nothing(dlx: Dlx, runs: Path) -> None:
    result = dlx("report", "d-1", "d-2", "-o", "r.html")
    assert result.code == 0, result.err
    content = (runs / "r.html").read_text()
    assert len(content) < 1_000_000
    page = Page(content)
    assert page.open == []
    for tag, attributes in page.tags:
        assert not set(attributes) & {"href", "onclick", "onload", "style"}, tag
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or "src" not in attributes
    for heading in ("Figures", "Curves", "Predictions of d-", "Surest mistakes", "Flips", "Conditions"):
        assert heading in content
    assert "about these two models" in content
    assert len(re.findall(r"<img ", content)) >= 5


def test_the_page_holds_its_json(dlx: Dlx, runs: Path) -> None:
    dlx("report", "d-1", "d-2", "-o", "r.html")
    found = re.search(r'<script type="application/json" id="report">(.*?)</script>', (runs / "r.html").read_text())
    assert found is not None
    record = json.loads(found[1])
    whole = json.loads(dlx("compare", "d-1", "d-2", "--json").out)
    assert [run["metrics"] for run in record["runs"]] == [run["metrics"] for run in whole["runs"]]
    assert record["statistics"] == whole["statistics"]


def test_without_a_name_it_says_where_it_wrote(dlx: Dlx, runs: Path) -> None:
    assert "d-1-report.html" in dlx("report", "d-1").out
    assert "2-runs-report.html" in dlx("report", "d-1", "d-2").out
    assert dlx("report", "nothing").code == 2
    for name, words in (("d.yaml", "ends in .html"), ("runs", "ends in .html"), ("x.pdf", "ends in .html")):
        assert words in dlx("report", "d-1", "-o", name).err
    (runs / "mine.html").write_text("<p>mine</p>")
    assert "is no report" in dlx("report", "d-1", "-o", "mine.html").err
    assert (runs / "mine.html").read_text() == "<p>mine</p>"
    assert dlx("report", "d-1", "-o", "d-1-report.html").code == 0


def test_hostile_names_are_inert(dlx: Dlx, runs: Path) -> None:
    info = json.loads((runs / "runs" / "d-1" / "run.json").read_text())
    info["classes"] = [f"{HOSTILE}{n}" for n in range(10)]
    info["command"] = info["device_name"] = info["settings"]["name"] = HOSTILE
    (runs / "runs" / "d-1" / "run.json").write_text(json.dumps(info))
    assert dlx("report", "d-1", "d-2", "-o", "r.html").code == 0
    content = (runs / "r.html").read_text()
    page = Page(content)
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert "<script>alert" not in content
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", content)
    assert len(content) < 1_000_000


def test_a_run_of_every_old_format_has_a_page(dlx: Dlx, world: Path) -> None:
    for folder in sorted((ROOT / "tests" / "runs").iterdir()):
        if not (folder / "run.json").is_file():
            continue
        result = dlx("report", folder, "-o", f"{folder.name}.html")
        assert result.code == 0, result.err
        assert Page((world / f"{folder.name}.html").read_text()).open == []


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_asks_nothing_reports_nothing_and_fits_a_phone(
    browser: Any, dlx: Dlx, runs: Path, scheme: str
) -> None:
    dlx("report", "d-1", "d-2", "-o", "r.html")
    with opened(browser, (runs / "r.html").as_uri(), "file:", "data:", color_scheme=scheme) as page:
        page.hover("#chart0 svg")
        assert page.inner_text("#chart0 .hover").startswith("epoch ")
        page.click("input[data-run]")
        assert page.locator("g.off").count() > 0
        page.click("button[data-log]")
        assert page.locator("#chart0.scaled").count() == 1


def test_without_its_script_the_page_is_whole(browser: Any, dlx: Dlx, runs: Path) -> None:
    dlx("report", "d-1", "-o", "r.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((runs / "r.html").as_uri())
    assert page.locator("figure svg").count() >= 4
    assert page.locator("button:visible").count() == 0
    assert page.locator(".linear").first.is_visible()
    context.close()


# What it shows


def test_classes_and_calibration_are_scikit_learns() -> None:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    scores = rng.gamma(1.0, size=(300, 4)) + 2 * np.eye(4)[labels]
    probabilities = scores / scores.sum(1, keepdims=True)
    table = per_class(labels, probabilities, 4)
    theirs = precision_recall_fscore_support(labels, probabilities.argmax(1), labels=range(4), zero_division=0)
    for key, values in zip(("precision", "recall", "f1", "n"), theirs, strict=True):
        assert [row[key] for row in table] == pytest.approx(list(values))
    assert np.array_equal(confusion_counts(labels, probabilities, 4), confusion_matrix(labels, probabilities.argmax(1)))
    bins, error = calibration(labels, probabilities)
    assert sum(one["n"] for one in bins) == 300
    assert error == pytest.approx(sum(one["n"] * abs(one["sure"] - one["right"]) for one in bins) / 300)
    worst = surest_mistakes(labels, probabilities, 5)
    sure = probabilities.max(1)
    wrong = probabilities.argmax(1) != labels
    assert wrong[worst].all()
    assert sure[worst].min() >= np.sort(sure[wrong])[-5]


@pytest.mark.parametrize(
    "axis", [charts.Axis(0, 1, 0, 100), charts.Axis(-3, 17, 0, 100), charts.Axis(0.02, 40, 0, 100, True)]
)
def test_ticks_are_round_and_inside(axis: charts.Axis) -> None:
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 12
    assert all(-1 <= axis.place(tick) <= 101 for tick in ticks)
    assert axis.place(axis.low) == 0
    assert axis.place(axis.high) == 100


def test_the_script_stays_small() -> None:
    lines = (ROOT / "dlx" / "insight" / "report" / "page.js").read_text().splitlines()
    assert len(lines) <= 200
