"""Data that does not go together is refused; what goes together keeps its values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlx import spec as specs
from dlx.data import images
from dlx.data.audit import audit
from dlx.data.splits import Splits
from dlx.errors import DataError
from dlx.parts.datasets import loading
from dlx.parts.datasets import npz as npz_dataset
from dlx.system import machine
from dlx.training.experiment import prepare


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"y_test": np.ones((6, 3)) / 2}, r"y_test holds \(3,\), y holds \(1,\)"),
        ({"y_test": np.ones((6, 0))}, "expected the same number of both"),
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
    assert audit(dataset, Splits(dataset.train, None, dataset.test)).shared == {"test": (0, 1)}


def test_an_image_of_one_row_has_colours(world: Path) -> None:
    Image.new("RGB", (9, 1), "red").save(world / "a.jpg")
    assert images.read_image(world / "a.jpg", 3, (8, 8)).shape == (8, 8, 3)


def test_a_test_table_of_texts_is_read_as_the_train_one(world: Path) -> None:
    (world / "a.csv").write_text("text,label\nnull,NA\nword,b\nmore words,b\n")
    found = loading.load(
        specs.load(spec_of(world, "text_csv: {path: a.csv, test: a.csv, text: text, label: label}")).dataset, "auto"
    )
    assert found.test is not None
    assert found.test.inputs["text"].tolist() == found.train.inputs["text"].tolist() == ["null", "word", "more words"]
    assert found.classes == ("NA", "b")
    (world / "b.csv").write_text("a,label\n1,x\n2,\n")
    (world / "c.csv").write_text("a,label\n1,x\n2,y\n")
    spec = specs.load(spec_of(world, "csv: {path: c.csv, test: b.csv, label: label}"))
    with pytest.raises(DataError, match="no value for 'label' in 1 row"):
        loading.load(spec.dataset, "auto")


def spec_of(world: Path, dataset: str) -> Path:
    (world / "d.yaml").write_text(f"dataset: {{{dataset}}}\nlayers: [output]\n")
    return world / "d.yaml"


def test_a_table_that_grows_beyond_the_memory_is_refused(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"word{number},{number % 2}\n" for number in range(2000))
    (world / "a.csv").write_text(f"w,label\n{rows}")
    spec = specs.load(spec_of(world, "csv: {path: a.csv, label: label, categorical: [w]}"))
    monkeypatch.setattr(machine, "memory", lambda: 10**6)
    with pytest.raises(DataError, match="too much for a memory of"):
        prepare(spec)


def test_images_of_another_size_are_not_kept_in_memory(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, size in enumerate((8, 8, 90, 91)):
        place = world / "d" / f"class_{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size)).save(place / f"{number}.png")
    decoded: list[Any] = []
    read = images.read_image
    monkeypatch.setattr(images, "read_image", lambda *what, **how: decoded.append(read(*what, **how)) or decoded[-1])
    with pytest.raises(DataError, match="the images have 3 different sizes"):
        loading.load(specs.load(spec_of(world, "image_folder: d")).dataset, "auto")
    assert {image.shape for image in decoded} == {(8, 8, 3)}
