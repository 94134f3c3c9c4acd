"""Hostile artifacts: what a stranger may send, and the command that a victim types. Nothing may run, leak, write or hang."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import random
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST_MEMORY = 2.5 * 2**30
FATAL_MEMORY = 3.5 * 2**30  # a process that takes more is killed: the machine is shared
MOST_OUTPUT = 64 * 2**20
LIMIT = 60.0  # seconds
ALLOWED = (0, 2, 3, 4, 5)
SECRET = "a-line-that-stands-outside-of-the-artifact"
ESCAPE = "\x1b]0;owned\x07\x1b[31mred\r\x08\x7f\x9b2J"
MIB = 2**20
WORD = ESCAPE.replace(";", "").replace("\r", "")  # of which CSV makes nothing

Maker = Callable[["Site"], list[str]]
TABLE_SPEC = """\
dataset: {csv: {path: d.csv, label: label}}
validation: 0.2
test: 0.2
layers: [{dense: 4}, output]
epochs: 2
"""
IMAGE_SPEC = "dataset: digits\ntest: 0.2\nlayers: [flatten, output]\nepochs: 1\nbatch_size: full\n"
FOLDER_SPEC = (
    "dataset: {image_folder: {path: photos, image_size: 8}}\ntest: 0.2\nlayers: [flatten, output]\nepochs: 1\n"
)
ARRAY_SPEC = "dataset: {npz: {path: x.npz}}\nlayers: [output]\nepochs: 1\n"
CSV_SPEC = "dataset: {csv: {path: x.csv, label: label}}\nlayers: [output]\nepochs: 1\n"


@dataclass(frozen=True)
class Trap:
    name: str
    kind: str
    make: Maker
    refused: bool  # to end with 0 would be to fall into it


@dataclass(frozen=True)
class Site:
    """The place of one artifact: its folder, what lies beside it, and what code of it would do."""

    base: Path
    models: Path
    port: int

    @property
    def here(self) -> Path:
        return self.base / "here"

    @property
    def outside(self) -> Path:
        return self.base / "outside"

    @property
    def secret(self) -> Path:
        return self.outside / "secret.txt"

    @property
    def canary(self) -> Path:
        return self.base / "canary"

    @property
    def code(self) -> str:
        """Python that leaves a canary and connects."""
        reach = f"socket.create_connection(('127.0.0.1', {self.port}), 2)"
        return f"import socket\nopen({str(self.canary)!r}, 'w').close()\n{reach}\n"

    @property
    def shell(self) -> str:
        """The same for a shell."""
        return f"touch {self.canary}; {sys.executable} {self.base / 'payload.py'}"

    @property
    def pickled(self) -> bytes:
        return pickle.dumps(_Evil(self.code), 2)

    def write(self, name: str, content: str | bytes) -> Path:
        place = self.here / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def spec(self, text: str, command: str = "check") -> list[str]:
        self.write("s.yaml", text)
        return [command, "s.yaml"]

    def run(self, model: str = "t") -> Path:
        """A copy of a trained run: t is one of a table, i one of images."""
        place = self.here / "runs" / "r-1"
        shutil.copytree(self.models / "runs" / f"{model}-1", place)
        shutil.copy(self.models / "d.csv", self.here)
        return place

    def stopped(self) -> Path:
        """A run that can be resumed."""
        run = self.run()
        for name in ("metrics.json", "model.keras"):
            (run / name).unlink()
        (kept,) = (run / "checkpoints").iterdir()  # its number depends on the time that the training took
        kept.rename(run / "checkpoints" / "1")
        return run


class _Evil:
    def __init__(self, code: str, call: Callable[..., Any] = exec) -> None:
        self.code, self.call = code, call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, (self.code,)


TRAPS: list[Trap] = []


def trap(kind: str, refused: bool = True) -> Callable[[Maker], Maker]:
    def known(make: Maker) -> Maker:
        TRAPS.append(Trap(make.__name__, kind, make, refused))
        return make

    return known


def add(kind: str, name: str, make: Maker, refused: bool = True) -> None:
    TRAPS.append(Trap(name, kind, make, refused))


# What several are made of


def zeros_deflated(out: Any, head: bytes, size: int) -> tuple[int, int]:
    """Write `head` and zeros up to `size` bytes as raw deflate; returns (bytes written, crc)."""
    block, packer = bytes(16 * MIB), zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    count, rest = divmod(size - len(head), len(block))
    crc = zlib.crc32(head)
    out.write(first)
    for _ in range(count):
        out.write(again)
        crc = zlib.crc32(block, crc)
    last = packer.compress(block[:rest]) + packer.flush()
    out.write(last)
    return len(first) + count * len(again) + len(last), zlib.crc32(block[:rest], crc)


def zip_bomb(path: Path, name: str, size: int, head: bytes = b"", claims: int | None = None) -> None:
    """A zip of one member that is `size` bytes, small on the disk; `claims` is what its directory says."""
    with path.open("wb") as out:
        start = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, 0, 0, 0, len(name), 0)
        out.write(start + name.encode())
        packed, crc = zeros_deflated(out, head, size)
        told = size if claims is None else claims
        at = out.tell()
        out.write(struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, packed, told, len(name), *[0] * 6))
        out.write(name.encode())
        out.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, out.tell() - at, at, 0))
        out.seek(14)
        out.write(struct.pack("<3I", crc, packed, told))


def gz_bomb(path: Path, head: bytes, mib: int) -> None:
    """A gzip of `head` and so many MiB of zeros, in members of 64."""
    again = gzip.compress(bytes(64 * MIB), 9)
    with path.open("wb") as out:
        out.write(gzip.compress(head))
        for _ in range(mib // 64):
            out.write(again)


def npy(shape: tuple[int, ...] | str, descr: str = "'<f4'", body: bytes = b"") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def npz(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def saved(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array))
    return stream.getvalue()


def png(width: int, height: int, depth: int, colours: int, chunks: bytes = b"") -> bytes:
    """A black PNG of any size; colours: 0 grey, 2 RGB, 6 RGBA."""
    row = 1 + (width * depth * {0: 1, 2: 3, 6: 4}[colours] + 7) // 8
    stream = io.BytesIO()
    packed, _ = zeros_deflated(stream, b"", row * height)
    checksum = struct.pack(">I", ((row * height) % 65521) << 16 | 1)  # Adler-32 of zeros
    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, colours, 0, 0, 0))
    data = chunk(b"IDAT", b"\x78\x01" + stream.getvalue()[:packed] + checksum)
    return b"\x89PNG\r\n\x1a\n" + head + chunks + data + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def picture(form: str, size: int = 8) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (size, size), "red").save(stream, form)
    return stream.getvalue()


def photos(site: Site) -> Path:
    for number, name in enumerate("ab" * 6):
        site.write(f"photos/{name}/{number}.png", picture("PNG"))
    return site.here / "photos"


def edited(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def escaped(value: Any) -> Any:
    """JSON with escapes in every text and key below."""
    if isinstance(value, dict):
        return {f"{key}{ESCAPE}": escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return f"{value}{ESCAPE}" if isinstance(value, str) else value


def tar(path: Path, *members: tuple[str, bytes, dict[str, Any]]) -> None:
    """(name, content, fields of its header) of each member."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content, fields in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(content))


