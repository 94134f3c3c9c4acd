"""Who writes to a run: a lock, and what is known of its owner. Standard library and filelock."""

from __future__ import annotations

import contextlib
import errno
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
WITHOUT = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # what a file system answers that knows no locks
_lockable: dict[int, bool] = {}  # whether a device knows locks


def file_lock(path: Path) -> Any:
    """The lock of a file, not taken yet. On a disk that knows no locks the file alone is the lock, which is said once:
    one that a kill has left there is removed by `Lock`, or by hand."""
    import filelock

    kind = filelock.FileLock if _knows_locks(path.parent) else filelock.SoftFileLock
    return kind(path, is_singleton=False, thread_local=False)  # a forked child loses it


def _knows_locks(folder: Path) -> bool:
    near = next((place for place in (folder, *folder.resolve().parents) if place.is_dir()), None)
    device = near.stat().st_dev if near is not None else 0
    if device not in _lockable:
        _lockable[device] = near is None or _can_lock(near)
        if not _lockable[device]:
            from dlx.system import terminal

            words = f"{near} lies on a disk without locks: files stand for them, which a machine that fails may leave"
            terminal.console(error=True).print(terminal.clean(words))
    return _lockable[device]


def _can_lock(folder: Path) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    import tempfile  # every command loads this module, few take a lock

    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:  # one that may not be written into is found out by whoever writes
        return error.errno not in WITHOUT
    return True


class Lock:
    """The lock of a run, from when it is taken until it is released or the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path, self._beaten = path, time.monotonic()
        self._file = file_lock(path)

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
        "user": _user(),
    }


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a number without a name, as in a container
        return ""


def who(folder: Path, name: str = "lock") -> str:
    """Who holds the lock `name` in `folder`, in words."""
    try:
        known = json.loads(files.contents(folder, name, MAX_BYTES))
        process, user, host = f"process {int(known['pid'])}", str(known.get("user") or ""), str(known["host"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    return process + f" of {user}" * bool(user) + f" on {host}" * (host != platform.node())


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
