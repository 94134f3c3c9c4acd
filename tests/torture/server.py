"""A server among people who send anything: no 500, no growth, the next good request is answered; SIGTERM loses nothing."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

SPEC = "dataset: digits\ntest: 0.2\nlayers: [flatten, {dense: 16}, output]\nepochs: 3\nbatch_size: full\n"
GROWTH = 200 * 2**20  # bytes that a process may have more at the end
LIMIT = 30.0  # seconds
LOAD = 16  # clients under which it ends


@contextmanager
def server(folder: Path, *words: str, token: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """(the process, its port) of `dlx serve` in a folder that holds the runs."""
    environment = {**os.environ, **({"DLX_TOKEN": token} if token else {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "dlx", "serve", *words, "--port", "0"],
        cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, process.communicate()[1]
    try:
        yield process, int(line.partition("#")[0].rstrip().rstrip("/").rpartition(":")[2])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def picture(seed: int = 0, size: int = 8) -> bytes:
    """A PNG of noise."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def ask(port: int, path: str, body: bytes, kind: str = "application/octet-stream", **headers: str) -> tuple[int, bytes]:
    """(status, body) of a POST."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    try:
        connection.request("POST", path, body, {"content-type": kind, **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def raw(port: int, data: bytes, wait: bool = True) -> tuple[int, bytes]:
    """(status, what came) of bytes as they are; 0 where the server only closed the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as made:
        made.sendall(data)
        if not wait:
            return 0, b""
        made.shutdown(socket.SHUT_WR)
        came = b""
        try:
            while piece := made.recv(65536):
                came += piece
        except ConnectionError:
            return 0, came
    return (int(came.split(b" ", 2)[1]) if came.startswith(b"HTTP/1.1 ") else 0), came


def _bomb(draw: random.Random) -> bytes:
    """A small file that is large when it is unpacked."""
    if draw.random() < 0.3:
        stream = io.BytesIO()
        Image.new("L", (20_000, 20_000)).save(stream, "PNG", compress_level=1)
        return stream.getvalue()
    if draw.random() < 0.5:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            head = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (10000000, 8, 8, 1), }"
            archive.writestr("x.npy", head.ljust(127) + b"\n" + bytes(4_000_000))
        return stream.getvalue()
    return b"\x89PNG\r\n\x1a\n" + zlib.compress(bytes(draw.randrange(10**6)))


def _damaged(draw: random.Random, good: bytes) -> bytes:
    """Bytes with some changed, cut or doubled."""
    some = bytearray(good)
    for _ in range(draw.randint(1, 8)):
        some[draw.randrange(len(some))] = draw.randrange(256)
    return bytes(some[: draw.randrange(len(some) + 1)]) if draw.random() < 0.5 else bytes(some)


