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


def place(word: str, hosts: int = 1) -> Place:
    """The place of a word, of which so many nodes train one training together.

    Raises PlaceError for a word that is none, or has no use for several; SpecError with all that is wrong in the file.
    """
    found = dataclasses.replace(_named(word), word=word, hosts=hosts)
    if hosts > 1 and found.kind != "ray":
        raise PlaceError("several hosts train together by Ray alone", where=word, hint="--on ray://HOST:PORT, or auto")
    return found


def _named(word: str) -> Place:
    known = places()
    if word in known:
        return known[word]
    if match := re.fullmatch(r"ssh://((?:[^/@:]+@)?[^/:]+)(/.*)?", word):
        given = {"host": match[1], **({"folder": match[2]} if match[2] else {})}
        return _made(Part("ssh", given))
    if match := re.fullmatch(r"slurm(?:://([\w.-]+))?", word):
        return _made(Part("slurm", {"partition": match[1]}))
    if match := re.fullmatch(r"ray(?:://(auto|[\w.-]+:\d+))?", word):
        address = match[1] if match[1] in (None, "auto") else word
        return _made(Part("ray", {"address": address or "local"}))
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


def connect(place: Place) -> Host:
    """A place that has what a training needs. Raises PlaceError with all that it lacks."""
    if place.kind == "ray":
        from dlx.search.places import ray_cluster

        return ray_cluster.join(place)
    from dlx.search.places import site

    return site.connect(place)
