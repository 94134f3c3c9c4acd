"""`dlx init`: what it writes runs as it stands; and `dlx doctor`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Dlx
from PIL import Image

from dlx import spec as specs
from dlx.commands import doctor
from dlx.parts import REGISTRIES
from dlx.runs import find
from dlx.spec import examples
from dlx.spec.sections import resolved
from dlx.spec.starter import shipped

RANDOM = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def fresh_numbers() -> None:
    """The same numbers in every test, whichever ran before."""
    global RANDOM
    RANDOM = np.random.default_rng(5)


HEADER = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Ticket,Fare,Cabin,Embarked".split(",")


def passenger(number: int, seen: bool) -> list[object]:
    sex, cls = str(RANDOM.choice(["male", "female"])), int(RANDOM.integers(1, 4))
    age = "" if RANDOM.random() < 0.15 else int(RANDOM.integers(1, 80))
    port = "" if RANDOM.random() < 0.05 else str(RANDOM.choice(["S", "C", "Q"] if seen else ["S", "C", "Q", "X"]))
    cabin = f"C{RANDOM.integers(1, 400)}" if RANDOM.random() < 0.8 else ""
    fare = "" if not seen and RANDOM.random() < 0.1 else round(float(RANDOM.exponential(30)) * (4 - cls), 2)
    survived = int(RANDOM.random() < (0.9 if sex == "female" else 0.15))
    return [
        number,
        survived,
        cls,
        f"Name, {number}",
        sex,
        age,
        RANDOM.integers(0, 3),
        f"A/{number * 7}",
        fare,
        cabin,
        port,
    ]


def titanic(folder: Path) -> None:
    """A train.csv and a test.csv with gaps, and with values in the second that the first has not."""
    train, test = [passenger(n, True) for n in range(1, 401)], [passenger(n, False) for n in range(401, 551)]
    for name, rows, header in (
        ("train.csv", train, HEADER),
        ("test.csv", [[row[0], *row[2:]] for row in test], [HEADER[0], *HEADER[2:]]),
    ):
        with (folder / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])


def test_a_kaggle_table_in_three_commands(dlx: Dlx, world: Path) -> None:
    titanic(world)
    first = dlx("init", "train.csv")
    assert first.code == 0, first.err
    assert "dlx predict train test.csv -o submission.csv" in first.out
    text = (world / "train.yaml").read_text()
    for expected in ("label: Survived", "id: PassengerId", "drop: [Name, Ticket, Cabin]", "missing: flag"):
        assert expected in text
    assert dlx("run", "train.yaml").code == 0
    assert (find.one("train", world / "runs").metrics() or {})["test_accuracy"] > 0.75
    result = dlx("predict", "train", "test.csv", "-o", "submission.csv")
    assert result.code == 0, result.err
    rows = list(csv.reader((world / "submission.csv").read_text().splitlines()))
    assert rows[0] == ["PassengerId", "Survived"]
    assert [row[0] for row in rows[1:]] == [str(n) for n in range(401, 551)]
    assert {row[1] for row in rows[1:]} == {"0", "1"}
    chosen = dlx("predict", "train", "test.csv", "--columns", "Survived,Name,1,probability")
    assert chosen.out.splitlines()[0] == "Survived,Name,1,probability"
    wrong = dlx("predict", "train", "test.csv", "--columns", "Passenger")
    assert wrong.code == 2
    assert "there is no column 'Passenger' to write (did you mean 'PassengerId'?)" in wrong.err


def photos(folder: Path) -> None:
    for hue, name in enumerate(("cucumber", "tomato")):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            height, width = RANDOM.integers(30, 80, 2)
            pixels = RANDOM.integers(0, 80, (height, width, 3))
            pixels[height // 4 :, width // 4 :, hue] = 200
            exif = Image.Exif()
            if number == 0:
                exif[0x0112] = 6  # lies on its side
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.jpg", exif=exif)
    (folder / "tomato" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "tomato" / ".hidden.jpg").write_bytes(b"no image")


def test_a_folder_of_photos_in_three_commands(dlx: Dlx, world: Path) -> None:
    photos(world / "photos")
    assert dlx("init", "photos/").code == 0
    result = dlx("run", "photos.yaml", "-s", "epochs=6")
    assert result.code == 0, result.err
    assert "skipped     1 that cannot be read: tomato/broken.jpg" in result.out
    run = find.one("photos", world / "runs")
    assert run.info()["dataset"]["skipped"] == 1
    assert sum(run.info()["dataset"][split] for split in ("train", "validation", "test")) == 60
    said = dlx("predict", "photos", "photos/tomato/0.jpg", "photos/cucumber/1.jpg", "--json").lines
    assert [line["label"] for line in said] == ["tomato", "cucumber"]


GATES = ("and", "nand", "nor", "not", "or", "xor")
NAMED = [
    name
    for name in REGISTRIES["dataset"]
    if not any(p.required for p in REGISTRIES["dataset"].parameters(name).values())
]


def test_what_comes_with_dlx_is_listed_and_written_whole(dlx: Dlx, world: Path) -> None:
    listed = dlx("init")
    assert [line.split()[0] for line in listed.out.splitlines() if line[:1].strip()][:-1] == examples.names()
    assert "A learning rate ten times larger than suits the network" in listed.out
    assert dlx("init", "-o", "x.yaml").code == 2
    written = dlx("init", "cifar_large_lr")
    assert (
        written.out.splitlines()[0]
        == "wrote cifar_large_lr.yaml, cifar_medium_lr.yaml, cifar_dropout.yaml, _cifar.yaml"
    )
    assert "$schema" not in (world / "cifar_large_lr.yaml").read_text()  # a file that is not here
    assert specs.load(world / "cifar_large_lr.yaml") == specs.load(ROOT / "configs" / "cifar_large_lr.yaml")
    assert dlx("init", "cifar_small_lr").code == 0  # beside the same bases
    again = dlx("init", "cifar_large_lr")
    assert (again.code, "cifar_large_lr.yaml: is there already" in again.err) == (2, True)
    (world / "_cifar.yaml").write_text("lr: 1\n")
    other = dlx("init", "cifar_l2", "-o", "mine.yaml")
    assert (other.code, "_cifar.yaml: is there already" in other.err) == (2, True)
    assert not (world / "mine.yaml").exists()
    assert dlx("init", "cifar_l2", "-o", "mine.yaml", "--force").code == 0
    assert specs.load(world / "mine.yaml").lr == specs.load(ROOT / "configs" / "cifar_l2.yaml").lr
    for words in ("digits", "digits.yaml", "configs/digits.yaml"):
        missing = dlx("run", words)
        assert missing.code == 2
        assert "dlx init digits writes it: it comes with dlx" in missing.err


@pytest.mark.parametrize("name", examples.names())
def test_an_experiment_that_comes_with_dlx_is_the_same_anywhere(world: Path, name: str) -> None:
    written, *_ = shipped.write(name, None, False)
    theirs, ours = (path.resolve() for path in (ROOT / "configs" / f"{name}.yaml", written))
    assert resolved(specs.load(ours), str(ours.parent)) == resolved(specs.load(theirs), str(theirs.parent))
    assert 10 < len(shipped.about(name)) < 200


@pytest.mark.parametrize("name", NAMED)
def test_a_dataset_by_its_name(dlx: Dlx, world: Path, name: str) -> None:
    assert dlx("init", name).code == 0
    assert specs.load(world / f"{name}.yaml").dataset.name == name
    if name in (*GATES, "moons", "iris", "binary_addition"):
        assert dlx("run", f"{name}.yaml", "-s", "epochs=1").code == 0
    else:
        assert dlx("check", f"{name}.yaml").code == 0


def text_table(world: Path) -> None:
    words = ["good", "fine", "great"], ["bad", "poor", "awful"]
    rows = ["review,mood"]
    for number in range(120):
        mood = number % 2
        rows.append(f"this is film number {number} and it was really {RANDOM.choice(words[mood])},{mood}")
    (world / "reviews.csv").write_text("\n".join(rows) + "\n")


def test_texts(dlx: Dlx, world: Path) -> None:
    text_table(world)
    assert dlx("init", "reviews.csv").code == 0
    assert "text_csv" in (world / "reviews.yaml").read_text()
    result = dlx("run", "reviews.yaml", "-s", "lr=0.02")
    assert result.code == 0, result.err
    (world / "new.txt").write_text("it was really great\nit was awful\n")
    assert [line["label"] for line in dlx("predict", "reviews", "new.txt", "--json").lines] == ["0", "1"]
    (world / "new.csv").write_text("review\nreally poor\n")
    assert dlx("predict", "reviews", "new.csv", "--json").lines[0]["label"] == "1"


def test_a_series(dlx: Dlx, world: Path) -> None:
    values = np.sin(np.arange(300) / 5) + 20
    (world / "load.csv").write_text("hour,load\n" + "".join(f"{n},{v:.4f}\n" for n, v in enumerate(values)))
    (world / "s.yaml").write_text(
        "dataset: {series_csv: {path: load.csv, target: load, window: 20, horizon: 3, drop: [hour]}}\n"
        "test: 0.2\npreprocess: [normalize]\nlayers: [flatten, {dense: 16}, output]\nlr: 0.01\nepochs: 60\nmetrics: [mae, r2]\n"
    )
    result = dlx("run", "s.yaml")
    assert result.code == 0, result.err
    assert (find.one("s", world / "runs").metrics() or {})["test_r2"] > 0.95
    said = dlx("predict", "s", "load.csv", "--json").lines
    assert len(said) == 281
    assert said[-1]["input"] == "load.csv:300"
    assert said[-1]["value"] == pytest.approx(list(np.sin(np.arange(300, 303) / 5) + 20), abs=0.2)


def test_other_tables_and_arrays(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text("size,price\n" + "".join(f"{n % 17},{1000 + 3 * n}\n" for n in range(60)))
    assert dlx("init", "t.csv").code == 0
    assert "task: regression" in (world / "t.yaml").read_text()
    assert dlx("run", "t.yaml", "-s", "epochs=1").code == 0
    np.savez(world / "a.npz", x=RANDOM.normal(size=(40, 5, 2)), y=np.arange(40) % 3)
    assert dlx("init", "a.npz", "-o", "arrays.yaml").code == 0
    assert dlx("run", "arrays.yaml", "-s", "epochs=1").code == 0
    (world / "flat").mkdir()
    for number in range(8):
        Image.new("L", (12, 12), 30 * number).save(world / "flat" / f"{'ab'[number % 2]}.{number}.png")
    assert dlx("init", "flat").code == 0
    text = (world / "flat.yaml").read_text()
    assert "labels: filename" in text
    assert "grayscale: true" in text
    assert dlx("check", "flat.yaml").code == 0


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["nothing.csv"], 3, "no such file, folder or dataset"),
        (["digit"], 3, "did you mean 'digits'?"),
        (["csv"], 2, "csv needs path, label"),
        (["empty"], 3, "holds no images"),
        (["one.csv"], 3, "expected a header of two columns or more"),
        (["two.csv", "--label", "c"], 3, "has no column 'c'"),
        (["there.yaml"], 3, "is not a folder, .csv or .npz"),
        (["digits", "-o", "there.yaml"], 2, "there.yaml: is there already"),
        (["digits", "-o", "nowhere/x.yaml"], 5, "cannot write"),
        (["lone"], 3, "it does not show what the images are of"),
    ],
)
def test_what_init_refuses(dlx: Dlx, world: Path, words: list[str], code: int, expected: str) -> None:
    (world / "empty").mkdir()
    (world / "lone").mkdir()
    Image.new("L", (4, 4)).save(world / "lone" / "1.png")
    (world / "one.csv").write_text("a\n1\n")
    (world / "two.csv").write_text("a,b\n1,2\n")
    (world / "there.yaml").write_text("x: 1\n")
    result = dlx("init", *words)
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert expected in result.err
    assert (world / "there.yaml").read_text() == "x: 1\n"


def test_doctor_says_what_there_is_and_leaves_nothing(
    dlx: Dlx, shell: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "SECONDS", 8.0)  # compiling takes a part of them, more of it on a busy machine
    result = dlx("doctor")
    assert result.code == 0, result.out
    for expected in ("versions", "keras", "places", "GB free", "device", "examples/s", "all is well"):
        assert expected in result.out
    assert list(world.iterdir()) == []
    gone = shell("doctor", "--device", "gpu:7")
    assert gone.code == 4
    assert "TensorFlow sees" in gone.out


def test_a_series_is_found_by_its_times(dlx: Dlx, world: Path) -> None:
    rows = "".join(f"2024-01-{1 + n // 24:02d} {n % 24:02d}:00,{20 + n % 7},{5 + n % 3}\n" for n in range(200))
    (world / "load.csv").write_text("time,load,heat\n" + rows)
    assert dlx("init", "load.csv").code == 0
    assert "series_csv: {path: load.csv, target: load, window: 10, horizon: 1}" in (world / "load.yaml").read_text()
    assert dlx("run", "load.yaml", "-s", "epochs=1").code == 0
    head = dlx("predict", "load", "load.csv", "--csv").out.splitlines()[0]
    assert head == "input,value"


def test_a_running_number_is_an_id_and_rare_classes_are_weighed(dlx: Dlx, world: Path) -> None:
    rows = "".join(f"{1000 + n},{n % 9},{'yes' if n % 8 == 0 else 'no'}\n" for n in range(160))
    (world / "c.csv").write_text("customer,fee,churned\n" + rows)
    assert dlx("init", "c.csv").code == 0
    text = (world / "c.yaml").read_text()
    assert "id: customer" in text
    assert "class_weight: balanced" in text
    assert "# 140 no, 20 yes" in text
    assert dlx("run", "c.yaml", "-s", "epochs=1").code == 0


def test_a_column_under_another_name_is_no_gap(dlx: Dlx, world: Path) -> None:
    titanic(world)
    assert dlx("init", "train.csv").code == 0
    assert dlx("run", "train.yaml", "-s", "epochs=1").code == 0
    (world / "a.csv").write_text("PassengerId,Pclass,sex,Age,SibSp,Fare,Embarked\n1,3,male,4,1,7,S\n")
    refused = dlx("predict", "train", "a.csv")
    assert refused.code == 3
    assert "has no column 'Sex', but one called 'sex'" in refused.err
    (world / "a.csv").write_text("PassengerId,Pclass,Age,SibSp,Fare,Embarked\n1,3,4,1,7,S\n")
    told = dlx("predict", "train", "a.csv")
    assert (told.code, "a.csv has no column 'Sex' (filled with " in told.err) == (0, True)


def waves(count: int = 80) -> np.ndarray:
    """Rows of 128 steps of a noisy wave, slow and fast in turn."""
    steps = np.linspace(0, 6, 128)
    fast = 1 + 2 * (np.arange(count) % 2)[:, None]
    return np.sin(steps * fast + RANDOM.uniform(0, 6, (count, 1))) + 0.2 * RANDOM.standard_normal((count, 128))


def test_a_signal_gets_convolutions_and_a_row_of_unlike_numbers_none(dlx: Dlx, world: Path) -> None:
    rows, kinds = waves(), np.arange(80) % 2
    np.savez(world / "flat.npz", x=rows, y=kinds)
    np.savez(world / "channels.npz", x=np.stack([rows, rows[:, ::-1]], -1), y=kinds)
    np.savez(world / "unlike.npz", x=RANDOM.standard_normal((80, 128)), y=kinds)
    with (world / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"t{step}" for step in range(128)), "kind"])
        writer.writerows([*row.round(3), "ab"[kind]] for row, kind in zip(rows, kinds, strict=True))
    found = {}
    for name in ("flat.npz", "channels.npz", "unlike.npz", "table.csv"):
        assert dlx("init", name, "--force").code == 0
        text = (world / name).with_suffix(".yaml").read_text()
        found[name] = ("reshape: [128, 1]" in text, text.count("conv1d"))
        assert dlx("run", Path(name).with_suffix(".yaml"), "-s", "epochs=1").code == 0
    assert found == {
        "flat.npz": (True, 2),
        "channels.npz": (False, 2),
        "unlike.npz": (False, 0),
        "table.csv": (True, 2),
    }


@pytest.mark.parametrize(
    ("header", "extra", "expected"),
    [("a,,kind", "", "t.csv:1: column 2 has no name"), ("a,b,kind", ",9", "t.csv:19: 4 fields, expected 3")],
)
def test_what_will_not_run_is_said(dlx: Dlx, world: Path, header: str, extra: str, expected: str) -> None:
    rows = [f"{n % 7},{n % 3},{'xy'[n % 2]}{extra * (n == 17)}" for n in range(40)]
    (world / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    result = dlx("init", "t.csv")
    assert result.code == 3
    assert "it will not run as the table is" in result.err
    assert expected in result.err
    assert "next" not in result.out
    assert (world / "t.yaml").is_file()


def test_the_label_is_the_outcome_and_comments_fit_what_is_written(dlx: Dlx, world: Path) -> None:
    rows = [f"{n % 2},{1 + n % 3},{20 + n % 30},{['First', 'Second', 'Third'][n % 3]}" for n in range(18)]
    (world / "ship.csv").write_text("survived,pclass,age,class\n" + "\n".join(rows) + "\n")
    assert dlx("init", "ship.csv").code == 0
    text = (world / "ship.yaml").read_text()
    assert "label: survived" in text
    assert "validation: none" in text
    assert "without a better train_loss" in text


def test_of_many_classes_it_says_how_many_more_there_are(dlx: Dlx, world: Path) -> None:
    for number in range(10):
        (world / f"photos/class{number}").mkdir(parents=True)
        for count in range(3):
            Image.fromarray(np.full((8, 8), count, np.uint8)).save(world / f"photos/class{number}/{count}.png")
    assert dlx("init", "photos").code == 0
    assert "3 class7, and 2 more classes" in (world / "photos.yaml").read_text()


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(path)


def test_folders_that_are_one_too_deep_or_left_out_are_said(dlx: Dlx, world: Path) -> None:
    for kind in ("circle", "square"):
        for number in range(12):
            photo(world / f"wrap/images/{kind}/IMG_{number}.png")
            photo(world / f"split/train/{kind}/{number}.png")
            photo(world / f"split/test/{kind}/{number}.png")
            photo(world / f"split/valid/{kind}/{number}.png")
    deeper = dlx("init", "wrap")
    assert deeper.code == 3
    assert "its classes are one folder deeper: circle, square\n  dlx init wrap/images" in deeper.err
    photo(world / "split/train/loose.png")
    split = dlx("init", "split")
    assert split.code == 0
    assert "25 images: 12 circle, 12 square" in split.out
    assert "valid/ is not read" in split.out
    assert "1 images lie in no class's folder" in split.out


def test_what_it_found_out_is_on_the_screen_and_no_date_is_a_label(dlx: Dlx, world: Path) -> None:
    rows = [f"{'yn'[n % 2]},{n % 7},2026-01-{1 + n % 28:02d}" for n in range(60)]
    (world / "t.csv").write_text("kept,size,since\n" + "\n".join(rows) + "\n")
    out = dlx("init", "t.csv").out
    assert "size is predicted; --label NAME chooses another column" in out
    assert "Dates become days since 1970-01-01: since" in out
    (world / "test.csv").write_text("id,colour\n1,red\n")  # of another table
    assert "OTHER.csv" in dlx("init", "t.csv", "--force").out


def test_columns_of_unlike_size_are_no_signal(dlx: Dlx, world: Path) -> None:
    large, small = RANDOM.normal(1000, 100, (100, 40)), RANDOM.normal(0, 1, (100, 40))
    rising = RANDOM.normal(0, 1, (100, 70)) + np.arange(70)
    for name, rows in (("halves", np.concatenate([large, small], axis=1)), ("rising", rising)):
        np.savez(world / f"{name}.npz", x=rows, y=np.arange(100) % 2)
        assert dlx("init", f"{name}.npz").code == 0
        assert "conv1d" not in (world / f"{name}.yaml").read_text()
