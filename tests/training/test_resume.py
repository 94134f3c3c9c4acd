"""Going on: the run that was stopped is the run that nobody stopped; what would make it another is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CACHE, Dlx
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "torture"))

import evidence

from dlx import spec as specs
from dlx.engine.fit import with_state
from dlx.engine.loop import Loop
from dlx.engine.plan import Plan, Progress, seed_of
from dlx.errors import RunError
from dlx.runs.run import ABSENT, Run
from dlx.spec.sections import flat, resolved
from dlx.system import backend, files
from dlx.training import checkpoints
from dlx.training.experiment import prepare
from dlx.training.outcome import Observer, Outcome
from dlx.training.resume import resume, unfinished
from dlx.training.session import Options
from dlx.training.tensorboard import _cut
from dlx.training.train import train

SPECS = {
    "dropout_bn": """\
dataset: digits
test: 0.2
preprocess: [standardize]
layers: [flatten, {dense: 24}, batch_normalization, {activation: relu}, {dropout: 0.4}, output]
regularization: {l2: 0.001}
batch_size: 100
epochs: 5
""",
    "augmented": """\
dataset: digits
test: 0.2
preprocess: [rescale]
augment: [{shift: 0.1}, {rotate: 10}]
layers: [{conv2d: {filters: 4, kernel_size: 3, activation: relu}}, {dropout: 0.2}, flatten, output]
schedule: {cosine: {warmup: 0.2}}
batch_size: 200
steps: 25
""",
    "plateau_early_stop": """\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {dense: {units: 32, activation: relu}}, {dropout: 0.3}, output]
optimizer: {sgd: {momentum: 0.9}}
lr: 0.6
schedule: {plateau: {patience: 2, factor: 0.5}}
early_stop: {patience: 4, min_delta: 0.002}
batch_size: 60
epochs: 60
""",
    "logged": """\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {dense: 12}, {dropout: 0.2}, output]
regularization: {l2: 0.001}
log_every: 3
snapshots: [0, 1, 3]
histograms: 2
keep: last
batch_size: 200
epochs: 4
""",
    "bfloat16": """\
dataset: digits
test: 0.2
preprocess: [rescale]
precision: mixed_bfloat16
layers: [flatten, {dense: {units: 32, activation: relu}}, batch_normalization, {dropout: 0.3}, output]
batch_size: 100
epochs: 5
""",
}


class Stops(Observer):
    """Sends this process a signal once the training has come to a step."""

    def __init__(self, step: int, number: int = signal.SIGTERM) -> None:
        self.step, self.number = step, number

    def progressed(self, experiment: Any, progress: Progress) -> None:
        if progress.step >= self.step:
            os.kill(os.getpid(), self.number)


def begin(world: Path, name: str, text: str, stop: int | None = None, chunk: int = 7) -> Outcome:
    (world / f"{name}.yaml").write_text(text)
    experiment = prepare(specs.load(world / f"{name}.yaml"))
    return train(experiment, world / "runs", options(None if stop is None else Stops(stop), chunk))


AUTO = {"backend": "auto", "device": "auto"}


def options(observer: Observer | None = None, chunk: int | None = 7) -> Options:
    return Options(observer=observer or Observer(), chunk_steps=chunk)


def go_on(run: Run, stop: int | None = None, **given: Any) -> Outcome:
    return resume(run, device=AUTO, options=options(None if stop is None else Stops(stop)), **given)


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of dropout_bn that was stopped after 20 of its 65 steps: trained once, copied by `stopped`."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlx.training.tracker.CheckpointKeeper.due", lambda keeper: False)  # one checkpoint, at the stop
        outcome = begin(folder, "s", SPECS["dropout_bn"], 20)
    assert (outcome.status, outcome.exit_code) == ("interrupted", 143)
    return folder


@pytest.fixture
def stopped(world: Path, stopped_once: Path) -> Run:
    """A run of dropout_bn, in this test's own folder, that was stopped after 20 of its 65 steps."""
    shutil.copytree(stopped_once, world, dirs_exist_ok=True)
    return Run(world / "runs" / "s-1")


