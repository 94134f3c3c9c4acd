"""dlx card: a head that hubs read, figures of the run, and nothing of a stranger's that is more than words."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from conftest import ROOT, SMALL, Dlx

from dlx.insight.card import card, fenced, text
from dlx.runs.run import Run

PUBLISHED = ROOT / "runs" / "tutorials"


def test_the_head_and_the_figures(dlx: Dlx, world: Path) -> None:
    (world / "digits.yaml").write_text(SMALL)
    assert dlx("run", "digits.yaml").code == 0
    result = dlx("card", "digits")
    assert (result.code, result.out) == (0, "digits-1-card.md\n")
    words = (world / "digits-1-card.md").read_text()
    _, head, body = words.split("---\n", 2)
    read = yaml.safe_load(head)
    assert (read["library_name"], read["pipeline_tag"]) == ("keras", "image-classification")
    (entry,) = read["model-index"]
    metrics = json.loads((world / "runs/digits-1/metrics.json").read_text())
    figures = {metric["type"]: metric["value"] for metric in entry["results"][0]["metrics"]}
    assert figures["accuracy"] == metrics["test_accuracy"]
    assert f"{100 * metrics['test_accuracy']:.2f} %" in body
    for part in ("# digits-1", "## Figures", "## Each class, on test", "## Limits", "## Use", "dataset:"):
        assert part in body, part
    assert dlx("card", "digits").code == 0  # a card is replaced
    (world / "README.md").write_text("mine")
    taken = dlx("card", "digits", "-o", "README.md")
    assert taken.code == 2
    assert "is no model card" in taken.err
    assert (world / "README.md").read_text() == "mine"


def test_every_published_run_has_a_card() -> None:
    found = [Run(path.parent) for path in sorted(PUBLISHED.glob("*/metrics.json"))]
    assert len(found) > 20
    for run in found:
        _, head, body = card(run).split("---\n", 2)
        assert yaml.safe_load(head)["tags"][0] == "dlx"
        assert "None" not in body.split("## Training")[0], run.name


def test_names_are_words(dlx: Dlx, world: Path) -> None:
    assert text("a | <b>*c*</b>\n# d `e` [f](g)") == r"a \| &lt;b&gt;\*c\*&lt;/b&gt; \# d \`e\` \[f\](g)"
    assert fenced("a ```` b", "yaml") == "`````yaml\na ```` b\n`````\n"
    (world / "s.yaml").write_text(SMALL.replace("epochs: 3", "epochs: 400000"))
    assert dlx("run", "s.yaml", "--max-time", "1s").code == 75
    result = dlx("card", "s-1")
    assert result.code == 2
    assert "has no figures to tell: it is interrupted" in result.err
