"""A place that is reached by commands: what is there, what is sent, how a worker starts, lives and ends there."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import LostError, PlaceError
from dlx.parts.places import Place
from dlx.runs.run import Run
from dlx.search.places import parcel, slurm, spool
from dlx.search.places.followed import Followed
from dlx.search.places.host import STAYS, Line, Note
from dlx.search.places.shell import Shell, reached
from dlx.system.terminal import doing

# Run by the Python there: its version, which modules it lacks, and which of some paths are there.
PROBE = """
import importlib.util, json, os, shutil, sys
needed, backends, paths = json.loads(sys.argv[1])
there = lambda name: importlib.util.find_spec(name) is not None
print(json.dumps({"version": sys.version_info[:2], "lacks": [name for name in needed if not there(name)],
                  "backends": [name for name in backends if there(name)],
                  "paths": [path for path in paths if os.path.exists(path)], "rsync": shutil.which("rsync")}))
"""
ARRIVE = 'if [ -e "$2" ]; then rm -rf -- "$1"; else mv -- "$1" "$2"; fi'
START = 'cd "$1" && rm -f up && shift && (setsid nohup "$@" >>log 2>&1 </dev/null &)'


@dataclass
class Site:
    """A place with a connection, see `host.Host`. folder, python: as they are there, absolute; code: where dlx lies."""

    place: Place
    shell: Shell
    folder: str
    python: str
    code: str
    lasts = True

    @property
    def name(self) -> str:
        return self.place.name

    def at(self, job: str) -> str:
        """The spool of a job."""
        return f"{self.folder}/jobs/{job}"

    def runs(self, job: str) -> str:
        return f"{self.at(job)}/runs"

    def ask(self, paths: Sequence[str]) -> dict[str, Any]:
        """What the Python there has, and which paths are there."""
        asked = json.dumps([parcel.NEEDED, ["tensorflow", "jax"], list(paths)])
        answer: dict[str, Any] = json.loads(self.shell.run([self.python, "-c", PROBE, asked]))
        return answer

    def there(self, job: str) -> bool:
        return bool(self.ask([self.at(job)])["paths"])

    def send(self, goods: Sequence[parcel.Goods], job: str) -> dict[str, str]:
        files = {one.said: self.place.data[one.said] for one in goods if one.said in self.place.data}
        left = [one for one in goods if one.said not in files]
        targets = {one.path: f"{self.folder}/{one.below}/{one.name}" for one in left}
        there = set(self.ask(list(targets.values()))["paths"]) if targets else set()
        for one in left:
            target = targets[one.path]
            if one.said:
                files[one.said] = target
            if target not in there or (not one.said and self._differs(one, target)):
                with doing(f"sending {one.name} to {self.name}"):
                    if target in there:  # a set of the data store that is another one here
                        self.shell.run(["rm", "-rf", "--", target])
                    self._bring(one.path, target)
        return files

    def _differs(self, one: parcel.Goods, target: str) -> bool:
        """Whether a set of the data store is another one there."""
        name = "info.json"
        own = (one.path / name).read_text(encoding="utf-8") if (one.path / name).is_file() else ""
        said = self.shell.run(["sh", "-c", 'cat "$1" 2>/dev/null || true', "sh", f"{target}/{name}"])
        return bool(own) and _fingerprint(own) != _fingerprint(said)

    def _bring(self, path: Path, target: str) -> None:
        """A file or folder, whole or not at all."""
        part = f"{target}.part-{uuid.uuid4().hex[:8]}"  # two may send the same
        self.shell.run(["mkdir", "-p", part if path.is_dir() else os.path.dirname(part)])
        self.shell.push(path, part)
        self.shell.run(["sh", "-c", ARRIVE, "sh", part, target])

    def prepare(self) -> None:
        if self.code not in self.ask([self.code])["paths"]:
            with doing(f"sending dlx to {self.name}"):
                part = f"{self.code}.part-{uuid.uuid4().hex[:8]}"
                self.shell.run(["mkdir", "-p", f"{part}/dlx"])
                self.shell.push(parcel.PACKAGE, f"{part}/dlx", "--exclude=__pycache__")
                self.shell.run(["sh", "-c", ARRIVE, "sh", part, self.code])

    # A job

    def create(self, job: str, wait: Callable[[], bool]) -> None:
        self.shell.run(["sh", "-c", f'umask 077; mkdir -p "$1/runs" && : > "$1/{spool.IN}"', "sh", self.at(job)])

    def tell(self, job: str, message: Mapping[str, Any]) -> None:
        self.shell.run(["sh", "-c", f'cat >> "$1/{spool.IN}"', "sh", self.at(job)], spool.written(message))

    def push(self, job: str, run: Run) -> None:
        self.shell.push(run.path, f"{self.runs(job)}/{run.name}", *(f"--exclude=/{name}" for name in STAYS))

    def start(self, job: str) -> None:
        """Begin the worker of a job; it outlives the connection."""
        folder = self.at(job)
        allowed = {"DLX_ALLOW_CODE": "1"} if os.environ.get("DLX_ALLOW_CODE") else {}
        named = {"PYTHONPATH": self.code, "DLX_DATA": f"{self.folder}/data", **allowed, **self.place.env}
        words = ["env", *(f"{key}={value}" for key, value in named.items())]
        words += [self.python, "-P", "-m", "dlx.search.places.worker", folder]
        if self.place.kind == "slurm":
            made = slurm.script(self.place, words)
            self.shell.run(["sh", "-c", f'rm -f "$1/{spool.UP}"; cat > "$1/{slurm.SCRIPT}"', "sh", folder], made)
            number = self.shell.run(slurm.submission(folder))
            self.shell.run(["sh", "-c", f'printf %s "$2" > "$1/{slurm.JOB}"', "sh", folder, number.strip()])
        else:
            self.shell.run(["sh", "-c", START, "sh", folder, *words])

    def line(self, job: str, note: Note, offset: int = 0) -> Line:
        return Followed(self, job, note, offset)

    def follower(self, job: str, offset: int) -> list[str]:
        """The command that reads what a worker says."""
        path = f"PYTHONPATH={self.code}"
        return ["env", path, self.python, "-P", "-m", "dlx.search.places.spool", self.at(job), str(offset)]

    def signal(self, job: str, number: int) -> None:
        """Pass a signal to a worker that lives."""
        if self.place.kind == "slurm":
            self.shell.run(["sh", "-c", slurm.SIGNAL, "sh", self.at(job), str(number)])
        else:
            self.shell.run([self.python, "-c", _SIGNAL, f"{self.at(job)}/{spool.LOCK}", str(number)])

    def waits(self, job: str) -> bool:
        """Whether a worker that does not live yet will, or will again: its job is in the queue."""
        if self.place.kind != "slurm":
            return False
        return bool(self.shell.run(["sh", "-c", slurm.WAITS, "sh", self.at(job)]).strip())

    def last_words(self, job: str) -> str:
        with contextlib.suppress(LostError, PlaceError):
            said = self.shell.run(["sh", "-c", f'tail -n 3 "$1/{spool.LOG}" 2>/dev/null || true', "sh", self.at(job)])
            return " ".join(said.split())[-300:]
        return ""

    def remove(self, job: str) -> None:
        with contextlib.suppress(LostError, PlaceError):
            if self.place.kind == "slurm":
                self.shell.run(["sh", "-c", slurm.CANCEL, "sh", self.at(job)])
            self.shell.run(["rm", "-rf", "--", self.at(job)])

    def room(self) -> int:
        return self.place.jobs

    def close(self) -> None:
        self.shell.close()


# Only to the worker of this very spool: another process may have its number by now.
_SIGNAL = """
import json, os, sys
pid = json.load(open(sys.argv[1]))["pid"]
words = f"/proc/{pid}/cmdline"
if not os.path.exists("/proc/self/cmdline") or os.path.dirname(sys.argv[1]) in open(words).read():
    os.kill(pid, int(sys.argv[2]))
