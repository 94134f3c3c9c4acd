"""A search as a study of the runs folder: what comes next, what is known, what survives a kill."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from fake import Fake, measured, searched, studied
from hypothesis import given

from dlx.errors import DlxError, RunError
from dlx.parts import REGISTRIES
from dlx.parts.searches import Pruner
from dlx.search import pruning, winner
from dlx.search.samplers import MODULES, next_trial
from dlx.search.sweep import sweep
from dlx.search.trials import Observation, curve
from dlx.spec.sections import Spec

SPEC: dict[str, Any] = {
    "dataset": "digits",
    "layers": ["flatten", {"dense": {"units": 8, "activation": "relu"}}, {"dropout": 0.1}, "output"],
    "epochs": 9,
    "sweep": {"lr": "log 1e-4..1e-1", "layers.1.units": "4..64", "optimizer": ["adam", "sgd"]},
}
SMALL = {**SPEC, "sweep": {"lr": [0.1, 0.2, 0.3], "layers.1.units": "4..5"}}


def loss(spec: Spec, epoch: int) -> float:
    """Best at a rate of 0.01 and 40 units, and falling."""
    rate = abs(math.log10(spec.lr) + 2)
    return rate + abs(spec.layers[1].args.get("units", 0) - 40) / 40 + 1 / epoch


DRAWN = [name for name in MODULES if name != "gp"]


def values(study: Any) -> list[dict[str, Any]]:
    return [dict(o.values) for o in study.observations]


@pytest.mark.parametrize("by", DRAWN)
def test_a_search_tries_what_it_was_asked_to_once_each(world: Path, by: str) -> None:
    study = studied(SPEC, world / "runs", by=by, trials=26)
    fake = searched(study, loss)
    assert len(fake.trained) == len(study.observations) == 26
    assert len({o.key for o in study.observations}) == 26
    assert all(o.status == "done" and o.figures is not None for o in study.observations)
    assert study.ranked()[0].figures == min(o.figures for o in study.observations)  # type: ignore[type-var]
    infos = [json.loads((path / "run.json").read_text()) for path in sorted((world / "runs").glob("spec-*"))]
    assert {info["trial"]["number"] for info in infos} == set(range(1, 27))


@pytest.mark.parametrize("by", DRAWN)
def test_the_same_seed_and_the_same_runs_give_the_same_trials(world: Path, by: str) -> None:
    one, other = (studied(SPEC, world / name, by=by, trials=14) for name in ("a", "b"))
    searched(one, loss)
    searched(other, loss)
    assert values(one) == values(other)
    third = studied({**SPEC, "seed": 1}, world / "c", by=by, trials=14)
    searched(third, loss)
    assert values(third) != values(one)


@pytest.mark.parametrize("by", DRAWN)
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(world: Path, by: str) -> None:
    whole = studied(SPEC, world / "a", by=by, trials=16)
    searched(whole, loss)
    for stop in (1, 4, 5, 3):
        fake = searched(studied(SPEC, world / "b", by=by, trials=16), loss, stop_after=stop)
        assert len(fake.trained) == stop
    rest = studied(SPEC, world / "b", by=by, trials=16)
    assert len(searched(rest, loss).trained) == 3
    assert values(rest) == values(whole)
    assert len(list((world / "b").glob("spec-*"))) == 16


def test_more_trials_add_to_those_that_are_there(world: Path) -> None:
    searched(studied(SPEC, world / "runs", by="tpe", trials=6), loss)
    more = studied(SPEC, world / "runs", by="tpe", trials=10)
    assert len(searched(more, loss).trained) == 4
    assert len(more.observations) == 10


def test_a_changed_space_keeps_the_trials_that_lie_in_it(world: Path) -> None:
    first = studied(SPEC, world / "runs", by="random", trials=12)
    searched(first, loss)
    inside = [o for o in first.observations if o.values["lr"] <= 0.01]
    narrow = {**SPEC, "sweep": {**SPEC["sweep"], "lr": "log 1e-4..1e-2", "layers.dropout.rate": "0..0.5"}}
    second = studied(narrow, world / "runs", by="random", trials=12)
    assert [o.number for o in second.observations] == [o.number for o in inside]
    assert all(o.status == "done" for o in second.observations)
    assert len(searched(second, loss).trained) == 12 - len(inside)
    assert max(o.number for o in second.observations) == 12 + 12 - len(inside)


@pytest.mark.parametrize("by", ["random", "tpe", "nsga2", "evolution"])
def test_a_small_space_is_tried_whole_and_ends(world: Path, by: str) -> None:
    study = studied(SMALL, world / "runs", by=by, trials=50)
    searched(study, loss)
    assert len({o.key for o in study.observations}) == 6
    assert study.exhausted


def test_a_running_trial_is_known_to_the_next_suggestion(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="tpe", trials=16)
    searched(study, loss, slots=4)
    assert len({o.key for o in study.observations}) == 16


def test_repeats_are_one_trial_and_count_by_their_mean(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="random", trials=3, repeats=2)

    def by_seed(spec: Spec, epoch: int) -> float:
        return loss(spec, epoch) + (spec.seed - 42)

    fake = searched(study, by_seed)
    assert [(task.number, task.repeat) for task in fake.trained] == [(n, r) for n in (1, 2, 3) for r in (0, 1)]
    assert study.observations[0].figures == (pytest.approx(loss(fake.trained[0].spec, 9) + 0.5),)
    assert len(study.observations[0].runs) == 2


def test_another_process_may_not_search_too(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="random", trials=3)
    with study.held(), pytest.raises(DlxError, match="is running in another process"):
        searched(studied(SPEC, world / "runs", by="random", trials=3), loss)


def test_a_damaged_ledger_says_so_and_loses_no_run(world: Path) -> None:
    searched(studied(SPEC, world / "runs", by="random", trials=2), loss)
    (world / "runs/.sweeps/spec.jsonl").write_text('{"format": 2, "space"\n')
    with pytest.raises(RunError, match=r"spec\.jsonl: cannot be read"):
        studied(SPEC, world / "runs", by="random", trials=2)


# What fails


class Failing(Fake):
    """Every training fails, as one of a damaged file does."""

    def _train(self, task: Any) -> Any:
        from dlx.search.sweep import Result

        return Result("failed", error=DlxError("no such file"))


def test_ten_failures_in_a_row_end_it_with_the_reason(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="random", trials=30)
    with study.held():
        results = sweep(study, Failing(study, loss), lambda task, result: None)
    assert len(results) == 10
    assert study.hopeless == "the last 10 trials failed: no such file"


def test_a_loss_that_is_not_finite_is_bad_and_not_best(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="tpe", trials=20)
    searched(study, lambda spec, epoch: float("nan") if spec.lr > 0.01 else loss(spec, epoch))
    bad = [o for o in study.observations if o.bad]
    assert bad
    assert all(o.status == "failed" and o.values["lr"] > 0.01 for o in bad)
    assert study.ranked()[0].values["lr"] <= 0.01


# Pruning


def test_rungs_and_verdicts() -> None:
    halving, median = Pruner("asha", 1, 3), Pruner("median", 2, startup=3)
    assert pruning.rungs(halving, 30) == (1, 3, 9, 27)
    assert pruning.rungs(median, 7) == (2, 4, 6)

    def said(pruner: Pruner, value: float, others: list[float], maximize: bool = False) -> str:
        ladder = pruning.Ladder(pruner, 30, maximize)
        trials = [Observation(n, {}, curve={pruner.first: figure}) for n, figure in enumerate([*others, value], 1)]
        for trial in trials:
            ladder.note(trial)
        return ladder.verdict(trials[-1], pruner.first)

    assert said(halving, 0.5, []) == ""
    assert "2 of 2" in said(halving, 0.5, [0.4])
    assert said(halving, 0.5, [0.5]) == ""  # as good is not worse
    assert said(halving, 0.5, [0.4], maximize=True) == ""
    assert said(halving, 0.5, [0.4, 0.6, 0.7, 0.8, 0.9]) == ""
    assert said(halving, 0.5, [0.4, math.nan, math.nan, math.nan, math.nan]) == ""  # which came, and are no better
    assert "no finite figure" in said(halving, math.nan, [0.4])
    assert said(median, 0.9, [0.1, 0.2]) == ""
    assert "the median of 3" in said(median, 0.9, [0.1, 0.2, 0.3])
    assert said(median, 0.9, [0.1, 0.2, 0.3], maximize=True) == ""


def test_curves_are_of_the_best_so_far_and_a_nan_is_none() -> None:
    rows = [{"epoch": n, "val_loss": v} for n, v in enumerate([math.nan, 3, 2, 5, None, 1], 1)]
    found = curve(rows, "val_loss")
    assert math.isnan(found[1])
    assert [found[n] for n in range(2, 7)] == [3, 2, 2, 2, 1]
    assert curve(rows, "val_accuracy") != found


def test_a_pruned_trial_continues_when_it_has_become_one_of_the_best() -> None:
    trials = [Observation(n, {}, status="pruned", curve={1: value}) for n, value in enumerate([3.0, 1.0, 2.0], 1)]
    trials[0].status, trials[0].curve = "done", {1: 0.5, 3: 0.4, 9: 0.3}

    def promoted(pruner: Pruner) -> int | None:
        ladder = pruning.Ladder(pruner, 9, False)
        for trial in trials:
            ladder.note(trial)
        return ladder.promotable()

    assert promoted(Pruner("asha", 1, 3)) is None
    trials += [Observation(n, {}, status="pruned", curve={1: 4.0}) for n in (4, 5, 6)]
    assert promoted(Pruner("asha", 1, 3)) == 2
    assert promoted(Pruner("median", 1)) is None


@given(steps=st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["curve", "pruned", "running"]), st.integers(0, 6))))
def test_a_ladder_is_what_a_look_at_every_trial_would_say(steps: list[tuple[int, str, int]]) -> None:
    pruner, trials = Pruner("asha", 1, 3), {n: Observation(n, {}) for n in range(1, 10)}
    ladder = pruning.Ladder(pruner, 30, False)
    for number, what, figure in steps:
        trial = trials[number]
        if what == "curve":  # one rung further, or back at the first
            furthest = {0: 1, 1: 3, 3: 9, 9: 27, 27: 0}[max(trial.curve, default=0)]
            value = math.nan if figure == 0 else float(figure)
            trial.curve = {**trial.curve, furthest: value} if furthest else {}
        else:
            trial.status = what
        ladder.note(trial)
        expected = None
        for rung in (27, 9, 3, 1):
            came = [(t.curve[rung], n) for n, t in trials.items() if t.curve.get(rung, math.nan) == t.curve.get(rung)]
            best = [n for _, n in sorted(came)[: len(came) // 3]]
            left = [n for n in best if trials[n].status == "pruned" and max(trials[n].curve) == rung]
            expected = left[0] if left and expected is None else expected
        assert ladder.promotable() == expected


@pytest.mark.parametrize("prune", ["asha", "median"])
def test_pruning_saves_epochs_and_finds_the_same(world: Path, prune: str) -> None:
    whole = studied(SPEC, world / "a", by="random", trials=30)
    searched(whole, loss)
    study = studied(SPEC, world / "b", by="random", trials=30, prune=prune)
    searched(study, loss)
    assert {o.status for o in study.observations} == {"done", "pruned"}
    assert study.ranked()[0].values == whole.ranked()[0].values
    rows = sum(max(o.curve, default=0) for o in study.observations)
    assert rows < 0.7 * 30 * 9
    for observation in study.observations:
        (path,) = dict.fromkeys(observation.runs)
        epochs = [json.loads(line)["epoch"] for line in (path / "history.jsonl").read_text().splitlines()]
        assert epochs == list(range(1, len(epochs) + 1)), "none twice, none missing"


# What came of it


def test_the_best_and_what_set_it_apart(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="random", trials=40)
    searched(study, loss)
    shares = winner.importance(study)
    assert set(shares) == {"lr", "layers.1.units", "optimizer"}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["optimizer"] < shares["lr"]
    assert winner.flattery(study) is None  # a loss says nothing of its own error


def test_the_pareto_set_is_what_nothing_beats(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="nsga2", trials=12, objectives=["val_loss", "parameters"])
    searched(study, loss)
    front = winner.pareto(study)
    best = min(o.figures[0] for o in study.ranked() if o.figures)
    assert [o.figures for o in front] == [(best, 10.0)]  # all have ten parameters here


def test_an_export_is_read_by_optuna(world: Path) -> None:
    import optuna

    study = studied(SPEC, world / "runs", by="random", trials=5, prune="asha")
    searched(study, loss)
    assert winner.export(study, world / "s.db") == 5
    read = optuna.load_study(study_name="spec", storage=f"sqlite:///{world / 's.db'}")
    assert len(read.trials) == 5
    assert read.best_value == study.ranked()[0].figures[0]  # type: ignore[index]
    assert {trial.state.name for trial in read.trials} <= {"COMPLETE", "PRUNED"}
    with pytest.raises(DlxError, match="is there already"):
        winner.export(study, world / "s.db")


def test_the_best_are_confirmed_with_fresh_seeds(world: Path) -> None:
    source = {**SPEC, "search": {"random": {"trials": 5, "confirm": {"top": 2, "seeds": 3}}}}
    study = studied(source, world / "runs")
    fake = searched(study, lambda spec, epoch: loss(spec, epoch) + spec.seed % 7 / 100)
    assert len(fake.trained) == 5 + 6
    assert len({task.spec.seed for task in fake.trained[5:]}) == 3
    assert not {task.spec.seed for task in fake.trained[5:]} & {42}
    rows = winner.confirmed(study)
    assert [row.figure for row in rows] == ["val_loss", "val_loss"]
    assert all(row.low < row.mean < row.high for row in rows)
    again = studied(source, world / "runs")
    assert searched(again, loss).trained == []
    assert [row.mean for row in winner.confirmed(again)] == [row.mean for row in rows]


# Evolution


def test_layers_evolve_where_the_sweep_names_them(world: Path) -> None:
    source = {
        **SPEC,
        "sweep": {"lr": "log 1e-3..1e-1", "layers": [["flatten", {"dense": {"units": 8, "activation": "relu"}}, "output"]],
                  "layers.*.dense.units": "4..64"},
    }  # fmt: skip
    kinds = {"evolution": {"trials": 40, "population": 8, "kinds": ["dense", "dropout"], "max_parameters": 150}}
    study = studied({**source, "search": kinds}, world / "runs")

    def depth(spec: Spec, epoch: int) -> float:
        return abs(len(spec.layers) - 5) + 1 / epoch

    searched(study, depth)
    assert len({o.key for o in study.observations}) == 40
    shapes = {len(study.trials[o.number].spec.layers) for o in study.observations}
    assert len(shapes) > 2
    assert study.ranked()[0].figures[0] < 1  # type: ignore[index]
    for observation in study.observations:
        layers = study.trials[observation.number].spec.layers
        assert layers[-1].name == "output"
        assert {part.name for part in layers} <= {"flatten", "dense", "dropout", "output"}
        assert measured(study.trials[observation.number].spec) <= 150
        assert all(parent < observation.number for parent in observation.parents)
    assert any(o.parents for o in study.observations)
    again = studied({**source, "search": kinds}, world / "runs")
    assert [o.key for o in again.observations] == [o.key for o in study.observations]


@pytest.mark.parametrize("by", DRAWN)
def test_a_sampler_is_a_function_of_what_it_is_given(world: Path, by: str) -> None:
    study = studied(SPEC, world / "runs", by=by, trials=12)
    searched(study, loss)
    drawn = [next_trial(study.sampler, study.space, 5, 13, study.observations, lambda trial: False) for _ in range(2)]
    assert drawn[0] is not None
    assert drawn[1] is not None
    assert drawn[0].trial.key == drawn[1].trial.key


def test_every_search_has_its_sampler() -> None:
    assert {*MODULES, "grid"} == set(REGISTRIES["search"])


# What was wrong once


@pytest.mark.parametrize("by", ["tpe", "evolution"])
def test_a_ledger_that_is_gone_is_made_again_from_the_runs(world: Path, by: str) -> None:
    source: dict[str, Any] = {**SPEC}
    if by == "evolution":
        source["sweep"] = {"lr": "log 1e-3..1e-1", "layers": [["flatten", {"dense": 8}, {"dropout": 0.2}, "output"]]}
        source["search"] = {"evolution": {"trials": 8, "population": 3, "sample": 2}}

    def rate(spec: Spec, epoch: int) -> float:
        return spec.lr + 1 / epoch

    first = studied(source, world / "runs", by=by, trials=8)
    searched(first, rate)
    (world / "runs/.sweeps/spec.jsonl").unlink()
    again = studied(source, world / "runs", by=by, trials=8)
    assert [o.key for o in again.observations] == [o.key for o in first.observations]
    assert searched(again, rate).trained == []


@pytest.mark.parametrize(
    ("search", "sweep", "said"),
    [
        ({"evolution": {"kinds": ["dense", "nonsense"]}}, {}, "kinds: unknown layer 'nonsense'"),
        ({"evolution": {"kinds": ["output"]}}, {}, "output is always the last"),
        ({"evolution": {"kinds": []}}, {}, "kinds is empty"),
        ({"tpe": {"objectives": ["val_loss", "val_loss"]}}, {}, "named twice"),
        ({"random": 3}, {"seed": [1, 2]}, "the luckiest seed would win"),
        ({"random": 3}, {"validation": "0.1..0.3"}, "judged on other examples"),
        ({"grid": {"repeats": 2}}, {"seed": [1, 2], "lr": [1, 2]}, "--repeat varies it too"),
    ],
)
def test_what_no_search_can_be_is_said_at_once(world: Path, search: Any, sweep: Any, said: str) -> None:
    with pytest.raises(DlxError) as caught:
        studied({**SPEC, "search": search, "sweep": sweep or SPEC["sweep"]}, world / "runs")
    assert said in str(caught.value)


def test_a_network_that_is_too_large_to_begin_with_is_said_at_once(world: Path) -> None:
    source = {**SPEC, "sweep": {"layers": [["flatten", {"dense": 80}, "output"]], "lr": [1, 2]}}
    study = studied({**source, "search": {"evolution": {"max_parameters": 50}}}, world / "runs")
    with pytest.raises(DlxError, match="it begins with 80 parameters, max_parameters is 50"):
        searched(study, loss)


def test_another_processs_trials_are_read_again(world: Path) -> None:
    late = studied(SPEC, world / "runs", by="random", trials=5)
    searched(studied(SPEC, world / "runs", by="random", trials=3), loss)
    fake = searched(late, loss)
    assert len(fake.trained) == 2
    assert [o.number for o in late.observations] == [1, 2, 3, 4, 5]


def test_cma_es_learns_past_a_pruned_trial(world: Path) -> None:
    study = studied(SPEC, world / "runs", by="cma_es", trials=60, prune="asha")
    searched(study, loss)
    late = [abs(math.log10(o.values["lr"]) + 2) for o in study.observations[40:]]
    early = [abs(math.log10(o.values["lr"]) + 2) for o in study.observations[:10]]
    assert any(o.status == "pruned" for o in study.observations)
    assert sum(late) / len(late) < sum(early) / len(early)


def test_a_promoted_trial_is_complete_for_the_sampler(world: Path) -> None:
    from dlx.search.samplers.optuna import Optuna

    study = studied(SPEC, world / "runs", by="tpe", trials=3)
    searched(study, loss)
    sampler = study.sampler
    assert isinstance(sampler, Optuna)
    first = study.observations[0]
    figures, first.status, first.figures, first.curve = first.figures, "pruned", None, {1: 3.0}
    sampler._frozen.clear()
    assert sampler.frozen(study.observations)[0].state.name == "PRUNED"
    first.status, first.figures = "done", figures
    assert sampler.frozen(study.observations)[0].state.name == "COMPLETE"


@pytest.mark.parametrize("by", ["cma_es", "evolution", "tpe"])
def test_a_dimension_more_or_less_harms_no_search(world: Path, by: str) -> None:
    searched(studied(SPEC, world / "runs", by=by, trials=24), loss)
    more = {**SPEC, "sweep": {**SPEC["sweep"], "layers.dropout.rate": "0..0.5"}}
    assert len(searched(studied(more, world / "runs", by=by, trials=26), loss).trained) == 2
    assert len(searched(studied(SPEC, world / "runs", by=by, trials=60), loss).trained) > 0


def test_a_line_that_a_kill_has_cut_off_was_not_written(world: Path) -> None:
    first = studied(SPEC, world / "runs", by="random", trials=4)
    searched(first, loss)
    path = world / "runs/.sweeps/spec.jsonl"
    whole = path.read_text()
    assert len(whole.splitlines()) == 5
    path.write_text(whole[:-9])
    again = studied(SPEC, world / "runs", by="random", trials=4)
    assert [o.number for o in again.observations] == [1, 2, 3]
    assert len(searched(again, loss).trained) == 1  # the same, again: which trial comes next follows from the others
    assert path.read_text() == whole
    assert len(list((world / "runs").glob("spec-*"))) == 5


def test_a_ledger_of_an_earlier_version_goes_on(world: Path) -> None:
    first = studied(SPEC, world / "runs", by="random", trials=3)
    searched(first, loss)
    folder = world / "runs/.sweeps"
    head, *rows = map(json.loads, (folder / "spec.jsonl").read_text().splitlines())
    (folder / "spec.jsonl").unlink()
    (folder / "spec.json").write_text(json.dumps({"format": 1, "space": head["space"], "issued": rows}))
    again = studied(SPEC, world / "runs", by="random", trials=4)
    assert [o.key for o in again.observations] == [o.key for o in first.observations]
    assert len(searched(again, loss).trained) == 1
    assert len((folder / "spec.jsonl").read_text().splitlines()) == 5
    assert not (folder / "spec.json").exists()


@pytest.mark.parametrize(
    "document",
    [
        '{"format": 9, "space": "", "issued": []}',
        '{"format": 1, "space": "", "issued": 5}',
        '{"format": 1, "space": "", "issued": [5]}',
        "[1]",
    ],
)
def test_a_ledger_that_is_none_is_refused(world: Path, document: str) -> None:
    (world / "runs/.sweeps").mkdir(parents=True)
    (world / "runs/.sweeps/spec.json").write_text(document)
    with pytest.raises(RunError, match="cannot be read"):
        studied(SPEC, world / "runs", by="random", trials=2)


@pytest.mark.parametrize("spec", [{"values": 5, "layers": []}, {"layers": 5}, {"values": {"lr": [1]}, "layers": [3]}])
def test_a_trial_of_a_stranger_is_none_of_the_space(world: Path, spec: object) -> None:
    row = {"values": {"lr": 0.01}, "key": "x", "spec": spec}
    (world / "runs/.sweeps").mkdir(parents=True)
    (world / "runs/.sweeps/spec.json").write_text(json.dumps({"format": 1, "space": "", "issued": [row]}))
    study = studied(SPEC, world / "runs", by="random", trials=2)
    assert study.observations == []


def test_the_export_of_evolved_layers_is_read_by_optuna(world: Path) -> None:
    import optuna

    source = {**SPEC, "sweep": {"lr": "log 1e-3..1e-1", "layers": [["flatten", {"dense": 8}, "output"]]}}
    study = studied(source, world / "runs", by="evolution", trials=6)
    searched(study, lambda spec, epoch: spec.lr)
    winner.export(study, world / "s.db")
    read = optuna.load_study(study_name="spec", storage=f"sqlite:///{world / 's.db'}")
    assert [set(trial.params) for trial in read.trials] == [{"lr"}] * 6