@pytest.mark.parametrize("name", SPECS)
def test_a_stopped_run_becomes_the_run_without_a_stop(world: Path, name: str) -> None:
    whole = begin(world, "whole", SPECS[name])
    assert whole.status == "done"
    run = begin(world, "cut", SPECS[name], 9).run
    assert run.status == "interrupted"
    assert go_on(run, 16).status == "interrupted"
    assert go_on(run).status == "done"
    expected, found = evidence.everything(whole.run.path), evidence.everything(run.path)
    for key, value in expected.items():
        assert found[key] == value, key
    assert evidence.logged_once(run.path) == []
    assert [event["step"] >= 9 for event in run.info()["resumed"]] == [True, True]
    assert len(evidence.checkpoints(run.path)) == 1


# Three things that a resume must carry: without one of them it is another training.


def _another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    _other_seeds(monkeypatch, lambda purpose: purpose == "order")


def _other_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    _other_seeds(monkeypatch, lambda purpose: purpose.startswith("layer"))


def _other_seeds(monkeypatch: pytest.MonkeyPatch, concerns: Any) -> None:
    def seeds_of(self: Any, plan: Plan) -> np.ndarray:
        found = [seed_of(plan.seed + concerns(purpose), purpose) for purpose in self.purposes]
        return np.array(found, np.int64)

    monkeypatch.setattr(Loop, "seeds_of", seeds_of)
    CACHE.clear()