"""


def _fingerprint(text: str) -> Any:
    try:
        return json.loads(text).get("fingerprint")
    except (ValueError, AttributeError):
        return None


def connect(place: Place) -> Site:
    """A connection to a place that has what a training needs. Raises PlaceError with all that it lacks."""
    shell = Shell(place.host)
    home = reached(shell)
    folder = f"{home}/{place.folder[2:]}" if place.folder.startswith("~/") else place.folder
    folder = folder if os.path.isabs(folder) else f"{home}/{folder}"
    folder = shell.run(["sh", "-c", 'mkdir -p "$1" && cd "$1" && pwd -P', "sh", folder]).strip()
    own = f"{folder}/env/bin/python"
    python = place.python or shell.run(["sh", "-c", '[ -x "$1" ] && echo "$1" || echo python3', "sh", own]).strip()
    if not place.host and not place.python and python == "python3":
        python = sys.executable
    site = Site(place, shell, folder, python, f"{folder}/dlx/{parcel.code_digest()}")
    try:
        found = site.ask([])
    except PlaceError as error:
        hint = "python: in dlx.places.yaml names the Python there that has what dlx needs"
        raise PlaceError(f"has no {python} that works", where=site.name, hint=hint) from error
    lacks = [*found["lacks"], *([] if found["backends"] else ["tensorflow"])]
    if tuple(found["version"]) < (3, 11):
        version = ".".join(map(str, found["version"]))
        raise PlaceError(f"{python} is Python {version}, expected 3.11 or later", where=site.name, hint=_prepare(site))
    if lacks:
        raise PlaceError(f"{python} there lacks {', '.join(lacks)}", where=site.name, hint=_prepare(site))
    if not found["rsync"]:
        raise PlaceError("the program rsync is not installed there", where=site.name)
    return site


def _prepare(site: Site) -> str:
    """What to type so that a place has what dlx needs."""
    env = f"{site.folder}/env"
    return f"make one there: python3 -m venv {env} && {env}/bin/pip install DLX, where DLX is its wheel or folder"
