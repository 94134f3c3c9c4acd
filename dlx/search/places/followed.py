"""The line to a worker that commands reach. It survives lost connections."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from dlx.errors import LostError, PlaceError
from dlx.search.places import mirror, spool
from dlx.search.places.host import OURS, Line, Note
from dlx.search.places.shell import Shell

SECONDS = 3.0  # between two copies while nothing is heard
MOST_WAIT = 30.0  # seconds between two tries to connect again


class Reached(Protocol):
    """What a line asks of its place, see `site.Site`."""

    shell: Shell

    @property
    def name(self) -> str: ...
    def ask(self, paths: Sequence[str]) -> dict[str, Any]: ...
    def runs(self, job: str) -> str: ...
    def follower(self, job: str, offset: int) -> list[str]: ...
    def tell(self, job: str, message: Mapping[str, Any]) -> None: ...
    def signal(self, job: str, number: int) -> None: ...
    def waits(self, job: str) -> bool: ...


class Followed(Line):
    """See `host.Line`."""

    def __init__(self, site: Reached, job: str, note: Note, offset: int = 0) -> None:
        super().__init__(job, note, offset)
        self._site, self._copied, self._lost = site, 0.0, False
        threading.Thread(target=self._hear, daemon=True).start()

    def signal(self, number: int) -> None:
        """Pass a signal on; SIGINT as SIGTERM, for what a shell begins in the background ignores it."""
        super().signal(signal.SIGTERM if number == signal.SIGINT else number)

    def deliver(self, order: Mapping[str, Any] | int) -> None:
        if isinstance(order, int):
            self._site.signal(self.job, order)
        else:
            self._site.tell(self.job, order)

    def _hear(self) -> None:
        tries = 0
        try:
            while not self.closed.is_set() and (ended := self._followed()) != "gone":
                if ended == "waits":
                    time.sleep(5.0)
                    continue
                tries = 0 if not self._lost else tries + 1
                if self.closed.is_set():
                    break
                if not self._lost:
                    self.note(f"the connection to {self._site.name} is lost; the training goes on there")
                self._lost = True
                time.sleep(min(2.0**tries, MOST_WAIT))
        finally:
            self.over()

    def _followed(self) -> Literal["gone", "waits", "lost"]:
        """Follow until the worker is gone, or the connection is lost; "waits": the worker is still in a queue."""
        process = self._site.shell.stream(self._site.follower(self.job, self.offset))
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if self.closed.is_set():
                    return "gone"
                if self._lost:
                    self._lost = False
                    self.note(f"connected to {self._site.name} again")
                if line.startswith(b"+"):
                    if (message := spool.read(line[1:])) is not None:
                        self.heard(message)
                    self.offset += len(line) - 1
                elif line.startswith(b"!"):
                    if self._site.waits(self.job):
                        return "waits"
                    self.whole = self.copy()
                    return "gone"
                elif time.monotonic() - self._copied > SECONDS:
                    self.copy()
            return "lost"
        except LostError:
            return "lost"
        finally:
            process.kill()
            process.wait()

    def copy(self) -> bool:
        """Bring what there is of the run here, first all else, then metrics.json, which says that all is there.

        Nothing is removed here because it is missing there, but checkpoints that newer ones have replaced.
        """
        if self.run is None or self.closed.is_set():
            return True
        there = f"{self._site.runs(self.job)}/{self.name}"
        but = [f"--exclude=/{name}" for name in (*OURS, mirror.LAST)]
        path, whole = self.run.path.resolve(), True
        try:
            self._site.shell.pull(there, path, "--exclude=*.tmp*", *but)
            self._site.shell.pull(there, path, f"--include=/{mirror.LAST}", "--exclude=*")
            mirror.thin(path)
        except (PlaceError, OSError):
            whole = not self._site.ask([there])["paths"]  # it has not begun
        self._copied = time.monotonic()
        return whole
