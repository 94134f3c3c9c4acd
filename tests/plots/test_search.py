"""The pictures of a sweep's trials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Dlx

from dlx.plots.search import Trial, draw_family, draw_parallel, draw_trials, line_of, pictures, trials_of
from dlx.plots.style import rendered
from dlx.runs.run import Run

TRIALS = [
    Trial(n, {"lr": 0.1**n, "optimizer": "adam" if n % 2 else "sgd", "layers": "flatten"}, figure, status, parents)
    for n, figure, status, parents in [
        (1, 0.5, "done", ()), (2, 0.9, "pruned", ()), (3, None, "failed", ()), (4, 0.3, "done", (1,)),
        (5, 0.4, "done", (4,)), (6, 0.2, "done", (4,)),
    ]
]  # fmt: skip


def words(figure: object) -> str:
    return " ".join(text.get_text() for text in figure.findobj(match=lambda one: hasattr(one, "get_text")))  # type: ignore[attr-defined]


def test_trials_say_the_best_and_what_became_of_the_others() -> None:
    drawn = draw_trials("val_loss", TRIALS)
    assert "Best loss 0.2000: trial 6" in words(drawn)
    assert "n=6 trials" in words(drawn)
    assert "1 pruned" in words(drawn)
    assert "1 failed" in words(drawn)
    assert rendered(drawn).startswith(b"\x89PNG")


def test_no_finite_figure_is_no_best() -> None:
    drawn = draw_trials("val_loss", [Trial(n, {"lr": n}, None, "failed") for n in range(1, 5)])
    assert "No trial has ended with a finite figure" in words(drawn)


def test_settings_stand_side_by_side() -> None:
    drawn = draw_parallel("val_loss", TRIALS)
    assert "n=4 trials" in words(drawn)
    for name in ("lr", "optimizer", "adam", "sgd", "loss"):
        assert name in words(drawn)
    assert rendered(drawn).startswith(b"\x89PNG")


def test_a_family_leads_to_the_best() -> None:
    drawn = draw_family("val_loss", TRIALS)
    assert "Best loss 0.2000: trial 6, in 2 steps from trial 1" in words(drawn)
    assert "drawn at random" in words(draw_family("val_loss", [*TRIALS, Trial(7, {}, 0.1, "done")]))


@pytest.mark.parametrize(("parent", "line"), [(1, []), (2, [2]), (9, [])])
def test_a_family_that_a_file_closes_to_a_circle_ends(parent: int, line: list[int]) -> None:
    first, second = Trial(1, {}, 0.1, "done", (parent,)), Trial(2, {}, 0.5, "done", (1,))
    assert line_of(first, [first, second]) == line
    assert line_of(second, [first, second]) == [1]
    assert rendered(draw_family("val_loss", [first, second])).startswith(b"\x89PNG")


@pytest.mark.parametrize("broken", [None, {"number": "x", "values": {}}, {"number": 1, "values": []}, {"repeat": 1}, 3])
def test_what_is_no_trial_is_passed_over(world: Path, broken: object) -> None:
    run = Run.create(world / "runs", "x")
    run.begin("", {"settings": {"name": "x"}, "trial": broken})
    run.finish({"val_loss": 1.0})
    assert trials_of([run])[1] == []
    assert pictures([run]) == {}


def test_plot_draws_what_fits(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(
        "dataset: or\nvalidation: none\nlayers: [output]\nepochs: 2\nbatch_size: full\noptimizer: sgd\n"
        "sweep: {lr: log 0.1..1, batch_size: 1..4}\nsearch: {random: 5}\n"
    )
    assert dlx("sweep", "s.yaml").code == 0
    info = json.loads((world / "runs/s-1/run.json").read_text())
    assert info["trial"]["sweep"] == "s"
    done = dlx("plot", "s-*", "--only", "trials,parallel,family")
    assert "of which some come from others" in done.err
    assert {path.name for path in (world / "plots").iterdir()} == {"s-1..5-trials.png", "s-1..5-parallel.png"}


def test_a_report_has_the_trials_and_whom_they_come_from(dlx: Dlx, world: Path) -> None:
    for number, parents in ((1, []), (2, []), (3, [1]), (4, [3]), (5, [4])):
        run = Run.create(world / "runs", "s")
        record = {"name": "s", "lr": 0.1 * number, "dataset": "digits"}
        trial = {"number": number, "values": {"lr": 0.1 * number, "<b>": "x"}, "parents": parents}
        run.begin("", {"settings": record, "monitor": "val_loss", "scaling": {}, "trial": trial})
        run.epochs.append([{"epoch": 1, "step": 1, "val_loss": 1 / number, "train_loss": 1.0, "seconds": 1.0}])
        run.finish({"val_loss": 1 / number, "train_loss": 1.0})
    assert dlx("report", "s-*", "-o", "page.html").code == 0
    page = (world / "page.html").read_text()
    assert "5 trials: 5 done." in page
    assert "4 ← 3 ← 1" in page
    assert "<b>x" not in page
