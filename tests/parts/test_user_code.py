"""A spec's own Python: refused unless it is allowed, then a part like any other, and kept with the run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Dlx

from dlx.runs import find
from dlx.runs.run import Run

CODE = '''\
import keras
import numpy as np

import dlx


@dlx.layer
class Scale(keras.layers.Layer):
    """Multiplies by one learned number."""

    def __init__(self, start: float = 1.0, **rest):
        super().__init__(**rest)
        self.start = start

    def build(self, shape):
        self.factor = self.add_weight(shape=(), initializer=keras.initializers.Constant(self.start), name="factor")

    def call(self, x):
        return x * self.factor


@dlx.layer
def two_dense(units: int, activation: str = "relu"):
    first, second = (keras.layers.Dense(units, activation=activation) for _ in range(2))
    return lambda x: second(first(x))


@dlx.dataset
def signs(samples: int = 60):
    x = np.random.default_rng(0).normal(size=(samples, 2)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype(int)


@dlx.dataset
def stripes(samples: int = 40):
    x = np.random.default_rng(0).integers(0, 255, (samples, 6, 6, 1)).astype("uint8")
    return (x, np.arange(samples) % 2), (x[:10], np.arange(10) % 2)


@dlx.augmentation
def darker(images, seed, by: float = 3.0):
    return images - by


@dlx.metric
def far_off(targets, predictions, limit: float = 0.5):
    return keras.ops.cast(keras.ops.abs(1.0 - keras.ops.max(predictions, axis=-1)) > limit, "float32")
'''
SPEC = """\
imports: [parts.py]
dataset: {signs: 80}
layers: [{scale: 2.0}, {two_dense: 4}, output]
metrics: [accuracy, far_off: 0.2]
epochs: 2
"""


@pytest.fixture
def own(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DLX_ALLOW_CODE", raising=False)
    (world / "parts.py").write_text(CODE)
    (world / "x.yaml").write_text(SPEC)
    return world


def test_code_runs_only_where_it_is_allowed(dlx: Dlx, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = own / "ran"
    (own / "parts.py").write_text(f"import pathlib\n\npathlib.Path({str(marker)!r}).touch()\n" + CODE)
    for words in (["run", "x.yaml"], ["check", "x.yaml"], ["sweep", "x.yaml", "-s", "lr=0.1,0.2"]):
        monkeypatch.delenv("DLX_ALLOW_CODE", raising=False)
        result = dlx(*words)
        assert result.code == 2
        assert re.search(r"x.yaml:1:11: imports: this spec wants to run \d+ lines of Python, parts.py", result.err)
        assert "--allow-code" in result.err
        assert not marker.exists()
    assert dlx("check", "x.yaml", "--allow-code").code == 0
    assert marker.exists()


def test_own_parts_train_and_stay_with_the_run(
    dlx: Dlx, shell: Dlx, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = dlx("run", "x.yaml", "--allow-code")
    assert result.code == 0, result.err
    run = find.one("x", own / "runs")
    info = run.info()
    assert list(info["code"]) == ["parts.py"]
    assert (run.code / "parts.py").read_text() == CODE
    assert "imports:\n  - code/parts.py" in run.spec_file.read_text()
    assert "val_far_off" in (run.metrics() or {})
    np.save(own / "a.npy", np.ones((3, 2), np.float32))
    assert len(dlx("predict", "x", "a.npy", "--json", "--allow-code").lines) == 3
    assert dlx("run", run.spec_file, "--allow-code", "--name", "again").code == 0
    again = find.one("again", own / "runs")
    assert [r["train_loss"] for r in again.history()] == [r["train_loss"] for r in run.history()]
    monkeypatch.delenv("DLX_ALLOW_CODE")
    assert len(shell("predict", "x", "a.npy", "--json").lines) == 3  # by model.onnx: no code runs
    refused = shell("predict", "x", "a.npy", "--exact")
    assert refused.code == 2
    assert "needs user code, from parts.py" in refused.err
    assert dlx("compare", "x-1", "again-1").code == 0
    assert dlx("show", "x").code == 0
    (run.code / "parts.py").write_text(CODE + "\n# changed\n")
    changed = dlx("predict", "x", "a.npy", "--exact", "--allow-code")
    assert "code/parts.py is not the code that this run was trained with" in changed.err


def test_a_run_whose_layers_are_keras_predicts_without_the_code(
    dlx: Dlx, shell: Dlx, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own / "x.yaml").write_text(
        "imports: [parts.py]\ndataset: stripes\naugment: [{darker: 9}]\npreprocess: [rescale]\n"
        "layers: [flatten, output]\nmetrics: [far_off]\nepochs: 1\n"
    )
    assert dlx("run", "x.yaml", "--allow-code").code == 0
    monkeypatch.delenv("DLX_ALLOW_CODE")
    np.save(own / "a.npy", np.ones((3, 6, 6, 1), np.uint8))
    assert len(shell("predict", "x", "a.npy", "--json").lines) == 3


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import dlx\n\n1 / 0\n", r"parts.py:3: ZeroDivisionError"),
        ("import dlx\ndef broken(:\n", r"parts.py:2: SyntaxError"),
        ("import dlx\n@dlx.layer\ndef dense(units: int): ...\n", "'dense' is a layer of dlx"),
        (CODE.replace("def two_dense", "def two_denser"), "unknown layer 'two_denze'"),
        (CODE.replace("return x, (x.sum", "return 3, 4, (x.sum"), "signs returned tuple, expected"),
    ],
)
def test_mistakes_in_own_code_are_located(dlx: Dlx, own: Path, code: str, expected: str) -> None:
    (own / "parts.py").write_text(code)
    if "two_denze" in expected:
        (own / "x.yaml").write_text(SPEC.replace("two_dense", "two_denze"))
    result = dlx("run", "x.yaml", "--allow-code")
    assert result.code in (2, 3)
    assert re.search(expected, result.err), result.err
    assert "internal" not in result.err


def test_a_parameter_of_an_own_part_is_checked(dlx: Dlx, own: Path) -> None:
    result = dlx("check", "x.yaml", "--allow-code", "-s", "layers.1.units=x", "-s", "layers.0.stat=2")
    assert result.code == 2
    assert "expected a whole number" in result.err
    assert "unknown parameter 'stat' (did you mean 'start'?)" in result.err


def test_a_file_that_is_not_there(dlx: Dlx, own: Path) -> None:
    (own / "parts.py").unlink()
    assert "no such file: parts.py" in dlx("run", "x.yaml", "--allow-code").err


def test_a_sweep_knows_its_finished_runs_by_their_code(dlx: Dlx, own: Path) -> None:
    words = ("sweep", "x.yaml", "-s", "epochs=1,2", "--allow-code")
    assert dlx(*words).code == 0
    assert len(find.below(own / "runs")) == 2
    assert dlx(*words).code == 0
    assert len(find.below(own / "runs")) == 2
    (own / "parts.py").write_text(CODE + "\n# another\n")
    assert dlx(*words).code == 0
    assert len(find.below(own / "runs")) == 4


def test_each_spec_has_its_own_parts(dlx: Dlx, own: Path) -> None:
    """Two files that register one name, in one process: each run trains with its own, and keeps it."""
    for name, units in (("a", 3), ("b", 5)):
        (own / name).mkdir()
        code = f"import dlx, keras\n\n\n@dlx.layer\ndef mine():\n    return keras.layers.Dense({units})\n"
        (own / name / "my.py").write_text(code)
        (own / name / f"{name}.yaml").write_text(
            "imports: [my.py]\ndataset: iris\nlayers: [mine, output]\nvalidation: none\nepochs: 1\n"
        )
    (own / "c.yaml").write_text("dataset: iris\nlayers: [mine, output]\n")
    assert dlx("run", "a/a.yaml", "b/b.yaml", "--allow-code").code == 0
    for name, units in (("a", 3), ("b", 5)):
        run = find.one(name, own / "runs")
        assert run.info()["parameters"] == 4 * units + units + units * 3 + 3
        assert f"Dense({units})" in (run.code / "my.py").read_text()
    assert "unknown layer 'mine'" in dlx("check", "c.yaml").err


def test_no_cached_bytecode_runs_in_place_of_the_file(dlx: Dlx, own: Path) -> None:
    import importlib.util
    import py_compile

    clean = (own / "parts.py").read_text()
    (own / "parts.py").write_text("raise SystemExit('evil')\n" + clean)
    target = importlib.util.cache_from_source(str(own / "parts.py"))
    py_compile.compile(
        str(own / "parts.py"), cfile=target, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    (own / "parts.py").write_text(clean)
    assert dlx("check", "x.yaml", "--allow-code").code == 0


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (CODE.replace("import dlx\n", "import dlx\nimport sys\n\nsys.exit(0)\n", 1), r"parts.py:7: SystemExit"),
        (CODE.replace("return keras.ops.cast(", "return {}['q'] or keras.ops.cast("), r"far_off: KeyError: 'q'"),
        (
            CODE.replace("return x, (x.sum", "raise RuntimeError('no data')\n    return x, (x.sum"),
            r"signs: RuntimeError",
        ),
        (
            CODE.replace("return lambda x: second(first(x))", "return 3"),
            "two_dense returned int, expected a Keras layer",
        ),
        (CODE + "\n\n@dlx.metric\ndef far_off(a, b): ...\n", "'far_off' is registered twice in this file"),
    ],
    ids=["exit", "metric", "dataset", "layer", "twice"],
)
def test_own_code_that_fails_is_no_internal_error(dlx: Dlx, own: Path, code: str, expected: str) -> None:
    (own / "parts.py").write_text(code)
    result = dlx("run", "x.yaml", "--allow-code")
    assert result.code in (2, 3), result.err
    assert re.search(expected, result.err), result.err
    assert "internal" not in result.err
    assert not (own / "runs").exists()


def test_a_dataset_may_name_its_classes(dlx: Dlx, own: Path) -> None:
    (own / "parts.py").write_text(
        "import dlx, numpy\n\n\n@dlx.dataset\ndef named():\n"
        "    return numpy.eye(20, dtype='float32'), numpy.array(['pear', 'apple'] * 10)\n"
    )
    (own / "x.yaml").write_text("imports: parts.py\ndataset: named\nlayers: [output]\nepochs: 1\n")
    assert dlx("run", "x.yaml", "--allow-code").code == 0
    assert find.one("x", own / "runs").info()["classes"] == ["apple", "pear"]


def test_a_file_that_is_named_twice_is_kept_twice(dlx: Dlx, own: Path) -> None:
    (own / "x.yaml").write_text(SPEC.replace("[parts.py]", "[parts.py, parts.py]"))
    assert dlx("run", "x.yaml", "--allow-code").code == 0
    assert sorted(Run.open(own / "runs" / "x-1").info()["code"]) == ["1_parts.py", "parts.py"]
    result = dlx("resume", "x", "-s", "epochs=3", "--allow-code")
    assert result.code == 0, result.err


def test_max_time_counts_from_the_start_of_the_command(dlx: Dlx, own: Path) -> None:
    (own / "parts.py").write_text("import time\n\ntime.sleep(1.2)\n" + CODE)
    result = dlx("run", "x.yaml", "--allow-code", "--max-time", "1s")
    assert result.code == 75, result.err


LOSSES = """
import keras
import dlx


