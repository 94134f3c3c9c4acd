"""Trainings at another place: the same runs as here, whatever becomes of the connection, the caller and the worker.

The fast tests reach a place by a program that stands in for ssh and runs the command on this machine; the slow one by
sshd on the loopback address.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import fake
import numpy as np
import pytest
from conftest import Dlx

from dlx.errors import LostError, PlaceError, RunError, SpecError
from dlx.parts.places import Place, registry
from dlx.runs.run import AWAY, Run
from dlx.search.places import courier, host, mirror, named, ray_cluster, slurm, spool, worker
from dlx.search.places.elsewhere import Elsewhere
from dlx.search.places.host import where
from dlx.training import checkpoints

SPEC = """\
dataset: {csv: {path: "it's data.csv", label: label}}
validation: 0.2
layers: [{dense: 8}, {dropout: 0.2}, output]
batch_size: 16
epochs: 6
"""
LONG = SPEC.replace("epochs: 6", "epochs: 3000")
# Options, then -- and the host, as dlx calls it; or the host and a command, as rsync does.
STAND_IN = """#!/bin/bash
[ ! -e "$DOWN" ] || exit 255
while [ $# -gt 0 ]; do
    case "$1" in
        -o) shift 2;;
        -O) exit 0;;
        -l) set -- "$1" "$2" "$2@$3" "${@:4}"; shift 2;;
        --) shift; break;;
        *) break;;
    esac
done
echo "$1" >> "$CALLS"; shift
[ "$1" = -- ] && shift
exec bash -c "$*"
"""


@pytest.fixture
def there(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a place called box, which is reached by a stand-in for ssh."""
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    programs, folder = world / "programs", world / "far away"
    programs.mkdir()
    (programs / "ssh").write_text(STAND_IN)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DOWN", str(world / "down"))
    monkeypatch.setenv("CALLS", str(world / "calls"))
    place = {"host": "me@box", "folder": str(folder), "python": sys.executable, "env": {"MARK": "it's 1"}}
    (world / named.FILE).write_text(json.dumps({"box": {"ssh": place}}))
    lines = [f"{n % 7},{n % 5},{'yes' if n % 7 > 3 else 'no'}" for n in range(120)]
    (world / "it's data.csv").write_text("a,b,label\n" + "\n".join(lines) + "\n")
    (world / "s.yaml").write_text(SPEC)
    (world / "long.yaml").write_text(LONG)
    return folder


