"""Which versions are here: dlx's own, those of libraries, the commit of a folder. Standard library alone."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from dlx import __version__

_CHECKOUT = Path(__file__).resolve().parents[2]


@functools.cache
def own() -> str:
    """dlx's version; in a checkout with its commit, and whether that was changed: 0.2.0+g1a2b3c4.dirty."""
    found = commit(_CHECKOUT) if (_CHECKOUT / ".git").exists() else None
    return f"{__version__}+g{found['commit'][:7]}{'.dirty' * found['dirty']}" if found else __version__


def of(name: str) -> str:
    """The version of a library by the name that is imported, whichever distribution brings it; "unknown" for one that
    does not say, an empty text where it is not installed."""
    from importlib import metadata, util

    if name not in sys.modules and util.find_spec(name) is None:
        return ""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # scikit-learn's is sklearn; tensorflow-cpu brings tensorflow
        others = metadata.packages_distributions().get(name, [])
    if others:
        return metadata.version(others[0])
    return str(getattr(sys.modules.get(name), "__version__", "unknown"))


def commit(folder: Path) -> dict[str, Any] | None:
    """The commit of a folder, and whether its files were changed; None outside a repository."""
    found = _git(folder, "rev-parse", "HEAD")
    if found is None:
        return None
    return {"commit": found, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def needed_without(*names: str) -> list[str]:
    """What dlx needs, as pip reads it, but for some distributions; extras left out."""
    from importlib import metadata

    required = [text for text in metadata.requires("dlx-runner") or [] if "extra ==" not in text]
    return [text for text in required if re.split(r"[^\w.-]", text)[0] not in names]


if __name__ == "__main__":  # `pip install --no-deps .`, then this for `pip install -r`: dlx on JAX alone
    print("\n".join(needed_without("tensorflow")))
