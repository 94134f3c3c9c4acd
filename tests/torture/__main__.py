"""Everything that may befall a run, as often as it takes to believe that it does no harm: python tests/torture --full.

Without --full each is tried a few times, as in the tests. Prints a line of figures for each, and what went wrong.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

# name: (a few, the full count)
ALL = {
    "kills": (4, 200),
    "commits": (40, 1000),
    "faults": (12, 10_000),
    "fuzz": (60, 2000),
    "starts": (2, 20),
    "damage": (60, 1000),
    "labels": (2, 20),
    "hostile": (12, 10_000),
    "searches": (3, 60),
    "server": (100, 2000),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", choices=[[], *ALL], help=f"some of {', '.join(ALL)}; all where none is named"
    )
    parser.add_argument("--full", action="store_true", help="the full count of each: about an hour and a half")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    code = 0
    for name in given.names or ALL:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as work:
            figures, wrong = importlib.import_module(name).torture(ALL[name][given.full], Path(work), given.seed)
        print(f"{name:8} {figures}  [{time.monotonic() - began:.0f} s]", flush=True)
        for line in wrong:
            print(f"         WRONG {line}", flush=True)
        code = code or bool(wrong)
    return code


if __name__ == "__main__":
    sys.exit(main())
