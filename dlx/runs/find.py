"""Finding runs: the runs folder, and what RUN means on a command line."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, RunError, did_you_mean
from dlx.runs.run import TRASH, Run


def root(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder that runs live in: the one given, else DLX_RUNS, else ./runs."""
    return Path(folder or os.environ.get("DLX_RUNS") or "runs")


def command_line(*words: str, runs_dir: Path | None = None) -> str:
    """A command as a shell takes it; with --runs-dir where `runs_dir` is not the usual one."""
    elsewhere = [] if runs_dir is None or runs_dir == root() else ["--runs-dir", str(runs_dir)]
    return shlex.join([*words, *elsewhere])


def compare_all(folder: Path) -> str:
    """The command that compares every run of a folder, for a shell to expand."""
    return f"{command_line('dlx', 'compare', str(folder))}/*"


def is_run(path: Path) -> bool:
    """Whether a directory claims to be a run; one into which this user may not look counts as one."""
    try:
        return (path / "run.json").is_file()
    except PermissionError:
        return True


def check_outside(path: Path) -> None:
    """Raise DlxError where a place to write to is a run, or in one."""
    target = Path(os.path.realpath(path))
    for folder in (target, *target.parents):
        if is_run(folder):
            message = f"is inside the run {folder.name}, in which nothing but dlx writes"
            raise DlxError(message, where=str(path), hint="-o names a place elsewhere")


def is_folder_of_runs(path: Path) -> bool:
    """Whether a directory is not a run, not even a damaged one, but holds some."""
    own = ("run.json", "spec.yaml", "lock", "history.jsonl", "metrics.json", "failure.json", "log.txt")
    return not any(os.path.lexists(path / name) for name in own) and any(is_run(inner) for inner in below(path))


def natural(path: Path) -> list[Any]:
    """A sort key in which x-2 comes before x-10."""
    return [
        (int(word), "") if word.isascii() and word.isdigit() else (-1, word)
        for word in re.split(r"([0-9]+)", path.name)
    ]


def below(folder: Path) -> list[Path]:
    """Every directory in a runs folder, in natural order, also by a link; files and hidden ones are passed over."""
    if not folder.is_dir():
        return []
    try:
        with os.scandir(folder) as entries:
            paths = [e.path for e in entries if e.is_dir() and not e.name.startswith(".")]
    except PermissionError:
        return []
    return sorted(map(Path, paths), key=natural)


def nested(folder: Path) -> list[Path]:
    """The runs in the folders of runs that are in a runs folder, as runs/tutorials is one."""
    return [run for inner in below(folder) if is_folder_of_runs(inner) for run in below(inner) if is_run(run)]


def runs_of(paths: Iterable[Path]) -> list[Path]:
    """The paths with its runs in place of each folder of runs."""
    return [run for path in paths for run in (filter(is_run, below(path)) if is_folder_of_runs(path) else [path])]


def shown_name(path: Path, folder: Path) -> str:
    """What a run is called on a command line: its name; with its folder's before it where another run has the name."""
    inner = path.parent.parent == folder and (folder / path.name).is_dir()
    return f"{path.parent.name}/{path.name}" if inner else path.name


def started(path: Path) -> float:
    """When the run began, by its run.json's place in time; 0 when that is unknown."""
    try:
        return float((Run(path)._json("run.json") or {}).get("started", 0.0))
    except (RunError, TypeError, ValueError):
        return 0.0


def find_all(words: Iterable[str], folder: Path) -> list[Path]:
    """The paths that several RUN mean, each once; files, which a shell's runs/* names too, are passed over.

    Raises RunError for a word that names nothing.
    """
    return list(dict.fromkeys(path for word in words if not os.path.isfile(word) for path in find(word, folder)))


