"""What a run directory holds, read by code that shares nothing with dlx: json, zipfile, h5py and the formats' own rules."""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dlx.runs.metrics import is_figure

# Figures that are times: no two runs share them.
TIMES = {"seconds", "train_seconds", "total_seconds", "examples_per_second"}


def status(run: Path) -> str:
    """done, failed or interrupted, as the files say; "open" where none of them does."""
    if (run / "metrics.json").exists():
        return "done"
    if (run / "failure.json").exists():
        return str(json.loads((run / "failure.json").read_text())["kind"])
    return "open"


def history(run: Path) -> list[dict[str, Any]]:
    """The rows of the history, times apart; a line that is not JSON is an error."""
    file = run / "history.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines]


def steps(run: Path) -> list[dict[str, Any]]:
    """The rows of `log_every`; a line that is not JSON is an error."""
    file = run / "steps.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def snapshots(run: Path) -> dict[str, dict[str, str]]:
    """The arrays of every snapshot."""
    return {file.name: arrays(file.read_bytes()) for file in sorted((run / "snapshots").glob("*.npz"))}


def metrics(run: Path) -> dict[str, Any]:
    return {key: value for key, value in json.loads((run / "metrics.json").read_text()).items() if key not in TIMES}


def arrays(raw: bytes) -> dict[str, str]:
    """The members of an .npz and the sha256 of each, header and all."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def weights(run: Path) -> dict[str, str]:
    """Every array in model.keras, and the sha256 of its bytes."""
    import h5py

    with zipfile.ZipFile(run / "model.keras") as archive:
        raw = archive.read("model.weights.h5")
    found: dict[str, str] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item)
            found[name] = f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"

    with h5py.File(io.BytesIO(raw), "r") as file:
        file.visititems(visit)
    return found


def checkpoints(run: Path) -> list[int]:
    """The numbers of the checkpoints, the newest first."""
    folder = run / "checkpoints"
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def whole(folder: Path) -> bool:
    """Whether a checkpoint is what its MANIFEST says, as `sha256sum -c` would find."""
    try:
        lines = (folder / "MANIFEST").read_text(encoding="ascii").splitlines()
        named = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in lines}
        return set(named) == {"state.npz", "state.json"} and all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in named.items()
        )
    except (OSError, ValueError, IndexError):
        return False


def state(run: Path) -> dict[str, str]:
    """The arrays of the newest checkpoint: weights, best weights, optimizer, accumulators and counters."""
    return arrays((run / "checkpoints" / str(checkpoints(run)[0]) / "state.npz").read_bytes())


def _crc(data: bytes) -> int:
    """TensorFlow's masked CRC-32C of a record."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def scalars(run: Path) -> dict[tuple[str, str, int], list[float]]:
    """Every scalar in the event files by (folder, tag, step); more than one value is one too many."""
    from tensorboard.compat.proto import event_pb2

    found: dict[tuple[str, str, int], list[float]] = {}
    for file in sorted((run / "tensorboard").rglob("*tfevents*")):
        raw, place = file.read_bytes(), 0
        while place < len(raw):
            head = raw[place : place + 8]
            (length,) = struct.unpack("<Q", head)
            assert struct.unpack("<I", raw[place + 8 : place + 12])[0] == _crc(head), file
            data = raw[place + 12 : place + 12 + length]
            assert struct.unpack("<I", raw[place + 12 + length : place + 16 + length])[0] == _crc(data), file
            place += 16 + length
            event = event_pb2.Event.FromString(data)
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    key = (file.parent.name, value.tag, event.step)
                    found.setdefault(key, []).append(value.simple_value)
    return found


def logged_once(run: Path) -> list[str]:
    """What is wrong with the logs: an epoch that is missing or twice, a scalar that is not what the history says."""
    rows, seen, wrong = history(run), scalars(run), []
    if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
        wrong.append(f"the history has the epochs {[row['epoch'] for row in rows]}")
    expected: dict[tuple[str, str, int], float | None] = {}
    for row in rows:
        for key, value in row.items():
            prefix, _, name = key.partition("_")
            if prefix in ("train", "val"):
                folder = "validation" if prefix == "val" else "train"
                expected[folder, f"epoch_{name}", row["epoch"]] = value
        expected["train", "epoch_learning_rate", row["epoch"]] = row["learning_rate"]
    for row in steps(run):
        named = {key.removeprefix("train_"): value for key, value in row.items() if key.startswith("train_")}
        expected |= {("train", f"batch_{name}", row["step"]): value for name, value in named.items()}
    if (run / "metrics.json").is_file():
        metrics = json.loads((run / "metrics.json").read_text())
        judged = "validation" if any(key.startswith("val_") for row in rows for key in row) else "train"
        figures = {key: value for key, value in metrics.items() if is_figure(key) and value is not None}
        expected |= {(judged, f"result/{key}", metrics["epochs"]): value for key, value in figures.items()}
    if set(expected) != set(seen):
        wrong.append(f"{len(set(expected) ^ set(seen))} scalars are missing or too many")
    for key, values in seen.items():
        said = expected.get(key)
        said = math.nan if said is None else float(np.float32(said))
        if len(values) != 1 or not (values[0] == said or (math.isnan(said) and math.isnan(values[0]))):
            wrong.append(f"{key}: {values}, the history says {said}")
    return wrong


def everything(run: Path) -> dict[str, Any]:
    """All that must not depend on how often a training was stopped."""
    return {
        "history": history(run),
        "steps": steps(run),
        "snapshots": snapshots(run),
        "metrics": metrics(run),
        "weights": weights(run),
        "state": state(run),
        "predictions": arrays((run / "predictions.npz").read_bytes()),
    }
