"""What every place elsewhere can be asked, and the line to one of its workers."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dlx.errors import LostError, PlaceError, RunError
from dlx.parts.places import Place
from dlx.runs.run import AWAY, Run
from dlx.search.places import parcel
from dlx.spec.sections import Spec, resolved
from dlx.system import files

OURS = ("lock", AWAY, "note.txt", "model.onnx")  # what a copy of a run leaves alone
STAYS = (*OURS, "failure.json")  # what is not sent with a run that continues: it is of a stop that is over
Note = Callable[[str], None]
MOST_HOSTS = 1000
WAIT = 10.0  # seconds before what could not be written is tried again
PAUSE = 2.0  # seconds before an order that a lost connection has held up is tried again


class Line:
    """The line to the worker of a job: one thread reads it and copies the run that it trains, another one sends.

    run: the run here; name: that of the run there; offset: how far the worker was heard; gone: set when it is. Then
    `whole` says whether all of the run is here, and `lost` that its machine is gone with it.
    """

    def __init__(self, job: str, note: Note, offset: int = 0) -> None:
        self.job, self.offset, self.note = job, offset, note
        self.run: Run | None = None
        self.name = ""
        self.closed, self.gone = threading.Event(), threading.Event()
        self.whole = self.lost = False
        self._pipe, self._sink = os.pipe()
        self._rest = b""
        self._orders: queue.Queue[Mapping[str, Any] | int | None] = queue.Queue()
        threading.Thread(target=self._send, daemon=True).start()

    # What a worker's link can do, see `workers`

    def fileno(self) -> int:
        return self._pipe

    def lines(self) -> list[dict[str, Any]] | None:
        raw = os.read(self._pipe, 1 << 20)
        if not raw:
            return None
        *whole, self._rest = (self._rest + raw).split(b"\n")
        return [json.loads(line) for line in whole if line]

    def say(self, message: Mapping[str, Any]) -> None:
        self._orders.put({**message, "id": uuid.uuid4().hex})  # it may be sent twice

    def signal(self, number: int) -> None:
        self._orders.put(number)

    def deliver(self, order: Mapping[str, Any] | int) -> None:
        """Send a message or a signal. Raises LostError, and PlaceError where nobody is there to hear it."""
        raise NotImplementedError

    def copy(self) -> bool:
        """Bring what there is of the run here, metrics.json last; whether all of it came. Raises LostError."""
        raise NotImplementedError

    def end(self) -> None:
        self.say({"end": True})

    def wait(self, seconds: float) -> None:
        if not self.gone.wait(max(seconds, 0.1)):
            self.signal(9)
            self.gone.wait(5.0)

    def leave(self) -> None:
        """Hear no more of it; it goes on."""
        self.closed.set()

    # For the threads

    def _send(self) -> None:
        while (order := self._orders.get()) is not None:
            while not self.closed.is_set() and not self.gone.is_set():
                try:
                    self.deliver(order)
                    break
                except PlaceError:
                    break
                except LostError:
                    time.sleep(PAUSE)

    def heard(self, message: dict[str, Any]) -> None:
        """Copy what a message is about, then pass it on with the run's path here; an end only with all of the run."""
        ours = Path(message.get("run") or self.name).name == self.name
        while not self.copy() and message["event"] == "ended" and ours and not self.closed.is_set():
            self.note(f"{self.name} cannot be written here; tried again, nothing of it is removed there")
            time.sleep(WAIT)
        if message.get("run") and self.run is not None and ours:
            message["run"] = str(self.run.path)
        if message["event"] == "ended" and ours:
            self.run = None  # whoever hears this may remove what is there
        os.write(self._sink, json.dumps(message).encode() + b"\n")

    def drain(self) -> None:
        """Wait until the worker is gone, whatever it says."""
        while self.lines() is not None:
            continue
        os.close(self._pipe)

    def over(self) -> None:
        """The worker is gone, or left alone."""
        self.gone.set()
        self._orders.put(None)
        os.close(self._sink)


