"""What is wrong with data is found, and named, before the first step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx
from PIL import Image

from dlx import spec as specs
from dlx.data.audit import Findings, audit
from dlx.data.cuts import cut
from dlx.data.dataset import Dataset, Split, Stream
from dlx.data.encoding import Encoding
from dlx.data.splits import Splits
from dlx.system import machine
from dlx.training.experiment import prepare


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
    splits = Splits(split(train, np.zeros(len(train))), None, split(test, np.zeros(len(test)), 1000))
    dataset = Dataset(splits.train, "classification", "", classes=("a", "b"))
    found = audit(dataset, splits)
    assert found.shared == {"test": (1002, 1005)}
    assert found.unseen == ("b",)
    told = found.lines(splits.sizes())
    assert told[0] == "no example of b is in train"
    assert told[1].endswith("test examples are in train, too: rows 1002, 1005")
    assert found.record() == {"unseen_classes": ["b"], "shared_with_train": {"test": 2}}


def test_a_stream_is_known_by_its_keys() -> None:
    def read(rows: Any) -> np.ndarray:
        raise AssertionError("nothing is read")

    keys = np.array([5, 6, 7, 5], np.uint64)
    streams = [Stream(read, np.array(rows), (2,), np.dtype("uint8"), keys) for rows in ([0, 1], [2, 3])]
    train, test = (Split(s, np.array([0, 1]), s.rows) for s in streams)
    assert audit(Dataset(train, "regression", ""), Splits(train, None, test)).shared == {"test": (3,)}


def test_a_stream_and_an_array_are_compared_by_what_they_hold() -> None:
    pixels = np.arange(8, dtype=np.uint8).reshape(4, 2)
    keys = np.array([5, 6, 7, 8], np.uint64)
    rows = np.arange(3)
    train = Split(Stream(lambda rows: pixels[rows], rows, (2,), np.dtype("uint8"), keys), rows % 2, rows)
    test = Split(pixels[2:], np.array([0, 1]), np.arange(2))
    found = audit(Dataset(train, "regression", ""), Splits(train, None, test))
    assert found.shared == {"test": (0,)}


def test_where_train_stays_on_disk_test_does_too(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in (("train", 12), ("test", 2)):
        for number in range(count):
            place = world / "d" / split / f"class_{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(place / f"{number}.png")
    monkeypatch.setattr(machine, "memory", lambda: 4 * 12 * 192 - 1)
    (world / "d.yaml").write_text("dataset: {image_folder: d}\nlayers: [flatten, output]\nvalidation: none\n")
    experiment = prepare(specs.load(world / "d.yaml"))
    assert isinstance(experiment.splits.train.inputs, Stream)
    assert experiment.findings.shared == {"test": (0, 1)}


def test_strict_refuses_what_else_is_counted(dlx: Dlx, world: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    x[25] = x[3]
    np.savez(world / "d.npz", x_train=x[:20], y_train=np.arange(20) % 2, x_test=x[20:], y_test=np.arange(10) % 2)
    (world / "d.yaml").write_text("dataset: {npz: d.npz}\nlayers: [output]\nepochs: 1\nvalidation: none\n")
    result = dlx("run", "d.yaml")
    assert result.code == 0, result.err
    assert "attention 1 of the 10 test examples are in train, too: row 5" in " ".join(result.out.split())
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


def test_equal_rows_of_a_table_of_few_columns_are_no_alarm() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 1500).astype(np.int32)

    def look(inputs: np.ndarray, targets: np.ndarray) -> Findings:
        whole = Split(inputs, targets, np.arange(len(targets)))
        encoding = Encoding(columns=[str(n) for n in range(inputs.shape[1])])
        data = Dataset(whole, "classification", "", classes=("a", "b"), kind="table", encoding=encoding)
        return audit(data, cut(data, 0.3, "none"))

    few = look(random.integers(0, 8, (1500, 4)).astype(np.float64), labels)
    together = look(np.repeat(random.integers(0, 200, (1500, 1)), 4, axis=1).astype(np.float64), labels)
    for found in (few, together):
        assert len(found.shared["test"]) > 50
        assert found.chance == ("test",)
        assert found.lines({"test": 450}) == []
        (remark,) = found.remarks({"test": 450})
        assert remark.endswith("of the 450 test examples equal one of train, as is to be expected of so few columns")
        assert found.record()["shared_with_train"]["test"] > 50
    doubled = look(np.tile(random.normal(size=(750, 4)), (2, 1)), np.tile(labels[:750], 2))
    assert doubled.chance == ()
    assert "test examples are in train, too" in doubled.lines({"test": 450})[0]


def test_rows_measured_twice_are_an_alarm_also_with_other_labels() -> None:
    random = np.random.default_rng(2)
    inputs, labels = np.tile(random.normal(size=(100, 3)), (2, 1)), random.integers(0, 2, 200).astype(np.int32)
    whole = Split(inputs, labels, np.arange(200))
    data = Dataset(
        whole, "classification", "", classes=("a", "b"), kind="table", encoding=Encoding(columns=list("xyz"))
    )
    found = audit(data, cut(data, 0.4, "none"))
    assert len(found.shared["test"]) > 20
    assert found.chance == ()