def seal(checkpoint: Path) -> None:
    """Have the manifest vouch for what is there."""
    names = ("state.npz", "state.json")
    lines = [f"{hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (checkpoint / "MANIFEST").write_text("".join(lines))


# Specs


def _spec(name: str, text: str | Callable[[Site], str], command: str = "check", refused: bool = True) -> None:
    add("spec", name, lambda site: site.spec(text if isinstance(text, str) else text(site), command), refused)


_spec("python_tag", lambda s: f"dataset: !!python/object/apply:os.system [{json.dumps(s.shell)}]\nlayers: [output]\n")
_spec("python_tag_in_key", lambda s: f"? !!python/object/apply:builtins.exec [{json.dumps(s.code)}]\n: 1\n")
_spec(
    "alias_bomb",
    "a: &a [x, x]\n" + "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}' if n else '*a'] * 10)}]\n" for n in range(30)),
)
_spec("number_of_a_million_digits", f"{IMAGE_SPEC}lr: {'9' * 1_000_000}\n")
_spec("octal_of_a_million_digits", f"{IMAGE_SPEC}lr: 0x{'f' * 1_000_000}\n")
_spec("flow_depth", "dataset: " + "[" * 10_000 + "]" * 10_000)
_spec("block_depth", "dataset:\n  " + "- " * 10_000 + "x\n")
_spec("dotted_depth", f"{IMAGE_SPEC}set:\n  ? {'.'.join(['layers'] * 100_000)}\n  : 1\n")
_spec("seventy_thousand_keys", IMAGE_SPEC + "".join(f"epoch{n}: 1\n" for n in range(70_000)))
_spec("layers_without_end", IMAGE_SPEC.replace("[flatten, output]", "[flatten" + ", {dense: 1}" * 60_000 + ", output]"))
_spec("extends_endless", "extends: /dev/zero\n" + IMAGE_SPEC)
_spec("extends_outside", "extends: ../outside/secret.txt\n" + IMAGE_SPEC)
_spec("extends_itself", "extends: s.yaml\n" + IMAGE_SPEC)
_spec("imports_unasked", lambda s: f"imports: [{s.write('own.py', s.code).name}]\n{IMAGE_SPEC}")
_spec("imports_payload_as_part", lambda s: f"imports: [../payload.py]\n{IMAGE_SPEC}", "run")
_spec(
    "escapes", lambda s: f"{IMAGE_SPEC}name: {json.dumps(ESCAPE)}\n{json.dumps('key' + ESCAPE)}: {json.dumps(ESCAPE)}\n"
)
_spec("name_climbs", f"{IMAGE_SPEC}name: ../../outside/taken\n", "run")
_spec("name_is_absolute", lambda s: f"{IMAGE_SPEC}name: {s.outside}/taken\n", "run")
_spec("huge_dense", IMAGE_SPEC.replace("output]", f"{{dense: {10**12}}}, output]"))
_spec("large_dense", IMAGE_SPEC.replace("output]", f"{{dense: {10**9}}}, output]"))
_spec("large_dense_run", IMAGE_SPEC.replace("output]", f"{{dense: {10**8}}}, output]"), "run")
_spec("huge_padding", IMAGE_SPEC.replace("[flatten", f"[{{zero_padding2d: {10**8}}}, flatten"))
_spec("huge_repeat", IMAGE_SPEC.replace("output]", f"{{repeat_vector: {10**9}}}, flatten, output]"))
_spec("huge_kernel", IMAGE_SPEC.replace("[flatten", f"[{{conv2d: {{filters: {10**9}, kernel_size: 8}}}}, flatten"))
_spec("huge_image_size", lambda s: FOLDER_SPEC.replace("size: 8", f"size: {10**9}").replace("photos", photos(s).name))
_spec("huge_toy", IMAGE_SPEC.replace("digits", "{blobs: {samples: 10000000, features: 10000}}"))
_spec("odd_numbers", f"{IMAGE_SPEC}lr: 1e999999\nsteps: -.inf\nseed: .nan\nregularization: {{l2: 1e-999999}}\n")
_spec("half_characters", 'description: "\\ud800\\U00110000"\n' + IMAGE_SPEC)
_spec("data_is_endless", IMAGE_SPEC.replace("digits", "{csv: {path: /dev/zero, label: x}}"))
_spec("arrays_are_endless", IMAGE_SPEC.replace("digits", "{npz: {path: /dev/zero}}"))
_spec("images_are_devices", IMAGE_SPEC.replace("digits", "{image_folder: {path: /dev}}"))


@trap("spec")
def python_tag_in_override(site: Site) -> list[str]:
    return [*site.spec(IMAGE_SPEC), "-s", f"lr=!!python/object/apply:builtins.exec [{json.dumps(site.code)}]"]


@trap("spec")
def extends_doubling(site: Site) -> list[str]:
    for number in range(40):
        site.write(f"b{number}.yaml", f"extends: [b{number + 1}.yaml, b{number + 1}.yaml]\n")
    site.write("b40.yaml", IMAGE_SPEC)
    return ["check", "b0.yaml"]


@trap("spec")
def extends_fifo(site: Site) -> list[str]:
    os.mkfifo(site.here / "_base.yaml")
    return site.spec("extends: _base.yaml\n" + IMAGE_SPEC)


@trap("spec")
def spec_is_a_link_to_zeros(site: Site) -> list[str]:
    (site.here / "s.yaml").symlink_to("/dev/zero")
    return ["check", "s.yaml"]


@trap("spec")
def spec_is_a_fifo_in_a_folder(site: Site) -> list[str]:
    os.mkfifo(site.here / "s.yaml")
    return ["run", "s.yaml"]


@trap("spec")
def imports_endless(site: Site) -> list[str]:
    return [*site.spec("imports: [/dev/zero]\n" + IMAGE_SPEC), "--allow-code"]


@trap("spec")
def data_is_pickled(site: Site) -> list[str]:
    site.outside.joinpath("x.npz").write_bytes(site.pickled)
    return site.spec(ARRAY_SPEC.replace("x.npz", "../outside/x.npz"))


@trap("spec")
def data_is_a_fifo(site: Site) -> list[str]:
    os.mkfifo(site.here / "x.csv")
    return site.spec(CSV_SPEC)


@trap("spec")
def weights_are_pickled(site: Site) -> list[str]:
    site.write("w.keras", site.pickled)
    return site.spec(IMAGE_SPEC + "weights: w.keras\n", "run")


@trap("spec")
def weights_are_a_fifo(site: Site) -> list[str]:
    os.mkfifo(site.here / "w.keras")
    return site.spec(IMAGE_SPEC + "weights: w.keras\n", "run")


@trap("spec")
def weights_of_a_run_with_a_linked_model(site: Site) -> list[str]:
    run = site.run("i")
    (run / "model.keras").unlink()
    (run / "model.keras").symlink_to(site.secret)
    return site.spec(IMAGE_SPEC + "weights: runs/r-1\n", "run")


@trap("spec")
def grid_of_1e16(site: Site) -> list[str]:
    axes = ", ".join(f"{key}: [{', '.join(map(str, range(1, 101)))}]" for key in ("lr", "epochs", "batch_size", "seed"))
    layers = ", ".join(f"layers.{n}.dense.units: [{', '.join(map(str, range(1, 101)))}]" for n in range(1, 5))
    text = IMAGE_SPEC.replace("output]", "{dense: 1}, {dense: 1}, {dense: 1}, {dense: 1}, output]")
    return [*site.spec(f"{text}sweep: {{{axes}, {layers}}}\n", "sweep"), "--dry-run"]


# Run directories


def _replaced(name: str, how: str, *words: str, refused: bool = True, suffix: str = "") -> None:
    """A file of a run that is a link to outside, a link to zeros, or a pipe."""

    def make(site: Site) -> list[str]:
        run = site.run()
        (run / name).unlink(missing_ok=True)
        if how == "fifo":
            os.mkfifo(run / name)
        else:
            (run / name).symlink_to(site.secret if how == "linked" else "/dev/zero")
        return [word.replace("RUN", "r-1") for word in words]

    add("run", f"{name.replace('.', '_')}_{how}{suffix}", make, refused)


for _how in ("linked", "endless", "fifo"):
    _replaced("run.json", _how, "show", "RUN")
    _replaced("metrics.json", _how, "show", "RUN", refused=_how == "linked")
    _replaced("spec.yaml", _how, "show", "RUN")
    _replaced("history.jsonl", _how, "plot", "RUN", "-o", "out", refused=False)
    _replaced("note.txt", _how, "show", "RUN", refused=False)
    _replaced("model.keras", _how, "predict", "RUN", "d.csv")
    _replaced("predictions.npz", _how, "compare", "RUN", "RUN", refused=False)
_replaced("failure.json", "linked", "list", refused=False)
_replaced("lock", "endless", "list", refused=False)
_replaced("lock", "fifo", "list", refused=False)
_replaced("log.txt", "linked", "resume", "RUN", "-s", "epochs=3")
_replaced("spec.yaml", "fifo", "predict", "RUN", "d.csv", suffix="_predicted")