def _no_stopping_state(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = with_state

    def loaded(program: Any, arrays: Any) -> Any:
        fresh = program.save(program.state)
        left_out = ("loop/waited", "loop/stop_best", "loop/plateau_waited", "loop/plateau_best")
        return whole(program, {**arrays, **{name: fresh[name] for name in left_out}})

    monkeypatch.setattr("dlx.training.train.with_state", loaded)


@pytest.mark.parametrize(
    ("ablate", "name"),
    [
        (_another_order, "dropout_bn"),
        (_other_dropout, "dropout_bn"),
        (_no_stopping_state, "plateau_early_stop"),
    ],
)
def test_leaving_something_out_is_noticed(world: Path, monkeypatch: pytest.MonkeyPatch, ablate: Any, name: str) -> None:
    whole = begin(world, "whole", SPECS[name])
    steps = int(whole.metrics["steps"])
    run = begin(world, "cut", SPECS[name], steps - 22 * 2).run  # while it waits for something better
    ablate(monkeypatch)
    assert go_on(run).status == "done"
    CACHE.clear()
    assert evidence.everything(run.path) != evidence.everything(whole.run.path)


def test_killed_before_the_first_checkpoint_it_begins_anew(world: Path) -> None:
    whole = begin(world, "whole", SPECS["dropout_bn"])
    run = begin(world, "cut", SPECS["dropout_bn"], 20).run
    for number in evidence.checkpoints(run.path):
        for file in (run.checkpoints / str(number)).iterdir():
            file.unlink()
        (run.checkpoints / str(number)).rmdir()
    backend.prepare(1, "float32")
    assert go_on(run).status == "done"
    assert evidence.everything(run.path) == evidence.everything(whole.run.path)


def test_a_child_that_is_killed_at_once_goes_on_from_its_parents_end(world: Path) -> None:
    class Dies(Observer):
        def started(self, *what: Any) -> None:
            raise KeyboardInterrupt

    text = SPECS["dropout_bn"]
    begin(world, "p", text)
    longer = begin(world, "longer", text.replace("epochs: 5", "epochs: 8")).run
    child = resume(Run(world / "runs" / "p-1"), ["epochs=8"], device=AUTO, options=options(Dies(), None)).run
    assert (child.status, len(child.history())) == ("interrupted", 5)
    assert go_on(child).status == "done"
    for key in ("history", "weights", "state", "predictions"):
        assert evidence.everything(child.path)[key] == evidence.everything(longer.path)[key], key


def test_weights_of_another_run_are_given_again_where_there_is_no_checkpoint(world: Path) -> None:
    donor = begin(world, "donor", SPECS["dropout_bn"]).run
    text = SPECS["dropout_bn"].replace("lr: ", "") + f"weights: {donor.path}\n"
    whole = begin(world, "whole", text).run
    run = begin(world, "cut", text, 20).run
    shutil.rmtree(run.checkpoints)
    backend.prepare(1, "float32")
    assert go_on(run).status == "done"
    assert evidence.everything(run.path) == evidence.everything(whole.path)


def test_a_spec_that_was_changed_since_is_not_gone_on_with(dlx: Dlx, stopped: Run) -> None:
    stopped.spec_file.write_text(stopped.spec_file.read_text().replace("l2: 0.001", "l2: 0.1"))
    result = dlx("resume", stopped.name)
    assert result.code == 2
    assert "regularization.l2 was 0.001, is 0.1" in result.err


@pytest.mark.parametrize("settings", [[], ["-s", "epochs=9"]])
def test_what_a_spec_got_since_is_not_gone_on_with(dlx: Dlx, stopped: Run, settings: list[str]) -> None:
    with stopped.spec_file.open("a") as stream:
        stream.write("class_weight: balanced\n")
    result = dlx("resume", stopped.name, *settings)
    assert result.code == 2
    assert "class_weight was not there, is balanced" in result.err


def test_a_run_with_more_settings_is_another_one(dlx: Dlx, world: Path) -> None:
    (world / "x.yaml").write_text(SPECS["dropout_bn"].replace("regularization: {l2: 0.001}\n", ""))
    begin(world, "x", SPECS["dropout_bn"], 20)
    assert unfinished(specs.load(world / "x.yaml"), world / "runs") is not None
    (world / "x.yaml").write_text(SPECS["dropout_bn"].replace("regularization: {l2: 0.001}\n", ""))
    assert unfinished(specs.load(world / "x.yaml"), world / "runs") is None


def test_strange_fields_of_a_run_stop_nobody(dlx: Dlx, world: Path, stopped: Run) -> None:
    info = json.loads((stopped.path / "run.json").read_text())
    (stopped.path / "run.json").write_text(json.dumps({**info, "resumed": 5}))
    assert go_on(stopped, 40).exit_code == 143
    assert len(stopped.info()["resumed"]) == 1
    (stopped.path / "run.json").write_text(json.dumps({**info, "code": ["a"]}))
    assert "run.json has no mapping under 'code'" in dlx("resume", stopped.name).err
    assert dlx("run", "s.yaml").code == 0


def test_a_long_history_is_read_as_far_as_it_goes(stopped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.runs.history.MOST", 10)
    assert go_on(stopped).status == "done"


def test_a_checkpoint_too_large_for_the_memory_is_passed_over(stopped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on(stopped, 40)
    newest, before = evidence.checkpoints(stopped.path)
    read = files.contents

    def contents(root: Path, name: str, most: int) -> bytes:
        if name == f"{newest}/state.npz":
            raise MemoryError
        return read(root, name, most)

    monkeypatch.setattr(files, "contents", contents)
    found, passed = checkpoints.newest(stopped.checkpoints, lambda info: "")
    assert found is not None
    assert (found.number, passed) == (before, [f"checkpoint {newest}: is too large for the memory"])
    os.truncate(stopped.checkpoints / str(before) / "state.npz", 2**31)  # of holes
    assert "is larger than" in checkpoints.newest(stopped.checkpoints, lambda info: "", 2**30)[1][1]


def test_a_validation_that_cannot_be_read_costs_no_epoch(world: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)
    for number, image in enumerate(pixels):
        place = world / "data" / ("test" if number % 3 == 0 else "train") / f"class_{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")
    text = """\
dataset: {image_folder: {path: data, in_memory: false}}
validation: test
layers: [flatten, {dense: 4}, {dropout: 0.5}, output]
batch_size: 4
epochs: 6
"""
    file = world / "data" / "test" / "class_0" / "0.png"
    whole, raw = begin(world, "whole", text).run, file.read_bytes()

    class Cuts(Observer):
        def progressed(self, experiment: Any, progress: Progress) -> None:
            if progress.epochs == 2:
                file.write_bytes(raw[:60])

    experiment = prepare(specs.load(world / "whole.yaml"))
    outcome = train(experiment, world / "runs", options(Cuts()))
    assert outcome.status == "failed"
    assert len(outcome.run.history()) == 2
    for number in evidence.checkpoints(outcome.run.path):
        assert json.loads((outcome.run.checkpoints / f"{number}/state.json").read_text())["step"] <= 8
    file.write_bytes(raw)
    assert go_on(outcome.run).status == "done"
    assert evidence.everything(outcome.run.path) == evidence.everything(whole.path)


def test_what_is_no_run_is_in_nobodys_way(dlx: Dlx, world: Path, stopped: Run) -> None:
    for name in ("s-7", "s-notes"):
        (world / "runs" / name).mkdir()
    result = dlx("run", "s.yaml")
    assert result.code == 0, result.err
    assert "dlx resume s-1" in result.out


def test_an_ignored_signal_stays_ignored(world: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        (world / "s.yaml").write_text(SPECS["dropout_bn"])
        experiment = prepare(specs.load(world / "s.yaml"))
        outcome = train(experiment, world / "runs", options(Stops(20, signal.SIGHUP)))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (outcome.status, outcome.exit_code) == ("done", 0)


def test_a_reader_that_goes_away_stops_no_training(world: Path) -> None:
    class Gone(Observer):
        def progressed(self, *what: Any) -> None:
            raise BrokenPipeError

    (world / "s.yaml").write_text(SPECS["dropout_bn"])
    experiment = prepare(specs.load(world / "s.yaml"))
    assert train(experiment, world / "runs", options(Gone())).status == "done"


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(dlx: Dlx, world: Path, stopped: Run) -> None:
    go_on(stopped, 40)
    newest, before = evidence.checkpoints(stopped.path)
    file = stopped.checkpoints / str(newest) / "state.npz"
    file.write_bytes(file.read_bytes()[:-100])
    result = dlx("resume", stopped.name)
    assert result.code == 0, result.err
    assert f"skipped checkpoint {newest}: state.npz has changed" in result.out
    assert f"skipped checkpoint {newest}" in (stopped.path / "log.txt").read_text()
    assert before < newest
    whole = begin(world, "whole", SPECS["dropout_bn"])
    assert evidence.everything(stopped.path) == evidence.everything(whole.run.path)


def test_without_a_whole_checkpoint_it_says_so(dlx: Dlx, stopped: Run) -> None:
    for number in evidence.checkpoints(stopped.path):
        (stopped.checkpoints / str(number) / "MANIFEST").write_text("")
    result = dlx("resume", stopped.name)
    assert result.code == 2
    assert "has no whole checkpoint" in result.err
    assert "trains it from the start" in result.err
    assert stopped.status == "interrupted"


def test_a_history_that_lost_rows_is_not_gone_on_with(dlx: Dlx, stopped: Run) -> None:
    (stopped.path / "history.jsonl").write_text("")
    result = dlx("resume", stopped.name)
    assert result.code == 2
    assert "history.jsonl differs from what it was then" in result.err


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("arithmetic", 0, "arithmetic was 0"),
        ("versions", {"keras": "3.0.0"}, "keras was 3.0.0"),
        ("processor", "Z80", "processor was Z80"),
        ("dataset", {"fingerprint": "0" * 64}, "data was 000000000000…"),
        ("dataset", {"train": 12}, "train was 12"),
    ],
)
def test_other_circumstances_are_refused_or_recorded(dlx: Dlx, stopped: Run, key: str, value: Any, said: str) -> None:
    info = json.loads((stopped.path / "run.json").read_text())
    info[key] = {**info[key], **value} if isinstance(value, dict) else value
    (stopped.path / "run.json").write_text(json.dumps(info))
    refused = dlx("resume", stopped.name)
    assert refused.code == 2
    assert f"would not continue as it was: {said}" in refused.err
    assert "--force" in refused.err
    assert stopped.status == "interrupted"
    assert dlx("resume", stopped.name, "--force").code == 0
    (event,) = stopped.info()["resumed"]
    assert any(said in line for line in event["forced"])


def test_a_child_says_what_it_was_forced_to(dlx: Dlx, stopped: Run) -> None:
    info = json.loads((stopped.path / "run.json").read_text())
    (stopped.path / "run.json").write_text(json.dumps({**info, "processor": "Z80"}))
    assert dlx("resume", stopped.name, "-s", "epochs=6").code == 2
    result = dlx("resume", stopped.name, "-s", "epochs=6", "--force")
    assert result.code == 0
    assert "forced: processor was Z80" in result.out
    (event,) = Run(stopped.path.with_name("s-2")).info()["resumed"]
    assert "processor was Z80" in event["forced"][0]


def test_a_backend_that_is_not_the_runs_is_refused(dlx: Dlx, stopped: Run) -> None:
    other = "jax" if backend.load().backend == "tensorflow" else "tensorflow"
    assert dlx("resume", stopped.name, "--backend", other).code == 2


def test_the_threads_of_the_run_are_set_again(shell: Dlx, world: Path, stopped: Run) -> None:
    info = json.loads((stopped.path / "run.json").read_text())
    (stopped.path / "run.json").write_text(json.dumps({**info, "threads": 1}))
    result = shell("resume", stopped.name, "--json")
    if info["backend"] == "jax":  # which takes the cores that there are
        assert result.code == (0 if info["threads"] == 1 else 2)
    else:
        assert result.code == 0, result.err
        assert json.loads((stopped.path / "run.json").read_text())["threads"] == 1


# Training further


def test_a_finished_run_goes_on_as_a_child(dlx: Dlx, world: Path) -> None:
    text = SPECS["dropout_bn"]
    parent = begin(world, "p", text).run
    before = evidence.everything(parent.path)
    longer = begin(world, "longer", text.replace("epochs: 5", "epochs: 8")).run
    result = dlx("resume", "p-1", "-s", "epochs=8", "--json")
    assert result.code == 0, result.err
    child = Run(world / "runs" / "p-2")
    assert child.info()["parent"] == "p-1"
    assert evidence.everything(parent.path) == before
    assert child.info()["settings"]["epochs"] == 8
    expected, found = evidence.everything(longer.path), evidence.everything(child.path)
    for key in ("history", "weights", "state", "predictions"):
        assert found[key] == expected[key], key
    assert evidence.logged_once(child.path) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["lr=0.1"], "lr cannot change in a training that continues"),
        (["epochs=3"], "has trained 5 epochs (65 steps) already"),
        (["epochs=abc"], "-s epochs=abc"),
    ],
)
def test_what_a_child_cannot_be(dlx: Dlx, world: Path, settings: list[str], said: str) -> None:
    begin(world, "p", SPECS["dropout_bn"])
    result = dlx("resume", "p-1", *(word for text in settings for word in ("-s", text)))
    assert result.code == 2
    assert said in result.err
    assert [path.name for path in (world / "runs").iterdir()] == ["p-1"]


