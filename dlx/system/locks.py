"""Who writes to a run: a lock, and what is known of its owner. Standard library and filelock."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlx.system import files

BEAT_SECONDS = 10.0
MAX_BYTES = 65536


class Lock:
    """The lock of a run, from when it is taken until it is released or the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self.path, self._beaten = path, time.monotonic()
        self._file: Any = FileLock(path, is_singleton=False, thread_local=False)  # a forked child loses it

    def take(self) -> bool:
        """Take it and say who has it; False when another has it. Raises OSError."""
        from filelock import Timeout

        deadline = time.monotonic() + 1.0  # whoever looks at a run's status holds its lock for a moment
        while not self._file.is_locked:
            try:
                self._file.acquire(blocking=False)
            except Timeout:
                if time.monotonic() > deadline and not self._abandoned():
                    return False
                time.sleep(0.05)
        with self.path.open("r+", encoding="utf-8") as stream:
            stream.truncate()
            stream.write(json.dumps(owner()) + "\n")
        return True

    def _abandoned(self) -> bool:
        """Remove what a process that is gone left on a disk that knows no locks: there the file alone is the lock."""
        with contextlib.suppress(OSError), files.opened(self.path.parent, self.path.name) as descriptor:
            if _taken(descriptor, self.path) is None and state(self.path.parent, self.path.name)[0] == "free":
                self.path.unlink()
                return True
        return False

    def beat(self) -> None:
        """Let other hosts see that the holder lives, by the time of the file; every ten seconds is enough."""
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._beaten = time.monotonic()
            os.utime(self.path)

    def release(self) -> None:
        self._file.release()


def owner() -> dict[str, Any]:
    """What tells this process from every other: host, boot, process number and when it began."""
    return {
        "host": platform.node(),
        "boot_id": _boot(),
        "pid": os.getpid(),
        "pid_started": _began(os.getpid()),
        "cwd": os.getcwd(),
    }


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _began(pid: int) -> int | None:
    """When a process began, in clock ticks since the boot; None where there is none, or it is unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    return None


def state(folder: Path, name: str) -> tuple[str, float]:
    """("held" | "free" | "unknown", seconds since its owner was last seen) of the lock `name` in `folder`.

    Unknown is the lock of another host, which may hold it without this one seeing it.
    """
    try:
        with files.opened(folder, name) as descriptor:
            seen = max(0.0, time.time() - os.fstat(descriptor).st_mtime)
            raw = os.read(descriptor, MAX_BYTES)
            taken = _taken(descriptor, folder / name)
    except OSError:
        return "free", 0.0
    if taken:
        return "held", seen
    owner: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        owner = json.loads(raw)
    if not isinstance(owner, dict):
        return "free", seen
    here = owner.get("boot_id") == _boot() != ""  # a container has another name each time, on one kernel
    if not here and owner.get("host") not in (None, "", platform.node()):
        return "unknown", seen
    return ("held" if taken is None and _lives(owner) else "free"), seen


def _taken(descriptor: int, path: Path) -> bool | None:
    """Whether somebody holds the lock on an open file; None where the disk knows no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        from filelock import FileLock, Timeout

        try:
            FileLock(path, is_singleton=False).acquire(blocking=False).lock.release()
        except Timeout:
            return True
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # type: ignore[attr-defined,unused-ignore]
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _lives(owner: Mapping[str, Any]) -> bool:
    """Whether the process that a lock names still runs: not another one that has got its number since."""
    pid = owner.get("pid")
    same = owner.get("boot_id") == _boot() and isinstance(pid, int)
    return same and owner.get("pid_started") is not None and _began(int(str(pid))) == owner["pid_started"]
