"""A run copied to MLflow: settings, history, final figures, spec and model.onnx; a second time only what is new."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import DlxError
from dlx.inference import onnx_model
from dlx.runs.metrics import is_figure, numbers
from dlx.runs.run import Run

ID, ROWS = "dlx.id", "dlx.rows"  # tags: which run it is, how many rows of its history are there and their hash
STATUS = {"done": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED", "running": "RUNNING"}
LONGEST = 500  # letters of a value; servers take no more in an older version
FILES = ("spec.yaml", "metrics.json", "history.jsonl", "run.json")
HINT = "pip install 'dlx-runner[mlflow]'"


@dataclass(frozen=True)
class Pushed:
    """id: of the run in MLflow; rows: of the history that were added; new: whether it was not there before."""

    id: str
    rows: int
    new: bool


def client(address: str) -> Any:
    """MLflow's client for a folder or a server. Raises DlxError where MLflow is not installed, or does not answer."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    # A folder is what a person has without a server; MLflow would rather have a database.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    try:
        from mlflow import MlflowClient
    except ModuleNotFoundError as error:
        raise DlxError("dlx push needs MLflow, which is not installed", hint=HINT) from error
    if "://" not in address:
        address = Path(address).absolute().as_uri()
    return MlflowClient(tracking_uri=address)


def push(run: Run, to: Any, experiment: str) -> Pushed:
    """Copy a run by the client `to` into an experiment, which is made where it is absent.

    What is there already stays, and gets the rows and figures that have come since; a run that has another history by
    now is written anew. Raises DlxError for what MLflow refuses.
    """
    try:
        return _push(run, to, experiment)
    except DlxError:
        raise
    except Exception as error:  # MLflow's own, and requests'
        reason = " ".join(str(error).split())
        silent = any(word in reason for word in ("Max retries", "NewConnectionError", "Failed to establish"))
        reason = "nothing answers there" if silent else reason[:300]
        raise DlxError(
            f"MLflow does not take {run.name} ({reason})", hint="--uri names a folder or a server"
        ) from error


def _push(run: Run, to: Any, experiment: str) -> Pushed:
    info, history = run.info(), run.history()
    where = to.get_experiment_by_name(experiment)
    place = where.experiment_id if where is not None else to.create_experiment(experiment)
    identity = hashlib.sha256(f"{run.name} {info.get('started')} {run.text('spec.yaml')}".encode()).hexdigest()
    there = to.search_runs([place], f"tags.`{ID}` = '{identity}'")
    known = there[0] if there else None
    done = _rows_there(history, known.data.tags.get(ROWS, "")) if known is not None else 0
    if known is not None and done is None:
        to.delete_run(known.info.run_id)
        known = None
    done = done or 0
    started = int(1000 * float(info.get("started") or 0))
    if known is None:
        made = to.create_run(place, start_time=started, tags={ID: identity}, run_name=run.name)
        to.log_batch(made.info.run_id, params=_params(info))
    id_ = (known or made).info.run_id
    last = int(history[done - 1]["epoch"]) if done else 0  # a thinned history has fewer rows than epochs
    for batch in _batches([point for point in _points(history, started) if point.step > last]):
        to.log_batch(id_, metrics=batch)
    for name, value in _final(run, history).items():
        if known is None or known.data.metrics.get(name) != value:
            to.log_metric(id_, name, value)
    for tag, words in {**_tags(run, info), ROWS: _mark(history)}.items():
        to.set_tag(id_, tag, words)
    _artifacts(run, to, id_)
    status = STATUS.get(run.status, "FAILED")
    if status != "RUNNING":
        seconds = sum(float(row.get("seconds") or 0) for row in history)
        to.set_terminated(id_, status, end_time=started + int(1000 * seconds))
    return Pushed(id_, len(history) - done, known is None)


def _mark(history: Sequence[Mapping[str, Any]]) -> str:
    """How many rows, and a hash of them."""
    return f"{len(history)} {hashlib.sha256(json.dumps(list(history)).encode()).hexdigest()[:16]}"


def _rows_there(history: Sequence[Mapping[str, Any]], mark: str) -> int | None:
    """How many rows a mark is of, where the history begins with these; None where it is another by now."""
    count = mark.partition(" ")[0]
    return int(count) if count.isdigit() and _mark(history[: int(count)]) == mark else None


def _params(info: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    settings = {name: value for name, value in info["settings"].items() if value is not None}
    return [Param(_name(name), _value(value)) for name, value in list(settings.items())[:100]]


def _points(history: Sequence[Mapping[str, Any]], started: int) -> Iterator[Any]:
    """Every number of every row, at its epoch."""
    from mlflow.entities import Metric

    seconds = 0.0
    for row in history:
        seconds += float(row.get("seconds") or 0)
        at = started + int(1000 * seconds)
        for name, value in row.items():
            if name != "epoch" and isinstance(value, (int, float)) and not isinstance(value, bool):
                yield Metric(_name(name), float(value), at, int(row["epoch"]))


def _batches(points: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(points), 1000):  # that a server takes at a time
        yield points[start : start + 1000]


def _final(run: Run, history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The figures at the end; one that the history has, too, gets a name of its own."""
    columns = {name for row in history for name in row}
    found = numbers(run.metrics() or {})
    return {
        _name(f"final_{name}" if name in columns else name): value for name, value in found.items() if is_figure(name)
    }


def _tags(run: Run, info: Mapping[str, Any]) -> dict[str, str]:
    data, git = info.get("dataset") or {}, info.get("git") or {}
    settings = info["settings"]
    tags = {
        "dlx.version": info.get("dlx"), "dlx.status": run.status, "dlx.command": info.get("command"),
        "dlx.backend": info.get("backend"), "dlx.device": info.get("device_name"),
        "dlx.data": data.get("fingerprint"), "dlx.commit": git.get("commit"),
        "dlx.tags": ", ".join(map(str, settings.get("tags") or [])), "dlx.note": run.note(),
        "mlflow.note.content": settings.get("description"),
    }  # fmt: skip
    return {name: _value(value) for name, value in tags.items() if value}


def _artifacts(run: Run, to: Any, id_: str) -> None:
    """The run's small files, and its model.onnx where it was checked."""
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        for name in FILES:
            if (run.path / name).is_file():
                text = Path(scratch) / name
                text.write_text(run.text(name), encoding="utf-8")
                to.log_artifact(id_, str(text))
        if (model := onnx_model.checked(run)) is not None:
            shutil.copyfile(model[1], Path(scratch) / onnx_model.NAME)
            to.log_artifact(id_, str(Path(scratch) / onnx_model.NAME))


def _name(name: str) -> str:
    """A name with the letters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