def test_a_training_that_ended_within_an_epoch_goes_on_in_it(dlx: Dlx, world: Path) -> None:
    begin(world, "p", SPECS["augmented"].replace("schedule: {cosine: {warmup: 0.2}}\n", ""))
    assert dlx("resume", "p-1", "-s", "epochs=6").code == 0
    child = Run(world / "runs" / "p-2")
    assert [row["epoch"] for row in child.history()] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in child.history()] == [7, 14, 21, 28, 35, 42]
    assert "steps" not in child.info()["settings"] or child.info()["settings"]["steps"] is None
    metrics = child.metrics() or {}
    (best,) = [row for row in child.history() if row["epoch"] == metrics["best_epoch"]]
    assert metrics["val_loss"] == pytest.approx(best["val_loss"], rel=1e-5)
    assert metrics["total_seconds"] >= metrics["train_seconds"]


def test_one_that_stopped_early_needs_more_patience(dlx: Dlx, world: Path) -> None:
    outcome = begin(world, "p", SPECS["plateau_early_stop"])
    assert outcome.metrics["epochs"] < 60
    refused = dlx("resume", "p-1", "-s", "epochs=70")
    assert refused.code == 2
    assert "stopped after 4 epochs without a better val_loss" in refused.err
    assert dlx("resume", "p-1", "-s", f"epochs={outcome.metrics['epochs'] + 2}", "-s", "early_stop=null").code == 0
    assert Run(world / "runs" / "p-2").metrics()["epochs"] == outcome.metrics["epochs"] + 2


