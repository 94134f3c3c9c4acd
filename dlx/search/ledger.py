"""What a sweep has issued: one small file beside the runs, to which a line is added before a trial begins.

    runs/.sweeps/NAME.jsonl     {"format": 2, "space": digest}, then a trial a line: {"values", "key", "parents"}

A last line that a kill has cut off counts as not written. Earlier versions wrote NAME.json, one document, whole for
each trial; it is read, and gives way at the next trial. Standard library only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, RunError
from dlx.system import files, locks
from dlx.system.json_text import DECODER

FOLDER = ".sweeps"
FORMAT = 2
MOST = 256 * 2**20  # bytes


@dataclass(frozen=True)
class Issued:
    """One trial: what it chose of each dimension, in words, and what tells its experiment from others.

    spec: of a trial that no choice of values describes, the changed sections. parents: the trials that it comes from.
    """

    number: int
    values: Mapping[str, Any]
    key: str
    parents: tuple[int, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """The trials that a sweep has issued, in their order, numbered from 1."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.path = root / FOLDER / f"{name}.jsonl"
        self._earlier = self.path.with_suffix(".json")
        self._bytes = 0  # of what is whole in the file; 0: it has to be written anew
        self.space, self.issued = "", list[Issued]()
        self._read()

    def _read(self) -> None:
        place = self._earlier if self._earlier.is_file() and not self.path.is_file() else self.path
        try:
            raw = files.contents(place.parent, place.name, MOST)
            whole = raw if place is self._earlier else raw[: raw.rfind(b"\n") + 1]
            if place is self._earlier:
                head = DECODER.decode(whole.decode())
                rows = head["issued"]
            else:
                head, *rows = map(DECODER.decode, whole.decode().splitlines())
            if head["format"] > FORMAT:
                raise ValueError(f"format {head['format']}; this dlx reads up to {FORMAT}")
            self.space, self.issued = str(head["space"]), [_issued(number, row) for number, row in enumerate(rows, 1)]
            self._bytes = len(whole) if len(whole) == len(raw) and place is self.path else 0
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            hint = "remove it: it is made again from the runs"
            raise RunError(f"cannot be read ({error})", where=str(place), hint=hint) from error

    def refresh(self) -> bool:
        """Read the file again; whether it holds other trials than before."""
        before = [one.key for one in self.issued]
        self.issued, self._bytes = [], 0
        self._read()
        return [one.key for one in self.issued] != before

    def issue(
        self, values: Mapping[str, Any], key: str, parents: tuple[int, ...] = (), spec: Mapping[str, Any] | None = None
    ) -> Issued:
        """The next trial, written before it is returned. Raises DiskError."""
        self.issued.append(Issued(len(self.issued) + 1, dict(values), key, parents, dict(spec or {})))
        if self._bytes:
            self._add(_line(self.issued[-1]))
        else:
            self.write()
        return self.issued[-1]

    def _add(self, line: str) -> None:
        """Add a line to the file. Only who holds the ledger does."""
        with files.disk(self.path), self.path.open("r+b") as stream:
            stream.seek(self._bytes)
            stream.write(line.encode())
            self._bytes += len(line.encode())

    def write(self) -> None:
        """Write the file whole, or not at all."""
        head = json.dumps({"format": FORMAT, "space": self.space}) + "\n"
        text = head + "".join(map(_line, self.issued))
        with files.disk(self.path):
            files.make_folder(self.path.parent)
            with files.replacing(self.path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            self._earlier.unlink(missing_ok=True)
        self._bytes = len(text.encode())

    @contextmanager
    def held(self) -> Iterator[None]:
        """This process decides alone within the block. Raises DlxError where another one does."""
        with files.disk(self.path):
            files.make_folder(self.path.parent)
            lock = locks.Lock(self.path.with_suffix(".lock"))
            free = lock.take()
        if not free:
            hint = "dlx sweep SPEC --status shows how far it is; its trials end with it"
            raise DlxError(f"the sweep {self.name} is running in another process", where=str(self.path), hint=hint)
        try:
            yield
        finally:
            lock.release()


def _line(one: Issued) -> str:
    row = {"values": one.values, "key": one.key, "parents": one.parents, "spec": one.spec}
    kept = {key: value for key, value in row.items() if value or key in ("values", "key")}
    return json.dumps(kept, ensure_ascii=False) + "\n"


def _issued(number: int, row: Mapping[str, Any]) -> Issued:
    """A trial of a line. Raises KeyError, TypeError or ValueError where it is none."""
    parents = tuple(map(int, row.get("parents", ())))
    return Issued(number, dict(row["values"]), str(row["key"]), parents, dict(row.get("spec", {})))


def recovered(records: Sequence[Mapping[str, Any]]) -> list[Issued]:
    """What was issued, from what run.json keeps of trials: for a file that is gone."""
    issued: dict[int, Issued] = {}
    for record in records:
        number, values, spec = record.get("number"), record.get("values"), record.get("spec") or {}
        if isinstance(number, int) and isinstance(values, dict) and isinstance(spec, dict):
            parents = record.get("parents")
            numbers = tuple(n for n in parents if isinstance(n, int)) if isinstance(parents, list) else ()
            issued.setdefault(number, Issued(number, values, "", numbers, spec))
    return [dataclasses.replace(issued[n], number=place) for place, n in enumerate(sorted(issued), 1)]


def digest(text: str) -> str:
    """A short name for a long text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
