"""What comes from strangers, or is amiss with the data: bounded, named, and never run."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import Dlx
from PIL import Image

from dlx import spec as specs
from dlx.data import images, store
from dlx.data import npz as arrays
from dlx.data import splits as feed
from dlx.data.dataset import Dataset, Split, Stream
from dlx.errors import DataError, DiskError, RunError
from dlx.model import weights_file as weights
from dlx.parts.datasets import loading as registry
from dlx.parts.datasets import npz as npz_dataset
from dlx.runs.run import Run
from dlx.system import backend, files, locks
from dlx.training import budget as provision
from dlx.training import experiment as preparation

# Files


def test_contents_takes_plain_files_beneath_the_root_alone(world: Path) -> None:
    (world / "outside.txt").write_text("secret")
    root = world / "root"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "a").write_text("here")
    (root / "link").symlink_to(world / "outside.txt")
    (root / "away").symlink_to(world)
    os.mkfifo(root / "pipe")
    assert files.contents(root, "inner/a", 10) == b"here"
    for name, reason in (
        ("link", "is a link"),
        ("away/outside.txt", "is a link"),
        ("pipe", "is no plain file"),
        ("inner", "is no plain file"),
    ):
        with pytest.raises(files.Unsafe, match=reason):
            files.contents(root, name, 10)
    with pytest.raises(files.Unsafe, match="is larger than"):
        files.contents(root, "inner/a", 3)
    with pytest.raises(FileNotFoundError):
        files.contents(root, "nothing", 3)


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo"])
def test_strange_things_beneath_a_run_are_found(world: Path, kind: str) -> None:
    root = world / "r" / "inner"
    root.mkdir(parents=True)
    (world / "o").write_text("x")
    assert files.strange(world / "r") is None
    {"symlink": lambda p: p.symlink_to(world / "o"), "hardlink": lambda p: os.link(world / "o", p), "fifo": os.mkfifo}[
        kind
    ](root / "it")
    assert files.strange(world / "r") == "inner/it"


def test_what_dlx_makes_is_the_users_alone(dlx: Dlx, gate: Path, world: Path) -> None:
    assert dlx("run", gate).code == 0
    for folder in ("runs", "runs/gate-1", "runs/gate-1/checkpoints", "runs/gate-1/tensorboard"):
        assert (world / folder).stat().st_mode & 0o777 == 0o700, folder


# Arrays


def header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def packed(**members: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(f"{name}.npy", raw)
    return held.getvalue()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (header("(1000000000000,)"), "its header claims the shape"),
        (header("(-1,)"), "its header claims|cannot be read as an array"),
        (header("(1,)", "|O"), "Python objects"),
        (b"no array", "cannot be read as an array"),
        (packed(a=header("(1000000000000,)") + b"x"), "its header claims the shape"),
        (packed(a=header("(2,)") + bytes(12)), "is cut off, or longer"),
        (packed(a=header("(2,)") + bytes(8), b=b""), "cannot be read as an array"),
        (packed(a=header("(100000000,)", "|u1") + bytes(10**8)), "unpacks to more than"),
    ],
)
def test_arrays_that_lie_are_refused(raw: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        arrays.read(raw, 10**7, "it")


def test_arrays_are_read_as_they_were_saved(world: Path) -> None:
    value = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.save(world / "a.npy", value)
    np.savez(world / "a.npz", x=value, y=np.array(3), words=np.array(["a", "bc"]))
    assert (arrays.read(world / "a.npy", 10**6) == value).all()
    found = arrays.read(world / "a.npz", 10**6)
    assert isinstance(found, dict)
    assert (found["x"] == value).all()
    assert found["y"] == 3
    assert found["words"].tolist() == ["a", "bc"]
    with pytest.raises(DataError, match="unpacks to"):
        arrays.read(packed(a=header("(2,)") + bytes(8)), 10**6, "it", stored=True)


# Locks


def test_a_disk_without_locks_lets_a_dead_run_go(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(warnings, "warn", lambda *what, **how: None)  # filelock says that it has another way
    run = Run.create(world / "runs", "x")
    run.begin("dataset: or\n", {"settings": {}})
    assert run.status == "running"
    with pytest.raises(RunError, match="is running"):
        Run(run.path).take_up()
    raw = json.loads((run.path / "lock").read_text())
    (run.path / "lock").write_text(json.dumps({**raw, "pid_started": 1}))  # as if it had been killed
    assert run.status == "crashed"
    again = Run(run.path)
    again.take_up()
    assert again.status == "running"
    again.release()
    assert again.status == "crashed"


# What is unpacked, and the store


def test_a_full_disk_is_not_the_archives_fault(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(world / "a.zip", "w") as archive:
        archive.writestr("a.txt", "words")

    def full(*what: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(DiskError, match="No space left"):
        store.unpack(world / "a.zip", world / "out")


def test_an_array_that_a_power_cut_emptied_is_named(world: Path) -> None:
    for part in store.PARTS:
        (world / f"{part}.npy").write_bytes(b"")
    (world / "info.json").write_text("{}")
    with pytest.raises(DataError, match="the store's copy is damaged"):
        store._mapped(world)


# Weights


@pytest.fixture
def gate_run(dlx: Dlx, gate: Path, world: Path) -> Path:
    assert dlx("run", gate, "-s", "epochs=2").code == 0
    return world / "runs" / "gate-1"


def tampered(run: Path, change: Any) -> None:
    """Change the HDF5 file inside of model.keras."""
    with zipfile.ZipFile(run / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    held = io.BytesIO(members["model.weights.h5"])
    with h5py.File(held, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        change(file, names[0])
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for name, raw in {**members, "model.weights.h5": held.getvalue()}.items():
            archive.writestr(name, raw)


def _replace(make: Any) -> Any:
    def change(file: Any, name: str) -> None:
        del file[name]
        make(file, name)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_replace(lambda f, n: f.create_dataset(n, shape=(10**12,), dtype="f4", chunks=(1024,))), "expected"),
        (_replace(lambda f, n: f.create_dataset(n, data=np.zeros((2, 7), "f4"))), "expected"),
        (_replace(lambda f, n: f.__setitem__(n, h5py.ExternalLink("/etc/hostname", "/x"))), "holds a link"),
        (_replace(lambda f, n: f.__setitem__(n, h5py.SoftLink("/layers"))), "holds a link"),
        (_replace(lambda f, n: None), "is not there"),
        (lambda f, n: f.create_dataset("more", data=np.zeros(3)), "belongs to no layer"),
        (
            _replace(lambda f, n: f.create_dataset(n, data=np.zeros((2, 1), "f4"), compression="gzip")),
            "which is no plain array",
        ),
        (
            _replace(lambda f, n: f.create_dataset(n, shape=(2, 1), dtype="f4", external=[("/etc/hostname", 0, 8)])),
            "which is no plain array",
        ),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(dlx: Dlx, gate_run: Path, change: Any, said: str) -> None:
    tampered(gate_run, change)
    (gate_run.parent.parent / "g.csv").write_text("0,1\n")
    result = dlx("predict", "gate", "g.csv")
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_model_file_that_is_a_link_is_refused(dlx: Dlx, gate_run: Path, world: Path) -> None:
    shutil.move(gate_run / "model.keras", world / "elsewhere.keras")
    (gate_run / "model.keras").symlink_to(world / "elsewhere.keras")
    (world / "g.csv").write_text("0,1\n")
    result = dlx("predict", "gate", "g.csv")
    assert result.code == 2
    assert "is a link" in result.err


# The data, before the first step


def split(x: np.ndarray, y: Any, first: int = 0) -> Split:
    return Split(x, np.asarray(y, np.int32), np.arange(first, first + len(x)))


@pytest.mark.parametrize("width", [1, 3, 40, 3000])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_examples_that_are_in_train_too_are_found(width: int, dtype: str) -> None:
    generator = np.random.default_rng(width)
    x = (generator.integers(0, 2**31, (300, width)) % (256 if dtype == "uint8" else 2**31)).astype(dtype)
    x = np.unique(x, axis=0)
    train, test = x[: len(x) // 2], x[len(x) // 2 :].copy()
    test[[2, 5]] = train[[7, 0]]
    splits = feed.Splits(split(train, np.zeros(len(train))), None, split(test, np.zeros(len(test)), 1000))
    dataset = Dataset(splits.train, "classification", "", classes=("a", "b"))
    found = feed.audit(dataset, splits)
    assert found.shared == {"test": (1002, 1005)}
    assert found.unseen == ("b",)
    told = found.told(splits.sizes())
    assert told[0] == "no example of b is in train"
    assert told[1].endswith("test examples are in train, too: rows 1002, 1005")
    assert found.record() == {"unseen_classes": ["b"], "shared_with_train": {"test": 2}}


def test_a_stream_is_known_by_its_keys() -> None:
    def read(rows: Any) -> np.ndarray:
        raise AssertionError("nothing is read")

    keys = np.array([5, 6, 7, 5], np.uint64)
    streams = [Stream(read, np.array(rows), (2,), np.dtype("uint8"), keys) for rows in ([0, 1], [2, 3])]
    train, test = (Split(s, np.array([0, 1]), s.rows) for s in streams)
    assert feed.audit(Dataset(train, "regression", ""), feed.Splits(train, None, test)).shared == {"test": (3,)}


def test_a_stream_and_an_array_are_compared_by_what_they_hold() -> None:
    pixels = np.arange(8, dtype=np.uint8).reshape(4, 2)
    keys = np.array([5, 6, 7, 8], np.uint64)
    rows = np.arange(3)
    train = Split(Stream(lambda rows: pixels[rows], rows, (2,), np.dtype("uint8"), keys), rows % 2, rows)
    test = Split(pixels[2:], np.array([0, 1]), np.arange(2))
    found = feed.audit(Dataset(train, "regression", ""), feed.Splits(train, None, test))
    assert found.shared == {"test": (0,)}


def test_where_train_stays_on_disk_test_does_too(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in (("train", 12), ("test", 2)):
        for number in range(count):
            place = world / "d" / split / f"class_{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(place / f"{number}.png")
    monkeypatch.setattr(backend, "memory", lambda: 4 * 12 * 192 - 1)
    (world / "d.yaml").write_text("dataset: {image_folder: d}\nlayers: [flatten, output]\nvalidation: none\n")
    experiment = preparation.prepare(specs.load(world / "d.yaml"))
    assert isinstance(experiment.splits.train.inputs, Stream)
    assert experiment.findings.shared == {"test": (0, 1)}


def test_strict_refuses_what_else_is_counted(dlx: Dlx, world: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    x[25] = x[3]
    np.savez(world / "d.npz", x_train=x[:20], y_train=np.arange(20) % 2, x_test=x[20:], y_test=np.arange(10) % 2)
    (world / "d.yaml").write_text("dataset: {npz: d.npz}\nlayers: [output]\nepochs: 1\nvalidation: none\n")
    result = dlx("run", "d.yaml")
    assert result.code == 0, result.err
    assert "attention  1 of the 10 test examples are in train, too: row 5" in " ".join(result.out.split("\n"))
    assert json.loads((world / "runs/d-1/run.json").read_text())["dataset"]["shared_with_train"] == {"test": 1}
    refused = dlx("run", "d.yaml", "-s", "strict=true")
    assert refused.code == 3
    assert "1 of the 10 test examples are in train, too: row 5" in refused.err
    assert [path.name for path in (world / "runs").iterdir()] == ["d-1"]


def test_what_is_not_finite_is_named_by_its_rows(dlx: Dlx, world: Path) -> None:
    x = np.zeros((30, 2))
    x[[3, 4], 1], x[25, 0] = np.nan, np.inf
    np.savez(world / "d.npz", x_train=x[:20], y_train=np.arange(20) % 2, x_test=x[20:], y_test=np.arange(10) % 2)
    (world / "d.yaml").write_text("dataset: {npz: d.npz}\nlayers: [output]\nvalidation: none\n")
    result = dlx("run", "d.yaml")
    assert result.code == 3
    assert "2 of the train inputs are NaN, infinite or beyond 3.4e38, in rows 3, 4" in result.err


def test_an_image_that_is_cut_off_is_found_before_the_first_step(dlx: Dlx, world: Path) -> None:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3)).astype(np.uint8)
    for number, pixels in enumerate(noise):
        place = world / "photos" / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.jpg")
    file = world / "photos" / "a" / "3.jpg"
    file.write_bytes(file.read_bytes()[:-200])
    (world / "p.yaml").write_text(
        "dataset: {image_folder: {path: photos, in_memory: false}}\nlayers: [flatten, output]\nvalidation: none\n"
    )
    result = dlx("run", "p.yaml")
    assert result.code == 3
    assert "a/3.jpg" in result.err
    assert not (world / "runs").exists()


# Room


def test_no_room_on_the_disk_is_told_before_there_is_a_run(
    dlx: Dlx, small: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage("."))(10**9, 10**9 - 5000, 5000)
    monkeypatch.setattr(provision.shutil, "disk_usage", lambda place: usage)
    result = dlx("run", small)
    assert result.code == 5
    assert "twice that shall be free, but 5.0 kB are" in result.err
    assert not list((world / "runs").glob("*"))


def test_no_room_in_the_memory_names_a_batch_that_fits(dlx: Dlx, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "free_memory", lambda: 150_000)
    result = dlx("run", small, "-s", "batch_size=full")
    assert result.code == 4
    assert "of memory at least, but 150.0 kB are free" in result.err
    assert "batch_size=" in result.err
    monkeypatch.setattr(backend, "free_memory", lambda: 10_000)
    assert "a smaller network, or fewer examples" in dlx("run", small).err


def test_a_network_that_cannot_fit_is_counted_and_not_built(dlx: Dlx, small: Path) -> None:
    result = dlx("run", small, "-s", "layers.1.dense.units=1000000000")
    assert result.code == 4
    assert "the network has 75,000,000,010 parameters" in result.err


def test_locks_name_their_holder(world: Path) -> None:
    lock = locks.Lock(world / "lock")
    assert lock.take()
    assert locks.state(world, "lock")[0] == "held"
    said = json.loads((world / "lock").read_text())
    assert said["pid"] == os.getpid()
    assert locks._lives(said)
    assert not locks._lives({**said, "pid_started": 5})
    lock.release()
    assert locks.state(world, "lock")[0] == "free"
    with pytest.raises((RunError, DiskError)):
        Run(world / "nothing").take_up()


# Data that is wrong, and was taken


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"y_test": np.ones((6, 3)) / 2}, r"y_test holds \(3,\), y holds \(1,\)"),
        ({"y_test": np.ones((6, 0))}, "expected as many of both"),
        ({"x": np.zeros((6, 2), np.uint8)}, "x_test holds float32, train holds uint8: their scales may differ"),
        ({"y": np.array(list("aabbab")), "y_test": np.arange(6)}, "y_test holds int64 .* expected names of classes"),
        ({"y": np.array(list("aabbab")), "y_test": np.array([["a"]] * 6)}, r"of shape \(6, 1\), expected names"),
    ],
)
def test_splits_that_do_not_go_together_are_refused(held: dict[str, Any], said: str) -> None:
    whole = {
        "x": np.zeros((6, 2)),
        "y": np.arange(6) / 3,
        "x_test": np.ones((6, 2)),
        "y_test": np.arange(6) / 3,
        **held,
    }
    with pytest.raises(DataError, match=said):
        npz_dataset.from_arrays(whole, "auto", "a.npz")


def test_classes_may_be_named_by_bytes() -> None:
    found = npz_dataset.from_arrays({"x": np.zeros((3, 1)), "y": np.array([b"cat", b"ant", b"cat"])}, "auto", "a.npz")
    assert (found.classes, found.train.targets.tolist()) == (("ant", "cat"), [1, 0, 1])


def test_whole_numbers_keep_their_values() -> None:
    large = np.array([[5_000_000_000, 1], [4_294_967_296, 2]])
    found = npz_dataset.from_arrays({"x": large, "y": [0, 1]}, "auto", "a.npz").train.inputs
    assert found.tolist() == large.astype(np.float32).tolist()
    held = {"x": large % 100, "y": [0, 1], "x_test": (large % 100).astype(np.float64), "y_test": [0, 1]}
    dataset = npz_dataset.from_arrays(held, "auto", "a.npz")
    assert dataset.test is not None
    assert feed.audit(dataset, feed.Splits(dataset.train, None, dataset.test)).shared == {"test": (0, 1)}


def test_an_image_of_one_row_has_colours(world: Path) -> None:
    Image.new("RGB", (9, 1), "red").save(world / "a.jpg")
    assert images.read(world / "a.jpg", 3, (8, 8)).shape == (8, 8, 3)


def test_a_test_table_of_texts_is_read_as_the_train_one(world: Path) -> None:
    (world / "a.csv").write_text("text,label\nnull,NA\nword,b\nmore words,b\n")
    found = registry.load(
        specs.load(spec_of(world, "text_csv: {path: a.csv, test: a.csv, text: text, label: label}")).dataset, "auto"
    )
    assert found.test is not None
    assert found.test.inputs["text"].tolist() == found.train.inputs["text"].tolist() == ["null", "word", "more words"]
    assert found.classes == ("NA", "b")
    (world / "b.csv").write_text("a,label\n1,x\n2,\n")
    (world / "c.csv").write_text("a,label\n1,x\n2,y\n")
    spec = specs.load(spec_of(world, "csv: {path: c.csv, test: b.csv, label: label}"))
    with pytest.raises(DataError, match="no value for 'label' in 1 row"):
        registry.load(spec.dataset, "auto")


def spec_of(world: Path, dataset: str) -> Path:
    (world / "d.yaml").write_text(f"dataset: {{{dataset}}}\nlayers: [output]\n")
    return world / "d.yaml"


# Much from little


def test_groups_within_groups_come_to_an_end() -> None:
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        group = file
        for _ in range(40):  # each stands twice in the one above: 2^40 ways down
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
    with h5py.File(held, "r") as file, pytest.raises(RunError, match="holds too much for a network"):
        weights._arrays(file)


def test_a_table_that_grows_beyond_the_memory_is_refused(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"word{number},{number % 2}\n" for number in range(2000))
    (world / "a.csv").write_text(f"w,label\n{rows}")
    spec = specs.load(spec_of(world, "csv: {path: a.csv, label: label, categorical: [w]}"))
    monkeypatch.setattr(backend, "memory", lambda: 10**6)
    with pytest.raises(DataError, match="too much for a memory of"):
        preparation.prepare(spec)


def test_images_of_another_size_are_not_kept_in_memory(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, size in enumerate((8, 8, 90, 91)):
        place = world / "d" / f"class_{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size)).save(place / f"{number}.png")
    decoded: list[Any] = []
    read = images.read
    monkeypatch.setattr(images, "read", lambda *what, **how: decoded.append(read(*what, **how)) or decoded[-1])
    with pytest.raises(DataError, match="the images have 3 different sizes"):
        registry.load(specs.load(spec_of(world, "image_folder: d")).dataset, "auto")
    assert {image.shape for image in decoded} == {(8, 8, 3)}


# Runs of strangers


def test_a_spec_beneath_a_run_is_no_link(dlx: Dlx, gate_run: Path, world: Path) -> None:
    (gate_run / "spec.yaml").rename(world / "moved.yaml")
    (gate_run / "spec.yaml").symlink_to(world / "moved.yaml")
    np.save(world / "x.npy", np.zeros((1, 2)))
    result = dlx("predict", gate_run, "x.npy")
    assert result.code == 2
    assert "is a link" in result.err


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"kind": "series", "encoding": {"columns": ["a"], "window": 2, "horizon": 10**10}}, "horizon 10000000000"),
        ({"kind": "text", "encoding": {"column": "a", "vocabulary": [], "sequence_length": 10**13}}, "sequence_length"),
        ({"kind": "text", "encoding": {}}, "no column"),
        ({"kind": "table", "encoding": {"columns": ["a"], "categories": [1]}}, "categories"),
        ({"kind": "table", "encoding": 5}, "lacks what prediction needs"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused(
    dlx: Dlx, gate_run: Path, world: Path, said: dict[str, Any], reason: str
) -> None:
    info = json.loads((gate_run / "run.json").read_text())
    (gate_run / "run.json").write_text(json.dumps({**info, "input": {**info["input"], **said}}))
    (world / "x.csv").write_text("a\n1\n")
    result = dlx("predict", gate_run, "x.csv")
    assert result.code == 2, result.err
    assert "run.json lacks what prediction needs" in result.err
    assert reason in " ".join(result.err.split())


def test_strange_json_of_runs_is_compared_all_the_same(dlx: Dlx, gate_run: Path) -> None:
    info = json.loads((gate_run / "run.json").read_text())
    layers = {f"layers.{number}.dense.units": number for number in range(2000)}
    changes: list[dict[str, Any]] = [
        {"dataset": None},
        {"settings": {**info["settings"], **layers}},
        {"settings": {**info["settings"], **dict(list(layers.items())[:1900]), "layers." + "9" * 5000: 1}},
        {"input": {"shape": 5}},
        {"settings": {**info["settings"], "seed": 7}},
    ]
    for number, change in enumerate(changes, 2):
        shutil.copytree(gate_run, twin := gate_run.with_name(f"gate-{number}"))
        (twin / "run.json").write_text(json.dumps({**info, **change}))
        metrics = json.loads((twin / "metrics.json").read_text())
        (twin / "metrics.json").write_text(json.dumps({**metrics, "train_loss": 1.7e308}))
        with (twin / "history.jsonl").open("a") as stream:
            stream.write('{"train_loss": 1.2.3}\n{"train_loss": 0.5}\n')
    for words in (["compare", f"{gate_run.parent}/*"], ["list"], ["plot", f"{gate_run.parent}/*", "--only", "curves"]):
        result = dlx(*words)
        assert "internal error" not in result.err, words
        assert result.code in (0, 2), result.err


def test_a_network_that_its_file_cannot_hold_is_not_made(dlx: Dlx, gate_run: Path, world: Path) -> None:
    text = (gate_run / "spec.yaml").read_text().replace("layers:\n", f"layers:\n  - dense: {10**9}\n")
    (gate_run / "spec.yaml").write_text(text)
    np.save(world / "x.npy", np.zeros((1, 2)))
    result = dlx("predict", gate_run, "x.npy")
    assert result.code != 0
    assert "parameters, which a model.keras of" in " ".join(result.err.split())
