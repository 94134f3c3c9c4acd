"""Run directories that bit rot, full disks and strangers have been at: list, show and compare tell what is left of them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BATCH = 50
ALARM = 20  # seconds that a command may take
MOST = 16 * 2**20
STATUSES = ("running", "done", "failed", "interrupted", "crashed", "unknown", "damaged")
SPEC = """\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {dense: 8}, output]
batch_size: 64
epochs: 3
"""
TARGETS = (
    "run.json metrics.json history.jsonl failure.json spec.yaml lock note.txt model.keras predictions.npz checkpoints "
    "tensorboard"
).split()
WEIGHTS = (12, 8, 4, 3, 2, 2, 2, 1, 1, 1, 1)
RAW = [
    "[]", "{}", "null", "true", "false", '"x"', '""', "-1", "0", "1.5", '"1.5"', "-0.0", "1e999", "-1e999", "NaN", "Infinity",
    "-Infinity", "1e-400", "1e308", "9" * 30, "9" * 400, "-" + "9" * 4000, "9" * 5000, '"\\u001b[31mred\\u0007"', '"\\ud800"',
    '"\\u0000"', '"a\\nb\\rc\\td"', '"\\u009b2J"', '"\\u202e\\u2028"', "[1, 2, 3]", '{"a": 1}', "[null]", "[{}]", "[[[]]]",
    '{"": {}}', '"' + "x" * 100_000 + '"', "[" * 300 + "]" * 300, "[" * 950 + "]" * 950, '{"a": ' * 950 + "1" + "}" * 950,
    "[" * 100_000 + "]" * 100_000, '{"a": ' * 100_000 + "1" + "}" * 100_000, '"2026-99-99T99"', '{"fingerprint": []}', "1e22",
    '{"a": 1, "a": 2}', '["a", 1, null, NaN]', '"é"', "[[1, 2], [3]]", "2147483648", "true",
]  # fmt: skip
BARE = [  # of a file that is to hold a mapping, or lines of mappings
    b"", b" ", b"\n\n", b"{", b"}", b"{}", b"[]", b"nul", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{} {}", b"{}\n{}\n", b"\x00" * 500,
    b"'a': 1", b'{"a": 1,}', b'{"kind": "interrupted"}', b'{"kind": 5}', b'{"kind": ["failed"], "message": 7}', b"\xc3\x28",
    b'{"kind": "failed", "message": "\\u001b[2J\\u0007 gone"}', b'{"kind": "failed", "message": null}', b'{"pid": 1}',
    b'{"host": "elsewhere", "pid": 1}', b'{"host": 5, "boot_id": [], "pid": "x"}', b"\x1b[31mred\x07\r\n", b"{}" * 50_000,
]  # fmt: skip
KEYS = ["layers.99999999999999999999.dense.units", "layers.²", "layers..", "dataset.", ".", "", "val_loss", "\x1b[31m", "test_is_validation",
        "a\nb", "\ud800", "format", "optimizer", "dataset.csv.path", "tags", "name", "val_accuracy", "x" * 5000, "train_é", "epoch"]  # fmt: skip
NAMES: list[str | bytes] = [
    "naïve-数据-😀", "\x1b[31mred\x07", " spaces  in it ", "x" * 240, b"\xff\xfe\x80", "a\nb", "a\tb\rc", "-x", "latest", "*", "?[a]",
    "%s{0}", "\u202eright", "e\u0301", "run.json", "'\"\\", "\x9b2J", "a|b", "a,b;c", "é" * 110, "#", "~", "$HOME", "=1+1", "\u2028",
]  # fmt: skip


# The good runs, and the harm


def good_runs(work: Path) -> list[Path]:
    """Three runs that ended well, with a note each."""
    for number in range(3):
        (work / f"good{number}.yaml").write_text(f"{SPEC}lr: 0.0{number + 1}\nseed: {number}\n")
    environment = {**os.environ, "DLX_RUNS": str(work / "good"), "COLUMNS": "80"}
    words = [sys.executable, "-m", "dlx", "run", *(f"good{number}.yaml" for number in range(3))]
    subprocess.run(words, cwd=work, env=environment, check=True, capture_output=True)
    runs = sorted((work / "good").iterdir())
    for run in runs:
        (run / "note.txt").write_text("a remark\n")
    return runs


def remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def write(place: Path, content: bytes | bytearray) -> None:
    """Write a file of a run: never through a link, which would harm what it leads to."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(place, flags, 0o600), "wb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(f"{place} is not a regular file")
        stream.write(content)


