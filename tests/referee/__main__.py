"""Every figure of dlx against a second implementation: python tests/referee --full.

Draws data sets and specs, trains them, and judges each figure, prediction, row of the history and saved model.
Without --full a few are drawn, as in the tests.
"""

from __future__ import annotations

import argparse
import sys
import time

FEW, ALL = 20, 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help=f"{ALL:,} data sets on each backend that is installed")
    parser.add_argument("--backend", choices=["auto", "tensorflow", "jax"], default="auto")
    parser.add_argument("--count", type=int, help="so many data sets")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    from dlx.system import backend

    backend.want(given.backend)
    from rounds import rounds

    began = time.monotonic()
    record = rounds(given.count or (ALL if given.full else FEW), given.seed)
    name = backend.load().backend
    refused = sum(record.refused.values())
    print(
        f"{name}: {record.judged} data sets, {len(record.wrong)} disagreements, {refused} refused, {time.monotonic() - began:.0f} s"
    )
    for reason, times in record.refused.most_common():
        print(f"  {times:5}  {reason}")
    for line in record.wrong:
        print(f"WRONG {line}")
    return bool(record.wrong)


if __name__ == "__main__":
    sys.exit(main())