VALUES: list[Any] = [
    None, True, 0, -1, 1e308, "x", "", [], {}, [[]], [[[[[]]]]], [{}], {"a": {}}, {"b64": 1}, {"b64": "!"}, [1, [2]],
    [[["x"]]], {"instances": []}, {"instances": [[1]]}, {"inputs": {}}, {"inputs": [{}]}, {"inputs": [{"name": "input"}]},
    {"inputs": [{"name": "input", "shape": [1, -8], "datatype": "UINT8", "data": [1]}]},
    {"inputs": [{"name": "input", "shape": [10**12], "datatype": "FP32", "data": [1]}]},
    {"inputs": [{"name": "input", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": [300] * 64}]},
    {"inputs": [{"name": "input", "shape": [1, 8, 8, 1], "datatype": "UINT8", "parameters": {"binary_data_size": 99}}]},
    {"inputs": [{"name": 5, "shape": "x", "datatype": [], "data": {}}], "outputs": [5], "parameters": 7, "id": []},
]  # fmt: skip
PATHS = ["/predict", "/predict?top=0", "/predict?model=%00", "/v1/models/digits:predict", "/v2/models/digits/infer",
         "/v2/models/../infer", "/v1/models/x:predict", "/nothing", "/predict/" + "a" * 5000]  # fmt: skip


def _json(draw: random.Random, port: int) -> tuple[int, bytes]:
    value = draw.choice(VALUES)
    body = json.dumps(value).encode()
    body = draw.choice([body, body[:-1], b"[" * 100_000, b'{"a":' * 10_000, b"NaN", b"1" * 100_000, b"\xff\xfe" + body])
    return ask(port, draw.choice(PATHS), body, "application/json")


def _binary(draw: random.Random, port: int) -> tuple[int, bytes]:
    return ask(port, draw.choice(PATHS), _damaged(draw, picture(draw.randrange(99), draw.randint(1, 64))), "image/png")


def _large(draw: random.Random, port: int) -> tuple[int, bytes]:
    body = bytes(draw.choice([16 * 2**20 - 1, 16 * 2**20 + 1, 17 * 2**20]))
    try:
        return ask(port, "/predict", body, draw.choice(["image/png", "application/json", "text/csv"]))
    except ConnectionError:  # refused before all was sent
        return 0, b""


def _unpacked(draw: random.Random, port: int) -> tuple[int, bytes]:
    return ask(port, "/predict", _bomb(draw))


def _form(draw: random.Random, port: int) -> tuple[int, bytes]:
    good = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.png"\r\n\r\n' + picture() + b"\r\n--b--\r\n"
    kind = draw.choice(
        ["multipart/form-data; boundary=b", "multipart/form-data", "multipart/form-data; boundary=" + "c" * 300]
    )
    return ask(port, "/predict", _damaged(draw, good), kind)


def _head(draw: random.Random, port: int) -> tuple[int, bytes]:
    good = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nContent-Type: image/png\r\n\r\n0123456789"
    )
    lines = [
        good[: draw.randrange(len(good))],
        _damaged(draw, good),
        good.replace(b"10", str(draw.choice([-1, 5, 10**20, "x"])).encode()),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"\x16\x03\x01" + draw.randbytes(200),
    ]
    return raw(port, draw.choice(lines))


def _cut(draw: random.Random, port: int) -> tuple[int, bytes]:
    """A body that never comes, or whose sender goes away; the server's time limit is its own test."""
    data = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nContent-Type: image/png\r\n\r\nabc"
    return raw(port, data, wait=False)


KINDS: list[Callable[[random.Random, int], tuple[int, bytes]]] = [_json, _json, _binary, _binary, _form, _head, _cut]
RARE: list[Callable[[random.Random, int], tuple[int, bytes]]] = [_large, _unpacked]


def torture(count: int, work: Path, seed: int = 0) -> tuple[str, list[str]]:
    """(figures, what went wrong) of `count` malformed requests, and of an end under load."""
    (work / "digits.yaml").write_text(SPEC)
    for words in (["run", "digits.yaml"], ["predict", "digits", "--random", "1"]):
        subprocess.run([sys.executable, "-m", "dlx", *words], cwd=work, check=True, capture_output=True)
    draw, wrong, statuses = random.Random(seed), list[str](), Counter[int]()
    with server(work, "digits") as (process, port):
        good = json.loads(ask(port, "/predict", picture(), "image/png")[1])["probabilities"]
        for _ in range(20):
            _unpacked(draw, port)
        before = psutil.Process(process.pid).memory_info().rss
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for made in slow:  # who write a byte now and then
            made.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Len")
        for number in range(count):
            kind = draw.choice(RARE) if number % 25 == 24 else draw.choice(KINDS)
            state = draw.getstate()
            status, body = kind(draw, port)
            statuses[status] += 1
            if status >= 500:
                wrong.append(f"{kind.__name__} {number}: {status} {body[:200]!r} ({hash(state)})")
            if (
                number % 20 == 0
                and json.loads(ask(port, "/predict", picture(), "image/png")[1])["probabilities"] != good
            ):
                wrong.append(f"after {kind.__name__} {number} a good request has another answer")
        grown = psutil.Process(process.pid).memory_info().rss - before
        if grown > GROWTH:
            wrong.append(f"the process has {grown / 2**20:.0f} MB more")
        for made in slow:
            made.close()
    lost, answered, code = ended_under_load(work)
    if lost or code:
        wrong.append(f"SIGTERM under load: {lost} of {answered} requests lost, exit code {code}")
    found = ", ".join(f"{status or 'closed'} {times}" for status, times in sorted(statuses.items()))
    return f"{count} malformed: {found}; {grown / 2**20:+.0f} MB; SIGTERM: {answered} answered, {lost} lost", wrong


def ended_under_load(work: Path) -> tuple[int, int, int]:
    """(requests without an answer, with one, the exit code) of a server that is told to end while LOAD clients ask."""
    body, lost, answered = picture(), list[str](), [0]

    def client(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        while True:
            try:
                connection.connect()
            except OSError:  # nobody listens any more
                return
            try:
                while True:
                    connection.request("POST", "/predict", body, {"content-type": "image/png"})
                    response = connection.getresponse()
                    response.read()
                    answered[0] += response.status == 200
                    if response.will_close:
                        break
            except (OSError, http.client.HTTPException) as error:
                lost.append(repr(error))
            connection.close()

    with server(work, "digits") as (process, port):
        clients = [threading.Thread(target=client, args=(port,)) for _ in range(LOAD)]
        for one in clients:
            one.start()
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        for one in clients:
            one.join(LIMIT)
        code = process.wait(LIMIT)
    return len(lost), answered[0], code
