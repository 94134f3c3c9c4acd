"""dlx predict: every kind of input, every form of output, and no code from strangers."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SMALL, Dlx
from examples import train_all, write_photos
from PIL import Image

import dlx as api
from dlx.errors import DataError
from dlx.inference import inputs
from dlx.inference.predictor import load_predictor
from dlx.runs.run import Run
from dlx.system.backend import loaded


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three finished runs: digits, iris and an image folder in colour."""
    world = tmp_path_factory.mktemp("trained")
    write_photos(world, {"red": (200, 30, 30), "blau ☂": (30, 30, 200)})
    iris = "dataset: iris\npreprocess: [normalize]\nlayers: [output]\nlr: 0.1\nepochs: 30\n"
    photos = (
        "dataset: {image_folder: {path: photos, image_size: 8}}\nvalidation: 0.25\npreprocess: [rescale]\n"
        "layers: [flatten, output]\nlr: 0.05\nepochs: 40\n"
    )
    train_all(world, {"digits": SMALL, "iris": iris, "photos": photos})
    return world


@pytest.fixture
def runs(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLX_RUNS", str(trained / "runs"))
    return trained / "runs"


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 90 if mode != "RGB" else (210, 40, 40)).save(path)
    return path


def test_images_of_any_size_and_mode(dlx: Dlx, runs: Path, world: Path) -> None:
    for number, mode in enumerate(("RGB", "L", "P", "RGBA", "CMYK")):
        picture(world / f"in/{number}.{'jpg' if mode == 'CMYK' else 'png'}", mode, (5 + 60 * number, 33))
    result = dlx("predict", "photos", "in", "--json")
    assert result.code == 0, result.err
    assert len(result.lines) == 5
    assert set(result.lines[0]) == {"input", "label", "probabilities"}
    assert list(result.lines[0]["probabilities"]) == ["blau ☂", "red"]
    assert result.lines[0]["label"] == "red"


def test_prediction_is_that_of_training(runs: Path, trained: Path, dlx: Dlx) -> None:
    """The same files through predict give the labels that evaluation saved, also after the folders are renamed."""
    saved = np.load(runs / "photos-1" / "predictions.npz")
    files = sorted((trained / "photos").rglob("*.png"))
    names = Run.open(runs / "photos-1").info()["classes"]
    everything = dict(enumerate(dlx("predict", "photos", *files, "--json", "--exact").lines))
    alike = everything
    if loaded() == "jax":  # a row's last bit depends there on how many are computed at once: as many as in training
        seen = [files[index] for index in saved["index"]]
        alike = dict(zip(saved["index"], dlx("predict", "photos", *seen, "--json", "--exact").lines, strict=True))
    for index, shares in zip(saved["index"], saved["prediction"], strict=True):
        assert everything[index]["label"] == names[shares.argmax()]
        np.testing.assert_allclose(list(everything[index]["probabilities"].values()), shares, rtol=1e-4)
        assert list(alike[index]["probabilities"].values()) == shares.tolist()


def test_folders_patterns_and_rotation(dlx: Dlx, runs: Path, world: Path) -> None:
    picture(world / "a/1.png")
    picture(world / "a/b/2.png")
    (world / "a/notes.txt").write_text("x")
    assert len(dlx("predict", "photos", "a", "--json").lines) == 2
    assert len(dlx("predict", "photos", "a/*.png", "a/b/*.png", "--json").lines) == 2
    image = Image.new("RGB", (8, 8), "blue")
    image.paste("red", (0, 0, 8, 4))
    exif = image.getexif()
    exif[0x0112] = 3
    image.save(world / "turned.png", exif=exif)
    image.transpose(Image.Transpose.ROTATE_180).save(world / "upright.png")
    turned, upright = dlx("predict", "photos", "turned.png", "upright.png", "--json").lines
    assert turned["probabilities"] == upright["probabilities"]


