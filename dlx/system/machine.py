"""What the machine has: cores, memory, processor."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
from collections.abc import Iterator
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """The processor cores that this process may use."""
    import psutil

    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return len(process.cpu_affinity() or ()) or os.cpu_count() or 1
    return psutil.cpu_count() or 1


def memory() -> int | None:
    """The bytes of memory that there are, or that a container may use; None where that is unknown."""
    import psutil

    sizes = []
    with contextlib.suppress(OSError, NotImplementedError):
        sizes.append(int(psutil.virtual_memory().total))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no bound
        sizes.append(int((CGROUP / "memory.max").read_text()))
    return min(sizes, default=None)


def free_memory() -> int | None:
    """The bytes of memory that are not in use, neither by this process; None where that is unknown."""
    import psutil

    sizes = []
    with contextlib.suppress(OSError, NotImplementedError):
        sizes.append(int(psutil.virtual_memory().available))
    with contextlib.suppress(OSError, ValueError):
        lines = (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))
        used = int((CGROUP / "memory.current").read_text()) - cached  # pages of files make room
        sizes.append(int((CGROUP / "memory.max").read_text()) - used)
    return min(sizes, default=None)


def processor() -> str:
    """The name of the processor; empty where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def bfloat16() -> str:
    """Whether precision: mixed_bfloat16 is worth a try on this processor, in words."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return "unknown; try precision: mixed_bfloat16"
    if "avx512_bf16" in flags or "amx_bf16" in flags:
        return "this processor computes in it: precision: mixed_bfloat16 is faster"
    return "not in this processor: precision: float32 is faster"


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection within: many objects are made at once, and none of them is garbage."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