# What resume is for, and what it is not


def test_resume_finds_the_newest_that_was_stopped(dlx: Dlx, gate: Path, stopped: Run) -> None:
    dlx("run", gate)
    result = dlx("resume", "--json")
    assert result.code == 0, result.err
    assert result.lines[0]["run"] == "runs/s-1"
    again = dlx("resume")
    assert again.code == 2
    assert "no run is interrupted" in again.err
    done = dlx("resume", "s-1")
    assert done.code == 2
    assert "dlx resume s-1 -s epochs=N trains it further" in done.err


def test_run_says_that_its_spec_can_go_on(dlx: Dlx, world: Path, stopped: Run) -> None:
    result = dlx("run", "s.yaml", "-s", "epochs=5")
    assert "it continues with:\n  dlx resume s-1\n" in result.out
    other = dlx("run", "s.yaml", "-s", "lr=0.01")
    assert "dlx resume s-1" not in other.out


def test_a_run_that_diverged_would_do_so_again(dlx: Dlx, world: Path) -> None:
    text = SPECS["dropout_bn"].replace("[standardize]", "[]").replace("{dropout: 0.4}", "{rescaling: 1.0e+30}")
    begin(world, "d", text + "optimizer: sgd\nlr: 1.0e+30\n")
    assert Run(world / "runs" / "d-1").status == "failed"
    result = dlx("resume", "d-1")
    assert result.code == 2
    assert "would come to the same again: the loss is not finite" in result.err