def history(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def same(one: Path, other: Path) -> bool:
    """Whether two runs have the same history and predictions, to the bit, and the same spec."""
    arrays = [dict(np.load(path / "predictions.npz")) for path in (one, other)]
    equal = all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    specs = [(path / "spec.yaml").read_text().splitlines() for path in (one, other)]
    specs = [[line for line in lines if not line.startswith("name:")] for lines in specs]
    return equal and history(one) == history(other) and specs[0] == specs[1]


def begun(*words: str) -> subprocess.Popen[str]:
    """dlx as a program that runs on."""
    return subprocess.Popen(
        [sys.executable, "-m", "dlx", *words], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def until(condition: Any, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rows_of(path: Path) -> int:
    return len(Run(path).history()) if path.is_dir() else 0


def test_a_training_elsewhere_is_the_training_here(shell: Dlx, there: Path, world: Path) -> None:
    sent = shell("run", "s.yaml", "--on", "box", "--json")
    assert sent.code == 0, sent.err
    assert sent.lines[0]["status"] == "done"
    assert shell("run", "s.yaml").code == 0
    assert same(world / "runs" / "s-1", world / "runs" / "s-2")
    assert {p.name for p in (world / "runs" / "s-1").iterdir()} >= {"metrics.json", "model.keras", "checkpoints"}
    assert not (world / "runs" / "s-1" / AWAY).exists()
    assert list((there / "jobs").iterdir()) == []  # nothing is left there but what the next one needs
    data = list((there / "data").rglob("*.csv"))
    assert [path.name for path in data] == ["it's data.csv"]
    assert set((world / "calls").read_text().split()) == {"me@box"}


@pytest.mark.slow
def test_data_goes_by_its_fingerprint(shell: Dlx, there: Path, world: Path) -> None:
    assert shell("run", "s.yaml", "--on", "box", "-s", "epochs=2").code == 0
    data = list((there / "data").rglob("*.csv"))
    before = data[0].stat().st_mtime_ns, len(list((there / "dlx").iterdir()))
    assert shell("run", "s.yaml", "--on", "box", "-s", "epochs=2").code == 0
    assert (data[0].stat().st_mtime_ns, len(list((there / "dlx").iterdir()))) == before
    with (world / "it's data.csv").open("a") as stream:
        stream.write("1,1,no\n")
    changed = shell("run", "s.yaml", "--on", "box", "-s", "epochs=2")
    assert changed.code == 0, changed.err
    assert len(list((there / "data").iterdir())) == 2
    data[0].write_text(data[0].read_text().replace("yes", "no", 1))  # which changes what is there under a fingerprint
    shutil.copy(world / "it's data.csv", world / "kept.csv")
    (world / "it's data.csv").write_text("".join((world / "kept.csv").read_text().splitlines(True)[:-1]))
    wrong = shell("run", "s.yaml", "--on", "box", "-s", "epochs=2")
    assert wrong.code == 3
    assert "the data there is another by now" in wrong.err
    assert not (world / "runs" / "s-4").exists()


@pytest.mark.slow
def test_own_code_and_weights_travel(shell: Dlx, there: Path, world: Path) -> None:
    (world / "mine.py").write_text(
        "import os\nimport keras\nfrom dlx import layer\n\nassert os.environ.get('MARK', \"it's 1\") == \"it's 1\"\n\n\n"
        "@layer\ndef doubled(units: int = 4):\n    return keras.layers.Dense(2 * units)\n"
    )
    own = "imports: [mine.py]\n" + SPEC.replace("{dense: 8}", "{doubled: 4}")
    (world / "own.yaml").write_text(own)
    sent = shell("run", "own.yaml", "--on", "box", "--allow-code")
    assert sent.code == 0, sent.err
    assert shell("run", "own.yaml", "--allow-code").code == 0
    assert same(world / "runs" / "own-1", world / "runs" / "own-2")
    assert (world / "runs" / "own-1" / "code" / "mine.py").is_file()
    (world / "next.yaml").write_text(own + "weights: own-1\n")
    sent = shell("run", "next.yaml", "--on", "box", "--allow-code")
    assert sent.code == 0, sent.err
    assert shell("run", "next.yaml", "--allow-code").code == 0
    assert same(world / "runs" / "next-1", world / "runs" / "next-2")


@pytest.mark.slow
def test_lost_connections_callers_and_workers_lose_nothing(shell: Dlx, there: Path, world: Path) -> None:
    runs = world / "runs"
    assert shell("run", "long.yaml", "--name", "base").code == 0
    cut = begun("run", "long.yaml", "--name", "cut", "--on", "box")
    until(lambda: rows_of(runs / "cut-1") > 5)
    (world / "down").touch()
    subprocess.run(["pkill", "-f", "dlx.search.places.spool"], check=False)
    time.sleep(3)
    (world / "down").unlink()
    _, err = cut.communicate(timeout=200)
    assert cut.returncode == 0, err
    assert "is lost; the training goes on there" in err
    assert "connected to me@box again" in err

    caller = begun("run", "long.yaml", "--name", "orphan", "--on", "box")
    until(lambda: rows_of(runs / "orphan-1") > 5)
    caller.kill()
    caller.communicate()
    assert "away" in shell("list", "orphan-1").out
    assert "trains at another place" in shell("rm", "orphan-1").err
    followed = shell("resume", "orphan-1")
    assert followed.code == 0, followed.err

    dead = begun("run", "long.yaml", "--name", "dead", "--on", "box")
    until(lambda: rows_of(runs / "dead-1") > 5)
    (folder,) = (there / "jobs").iterdir()
    os.kill(json.loads((folder / spool.LOCK).read_text())["pid"], signal.SIGKILL)
    _, err = dead.communicate(timeout=200)
    assert dead.returncode == 0, err
    assert "ended; it is begun again" in err

    left = begun("run", "long.yaml", "--name", "left", "--on", "box")
    until(lambda: rows_of(runs / "left-1") > 5)
    left.send_signal(signal.SIGTERM)
    _, err = left.communicate(timeout=60)
    assert left.returncode == 143, err
    assert "follow it again:  dlx resume left-1" in err
    assert shell("resume", "left-1").code == 0
    for name in ("cut", "orphan", "dead", "left"):
        assert same(runs / "base-1", runs / f"{name}-1"), name
    assert list((there / "jobs").iterdir()) == []


@pytest.mark.slow
def test_a_sweep_elsewhere_is_the_sweep_here(shell: Dlx, there: Path, world: Path) -> None:
    place = json.loads((world / named.FILE).read_text())
    place["box"]["ssh"]["jobs"] = 2
    (world / named.FILE).write_text(json.dumps(place))
    words = ("sweep", "s.yaml", "-s", "lr=0.001,0.01,0.1,1", "--backend", "tensorflow")
    first = begun(*words, "--on", "box")
    until(lambda: min(rows_of(world / "runs" / name) for name in ("s-1", "s-2")) > 0)
    first.kill()  # its trials are nobody's until the sweep goes on
    first.communicate()
    again = shell(*words, "--on", "box")
    assert again.code == 0, again.err
    assert shell(*words, "--runs-dir", "here", "--lanes", "0").code == 0
    ours, theirs = (
        {json.loads(p.read_text())["settings"]["lr"]: p.parent for p in (world / folder).glob("s-*/run.json")}
        for folder in ("runs", "here")
    )  # a kill may leave the empty folder of one that had not begun
    assert len(ours) == len(theirs) == len(list((world / "runs").glob("s-*/run.json"))) == 4
    for rate, path in ours.items():
        assert history(path) == history(theirs[rate])
    assert "--on and --jobs" in shell(*words, "--on", "box", "--jobs", "2").err


def test_a_training_on_a_cluster_of_ray_is_the_training_here(shell: Dlx, there: Path, world: Path) -> None:
    worker = pytest.importorskip("ray._private.worker")
    assert hasattr(worker, "print_to_stdstream")  # which dlx makes quiet: it writes where JSON is wanted
    (world / named.FILE).write_text(json.dumps({"box": {"ray": {"folder": str(there)}}}))
    sent = shell("run", "s.yaml", "--on", "box")
    assert sent.code == 0, sent.err
    assert shell("run", "s.yaml").code == 0
    assert same(world / "runs" / "s-1", world / "runs" / "s-2")
    assert [path.name for path in (there / "data").rglob("*.csv")] == ["it's data.csv"]
    assert list((there / "jobs").iterdir()) == []


class Line(host.Line):
    """A line to nobody."""

    def deliver(self, order: Mapping[str, Any] | int) -> None: ...

    def copy(self) -> bool:
        return True


class Box:
    """A place with room for one worker, which knows what it was asked to remove."""

    place, name, lasts = Place("ray", jobs=3), "box", False

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.removed: list[str] = []

    def room(self) -> int:
        return 1 - len(self.jobs)

    def create(self, job: str, wait: Callable[[], bool]) -> None:
        if not self.room():
            raise LostError("no node has room for it")
        self.jobs.append(job)

    def remove(self, job: str) -> None:
        self.jobs.remove(job)
        self.removed.append(job)

    def line(self, job: str, note: host.Note, offset: int = 0) -> Line:
        return Line(job, note, offset)

    def runs(self, job: str) -> str:
        return f"/{job}"

    def tell(self, job: str, message: Mapping[str, Any]) -> None: ...
    def start(self, job: str) -> None: ...
    def close(self) -> None: ...


@pytest.mark.parametrize("lost", [True, False])
def test_a_worker_that_has_ended_holds_no_place(world: Path, lost: bool) -> None:
    (world / "s.yaml").write_text(SPEC)
    box = Box()
    told = {"root": str(world / "runs"), "parent": "s"}
    study = fake.studied({"dataset": "digits", "layers": ["output"], "epochs": 1}, world / "runs", "lr=0.1,0.2")
    elsewhere = Elsewhere(study, cast(host.Host, box), told, lambda task, event: None, print)
    worker = elsewhere.free()
    line = worker.link
    assert isinstance(line, Line)
    assert elsewhere.slots == 1
    line.lost, line.whole = lost, not lost
    line.run = Run.create(world / "runs", "s")
    line.over()
    line.run, kept = None, line.run
    assert elsewhere.slots == 1
    assert box.removed == []  # what it said last is not heard yet
    line.run = kept
    assert elsewhere.heard(0.1) == []
    assert line.run is None
    assert elsewhere.free() is not worker
    assert box.removed == [line.job]
    cast(Line, elsewhere.free().link).over()
    elsewhere.heard(0.1)
    elsewhere.close()
    assert box.jobs == []


def test_a_job_that_does_not_come_about_leaves_nothing(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()

    def lost(*_: Any) -> None:
        raise LostError("cut")

    monkeypatch.setattr(box, "tell", lost)
    with pytest.raises(LostError):
        host.new_job(cast(host.Host, box), "s", {}, lambda: False)
    assert len(box.removed) == 1
    monkeypatch.undo()
    monkeypatch.setattr(box, "start", lost)
    study = fake.studied({"dataset": "digits", "layers": ["output"], "epochs": 1}, world / "runs", "lr=0.1,0.2")
    told = {"root": str(world / "runs"), "parent": "s"}
    elsewhere = Elsewhere(study, cast(host.Host, box), told, lambda task, event: None, print)
    with pytest.raises(LostError):
        elsewhere.free()
    assert (box.jobs, len(box.removed)) == ([], 2)
    task = study.next()
    assert task is not None
    elsewhere.stop.signal = "SIGINT"  # which came while the one before was sent
    elsewhere.submit(task)
    ((_, result),) = elsewhere.ended()
    assert (result.status, result.stop) == ("not begun", "SIGINT")
    elsewhere.close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cluster of Ray whose actors answer what a test says, or raise it."""
    ray = pytest.importorskip("ray")
    actors: dict[str, Any] = {}

    def found(name: str, namespace: str) -> Any:
        if name not in actors:
            raise ValueError(f"no actor is called {name}")
        return SimpleNamespace(state=SimpleNamespace(remote=lambda: actors[name]))

    def answer(said: Any, timeout: float) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    stand_in = {"get_actor": found, "get": answer, "is_initialized": lambda: True, "exceptions": ray.exceptions}
    monkeypatch.setattr(ray_cluster, "_ray", lambda: SimpleNamespace(**stand_in))
    cluster = ray_cluster.Cluster(Place("ray", "auto"), None)
    return SimpleNamespace(actors=actors, there=cluster.there, errors=ray.exceptions, of=cluster)


def test_a_cluster_that_does_not_answer_has_the_training_still(cluster: Any) -> None:
    assert not cluster.there("job")
    cluster.actors["job"] = "dead"  # its process, not the actor
    assert cluster.there("job")
    cluster.actors["job"] = cluster.errors.ActorDiedError()
    assert not cluster.there("job")
    unknown = cluster.errors.GetTimeoutError("late"), ConnectionError("cut"), cluster.errors.RaySystemError("gone")
    for error in unknown:
        cluster.actors["job"] = error
        with pytest.raises(LostError):
            cluster.there("job")


def test_a_cluster_that_had_no_room_is_not_asked_at_once_again(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 3.0}}, {"Alive": True, "Resources": {"CPU": 3.0}}]
    there = {"is_initialized": lambda: True, "available_resources": lambda: {"CPU": 6.0}, "nodes": lambda: nodes}
    monkeypatch.setattr(ray_cluster, "_ray", lambda: SimpleNamespace(**there, exceptions=cluster.errors))
    of = ray_cluster.Cluster(Place("ray", "auto", cpus=2.0), None)
    assert of.room() == 2  # not 3: a worker is on one node
    nodes[0]["Alive"] = False
    assert of.room() == 1
    of._full = time.monotonic() + 60
    assert of.room() == 0


def test_paths_of_another_node_are_those_of_this_one() -> None:
    said = {"files": {"/a/jobs/j/runs/x.csv": "/a/data/é.csv"}, "root": "/a/jobs/j/runs", "n": 1, "l": ["/a", "/ab"]}
    there = courier.moved(said, {"/a": "/b/a", "/a/jobs/j": "/b/a/jobs/j.1"})
    assert there == {
        "files": {"/b/a/jobs/j.1/runs/x.csv": "/b/a/data/é.csv"}, "root": "/b/a/jobs/j.1/runs",
        "n": 1, "l": ["/b/a", "/ab"],
    }  # fmt: skip


def test_a_worker_that_is_tied_ends_with_whoever_holds_it(world: Path) -> None:
    (world / spool.IN).write_text('{"root": "runs", "cores": [], "backend": "auto", "device": "cpu", "devices": "1"')
    command = [sys.executable, "-P", "-m", "dlx.search.places.worker", str(world), "--tied"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    until(lambda: (world / spool.UP).exists())
    assert process.poll() is None
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def test_a_strangers_run_names_no_place_of_its_own(world: Path) -> None:
    run = Run.create(world / "runs", "theirs")
    run.release()
    for text in ("{", "[]", '{"on": "box"}', '{"on": 1, "job": "20260101-000000-a"}', '{"on": "box", "job": "../.."}'):
        (run.path / AWAY).write_text(text)
        with pytest.raises(RunError, match="names no"):
            where(run)
    (run.path / AWAY).write_text('{"on": "ssh://evil", "job": "20260101-000000-a-b1"}')
    with pytest.raises(RunError, match="sent to another place by somebody else"):
        where(run)
    (world / "cache").mkdir()
    (world / "cache" / "jobs").write_text("20260101-000000-a-b1\n")
    assert where(run) == ("ssh://evil", "20260101-000000-a-b1", 1)


def scandir_without(path: Path) -> Any:
    """os.scandir for which a folder has just gone."""
    scandir = os.scandir

    def scanned(folder: Any) -> Any:
        if Path(folder) == path:
            raise FileNotFoundError(folder)
        return scandir(folder)

    return scanned


def test_no_file_of_a_run_leads_elsewhere(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(ValueError, match="no name of a file"):
            mirror.written(world / "run", {name: b"x"})
    mirror.written(world / "run", {"checkpoints/1/MANIFEST": b"m", "history.jsonl": b"h", "metrics.json": b"{}"})
    found = mirror.changed(world / "run", {})
    assert list(found) == ["checkpoints/1/MANIFEST", "history.jsonl", "metrics.json"]  # this one last
    with monkeypatch.context() as gone:  # a checkpoint that is replaced while it is looked at
        gone.setattr(os, "scandir", scandir_without(world / "run" / "checkpoints" / "1"))
        assert list(mirror.changed(world / "run", {})) == ["history.jsonl", "metrics.json"]
    assert mirror.changed(world / "run", {name: stamp for name, (stamp, _) in found.items()}) == {}


def test_what_a_place_lacks_is_said(shell: Dlx, there: Path, world: Path) -> None:
    (world / "down").touch()
    lost = shell("run", "s.yaml", "--on", "ssh://elsewhere")
    assert lost.code == 2
    assert "elsewhere: cannot be reached" in lost.err
    assert "must work without a password" in lost.err
    (world / "down").unlink()
    bare = world / "programs" / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    (world / named.FILE).write_text(
        json.dumps(
            {"box": {"ssh": {"host": "box", "python": str(bare)}}, "none": {"ssh": {"host": "box", "python": "/none"}}}
        )
    )
    lacks = shell("run", "s.yaml", "--on", "box")
    assert lacks.code == 2
    assert "lacks keras, numpy" in lacks.err
    assert "pip install" in lacks.err
    assert "has no /none that works" in shell("run", "s.yaml", "--on", "none").err
    assert not list((world / "runs").glob("s-*"))


def test_a_place_is_checked_as_a_spec_is(world: Path) -> None:
    (world / named.FILE).write_text(
        "box: {ssh: {host: a, pyton: b}}\nfar: {shh: {host: a}}\nbig: {ssh: {jobs: none}}\nq: {slurm: {partition: gpu, options: [--mem=1G]}}\n"
    )
    with pytest.raises(SpecError) as caught:
        named.place("box")
    said = str(caught.value)
    assert "dlx.places.yaml:1:22" in said
    assert "did you mean 'python'?" in said
    assert "did you mean 'ssh'?" in said
    assert "ssh needs host" in said
    (world / named.FILE).write_text("box: {ssh: a}\nq: {slurm: {partition: gpu, options: [--mem=1G]}}\n")
    assert named.place("box").host == "a"
    assert named.place("q").options == ("--partition=gpu", "--mem=1G")
    assert named.place("ssh://me@host/scratch/dlx") == Place(
        "ssh", "me@host", "/scratch/dlx", word="ssh://me@host/scratch/dlx"
    )
    with pytest.raises(PlaceError, match=r"unknown place 'bix' \(did you mean 'box'\?\)") as unknown:
        named.place("bix")
    assert "ssh://HOST" in unknown.value.hint
    for name in registry:
        assert len(registry.help(name)) > 100


# The spool


@contextlib.contextmanager
def serving(folder: Path, script: str) -> Iterator[subprocess.Popen[str]]:
    """A process that works by a spool."""
    code = f"from pathlib import Path\nfrom dlx.search.places import spool\n{script}\nspool.serve(Path({str(folder)!r}), work)"
    process = subprocess.Popen([sys.executable, "-c", code], text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_a_worker_says_is_heard_from_any_place_on_until_it_is_gone(world: Path) -> None:
    echo = "def work(source, sink):\n    for line in source:\n        print(line, file=sink, flush=True)"
    (world / spool.IN).write_text('{"n": 1}\n{"n": 2}\n')
    with serving(world, echo) as process:
        lines = spool.follow(world, 0)
        heard = [line for line in iter(lambda: next(lines), '+{"n": 2}') if line != "."]
        assert heard == ['+{"n": 1}']
        assert spool.alive(world)
        spool.tell(world, {"n": "drei"})
        assert next(line for line in lines if line != ".") == '+{"n": "drei"}'
        spool.tell(world, {"end": True})
        assert [line for line in lines if line != "."] == ["!"]
        assert process.wait(10) == 0
    assert [line for line in spool.follow(world, 9) if line != "."] == ['+{"n": 2}', '+{"n": "drei"}', "!"]
    assert not spool.alive(world)


def test_a_worker_without_work_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE", 0.2)
    with io.StringIO() as sink:
        line = worker.Line(iter(['{"verdict": ""}', '{"spec": 1}']), sink, alone=True)
        assert line.job() == {"spec": 1}
        assert line.job() is None


def test_a_slurm_job_is_one_that_goes_on_after_its_time() -> None:
    script = slurm.script(Place("slurm", options=("--partition=gpu", "--mem=4G")), ["env", "A=it's", "python"])
    lines = script.splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "#SBATCH --requeue" in lines
    assert "#SBATCH --signal=B:USR1@120" in lines
    assert "#SBATCH --partition=gpu" in lines
    assert "scontrol requeue" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_half_a_line_and_a_message_that_came_twice_count_as_nothing(world: Path) -> None:
    """What a lost connection leaves of what a worker is told, and a kill of what it says."""
    (world / spool.IN).write_text('{"n": 1, "spec": {"lay')
    for message in ({"n": 1, "id": "a"}, {"n": 1, "id": "a"}, {"n": 2, "id": "b"}, {"n": 2}, {"end": True}):
        spool.tell(world, message)
    assert [json.loads(line) for line in spool.told(world)] == [{"n": 1, "id": "a"}, {"n": 2, "id": "b"}, {"n": 2}]
    (world / spool.OUT).write_text('{"event": "ended"}\n{"event": "en')
    spool.serve(world, lambda source, sink: print('{"event": "ended"}', file=sink))
    assert (world / spool.OUT).read_text().splitlines()[1:] == ['{"event": "en', '{"event": "ended"}']


def test_a_checkpoint_of_a_copy_counts_when_all_of_it_is_there(world: Path) -> None:
    for number in (1, 2, 3, 4):
        (world / str(number)).mkdir()
        for name in checkpoints.ALL[: 1 if number > 3 else None]:
            (world / str(number) / name).write_bytes(b"x")
    checkpoints.prune(world, 2)
    assert checkpoints.numbers(world) == [4, 3, 2]


def test_a_scheduler_that_does_not_answer_has_the_job_still(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = world / "squeue"
    (world / slurm.JOB).write_text("7")
    monkeypatch.setenv("PATH", f"{world}:{os.environ['PATH']}")

    def waits(body: str) -> str:
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return subprocess.run(["sh", "-c", slurm.WAITS, "sh", world], capture_output=True, text=True, check=True).stdout

    assert waits("echo 7") == "7"
    assert waits("true") == ""
    assert waits("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1") == ""
    assert "Unable to contact" in waits("echo 'Unable to contact slurm controller' >&2; exit 1")


def test_a_shell_that_talks_is_named(shell: Dlx, there: Path, world: Path) -> None:
    ssh = world / "programs" / "ssh"
    ssh.write_text(STAND_IN.replace("exec bash", "echo 'Welcome!'; exec bash"))
    answer = shell("run", "s.yaml", "--on", "box")
    assert answer.code == 2
    assert "its shell prints 'Welcome!' before" in answer.err
    assert "~/.bashrc" in answer.err


def test_what_needs_this_machine_is_not_sent(dlx: Dlx, there: Path) -> None:
    assert "type it without --on" in dlx("run", "s.yaml", "--on", "box", "--folds", "3").err


def test_what_slurm_is_told_of_a_job_is_good_shell(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (world / "scancel").write_text('#!/bin/sh\necho "$@" >> "$CALLS"\nexit 1\n')
    (world / "scancel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{world}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(world / "calls"))
    (world / "a job").mkdir()
    assert subprocess.run(["sh", "-c", slurm.CANCEL, "sh", world / "a job"], check=True).returncode == 0
    assert not (world / "calls").exists()  # it was never queued
    (world / "a job" / slurm.JOB).write_text("7")
    assert subprocess.run(["sh", "-c", slurm.CANCEL, "sh", world / "a job"], check=True).returncode == 0
    subprocess.run(["sh", "-c", slurm.SIGNAL, "sh", world / "a job", "15"], check=False)
    assert (world / "calls").read_text().splitlines() == ["7", "--state=PENDING 7", "--signal=15 --batch 7"]