class Host(Protocol):
    """A place elsewhere, connected. A job is a spool there, known by its name."""

    @property
    def place(self) -> Place:
        """As a person describes it."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def lasts(self) -> bool:
        """Whether it goes on when this command has ended."""

    def room(self) -> int:
        """How many more workers would begin at once, as far as is known."""

    def prepare(self) -> None:
        """Bring dlx itself, unless it is there."""

    def send(self, goods: Sequence[parcel.Goods], job: str) -> dict[str, str]:
        """Bring files that are not there yet for a job; where each path lies there."""

    def runs(self, job: str) -> str:
        """The runs folder of a job there."""

    def create(self, job: str, wait: Callable[[], bool]) -> None:
        """Make a job; its worker is told before it begins. LostError where there is no room for it, and `wait`, asked
        every second, says that nobody waits for it any longer."""

    def tell(self, job: str, message: Mapping[str, Any]) -> None:
        """Say something to the worker of a job. Raises LostError without a connection."""

    def push(self, job: str, run: Run) -> None:
        """Bring what there is of a run to a job."""

    def start(self, job: str) -> None:
        """Begin the worker of a job, also once more."""

    def line(self, job: str, note: Note, offset: int = 0) -> Line:
        """The line to the worker of a job."""

    def there(self, job: str) -> bool:
        """Whether a job is known there."""

    def last_words(self, job: str) -> str:
        """What a worker said last of itself."""

    def remove(self, job: str) -> None:
        """Nothing of a job is left there."""

    def close(self) -> None:
        """End the connection."""


@contextlib.contextmanager
def undone(host: Host, job: str) -> Iterator[None]:
    """Within it a job that does not come about leaves nothing."""
    try:
        yield
    except BaseException:
        host.remove(job)
        raise


def new_job(host: Host, name: str, told: Mapping[str, Any], wait: Callable[[], bool]) -> str:
    """A job at a place, whose worker is told first what every one has to know; wait: as for `Host.create`."""
    job = f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub('[^A-Za-z0-9_.-]', '_', name)}-{uuid.uuid4().hex[:6]}"
    host.create(job, wait)
    with undone(host, job):
        host.tell(job, {**told, "cores": [], "root": host.runs(job)})
    return job


def packed(host: Host, spec: Spec, run: Run, fingerprint: str, job: str) -> dict[str, Any]:
    """What a worker is told of files: where each path of the spec lies there, also as a run there names it."""
    lies = host.send(parcel.goods(spec, fingerprint), job)
    home = run.path.resolve()
    there = Path(host.runs(job)) / run.name
    lies |= {os.path.normpath(there / os.path.relpath(path, home)): target for path, target in lies.items()}
    said = resolved(spec)
    if spec.imports:
        said["imports"] = [lies[str(path)] for path in spec.imports]
    return {"spec": said, "files": lies, "home": str(home), "data": fingerprint}


def mark(run: Run, host: Host, job: str) -> None:
    """Keep in a run where it trains: words alone, whose meaning is this user's."""
    (run.path / "failure.json").unlink(missing_ok=True)  # of a stop from which it continues there
    own = _own_jobs()
    with files.disk(own):
        files.make_private(own.parent)
        with own.open("a", encoding="utf-8") as stream:
            stream.write(f"{job}\n")
    said = {"on": host.place.word, "job": job, **({"hosts": host.place.hosts} if host.place.hosts > 1 else {})}
    run.write(AWAY, json.dumps(said) + "\n")


def _own_jobs() -> Path:
    """The jobs that this user has sent: a run may be a stranger's, and what it names is not asked then."""
    if os.environ.get("DLX_CACHE"):
        return Path(os.environ["DLX_CACHE"]).expanduser() / "jobs"
    import platformdirs

    return Path(platformdirs.user_state_dir("dlx", appauthor=False)) / "jobs"


def where(run: Run) -> tuple[str, str, int] | None:
    """(the place as `--on` names it, the job, the hosts) where a run trains; None for one that trains here.

    Raises RunError for a file that names neither: it may be a stranger's.
    """
    if not (run.path / AWAY).is_file():
        return None
    try:
        record = json.loads(run.text(AWAY))
        word, job, hosts = record["on"], record["job"], int(record.get("hosts", 1))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RunError(f"{AWAY} names no place", where=str(run.path), hint="--force continues here") from error
    if not isinstance(word, str) or not isinstance(job, str) or not re.fullmatch(r"\d{8}-\d{6}-[\w.-]+", job):
        raise RunError(f"{AWAY} names no job", where=str(run.path), hint="--force continues here")
    own = _own_jobs()
    if not own.is_file() or job not in own.read_text(encoding="utf-8").split():
        message = "was sent to another place by somebody else, or from another machine"
        raise RunError(message, where=str(run.path), hint="--force continues here, from what has come of it")
    return word, job, min(max(hosts, 1), MOST_HOSTS)