HOLD = """\
import sys, time
from pathlib import Path
from dlx.runs.run import Run
run = Run(Path(sys.argv[1]))
run.take_up()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def held(stopped: Run) -> Iterator[Run]:
    """A run whose lock another process has."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(stopped.path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield stopped
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_writer_is_refused(dlx: Dlx, held: Run) -> None:
    with pytest.raises(RunError, match="is running"):
        Run(held.path).take_up()
    os.unlink(held.path / "failure.json")
    assert held.status == "running"
    result = dlx("resume", held.name)
    assert result.code == 2
    assert "is running" in result.err


def test_a_run_that_holds_a_link_is_not_written_to(dlx: Dlx, world: Path, stopped: Run) -> None:
    (world / "elsewhere").mkdir()
    (stopped.path / "tensorboard").rename(stopped.path / "away")
    (stopped.path / "tensorboard").symlink_to(world / "elsewhere")
    result = dlx("resume", stopped.name)
    assert result.code == 2
    assert "holds tensorboard, which is a link, a device, or a file with a second name" in result.err
    assert not list((world / "elsewhere").iterdir())


# Polite stops


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 75), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_the_exit_code_says_what_stopped_it(world: Path, number: int, code: int) -> None:
    (world / "s.yaml").write_text(SPECS["dropout_bn"])
    experiment = prepare(specs.load(world / "s.yaml"))
    outcome = train(experiment, world / "runs", options(Stops(20, number)))
    assert (outcome.status, outcome.exit_code) == ("interrupted", code)
    failure = outcome.run.failure() or {}
    assert failure["message"] == f"stopped by {signal.Signals(number).name}"
    assert evidence.checkpoints(outcome.run.path)


def test_a_second_signal_stops_at_once_and_the_checkpoint_holds(world: Path) -> None:
    class Twice(Stops):
        def progressed(self, experiment: Any, progress: Progress) -> None:
            super().progressed(experiment, progress)
            super().progressed(experiment, progress)

    (world / "s.yaml").write_text(SPECS["dropout_bn"])
    experiment = prepare(specs.load(world / "s.yaml"))
    first = begin(world, "s", SPECS["dropout_bn"], 20).run
    outcome = resume(first, device=AUTO, options=options(Twice(40, signal.SIGINT)))
    assert (outcome.status, outcome.exit_code) == ("interrupted", 130)
    assert all(evidence.whole(first.checkpoints / str(number)) for number in evidence.checkpoints(first.path))
    assert go_on(first).status == "done"
    whole = train(experiment, world / "runs", options())
    assert evidence.everything(first.path) == evidence.everything(whole.run.path)


def test_a_sweep_goes_on_with_the_trial_that_was_stopped(dlx: Dlx, world: Path) -> None:
    text = SPECS["dropout_bn"].replace("epochs: 5", "epochs: 400") + "sweep: {lr: [0.001, 0.002]}\n"
    (world / "s.yaml").write_text(text)
    stopped = dlx("sweep", "s.yaml", "--max-time", "2s", "--json")
    assert stopped.code == 75, stopped.err
    assert [line["status"] for line in stopped.lines] in (["interrupted"], ["done", "interrupted"])
    assert dlx("sweep", "s.yaml", "--json").code == 0
    made = sorted(path.name for path in (world / "runs").iterdir())
    assert made == ["s-1", "s-2"]
    assert any(Run(world / "runs" / name).info().get("resumed") for name in made)