def test_tables_arrays_and_standard_input(dlx: Dlx, shell: Dlx, runs: Path, world: Path) -> None:
    header = "petal_length,sepal_width,sepal_length,petal_width,note\n"
    (world / "f.csv").write_text(header + "1.4,3.5,5.1,0.2,a\n6.0,3.0,7.2,1.8,b\n")
    named = dlx("predict", "iris", "f.csv", "--json", "--exact").lines
    assert [line["label"] for line in named] == ["setosa", "virginica"]
    assert named[0]["input"] == "f.csv:1"
    (world / "bare.csv").write_text("5.1,3.5,1.4,0.2\n7.2,3.0,6.0,1.8\n")
    bare = dlx("predict", "iris", "bare.csv", "--json", "--exact").lines
    assert [line["probabilities"] for line in bare] == [line["probabilities"] for line in named]
    array = np.array([[5.1, 3.5, 1.4, 0.2], [7.2, 3.0, 6.0, 1.8]])
    np.save(world / "a.npy", array)
    np.savez(world / "a.npz", x=array)
    for name in ("a.npy", "a.npz"):
        assert [line["label"] for line in dlx("predict", "iris", name, "--json").lines] == ["setosa", "virginica"]
    for content in ((world / "f.csv").read_bytes(), (world / "a.npy").read_bytes()):
        answer = shell("predict", "iris", "-", "--json", stdin=content)
        assert [line["label"] for line in answer.lines] == ["setosa", "virginica"]
        assert answer.err == ""
    picture(world / "p.png")
    assert shell("predict", "photos", "-", "--json", stdin=(world / "p.png").read_bytes()).lines[0]["input"] == "-"