def _json(name: str, text: Callable[[], bytes], *words: str, file: str = "run.json") -> None:
    def make(site: Site) -> list[str]:
        (site.run() / file).write_bytes(text())
        return list(words)

    add("run", name, make, refused=False)


_json("json_depth_in_200_mb", lambda: b"[" * (200 * MIB), "list")
_json("json_depth_in_60_mb", lambda: b'{"":' * (15 * MIB), "show", "r-1")
_json("json_of_small_mappings", lambda: b'{"a":[' + b'{"":0},' * (9 * MIB - 10) + b"0]}", "show", "r-1")
_json("json_of_small_lists", lambda: b'{"a":[' + b"[0]," * (15 * MIB) + b"0]}", "list", file="metrics.json")
_json("json_number", lambda: b'{"a": ' + b"9" * (60 * MIB) + b"}", "list", file="metrics.json")
_json(
    "json_large_integers",
    lambda: b'{"val_loss": ' + b"9" * 4000 + b', "test_loss": -1e999}',
    "list",
    file="metrics.json",
)
_json(
    "json_large_integers_shown",
    lambda: b'{"val_loss": ' + b"9" * 4000 + b"}",
    "compare",
    "r-1",
    "r-1",
    file="metrics.json",
)
_json("history_of_small_mappings", lambda: b'{"a":{"":0}}\n' * (10 * MIB), "list", file="history.jsonl")
_json("history_plotted", lambda: b'{"val_loss":1,"epoch":1}\n' * (5 * MIB), "compare", "r-1", file="history.jsonl")
_json("lock_of_nonsense", lambda: b'{"host": {"a": 1}, "pid": "x", "boot_id": [1], "cwd": 7}', "list", file="lock")


def _types(name: str, *words: str) -> None:
    """Every value of run.json and metrics.json is of another type than dlx writes."""

    def make(site: Site) -> list[str]:
        run = site.run()
        info = json.loads((run / "run.json").read_text())
        odd = {key: random.Random(key).choice([[1, {}], {"a": [1]}, 10**4000, "x", -1.5, True]) for key in info}
        kept = {key: info[key] for key in ("format", "dataset", "input", "git", "versions", "monitor")}
        settings = {key: {"a": [10**400]} for key in info["settings"]} | {"tags": 5, "name": [1]}
        kept["dataset"] = {key: [10**4000] for key in info["dataset"]}
        (run / "run.json").write_text(json.dumps({**odd, **kept, "settings": settings}))
        (run / "metrics.json").write_text(json.dumps({"val_loss": {"a": 1}, "test_loss": [10**400], "steps": "x"}))
        (run / "history.jsonl").write_text('{"val_loss": {"a": 1}, "epoch": [1]}\n{"val_loss": "x"}\n')
        return [*words]

    add("run", f"types_{name}", make, refused=False)


_types("listed", "list", "--tag", "x")
_types("sorted", "list", "--sort", "start")
_types("shown", "show", "r-1")
_types("compared", "compare", "r-1", "r-1")
_types("predicted", "predict", "r-1", "d.csv")
_types("resumed", "resume", "r-1", "-s", "epochs=3")


def _escapes(name: str, *words: str) -> None:
    """Escapes in every text that a run holds, and in its name."""

    def make(site: Site) -> list[str]:
        run = site.run()
        info = json.loads((run / "run.json").read_text())
        kept = ("task", "input", "monitor", "backend", "device")
        told = {key: info[key] if key in kept else escaped(value) for key, value in info.items()}
        for key in ("dataset", "versions", "settings"):
            told[key] = {**escaped(info[key]), **{name: f"{value}{ESCAPE}" for name, value in info[key].items()}}
        told["classes"], told["format"] = [f"x{ESCAPE}", f"y{ESCAPE}"], 1
        told["git"] = {"commit": ESCAPE, "dirty": ESCAPE}
        (run / "run.json").write_text(json.dumps(told))
        metrics = json.loads((run / "metrics.json").read_text())
        (run / "metrics.json").write_text(json.dumps({**metrics, **escaped(metrics), f"test_x{ESCAPE}": ESCAPE}))
        (run / "note.txt").write_text(ESCAPE)
        if name != "predicted" and name != "predicted_csv":
            (run / "spec.yaml").write_text(f"name: {ESCAPE}\n")
        run.rename(run.with_name(f"r{ESCAPE}-1"))
        shutil.copytree(run.with_name(f"r{ESCAPE}-1"), run.with_name("r-2"))
        (run.with_name("r-2") / "metrics.json").unlink()
        (run.with_name("r-2") / "failure.json").write_text(json.dumps({"kind": ESCAPE, "message": f"no\n{ESCAPE}"}))
        return [word.replace("RUN", f"r{ESCAPE}-1") for word in words]

    add("run", f"escapes_{name}", make, refused=False)


_escapes("listed", "list")
_escapes("listed_quietly", "list", "-q")
_escapes("shown", "show", "RUN")
_escapes("failure_shown", "show", "r-2")
_escapes("compared", "compare", "RUN", "r-2")
_escapes("compared_csv", "compare", "RUN", "r-2", "--csv")
_escapes("compared_markdown", "compare", "RUN", "r-2", "--markdown")
_escapes("noted", "note", "RUN")
_escapes("predicted", "predict", "RUN", "d.csv")
_escapes("predicted_csv", "predict", "RUN", "d.csv", "--csv")
_escapes("removed", "rm", "RUN")
_escapes("plotted", "plot", "RUN", "-o", "out")


@trap("run", refused=False)
def code_in_the_run(site: Site) -> list[str]:
    run = site.run()
    (run / "code").mkdir()
    (run / "code" / "own.py").write_text(site.code)
    digest = hashlib.sha256(site.code.encode()).hexdigest()
    edited(run / "run.json", code={"own.py": digest})
    (run / "spec.yaml").write_text("imports: [code/own.py]\n" + (run / "spec.yaml").read_text())
    return ["predict", "r-1", "d.csv"]


@trap("run", refused=False)
def code_beside_the_run(site: Site) -> list[str]:
    site.run()
    for name in ("sitecustomize", "json", "numpy", "yaml", "conftest", "my_layers"):
        site.write(f"runs/r-1/{name}.py", site.code)
        site.write(f"runs/r-1/code/{name}.py", site.code)
    return ["predict", "runs/r-1", "d.csv"]


@trap("run")
def code_climbs(site: Site) -> list[str]:
    run = site.run()
    edited(run / "run.json", code={"../../../outside/secret.txt": "0" * 64})
    (run / "spec.yaml").write_text("imports: [../../../outside/secret.txt]\n" + (run / "spec.yaml").read_text())
    return ["resume", "r-1", "-s", "epochs=3"]


@trap("run")
def huge_input_shape(site: Site) -> list[str]:
    run = site.run()
    info = json.loads((run / "run.json").read_text())
    edited(run / "run.json", input={**info["input"], "shape": [10**12]})
    return ["predict", "r-1", "d.csv"]


@trap("run")
def huge_layer_in_the_spec(site: Site) -> list[str]:
    run = site.run()
    (run / "spec.yaml").write_text((run / "spec.yaml").read_text().replace("units: 4", f"units: {10**9}"))
    return ["predict", "r-1", "d.csv"]


def _model(name: str, change: Callable[[Site, dict[str, bytes]], None], refused: bool = True) -> None:
    """A run whose model.keras has other members than it should."""

    def make(site: Site) -> list[str]:
        file = site.run() / "model.keras"
        with zipfile.ZipFile(file) as archive:
            members = {entry: archive.read(entry) for entry in archive.namelist()}
        change(site, members)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry, content in members.items():
                archive.writestr(entry, content)
        return ["predict", "r-1", "d.csv"]

    add("run", f"model_{name}", make, refused)


def _lambda(site: Site, members: dict[str, bytes]) -> None:
    import base64
    import marshal

    body = base64.b64encode(marshal.dumps(compile(site.code, "x", "exec"))).decode()
    function = {"class_name": "__lambda__", "config": {"code": body, "defaults": None, "closure": None}}
    config = json.loads(members["config.json"])
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "dense", "function": function}}
    config["config"]["layers"][1].update(layer)
    members["config.json"] = json.dumps(config).encode()


