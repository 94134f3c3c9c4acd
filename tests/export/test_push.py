"""Runs in MLflow, as MLflow's own client reads them back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SMALL, Dlx

READ = """
import json, os, sys
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_ALLOW_FILE_STORE="true")
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
place = client.get_experiment_by_name("dlx").experiment_id
found = []
for run in client.search_runs([place]):
    names = [f.path for f in client.list_artifacts(run.info.run_id)]
    points = {k: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, k)] for k in run.data.metrics}
    found.append({"name": run.info.run_name, "status": run.info.status, "params": run.data.params,
                  "metrics": run.data.metrics, "points": points, "tags": run.data.tags, "files": names})
print(json.dumps(found))
"""


def read_back(world: Path) -> list[dict[str, Any]]:
    """Every run of the experiment."""
    words = [sys.executable, "-c", READ, (world / "mlruns").as_uri()]
    found: list[dict[str, Any]] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return found


def test_a_run_is_read_back_and_pushed_again_adds_only_what_is_new(world: Path, dlx: Dlx, shell: Dlx) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    (world / "digits.yaml").write_text(SMALL)
    assert dlx("run", "digits.yaml").code == 0
    np.save(world / "x.npy", np.zeros((1, 8, 8, 1), np.uint8))
    assert dlx("predict", "digits", "x.npy").code == 0
    history = (world / "runs/digits-1/history.jsonl").read_text().splitlines()
    (world / "runs/digits-1/history.jsonl").write_text("\n".join(history[:2]) + "\n")
    first = shell("push", "digits", "--to", "mlflow", "--json")
    assert first.code == 0, first.err
    assert json.loads(first.out)["new"] is True
    (world / "runs/digits-1/history.jsonl").write_text("\n".join(history) + "\n")
    second = shell("push", "digits", "--to", "mlflow", "--json")
    assert (json.loads(second.out)["new"], json.loads(second.out)["rows"]) == (False, len(history) - 2)
    assert json.loads(shell("push", "digits", "--to", "mlflow", "--json").out)["rows"] == 0
    (run,) = read_back(world)
    rows = [json.loads(line) for line in history]
    assert run["points"]["val_loss"] == [[row["epoch"], pytest.approx(row["val_loss"])] for row in rows]
    metrics = json.loads((world / "runs/digits-1/metrics.json").read_text())
    assert run["metrics"]["test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert run["metrics"]["final_val_loss"] == pytest.approx(metrics["val_loss"])
    settings = json.loads((world / "runs/digits-1/run.json").read_text())["settings"]
    assert float(run["params"]["lr"]) == settings["lr"]
    assert (run["name"], run["status"], run["tags"]["dlx.status"]) == ("digits-1", "FINISHED", "done")
    assert {"spec.yaml", "metrics.json", "history.jsonl", "run.json", "model.onnx"} <= set(run["files"])


def test_a_thinned_history_is_not_pushed_twice(world: Path, dlx: Dlx, shell: Dlx) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    (world / "digits.yaml").write_text(SMALL)
    assert dlx("run", "digits.yaml").code == 0
    place = world / "runs/digits-1/history.jsonl"
    lines = place.read_text().splitlines()
    place.write_text("\n".join([lines[0], lines[2]]) + "\n")
    for new in (True, False):
        assert json.loads(shell("push", "digits", "--to", "mlflow", "--json").out)["new"] is new
    (run,) = read_back(world)
    assert [step for step, _ in run["points"]["val_loss"]] == [1, 3]


def test_what_cannot_be_pushed_is_said(world: Path, dlx: Dlx, shell: Dlx) -> None:
    assert dlx("push", "nothing", "--to", "mlflow").code == 2
    (world / "digits.yaml").write_text(SMALL)
    assert dlx("run", "digits.yaml").code == 0
    done = shell("push", "digits", "--to", "mlflow", "--uri", "http://127.0.0.1:9")
    assert (done.code, "--uri" in done.err) == (2, True)
