"""What `--on` names, an address or a place of dlx.places.yaml, and the connection to it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from dlx.errors import PlaceError, did_you_mean
from dlx.parts.places import Place, registry
from dlx.parts.registry import Part
from dlx.search.places.host import Host
from dlx.spec.parse import read_file
from dlx.spec.validate import parts_of

FILE = "dlx.places.yaml"
ADDRESSES = "ssh://HOST, slurm, slurm://PARTITION, ray, ray://auto, ray://HOST:PORT, or a place of dlx.places.yaml"


def place(word: str) -> Place:
    """The place of a word. Raises PlaceError for one that is none, SpecError with all that is wrong in the file."""
    known = places()
    if word in known:
        return dataclasses.replace(known[word], word=word)
    if match := re.fullmatch(r"ssh://((?:[^/@:]+@)?[^/:]+)(/.*)?", word):
        given = {"host": match[1], **({"folder": match[2]} if match[2] else {})}
        return _made(Part("ssh", given), word)
    if match := re.fullmatch(r"slurm(?:://([\w.-]+))?", word):
        return _made(Part("slurm", {"partition": match[1]}), word)
    if match := re.fullmatch(r"ray(?:://(auto|[\w.-]+:\d+))?", word):
        address = match[1] if match[1] in (None, "auto") else word
        return _made(Part("ray", {"address": address or "local"}), word)
    there = f"{FILE} has {', '.join(known)}" if known else f"there is no {FILE} here"
    raise PlaceError(f"unknown place {word!r}{did_you_mean(word, known)}", hint=f"{ADDRESSES}; {there}")


def _made(part: Part, word: str = "") -> Place:
    made: Place = registry.make(part)
    return dataclasses.replace(made, word=word)


def places(file: Path = Path(FILE)) -> dict[str, Place]:
    """The places of a file, by name; none where there is no file. Raises SpecError with all that is wrong in it."""
    if not file.is_file():
        return {}
    return {name: _made(part) for name, part in parts_of(read_file(file), registry).items()}


def connect(place: Place) -> Host:
    """A place that has what a training needs. Raises PlaceError with all that it lacks."""
    if place.kind == "ray":
        from dlx.search.places import ray_cluster

        return ray_cluster.join(place)
    from dlx.search.places import site

    return site.connect(place)