def _h5(change: Callable[[Any, Site], None]) -> Callable[[Site, dict[str, bytes]], None]:
    """The weights file, changed by h5py."""

    def changed(site: Site, members: dict[str, bytes]) -> None:
        import h5py

        file = site.base / "w.h5"
        file.write_bytes(members["model.weights.h5"])
        with h5py.File(file, "a") as held:
            change(held, site)
        members["model.weights.h5"] = file.read_bytes()
        file.unlink()

    return changed


KERNEL = "layers/dense/vars/0"  # (2, 4)


def _kernel(make: Callable[[Any, Site, Any], None]) -> Callable[[Site, dict[str, bytes]], None]:
    def change(held: Any, site: Site) -> None:
        import h5py

        del held[KERNEL]
        make(held, site, h5py)

    return _h5(change)


def _outside_h5(site: Site, h5py: Any) -> str:
    with h5py.File(site.outside / "w.h5", "w") as held:
        held["x"] = np.zeros((2, 4), np.float32)
    return str(site.outside / "w.h5")


def _external_link(held: Any, site: Site, h5py: Any) -> None:
    held[KERNEL] = h5py.ExternalLink(_outside_h5(site, h5py), "/x")


def _virtual(held: Any, site: Site, h5py: Any) -> None:
    layout = h5py.VirtualLayout((2, 4), "<f4")
    layout[:] = h5py.VirtualSource(_outside_h5(site, h5py), "x", (2, 4))
    held.create_virtual_dataset(KERNEL, layout)


def _loops(held: Any, site: Site) -> None:
    group = held.create_group("layers/x")
    group["a"] = group["b"] = group


def _virtual_bomb(held: Any, site: Site, h5py: Any) -> None:
    layout = h5py.VirtualLayout((10**9, 4), "<f4")
    held.create_virtual_dataset(KERNEL, layout)


def _storage(place: Callable[[Site], str]) -> Callable[[Any, Site, Any], None]:
    def make(held: Any, site: Site, h5py: Any) -> None:
        held.create_dataset(KERNEL, (2, 4), "<f4", external=[(place(site), 0, 32)])

    return make


def _fifo_outside(site: Site) -> str:
    os.mkfifo(site.outside / "fifo")
    return str(site.outside / "fifo")


def _types_of_h5(held: Any, site: Site, h5py: Any) -> None:
    held.create_dataset(KERNEL, (2, 4), h5py.string_dtype())
    held["layers/dense/vars/0"][:] = site.pickled.decode("latin-1").replace("\0", "")


_model("lambda", _lambda, refused=False)
_model("config_depth", lambda s, m: m.update({"config.json": b"[" * (50 * MIB)}), refused=False)
_model("without_weights", lambda s, m: m.pop("model.weights.h5") and None)
_model("weights_pickled", lambda s, m: m.update({"model.weights.h5": s.pickled}))
_model(
    "asset_climbs",
    lambda s, m: m.update({"../../../outside/new": b"x", "assets/../../../outside/new": b"x"}),
    refused=False,
)
_model("external_link", _kernel(_external_link))
_model("soft_link", _kernel(lambda f, s, h: f.__setitem__(KERNEL, h.SoftLink("/layers/dense_1/vars/0"))))
_model("soft_link_loop", _kernel(lambda f, s, h: f.__setitem__(KERNEL, h.SoftLink(f"/{KERNEL}"))))
_model("group_loop", _kernel(lambda f, s, h: f.__setitem__(KERNEL, f["layers"])))
_model("group_loops", _h5(_loops))
_model("virtual_dataset", _kernel(_virtual))
_model("virtual_dataset_bomb", _kernel(_virtual_bomb))
_model("external_storage", _kernel(_storage(lambda s: str(s.secret))))
_model("external_storage_endless", _kernel(_storage(lambda s: "/dev/zero")))
_model("external_storage_fifo", _kernel(_storage(_fifo_outside)))
_model("shape", _kernel(lambda f, s, h: f.create_dataset(KERNEL, data=np.zeros((4, 2), np.float32)) and None))
_model("claims", _kernel(lambda f, s, h: f.create_dataset(KERNEL, (10**12,), "<f4", chunks=(1024,)) and None))
_model("texts", _kernel(_types_of_h5))
_model(
    "deflated",
    _kernel(lambda f, s, h: f.create_dataset(KERNEL, (10**9,), "<f4", chunks=(10**6,), compression="gzip") and None),
)
_model("attribute_claims", _h5(lambda f, s: f["layers/dense/vars"].attrs.__setitem__("name", ESCAPE)), refused=False)
_model("cut", lambda s, m: m.update({"model.weights.h5": m["model.weights.h5"][:4000]}))
_model(
    "garbled",
    lambda s, m: m.update(
        {"model.weights.h5": bytes(b ^ (n % 251 == 0) * 255 for n, b in enumerate(m["model.weights.h5"]))}
    ),
)


@trap("run")
def model_is_a_pickle(site: Site) -> list[str]:
    (site.run() / "model.keras").write_bytes(site.pickled)
    return ["predict", "r-1", "d.csv"]


@trap("run")
def model_is_a_zip_bomb(site: Site) -> list[str]:
    zip_bomb(site.run() / "model.keras", "model.weights.h5", 3900 * MIB, b"\x89HDF\r\n\x1a\n")
    return ["predict", "r-1", "d.csv"]


def _checkpoint(name: str, change: Callable[[Site, Path], None], refused: bool = True) -> None:
    def make(site: Site) -> list[str]:
        place = site.stopped() / "checkpoints" / "1"
        change(site, place)
        if not place.is_symlink():
            seal(place)
        return ["resume", "r-1"]

    add("run", f"checkpoint_{name}", make, refused)


def _linked_checkpoint(site: Site, place: Path) -> None:
    shutil.move(place, site.outside / "1")
    place.symlink_to(site.outside / "1")


def _object_state(site: Site, place: Path) -> None:
    npz(place / "state.npz", **{"weights/0": npy((1,), "'|O'", site.pickled)})


def _events_climb(site: Site, place: Path) -> None:
    edited(place / "state.json", events={"../../../outside/secret.txt": 0, str(site.secret): 1})