def find(word: str, folder: Path, own: bool = False) -> list[Path]:
    """The paths that RUN means: a directory, a name under the runs folder, a pattern, a spec's name, `latest`, or a
    range of numbers, as digits-2..61.

    What is not in the runs folder is looked for in the folders of runs that are in it, unless only its `own` count.
    Raises RunError with what is there when nothing fits.
    """
    path = Path(word)
    if path.is_file():
        raise RunError("is a file, no run", where=word, hint=_shown(folder))
    if is_run(path) or (path.is_dir() and os.sep in word):
        return [path]
    if (folder / word).is_dir():
        return [folder / word]
    if span := re.fullmatch(r"(.+-)(\d{1,9})\.\.(\d{1,9})", word):
        return _in_range(word, span[1], range(int(span[2]), int(span[3]) + 1), folder)
    if any(mark in word for mark in "*?["):
        import glob

        patterns = [word, str(folder / word)] if os.sep in word else [str(folder / word)]
        matches = next(filter(None, map(glob.glob, patterns)), [])
        hits = sorted((Path(hit) for hit in matches if Path(hit).is_dir()), key=natural)
        if not hits and os.sep not in word and not own:
            hits = [run for run in nested(folder) if fnmatch.fnmatchcase(run.name, word)]
        if hits:
            return hits
        raise RunError(f"no run matches {word!r}", hint=_shown(folder))
    known = [run for run in below(folder) if is_run(run)]
    if word == "latest" and known:
        return [max(known, key=started)]
    inner = [] if own else nested(folder)
    for runs in (known, inner):
        if exact := [run for run in runs if run.name == word]:
            return exact[:1]
        if named := [run for run in runs if re.fullmatch(re.escape(word) + r"-\d+", run.name)]:
            return [max(named, key=natural)]
    known += inner
    if path.is_dir():  # last: a folder of data may well have the name of its spec
        return [path]
    if own and (published := [run for run in nested(folder) if run.name == word]):
        message = f"{word!r} is a run of {published[0].parent}; it changes by its directory alone"
        raise RunError(message, hint=str(published[0]))
    if any(gone.name == word for gone in below(folder / TRASH)):
        hint = command_line("dlx", "rm", "--restore", word, runs_dir=folder)
        raise RunError(f"{word!r} is in the trash", hint=hint)
    names = [run.name for run in known] + [stem(run.name) for run in known]
    seen = _shown(folder) if known else f"there are {none_yet(folder)}"
    raise RunError(f"unknown run {word!r}{did_you_mean(word, names)}", hint=seen)


def _in_range(word: str, head: str, numbers: range, folder: Path) -> list[Path]:
    """The runs whose names have such a head and one of the numbers; raises RunError where there are none."""
    hits = [run for run in below(folder) if run.name.startswith(head) and _number(run, head) in numbers]
    if not hits:
        backwards = "; the larger number stands last" if numbers.start >= numbers.stop else ""
        raise RunError(f"no run is in {word!r}{backwards}", hint=_shown(folder))
    return hits


def _number(run: Path, head: str) -> int:
    """The number of a run after the beginning of its name; -1 where there is none."""
    rest = run.name.removeprefix(head)
    return int(rest) if rest.isascii() and rest.isdigit() and len(rest) < 10 else -1


def ranges(names: Iterable[str]) -> list[str]:
    """Names of runs in few words that `find` understands: digits-2..61 for sixty of them."""
    heads: dict[str, list[int]] = {}
    for name in names:
        match = re.fullmatch(r"(.+-)(\d+)", name)
        heads.setdefault(match[1] if match else name, []).extend([int(match[2])] if match else [])
    words: list[str] = []
    for head, numbers in heads.items():
        words += [f"{head}{part}" for part in numbered(sorted(set(numbers)))] if numbers else [head]
    return words


def numbered(numbers: Sequence[int]) -> list[str]:
    """Sorted numbers as a person writes them: 1..3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    written = ([f"{part[0]}..{part[-1]}"] if len(part) > 2 else list(map(str, part)) for part in parts)
    return [word for words in written for word in words]


def with_model(path: Path) -> str:
    """Which other run of a run's name has a trained model, the newest; empty where there is none."""
    trained = [run.name for run in of_name(path) if (run / "model.keras").is_file()]
    return f"{trained[-1]} has one" if trained else ""


def of_name(path: Path) -> list[Path]:
    """The other runs of a run's name: of digits-2 it is digits-1, digits-3, …"""
    return [run for run in below(path.parent) if stem(run.name) == stem(path.name) and run.name != path.name]


def stem(name: str) -> str:
    """The name of a run without its number: digits of digits-2."""
    return re.sub(r"-\d+$", "", name)


def none_yet(folder: Path) -> str:
    """What a folder without runs is, and what to type."""
    return f"no runs in {folder} yet: {command_line('dlx', 'run', 'SPEC', runs_dir=folder)}"


def _shown(folder: Path) -> str:
    return f"`{command_line('dlx', 'list', runs_dir=folder)}` shows the runs in {folder}"


def one(word: str, folder: Path, own: bool = False) -> Run:
    """The one run that RUN means, opened."""
    paths = find(word, folder, own)
    if len(paths) > 1:
        raise RunError(f"{word!r} means {len(paths)} runs, expected one", hint=", ".join(p.name for p in paths[:5]))
    return Run.open(paths[0])
