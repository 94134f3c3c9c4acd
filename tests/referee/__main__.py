"""Every figure of dlx against a second implementation: python tests/referee --full.

Draws data sets and specs, trains them, and judges each figure, prediction, row of the history and saved model.
Without --full a few are drawn, as in the tests.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time

FEW, ALL = 20, 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help=f"{ALL:,} data sets on each backend that is installed")
    parser.add_argument("--backend", choices=["tensorflow", "jax"], help="this backend alone")
    parser.add_argument("--count", type=int, help="so many data sets")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    installed = [name for name in ("tensorflow", "jax") if importlib.util.find_spec(name)]
    count = given.count or (ALL if given.full else FEW)
    backends = [given.backend] if given.backend else installed if given.full else installed[:1]
    if len(backends) > 1:  # a backend is fixed for a process
        words = [[sys.executable, *sys.argv, "--backend", name] for name in backends]
        return max(subprocess.run(each, check=False).returncode for each in words)
    return judged(backends[0], count, given.seed)


def judged(name: str, count: int, seed: int) -> int:
    """Judge so many data sets on a backend; 1 where something disagrees."""
    from rounds import Record, rounds

    from dlx.system import backend

    backend.want(name)
    began = time.monotonic()

    def told(record: Record) -> None:
        if record.judged % 100 == 0:
            seconds = time.monotonic() - began
            print(f"  {record.judged} of {count}, {len(record.wrong)} disagreements, {seconds:.0f} s", flush=True)

    record = rounds(count, seed, told)
    refused, seconds = sum(record.refused.values()), time.monotonic() - began
    print(
        f"{name}: {record.judged} data sets, {len(record.wrong)} disagreements, {refused} refused, {seconds:.0f} s",
        flush=True,
    )
    for reason, times in record.refused.most_common():
        print(f"  {times:5}  {reason}")
    for line in record.wrong:
        print(f"WRONG {line}")
    return int(bool(record.wrong))


if __name__ == "__main__":
    sys.exit(main())