_checkpoint("pickled", lambda s, p: (p / "state.npz").write_bytes(s.pickled) and None)
_checkpoint("objects", _object_state)
_checkpoint("claims", lambda s, p: npz(p / "state.npz", **{"weights/0": npy((10**12,))}))
_checkpoint(
    "bomb", lambda s, p: zip_bomb(p / "state.npz", "weights/0.npy", 3500 * MIB, npy(((3500 * MIB - 128) // 4,)))
)
_checkpoint("linked", _linked_checkpoint)
_checkpoint("events_climb", _events_climb, refused=False)
_checkpoint("state_of_nonsense", lambda s, p: edited(p / "state.json", step="x", history={"bytes": -1, "sha256": 0}))
_checkpoint("huge_history", lambda s, p: edited(p / "state.json", step=10**30, epochs=10**30, seconds={}))


@trap("run")
def checkpoint_fifo(site: Site) -> list[str]:
    place = site.stopped() / "checkpoints" / "1" / "state.npz"
    place.unlink()
    os.mkfifo(place)
    return ["resume", "r-1"]


@trap("run")
def tensorboard_linked(site: Site) -> list[str]:
    run = site.stopped()
    shutil.move(run / "tensorboard", site.outside / "tensorboard")
    (run / "tensorboard").symlink_to(site.outside / "tensorboard")
    return ["resume", "r-1"]


@trap("run")
def checkpoints_linked(site: Site) -> list[str]:
    run = site.stopped()
    shutil.move(run / "checkpoints", site.outside / "checkpoints")
    (run / "checkpoints").symlink_to(site.outside / "checkpoints")
    return ["resume", "r-1", "-s", "epochs=3"]


@trap("run", refused=False)
def log_is_a_hard_link(site: Site) -> list[str]:
    run = site.stopped()
    (run / "log.txt").unlink()
    os.link(site.secret, run / "log.txt")
    return ["resume", "r-1"]


@trap("run", refused=False)
def note_is_a_hard_link(site: Site) -> list[str]:
    os.link(site.secret, site.run() / "note.txt")
    return ["note", "r-1", "words"]


@trap("run", refused=False)
def note_through_a_link(site: Site) -> list[str]:
    (site.run() / "note.txt").symlink_to(site.outside / "new")
    return ["note", "r-1", "words"]


@trap("run", refused=False)
def trash_is_a_link(site: Site) -> list[str]:
    site.run()
    (site.here / "runs" / ".trash").symlink_to(site.outside)
    return ["rm", "r-1"]


@trap("run", refused=False)
def trash_emptied_through_links(site: Site) -> list[str]:
    site.run()
    (site.here / "runs" / ".trash").mkdir()
    (site.here / "runs" / ".trash" / "x-1").symlink_to(site.outside)
    return ["rm", "--empty"]


@trap("run", refused=False)
def runs_in_a_loop(site: Site) -> list[str]:
    run = site.run()
    (run / "runs").symlink_to("..")
    for number in range(2, 2000):
        (run.parent / f"x-{number}").symlink_to(".")
    return ["list"]


@trap("run", refused=False)
def predictions_pickled(site: Site) -> list[str]:
    run = site.run()
    shutil.copytree(run, run.with_name("r-2"))
    (run / "predictions.npz").write_bytes(site.pickled)
    npz(run.with_name("r-2") / "predictions.npz", index=npy((1,), "'|O'", site.pickled), label=site.pickled)
    return ["compare", "r-1", "r-2"]


@trap("run", refused=False)
def predictions_plotted(site: Site) -> list[str]:
    run = site.run()
    objects = npy((1,), "'|O'", site.pickled)
    npz(run / "predictions.npz", index=objects, label=objects, prediction=npy((10**12,)))
    return ["plot", "r-1", "-o", "out"]


# Images


def _picture(name: str, content: Callable[[Site], bytes], file: str = "x.png") -> None:
    """An image, to predict with a run of images."""

    def make(site: Site) -> list[str]:
        site.run("i")
        site.write(file, content(site))
        return ["predict", "r-1", file]

    add("image", name, make)


def _jpeg_of_much_exif(site: Site) -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", exif=exif)
    raw = stream.getvalue()
    segment = raw[2 : 2 + 2 + int.from_bytes(raw[4:6], "big")]
    return raw[:2] + segment * 1500 + raw[2 + len(segment) :][:100]


def _tiff_of_bad_offsets(site: Site) -> bytes:
    tags = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 2**30, 2**31)]
    tags += [(278, 4, 1, 2**32 - 1), (279, 4, 2**28, 2**32 - 1)]
    body = b"".join(struct.pack("<2H2I", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 8)


def _gif_of_many_frames(site: Site) -> bytes:
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b"," + struct.pack("<4HB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<2H3B", 65535, 65535, 0x80, 0, 0) + bytes(6) + frame * 100_000 + b";"


def _gif_of_small_frames(site: Site) -> bytes:
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b"," + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<2H3B", 1, 1, 0x80, 0, 0) + bytes(6) + frame * 100_000


_picture("png_of_60000_squared", lambda s: png(60_000, 60_000, 1, 0))
_picture(
    "png_claims",
    lambda s: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", 2**31 - 1, 2**31 - 1, 16, 6, 0, 0, 0)),
)
_picture("png_text_bomb", lambda s: png(8, 8, 8, 2, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 * MIB), 9)) * 3))
_picture("png_profile_bomb", lambda s: png(8, 8, 8, 2, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200 * MIB), 9))))
_picture("jpeg_cut", lambda s: picture("JPEG", 256)[:400], "x.jpg")
_picture("jpeg_claims", lambda s: picture("JPEG").replace(struct.pack(">2H", 8, 8), b"\xff\xff\xff\xff"), "x.jpg")
_picture("jpeg_of_much_exif", _jpeg_of_much_exif, "x.jpg")
_picture("tiff_of_bad_offsets", _tiff_of_bad_offsets, "x.tif")
_picture("gif_of_large_frames", _gif_of_many_frames, "x.gif")
_picture(
    "svg_as_png",
    lambda s: (
        f'<!DOCTYPE s [<!ENTITY x SYSTEM "file://{s.secret}">]><svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:{s.port}/"/><text>&x;</text></svg>'.encode()
    ),
)
_picture(
    "eps_as_png",
    lambda s: f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(%pipe%{s.shell}) (w) file\nshowpage\n".encode(),
)
_picture(
    "fits_as_png",
    lambda s: b"".join(
        line.ljust(80).encode()
        for line in ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 99999999", "NAXIS2  = 99999999", "END")
    ).ljust(2880),
)
_picture("escapes_in_name", lambda s: b"no image", f"x{ESCAPE}.png")


@trap("image", refused=False)
def gif_of_many_frames(site: Site) -> list[str]:
    site.run("i")
    site.write("x.gif", _gif_of_small_frames(site))
    return ["predict", "r-1", "x.gif"]


@trap("image", refused=False)
def large_images_side_by_side(site: Site) -> list[str]:
    raw = png(7000, 7000, 16, 6)
    for name in "ab":
        for number in range(3):
            site.write(f"photos/{name}/{number}.png", raw)
    return site.spec(FOLDER_SPEC)


@trap("image", refused=False)
def folder_of_links_and_pipes(site: Site) -> list[str]:
    folder = photos(site)
    os.mkfifo(folder / "a" / "pipe.png")
    (folder / "a" / "zero.png").symlink_to("/dev/zero")
    (folder / "b" / "out.png").symlink_to(site.secret)
    (folder / "b" / "loop").symlink_to("..")
    (folder / "c").symlink_to(site.outside)
    return site.spec(FOLDER_SPEC)


@trap("image", refused=False)
def folder_of_escapes(site: Site) -> list[str]:
    for number in range(4):
        site.write(f"photos/a{ESCAPE}/{number}.png", picture("PNG"))
        site.write(f"photos/b/{number}{ESCAPE}.png", picture("PNG") if number else b"no image")
    return site.spec(FOLDER_SPEC)


@trap("image")
def table_of_files_outside(site: Site) -> list[str]:
    photos(site)
    site.outside.joinpath("x.png").write_bytes(picture("PNG"))
    site.write("photos/l.csv", f"file,label\na/0.png,a\n../../outside/x.png,b\n{site.outside}/x.png,b\n")
    return site.spec(FOLDER_SPEC.replace("size: 8", "size: 8, labels: photos/l.csv"))


@trap("image")
def table_of_files_is_a_pipe(site: Site) -> list[str]:
    os.mkfifo(photos(site) / "l.csv")
    return site.spec(FOLDER_SPEC.replace("size: 8", "size: 8, labels: photos/l.csv"))


@trap("image")
def image_is_a_pipe(site: Site) -> list[str]:
    site.run("i")
    os.mkfifo(site.here / "x.png")
    return ["predict", "r-1", "x.png"]


@trap("image")
def image_is_endless(site: Site) -> list[str]:
    site.run("i")
    (site.here / "x.png").symlink_to("/dev/zero")
    return ["predict", "r-1", "x.png"]


@trap("image", refused=False)
def predicted_folder_of_pipes(site: Site) -> list[str]:
    site.run("i")
    site.write("in/a.png", picture("PNG"))
    os.mkfifo(site.here / "in" / "b.png")
    (site.here / "in" / "c.png").symlink_to("/dev/zero")
    return ["predict", "r-1", "in"]


# Archives


def _tar(name: str, *members: tuple[str, bytes, dict[str, Any]], refused: bool = True) -> None:
    def make(site: Site) -> list[str]:
        def filled(text: Any) -> Any:
            return text.replace("OUTSIDE", str(site.outside)) if isinstance(text, str) else text

        told = [(filled(n), content, {k: filled(v) for k, v in fields.items()}) for n, content, fields in members]
        tar(site.here / "x.tar.gz", *told)
        return ["data", "add", "mnist", "x.tar.gz"]

    add("archive", f"tar_{name}", make, refused)