def test_max_time_stops_all_and_a_resume_goes_on(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(SPECS["dropout_bn"].replace("epochs: 5", "epochs: 100000"))
    result = dlx("run", "s.yaml", "s.yaml", "--max-time", "2s", "--json")
    assert result.code == 75, result.err
    assert [line["status"] for line in result.lines] == ["interrupted"]
    assert "stopped by --max-time; 1 not started" in result.err
    assert dlx("resume", "--max-time", "1s").code == 75
    assert dlx("run", "s.yaml", "--max-time", "soon").code == 2


# A status that cannot lie


def test_another_hosts_run_is_unknown(dlx: Dlx, stopped: Run) -> None:
    (stopped.path / "failure.json").unlink()
    assert stopped.status == "crashed"
    lock = stopped.path / "lock"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "host": "elsewhere", "boot_id": "another"}))
    os.utime(lock, (time.time() - 200,) * 2)
    assert stopped.status == "unknown"
    assert "unknown, last seen 3 min ago" in dlx("list").out
    assert "unknown, last seen 3 min ago" in dlx("show", stopped.name).out
    refused = dlx("resume", stopped.name)
    assert refused.code == 2
    assert "may still be running: process " in refused.err
    assert "on elsewhere was last seen 3 min ago" in refused.err
    assert dlx("rm", stopped.name).code == 2
    os.utime(lock, (time.time() - 7200,) * 2)
    assert dlx("rm", stopped.name).code == 0
    assert dlx("rm", "--restore", stopped.name).code == 0
    assert dlx("resume", stopped.name, "--force").code == 0


def test_a_container_with_another_name_is_the_same_kernel(stopped: Run) -> None:
    (stopped.path / "failure.json").unlink()
    lock = stopped.path / "lock"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "host": "elsewhere"}))
    assert stopped.status == "crashed"


def test_a_process_that_got_the_number_of_the_dead_one_is_not_it(stopped: Run) -> None:
    (stopped.path / "failure.json").unlink()
    lock = stopped.path / "lock"
    said = json.loads(lock.read_text())
    lock.write_text(json.dumps({**said, "pid": os.getppid(), "pid_started": 1}))
    assert stopped.status == "crashed"


def test_a_forked_child_does_not_hold_the_lock(world: Path) -> None:
    run = Run.create(world / "runs", "x")
    run.begin("dataset: or\n", {"settings": {}})
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        run.release()
        assert Run(run.path).status == "crashed"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_folder_of_runs_with_an_escape_in_its_name_is_shown_without_it(dlx: Dlx, stopped: Run) -> None:
    folder = stopped.path.parent.rename(stopped.path.parent.with_name("e\x1b]0;title"))
    result = dlx("resume", "s-1", "--runs-dir", folder.name)
    assert result.code == 0
    assert "\x1b" not in result.out + result.err
    assert "dlx compare 'e\\x1b]0;title'/*" in result.out


def test_event_files_that_are_gone_are_written_anew(stopped: Run) -> None:
    for file in stopped.tensorboard.rglob("*tfevents*"):
        file.unlink()
    assert go_on(stopped).status == "done"
    assert evidence.logged_once(stopped.path) == []
    assert _cut(stopped.tensorboard, {"../x": 0}) is False


# Clocks, and keys that older runs do not have


class Jumps(Stops):
    """Sets the clock once the training has come to a step, and stops it seven steps later."""

    def __init__(self, step: int, jump: float) -> None:
        super().__init__(step + 7)
        self._now, self._jump, self._at = time.time, jump, step

    def time(self) -> float:
        return self._now() + self._jump * self._set

    _set = False

    def progressed(self, experiment: Any, progress: Progress) -> None:
        self._set = progress.step >= self._at
        super().progressed(experiment, progress)