def with_raw(value: Any, raw: str, chance: random.Random) -> tuple[str, str]:
    """(the address, JSON text) of a mapping in which one value, at any depth, or a further key, is `raw`."""
    token = "@raw@"
    holder, address = value, ""
    while True:
        key = chance.choice([*holder, chance.choice(KEYS)] if isinstance(holder, dict) else range(len(holder)))
        inside = holder.get(key) if isinstance(holder, dict) else holder[key]
        if not (isinstance(inside, (dict, list)) and inside and chance.random() < 0.6):
            break
        holder, address = inside, f"{address}{str(key)[:40]}/"
    holder[key] = token
    text = json.dumps(value)
    if chance.random() < 0.1 and isinstance(holder, dict):
        text = text.replace("{", f"{{{json.dumps(key)}: 1, ", 1)
    return f"{address}{str(key)[:40]}", text.replace(f'"{token}"', raw)


def typed(place: Path, chance: random.Random) -> str:
    """Valid JSON, most often, that is not what dlx wrote there."""
    raw = chance.choice(RAW)
    lines, at, value = [], 0, None
    with contextlib.suppress(ValueError, RecursionError, IndexError):  # it may have been harmed before
        lines = place.read_text().splitlines() if place.suffix == ".jsonl" else [place.read_text()]
        at = chance.randrange(len(lines) or 1)
        value = json.loads(lines[at]) if place.suffix in (".json", ".jsonl") else None
    if not isinstance(value, dict) or chance.random() < 0.12:
        content = chance.choice([*BARE, *(raw.encode() for raw in RAW)])
        write(place, content)
        return f"holds {content[:40]!r} ({len(content):,} bytes)"
    if len(lines) == 1 and value:
        for _ in range(chance.choice([0, 0, 1])):
            value.pop(chance.choice(list(value)))
    line = lines[at]
    address, lines[at] = with_raw(value, raw, chance)
    if place.suffix == ".jsonl":
        lines[at] = chance.choice([lines[at], lines[at], raw, f"{line},{raw}"])
    write(place, ("\n".join(lines) + chance.choice(["\n", ""])).encode("utf-8", "surrogatepass"))
    return f"has {raw[:20]}{f'… ({len(raw):,} characters)' if len(raw) > 20 else ''} at {address!r}"


def damage(run: Path, outside: Path, chance: random.Random) -> str:
    """Harm one place of a run, the directory's own name apart; returns what was done, in words."""
    name = chance.choices(TARGETS, WEIGHTS)[0]
    place = run / name
    if name == "failure.json":
        remove(run / "metrics.json")
        failure = {"kind": chance.choice(["failed", "interrupted"]), "message": "gone", "epoch": 2}
        remove(place)
        write(place, json.dumps(failure).encode())
    if name in ("history.jsonl", "lock", "checkpoints") and chance.random() < 0.5:
        remove(run / "metrics.json")
        name += " of an unfinished run"
    if place.is_symlink():  # of a harm before: nothing is written through it
        place.unlink()
    files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
    file = chance.choice(files) if files else place
    files_only = ("flip", "cut", "empty", "bytes", "json", "remove")
    kind = chance.choices(
        ["flip", "cut", "empty", "remove", "folder", "fifo", "link", "bytes", "json", "socket"],
        [6, 4, 2, 3, 2, 2, 4, 3, 16, 1],
    )[0]
    if kind in ("flip", "cut", "empty", "bytes", "json") and file.is_file() and not file.is_symlink():
        raw = bytearray(file.read_bytes())
        if kind == "flip" and raw:
            for _ in range(chance.choice([1, 1, 1, 3, 30])):
                raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        elif kind == "cut" and raw:
            del raw[chance.randrange(len(raw)) :]
        elif kind == "empty":
            raw.clear()
        elif kind == "bytes":
            raw = bytearray(chance.randbytes(chance.randrange(3000)))
        elif kind == "json":
            return f"{name}: {typed(file, chance)}"
        write(file, raw)
        return f"{name}: {kind}"
    remove(place)
    if kind == "folder":
        place.mkdir()
        if chance.random() < 0.5:
            write(place / "run.json", b"{}")
            kind = "folder with a run.json in it"
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        os.mknod(place, stat.S_IFSOCK | 0o600)
    elif kind == "link":
        to = chance.choice([run / "nowhere", place, outside / place.name, outside / "decoy", Path("..")])
        place.symlink_to(to)
        return f"{name}: a link to {to if to != place else 'itself'}"
    return f"{name}: {'removed' if kind in files_only else kind}"