_tar("climbs", ("../outside/new", b"x", {}), ("../../outside/new", b"x", {}))
_tar("climbs_inside", ("train/../../x", b"x", {}))
_tar("absolute", ("OUTSIDE/new", b"x", {}))
_tar("link", ("d", b"", {"type": tarfile.SYMTYPE, "linkname": "OUTSIDE"}), ("d/new", b"x", {}))
_tar("hard_link", ("d", b"", {"type": tarfile.LNKTYPE, "linkname": "OUTSIDE/secret.txt"}), ("d", b"x", {}))
_tar("device", ("d", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}))
_tar("fifo", ("train-labels-idx1-ubyte", b"", {"type": tarfile.FIFOTYPE}))
_tar("twice", ("a", b"x", {}), ("a", b"y", {}))
_tar("escapes", (f"../{ESCAPE}", b"x", {}))
_tar("file_as_folder", ("a", b"x", {}), ("a/b", b"y", {}))
_tar("long_name", ("a/" * 3000 + "x", b"x", {}))
_tar("backslashes", ("..\\..\\x", b"x", {}))
_tar("set_uid", ("train/0/a.png", b"x", {"mode": 0o7777, "uid": 0}))


def _zip(name: str, *members: tuple[str, bytes, int]) -> None:
    def make(site: Site) -> list[str]:
        with zipfile.ZipFile(site.here / "x.zip", "w") as archive:
            for entry, content, mode in members:
                told = zipfile.ZipInfo(entry.replace("OUTSIDE", str(site.outside)))
                told.external_attr, told.create_system = mode << 16, 3
                archive.writestr(told, content.replace(b"OUTSIDE", str(site.outside).encode()))
        return ["data", "add", "cifar10", "x.zip"]

    add("archive", f"zip_{name}", make)


_zip("climbs", ("../outside/new", b"x", 0o100644))
_zip("absolute", ("OUTSIDE/new", b"x", 0o100644))
_zip("link", ("d", b"OUTSIDE", stat.S_IFLNK | 0o777), ("d/new", b"x", 0o100644))
_zip("device", ("d", b"", stat.S_IFCHR | 0o666))
_zip("climbs_inside", ("train/../../x", b"x", 0o100644))
_zip("drive", ("C:\\x", b"x", 0o100644))


@trap("archive")
def zip_of_a_lie(site: Site) -> list[str]:
    zip_bomb(site.here / "x.zip", "data_batch_1", 3900 * MIB, claims=100)
    return ["data", "add", "cifar10", "x.zip"]


@trap("archive")
def zip_of_zeros(site: Site) -> list[str]:
    zip_bomb(site.here / "x.zip", "train-labels-idx1-ubyte", 3000 * MIB)
    with zipfile.ZipFile(site.here / "x.zip", "a") as archive:
        for stem in ("t10k-labels-idx1", "t10k-images-idx3", "train-images-idx3"):
            archive.writestr(f"{stem}-ubyte", bytes([0, 0, 8, 1, 0, 0, 0, 1, 1]))
    return ["data", "add", "mnist", "x.zip"]


@trap("archive")
def zip_of_overlapping_bombs(site: Site) -> list[str]:
    zip_bomb(site.here / "y.zip", "a", 3900 * MIB)
    raw = (site.here / "y.zip").read_bytes()
    at = raw.rindex(b"PK\1\2")
    entry = raw[at : raw.rindex(b"PK\5\6")]
    entries = b"".join(entry[:-1] + bytes([n]) for n in b"abcdefgh")
    site.write("x.zip", raw[:at] + entries + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 8, 8, len(entries), at, 0))
    return ["data", "add", "mnist", "x.zip"]


@trap("archive")
def tar_of_a_million_members(site: Site) -> list[str]:
    block = tarfile.TarInfo("a").tobuf()
    packed = gzip.compress(block * 10_000, 1)
    site.write("x.tar.gz", packed * 101)
    return ["data", "add", "mnist", "x.tar.gz"]


@trap("archive")
def tar_of_many_empty_files(site: Site) -> list[str]:
    with gzip.open(site.here / "x.tar.gz", "wb", 1) as out:
        for number in range(100_000):
            out.write(tarfile.TarInfo(str(number)).tobuf())
    return ["data", "add", "mnist", "x.tar.gz"]


@trap("archive")
def tar_of_xz_zeros(site: Site) -> list[str]:
    site.write("x.tar.xz", lzma.compress(bytes(64 * MIB), preset=0) * 64)
    return ["data", "add", "mnist", "x.tar.xz"]


def _long_header(name: str, kind: bytes, mib: int) -> None:
    """A header of tar that is itself as large as a disk: tarfile reads it whole."""

    def make(site: Site) -> list[str]:
        member = tarfile.TarInfo("x")
        member.type, member.size = kind, mib * MIB
        gz_bomb(site.here / "x.tar.gz", member.tobuf(), mib)
        return ["data", "add", "mnist", "x.tar.gz"]

    add("archive", name, make)


_long_header("tar_pax_header_bomb", tarfile.XHDTYPE, 3072)
_long_header("tar_long_name_bomb", tarfile.GNUTYPE_LONGNAME, 3072)


@trap("archive")
def tar_sparse_bomb(site: Site) -> list[str]:
    member = tarfile.TarInfo("train-labels-idx1-ubyte")
    member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**13), "GNU.sparse.major": "0"}
    site.write("x.tar.gz", gzip.compress(member.tobuf(tarfile.PAX_FORMAT) + bytes(1024)))
    return ["data", "add", "mnist", "x.tar.gz"]


@trap("archive")
def idx_bomb(site: Site) -> list[str]:
    for stem in ("train-labels-idx1", "t10k-labels-idx1", "t10k-images-idx3"):
        site.write(f"m/{stem}-ubyte", bytes([0, 0, 8, 1, 0, 0, 0, 1, 1]))
    gz_bomb(
        site.write("m/train-images-idx3-ubyte.gz", b""), bytes([0, 0, 8, 1]) + (3072 * MIB).to_bytes(4, "big"), 3072
    )
    return ["data", "add", "mnist", "m"]


@trap("archive")
def idx_claims(site: Site) -> list[str]:
    for stem in ("train-labels-idx1", "t10k-labels-idx1", "t10k-images-idx3", "train-images-idx3"):
        site.write(f"m/{stem}-ubyte", bytes([0, 0, 8, 255]) + b"\xff" * 1020)
    return ["data", "add", "mnist", "m"]


@trap("archive")
def idx_is_a_pipe(site: Site) -> list[str]:
    for stem in ("train-labels-idx1", "t10k-labels-idx1", "t10k-images-idx3", "train-images-idx3"):
        (site.here / "m").mkdir(exist_ok=True)
        os.mkfifo(site.here / "m" / f"{stem}-ubyte")
    return ["data", "add", "mnist", "m"]


@trap("archive")
def idx_is_endless(site: Site) -> list[str]:
    for stem in ("train-labels-idx1", "t10k-labels-idx1", "t10k-images-idx3", "train-images-idx3"):
        (site.here / "m").mkdir(exist_ok=True)
        (site.here / "m" / f"{stem}-ubyte").symlink_to("/dev/zero")
    return ["data", "add", "mnist", "m"]


def _batches(name: str, content: Callable[[Site], bytes], refused: bool = True) -> None:
    def make(site: Site) -> list[str]:
        raw = content(site)
        tar(site.here / "x.tar.gz", *[(f"cifar-10-batches-py/{n}", raw, {}) for n in ("data_batch_1", "test_batch")])
        return ["data", "add", "cifar10", "x.tar.gz"]

    add("archive", f"cifar_{name}", make, refused)


def _sneaky(site: Site) -> bytes:
    held = {b"data": bytes(3072), b"labels": [1], b"x": _Evil(site.shell, os.system), b"y": _Evil(site.code)}
    return pickle.dumps(held, 4)


