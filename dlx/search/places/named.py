"""What `--on` names: an address, or a place of dlx.places.yaml."""

from __future__ import annotations

import re
from pathlib import Path

from dlx.errors import PlaceError, did_you_mean
from dlx.parts.places import Place, registry
from dlx.parts.registry import Part
from dlx.spec.parse import read_file
from dlx.spec.validate import parts_of

FILE = "dlx.places.yaml"
ADDRESSES = "ssh://HOST, slurm, slurm://PARTITION, or a place of dlx.places.yaml"


def place(word: str) -> Place:
    """The place of a word. Raises PlaceError for one that is none, SpecError with all that is wrong in the file."""
    if match := re.fullmatch(r"ssh://((?:[^/@:]+@)?[^/:]+)(/.*)?", word):
        given = {"host": match[1], **({"folder": match[2]} if match[2] else {})}
        return _made(Part("ssh", given))
    if match := re.fullmatch(r"slurm(?:://([\w.-]+))?", word):
        return _made(Part("slurm", {"partition": match[1]}))
    known = places()
    if word in known:
        return known[word]
    there = f"{FILE} has {', '.join(known)}" if known else f"there is no {FILE} here"
    raise PlaceError(f"unknown place {word!r}{did_you_mean(word, known)}", hint=f"{ADDRESSES}; {there}")


def _made(part: Part) -> Place:
    made: Place = registry.make(part)
    return made


def places(file: Path = Path(FILE)) -> dict[str, Place]:
    """The places of a file, by name; none where there is no file. Raises SpecError with all that is wrong in it."""
    if not file.is_file():
        return {}
    return {name: _made(part) for name, part in parts_of(read_file(file), registry).items()}
