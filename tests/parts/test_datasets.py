"""Datasets keep their shapes; the store takes every form a set is handed around in, and nothing harmful."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx
from PIL import Image

from dlx.data import images, store
from dlx.data.audit import check_finite
from dlx.data.cuts import cut
from dlx.data.dataset import Dataset, Facts, Stream
from dlx.data.splits import encoded
from dlx.data.store import archives
from dlx.data.store.archives import unpack
from dlx.data.store.catalog import KNOWN
from dlx.data.store.formats import PARTS
from dlx.errors import DataError
from dlx.parts import REGISTRIES
from dlx.parts.datasets import loading, out_of_core, table_encoding
from dlx.parts.registry import Part
from dlx.system import machine

MADE = {
    **dict.fromkeys(("or", "and", "nand", "nor", "xor"), (4, (2,), 2)),
    "not": (2, (1,), 2),
    "moons": (200, (2,), 2),
    "circles": (200, (2,), 2),
    "blobs": (300, (2,), 3),
    "spirals": (300, (2,), 3),
    "digits": (1797, (8, 8, 1), 10),
    "iris": (150, (4,), 3),
    "binary_addition": (10_000, (9, 2), 9),
}
STORED = ("mnist", "fashion_mnist", "cifar10", "cifar100")
OWN = ("csv", "npz", "image_folder", "text_csv", "series_csv")


def load(name: str, task: str = "auto", **args: Any) -> Dataset:
    return loading.load(part(name, **args), task)


def part(name: str, **args: Any) -> Part:
    parameters = REGISTRIES["dataset"].parameters(name)
    return Part(name, {p.name: args.get(p.name, p.default) for p in parameters.values()})


def made_up(name: str, count: int = 20) -> dict[str, np.ndarray]:
    """A small set in the shape of a named one."""
    entry = KNOWN[name]
    generator = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "test"):
        arrays[f"x_{split}"] = generator.integers(0, 256, (count, *entry.shape)).astype(np.uint8)
        arrays[f"y_{split}"] = (np.arange(count) % len(entry.classes)).astype(np.int32)
    return arrays


def test_every_dataset_is_in_the_contract() -> None:
    assert {*MADE, *STORED, *OWN} == set(REGISTRIES["dataset"])


@pytest.mark.parametrize("name", MADE)
def test_a_made_dataset_keeps_its_shapes_and_facts(name: str) -> None:
    count, shape, classes = MADE[name]
    data = load(name)
    assert data.train.inputs.shape == (count, *shape)
    assert data.train.inputs.dtype in (np.float32, np.uint8)
    if data.task == "multi_label":
        assert data.train.targets.shape == (count, classes)
        assert sorted(set(data.train.targets.ravel().tolist())) == [0, 1]
    else:
        assert data.train.targets.dtype == np.int32
        assert sorted(set(data.train.targets.tolist())) == list(range(classes))
    assert len(data.classes) == classes
    assert data.train.index.tolist() == list(range(count))
    assert data.fingerprint == load(name).fingerprint
    known = loading.facts(part(name))
    assert known in (None, Facts.of(data))


def test_binary_addition_adds_and_keeps_its_test_pairs_unseen() -> None:
    data = load("binary_addition", bits=6, samples=1500, test_samples=500)
    pairs = []
    for split in (data.train, data.test):
        assert split is not None
        place = 2 ** np.arange(7)
        numbers = (split.inputs * place[:, None]).sum(axis=1)
        assert np.array_equal(numbers.sum(axis=1), (split.targets * place).sum(axis=1))
        pairs.append({tuple(sorted(pair)) for pair in numbers.tolist()})
    assert (len(pairs[0]), len(pairs[1])) == (1500, 500)
    assert not pairs[0] & pairs[1]
    assert data.classes == ("1", "2", "4", "8", "16", "32", "64")
    with pytest.raises(DataError, match="more than the 36 that 3 bits have"):
        load("binary_addition", bits=3)


@pytest.mark.parametrize(
    ("name", "table"),
    [("or", "0111"), ("and", "0001"), ("nand", "1110"), ("nor", "1000"), ("xor", "0110"), ("not", "10")],
)
def test_truth_tables(name: str, table: str) -> None:
    assert "".join(map(str, load(name).train.targets)) == table


def test_made_points_follow_their_seed() -> None:
    assert load("moons", seed=1).fingerprint != load("moons", seed=2).fingerprint
    assert load("spirals", classes=5).train.targets.max() == 4


# Splits


def test_splits_are_disjoint_whole_and_stratified() -> None:
    splits = cut(load("digits"), 0.2, 0.25)
    parts = [splits.train, splits.validation, splits.test]
    rows = np.concatenate([part.index for part in parts if part is not None])
    assert sorted(rows.tolist()) == list(range(1797))
    assert splits.sizes() == {"train": 1078, "validation": 360, "test": 359}
    for part in parts:
        assert part is not None
        shares = np.bincount(part.targets, minlength=10) / len(part)
        assert np.abs(shares - 0.1).max() < 0.02
    again = cut(load("digits"), 0.2, 0.25)
    assert np.array_equal(again.train.index, splits.train.index)


def test_validation_on_the_test_split_is_said() -> None:
    splits = cut(load("digits"), 0.2, "test")
    assert splits.test_is_validation
    assert splits.validation is splits.test
    with pytest.raises(DataError, match="there is no test split to validate on"):
        cut(load("digits"), "auto", "test")


def test_a_share_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match=r"0.1 of 4 examples leaves none"):
        cut(load("or"), "auto", 0.1)


def test_inputs_that_are_not_finite_are_found() -> None:
    data = load("iris")
    data.train.inputs[7, 2] = np.nan
    with pytest.raises(DataError, match=r"1 of the train inputs .* row 7"):
        check_finite(cut(data, "none", "none"))


# The store


def npz(world: Path, name: str) -> Path:
    path = world / "set.npz"
    arrays = made_up(name)
    if KNOWN[name].shape[2] == 1:  # the official files have no channel axis
        arrays = {key: value[..., 0] if key[0] == "x" else value for key, value in arrays.items()}
    np.savez(path, **arrays)
    return path


def batch(images_: np.ndarray, labels: np.ndarray, key: str = "labels") -> bytes:
    rows = images_.transpose(0, 3, 1, 2).reshape(len(images_), -1)
    content = {b"batch_label": b"batch", key.encode(): labels.tolist(), b"data": rows, b"filenames": [b"a.png"] * 3}
    return pickle.dumps(content, protocol=2)


def pickled(world: Path, name: str) -> Path:
    arrays = made_up(name)
    folder = world / "cifar-batches-py"
    folder.mkdir()
    if name == "cifar10":
        for number, half in enumerate(np.split(np.arange(20), 2), 1):
            (folder / f"data_batch_{number}").write_bytes(batch(arrays["x_train"][half], arrays["y_train"][half]))
        (folder / "test_batch").write_bytes(batch(arrays["x_test"], arrays["y_test"]))
    else:
        for split in ("train", "test"):
            (folder / split).write_bytes(batch(arrays[f"x_{split}"], arrays[f"y_{split}"], "fine_labels"))
    return folder


def binary(world: Path, name: str) -> Path:
    arrays = made_up(name)
    folder = world / "bin"
    folder.mkdir()
    names = (
        {"train": "data_batch_1.bin", "test": "test_batch.bin"}
        if name == "cifar10"
        else {"train": "train.bin", "test": "test.bin"}
    )
    for split, file in names.items():
        labels = arrays[f"y_{split}"][:, None].astype(np.uint8)
        head = labels if name == "cifar10" else np.concatenate([labels // 5, labels], axis=1)
        rows = arrays[f"x_{split}"].transpose(0, 3, 1, 2).reshape(20, -1)
        (folder / file).write_bytes(np.concatenate([head, rows], axis=1).tobytes())
    return folder


def idx(world: Path, name: str) -> Path:
    arrays = made_up(name)
    folder = world / "idx"
    folder.mkdir()
    for split, stem in (("train", "train"), ("test", "t10k")):
        for part, kind in (("x", "images-idx3"), ("y", "labels-idx1")):
            array = arrays[f"{part}_{split}"]
            array = array[..., 0] if part == "x" else array.astype(np.uint8)
            head = bytes([0, 0, 8, array.ndim]) + b"".join(extent.to_bytes(4, "big") for extent in array.shape)
            (folder / f"{stem}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return folder


def image_tree(world: Path, name: str) -> Path:
    arrays, entry = made_up(name), KNOWN[name]
    for split in ("train", "test"):
        for number, (pixels, label) in enumerate(zip(arrays[f"x_{split}"], arrays[f"y_{split}"], strict=True)):
            folder = world / "tree" / "wrapped" / split / entry.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.squeeze()).save(folder / f"{number:03d}.png")
    return world / "tree"


def packed(folder: Path, suffix: str) -> Path:
    path = folder.with_name(folder.name + suffix)
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for file in folder.rglob("*"):
                zipped.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, f"w:{suffix.rpartition('.')[2]}") as tar:
            tar.add(folder, folder.name)
    return path


FORMS = [
    *((name, npz, "") for name in STORED),
    *(
        (name, form, suffix)
        for name in ("cifar10", "cifar100")
        for form in (pickled, binary)
        for suffix in ("", ".tar.gz")
    ),
    *((name, idx, suffix) for name in ("mnist", "fashion_mnist") for suffix in ("", ".tar.gz")),
    *((name, image_tree, suffix) for name in ("cifar10", "mnist") for suffix in ("", ".tar.xz", ".zip")),
]


@pytest.mark.parametrize(("name", "form", "suffix"), FORMS, ids=lambda value: getattr(value, "__name__", value))
def test_the_store_takes_every_form(dlx: Dlx, world: Path, name: str, form: Any, suffix: str) -> None:
    source = form(world, name)
    added = dlx("data", "add", name, packed(source, suffix) if suffix else source)
    assert added.code == 0, added.err
    data, expected = load(name), made_up(name)
    assert data.test is not None
    for split, found in (("train", data.train), ("test", data.test)):
        order = np.argsort(expected[f"y_{split}"], kind="stable") if form is image_tree else slice(None)
        assert np.array_equal(found.inputs, expected[f"x_{split}"][order])
        assert np.array_equal(found.targets, expected[f"y_{split}"][order])
    assert isinstance(data.train.inputs, np.memmap)
    assert data.classes == KNOWN[name].classes
    assert "20" in dlx("data", "list").out
    assert data.fingerprint in dlx("data", "show", name).out


def test_a_path_in_the_spec_goes_before_the_store(world: Path) -> None:
    store.add("mnist", npz(world, "mnist"))
    other = made_up("mnist", 30)
    np.savez(world / "other.npz", **other)
    assert len(load("mnist").train) == 20
    assert len(load("mnist", path=str(world / "other.npz")).train) == 30


def test_kerass_cache_is_used_without_a_network(world: Path) -> None:
    folder = idx(world, "fashion_mnist")
    cache = world / "keras" / "datasets" / "fashion-mnist"
    cache.parent.mkdir(parents=True)
    folder.rename(cache)
    assert len(load("fashion_mnist").train) == 20


def test_limit_draws_evenly_over_the_classes(world: Path) -> None:
    np.savez(world / "s.npz", **made_up("cifar10", 200))
    store.add("cifar10", world / "s.npz")
    data = load("cifar10", limit=50)
    assert np.bincount(data.train.targets).tolist() == [5] * 10
    assert len(data.train) == 50
    assert np.array_equal(data.train.inputs, made_up("cifar10", 200)["x_train"][data.train.index])
    whole = load("cifar10")
    assert data.test is not None
    assert whole.test is not None
    assert len(data.test) == len(whole.test)
    tested = load("cifar10", test_limit=20)
    assert tested.test is not None
    assert (len(tested.train), len(tested.test)) == (200, 20)
    assert np.bincount(tested.test.targets).tolist() == [2] * 10
    assert len({data.fingerprint, tested.fingerprint, whole.fingerprint, load("cifar10", limit=20).fingerprint}) == 4


def test_without_a_copy_and_without_a_network(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("socket.socket.connect", unreachable)
    monkeypatch.setattr("socket.getaddrinfo", unreachable)
    (world / "c.yaml").write_text("dataset: cifar10\nlayers: [flatten, output]\n")
    result = dlx("run", "c.yaml")
    assert result.code == 3
    assert "cifar10 is not on this machine and could not be downloaded" in result.err
    assert "dlx data add cifar10 PATH" in result.err
    assert not (world / "runs").exists()
    assert dlx("check", "c.yaml").code == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "y_test"}, "has no y_test"),
        (lambda a: a | {"x_train": a["x_train"][:, :20]}, "expected uint8 (n, 32, 32, 3)"),
        (lambda a: a | {"x_train": a["x_train"].astype(float)}, "expected uint8"),
        (lambda a: a | {"y_train": a["y_train"] + 5}, "expected whole numbers from 0 to 9"),
        (lambda a: a | {"y_train": a["y_train"][:5]}, "20 images and 5 labels"),
    ],
    ids=["missing", "shape", "dtype", "labels", "lengths"],
)
def test_a_wrong_copy_is_refused_and_leaves_nothing(dlx: Dlx, world: Path, change: Any, expected: str) -> None:
    np.savez(world / "bad.npz", **change(made_up("cifar10")))
    result = dlx("data", "add", "cifar10", "bad.npz")
    assert result.code == 3
    assert expected in result.err
    assert not list((world / "store").glob("*")) if (world / "store").exists() else True
    assert store.info("cifar10") is None


def test_a_pickle_is_never_executed(dlx: Dlx, world: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (world / "harmed",))

    folder = pickled(world, "cifar10")
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": Harm(), b"labels": [1]}))
    result = dlx("data", "add", "cifar10", folder)
    assert result.code == 3
    assert "is not a whole CIFAR batch" in result.err
    assert not (world / "harmed").exists()
    np.savez(world / "objects.npz", **{part: np.array([Harm()], dtype=object) for part in PARTS})
    assert dlx("data", "add", "mnist", "objects.npz").code == 3
    assert not (world / "harmed").exists()


def evil_tar(world: Path, change: Any) -> Path:
    path = world / "evil.tar"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("train/x")
        entry.size = 3
        change(entry)
        tar.addfile(entry, io.BytesIO(b"abc"))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda e: setattr(e, "name", "../../outside"),
        lambda e: setattr(e, "name", "/tmp/dlx-outside"),
        lambda e: (setattr(e, "type", tarfile.SYMTYPE), setattr(e, "linkname", "/etc/passwd")),
        lambda e: (setattr(e, "type", tarfile.LNKTYPE), setattr(e, "linkname", "../../x")),
        lambda e: setattr(e, "type", tarfile.FIFOTYPE),
    ],
    ids=["parent", "absolute", "symlink", "hardlink", "fifo"],
)
def test_archives_are_unpacked_without_links_and_within_their_folder(world: Path, change: Any) -> None:
    target = world / "deep" / "target"
    target.mkdir(parents=True)
    with pytest.raises(DataError, match=r"leaves the folder|a link or a device"):
        unpack(evil_tar(world, change), target)
    assert not (world / "outside").exists()
    assert not Path("/tmp/dlx-outside").exists()
    assert not list(target.rglob("*"))


def test_a_zip_with_a_link_or_a_parent_is_refused(world: Path) -> None:
    for number, (name, mode) in enumerate((("../up", 0), ("link", stat.S_IFLNK | 0o777))):
        path = world / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as zipped:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            zipped.writestr(entry, "/etc/passwd")
        with pytest.raises(DataError):
            unpack(path, world / "out")
    assert not (world / "up").exists()


def test_an_archive_larger_than_the_bound_is_refused(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    with tarfile.open(world / "big.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo("zeros")
        entry.size = 5000
        tar.addfile(entry, io.BytesIO(bytes(5000)))
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack(world / "big.tar.gz", world / "out")


def test_a_damaged_archive_and_a_damaged_store_are_errors(dlx: Dlx, world: Path) -> None:
    whole = packed(pickled(world, "cifar10"), ".tar.gz")
    whole.write_bytes(whole.read_bytes()[:-2000])
    assert dlx("data", "add", "cifar10", whole).code == 3
    store.add("mnist", npz(world, "mnist"))
    (world / "store" / "mnist" / "x_train.npy").write_bytes(b"x")
    with pytest.raises(DataError, match="the store's copy is damaged"):
        load("mnist")


@pytest.mark.parametrize("words", [("show", "cifar"), ("add", "cifar", "x"), ("fetch", "cifar")])
def test_an_unknown_set_gets_the_nearest(dlx: Dlx, words: tuple[str, ...]) -> None:
    result = dlx("data", *words)
    assert result.code == 3
    assert "did you mean 'cifar10" in result.err


# Images


def folder_of(world: Path, sizes: dict[str, tuple[int, int]], mode: str = "RGB", suffix: str = "png") -> Path:
    for name, size in sizes.items():
        path = world / "photos" / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, 100).save(path)
    return world / "photos"


def test_image_folder_with_its_own_test_split(world: Path) -> None:
    sizes = {f"{split}/{kind}/{n}": (8, 6) for split in ("train", "test") for kind in ("cat", "dog") for n in range(3)}
    (world / "photos" / "train" / "cat").mkdir(parents=True)
    (world / "photos" / "train" / "cat" / ".hidden.png").write_bytes(b"x")
    (world / "photos" / "train" / "cat" / "notes.txt").write_text("x")
    data = load("image_folder", path=str(folder_of(world, sizes)))
    assert data.classes == ("cat", "dog")
    assert data.train.inputs.shape == (6, 6, 8, 3)
    assert data.test is not None
    assert len(data.test) == 6
    grey = load("image_folder", path=str(world / "photos"), image_size=[4, 5], grayscale=True)
    assert grey.train.inputs.shape == (6, 4, 5, 1)


def test_labels_from_file_names(world: Path) -> None:
    sizes = {f"{kind}.{n}": (8, 6) for kind in ("dog", "cat", "bird") for n in range(3)}
    folder = str(folder_of(world, {**sizes, "more/cat.9.large": (8, 6)}))
    data = load("image_folder", path=folder, labels="filename")
    assert data.classes == ("bird", "cat", "dog")
    assert np.bincount(data.train.targets).tolist() == [3, 4, 3]
    chosen = load("image_folder", path=folder, labels="filename", class_names=["dog", "cat"])
    assert chosen.classes == ("dog", "cat")
    assert np.bincount(chosen.train.targets).tolist() == [3, 4]
    with pytest.raises(DataError, match="no images for lion"):
        load("image_folder", path=folder, labels="filename", class_names=["dog", "lion"])
    (world / "bare").mkdir()
    with pytest.raises(DataError, match="no images named after their class"):
        load("image_folder", path=str(world / "bare"), labels="filename")


def test_a_folder_that_says_its_size_and_classes_is_known_before_it_is_there(world: Path) -> None:
    nowhere = str(world / "nowhere")
    known = loading.facts(part("image_folder", path=nowhere, image_size=[4, 5], class_names=["a", "b"]))
    assert known == Facts((4, 5, 3), "classification", ("a", "b"))
    assert loading.facts(part("image_folder", path=nowhere, image_size=4)) is None


def test_several_labels_an_example(world: Path) -> None:
    y = np.array([[0, 1, 1], [1, 0, 0]])
    np.savez(world / "labels.npz", x=np.zeros((2, 4)), y=y)
    data = load("npz", "multi_label", path=str(world / "labels.npz"))
    assert (data.task, data.classes, data.train.targets.tolist()) == ("multi_label", ("0", "1", "2"), y.tolist())
    with pytest.raises(DataError, match="classes of steps, labels or amounts"):
        load("npz", path=str(world / "labels.npz"))
    assert load("npz", "regression", path=str(world / "labels.npz")).task == "regression"
    np.savez(world / "labels.npz", x=np.zeros((2, 4)), y=y + 1)
    with pytest.raises(DataError, match="zeros and ones"):
        load("npz", "multi_label", path=str(world / "labels.npz"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "how", [{}, {"subsampling": 0}, {"subsampling": 2, "progressive": True}, {"quality": 20}, {"exif": 6}]
)
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_a_jpeg_has_the_pixels_that_pillow_gives(mode: str, how: dict[str, Any], channels: int | None) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    picture, stream = Image.fromarray(noise).convert(mode), io.BytesIO()
    if "exif" in how:
        exif = Image.Exif()
        exif[images.ORIENTATION] = how["exif"]
        how = {"exif": exif}
    picture.save(stream, "JPEG", **how)
    raw = stream.getvalue()
    expected = np.asarray(images._picture(raw, channels))
    found = images.read_image(raw, channels)
    assert found.shape == (*expected.shape[:2], 1 if expected.ndim == 2 else 3)
    assert np.array_equal(found.squeeze(), expected)
    assert images.extent(raw) == found.shape[:2]
    assert images.read_image(raw, channels, (5, 4)).shape == (5, 4, found.shape[2])
    with pytest.raises(DataError, match="cannot be read"):
        images.read_image(raw[: len(raw) // 2], channels)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 300])
@pytest.mark.parametrize("ahead", [1, 7, 256])
def test_work_in_parallel_keeps_the_order(count: int, ahead: int) -> None:
    assert list(images.in_parallel(lambda n: n * n, range(count), 2, ahead)) == [n * n for n in range(count)]


@pytest.mark.parametrize("bad", ["fail", "skip"])
def test_images_that_stay_on_disk_are_those_in_memory(world: Path, bad: str) -> None:
    folder = folder_of(world, {f"{name}/{n}": (5, 4) for name in "ab" for n in range(6)})
    if bad == "skip":
        (folder / "a" / "2.png").write_bytes(b"no picture")
    whole = load("image_folder", path=str(folder), bad=bad)
    disk = load("image_folder", path=str(folder), bad=bad, in_memory=False)
    assert isinstance(disk.train.inputs, Stream)
    assert not isinstance(whole.train.inputs, Stream)
    assert (disk.fingerprint, disk.skipped) == (whole.fingerprint, whole.skipped)
    assert disk.train.inputs.shape == whole.train.inputs.shape
    assert np.array_equal(disk.train.inputs[:], whole.train.inputs)
    assert np.array_equal(disk.train.index, whole.train.index)
    rows = np.array([7, 0, 3])
    assert np.array_equal(disk.train.take(rows).inputs[1:], whole.train.take(rows).inputs[1:])
    assert np.array_equal(disk.train.inputs[3], whole.train.inputs[3])
    assert disk.train.inputs[:0].shape == whole.train.inputs[:0].shape
    assert np.array_equal(np.asarray(disk.train.inputs), whole.train.inputs)


def test_images_stay_on_disk_where_the_memory_is_small(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(world, {f"{name}/{n}": (5, 4) for name in "ab" for n in range(3)})
    monkeypatch.setattr(machine, "memory", lambda: 4 * 6 * 60 - 1)
    assert isinstance(load("image_folder", path=str(folder)).train.inputs, Stream)
    assert not isinstance(load("image_folder", path=str(folder), in_memory=True).train.inputs, Stream)
    monkeypatch.setattr(machine, "memory", lambda: 100)
    with pytest.raises(DataError, match="too much for a memory"):
        load("image_folder", path=str(folder), in_memory=True)


def test_an_image_that_breaks_on_disk_is_named_when_it_is_read(world: Path) -> None:
    folder = folder_of(world, {"a/1": (40, 40), "b/2": (40, 40)})
    whole = bytearray((folder / "a" / "1.png").read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    (folder / "a" / "1.png").write_bytes(whole)
    disk = load("image_folder", path=str(folder), in_memory=False)
    with pytest.raises(DataError, match=r"1\.png") as caught:
        disk.train.inputs[:]
    assert "bad: skip" in caught.value.hint


def test_images_of_different_sizes_need_image_size(world: Path) -> None:
    folder = folder_of(world, {"a/1": (8, 8), "a/2": (9, 8), "b/1": (8, 9)})
    with pytest.raises(DataError, match="3 different sizes") as caught:
        load("image_folder", path=str(folder))
    assert "image_size" in caught.value.hint
    assert load("image_folder", path=str(folder), image_size=4).train.inputs.shape == (3, 4, 4, 3)


def test_a_bad_image_is_named_with_its_path(world: Path) -> None:
    folder = folder_of(world, {"a/1": (8, 8), "b/1": (8, 8)})
    (folder / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a jpeg")
    with pytest.raises(DataError) as caught:
        load("image_folder", path=str(folder))
    assert "photos/b/broken.jpg: cannot be read as an image" in caught.value.message
    data = load("image_folder", path=str(folder), bad="skip")
    assert (data.skipped, len(data.train), data.train.index.tolist()) == (("b/broken.jpg",), 2, [0, 1])


def test_labels_from_a_table(world: Path) -> None:
    folder = folder_of(world, {"a/1": (8, 8), "a/2": (8, 8), "b/1": (8, 8)})
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    rows = "\n".join(f"{name},{label}" for name, label in zip(names, ("cat", "dog", "cat"), strict=True))
    (world / "labels.csv").write_text(f"file,label\n{rows}\n")
    data = load("image_folder", path=str(folder), labels=str(world / "labels.csv"))
    assert (data.classes, sorted(data.train.targets.tolist())) == (("cat", "dog"), [0, 0, 1])
    (world / "labels.csv").write_text(f"file,age\n{names[0]},0.5\n{names[1]},2\n")
    data = load("image_folder", path=str(folder), labels=str(world / "labels.csv"))
    assert (data.task, data.train.targets.tolist()) == ("regression", [[0.5], [2.0]])
    (world / "labels.csv").write_text("file,label\n../secret.png,a\nlost.png,b\n")
    with pytest.raises(DataError, match=r"2 of 2 files are not in photos: \.\./secret\.png, lost\.png"):
        load("image_folder", path=str(folder), labels=str(world / "labels.csv"))


def test_sizes_that_differ_are_counted(world: Path) -> None:
    folder = folder_of(world, {"a/1": (8, 8), "a/2": (8, 8), "b/1": (4, 6)})
    with pytest.raises(DataError, match=r"2 of 8 × 8, 1 of ") as caught:
        load("image_folder", path=str(folder))
    assert "image_size" in caught.value.hint


def test_an_image_folder_that_is_none(world: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load("image_folder", path=str(world / "nowhere"))
    (world / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="no images for cat"):
        load("image_folder", path=str(world / "empty"))
    with pytest.raises(DataError, match="no folders of images"):
        load("image_folder", path=str(world / "empty" / "cat"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_grey_or_colour(world: Path, mode: str) -> None:
    image = Image.new(mode, (5, 4))
    path = world / ("x.tif" if mode in ("CMYK", "F", "I") else "x.png")
    image.save(path)
    assert images.read_image(path, channels=3).shape == (4, 5, 3)
    assert images.read_image(path, channels=1).shape == (4, 5, 1)
    assert images.read_image(path.read_bytes(), channels=1, size=(2, 3)).shape == (2, 3, 1)


def test_exif_rotation_is_applied_and_transparency_is_white(world: Path) -> None:
    image = Image.new("RGB", (6, 3), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(world / "r.jpg", exif=exif)
    assert images.read_image(world / "r.jpg").shape == (6, 3, 3)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(world / "t.png")
    assert images.read_image(world / "t.png").min() == 255
    deep = Image.fromarray(np.full((2, 2), 65535, np.uint16))
    deep.save(world / "d.png")
    assert images.read_image(world / "d.png").max() == 255


def test_pixels_are_bounded(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (100, 100)).save(world / "x.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 9_999)
    with pytest.raises(DataError, match="100 × 100 pixels"):
        images.read_image(world / "x.png")


# Tables and arrays


def table(world: Path, text: str) -> str:
    (world / "t.csv").write_text(text)
    return str(world / "t.csv")


def test_csv_numbers_categories_and_classes(world: Path) -> None:
    path = table(world, "size,colour,kind\n1.5,red,b\n2,blue,a\n3,red,a\n")
    data = load("csv", path=path, label="kind")
    assert data.classes == ("a", "b")
    assert data.train.targets.tolist() == [1, 0, 0]
    assert {name: column.tolist() for name, column in data.train.inputs.items()} == {
        "size": [1.5, 2, 3],
        "colour": ["red", "blue", "red"],
    }
    whole, splits = encoded(data, cut(data, "auto", "none"))
    assert splits.train.inputs.tolist() == [[1.5, 0, 1], [2, 1, 0], [3, 0, 1]]
    assert whole.encoding.categories == {"colour": ["blue", "red"]}
    assert list(table_encoding.input_names(whole.encoding)) == ["size", "colour=blue", "colour=red"]
    only = load("csv", path=path, label="kind", features=["size"])
    assert encoded(only, cut(only, "auto", "none"))[0].shape == (1,)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("median", [[2.0, 0, 1], [2.0, 0, 1], [5.0, 0, 0]]),
        ("flag", [[2.0, 1, 0, 1, 0], [2.0, 0, 0, 0, 1], [5.0, 0, 0, 0, 0]]),
    ],
)
def test_what_fills_a_gap_is_fitted_on_train(world: Path, missing: str, expected: list[list[float]]) -> None:
    path = table(world, "size,colour,kind\n,blue,b\n1,red,a\n3,red,a\n2,,a\n")
    test = world / "test.csv"
    test.write_text("colour,size,kind\nred,NA,a\n,2,a\ngreen,5,b\n")
    data = load("csv", path=path, label="kind", missing=missing, test=str(test))
    whole, splits = encoded(data, cut(data, "auto", "none"))
    assert whole.encoding.fill == {"size": 2.0, "colour": "red"}
    assert splits.test.inputs.tolist() == expected


def test_a_gap_and_too_many_words_are_refused(world: Path) -> None:
    with pytest.raises(DataError, match=r"no value for 'size' in 2 rows, 'colour' in 1 row") as caught:
        load("csv", path=table(world, "size,colour,kind\n1,red,a\n,red,a\nNA,,b\n"), label="kind")
    assert caught.value.where.endswith("t.csv:3")
    text = "name,kind\n" + "".join(f"n{n},{n % 2}\n" for n in range(150))
    with pytest.raises(DataError, match="150 different words in 150 rows") as caught:
        load("csv", path=table(world, text), label="kind")
    assert "drop: [name]" in caught.value.hint


def test_a_texts_vocabulary_is_that_of_train(world: Path) -> None:
    text = 'review,mood\n"Good, good film!",1\nBad film,0\n'
    test = world / "test.csv"
    test.write_text("review,mood\nGood weather,1\n")
    data = load("text_csv", path=table(world, text), text="review", label="mood", sequence_length=4, test=str(test))
    whole, splits = encoded(data, cut(data, "auto", "none"))
    assert whole.encoding.vocabulary == ["film", "good", "bad"]
    assert splits.train.inputs.tolist() == [[3, 3, 2, 0], [4, 2, 0, 0]]
    assert splits.test.inputs.tolist() == [[3, 1, 0, 0]]
    assert splits.test.inputs.dtype == np.int32


def test_a_series_is_cut_by_time(world: Path) -> None:
    text = "day,load,heat\n" + "".join(f"d{n},{n},{100 + n}\n" for n in range(20))
    data = load("series_csv", path=table(world, text), target="load", window=3, horizon=2)
    assert data.shape == (3, 2)
    assert data.train.inputs[0].tolist() == [[0, 100], [1, 101], [2, 102]]
    assert data.train.targets[0].tolist() == [3, 4]
    assert len(data.train) == 16
    splits = cut(data, 0.25, "none")
    assert splits.test.targets.tolist() == [[n, n + 1] for n in range(15, 19)]
    assert splits.train.targets.max() < splits.test.inputs[..., 0].min()


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
    [
        ("0 1 1", "auto", "classification"),
        ("yes no no", "auto", "classification"),
        ("0.5 1.5 2", "auto", "regression"),
        ("0 1 1", "regression", "regression"),
        ("7 9 8", "classification", "classification"),
    ],
)
def test_csv_tasks(world: Path, labels: str, task: str, expected: str) -> None:
    text = "x,y\n" + "".join(f"{n},{label}\n" for n, label in enumerate(labels.split()))
    assert load("csv", task, path=table(world, text), label="y").task == expected


def test_a_label_that_could_be_either_is_asked_about(world: Path) -> None:
    text = "x,y\n" + "".join(f"{n},{n + 1900}\n" for n in range(50))
    with pytest.raises(DataError, match="50 different values") as caught:
        load("csv", path=table(world, text), label="y")
    assert "task: classification" in caught.value.hint
    assert "task: regression" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "label", "expected"),
    [
        ("a,b\n1,2\n", "c", "has no column 'c'; it has a, b"),
        ("size,b\n1,2\n", "sze", "did you mean 'size'"),
        ("a,b\n1\n", "b", "1 fields, expected 2"),
        ("a,b\n1,\n", "b", "no value for 'b'"),
        ("a,a\n1,2\n", "a", "names a twice"),
        ("a,b\n", "b", "expected a header and at least one row"),
        ("", "b", "expected a header"),
    ],
)
def test_a_broken_table_is_located(world: Path, text: str, label: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        load("csv", path=table(world, text), label=label)
    assert "t.csv" in caught.value.where


def test_npz(world: Path) -> None:
    np.savez(world / "a.npz", x=np.arange(12.0).reshape(6, 2), y=np.array([0, 1, 2, 0, 1, 2]))
    data = load("npz", path=str(world / "a.npz"))
    assert (data.task, data.classes, data.shape) == ("classification", ("0", "1", "2"), (2,))
    np.savez(world / "b.npz", x_train=np.zeros((4, 3), np.int64), y_train=np.array([0.5, 1, 2, 3]))
    data = load("npz", path=str(world / "b.npz"))
    assert (data.task, data.train.targets.shape, data.train.inputs.dtype) == ("regression", (4, 1), np.int32)
    np.savez(world / "c.npz", a=np.zeros(3))
    with pytest.raises(DataError, match="it holds a"):
        load("npz", path=str(world / "c.npz"))
    np.savez(world / "d.npz", x=np.array([[np.nan], [1.0]]), y=np.array([0, 1]))
    with pytest.raises(DataError, match="NaN, infinite"):
        load("npz", path=str(world / "d.npz"))
    np.savez(world / "e.npz", x=np.array([{}], dtype=object), y=np.array([0]))
    with pytest.raises(DataError, match="holds Python objects"):
        load("npz", path=str(world / "e.npz"))


def test_the_store_says_that_images_went_through_jpeg(dlx: Dlx, world: Path) -> None:
    entry = KNOWN["cifar10"]
    for split in ("train", "test"):
        for kind in entry.classes:
            folder = world / "tree" / split / kind
            folder.mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(folder / "0.jpg")
    store.add("cifar10", world / "tree")
    assert json.loads((world / "store" / "cifar10" / "info.json").read_text())["lossy"] is True
    assert "JPEG" in load("cifar10").source
    assert "through JPEG" in dlx("data", "list").out


def test_the_test_table_has_the_types_of_the_train_table(world: Path) -> None:
    path = table(world, "code,y\n007,p\n012,q\nx9,q\n007,p\n")
    test = world / "test.csv"
    test.write_text("code,y\n007,p\n012,q\n")
    data = load("csv", path=path, label="y", test=str(test))
    _, splits = encoded(data, cut(data, "auto", "none"))
    assert splits.test.inputs.tolist() == [[1, 0, 0], [0, 1, 0]]
    test.write_text("code,y\nseven,p\n")
    words = load("csv", path=table(world, "code,y\n7,p\n12,q\n"), label="y")
    assert words.train.inputs["code"].dtype == np.float64
    with pytest.raises(DataError, match=r"column 'code' must hold numbers, as in t\.csv"):
        load("csv", path=str(world / "t.csv"), label="y", test=str(test))


def test_fields_are_stripped_before_they_are_judged(world: Path) -> None:
    data = load(
        "csv",
        path=table(world, "a,b,y\n1 ,NULL ,p\n 2,red,q\n10000000000000000000000,red ,p\n"),
        label="y",
        missing="median",
    )
    assert data.train.inputs["a"].tolist() == [1.0, 2.0, 1e22]
    assert data.train.inputs["b"].tolist() == ["", "red", "red"]


def test_a_word_among_numbers_makes_no_categories(world: Path) -> None:
    text = "a,y\n" + "".join(f"{n},{n % 2}\n" for n in range(60)) + "12.x,1\n"
    with pytest.raises(DataError, match=r"holds numbers, and 1 that are not: 12\.x") as caught:
        load("csv", path=table(world, text), label="y")
    assert "categorical: [a]" in caught.value.hint


def test_a_gap_is_told_by_its_line(world: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("csv", path=table(world, 'a,y\n\n"1\n",p\n\n,q\n'), label="y")
    assert caught.value.where.endswith("t.csv:6") or caught.value.where.endswith("t.csv:5")


def test_ten_thousand_texts_and_more(world: Path) -> None:
    text = "t,y\n" + "".join(f"text number {n},{n % 2}\n" for n in range(10_500)) + "NA,1\n" + "long " * 40_000 + ",0\n"
    data = load("text_csv", path=table(world, text), text="t", label="y", sequence_length=3)
    assert len(data.train) == 10_502
    assert data.train.inputs["t"][10_500] == "NA"


def test_a_table_of_labels_is_read_strictly(world: Path) -> None:
    folder = folder_of(world, {"a/1": (8, 8), "a/2": (8, 8)})
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    for rows, expected in (
        (f"file,label\n{names[0]},x\n{names[0]},y\n", "names 1 files more than once"),
        (f"file,label,other\n{names[0]},x,1\n", "an image has one label"),
        (f"{names[0]},x\n{names[1]},y\n", "has no header"),
    ):
        (world / "l.csv").write_text(rows)
        with pytest.raises(DataError, match=expected):
            load("image_folder", path=str(folder), labels=str(world / "l.csv"))


def test_arrays_of_test_classes_that_train_has_not(world: Path) -> None:
    np.savez(world / "a.npz", x_train=np.zeros((4, 2)), y_train=[0, 1, 0, 1], x_test=np.zeros((2, 2)), y_test=[5, 6])
    with pytest.raises(DataError, match="y_test holds classes that y_train has not"):
        load("npz", path=str(world / "a.npz"))
    np.savez(world / "b.npz", x_train=np.zeros((4, 2)), y_train=[0, 1, 0, 1], x_test=np.zeros((2, 2)))
    with pytest.raises(DataError, match="x_test and y_test both, or neither"):
        load("npz", path=str(world / "b.npz"))


TABLE_ON_DISK = """\
size,colour,flag,count,label
1.5,red,True,3,yes
,green,False,4,no
2.5, red ,True,,yes
3,NA,False,7,no
4,blue,True,8,yes
5,blue,True,9,no
"""


@pytest.mark.parametrize("missing", ["median", "flag"])
@pytest.mark.parametrize("categorical", [None, ["count"]])
def test_a_table_that_stays_on_disk_is_that_in_memory(
    world: Path, monkeypatch: pytest.MonkeyPatch, missing: str, categorical: Any
) -> None:
    monkeypatch.setattr(out_of_core, "ROWS", 2)  # a column may be of numbers in one piece, and of words in another
    (world / "t.csv").write_text(TABLE_ON_DISK)
    how = {"path": str(world / "t.csv"), "label": "label", "missing": missing, "categorical": categorical}
    found = []
    for in_memory in (True, False):
        data = load("csv", in_memory=in_memory, **how)
        splits = cut(data, 0.34, "none")
        whole, splits = encoded(data, splits)
        assert isinstance(splits.train.inputs, Stream) is not in_memory
        assert splits.test is not None
        rows = [split.inputs[np.arange(len(split))] for split in (splits.train, splits.test)]
        found.append((rows, splits.train.targets, whole.fingerprint, whole.encoding, whole.shape))
    (memory, *rest), (disk, *other) = found
    for mine, theirs in zip(memory, disk, strict=True):
        assert np.array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype == np.float64  # which training scales, or makes float32
    assert repr(rest) == repr(other)
    assert not list((world / "store").iterdir())  # nothing is left beside the data


def test_a_column_that_is_dropped_is_not_read_from_a_table_on_disk(world: Path) -> None:
    (world / "t.csv").write_text(TABLE_ON_DISK)
    how = {"path": str(world / "t.csv"), "label": "label", "features": ["size", "flag"], "missing": "median"}
    data = load("csv", in_memory=False, **how)
    assert sorted(data.train.inputs) == ["flag", "size"]


# Rows without a label, and dates


@pytest.mark.parametrize("in_memory", [True, False])
def test_rows_without_a_label_can_be_left_out(world: Path, in_memory: bool) -> None:
    (world / "t.csv").write_text("size,price\n1,10.5\n2,\n3,30\n,40\n5,NA\n")
    how: dict[str, Any] = {
        "path": str(world / "t.csv"),
        "label": "price",
        "in_memory": in_memory,
        "_task": "regression",
    }
    with pytest.raises(DataError, match=r"no value for 'price' in 2 rows") as caught:
        load("csv", **how)
    assert caught.value.where.endswith("t.csv:3")
    assert "missing_label: drop" in caught.value.hint
    with pytest.raises(DataError, match="no value for 'size' in 1 row") as caught:
        load("csv", **how, missing_label="drop")
    assert caught.value.where.endswith("t.csv:5")
    data = load("csv", **how, missing_label="drop", missing="median")
    assert data.unlabelled == 2
    assert data.train.index.tolist() == [0, 2, 3]
    assert data.train.targets.tolist() == [[10.5], [30], [40]]
    _, splits = encoded(data, cut(data, "none", "none"))
    assert splits.train.inputs[np.arange(3)].tolist() == [[1], [3], [2]]
    (world / "t.csv").write_text("size,price\n1,\n2,\n")
    with pytest.raises(DataError, match="no row has a value for 'price'"):
        load("csv", **how, missing_label="drop")


def test_left_out_rows_are_counted_and_said(dlx: Dlx, world: Path) -> None:
    rows = "".join(f"good film {n},{'yes' if n % 2 else 'no'}\nbad film {n},\n" for n in range(20))
    (world / "t.csv").write_text(f"text,label\n{rows}")
    (world / "t.yaml").write_text(
        "dataset: {text_csv: {path: t.csv, text: text, label: label, missing_label: drop, sequence_length: 4}}\n"
        "layers: [{embedding: {input_dim: 20000, output_dim: 2}}, flatten, output]\nepochs: 1\n"
    )
    result = dlx("run", "t.yaml")
    assert result.code == 0, result.err
    assert "left out  20 rows without a label" in result.out.replace("left out    ", "left out  ")
    info = json.loads((world / "runs/t-1/run.json").read_text())
    assert info["dataset"]["unlabelled"] == 20
    assert info["dataset"]["train"] + info["dataset"]["validation"] == 20


DATED = "day,moment,kind\n" + "".join(
    f"2026-03-{1 + n % 28:02},2026-03-{1 + n % 28:02} {n % 24:02}:30,{'ab'[n % 2]}\n" for n in range(60)
)


def test_dates_become_days(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text(DATED)
    data = load("csv", path=str(world / "t.csv"), label="kind")
    assert data.encoding is not None
    assert data.encoding.dates == ["day", "moment"]
    assert data.train.inputs["day"][:2].tolist() == [20513.0, 20514.0]  # 2026-03-01 and the day after
    assert data.train.inputs["moment"][1] == pytest.approx(20514 + 1.5 / 24)
    (world / "t.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: kind}}\npreprocess: [normalize]\nlayers: [output]\nepochs: 1\n"
    )
    result = dlx("run", "t.yaml")
    assert result.code == 0, result.err
    assert "day, moment: days since 1970-01-01" in result.out
    assert json.loads((world / "runs/t-1/run.json").read_text())["input"]["encoding"]["dates"] == ["day", "moment"]
    (world / "new.csv").write_text("day,moment\n2026-04-01,2026-04-01T08:00:00Z\n")
    assert len(dlx("predict", "t", "new.csv", "--json").lines) == 1
    (world / "new.csv").write_text("day,moment\nsoon,2026-04-01T08:00\n")
    refused = dlx("predict", "t", "new.csv")
    assert refused.code == 3
    assert "new.csv: column 'day' must hold dates, as in training" in refused.err
    words = load("csv", path=str(world / "t.csv"), label="kind", categorical=["day", "moment"])
    assert words.encoding is not None
    assert words.encoding.dates == []


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("03/04/2026,11/12/2025", "holds dates such as 03/04/2026, in which nothing tells days from months"),
        ("2026-02-30,2026-02-01", "holds '2026-02-30', which is no date (day is out of range for month)"),
    ],
)
def test_dates_that_are_none_are_said(world: Path, column: str, message: str) -> None:
    first, second = column.split(",")
    (world / "t.csv").write_text(f"day,kind\n{first},a\n{second},b\n")
    with pytest.raises(DataError, match=re.escape(message)):
        load("csv", path=str(world / "t.csv"), label="kind")


def test_the_days_of_a_gap_are_filled(world: Path) -> None:
    from dlx.parts.datasets import dates

    def days(texts: list[str], name: str, where: str) -> np.ndarray | None:
        first = dates.first_of(texts, name, where)
        return None if first is None else dates.days(texts, first, name, where)

    found = days(["2026/03/01", "", "2026/3/2 1:02:03,5 +0200"], "day", "")
    assert found is not None
    assert found[0] == 20513.0
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(20514 + (1 * 3600 + 2 * 60 + 3.5 - 7200) / 86400)
    for texts in (["31.3.2026", "1.4.2026 6:00"], ["3/31/2026", "4/1/2026 6:00"]):
        found = days(texts, "day", "")
        assert found is not None
        assert found.tolist() == [20543.0, 20544.25]
    for words in (
        ["1.10.12", "1.99.14"],
        ["12/31/2025", "31/12/2025"],
        ["2026-01-01", "1.1.2026"],
        ["99.1.2026", "1.1.2026"],
    ):
        assert days(words, "version", "") is None
    assert days(["red", "2026-03-01"], "day", "") is None
    assert days(["", "NA"], "day", "") is None


def test_dates_in_one_file_are_none_in_the_other(world: Path) -> None:
    (world / "train.csv").write_text("day,kind\n2026-01-01,a\n2026-01-02,b\n")
    (world / "test.csv").write_text("day,kind\n20260101,a\n20260102,b\n")
    with pytest.raises(DataError, match=r"column 'day' holds no dates, but train\.csv some") as caught:
        load("csv", path=str(world / "train.csv"), test=str(world / "test.csv"), label="kind")
    assert caught.value.where.endswith("test.csv")
    with pytest.raises(DataError, match=r"column 'day' holds dates, but test\.csv none"):
        load("csv", path=str(world / "test.csv"), test=str(world / "train.csv"), label="kind")


def test_init_knows_dates_and_rows_without_a_label(dlx: Dlx, world: Path) -> None:
    rows = [
        f"{1 + n % 28}.{1 + n % 12}.2026,{1 + n % 12}/{1 + n % 11}/2026,{n},{'' if n % 9 == 0 else 'ab'[n % 2]}"
        for n in range(60)
    ]
    (world / "t.csv").write_text("day,unsure,size,kind\n" + "\n".join(rows) + "\n")
    assert dlx("init", "t.csv", "--label", "kind").code == 0
    text = (world / "t.yaml").read_text()
    assert "# 7 rows have no kind: left out." in text
    assert "# Dates become days since 1970-01-01: day." in text
    assert "missing_label: drop" in text
    assert "drop: [unsure]" in text
    assert dlx("run", "t.yaml", "-s", "epochs=1").code == 0


def test_a_few_words_among_dates_or_labels_are_an_error(world: Path) -> None:
    days = [f"2026-03-{1 + n % 28:02}" for n in range(39)]
    (world / "t.csv").write_text(
        "day,kind\n" + "".join(f"{day},{'ab'[n % 2]}\n" for n, day in enumerate([*days, "unknown"]))
    )
    with pytest.raises(DataError, match="column 'day' holds dates, and 1 that are none: unknown"):
        load("csv", path=str(world / "t.csv"), label="kind")
    (world / "p.csv").write_text("size,price\n" + "".join(f"{n},{n}.5\n" for n in range(60)) + "7,?\n")
    with pytest.raises(DataError, match=r"column 'price' holds numbers, and 1 that are not: [?]") as caught:
        load("csv", path=str(world / "p.csv"), label="price")
    assert "task: classification" in caught.value.hint


@pytest.mark.parametrize("seed", [0, 1, 123])
@pytest.mark.parametrize("samples", [4, 5, 301])
def test_points_are_those_of_scikit_learn(samples: int, seed: int) -> None:
    from sklearn import datasets

    how: dict[str, Any] = {"samples": samples, "seed": seed}
    for noise in (0.0, 0.2):
        moons = datasets.make_moons(samples, noise=noise, random_state=seed)
        circles = datasets.make_circles(samples, noise=noise, factor=0.4, random_state=seed)
        same(load("moons", **how, noise=noise), *moons)
        same(load("circles", **how, noise=noise, factor=0.4), *circles)
    for classes in (2, 3, 4):
        blobs = datasets.make_blobs(samples, 3, centers=classes, cluster_std=1.5, random_state=seed)
        same(load("blobs", **how, classes=classes, features=3, spread=1.5), *blobs)


def test_bundled_data_is_that_of_scikit_learn() -> None:
    from sklearn import datasets

    pixels, labels = datasets.load_digits(return_X_y=True)
    same(load("digits"), np.round(pixels.reshape(-1, 8, 8, 1) * (255 / 16)), labels)
    same(load("iris"), *datasets.load_iris(return_X_y=True))


def same(data: Dataset, x: Any, y: Any) -> None:
    """Equal to the bit."""
    assert np.array_equal(data.train.inputs, x.astype(data.train.inputs.dtype))
    assert np.array_equal(np.asarray(data.train.targets).reshape(-1), y)


def test_dates_are_read_as_the_training_read_them(dlx: Dlx, world: Path) -> None:
    """Which of two numbers is the day is learned once: a table of early days alone is no riddle."""
    rows = [f"{1 + n % 28}/{1 + n % 12}/2026,{n % 2}.5" for n in range(40)]
    (world / "t.csv").write_text("day,size\n" + "\n".join(rows) + "\n")
    (world / "early.csv").write_text("day,size\n5/4/2026,1\n6/4/2026,2\n")
    (world / "none.csv").write_text("day,size\n,1\n,2\n")
    (world / "late.csv").write_text("day,size\n4/25/2026,1\n")
    how: dict[str, Any] = {"path": str(world / "t.csv"), "label": "size", "missing": "median"}
    data = load("csv", **how, test=str(world / "early.csv"))
    assert data.test is not None
    assert data.test.inputs["day"].tolist() == [20548.0, 20549.0]  # the 5th and the 6th of April
    with pytest.raises(DataError, match="column 'day' holds nothing"):
        load("csv", **how, test=str(world / "none.csv"))
    with pytest.raises(DataError, match="column 'day' holds '4/25/2026', which is no date"):
        load("csv", **how, test=str(world / "late.csv"))
    (world / "t.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: size}}\npreprocess: [normalize]\nlayers: [output]\nepochs: 1\n"
    )
    assert dlx("run", "t.yaml").code == 0
    lines = dlx("predict", "t", "early.csv", "--json").lines
    whole = dlx("predict", "t", "t.csv", "--json").lines
    fifth = next(n for n, row in enumerate(rows) if row.startswith("5/")), lines[0]["value"]
    assert rows[fifth[0]].startswith("5/5/")
    (world / "same.csv").write_text("day\n5/5/2026\n")
    assert dlx("predict", "t", "same.csv", "--json").lines[0]["value"] == whole[fifth[0]]["value"]
    assert "which is no date" in dlx("predict", "t", "late.csv").err