@dlx.loss
def squares(targets, predictions, power: float = 2.0):
    return keras.ops.mean(keras.ops.abs(targets - predictions) ** power, axis=-1)


@dlx.loss
class Squared(keras.losses.MeanSquaredError):
    pass


@dlx.loss
def each_unit(targets, predictions):
    return keras.ops.square(targets - predictions)


@dlx.loss
def one_number(targets, predictions):
    return keras.ops.mean(targets - predictions)
"""


@pytest.mark.parametrize("loss", ["squares", "{squares: 2}", "squared", "each_unit"])
@pytest.mark.parametrize("data", ["moons", pytest.param("iris", marks=pytest.mark.slow)])
def test_an_own_loss_trains_as_the_same_one_of_keras(dlx: Dlx, own: Path, loss: str, data: str) -> None:
    (own / "parts.py").write_text(LOSSES)
    spec = f"imports: parts.py\ndataset: {data}\nlayers: [{{dense: 4}}, output]\nepochs: 3\nvalidation: 0.2\n"
    (own / "x.yaml").write_text(f"{spec}loss: {loss}\n")
    (own / "y.yaml").write_text(f"{spec}loss: mean_squared_error\n")
    assert dlx("run", "x.yaml", "y.yaml", "--allow-code").code == 0
    mine, usual = ((find.one(name, own / "runs").metrics() or {}) for name in ("x", "y"))
    assert mine["val_loss"] == pytest.approx(usual["val_loss"], rel=1e-5)
    assert mine["train_loss"] == pytest.approx(usual["train_loss"], rel=1e-5)


def test_an_own_loss_of_one_number_is_refused(dlx: Dlx, own: Path) -> None:
    (own / "parts.py").write_text(LOSSES)
    (own / "x.yaml").write_text("imports: parts.py\ndataset: moons\nlayers: [output]\nloss: one_number\n")
    done = dlx("run", "x.yaml", "--allow-code")
    assert done.code in (2, 3)
    assert "the loss one_number returned one number, expected one for each example" in done.err
