"""What a sweep has issued: one small file beside the runs, written whole before a trial begins.

    runs/.sweeps/NAME.json      {"format": 1, "space": digest, "issued": [{"values": …, "key": …, "parents": …}, …]}

Standard library only.
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
FORMAT = 1
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
        self.path = root / FOLDER / f"{name}.json"
        self.space, self.issued = "", list[Issued]()
        self._read()

    def _read(self) -> None:
        try:
            document = DECODER.decode(files.contents(self.path.parent, self.path.name, MOST).decode())
            if document["format"] > FORMAT:
                raise ValueError(f"format {document['format']}; this dlx reads up to {FORMAT}")
            self.space = str(document["space"])
            self.issued = [
                Issued(
                    number,
                    dict(row["values"]),
                    str(row["key"]),
                    tuple(map(int, row.get("parents", ()))),
                    dict(row.get("spec", {})),
                )
                for number, row in enumerate(document["issued"], 1)
            ]
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            hint = "remove it: it is made again from the runs"
            raise RunError(f"cannot be read ({error})", where=str(self.path), hint=hint) from error

    def refresh(self) -> bool:
        """Read the file again; whether it holds other trials than before."""
        before = [one.key for one in self.issued]
        self.issued = []
        self._read()
        return [one.key for one in self.issued] != before

    def issue(
        self, values: Mapping[str, Any], key: str, parents: tuple[int, ...] = (), spec: Mapping[str, Any] | None = None
    ) -> Issued:
        """The next trial, written before it is returned. Raises DiskError."""
        self.issued.append(Issued(len(self.issued) + 1, dict(values), key, parents, dict(spec or {})))
        self.write()
        return self.issued[-1]

    def write(self) -> None:
        """Write the file whole, or not at all."""
        rows = []
        for one in self.issued:
            row = {"values": one.values, "key": one.key, "parents": one.parents, "spec": one.spec}
            rows.append({key: value for key, value in row.items() if value or key in ("values", "key")})
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        text = f'{{"format": {FORMAT}, "space": {json.dumps(self.space)}, "issued": [\n{lines}\n]}}\n'
        with files.disk(self.path):
            files.make_private(self.path.parent)
            with files.replacing(self.path) as temporary:
                temporary.write_text(text, encoding="utf-8")

    @contextmanager
    def held(self) -> Iterator[None]:
        """This process decides alone within the block. Raises DlxError where another one does."""
        with files.disk(self.path):
            files.make_private(self.path.parent)
            lock = locks.Lock(self.path.with_suffix(".lock"))
            free = lock.take()
        if not free:
            hint = "dlx sweep SPEC --status shows how far it is; its trials end with it"
            raise DlxError(f"the sweep {self.name} is running in another process", where=str(self.path), hint=hint)
        try:
            yield
        finally:
            lock.release()


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