@pytest.mark.parametrize("jump", [-3600.0, 4 * 365 * 86400.0])
def test_a_clock_that_jumps_costs_nothing(world: Path, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    whole = begin(world, "whole", SPECS["dropout_bn"])
    jumps = Jumps(14, jump)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", jumps.time)
        (world / "cut.yaml").write_text(SPECS["dropout_bn"])
        run = train(prepare(specs.load("cut.yaml")), world / "runs", options(jumps)).run
        assert run.status == "interrupted"
    assert go_on(run).status == "done"
    assert run.info()["resumed"][0]["step"] == 21
    assert evidence.everything(run.path) == evidence.everything(whole.run.path)
    assert 0 < run.metrics()["train_seconds"] <= run.metrics()["total_seconds"] < 600


@pytest.mark.parametrize("key", ["total_seconds", "seconds", "carried", "steady_seconds"])
@pytest.mark.parametrize("value", [-3600.0, 1e300, "soon", None])
def test_seconds_that_cannot_be_condemn_no_checkpoint(stopped: Run, key: str, value: Any) -> None:
    (number,) = evidence.checkpoints(stopped.path)
    place = stopped.checkpoints / str(number)
    state = json.loads((place / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({**state, key: value}) + "\n")
    (place / "MANIFEST").write_text("".join(f"{files.sha256(place / n)}  {n}\n" for n in checkpoints.NAMES))
    assert go_on(stopped).status == "done"
    assert stopped.info()["resumed"][0]["step"] == 21
    assert 0 <= stopped.metrics()["train_seconds"] < 600
    assert 0 <= stopped.metrics()["total_seconds"] < 600


def test_a_checkpoint_that_does_not_tell_of_the_history_is_passed_over(dlx: Dlx, stopped: Run) -> None:
    (number,) = evidence.checkpoints(stopped.path)
    place = stopped.checkpoints / str(number)
    state = json.loads((place / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({**state, "history": None}) + "\n")
    (place / "MANIFEST").write_text("".join(f"{files.sha256(place / n)}  {n}\n" for n in checkpoints.NAMES))
    result = dlx("resume", stopped.name)
    assert result.code == 2
    assert "state.json does not tell how long history.jsonl was" in result.err


def _without(run: Run, keys: Iterable[str]) -> None:
    """Make run.json one that was written before these settings had names."""
    info = json.loads((run.path / "run.json").read_text())
    for key in keys:
        del info["settings"][key]
    (run.path / "run.json").write_text(json.dumps(info))


def test_a_run_made_before_a_key_had_a_name_continues(stopped: Run) -> None:
    new = [
        "plots", "strict", "optimizer.adam.amsgrad", "optimizer.adam.epsilon", "layers.1.dense.use_bias",
        "layers.2.batch_normalization.momentum", "layers.5.output.activation",
    ]  # fmt: skip
    _without(stopped, new)
    assert unfinished(specs.load("s.yaml"), stopped.path.parent) is not None
    assert go_on(stopped).status == "done"
    assert "forced" not in stopped.info()["resumed"][0]


def test_a_key_that_is_not_what_its_absence_meant_is_another_training(stopped: Run) -> None:
    text = stopped.spec_file.read_text()
    stopped.spec_file.write_text(text.replace("use_bias: true", "use_bias: false", 1))
    _without(stopped, ["layers.1.dense.use_bias"])
    with pytest.raises(RunError, match=r"layers\.1\.dense\.use_bias was True, is False"):
        go_on(stopped)


def test_every_key_of_a_spec_says_what_its_absence_meant(world: Path) -> None:
    """A key that is always written is in the oldest format, or says what older runs did without it."""
    oldest = json.loads((Path(__file__).parents[1] / "runs/format-1/run.json").read_text())["settings"]
    known = {key.split(".")[0] for key in oldest}
    (world / "m.yaml").write_text("dataset: or\nlayers: [output]\n")
    written = {key.split(".")[0] for key in flat(resolved(specs.load("m.yaml")))}
    assert written - known - set(ABSENT) == set()
    assert set(ABSENT) <= written
    for key, value in ABSENT.items():
        assert getattr(specs.load("m.yaml"), key) == value


def test_force_keeps_the_history_that_it_trains_again(dlx: Dlx, stopped: Run) -> None:
    """Without a checkpoint a training begins anew; what it had is kept beside it."""
    shutil.rmtree(stopped.checkpoints)
    before = (stopped.path / "history.jsonl").read_bytes()
    assert len(before.splitlines()) > 0
    info = json.loads((stopped.path / "run.json").read_text())
    (stopped.path / "run.json").write_text(json.dumps({**info, "threads": 99}))
    assert dlx("resume", "s-1").code == 2
    assert (stopped.path / "history.jsonl").read_bytes() == before
    assert dlx("resume", "s-1", "--force").code == 0
    assert (stopped.path / "history-1.jsonl").read_bytes() == before
    assert len(stopped.history()) == 5
    assert "the history so far is kept as history-1.jsonl" in (stopped.path / "log.txt").read_text()
