"""The specs that come with dlx: those of configs/, in a checkout beside the package, in a wheel within it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path | None:
    """Where they lie; None where somebody has left them out."""
    places = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
    return next((place for place in places if (place / "digits.yaml").is_file()), None)


def names() -> list[str]:
    """What `dlx init` may be given."""
    home = folder()
    return sorted(path.stem for path in home.glob("[!_]*.yaml")) if home is not None else []