_batches("os_system", lambda s: pickle.dumps(_Evil(s.shell, os.system), 2))
_batches("whole_and_os_system", _sneaky, refused=False)
_batches("large_label", lambda s: pickle.dumps({b"data": bytes(3072), b"labels": [10**12]}, 4))
_batches("larger_label", lambda s: pickle.dumps({b"data": bytes(3072), b"labels": [10**4000]}, 4))
_batches("claims", lambda s: b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.")
_batches("integer_of_a_million_digits", lambda s: b"\x80\x04I" + b"9" * 1_000_000 + b"\n.")
_batches("wide_text", lambda s: pickle.dumps({b"data": "\u1234" * 3072, b"labels": [1]}, 4))


@trap("archive")
def cifar_batch_is_a_pipe(site: Site) -> list[str]:
    (site.here / "c").mkdir()
    os.mkfifo(site.here / "c" / "data_batch_1")
    return ["data", "add", "cifar10", "c"]


@trap("archive")
def cifar_batch_is_endless(site: Site) -> list[str]:
    (site.here / "c").mkdir()
    (site.here / "c" / "data_batch_1").symlink_to("/dev/zero")
    return ["data", "add", "cifar10", "c"]


@trap("archive")
def cifar_binary_is_endless(site: Site) -> list[str]:
    (site.here / "c").mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (site.here / "c" / name).symlink_to("/dev/zero")
    return ["data", "add", "cifar10", "c"]


def _stored(name: str, make_file: Callable[[Site, Path], None]) -> None:
    def make(site: Site) -> list[str]:
        make_file(site, site.here / "x.npz")
        return ["data", "add", "mnist", "x.npz"]

    add("archive", f"npz_{name}", make)


def _four_with_a_bomb(site: Site, path: Path) -> None:
    zip_bomb(path, "x_train.npy", 3500 * MIB, npy((3500 * MIB - 128,), "'|u1'"))
    with zipfile.ZipFile(path, "a") as archive:
        for part in PARTS[1:]:
            archive.writestr(f"{part}.npy", saved(np.zeros(1, np.uint8)))


PARTS = ("x_train", "y_train", "x_test", "y_test")
_stored("pickled", lambda s, p: p.write_bytes(s.pickled) and None)
_stored("objects", lambda s, p: npz(p, **dict.fromkeys(PARTS, npy((1,), "'|O'", s.pickled))))
_stored("claims", lambda s, p: npz(p, **dict.fromkeys(PARTS, npy((10**12,), "'|u1'"))))
_stored("bomb", _four_with_a_bomb)
_stored("fifo", lambda s, p: os.mkfifo(p))
_stored("endless", lambda s, p: p.symlink_to("/dev/zero"))


@trap("archive")
def npy_objects_in_a_zip(site: Site) -> list[str]:
    with zipfile.ZipFile(site.here / "x.zip", "w") as archive:
        for part in PARTS:
            archive.writestr(f"{part}.npy", npy((1,), "'|O'", site.pickled))
    return ["data", "add", "mnist", "x.zip"]


@trap("archive")
def archive_is_a_pipe(site: Site) -> list[str]:
    os.mkfifo(site.here / "x.tar.gz")
    return ["data", "add", "mnist", "x.tar.gz"]


@trap("archive")
def archive_is_endless(site: Site) -> list[str]:
    (site.here / "x.tar.gz").symlink_to("/dev/zero")
    return ["data", "add", "mnist", "x.tar.gz"]


# Tables


def _table(name: str, content: Callable[[], bytes], *words: str, refused: bool = True) -> None:
    def make(site: Site) -> list[str]:
        site.write("x.csv", content())
        if words[0] == "predict":
            site.run()
        return [*words] if words[0] != "check" else site.spec(CSV_SPEC)

    add("table", name, make, refused)


def _wide() -> bytes:
    return b",".join(b"c%d" % n for n in range(1_000_000)) + b",label\n" + (b"1," * 1_000_000 + b"x\n") * 2


_table("a_million_columns", _wide, "check", refused=False)
_table("a_million_columns_predicted", _wide, "predict", "r-1", "x.csv")
_table("a_million_columns_begun", _wide, "init", "x.csv", refused=False)
_table("nul_bytes", lambda: b"a,b,label\n1,\0,x\n2,\0\0,y\n" * 3, "check", refused=False)
_table("nul_bytes_predicted", lambda: b"a,b\n1,\0\n", "predict", "r-1", "x.csv")
_table(
    "field_of_50_mb", lambda: b'a,b,label\n1,"' + b"x" * (50 * MIB) + b'",y\n' + b"1,2,x\n" * 9, "check", refused=False
)
_table("field_of_50_mb_predicted", lambda: b'a,b\n1,"' + b"x" * (50 * MIB) + b'"\n', "predict", "r-1", "x.csv")
_table("open_quote", lambda: b'a,b,label\n1,"' + b"x\n" * (5 * MIB), "check")
_table("no_utf_8", lambda: b"a,b,label\n1,\xff\xfe\x80,x\n2,3,y\n", "check")
_table("no_utf_8_predicted", lambda: b"a,b\n1,\xff\xfe\x80\n", "predict", "r-1", "x.csv")
_table("long_numbers", lambda: b"a,b,label\n" + b"9" * 100_000 + b",1e999999,x\n2,-inf,y\n" * 5, "check", refused=False)
_table("long_numbers_predicted", lambda: b"a,b\n" + b"9" * 100_000 + b",1\n", "predict", "r-1", "x.csv")
_table(
    "escapes_begun",
    lambda: f"a{WORD},{WORD},label\n1,2,x{WORD}\n3,4,y\n5,6,y\n".encode() * 3,
    "init",
    "x.csv",
    refused=False,
)
_table(
    "columns_say_yaml",
    lambda: b'"a: !!python/object/apply:os.system [x]","b\n  imports: [x.py]",label\n1,2,x\n3,4,y\n',
    "init",
    "x.csv",
    refused=False,
)
_table("escapes_in_table", lambda: f"a{WORD},b,label\n1,{WORD},x{WORD}\n3,4,y\n".encode() * 5, "check", refused=False)
_table("escapes_in_table_predicted", lambda: f"a{WORD},b\n1,{WORD}\n".encode(), "predict", "r-1", "x.csv")


@trap("table")
def table_is_endless(site: Site) -> list[str]:
    site.run()
    (site.here / "x.csv").symlink_to("/dev/zero")
    return ["predict", "r-1", "x.csv"]


@trap("table")
def table_is_a_pipe(site: Site) -> list[str]:
    site.run()
    os.mkfifo(site.here / "x.csv")
    return ["predict", "r-1", "x.csv"]


@trap("table")
def table_begun_is_endless(site: Site) -> list[str]:
    (site.here / "x.csv").symlink_to("/dev/zero")
    return ["init", "x.csv"]


@trap("table", refused=False)
def a_class_for_each_row(site: Site) -> list[str]:
    with (site.here / "x.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["a", "b", "label"])
        rows.writerows([n, f"w{n}", f"c{n % 50_000}"] for n in range(200_000))
    return site.spec(CSV_SPEC)


# Arrays


def _array(name: str, content: Callable[[Site], bytes]) -> None:
    def make(site: Site) -> list[str]:
        site.run()
        site.write("x.npy", content(site))
        return ["predict", "r-1", "x.npy"]

    add("array", f"npy_{name}", make)


_array("pickled", lambda s: s.pickled)
_array("objects", lambda s: npy((1,), "'|O'", s.pickled))
_array("structured_objects", lambda s: npy((1,), "[('a', '|O'), ('b', '<f4')]", s.pickled))
_array("claims", lambda s: npy((10**12, 2)))
_array("claims_more", lambda s: npy((10**30, 2)))
_array("negative", lambda s: npy((-1, 2), body=bytes(64)))
_array("header_is_code", lambda s: npy(f"__import__('os').system({s.shell!r})"))
_array("header_depth", lambda s: npy("(" * 9000 + ")" * 9000))
_array("texts", lambda s: saved(np.array([ESCAPE, "x"])))
_array("no_dimensions", lambda s: npy("()", body=bytes(4)))


def _arrays(name: str, content: Callable[[Site, Path], None], spec: bool = False) -> None:
    def make(site: Site) -> list[str]:
        content(site, site.here / "x.npz")
        if spec:
            return site.spec(ARRAY_SPEC)
        site.run()
        return ["predict", "r-1", "x.npz"]

    add("array", f"arrays_{name}" + "_trained" * spec, make)


for _spec_too in (False, True):
    _arrays("objects", lambda s, p: npz(p, x=npy((2, 2), "'|O'", s.pickled), y=npy((2,), "'|O'", s.pickled)), _spec_too)
    _arrays("claims", lambda s, p: npz(p, x=npy((10**12, 2)), y=npy((10**12,))), _spec_too)
    _arrays("bomb", lambda s, p: zip_bomb(p, "x.npy", 3500 * MIB, npy(((3500 * MIB - 128) // 8, 2))), _spec_too)
    _arrays("fifo", lambda s, p: os.mkfifo(p), _spec_too)
_arrays("many_members", lambda s, p: npz(p, **{f"a{n}": b"x" for n in range(60_000)}))
_arrays("huge_class", lambda s, p: npz(p, x=saved(np.zeros((4, 2))), y=saved(np.array([0, 1, 2**62, 3]))), True)


# The driver


def tree(folder: Path) -> dict[str, str]:
    """What is below a folder: a link by its target, a file by its contents and mode."""
    found: dict[str, str] = {}
    for place in sorted(folder.rglob("*")):
        mode = place.lstat().st_mode
        content = ""
        if stat.S_ISLNK(mode):
            content = os.readlink(place)
        elif stat.S_ISREG(mode):
            content = hashlib.sha256(place.read_bytes()).hexdigest()
        found[str(place.relative_to(folder))] = f"{mode:o} {content}"
    return found


def memory(process: int) -> float:
    """The most bytes that the processes of a group have held at once, as far as each tells it; 0 once they are gone."""
    most = 0.0
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            if os.getpgid(int(place.name)) == process:
                lines = (place / "status").read_text().splitlines()
                most += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        except OSError:
            continue
    return most


@dataclass
class Seen:
    code: int
    seconds: float
    memory: float
    stdout: bytes
    stderr: bytes
    stopped: str  # why the driver ended it


def watched(words: list[str], folder: Path, environment: dict[str, str], log: Path) -> Seen:
    """A dlx process with its time, memory and output bounded."""
    began, most, stopped = time.monotonic(), 0.0, ""
    with (log / "stdout").open("wb") as out, (log / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlx", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        while process.poll() is None:
            most = max(most, memory(process.pid))
            if time.monotonic() - began > LIMIT:
                stopped = f"hung: no end within {LIMIT:.0f} s"
            elif most > FATAL_MEMORY:
                stopped = f"was killed at {most / 2**30:.1f} GiB of memory"
            elif out.tell() + err.tell() > MOST_OUTPUT or (log / "stdout").stat().st_size > MOST_OUTPUT:
                stopped = "was killed for what it printed"
            if stopped:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                break
            time.sleep(0.02)
    seconds = time.monotonic() - began
    output = [(log / name).read_bytes()[:MOST_OUTPUT] for name in ("stdout", "stderr")]
    return Seen(process.returncode, seconds, most, output[0], output[1], stopped)


def controls(raw: bytes) -> set[str]:
    """The control characters that a terminal would obey."""
    text = raw.decode("utf-8", "replace")
    return {c for c in set(text) if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f"}


def fall_into(one: Trap, models: Path, work: Path) -> tuple[Seen, list[str]]:
    """(what was seen of the command, what went wrong) of one artifact."""
    base = work / one.name
    with socket.create_server(("127.0.0.1", 0)) as server:
        site = Site(base, models, server.getsockname()[1])
        for folder in (
            site.here,
            site.outside / "folder",
            base / "data",
            base / "home" / ".keras",
            base / "tmp",
            base / "log",
        ):
            folder.mkdir(parents=True)
        site.secret.write_text(SECRET + "\n")
        (site.outside / "folder" / "kept").write_text("kept\n")
        (base / "payload.py").write_text(site.code)
        words = one.make(site)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("DLX_", "KERAS_", "PYTEST_"))},
            "DLX_RUNS": str(site.here / "runs") if (site.here / "runs").exists() else "runs",
            "DLX_DATA": str(base / "data"),
            "HOME": str(base / "home"),
            "KERAS_HOME": str(base / "home" / ".keras"),
            "TMPDIR": str(base / "tmp"),
            "COLUMNS": "80",
        }
        apart = ("here", "data", "home", "log")
        # In its home a program keeps what it must: the fonts that matplotlib found.
        before = {name: told for name, told in tree(base).items() if not name.startswith(apart)}
        seen = watched(words, site.here, environment, base / "log")
        wrong = [seen.stopped] if seen.stopped else []
        server.setblocking(False)
        try:
            server.accept()[0].close()
            wrong.append("connected")
        except BlockingIOError:
            pass
    if site.canary.exists():
        wrong.append("executed: the canary is there")
    after = {name: told for name, told in tree(base).items() if not name.startswith(apart) and name != "canary"}
    if not seen.stopped or any(name.startswith("outside") and before.get(name) != after[name] for name in after):
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        wrong += [f"wrote outside: {', '.join(map(repr, changed[:4]))}"] if changed else []
    said = seen.stdout + seen.stderr
    if SECRET.encode() in said:
        wrong.append("printed what stands outside")
    for sign in (b"Traceback", b"internal error"):
        if sign in said:
            line = next(line for line in said.splitlines() if sign in line)
            wrong.append(f"said {line.decode('utf-8', 'replace')[:160]!r}")
    if not seen.stopped and seen.code not in ALLOWED:
        wrong.append(f"ended with {seen.code}: {said[-200:].decode('utf-8', 'replace')!r}")
    if seen.code == 0 and one.refused:
        wrong.append("was taken: it ended with 0")
    if seen.memory > MOST_MEMORY and not seen.stopped:
        wrong.append(f"took {seen.memory / 2**30:.1f} GiB")
    if raw := controls(said) if "--json" not in words else set():
        wrong.append(f"printed {', '.join(sorted(map(repr, raw)))}")
    shown = " ".join(repr(word)[1:-1] if not word.isprintable() else word for word in words)[:100]
    shutil.rmtree(base, ignore_errors=True)
    return seen, [f"{one.kind} {one.name} (dlx {shown}): {line}" for line in wrong]


def trained(folder: Path) -> Path:
    """A folder with a run of a table and one of images, to damage copies of."""
    folder.mkdir(parents=True)
    rows = [f"{n % 7},{n % 5},{'xy'[n % 2]}\n" for n in range(12)]
    (folder / "d.csv").write_text("a,b,label\n" + "".join(rows))
    (folder / "t.yaml").write_text(TABLE_SPEC)
    (folder / "i.yaml").write_text(IMAGE_SPEC)
    words = [sys.executable, "-m", "dlx", "run", "t.yaml", "i.yaml", "--runs-dir", "runs"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder


def chosen(count: int, seed: int) -> Iterator[Trap]:
    """`count` of the traps, spread over the kinds; all of them where there are no more."""
    chance = random.Random(seed)
    shelves = {kind: [one for one in TRAPS if one.kind == kind] for kind in dict.fromkeys(one.kind for one in TRAPS)}
    for shelf in shelves.values():
        chance.shuffle(shelf)
    left = count
    while left > 0 and any(shelves.values()):
        for shelf in shelves.values():
            if shelf and left > 0:
                left -= 1
                yield shelf.pop()


def torture(count: int, work: Path, seed: int = 0, workers: int = 2) -> tuple[str, list[str]]:
    """(the figures, what went wrong) of `count` hostile artifacts."""
    models = trained(work / "models")
    picked = list(chosen(count, seed))

    def one(item: Trap) -> tuple[Seen | None, list[str]]:
        try:
            return fall_into(item, models, work / "traps")
        except Exception as error:
            return None, [f"{item.kind} {item.name}: the artifact cannot be made: {type(error).__name__}: {error}"]

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(one, picked))
    wrong = [line for _, lines in found for line in lines]
    seen = [each for each, _ in found if each is not None]
    kinds = ", ".join(f"{kind} {number}" for kind, number in Counter(item.kind for item in picked).items())
    figures = (
        f"{len(picked)} hostile artifacts ({kinds}): {sum(': executed' in line for line in wrong)} executed, "
        f"{sum(': wrote outside' in line for line in wrong)} wrote outside, "
        f"{sum(line.endswith(': connected') for line in wrong)} connected, "
        f"most memory {max(each.memory for each in seen) / MIB:.0f} MiB, "
        f"slowest {max(each.seconds for each in seen):.1f} s"
    )
    return figures, wrong