def renamed(run: Path, number: int, chance: random.Random) -> Path:
    """The run under a name that nobody chose."""
    name = os.fsencode(chance.choice(NAMES)) + f"-{number}".encode()
    target = Path(os.fsdecode(os.path.join(os.fsencode(run.parent), name)))
    run.rename(target)
    return target


# What the files say


class Unreadable(Exception):
    pass


def unlimited(work: Callable[[], Any]) -> Any:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    try:
        return work()
    finally:
        sys.setrecursionlimit(before)


def finite(value: Any) -> Any:
    """Every figure that is not finite, or is larger than any float, as null."""
    if isinstance(value, dict):
        return {key: finite(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [finite(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inside), default=0)


def said(place: Path) -> dict[str, Any] | None:
    """The mapping in a file; None where there is none; Unreadable where it is anything else."""
    try:
        found = place.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST:
        raise Unreadable("no regular file")
    try:
        value = json.loads(
            place.read_bytes().decode("utf-8"), parse_int=lambda text: int(text) if len(text) < 300 else None
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from error
    if not isinstance(value, dict):
        raise Unreadable("no mapping")
    mapping: dict[str, Any] = unlimited(lambda: finite(value))
    return mapping


def truth(run: Path) -> dict[str, Any]:
    """What may be said of a run: its metrics and settings, and whether it must, or must not, have a reason."""
    found: dict[str, Any] = {"metrics": None, "settings": None, "reason": None, "gone": False}
    try:
        found["metrics"] = said(run / "metrics.json")
        found["gone"] = found["metrics"] is None
        info = said(run / "run.json")
        if info is None:
            raise Unreadable("no run.json")
    except Unreadable:
        found["reason"] = True
        return found
    found["settings"] = info.get("settings")
    version = info.get("format")
    mappings = all(
        info.get(key) is None or isinstance(info[key], dict) for key in ("dataset", "input", "git", "versions", "code")
    )
    plain = isinstance(version, int) and version <= 1 and isinstance(found["settings"], dict) and mappings
    plain = plain and isinstance(info.get("monitor", ""), str)
    shallow = unlimited(lambda: depth(info) < 100 and depth(found["metrics"]) < 100)
    if found["gone"]:
        with contextlib.suppress(Unreadable):
            failure = said(run / "failure.json")
            found["status"] = {None: None, "interrupted": "interrupted"}.get(
                failure and str(failure.get("kind")), "failed"
            )
            found["reason"] = False if plain and shallow else None
    elif plain and shallow:
        found["reason"], found["status"] = False, "done"
    return found


# The commands


class Hung(BaseException):
    pass


def dlx(words: list[str]) -> tuple[Any, str, str, str]:
    """(exit code, standard output, standard error, what went wrong) of a command in this process."""
    from dlx import cli

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", how) for how in ("strict", "backslashreplace"))

    def alarm(*_: Any) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(ALARM)
    code: Any = None
    wrong = ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main(words)
    except SystemExit as error:
        code = error.code
    except Hung:
        wrong = f"hung for {ALARM} s"
    except BaseException as error:
        wrong = f"raised {type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    both = "".join(texts)
    if not wrong and ("Traceback" in both or "internal error" in both):
        wrong = f"ended with {code}: {texts[1][-250:]!r}"
    checked = texts[1] if "--json" in words else both
    odd = {c for c in checked if c not in "\n\t" and (c < " " or "\x7f" <= c < "\xa0")}
    if not wrong and odd:
        wrong = f"control characters {sorted(odd)!r} in its answer"
    if not wrong and "OUTSIDE" in both:
        wrong = "shows what stands in a file that a link leads to"
    return code, texts[0], texts[1], wrong


def strict(text: str) -> Any:
    """JSON as others read it: no NaN, no Infinity."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    return unlimited(lambda: json.loads(text, parse_constant=refuse))


def same(a: Any, b: Any) -> bool:
    return bool(unlimited(lambda: json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)))


def judged(record: dict[str, Any], run: Path, known: dict[str, Any]) -> Iterator[str]:
    """What is wrong with what list or compare say of one run."""
    status, metrics, reason = record.get("status"), record.get("metrics"), record.get("reason")
    if status not in STATUSES:
        yield f"has the status {status!r}"
    if known["gone"] and (status == "done" or metrics):
        yield f"is {status} without metrics.json, with the figures {str(metrics)[:80]}"
    if known["reason"] is True and (not reason or status == "done"):
        yield f"cannot be read, but is {status} and has the reason {reason!r}"
    if known["reason"] is False and reason:
        yield f"can be read, but has the reason {reason!r}"
    if reason:
        if metrics or status == "done":
            yield f"has a reason ({reason}), but is {status} and has the figures {str(metrics)[:80]}"
        return
    if known.get("status") and status != known["status"]:
        yield f"is {known['status']}, but said to be {status}"
    if not same(metrics, known["metrics"] or {}):
        yield f"has the figures {str(known['metrics'])[:150]}, but {str(metrics)[:150]} are shown"
    if not same(record.get("settings"), known["settings"]):
        yield "has other settings than are shown"


def recorded(words: list[str], runs: dict[str, dict[str, Any]], reasons: set[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with the JSON of list or compare, by run; every run has to be in it, once. Who has reasons is kept."""
    code, out, err, wrong = dlx(words)
    command = " ".join(words[:1] + ["--json"])
    if wrong or code != 0:
        yield "", f"{command}: {wrong or f'ended with {code}: {err[-250:]!r}'}"
        return
    try:
        records = strict(out)["runs"]
    except (ValueError, KeyError, RecursionError) as error:
        yield "", f"{command}: {type(error).__name__}: {error} in {out[:200]!r}"
        return
    found = {record["run"]: record for record in records}
    reasons.update(record["run"] for record in records if record.get("reason"))
    if len(found) < len(records):
        yield "", f"{command}: a run is there twice"
    for path, known in runs.items():
        if path not in found:
            yield path, f"{command}: the run is not there"
            continue
        for line in judged(found[path], Path(path), known):
            yield path, f"{command}: {line}"
    for path in found.keys() - runs.keys():
        yield path, f"{command}: a run that is none"


def table(text: str, good: list[Path]) -> Iterator[str]:
    """What is wrong with the good runs in the CSV of compare."""
    head, *body = list(csv.reader(io.StringIO(text)))
    lines = {line[0]: dict(zip(head, line, strict=False)) for line in body}
    for run in good:
        figures = said(run / "metrics.json") or {}
        cells = lines.get(run.name)
        if cells is None:
            if not re.search(r"\((n=|\d+ (seeds|splits|folds))", text):  # one row with a copy of another seed or split
                yield f"compare --csv: {run.name} is not there"
            continue
        for key, value in figures.items():
            cell = cells.get(f"metrics.{key}", cells.get(key))
            if key.endswith(("_loss", "_accuracy")) and (cell is None or cell != str(value)):
                yield f"compare --csv: {run.name} has {key} {value}, shown is {cell}"


def shown(path: str, known: dict[str, Any]) -> Iterator[str]:
    """What is wrong with `dlx show` of a run, and with its JSON."""
    for more in ([], ["--json"]):
        code, out, err, wrong = dlx(["show", path, *more])
        command = " ".join(["show", *more])
        if wrong or code not in (0, 2):
            yield f"{command}: {wrong or f'ended with {code}: {err[-250:]!r}'}"
        elif code == 2 and (out or not err.strip()) and more:
            yield f"{command}: refused with {out[:100]!r} on standard output and {err[:100]!r} beside it"
        elif code == 0 and known["reason"] is True:
            yield f"{command}: shows a run that cannot be read"
        elif code == 0 and more:
            try:
                record = strict(out)
            except (ValueError, RecursionError) as error:
                yield f"{command}: {error} in {out[:200]!r}"
                continue
            if not same(record.get("metrics"), known["metrics"] or {}):
                yield f"{command}: the figures are {str(known['metrics'])[:150]}, shown are {str(record.get('metrics'))[:150]}"
            if known["gone"] and record.get("status") == "done":
                yield f"{command}: done without metrics.json"


def batch(number: int, count: int, work: Path, good: list[Path], chance: random.Random) -> dict[str, Any]:
    """`count` damaged runs beside the good ones, and what the commands say of them."""
    folder = work / f"runs{number}"
    folder.mkdir()
    beside = [Path(shutil.copytree(run, folder / run.name)) for run in good]
    done: dict[str, str] = {}
    for each in range(count):
        run = folder / f"bad-{each}"
        shutil.copytree(chance.choice(good), run)
        harms = [damage(run, work / "outside", chance) for _ in range(chance.choice([1, 1, 1, 2]))]
        if chance.random() < 0.15:
            run = renamed(run, each, chance)
            harms.append("renamed")
        done[str(run)] = "; ".join(harms)
    runs = {str(run): truth(run) for run in [*beside, *map(Path, done)]}
    wrong: list[tuple[str, str]] = []
    reasons: set[str] = set()
    where = ["--runs-dir", str(folder)]
    wrong += recorded(["list", "--json", *where], runs, reasons)
    wrong += recorded(["compare", *runs, "--json"], runs, reasons)
    commands = [
        ["list", *where],
        ["list", "--sort", "train_loss", *where],
        ["list", "--tag", "a", "--since", "7d", *where],
    ]
    commands += [["compare", *more, *runs] for more in ([], ["--csv"], ["--markdown"], ["--sort", "train_loss"])]
    commands += [["show", "latest", *where]]
    for words in commands:
        code, out, err, problem = dlx(words)
        kept = [word for word in words if word not in runs and word not in where]
        if problem or (code != 0 and kept[0] != "show") or code not in (0, 2):
            wrong.append(("", f"{' '.join(kept)}: {problem or f'ended with {code}: {err[-250:]!r}'}"))
            wrong += alone(kept, done) if kept[0] != "show" else []
        elif "--csv" in words:
            wrong += [("", line) for line in table(out, beside)]
    for path in runs:
        wrong += [(path, line) for line in shown(path, runs[path])]

    def named(path: str) -> str:
        return f"{Path(path).name[:40]!r} ({done.get(path, 'good')})" if path else "all of it"

    lines = [f"batch {number}: {named(path)}: {line}" for path, line in wrong]
    return {"wrong": lines, "reasons": len(reasons)}


def alone(words: list[str], done: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Which runs a command fails on by themselves: the culprits of a batch."""
    for path in done:
        code, _, err, problem = dlx([*words, path])
        if problem or (code != 0 and "--sort" not in words):
            yield path, f"{' '.join(words)}, of it alone: {problem or f'ended with {code}: {err[-250:]!r}'}"


def torture(count: int, work: Path, seed: int = 0) -> tuple[str, list[str]]:
    """(the figures, what went wrong) of `count` damaged runs, in batches beside three good ones."""
    import dlx.cli  # what a command loads is not what it takes
    import dlx.commands.compare
    import dlx.commands.list
    import dlx.runs.compare
    import dlx.runs.diff
    import dlx.runs.summary  # noqa: F401

    work = work.resolve()
    chance = random.Random(seed)
    good = good_runs(work)
    outside = work / "outside"
    shutil.copytree(good[0], outside)
    for file in [outside / "decoy", *(path for path in outside.iterdir() if path.is_file())]:
        file.write_text('{"format": 1, "settings": {}, "kind": "failed", "message": "OUTSIDE", "val_loss": 1}\n')
    wrong: list[str] = []
    reasons = 0
    began = time.monotonic()
    for number, first in enumerate(range(0, count, BATCH)):
        seen = batch(number, min(BATCH, count - first), work, good, chance)
        wrong += seen["wrong"]
        reasons += seen["reasons"]
        if not seen["wrong"]:
            shutil.rmtree(work / f"runs{number}")
    changed = [path.name for path in outside.iterdir() if path.is_file() and "OUTSIDE" not in path.read_text()]
    wrong += [f"{name}, to which a link led, was written to" for name in changed]
    figures = sum("figures" in line for line in wrong)
    failed = len({line.split(": ")[0] for line in wrong if "ended with" in line or "hung" in line or "raised" in line})
    never = "list, show and compare never failed" if not failed else f"a command failed in {failed} batches"
    seconds = time.monotonic() - began
    return (
        f"{count:,} damaged runs: {never}; {reasons:,} shown with a reason, {count - reasons:,} still readable; "
        f"{figures} wrong figures; {seconds:.0f} s"
    ), wrong
