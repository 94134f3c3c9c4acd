"""Specs that nobody would write, mutated, generated and flipped: each is a Spec or a clean refusal, and loads no Keras."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parents[2] / "configs"
HEAVY = ("keras", "tensorflow", "jax", "torch")
SECOND = 1.0  # of processor time, for reading a spec and for refusing it
STUCK = 120.0  # seconds of wall time without a further spec
MEMORY = 4 * 2**30  # bytes that a process that reads specs may have
LARGE = 6  # specs of nearly the MiB that a spec may have
OWN = "own_parts.py"  # leaves a file behind where it runs
ODD = [
    "1e-3", "no", "yes", "on", ".nan", "-.inf", ".inf", "1e400", "-1e400", "1e-400", "-1", "0", "-0.0", "''", '""', "[]",
    "{}", "null", "~", "true", "9" * 30, "9" * 390, "-" + "9" * 400, "9" * 5000, "0x" + "f" * 330, "0o777", "2026-03-01",
    "2026-13-45T99:99:99Z", "12:30:45", "1_000", "ünïcødé", "数据", "😀", '"\\u202e"', '"\\0"', '"\\x1b[31mred"', '"\\ud800"',
    '"\\U00110000"', '"a\\nb"', "'a\n\n  b'", "\t", "a\tb", "x" * 100_000, "'" + "y" * 100_000 + "'", "[" * 40 + "]" * 40,
    "{a: " * 40 + "1" + "}" * 40, "[" * 31 + "]" * 31, "[" * 10_000, "!!python/object/apply:os.system [true]", "!!binary aGk=",
    "!own 1", "!!str 1", "!!set {a, b}", "&a 1", "*a", "&a [*a, *a]", "<<: {a: 1}", "{lr: 1, lr: 2}", "? [a, b]", "- - - 1",
    "|\n  block\n  text", ">-\n  folded", "%YAML 1.1", "---", "...", "a: b: c", "'unfinished", '"unfinished', "@at", "`tick`",
    "# comment", "[1, [2, {a: [3]}]]", "{1: 2, null: 3, true: 4}", "{[a]: 1}", "{'': 1}", "[null, null]", "[{}]", "[[]]",
    "{dense: {units: 4}}", "{dense: 4, dropout: 0.5}", "{name: dense}", "../../etc/passwd", "/dev/zero", "/etc/passwd", ".",
    OWN, f"[{OWN}]", "pipe", "_cifar.yaml", "[_cifar.yaml, digits.yaml]", "full", "auto", "none", "inf", "nan", "1e", "+", "-", "=", ":",
    "1e-3x", "0.5.5", "test", "{patience: -1}", "1" + "0" * 308, "2147483648", "4294967296", "18446744073709551616", "0.1", "1",
    "[0.1, 0.01]", "{lr: [0.1, 1]}", "{layers.0.dense.units: [1, 2]}", "{lr: [no, -1]}", "{epochs: [], nowhere: [1]}",
]  # fmt: skip
KEYS = (
    "extends name description dataset task test validation preprocess augment layers optimizer lr schedule loss metrics "
    "regularization batch_size epochs steps monitor early_stop precision seed plots tags sweep imports set outputs"
).split()
PARTS = (
    "dense conv2d max_pooling2d flatten dropout output lstm embedding batch_normalization activation pretrained residual "
    "adam sgd rmsprop cosine constant plateau rescale standardize flip rotate shift l2 l1 cifar10 digits or moons csv "
    "image_folder accuracy mae mean_squared_error categorical_crossentropy units rate filters kernel_size"
).split()


ADDRESSES = (
    "layers.0 layers.dense.units layers.-1 layers.99 layers.0.dense.units layers.output.units layers.² layers.٣ layers.. lr.x "
    "dataset.limit dataset.mnist.path optimizer.adam.beta_1 augment.0 regularization.l2 early_stop.patience . imports extends "
    "set sweep name schedule.cosine.warmup layers seed"
).split()


# Making specs


def misspelt(word: str, chance: random.Random) -> str:
    place = chance.randrange(len(word))
    swapped = word[:place] + word[place + 1 : place + 2] + word[place] + word[place + 2 :]
    return chance.choice(
        [word[:place] + word[place + 1 :], word[:place] + chance.choice("exü_- ") + word[place:], swapped]
    )


def mutated(text: str, chance: random.Random) -> str:
    """A shipped spec after one to four harms."""
    for _ in range(chance.choice([1, 1, 2, 3, 4])):
        lines = text.split("\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        line, kind = lines[at], chance.randrange(14)
        words = list(re.finditer(r"[A-Za-z_0-9]+", line))
        value = re.match(r"^(\s*(?:- )?[\w.]+: *)(\S.*)$", line)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(other, line)
        elif kind == 2:
            lines[at], lines[other] = lines[other], line
        elif kind == 3:
            lines[at] = chance.choice([" " + line, "  " + line, "\t" + line, line[1:], line.lstrip(), " " * 40 + line])
        elif kind == 4 and words:
            word = chance.choice(words)
            lines[at] = line[: word.start()] + misspelt(word[0], chance) + line[word.end() :]
        elif kind == 5 and words:
            word = chance.choice(words)
            lines[at] = line[: word.start()] + chance.choice(PARTS + KEYS) + line[word.end() :]
        elif kind in (6, 7, 8) and value:
            lines[at] = value[1] + chance.choice(ODD)
        elif kind == 9 and words:
            word = chance.choice(words)
            lines[at] = line[: word.start()] + chance.choice(ODD) + line[word.end() :]
        elif kind == 10:
            lines.insert(at, f"{chance.choice(KEYS)}: {chance.choice(ODD)}")
        elif kind == 11:
            bomb = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
            bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
            lines[at:at] = chance.choice(
                [bomb, ["x: &x {a: 1}", "y: {<<: *x}"], [f"set: {{{chance.choice(KEYS)}: 1}}"]]
            )
        elif kind == 12:
            lines.append(f"{chance.choice(['set', 'sweep'])}: {{{chance.choice(ADDRESSES)}: {chance.choice(ODD)}}}")
        elif kind == 13:
            lines[at] = line + chance.choice(
                [":", " #", "\r", "\x00", "\x85", "\u2028", "]", "}", ",", "\ufeff", " |", " &a", "'"]
            )
        text = "\n".join(lines)
    return text


def generated(count: int, seed: int) -> list[str]:
    """Trees of what YAML can say around the keys of a spec, drawn by Hypothesis."""
    import hypothesis
    import yaml
    from hypothesis import strategies as some

    words = some.sampled_from(KEYS + PARTS) | some.text(max_size=12)
    numbers = some.integers() | some.integers(0, 64) | some.floats() | some.floats(0, 1) | some.just(10**320)
    scalars = some.none() | some.booleans() | numbers | words | some.dates() | some.binary(max_size=6)
    trees = some.recursive(
        scalars,
        lambda inner: (
            some.lists(inner, max_size=4) | some.dictionaries(words | numbers | some.none(), inner, max_size=4)
        ),
        max_leaves=12,
    )
    arguments = some.dictionaries(some.sampled_from(PARTS), scalars, max_size=3)
    part = (
        some.sampled_from(PARTS) | some.dictionaries(some.sampled_from(PARTS), arguments | scalars, max_size=2) | trees
    )
    plausible = some.fixed_dictionaries(
        {"dataset": some.just("or"), "layers": some.just([{"dense": 4}, "output"])},
        optional={
            "lr": some.floats(), "epochs": some.integers(), "batch_size": some.integers() | some.just("full"),
            "seed": some.integers(), "test": some.floats(), "validation": some.floats() | some.just("test"),
            "optimizer": part, "schedule": part, "augment": some.lists(part, max_size=2), "tags": some.lists(words, max_size=3),
            "metrics": some.lists(part, max_size=2), "regularization": part, "name": some.text(max_size=30), "description": words,
        },
    )  # fmt: skip
    whole = some.builds(
        lambda good, odd: {**good, **odd},
        plausible,
        some.dictionaries(some.sampled_from(KEYS), part | trees, max_size=3),
    )
    texts: list[str] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(plausible | whole | whole | trees, some.booleans() | some.none())
    def collect(tree: Any, flow: bool | None) -> None:
        texts.append(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True, sort_keys=False))

    collect()
    return [texts[number % len(texts)] for number in range(count)]


def harmed(raw: bytes, chance: random.Random) -> bytes:
    """A shipped spec with flipped bits, or bytes that never were one."""
    kind = chance.randrange(10)
    if kind < 5:
        flipped = bytearray(raw)
        for _ in range(chance.choice([1, 1, 1, 2, 5, 20])):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    if kind == 5:
        return (
            raw[: chance.randrange(len(raw))]
            + chance.randbytes(chance.randrange(4))
            + raw[chance.randrange(len(raw)) :]
        )
    if kind == 6:
        return chance.randbytes(chance.randrange(3000))
    if kind == 7:
        return bytes(chance.choice(b" \n:-[]{}#&*!|>'\"%@`,?abc1.\t") for _ in range(chance.randrange(600)))
    if kind == 8:
        return raw.decode().encode(chance.choice(["utf-16", "utf-32", "utf-16-le", "utf-8-sig", "utf-7"]))
    odd = [
        b"",
        b"\n",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"---\n---\n",
        b"[" * 9999,
        b"{" * 9999,
        b"- " * 9999,
        b"? " * 9999,
    ]
    odd += [
        b"a: " * 9999,
        b"\n" * 9999,
        b"'" + b"x\n" * 9999,
        b"lr: 1\n" * 2000,
        b"x" * 2**20,
        b"#" * (2**20 + 1),
        b"&" * 999,
    ]
    return chance.choice(odd)


def large(number: int) -> str:
    """Nearly a MiB: as much as a spec may have."""
    most = 2**20 - 100
    kinds = [
        "tags:\n" + "- word\n" * ((most - 6) // 7),
        "".join(f"key{n}: {n}\n" for n in range(50_000)),
        "dataset: or\nlayers: [output]\ndescription: " + "word " * ((most - 60) // 5),
        "layers:\n" + "  - dense: {units: 4}\n" * (most // 22) + "  - output\ndataset: or\n",
        "dataset: or\nlayers: [" + "relu, " * ((most - 40) // 6) + "output]\n",
        "".join(f"{'k' * 1000}{n}: 1\n" for n in range(1000)),
    ]
    return kinds[number % len(kinds)]


def specs(count: int, chance: random.Random, seed: int) -> Iterator[bytes]:
    """Every spec to read: a third mutated, a third generated, a third bytes; a few as large as they may be."""
    shipped = [file.read_text(encoding="utf-8") for file in sorted(CONFIGS.glob("*.yaml"))]
    texts = iter(generated((count + 1) // 3, seed))
    last = count - count * LARGE // 2000
    for number in range(count):
        if number >= last:
            yield large(number - last).encode()
        elif number % 3 == 0:
            yield mutated(chance.choice(shipped), chance).encode("utf-8", "surrogatepass")
        elif number % 3 == 1:
            yield next(texts).encode("utf-8", "surrogatepass")
        else:
            yield harmed(chance.choice(shipped).encode(), chance)


# Reading them, in a process of its own


def clutter(text: str) -> str:
    """What an answer holds that none may; empty where there is nothing."""
    if "Traceback" in text or "internal error" in text:
        return f"a traceback or an internal error: {text[-300:]!r}"
    found = [
        character for character in text if character not in "\n\t" and (character < " " or "\x7f" <= character < "\xa0")
    ]
    return f"control characters {sorted(set(found))!r} in {text[:300]!r}" if found else ""


def unplaced(problem: str, file: Path) -> bool:
    """Whether a problem names no place: the spec or a file that it extends, most often with line and column."""
    folder = re.escape(str(file.parent))
    return re.match(rf"{folder}/.+?(:\d+(:\d+)?)?: \S", problem) is None


def refused(file: Path, problems: list[Any], wrong: list[str]) -> None:
    """Look at how the command line refuses what the reader refused."""
    from dlx import cli

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", how) for how in ("strict", "backslashreplace"))
    code: Any = "none"
    began = time.process_time()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main(["run", str(file)])
    except SystemExit as error:
        code = error.code
    except BaseException as error:
        wrong.append(f"dlx run raised {type(error).__name__}: {str(error)[:200]}")
    spent = time.process_time() - began
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    if code != 2:
        wrong.append(f"dlx run ended with {code}: {texts[1][-300:]!r}")
    if texts[0]:
        wrong.append(f"a refusal on standard output: {texts[0][:200]!r}")
    if seen := clutter(texts[1]):
        wrong.append(f"dlx run: {seen}")
    lines = [line for line in texts[1].split("\n") if line and not line.startswith("  ")]
    wrong += [f"a line without a place: {line[:200]!r}" for line in lines if unplaced(line, file)][:1]
    if len(lines) < len(problems):
        wrong.append(f"{len(problems)} problems, {len(lines)} lines")
    if spent > SECOND:
        wrong.append(f"dlx run took {spent:.1f} s of processor time to refuse it")


def read(file: Path) -> dict[str, Any]:
    """What became of a spec, and what was wrong with that."""
    from dlx import spec
    from dlx.errors import DlxError, SpecError
    from dlx.spec.sections import Spec

    wrong: list[str] = []
    outcome = "broken"
    began = time.process_time()
    try:
        found: Any = spec.load(file)
        error: BaseException | None = None
    except BaseException as raised:
        error = raised
    seconds = time.process_time() - began
    if seconds > SECOND:
        wrong.append(f"reading took {seconds:.1f} s of processor time")
    if error is None:
        outcome = "valid"
        if not isinstance(found, Spec):
            wrong.append(f"read as a {type(found).__name__}")
        elif found.imports:
            wrong.append(f"imports {found.imports} were read without leave")
    elif isinstance(error, DlxError):
        outcome = "refused"
        problems = error.problems if isinstance(error, SpecError) else [error]
        if not problems or (not isinstance(error, SpecError) and error.exit_code != 2):
            wrong.append(f"{type(error).__name__} with {len(problems)} problems, exit code {error.exit_code}")
        wrong += [f"a problem without a place: {str(p)[:200]!r}" for p in problems if unplaced(f"{p.where}: x", file)][
            :1
        ]
        refused(file, problems, wrong)
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        wrong.append(f"{type(error).__name__}: {str(error)[:200]} ({Path(place.filename).name}, {place.name})")
        refused(file, [], wrong)
    if Path("runs").exists():
        Path("runs").rename(f"runs-of-{file.stem}")
        wrong.append("a runs directory was made")
    if Path("ran").exists():
        Path("ran").rename(f"ran-of-{file.stem}")
        wrong.append("its own code ran")
    wrong += [f"{name} was imported" for name in HEAVY if name in sys.modules]
    return {"outcome": outcome, "seconds": seconds, "wrong": wrong}


def worker(folder: Path, first: int, count: int) -> None:
    """Read the specs from `first` on, a line in `results` for each; ends early where Keras is there, to start again."""
    import resource

    from dlx import spec

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    spec.load(CONFIGS / "or_gate.yaml")  # what every first reading loads is not a spec's own time
    with (folder / "results").open("a") as results:
        for number in range(first, count):
            (folder / "progress").write_text(str(number))
            seen = read(folder / "specs" / f"s{number}.yaml")
            results.write(json.dumps({"number": number, **seen}) + "\n")
            results.flush()
            if any(name in sys.modules for name in HEAVY):
                return


def seen_by_workers(folder: Path, count: int) -> list[dict[str, Any]]:
    """Every result; a worker that dies or hangs is one too, and the next one begins behind it."""
    (folder / "results").touch()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DLX_")}
    environment |= {"DLX_DATA": str(folder / "data"), "COLUMNS": "80"}
    while (done := len((folder / "results").read_text().splitlines())) < count:
        before = done
        words = [sys.executable, __file__, str(folder), str(done), str(count)]
        with (folder / "said").open("w+") as said:
            process = subprocess.Popen(
                words, cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
            )
            changed, hung = time.monotonic(), False
            while process.poll() is None:
                time.sleep(0.1)
                now = len((folder / "results").read_text().splitlines())
                if now > before:
                    before, changed = now, time.monotonic()
                elif time.monotonic() - changed > STUCK:
                    hung = True
                    process.kill()
                    process.wait()
            said.seek(0)
            last = said.read()[-300:]
        done = len((folder / "results").read_text().splitlines())
        if hung or process.returncode:
            what = f"hung for {STUCK:.0f} s" if hung else f"the process died ({process.returncode}): {last!r}"
            with (folder / "results").open("a") as results:
                results.write(json.dumps({"number": done, "outcome": "broken", "seconds": 0.0, "wrong": [what]}) + "\n")
    return [json.loads(line) for line in (folder / "results").read_text().splitlines()]


def beginning(raw: bytes) -> bytes:
    """What tells a spec from others, at its beginning."""
    return raw.partition(b"spec.schema.json\n")[2][:200] or raw[:200]


def torture(count: int, work: Path, seed: int = 0) -> tuple[str, list[str]]:
    """(the figures, what went wrong) of `count` specs that are read, and refused by the command line."""
    folder = (work / "fuzz").resolve()
    (folder / "specs").mkdir(parents=True)
    for file in CONFIGS.glob("*.yaml"):
        (folder / "specs" / file.name).write_bytes(file.read_bytes())
    (folder / "specs" / OWN).write_text("open('ran', 'w').close()\n")
    os.mkfifo(folder / "specs" / "pipe")
    raws = list(specs(count, random.Random(seed), seed))
    for number, raw in enumerate(raws):
        (folder / "specs" / f"s{number}.yaml").write_bytes(raw)
    results = seen_by_workers(folder, count)
    wrong = [
        f"spec {result['number']}: {line}; s{result['number']}.yaml is {beginning(raws[result['number']])!r}"
        for result in results
        for line in result["wrong"]
    ]
    outcomes = [result["outcome"] for result in results]
    broken = sum("traceback" in line or "raised" in line for line in wrong) + outcomes.count("broken")
    folders = sum("a runs directory" in line for line in wrong)
    keras = sum("was imported" in line for line in wrong)
    figures = (
        f"{count:,} specs: {outcomes.count('refused'):,} refused, {outcomes.count('valid'):,} valid; "
        f"slowest {max(result['seconds'] for result in results):.2f} s; {broken} tracebacks, {folders} run directories, "
        f"Keras {f'imported {keras} times' if keras else 'never imported'}"
    )
    return figures, wrong


if __name__ == "__main__":
    worker(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