def test_output_by_suffix_and_top(dlx: Dlx, runs: Path, world: Path) -> None:
    np.save(world / "x.npy", np.zeros((3, 8, 8, 1), np.uint8))
    assert dlx("predict", "digits", "x.npy", "-o", "out.csv").code == 0
    rows = list(csv.DictReader((world / "out.csv").read_text().splitlines()))
    assert len(rows) == 3
    assert list(rows[0]) == ["input", "label", *"0123456789"]
    assert sum(float(rows[0][digit]) for digit in "0123456789") == pytest.approx(1, abs=1e-5)
    assert dlx("predict", "digits", "x.npy", "-o", "out.jsonl", "--top", 2).code == 0
    record = json.loads((world / "out.jsonl").read_text().splitlines()[0])
    assert len(record["probabilities"]) == 2
    assert record["label"] == next(iter(record["probabilities"]))
    top = list(csv.reader(io.StringIO(dlx("predict", "digits", "x.npy", "--csv", "--top", 2).out)))
    assert top[0] == ["input", "label_1", "probability_1", "label_2", "probability_2"]
    assert dlx("predict", "digits", "x.npy", "-o", "out.txt").code == 2
    shown = dlx("predict", "digits", "x.npy", "--top", 3).out.splitlines()
    assert len(shown) == 9
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["digits", "nowhere.png"], "nowhere.png: no such file"),
        (["digits", "empty"], "empty: holds no images"),
        (["digits", "wide.npy"], "has the shape (4, 9), but the run was trained on (n, 8, 8, 1)"),
        (["digits", "objects.npy"], "objects.npy: holds Python objects, which are not read"),
        (["iris", "p.png"], "is not an input for this run"),
        (["iris", "other.csv"], "other.csv: expected the columns sepal_length"),
        (["iris", "words.csv"], "words.csv:1: column 'sepal_width' holds 'x'; expected numbers"),
        (["iris", "torn.csv"], "torn.csv:3: 2 fields, expected 4"),
        (["digits", "other.csv"], "is a table, but the run was trained on inputs of the shape (8, 8, 1)"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_what_cannot_be_predicted_is_said(dlx: Dlx, runs: Path, world: Path, words: list[str], expected: str) -> None:
    (world / "empty").mkdir()
    np.save(world / "wide.npy", np.zeros((4, 9)))
    np.save(world / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    picture(world / "p.png")
    (world / "other.csv").write_text("a,b\n1,2\n")
    (world / "words.csv").write_text("sepal_length,sepal_width,petal_length,petal_width\n1,x,3,4\n")
    (world / "torn.csv").write_text("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n1,2\n")
    result = dlx("predict", *words)
    assert result.code == 3
    assert expected in result.err
    assert "Traceback" not in result.err


def test_a_broken_image_among_good_ones_is_counted(dlx: Dlx, runs: Path, world: Path) -> None:
    picture(world / "in/1.png")
    (world / "in/2.png").write_bytes(b"no image")
    picture(world / "in/3.png")
    result = dlx("predict", "photos", "in", "--json")
    assert result.code == 3
    assert len(result.lines) == 2
    assert "skipped in/2.png: cannot be read as an image" in result.err


def test_runs_without_a_model(dlx: Dlx, runs: Path, world: Path) -> None:
    assert "unknown run 'digit' (did you mean 'digits'?)" in dlx("predict", "digit", "x.npy").err
    shutil.copytree(runs / "digits-1", world / "bare")
    (world / "bare" / "model.keras").unlink()
    result = dlx("predict", "bare", "x.npy")
    assert result.code == 2
    assert "has no trained model" in result.err


def test_a_model_of_another_spec_or_with_code_in_it_is_refused(dlx: Dlx, runs: Path, world: Path) -> None:
    """The archive's own description of the network is never read: only weights that fit the spec are."""
    np.save(world / "x.npy", np.zeros((1, 8, 8, 1), np.uint8))
    shutil.copytree(runs / "digits-1", world / "evil")
    with (
        zipfile.ZipFile(runs / "digits-1" / "model.keras") as source,
        zipfile.ZipFile(world / "evil/model.keras", "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                content = json.dumps(
                    {"module": "os", "class_name": "system", "config": {"command": "touch harmed"}}
                ).encode()
            target.writestr(name, content)
    assert dlx("predict", "evil", "x.npy").code == 0
    assert not (world / "harmed").exists()
    text = (world / "evil/spec.yaml").read_text()
    (world / "evil/spec.yaml").write_text(text.replace("units: 16", "units: 17"))
    result = dlx("predict", "evil", "x.npy")
    assert result.code == 2
    assert "does not hold the weights of its spec" in result.err
    (world / "evil/model.keras").write_bytes(b"PK not a zip")
    assert dlx("predict", "evil", "x.npy").code == 2


def test_memory_stays_bounded(runs: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many inputs there are, no more than a batch of them is in hand."""
    picture(world / "one.png", size=(8, 8))
    predictor = load_predictor(Run.open(runs / "photos-1"))
    monkeypatch.setattr(inputs, "BATCH", 16)
    batches, count = predictor.read(["one.png"] * 100)
    sizes = [len(array) for _, array in batches]
    assert count == 100
    assert sizes == [16] * 6 + [4]


def test_the_python_api_takes_what_fits(runs: Path) -> None:
    digits = api.load(runs / "digits-1")
    one = np.zeros((8, 8), np.uint8)
    assert digits.predict(one).shape == (1, 10)
    assert digits.predict(one[None]).shape == (1, 10)
    assert digits.predict(one[None, ..., None]).shape == (1, 10)
    assert digits.predict(np.zeros((0, 8, 8, 1))).shape == (0, 10)
    assert digits.status == "done"


def test_output_into_a_device_or_through_a_link_keeps_them(dlx: Dlx, runs: Path, world: Path) -> None:
    np.save(world / "x.npy", np.zeros((2, 8, 8, 1), np.uint8))
    (world / "real.csv").write_text("old")
    (world / "link.csv").symlink_to("real.csv")
    assert dlx("predict", "digits", "x.npy", "-o", "link.csv").code == 0
    assert (world / "link.csv").is_symlink()
    assert (world / "real.csv").read_text().startswith("input,label")
    assert dlx("predict", "digits", "x.npy", "--csv", "-o", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()
    assert dlx("predict", "digits", "x.npy", "-o", "nowhere/x.csv").code == 5


def test_arrays_that_no_one_can_read_or_that_hold_no_numbers(dlx: Dlx, runs: Path, world: Path) -> None:
    (world / "torn.npz").write_bytes(b"PK\x03\x04junk")
    (world / "text.npy").write_text("no array")
    np.save(world / "nan.npy", np.full((3, 8, 8, 1), np.nan))
    (world / "long.csv").write_text("1," + "2" * 200_000 + ",3,4\n")
    for run, name in (("digits", "torn.npz"), ("digits", "text.npy"), ("digits", "nan.npy"), ("iris", "long.csv")):
        result = dlx("predict", run, name, "--json")
        assert (result.code, "internal" in result.err) == (3, False), result.err
        assert name in result.err


TABLE = "size,colour,kind\n" + "".join(f"{n % 7},{'red' if n % 2 else 'blue'},{n % 2}\n" for n in range(40))


@pytest.mark.parametrize("missing", ["error", "median", "flag"])
def test_a_table_is_encoded_as_in_training(dlx: Dlx, world: Path, missing: str) -> None:
    text = TABLE if missing == "error" else TABLE + ",,1\n"
    (world / "t.csv").write_text(text)
    (world / "t.yaml").write_text(
        f"dataset: {{csv: {{path: t.csv, label: kind, missing: {missing}}}}}\nlayers: [output]\nlr: 0.1\nepochs: 5\n"
    )
    assert dlx("run", "t.yaml").code == 0

    def said(table: str) -> list[float]:
        (world / "new.csv").write_text(table)
        result = dlx("predict", "t", "new.csv", "--json")
        assert result.code == 0, result.err
        return [line["probabilities"]["1"] for line in result.lines]

    plain = said("size,colour\n3,red\n4,blue\n")
    assert said("extra,colour,size\nx,red,3\ny,blue,4\n") == plain  # other columns, another order
    assert said("size,colour,kind\n3,red,\n4,blue,7\n") == plain  # the label may stand there
    cases = {"unknown": "size,colour\n3,green\n", "gap": "size,colour\n,red\n", "column": "size\n3\n"}
    if missing == "error":
        expected = (
            "column 'colour' holds 'green'; training saw blue, red",
            "no value for 'size'",
            "has no column 'colour'",
        )
        for table, message in zip(cases.values(), expected, strict=True):
            (world / "new.csv").write_text(table)
            result = dlx("predict", "t", "new.csv")
            assert (result.code, message in result.err) == (3, True), result.err
        return
    found = {name: said(table)[0] for name, table in cases.items()}
    assert all(0 < share < 1 for share in found.values())
    if missing == "median":
        assert found["gap"] == said("size,colour\n3,red\n")[0]  # the median of 0 to 6


# Outputs


@pytest.mark.parametrize("how", ["itself", "a link to it", "a link to its folder", "another name of it"])
def test_an_output_takes_the_place_of_no_input(dlx: Dlx, runs: Path, world: Path, how: str) -> None:
    (world / "in").mkdir()
    table = world / "in" / "flowers.csv"
    table.write_text("5.1,3.5,1.4,0.2\n")
    output = {
        "itself": table,
        "a link to it": world / "link.csv",
        "a link to its folder": world / "folder" / "flowers.csv",
        "another name of it": world / "other.csv",
    }[how]
    if how == "a link to it":
        output.symlink_to(table)
    elif how == "a link to its folder":
        output.parent.symlink_to(table.parent)
    elif how == "another name of it":
        output.hardlink_to(table)
    result = dlx("predict", "iris", table, "-o", output)
    assert (result.code, result.out) == (2, "")
    assert f"{output}: is one of the inputs ({table})" in result.err
    assert table.read_text() == "5.1,3.5,1.4,0.2\n"


def test_an_output_is_inside_no_run(dlx: Dlx, runs: Path, world: Path) -> None:
    table = world / "flowers.csv"
    table.write_text("5.1,3.5,1.4,0.2\n")
    before = (runs / "iris-1/metrics.json").read_bytes()
    for output in (runs / "iris-1/metrics.json", runs / "iris-1/code/new.json"):
        result = dlx("predict", "iris", table, "-o", output)
        assert result.code == 2
        assert "is inside the run iris-1, in which nothing but dlx writes" in result.err
    assert (runs / "iris-1/metrics.json").read_bytes() == before
    assert dlx("predict", "iris", table, "-o", runs / "out.json").code == 0
    (runs / "out.json").unlink()


def test_outputs_are_in_the_order_of_the_inputs(dlx: Dlx, runs: Path, world: Path) -> None:
    for name in "ab":
        picture(world / f"{name}.png", size=(8, 8))
    np.save(world / "x.npy", np.zeros((2, 8, 8, 3), np.uint8))
    lines = dlx("predict", "photos", "x.npy", "a.png", "x.npy", "b.png", "--json").lines
    assert [line["input"] for line in lines] == ["x.npy:0", "x.npy:1", "a.png", "x.npy:0", "x.npy:1", "b.png"]


def test_a_json_file_is_one_array_and_jsonl_has_lines(dlx: Dlx, runs: Path, world: Path) -> None:
    (world / "f.csv").write_text("5.1,3.5,1.4,0.2\n6,3,5,2\n")
    for name in ("a.json", "b.jsonl"):
        assert dlx("predict", "iris", "f.csv", "-o", name).code == 0
    assert dlx("predict", "iris", "f.csv", "--json", "-o", "c.json").code == 0
    array = json.loads((world / "a.json").read_text())
    assert [line["input"] for line in array] == ["f.csv:1", "f.csv:2"]
    assert [json.loads(line) for line in (world / "b.jsonl").read_text().splitlines()] == array
    assert json.loads((world / "c.json").read_text()) == array


def test_an_output_without_predictions_has_its_header(dlx: Dlx, runs: Path, world: Path) -> None:
    (world / "no.png").write_bytes(b"no image")
    for name in ("out.csv", "out.json", "out.jsonl"):
        result = dlx("predict", "photos", "no.png", "-o", name)
        assert result.code == 3
        assert "skipped no.png" in result.err
    assert (world / "out.csv").read_text() == "input,label,blau ☂,red\n"
    assert (world / "out.json").read_text() == "[]\n"
    assert (world / "out.jsonl").read_text() == ""


# Tables from Python


def test_a_table_is_predicted_by_name(dlx: Dlx, world: Path) -> None:
    import pandas as pd

    random = np.random.default_rng(0)
    frame = pd.DataFrame({
        "height": random.normal(170, 10, 200), "colour": random.choice(["red", "green", "blue"], 200),
        "weight": random.normal(70, 8, 200),
    })  # fmt: skip
    frame["price"] = 3 * frame["height"] - 2 * frame["weight"] + 10 * (frame["colour"] == "red")
    frame.to_csv(world / "t.csv", index=False)
    (world / "t.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: price, missing: median}}\npreprocess: [normalize]\nlayers: [output]\n"
        "lr: 0.05\nepochs: 5\n"
    )
    assert dlx("run", "t.yaml").code == 0
    expected = [line["value"] for line in dlx("predict", "t", "t.csv", "--json", "--exact").lines]
    predictor = api.load(world / "runs/t-1")
    assert predictor.predict(frame)[:, 0] == pytest.approx(expected)
    assert predictor.predict(frame[["weight", "price", "colour", "height"]])[:, 0] == pytest.approx(expected)
    assert predictor.predict({name: frame[name] for name in reversed(frame.columns)})[:, 0] == pytest.approx(expected)
    assert predictor.remarks == []
    holes = frame.drop(columns="weight").assign(colour=[None, *frame["colour"][1:]])
    holes.to_csv(world / "holes.csv", index=False)
    filled = [line["value"] for line in dlx("predict", "t", "holes.csv", "--json").lines]
    with pytest.warns(UserWarning, match="the table has no column 'weight'"):
        assert predictor.predict(holes)[:, 0] == pytest.approx(filled)
    (remark,) = predictor.remarks
    assert remark.startswith("the table has no column 'weight' (filled with ")
    for wrong, message in (
        (frame.rename(columns={"height": "heigth"}), "the table: has no column 'height', but one called 'heigth'"),
        (frame.assign(height="tall"), "the table:1: column 'height' holds 'tall'; expected numbers, as in training"),
        ({"height": [1, 2], "weight": [3]}, "the table: has columns of different lengths: 'height' 2, 'weight' 1"),
    ):
        with pytest.raises(DataError, match=re.escape(message)):
            predictor.predict(wrong)
    array = np.concatenate([frame[["height"]], pd.get_dummies(frame["colour"]), frame[["weight"]]], axis=1)
    assert predictor.predict(array.astype(float))[:, 0] == pytest.approx(expected)


def test_names_of_a_table_are_never_a_row_of_it(dlx: Dlx, world: Path) -> None:
    import pandas as pd

    random = np.random.default_rng(1)
    values = random.normal(size=(60, 2))
    np.savez(world / "a.npz", x=values, y=(values[:, 0] > 0).astype(int))
    (world / "a.yaml").write_text("dataset: {npz: a.npz}\nlayers: [output]\nepochs: 1\n")
    frame = pd.DataFrame(values, columns=["a", "b"]).assign(code=random.integers(1, 4, 60).astype(str), kind="x")
    frame.loc[::2, "kind"] = "y"
    frame.loc[3, "code"] = ""
    frame.to_csv(world / "t.csv", index=False)
    csv = "{path: t.csv, label: kind, categorical: [code], missing: flag}"
    (world / "t.yaml").write_text(f"dataset: {{csv: {csv}}}\nlayers: [output]\nepochs: 1\n")
    assert dlx("run", "a.yaml", "t.yaml").code == 0
    arrays, table = api.load(world / "runs/a-1"), api.load(world / "runs/t-1")
    assert np.array_equal(arrays.predict(pd.DataFrame(values)), arrays.predict(values))
    with pytest.raises(DataError, match="the table: has 3 columns, expected 2"):
        arrays.predict(pd.DataFrame(np.ones((4, 3))))
    with pytest.raises(DataError, match="the table: has none of the columns 'a', 'b', 'code'; it has 0, 1"):
        table.predict(pd.DataFrame(values))
    read = pd.read_csv(world / "t.csv")
    assert read["code"].dtype == np.float64
    expected = [line["probabilities"]["y"] for line in dlx("predict", "t", "t.csv", "--json").lines]
    assert table.predict(read)[:, 1] == pytest.approx(expected, abs=1e-6)


def test_standard_input_is_an_input(runs: Path, world: Path) -> None:
    import subprocess
    import sys

    (world / "in.csv").write_text("5.1,3.5,1.4,0.2\n")
    words = f'"{sys.executable}" -m dlx predict iris - -o in.csv < in.csv'
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "is one of the inputs" in done.stderr
    assert (world / "in.csv").read_text() == "5.1,3.5,1.4,0.2\n"


def test_nothing_to_write_costs_no_file(dlx: Dlx, runs: Path, world: Path) -> None:
    (world / "no.png").write_bytes(b"no image")
    (world / "old.csv").write_text("mine\n")
    (world / "old.csv").chmod(0o600)
    result = dlx("predict", "photos", "no.png", "-o", "old.csv")
    assert result.code == 3
    assert "nothing to write into old.csv" in result.err
    assert (world / "old.csv").read_text() == "mine\n"
    picture(world / "a.png")
    assert dlx("predict", "photos", "a.png", "-o", "old.csv").code == 0
    assert (world / "old.csv").read_text().startswith("input,label")
    assert (world / "old.csv").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in world.iterdir() if path.name.startswith(".")] == []


def test_words_that_training_never_saw_are_said(dlx: Dlx, world: Path) -> None:
    rows = "".join(f"{n},{'red' if n % 3 else 'blue'},{'TRUE' if n % 2 else 'FALSE'},{n % 5}.5\n" for n in range(40))
    (world / "t.csv").write_text(f"size,colour,flag,price\n{rows}")
    csv = "{path: t.csv, label: price, missing: median}"
    (world / "t.yaml").write_text(f"dataset: {{csv: {csv}}}\npreprocess: [normalize]\nlayers: [output]\nepochs: 1\n")
    assert dlx("run", "t.yaml").code == 0
    (world / "new.csv").write_text("size,colour,flag\n1,green,TRUE\n")
    result = dlx("predict", "t", "new.csv")
    assert "new.csv: 'colour' holds words that training never saw: they count as unknown (green)" in result.err
    import pandas as pd

    predictor = api.load(world / "runs/t-1")
    read = pd.read_csv(world / "t.csv")
    assert read["flag"].dtype == bool
    expected = [line["value"] for line in dlx("predict", "t", "t.csv", "--json", "--exact").lines]
    assert predictor.predict(read)[:, 0] == pytest.approx(expected)
    assert predictor.remarks == []
    (world / "far.csv").write_text("size,colour,flag\n" + "1,red,TRUE\n" * 9000 + "inf,red,TRUE\n")
    assert "in row 9001" in dlx("predict", "t", "far.csv", "--json").err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([[1.0, np.nan, 1.0, 1.0]]), "row 0 holds NaN or infinite values"),
        ([[1.0, 2.0], [3.0]], "the array: "),
        ("5,3,1,1", "5,3,1,1: no such file"),
    ],
)
def test_python_is_refused_what_the_command_line_is(runs: Path, given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        api.load(runs / "iris-1").predict(given)


# The run's own data


def test_rows_of_the_runs_own_data_beside_the_truth(dlx: Dlx, runs: Path) -> None:
    kept = np.load(runs / "digits-1" / "predictions.npz")
    lines = dlx("predict", "digits", "--split", "test", "--rows", "0,7,20-22", "--json").lines
    assert [line["input"] for line in lines] == [f"test {row}" for row in (0, 7, 20, 21, 22)]
    for line, row in zip(lines, (0, 7, 20, 21, 22), strict=True):
        assert line["truth"] == str(kept["label"][row])
        assert list(line["probabilities"].values()) == pytest.approx(kept["prediction"][row], abs=1e-5)
        assert line["label"] == str(kept["prediction"][row].argmax())
    shown = dlx("predict", "digits", "--rows", "7").out
    assert f"(true {kept['label'][7]})" in shown
    head, first = dlx("predict", "digits", "--rows", "7", "--csv").out.splitlines()
    assert head.split(",")[-1] == "truth"
    assert first.split(",")[-1] == str(kept["label"][7])
    assert len(dlx("predict", "digits", "--split", "validation", "--json").lines) == 144
    assert {line["input"].split()[0] for line in dlx("predict", "iris", "--random", "3", "--json").lines} == {
        "validation"
    }


def test_the_wrong_ones_come_surest_first(dlx: Dlx, runs: Path) -> None:
    kept = np.load(runs / "digits-1" / "predictions.npz")
    wrong = kept["prediction"].argmax(axis=1) != kept["label"]
    lines = dlx("predict", "digits", "--wrong", "5", "--json").lines
    assert all(line["label"] != line["truth"] for line in lines)
    sure = [max(line["probabilities"].values()) for line in lines]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] == pytest.approx(kept["prediction"][wrong].max(), abs=1e-5)
    assert len(dlx("predict", "digits", "--wrong", "1000", "--json").lines) == wrong.sum()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "Missing argument 'INPUT...'; or --random 5"),
        (["x.png", "--split", "test"], 2, "an INPUT and --split were given"),
        (["--rows", "0,x"], 2, "--rows: expected numbers"),
        (["--rows", "359"], 2, "there is no row 359; the split has the rows 0 to 358"),
        (["--rows", "1", "--wrong", "2"], 2, "expected one of --rows, --wrong and --random"),
    ],
)
def test_rows_that_cannot_be_shown(dlx: Dlx, runs: Path, words: list[str], code: int, said: str) -> None:
    result = dlx("predict", "digits", *words)
    assert result.code == code
    assert said in result.err


def test_a_split_that_a_run_lacks_is_named(dlx: Dlx, runs: Path) -> None:
    assert "has no test split; it has train, validation" in dlx("predict", "iris", "--split", "test").err


def test_sums_are_read_as_sums(dlx: Dlx, world: Path) -> None:
    (world / "add.yaml").write_text(
        "dataset: {binary_addition: {bits: 4, samples: 100, test_samples: 10}}\nlayers: [{gru: {units: 4, return_sequences: true}}, output]\nepochs: 1\n"
    )
    result = dlx("run", "add.yaml")
    assert re.search(r"predicted +\d+ \+ \d+ = \d+ \(true \d+\)", result.out)
    for line in dlx("predict", "add", "--rows", "0-3").out.splitlines():
        first, second, truth = (int(re.search(p, line)[1]) for p in (r"^(\d+) ", r"\+ (\d+) ", r"true (\d+)"))  # type: ignore[index]
        assert first + second == truth


def test_a_dark_drawing_on_white_is_asked_about(dlx: Dlx, runs: Path, world: Path) -> None:
    seven = np.asarray(Image.open(Path(__file__).parents[1] / "data" / "seven.png").convert("L"))
    Image.fromarray(255 - seven).save(world / "inverted.png")
    Image.fromarray(seven).save(world / "plain.png")
    Image.fromarray((100 + seven // 64).astype(np.uint8)).save(world / "faint.png")
    result = dlx("predict", "digits", "inverted.png", "plain.png", "faint.png")
    assert result.code == 0
    assert "inverted.png is unlike the training data: the mean of its values is" in result.err
    assert result.err.count("inverted?") == 1
    assert "faint.png is unlike the training data: its values span" in result.err
    assert "plain.png is unlike" not in result.err


def test_what_fills_a_column_is_said_also_where_it_is_zero(dlx: Dlx, world: Path) -> None:
    rows = "".join(f"{n % 3 - 1},{n},{'xy'[n % 2]}\n" for n in range(60))
    (world / "t.csv").write_text("shift,size,kind\n" + rows)
    (world / "t.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: kind, missing: median}}\nlayers: [output]\nepochs: 1\n"
    )
    assert dlx("run", "t.yaml").code == 0
    (world / "new.csv").write_text("size\n1\n")
    assert "has no column 'shift' (filled with 0.0)" in dlx("predict", "t", "new.csv").err


def test_a_runs_own_images_are_named_by_their_files(dlx: Dlx, world: Path) -> None:
    for kind, shade in (("dark", 20), ("light", 220)):
        (world / "photos" / kind).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(np.full((6, 6), shade + number, np.uint8)).save(world / f"photos/{kind}/img_{number}.png")
    (world / "photos/dark/broken.png").write_bytes(b"no image")
    (world / "p.yaml").write_text(
        "dataset: {image_folder: {path: photos, bad: skip}}\ntest: 0.3\nlayers: [flatten, output]\nepochs: 1\n"
    )
    assert dlx("run", "p.yaml").code == 0
    lines = dlx("predict", "p", "--split", "test", "--json").lines
    assert lines
    for line in lines:
        place = line["input"].partition(": ")[2]
        assert place.startswith(f"{line['truth']}/img_"), line
        assert (world / "photos" / place).is_file()
