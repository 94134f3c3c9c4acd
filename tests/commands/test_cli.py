"""The command line: help for everything, errors of usage, streams that are closed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Dlx

from dlx.commands import COMMANDS
from dlx.parts import REGISTRIES

DATA = ("list", "show", "add", "fetch")
ALL = [[name] for name in COMMANDS] + [["data", name] for name in DATA]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help(dlx: Dlx, words: list[str]) -> None:
    result = dlx(*words, "--help")
    assert result.code == 0
    assert f"Usage: dlx {' '.join(words)}" in result.out
    body = result.out.split("\n\n", 1)[1]
    assert len(body.strip().splitlines()[0].strip()) > 15
    for line in result.out.splitlines():
        option = re.match(r"  (-\S+(?:, --\S+)?(?: \S+)?)(  +(.*))?$", line)
        assert option is None or option.group(1), line


def test_every_option_has_help() -> None:
    import importlib

    import click

    for name in COMMANDS:
        command = importlib.import_module(f"dlx.commands.{name}").command
        for inner in getattr(command, "commands", {"": command}).values():
            for parameter in inner.params:
                if isinstance(parameter, click.Option):
                    assert parameter.help, f"{name} {parameter.name}"


def test_version_and_no_words(dlx: Dlx) -> None:
    assert re.fullmatch(r"dlx, version \d+\.\d+\.\d+(\+g[0-9a-f]{7}(\.dirty)?)?\n", dlx("--version").out)
    assert dlx().code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rn"], "did you mean 'run'?"),
        (["configs/digits.yaml"], "did you mean `dlx run configs/digits.yaml`?"),
        (["run"], "Missing argument 'SPEC...'"),
        (["run", "x.yaml", "--repeat", "0"], "--repeat"),
        (["run", "x.yaml", "--device", "tpu"], "expected auto, cpu, gpu or gpu:N"),
        (["compare", "nowhere"], "unknown run 'nowhere'"),
        (["show", "latest"], "there are no runs in runs yet: dlx run SPEC"),
        (["parts", "conv3"], "did you mean 'conv3d'?"),
        (["parts", "Linear"], "did you mean 'dense'?"),
        (["predict", "x"], "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_of_usage(dlx: Dlx, words: list[str], expected: str) -> None:
    result = dlx(*words)
    assert result.code == 2
    assert expected in result.err
    assert "Traceback" not in result.err


def test_parts_lists_and_explains_every_part(dlx: Dlx) -> None:
    listed = dlx("parts").out
    assert max(map(len, listed.splitlines())) <= 80
    for registry in REGISTRIES.values():
        for name in registry:
            assert name in listed.split()
            explained = dlx("parts", name)
            assert explained.code == 0
            for parameter in registry.parameters(name):
                assert f"  {parameter} " in explained.out
    conv = dlx("parts", "conv2d").out
    assert "kernel_size" in conv
    assert "a whole number (above 0) or a list of whole numbers" in conv
    assert "default valid" in conv


def test_check_prints_the_model_and_the_resolved_spec(dlx: Dlx, small: Path) -> None:
    table = dlx("check", small)
    assert table.code == 0
    assert re.search(r"dense +Dense +16 +1,040", table.out)
    assert re.search(r"parameters +1,210", table.out)
    resolved = dlx("check", small, "-s", "lr=0.5", "--print").out
    assert "lr: 0.5" in resolved
    assert "monitor: auto" in resolved


def test_debug_shows_the_traceback(shell: Dlx) -> None:
    assert "Traceback" not in shell("run", "nowhere.yaml").err
    assert "Traceback" in shell("run", "nowhere.yaml", "--debug").err


def test_a_reader_that_goes_away_is_no_error(world: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m dlx parts | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "datasets"
    assert "Traceback" not in done.stderr


def test_an_encoding_without_arrows_stops_nothing(shell: Dlx, small: Path) -> None:
    result = shell("run", small, "-s", "epochs=1", PYTHONIOENCODING="ascii")
    assert result.code == 0, result.err
    assert "\\u2192" in result.out


@pytest.mark.parametrize(
    ("file", "run"), [("数字.yaml", "数字-1"), ("my spec's.yaml", "my_spec_s-1"), ("-.yaml", "spec-1")]
)
def test_a_run_is_read_again_whatever_its_spec_was_called(
    dlx: Dlx, gate: Path, world: Path, file: str, run: str
) -> None:
    gate.rename(world / file)
    assert dlx("run", f"./{file}", "-s", "epochs=2").code == 0
    assert [path.name for path in (world / "runs").iterdir()] == [run]
    np.save(world / "x.npy", np.zeros((1, 2)))
    result = dlx("predict", run, "x.npy")
    assert result.code == 0, result.err


def test_check_reports_every_spec(dlx: Dlx, gate: Path, world: Path) -> None:
    (world / "a.yaml").write_text(gate.read_text() + "foo: 1\n")
    (world / "b.yaml").write_text(gate.read_text() + "bar: 1\n")
    result = dlx("check", "a.yaml", gate, "b.yaml")
    assert result.code == 2
    assert "unknown key 'foo'" in result.err
    assert "unknown key 'bar'" in result.err
    assert "gate.yaml: ok" in result.out


# Streams that are closed, and readers that go away


def piped(command: str, world: Path) -> subprocess.CompletedProcess[str]:
    """A line of a shell, where `dlx` is this one; the exit code is that of its first command."""
    script = f'dlx() {{ "{sys.executable}" -m dlx "$@"; }}\n{command}\nexit ${{PIPESTATUS[0]}}'
    return subprocess.run(["bash", "-c", script], cwd=world, capture_output=True, text=True, timeout=120, check=False)


CLOSED = ["dlx run gate.yaml >&- 2>&- <&-", "dlx run gate.yaml | true", "dlx sweep gate.yaml -s lr=1,2 | head -1"]
MORE_CLOSED = ["dlx run gate.yaml >&-", "dlx run gate.yaml 2>&-", "dlx run gate.yaml --json 2>&1 | head -1"]


@pytest.mark.parametrize("command", [*CLOSED, *(pytest.param(line, marks=pytest.mark.slow) for line in MORE_CLOSED)])
def test_a_closed_output_stops_no_training(gate: Path, world: Path, command: str) -> None:
    done = piped(command, world)
    assert (done.returncode, "error" in done.stderr) == (0, False), done.stderr
    runs = list((world / "runs").glob("gate-*/metrics.json"))
    assert len(runs) == (2 if "sweep" in command else 1)


def test_a_reader_that_goes_away_is_no_failure(gate: Path, world: Path) -> None:
    for command in ("dlx list --runs-dir ROOT | head -1", "dlx parts | head -1", "dlx compare ROOT/* | true",
                    "dlx list >&-", "dlx schema | head -c 10"):  # fmt: skip
        done = piped(command.replace("ROOT", str(ROOT / "runs/tutorials")), world)
        assert (done.returncode, done.stderr) == (0, ""), command


def test_a_failure_is_one_whoever_reads(gate: Path, world: Path) -> None:
    assert piped("dlx run nothing.yaml >&- 2>&-", world).returncode == 2
    words = "-s 'regularization={l2: 1.0e+10}' -s optimizer=sgd -s lr=1.0e+30"
    assert piped(f"dlx run gate.yaml {words} 2>&1 | true", world).returncode == 4


def test_an_interrupt_shows_no_traceback(world: Path) -> None:
    """From when dlx's own first line runs: what comes before is Python's own."""
    script = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Finder:\n    def find_spec(self, name, path, target=None):\n"
        "        if name == sys.argv[1]:\n            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\nfrom dlx.cli import main\nmain(['list'])"
    )
    for module in ("click", "dlx.commands", "dlx.commands.list", "dlx.runs.find"):
        words = [sys.executable, "-c", script, module]
        done = subprocess.run(words, cwd=world, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr, module
        assert done.returncode in (130, -2), module


def test_a_user_without_a_home_is_told_of_dlx_data(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DLX_DATA")
    monkeypatch.setattr(Path, "expanduser", homeless)
    result = dlx("data", "list")
    assert result.code == 5
    assert "this user has no home folder" in result.err
    assert "export DLX_DATA=" in result.err
    assert dlx("doctor").code in (0, 5)


def test_init_leaves_no_half_file(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (world / "digits.yaml").write_text("mine\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert dlx("init", "digits", "--force").code == 5
    assert (world / "digits.yaml").read_text() == "mine\n"
    assert [path.name for path in world.iterdir()] == ["digits.yaml"]


def test_list_says_what_was_changed_beside_the_spec(dlx: Dlx, gate: Path, world: Path) -> None:
    assert dlx("run", gate, "-s", "epochs=2", "--name", "short").code == 0
    assert dlx("sweep", gate, "-s", "lr=0.1,0.2", "-s", "epochs=1").code == 0
    assert dlx("run", gate, "-s", "epochs=1", "--folds", "2", "--name", "f", "-s", "validation=0.5").code == 0
    lines = {line.split()[0]: line for line in dlx("list").out.splitlines() if line}
    assert lines["short-1"].endswith("epochs=2")
    assert "lr=0.1" in lines["gate-1"]
    assert "epochs=1" in lines["gate-1"]
    assert "lr=0.2" in lines["gate-2"]
    assert "validation=fold 1 of 2" in lines["f-1"]
    assert "name=" not in lines["f-1"]
    assert dlx("resume", "short", "-s", "epochs=4").code == 0
    child = next(line for line in dlx("list").out.splitlines() if line.startswith("gate-3") or "epochs=4" in line)
    assert child.endswith("epochs=4")
