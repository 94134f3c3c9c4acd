"""A run is a directory. This module alone knows the names of the files in it. Standard library only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.errors import DiskError, RunError, did_you_mean
from dlx.system import files, locks

FORMAT = 1
SILENT_SECONDS = 3600.0  # a run of another host that was not seen for so long may be removed
MAX_JSON = 16 * 2**20
MAX_HISTORY = 256 * 2**20
Row = dict[str, Any]


def _finite_float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _whole(text: str) -> float | None:
    return int(text) if len(text) < 300 else _finite_float(text)


# NaN, Infinity, and a number too large for a float are null.
DECODER = json.JSONDecoder(parse_constant=lambda word: None, parse_float=_finite_float, parse_int=_whole)


class Run:
    """One run directory. Its status is derived from its files, never stored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: locks.Lock | None = None
        self._written = hashlib.sha256()  # of history.jsonl, as far as this process knows it
        self._bytes = 0

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
        found = self._json("run.json")
        if found is None:
            raise RunError("is no run: it has no run.json", where=str(self.path))
        version = found.get("format")
        if not isinstance(version, int) or version > FORMAT or not isinstance(found.get("settings"), dict):
            raise RunError(f"run.json has format {version!r}; this dlx reads up to {FORMAT}", where=str(self.path))
        for key in ("dataset", "input", "git", "versions", "code"):
            if not isinstance({} if found.get(key) is None else found[key], dict):
                raise RunError(f"run.json has no mapping under {key!r}", where=str(self.path))
        if not isinstance(found.get("monitor", ""), str):
            raise RunError("run.json names no figure under 'monitor'", where=str(self.path))
        return found

    def metrics(self) -> dict[str, Any] | None:
        """The final figures; None while there are none."""
        return self._json("metrics.json")

    def failure(self) -> dict[str, Any] | None:
        return self._json("failure.json")

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            found = DECODER.decode(files.contents(self.path, name, MAX_JSON).decode())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{name} cannot be read ({_short(error)})", where=str(self.path)) from error
        if not isinstance(found, dict):
            raise RunError(f"{name} holds no mapping", where=str(self.path))
        return found

    def history(self) -> list[Row]:
        """A row an epoch; a torn last line is left out."""
        return _rows(self._history())

    def curve(self, figure: str) -> list[Any]:
        """One figure of each epoch; None where a row has none."""
        raw = self._history()
        # As dlx writes it, the figure can be picked out of the lines without reading the rest of them.
        found = re.findall(
            rb'"%b": (-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:e[-+]?[0-9]{1,2})?|null)[,}]'
            % re.escape(figure.encode("utf-8", "replace")),
            raw,
        )
        if len(found) != raw.count(b"\n"):
            return [row.get(figure) for row in self.history()]
        return [None if text == b"null" else float(text) for text in found]

    def _history(self) -> bytes:
        try:
            return files.contents(self.path, "history.jsonl", MAX_HISTORY)
        except OSError:
            return b""

    @property
    def status(self) -> str:
        """done | failed | interrupted | running | crashed; unknown where another host may be at it."""
        if (self.path / "metrics.json").is_file():
            return "done"
        lock, _ = locks.state(self.path, "lock")
        if lock == "held":  # also while a stopped run is taken up again
            return "running"
        failure = self.failure()
        if failure is not None:
            return "interrupted" if failure.get("kind") == "interrupted" else "failed"
        return "unknown" if lock == "unknown" else "crashed"

    def seen(self) -> str:
        """When a run of unknown status was last seen at work, in words."""
        seconds = locks.state(self.path, "lock")[1]
        for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
            if seconds >= size:
                count = int(seconds // size)
                return f"last seen {count} {unit}{'s' * (unit == 'day' and count > 1)} ago"
        return f"last seen {int(seconds)} s ago"

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

    def text(self, name: str) -> str:
        """A small text file of the run. Raises RunError where it cannot be read."""
        try:
            return files.contents(self.path, name, MAX_JSON).decode("utf-8", "replace")
        except OSError as error:
            raise RunError(f"{name} cannot be read ({error.strerror})", where=str(self.path)) from error

    # Writing

    @classmethod
    def create(cls, root: Path, name: str) -> Run:
        """Claim `root/name-N` with the first free N, by an exclusive mkdir, and hold its lock."""
        try:
            files.private(root)
            number = _next_number(root, name)
            while True:
                path = root / f"{name}-{number}"
                try:
                    path.mkdir(files.PRIVATE)
                    break
                except FileExistsError:
                    number += 1
            run = cls(path)
            run._lock = locks.Lock(path / "lock")
            try:
                run._lock.take()
            except OSError:
                shutil.rmtree(path, ignore_errors=True)
                raise
        except OSError as error:
            raise DiskError(f"cannot make a run directory ({error.strerror or error})", where=str(root)) from error
        return run

    def take_up(self, force: bool = False) -> None:
        """Hold the lock of a run that is there, to go on with it.

        Raises RunError while another process has it, and for a run that holds a link or a device: nothing is
        written through one. With `force` also where another host may be at it.
        """
        with disk(self.path):
            strange = files.strange(self.path)
        if strange:
            raise RunError(
                f"holds {strange}, which is a link, or a device, or has another name elsewhere: a run has none",
                where=str(self.path),
            )
        if self.status == "unknown" and not force:
            said = f"was made on another host, and may still be running there ({self.seen()})"
            raise RunError(said, where=str(self.path), hint="--force, when you know that it is not")
        lock = locks.Lock(self.path / "lock")
        with disk(self.path):
            if not lock.take():
                raise RunError("is running", where=str(self.path), hint="another process writes to it")
        self._lock = lock

    def beat(self) -> None:
        """Say that the run is alive, for who looks from another host."""
        if self._lock is not None:
            with disk(self.path):
                self._lock.beat()

    def keep_code(self, sources: Sequence[tuple[str, bytes]]) -> list[Path]:
        """Keep a spec's own Python files (name, bytes); returns where. Files of one name get numbers."""
        copies: list[Path] = []
        for number, (name, source) in enumerate(sources):
            free = name if name not in {copy.name for copy in copies} else f"{number}_{name}"
            with disk(self.path):
                files.private(self.code)
                with files.replacing(self.code / free) as temporary:
                    temporary.write_bytes(source)
            copies.append(self.code / free)
        return copies

    def begin(self, spec: str, info: Mapping[str, Any]) -> None:
        """Write what the run is: spec.yaml and run.json."""
        self.write("spec.yaml", spec)
        self.write("run.json", _dumps({"format": FORMAT, **info}))

    def update(self, info: Mapping[str, Any]) -> None:
        """Lay further keys into run.json."""
        self.write("run.json", _dumps({**self.info(), **info}))

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows to history.jsonl, flushed."""
        if not rows:
            return
        text = "".join(json.dumps(finite(row)) + "\n" for row in rows).encode()
        with disk(self.path), (self.path / "history.jsonl").open("ab") as stream:
            stream.write(text)
        self._written.update(text)
        self._bytes += len(text)

    def mark(self) -> dict[str, Any]:
        """How far the history goes, on the disk now: what `rewind` goes back to."""
        with disk(self.path):
            if self._bytes:
                files.sync(self.path / "history.jsonl")
        return {"bytes": self._bytes, "sha256": self._written.hexdigest()}

    def begins_with(self, mark: Mapping[str, Any]) -> bool:
        """Whether the history still holds what it did at a mark."""
        raw = self._until(mark)
        return len(raw) == mark["bytes"] and str(mark["sha256"]) == hashlib.sha256(raw).hexdigest()

    def history_until(self, mark: Mapping[str, Any]) -> list[Row]:
        """The rows of the history up to a mark."""
        return _rows(self._until(mark))

    def _until(self, mark: Mapping[str, Any]) -> bytes:
        """The history as it was at a mark. Raises RunError where it cannot be read."""
        try:
            with files.opened(self.path, "history.jsonl") as descriptor:
                return os.read(descriptor, min(int(mark["bytes"]), os.fstat(descriptor).st_size))
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise RunError(f"history.jsonl cannot be read ({_short(error)})", where=str(self.path)) from error

    def rewind(self, mark: Mapping[str, Any]) -> None:
        """Cut off what the history got after a mark, and remove what an end left behind."""
        raw = self._until(mark)
        self._written, self._bytes = hashlib.sha256(raw), len(raw)
        with disk(self.path):
            for name in ("failure.json", "metrics.json"):
                (self.path / name).unlink(missing_ok=True)
            if (self.path / "history.jsonl").is_file():
                os.truncate(self.path / "history.jsonl", len(raw))
            for left in self.path.glob(".*.tmp*"):
                left.unlink(missing_ok=True)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json, last and whole: its presence means done."""
        self.write("metrics.json", _dumps(metrics))
        self.release()

    def fail(self, kind: str, message: str, **details: Any) -> None:
        """Write failure.json: kind is "failed" or "interrupted"."""
        self.write("failure.json", _dumps({"kind": kind, "message": message, **details}))
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
        with disk(self.path):
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
        with disk(self.path), files.replacing(self.path / name) as temporary:
            yield temporary

    def log(self, text: str) -> None:
        """Add a line to log.txt."""
        with disk(self.path), (self.path / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


def _rows(raw: bytes) -> list[Row]:
    """The rows of a history; what is none is left out."""
    rows: list[Row] = []
    lines = raw.decode("utf-8", "replace").splitlines()
    with contextlib.suppress(ValueError, RecursionError):  # all at once, as nearly every history can be read
        found: list[Row] = DECODER.decode(f"[{','.join(lines)}]")
        if len(found) == len(lines) and all(map(_is_row, found)):
            return found
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            row = DECODER.decode(line)
            if _is_row(row):
                rows.append(row)
    return rows


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and type(value.get("epoch")) is int


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """What goes wrong with a file in the block is a DiskError at `path`."""
    try:
        yield
    except OSError as error:
        raise DiskError(f"cannot write ({error.strerror or error})", where=str(path)) from error


def _short(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n"


def finite(value: Any) -> Any:
    """`value` with every figure that is not finite as null: JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _next_number(root: Path, name: str) -> int:
    pattern = re.compile(re.escape(name) + r"-([0-9]+)")
    entries = [*root.iterdir(), *(trash(root).iterdir() if trash(root).is_dir() else ())]
    matches = (pattern.fullmatch(entry.name) for entry in entries)  # one in the trash keeps its number
    return max((int(match[1]) for match in matches if match), default=0) + 1


# The trash: a folder beside the runs, so that nothing is lost before it is emptied


def trash(root: Path) -> Path:
    """Where removed runs of a runs folder wait."""
    return root / ".trash"


def removable(run: Path) -> None:
    """Raise RunError for a run that is running, or may be on another host; a damaged one can be removed."""
    try:
        status = Run(run).status
    except RunError:
        return
    if status == "running":
        raise RunError("is running", where=str(run), hint="stop it first")
    if status == "unknown" and locks.state(run, "lock")[1] < SILENT_SECONDS:
        seen = Run(run).seen()
        raise RunError(f"may be running on another host ({seen})", where=str(run), hint="remove it there, or later")


def _check_trash(root: Path) -> None:
    if trash(root).is_symlink():
        raise RunError(
            "is a link, so that what is removed would go elsewhere", where=str(trash(root)), hint="remove it"
        )


def remove(run: Path, root: Path) -> Path:
    """Move a run into the trash; returns where it is now. Raises RunError while it is running, or may be."""
    removable(run)
    _check_trash(root)
    with disk(run):
        files.private(trash(root))
        place, number = trash(root) / run.name, 1
        while place.exists():
            place, number = trash(root) / f"{run.name}.{number}", number + 1
        shutil.move(run, place)
    return place


def restore(name: str, root: Path) -> Path:
    """Bring a run back from the trash; raises RunError where there is none, or its place is taken."""
    waiting = [path.name for path in below(trash(root))]
    if name not in waiting:  # a spec's name is its newest run, as everywhere
        name = next((found for found in reversed(waiting) if re.fullmatch(re.escape(name) + r"-\d+", found)), name)
    if name not in waiting:
        hint = f"in the trash: {', '.join(waiting[:8])}" if waiting else "the trash is empty"
        raise RunError(f"{name!r} is not in the trash{did_you_mean(name, waiting)}", hint=hint)
    if (root / name).exists():
        raise RunError("is there already", where=str(root / name), hint="remove it first, or leave this one")
    with disk(root):
        shutil.move(trash(root) / name, root / name)
    return root / name


def empty(root: Path) -> int:
    """Delete what is in the trash for good; returns how many runs that were."""
    _check_trash(root)
    waiting = below(trash(root))
    with disk(trash(root)):
        for path in waiting:
            shutil.rmtree(path)
    return len(waiting)


# Figures

MORE_IS_BETTER = ("accuracy", "exact_match", "auc", "f1", "precision", "recall", "r2")


def maximized(metric: str) -> bool:
    """Whether more of the metric is better."""
    name = re.sub(r"^(train|val|test)_", "", metric)
    return name in MORE_IS_BETTER or re.fullmatch(r"top_\d+_accuracy", name) is not None


# Finding runs


def root(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder that runs live in: the one given, else DLX_RUNS, else ./runs."""
    return Path(folder or os.environ.get("DLX_RUNS") or "runs")


def is_run(path: Path) -> bool:
    """Whether a directory claims to be a run."""
    return (path / "run.json").is_file()


def is_folder_of_runs(path: Path) -> bool:
    """Whether a directory is no run, not even a damaged one, but holds some."""
    own = ("run.json", "spec.yaml", "lock", "history.jsonl", "metrics.json", "failure.json", "log.txt")
    return not any(os.path.lexists(path / name) for name in own) and any(is_run(inner) for inner in below(path))


def natural(path: Path) -> list[Any]:
    """A sort key in which x-2 comes before x-10."""
    return [
        (int(word), "") if word.isascii() and word.isdigit() else (-1, word)
        for word in re.split(r"([0-9]+)", path.name)
    ]


def below(folder: Path) -> list[Path]:
    """Every directory in a runs folder, in natural order; plain files, links and hidden ones are passed over."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [e.path for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    return sorted(map(Path, found), key=natural)


def started(path: Path) -> float:
    """When the run began, by its run.json's place in time; 0 when that cannot be told."""
    try:
        return float((Run(path)._json("run.json") or {}).get("started", 0.0))
    except (RunError, TypeError, ValueError):
        return 0.0


def find(word: str, folder: Path) -> list[Path]:
    """The paths that RUN means: a directory, a name under the runs folder, a pattern, a spec's name, `latest`.

    Raises RunError with what is there when nothing fits.
    """
    path = Path(word)
    if is_run(path) or (path.is_dir() and os.sep in word):
        return [path]
    if (folder / word).is_dir():
        return [folder / word]
    if any(mark in word for mark in "*?["):
        import glob

        pattern = word if os.sep in word else str(folder / word)
        hits = sorted((Path(hit) for hit in glob.glob(pattern) if Path(hit).is_dir()), key=natural)
        if hits:
            return hits
        raise RunError(f"no run matches {word!r}", hint=f"`dlx list` shows the runs in {folder}")
    known = [run for run in below(folder) if is_run(run)]
    if word == "latest" and known:
        return [max(known, key=started)]
    named = [run for run in known if re.fullmatch(re.escape(word) + r"-\d+", run.name)]
    if named:
        return [max(named, key=natural)]
    if path.is_dir():  # last: a folder of data may well have the name of its spec
        return [path]
    if any(gone.name == word for gone in below(trash(folder))):
        where = "" if folder == root() else f" --runs-dir {folder}"
        raise RunError(f"{word!r} is in the trash", hint=f"dlx rm --restore {word}{where}")
    names = [run.name for run in known] + [run.name.rpartition("-")[0] for run in known]
    seen = f"`dlx list` shows the runs in {folder}" if known else f"there are no runs in {folder} yet: dlx run SPEC"
    raise RunError(f"unknown run {word!r}{did_you_mean(word, names)}", hint=seen)


def one(word: str, folder: Path) -> Run:
    """The one run that RUN means, opened."""
    paths = find(word, folder)
    if len(paths) > 1:
        raise RunError(f"{word!r} means {len(paths)} runs, expected one", hint=", ".join(p.name for p in paths[:5]))
    return Run.open(paths[0])
