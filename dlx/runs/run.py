"""A run is a directory. This room alone knows the names of the files in it. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.errors import DiskError, RunError
from dlx.runs.history import STEPS, History, Row
from dlx.system import files, locks
from dlx.system.json_text import DECODER, document
from dlx.system.units import duration

FORMAT = 1
# What a setting was in runs made before it had a name: a new key of a spec that is always written goes in here.
ABSENT: dict[str, Any] = {"plots": False, "strict": False, "keep": "best", "split_seed": 0}
# The same of a part's parameters, by the part's address; # is its place in a list.
ABSENT_OF_PARTS: dict[str, dict[str, Any]] = {
    "dataset.csv": {"missing_label": "error"},
    "dataset.text_csv": {"missing_label": "error"},
    "dataset.moons": {"test_samples": 0},
    "augment.#.rotate": {"probability": 1.0},
    "layers.#.output": {"use_bias": True},
}
TRASH = ".trash"  # beside the runs: see dlx.runs.trash
MAX_JSON = 16 * 2**20
START = {"bytes": 0}  # the mark of an empty file
AWAY = "place.json"  # in a run that trains elsewhere: where


class Run:
    """One run directory. Its status is derived from its files, never stored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: locks.Lock | None = None
        self.epochs, self.steps = History(path), History(path, STEPS)

    # Reading

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """The run at `path`; raises RunError with the reason when it is none, or a damaged one."""
        run = cls(Path(path))
        run.info()
        return run

    @property
    def name(self) -> str:
        return self.path.name

    def info(self) -> dict[str, Any]:
        """run.json."""
        record = self._json("run.json")
        if record is None:
            raise RunError("is not a run: it has no run.json", where=str(self.path))
        version = record.get("format")
        if not isinstance(version, int) or version > FORMAT or not isinstance(record.get("settings"), dict):
            raise RunError(f"run.json has format {version!r}; this dlx reads up to {FORMAT}", where=str(self.path))
        for key in ("dataset", "input", "git", "versions", "code"):
            if not isinstance({} if record.get(key) is None else record[key], dict):
                raise RunError(f"run.json has no mapping under {key!r}", where=str(self.path))
        record["settings"] = _with_absent(record["settings"], earlier="scaling" not in record)
        if not isinstance(record.get("monitor", ""), str):
            raise RunError("run.json names no figure under 'monitor'", where=str(self.path))
        return record

    def metrics(self) -> dict[str, Any] | None:
        """The final figures; None while there are none."""
        return self._json("metrics.json")

    def failure(self) -> dict[str, Any] | None:
        return self._json("failure.json")

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            document = DECODER.decode(files.contents(self.path, name, MAX_JSON).decode())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise RunError(f"{files.whose(self.path)}, and you may not read it", where=str(self.path)) from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{name} cannot be read ({_short(error)})", where=str(self.path)) from error
        if not isinstance(document, dict):
            raise RunError(f"{name} holds no mapping", where=str(self.path))
        return document

    def history(self) -> list[Row]:
        """A row an epoch; a torn last line is left out."""
        return self.epochs.rows()

    @property
    def status(self) -> str:
        """done | failed | interrupted | pruned | running | crashed; away where it trains at another place, and nobody
        here follows it; unknown where another host may be at it. Raises RunError where it cannot be read."""
        if os.path.isfile(self.path / "metrics.json"):
            return "done"
        lock, _ = locks.state(self.path, "lock")
        if lock == "held":  # also while a stopped run is resumed
            return "running"
        if os.path.isfile(self.path / AWAY):
            return "away"
        failure = self.failure()
        if failure is not None:
            kind = failure.get("kind")
            return kind if kind in ("interrupted", "pruned") else "failed"
        return "unknown" if lock == "unknown" else "crashed"

    def seen(self) -> str:
        """When a run of unknown status was last seen at work, in words."""
        return f"last seen {duration(locks.state(self.path, 'lock')[1])} ago"

    @property
    def spec_file(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def model_file(self) -> Path:
        return self.path / "model.keras"

    @property
    def predictions_file(self) -> Path:
        return self.path / "predictions.npz"

    @property
    def code(self) -> Path:
        """The folder of the files of `imports`."""
        return self.path / "code"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def snapshots(self) -> Path:
        """The folder of the weights after the epochs of `snapshots`: 10.npz."""
        return self.path / "snapshots"

    def text(self, name: str) -> str:
        """A small text file of the run. Raises RunError where it cannot be read."""
        try:
            return files.contents(self.path, name, MAX_JSON).decode("utf-8", "replace")
        except OSError as error:
            raise RunError(f"{name} cannot be read ({error.strerror})", where=str(self.path)) from error

    def snapshot_epochs(self) -> list[int]:
        """The epochs whose weights are kept, in order; 0 is before the training."""
        names = os.listdir(self.snapshots) if self.snapshots.is_dir() else []
        return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"([0-9]{1,10})\.npz", name)))

    # Writing

    @classmethod
    def create(cls, root: Path, name: str, number: int | None = None) -> Run:
        """Claim `root/name-N` with the first free N, by an exclusive mkdir, and hold its lock. number: the least N."""
        name = files.as_path(name)
        try:
            files.make_folder(root)
            number = number or _next_number(root, name)
            while True:
                path = root / f"{name}-{number}"
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    number += 1
            run = cls(path)
            run._lock = locks.Lock(path / "lock")
            try:
                run._lock.take()
            except OSError:
                import shutil

                shutil.rmtree(path, ignore_errors=True)
                raise
        except OSError as error:
            raise DiskError(f"cannot make a run directory ({error.strerror or error})", where=str(root)) from error
        return run

    def take_up(self, force: bool = False) -> None:
        """Hold the lock of a run that is there, to continue it.

        Raises RunError while another process has it, and for a run that holds a link or a device: nothing is
        written through one. With `force` also where another host may be at it.
        """
        with files.disk(self.path):
            special = files.special_file(self.path)
        if special:
            raise RunError(
                f"holds {special}, which is a link, a device, or a file with a second name; a run contains none",
                where=str(self.path),
            )
        if (self.path / AWAY).is_file() and not force:
            hint = "dlx resume follows it; --force continues here, from what has come of it"
            raise RunError("trains at another place", where=str(self.path), hint=hint)
        if self.status == "unknown" and not force:
            message = f"may still be running: {locks.who(self.path)} was {self.seen()}"
            raise RunError(message, where=str(self.path), hint="--force, when you know that it is not")
        lock = locks.Lock(self.path / "lock")
        with files.disk(self.path):
            if not lock.take():
                raise RunError("is running", where=str(self.path), hint=f"{locks.who(self.path)} writes to it")
        self._lock = lock

    def beat(self) -> None:
        """Say that the run is alive, for processes on other hosts."""
        if self._lock is not None:
            with files.disk(self.path):
                self._lock.beat()

    def keep_code(self, sources: Sequence[tuple[str, bytes]]) -> list[Path]:
        """Keep a spec's own Python files (name, bytes); returns where. Files of one name get numbers."""
        copies: list[Path] = []
        for number, (name, source) in enumerate(sources):
            free = name if name not in {copy.name for copy in copies} else f"{number}_{name}"
            with files.disk(self.path):
                files.make_folder(self.code)
                with files.replacing(self.code / free) as temporary:
                    temporary.write_bytes(source)
            copies.append(self.code / free)
        return copies

    def begin(self, spec: str, info: Mapping[str, Any]) -> None:
        """Write what the run is: spec.yaml and run.json."""
        self.write("spec.yaml", spec)
        self.write("run.json", document({"format": FORMAT, **info}))

    def update(self, info: Mapping[str, Any]) -> None:
        """Lay further keys into run.json."""
        self.write("run.json", document({**self.info(), **info}))

    def marks(self) -> dict[str, Any]:
        """How far the files of figures go, on the disk now: what `rewind` goes back to."""
        return {"history": self.epochs.mark(), "steps": self.steps.mark()}

    def rewind(self, marks: Mapping[str, Any]) -> None:
        """Cut off what the files of figures got after their marks, and remove what an end left behind."""
        self.epochs.rewind(marks.get("history") or START)
        self.steps.rewind(marks.get("steps") or START)  # an earlier dlx had no such file
        with files.disk(self.path):
            for name in ("failure.json", "metrics.json"):
                (self.path / name).unlink(missing_ok=True)
            for left in self.path.glob(".*.tmp*"):
                left.unlink(missing_ok=True)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json, last and whole: its presence means done."""
        self.write("metrics.json", document(metrics))
        self.release()

    def fail(self, kind: str, message: str, **details: Any) -> None:
        """Write failure.json: kind is "failed", "interrupted" or "pruned"."""
        self.write("failure.json", document({"kind": kind, "message": message, **details}))
        self.release()

    def note(self) -> str:
        """What a person remarked on the run; empty when nothing."""
        try:
            return files.contents(self.path, "note.txt", 2**20).decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def set_note(self, text: str) -> None:
        """Keep a remark; an empty one removes it."""
        if text.strip():
            self.write("note.txt", text.strip() + "\n")
            return
        with files.disk(self.path):
            (self.path / "note.txt").unlink(missing_ok=True)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def write(self, name: str, text: str) -> None:
        """Write a small file whole or not at all."""
        with (
            self.replacing(name) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace") as stream,
        ):
            stream.write(text)

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A path to write to, renamed to `name` when the block ends well and removed when it does not."""
        with files.disk(self.path), files.replacing(self.path / name) as temporary:
            yield temporary

    def log(self, text: str) -> None:
        """Add a line to log.txt."""
        with files.disk(self.path), (self.path / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


def _with_absent(settings: dict[str, Any], earlier: bool) -> dict[str, Any]:
    """Settings with what was not written when they were recorded; `earlier`: one `limit` was that of both splits."""
    absent = dict(ABSENT)
    for key in settings:
        section, *rest = key.split(".", 3)
        listed = section in ("augment", "layers")
        if len(rest) < 2 + listed:
            continue
        part = f"{section}.#.{rest[1]}" if listed else f"{section}.{rest[0]}"
        if part in ABSENT_OF_PARTS:
            where = f"{section}.{rest[0]}.{rest[1]}" if listed else part
            absent |= {f"{where}.{name}": value for name, value in ABSENT_OF_PARTS[part].items()}
    for key, value in settings.items() if earlier else ():
        if re.fullmatch(r"dataset\.\w+\.limit", key):
            absent[key.replace(".limit", ".test_limit")] = value
    return {**settings, **{key: value for key, value in absent.items() if key not in settings}}


def _short(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _next_number(root: Path, name: str) -> int:
    pattern = re.compile(re.escape(name) + r"-([0-9]+)")
    entries = [*root.iterdir(), *(waiting.iterdir() if (waiting := root / TRASH).is_dir() else ())]
    matches = (pattern.fullmatch(entry.name) for entry in entries)  # one in the trash keeps its number
    return max((int(match[1]) for match in matches if match), default=0) + 1
