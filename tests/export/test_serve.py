"""A server of three runs, as programs and people ask it: the answers of `predict`, by every protocol, and its guards."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from browser import chromium, draw_a_line, opened
from conftest import SMALL, Dlx
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "torture"))

from server import picture, server

FLOWERS = "dataset: {csv: {path: flowers.csv, label: kind, missing: median}}\nlayers: [output]\nepochs: 2\n"
TEXTS = """\
dataset: {text_csv: {path: texts.csv, text: text, label: good}}
layers: [{embedding: {input_dim: 9, output_dim: 4}}, global_average_pooling1d, output]
epochs: 2
"""


EMPTY = b'{"inputs": [{"name": "input", "shape": [0, 8, 8, 1], "datatype": "UINT8", "data": []}]}'


@dataclass(frozen=True)
class Site:
    """A folder with runs, and the server of them."""

    world: Path
    port: int
    process: subprocess.Popen[str]

    def ask(
        self, path: str, body: bytes | None = None, kind: str = "application/json", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """(status, the value, the headers) of an answer; a POST where there is a body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            body,
            {**({"content-type": kind} if body is not None else {}), **named},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, raw, given = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            status, raw, given = error.code, error.read(), error.headers
        found = {name.lower(): value for name, value in given.items()}
        return status, json.loads(raw) if "json" in found["content-type"] else raw, found

    def predict(self, *words: str) -> list[Any]:
        """What `dlx predict --json` says of the same."""
        done = subprocess.run(
            [sys.executable, "-m", "dlx", "predict", *words, "--json"],
            cwd=self.world,
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    from examples import train_all

    world = tmp_path_factory.mktemp("serve")
    rows = "".join(f"{n % 7},{'ab'[n % 2]},{'xy'[n % 7 > 3]}\n" for n in range(120))
    (world / "flowers.csv").write_text(f"size,place,kind\n{rows}")
    (world / "texts.csv").write_text("text,good\n" + "a fine day,yes\na bad night,no\n" * 40)
    train_all(world, {"digits": SMALL, "flowers": FLOWERS, "texts": TEXTS})
    (world / "x.png").write_bytes(picture(1, 12))
    (world / "new.csv").write_text("size,place\n1,a\n6,b\n,a\n")
    (world / "new.txt").write_text("a fine night\nbad\n")
    site = Site(world, 0, None)  # type: ignore[arg-type]
    for words in (["digits", "x.png"], ["flowers", "new.csv"], ["texts", "new.txt"]):
        site.predict(*words)
    with server(world, "digits", "flowers", "texts") as (process, port):
        yield Site(world, port, process)


def same(ours: list[Any], theirs: list[Any]) -> bool:
    """Whether answers are those of predict, but for the names of inputs."""
    return len(ours) == len(theirs) and all(
        one["label"] == other["label"] and one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)
        for one, other in zip(ours, theirs, strict=True)
    )


def test_an_image_is_answered_as_predict_does(site: Site) -> None:
    expected = site.predict("digits", "x.png")
    raw = (site.world / "x.png").read_bytes()
    status, value, _ = site.ask("/predict", raw, "image/png")
    assert status == 200
    assert same([value], expected)
    form = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.png"\r\n\r\n' + raw + b"\r\n--b--\r\n"
    _, several, _ = site.ask("/predict", form, "multipart/form-data; boundary=b")
    assert same(several, expected)
    assert several[0]["input"] == "x.png"
    encoded = json.dumps([{"b64": base64.b64encode(raw).decode()}]).encode()
    assert same(site.ask("/predict?top=10", encoded)[1], expected)
    assert len(site.ask("/predict?top=2", raw, "image/png")[1]["probabilities"]) == 2


def test_tables_and_texts_are_answered_as_predict_does(site: Site) -> None:
    expected = site.predict("flowers", "new.csv")
    status, value, _headers = site.ask("/predict?model=flowers", (site.world / "new.csv").read_bytes(), "text/csv")
    assert (status, same(value, expected)) == (200, True)
    rows = json.dumps([{"size": 1, "place": "a"}, {"size": "6", "place": "b"}, {"place": "a"}]).encode()
    assert same(site.ask("/predict?model=flowers", rows)[1], expected)
    assert site.ask("/predict?model=flowers", b'{"size": 1, "place": "a"}')[1]["label"] == expected[0]["label"]
    texts = site.predict("texts", "new.txt")
    assert same(site.ask("/predict?model=texts", b'["a fine night", "bad"]')[1], texts)
    assert same(site.ask("/predict?model=texts", b"a fine night\nbad\n", "text/plain")[1], texts)


def test_what_is_unlike_the_training_is_remarked(site: Site) -> None:
    _, _, headers = site.ask("/predict", picture_of(255), "image/png")
    assert "unlike the training data" in json.loads(headers["dlx-remarks"])[0]


def picture_of(value: int) -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_the_open_inference_protocol(site: Site) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    np.save(site.world / "three.npy", array)
    expected = [list(one["probabilities"].values()) for one in site.predict("digits", "three.npy")]
    assert site.ask("/v2/health/live")[1] == {"live": True}
    assert site.ask("/v2/models/digits/ready")[0] == 200
    about = site.ask("/v2/models/digits")[1]
    assert about["inputs"] == [{"name": "input", "datatype": "UINT8", "shape": [-1, 8, 8, 1]}]
    asked: dict[str, Any] = {"name": "input", "shape": [3, 8, 8, 1], "datatype": "UINT8"}
    body = {"id": "7", "inputs": [{**asked, "data": array.ravel().tolist()}]}
    status, value, _ = site.ask("/v2/models/digits/infer", json.dumps(body).encode())
    assert (status, value["id"], value["outputs"][0]["shape"]) == (200, "7", [3, 10])
    assert np.reshape(value["outputs"][0]["data"], (3, 10)) == pytest.approx(np.array(expected), abs=1e-6)
    head = json.dumps({
        "inputs": [{**asked, "parameters": {"binary_data_size": array.nbytes}}],
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
    }).encode()  # fmt: skip
    _, raw, headers = site.ask(
        "/v2/models/digits/versions/1/infer", head + array.tobytes(), "application/octet-stream",
        inference_header_content_length=str(len(head)),
    )  # fmt: skip
    answers = np.frombuffer(raw[int(headers["inference-header-content-length"]) :], np.float32).reshape(3, 10)
    assert answers == pytest.approx(np.array(expected), abs=1e-6)
    columns = [
        {"name": "size", "shape": [2], "datatype": "FP64", "data": [1, 6]},
        {"name": "place", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]},
    ]
    _, value, _ = site.ask("/v2/models/flowers/infer", json.dumps({"inputs": columns}).encode())
    known = [list(one["probabilities"].values()) for one in site.predict("flowers", "new.csv")][:2]
    assert value["outputs"][0]["data"] == pytest.approx(np.ravel(known).tolist(), abs=1e-6)


def test_tensorflow_serving(site: Site) -> None:
    rows = json.dumps({"instances": [{"size": 1, "place": "a"}, {"size": 6, "place": "b"}]}).encode()
    expected = [list(one["probabilities"].values()) for one in site.predict("flowers", "new.csv")][:2]
    _, value, _ = site.ask("/v1/models/flowers:predict", rows)
    assert np.array(value["predictions"]) == pytest.approx(np.array(expected), abs=1e-6)
    columns = json.dumps({"inputs": {"size": [1, 6], "place": ["a", "b"]}}).encode()
    assert site.ask("/v1/models/flowers/versions/1:predict", columns)[1]["outputs"] == value["predictions"]
    _, _, headers = site.ask("/v1/models/flowers:predict", b'{"instances": [{"size": 1, "place": "mars"}]}')
    assert "never saw" in headers["dlx-remarks"]
    image = json.dumps({"instances": [{"input": {"b64": base64.b64encode(picture()).decode()}}]}).encode()
    assert len(site.ask("/v1/models/digits:predict", image)[1]["predictions"][0]) == 10
    assert site.ask("/v1/models/flowers/versions/1")[0] == 200
    assert site.ask("/v1/models/flowers")[1]["model_version_status"][0]["state"] == "AVAILABLE"
    signature = site.ask("/v1/models/texts/metadata")[1]["metadata"]["signature_def"]["signature_def"]
    assert signature["serving_default"]["inputs"]["text"]["dtype"] == "DT_STRING"


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "words"),
    [
        ("/predict", b"no image", "image/png", 400, "cannot be read as an image"),
        ("/predict", b"", "image/png", 400, "is empty"),
        ("/predict", b"{", "application/json", 400, "no JSON"),
        ("/predict", b"[[1, 2]]", "application/json", 400, "shape"),
        ("/predict", b"a=b", "application/x-www-form-urlencoded", 415, "usual type"),
        ("/predict?model=none", b"x", "image/png", 404, "there is digits, flowers, texts"),
        ("/predict?top=x", b"x", "image/png", 400, "whole number"),
        ("/predict?model=flowers", b"size,plaice\n1,a\n", "text/csv", 400, "'plaice'"),
        ("/predict?model=flowers", b'[{"size": [1]}]', "application/json", 400, "'size' is no text or number"),
        ("/predict", b"[]", "application/json", 400, "empty list"),
        ("/predict?model=flowers", b"[{}]", "application/json", 400, "'size', 'place'"),
        ("/predict?model=flowers", b'[{"size": 1}, {"sise": 1}]', "application/json", 400, "one called 'sise'"),
        ("/predict?model=flowers", b'{"size": 1, "size": 2}', "application/json", 400, "'size' twice"),
        ("/predict?model=flowers", b"[[1, 1, 1]]", "application/json", 400, "by column"),
        ("/predict?model=texts", b"[[1, 1, 1]]", "application/json", 400, "expected texts"),
        ("/v2/models/digits/infer", EMPTY, "application/json", 400, "no example"),
        ("/v2/models/digits/infer", EMPTY.replace(b'"input"', b'"x"'), "application/json", 400, "the one input is 'input'"),
        ("/v2/models/digits/infer", b"{}", "application/json", 400, "inputs"),
        ("/v2/models/digits/versions/2/infer", b"{}", "application/json", 404, "version"),
        ("/v1/models/digits:predict", b"[]", "application/json", 400, "instances"),
        ("/nothing", None, "", 404, "/nothing"),
        ("/predict", None, "", 405, "POST"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said(
    site: Site, path: str, body: bytes | None, kind: str, status: int, words: str
) -> None:
    found, value, _ = site.ask(path, body, kind)
    assert (found, words in json.dumps(value, ensure_ascii=False)) == (status, True), value


def test_strangers_are_refused(site: Site) -> None:
    assert site.ask("/about", host="example.org")[0] == 421
    assert site.ask("/about", origin="http://example.org")[0] == 403
    assert site.ask("/about", origin=f"http://127.0.0.1:{site.port}")[0] == 200
    status, _, headers = site.ask("/about", host="localhost")
    assert status == 200
    assert "access-control-allow-origin" not in headers
    assert site.ask("/predict", picture(), "image/png", content_encoding="gzip")[0] == 415
    assert site.ask("/predict", bytes(16 * 2**20 + 1), "image/png")[0] == 413


def test_neither_keras_nor_tensorflow_is_loaded(site: Site) -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("this system does not say what a process has loaded")
    site.ask("/predict", picture(), "image/png")
    loaded = Path(f"/proc/{site.process.pid}/maps").read_text()
    assert "onnxruntime" in loaded
    assert "tensorflow" not in loaded
    assert "jaxlib" not in loaded


def test_figures_and_descriptions(site: Site) -> None:
    site.ask("/predict", picture(), "image/png")
    assert b'dlx_requests_total{route="/predict",status="200"}' in site.ask("/metrics")[1]
    api = site.ask("/openapi.json")[1]
    assert api["openapi"].startswith("3.")
    assert {"/predict", "/v2/models/digits/infer", "/v1/models/texts:predict"} <= set(api["paths"])
    schema = api["paths"]["/v1/models/flowers:predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for good in ({"instances": [{"size": 1, "place": "a"}]}, {"instances": [{"size": "1.5", "place": None}]}):
        jsonschema.validate(good, schema)
        assert site.ask("/v1/models/flowers:predict", json.dumps(good).encode())[0] == 200
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"instances": []}, schema)
    page = site.ask("/docs")[1].decode()
    assert "/v2/models/flowers/infer" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_token_is_asked_for(site: Site, dlx: Dlx) -> None:
    refused = dlx("serve", "digits", "--host", "0.0.0.0", "--runs-dir", site.world / "runs")
    assert refused.code == 2
    assert "token" in refused.err
    with server(site.world, "digits", token="s3cret") as (process, port):
        other = Site(site.world, port, process)
        assert other.ask("/predict", picture(), "image/png")[0] == 401
        assert other.ask("/predict", picture(), "image/png", authorization="Bearer s3cret")[0] == 200
        assert other.ask("/healthz")[1] == {"status": "ok"}
        assert other.ask("/")[0] == 200


def test_a_newer_run_takes_over_and_the_end_is_polite(site: Site) -> None:
    runs = site.world / "follow"
    shutil.copytree(site.world / "runs/digits-1", runs / "digits-1")
    with server(site.world, "digits", "--runs-dir", str(runs)) as (process, port):
        other = Site(site.world, port, process)
        assert other.ask("/about")[1]["models"][0]["run"] == "digits-1"
        shutil.copytree(runs / "digits-1", site.world / "next")
        info = json.loads((site.world / "next/run.json").read_text())
        (site.world / "next/run.json").write_text(json.dumps({**info, "started": time.time()}))
        os.rename(site.world / "next", runs / "digits-2")
        for _ in range(100):
            status, about, _ = other.ask("/about")
            assert status == 200
            if about["models"][0]["run"] == "digits-2":
                break
            time.sleep(0.1)
        assert about["models"][0]["run"] == "digits-2"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    shutil.copytree(runs / "digits-2", runs / "digits-3", ignore=shutil.ignore_patterns("model.*"))
    with server(site.world, "digits", "--runs-dir", str(runs)) as (process, port):  # one without a model is passed over
        assert Site(site.world, port, process).ask("/about")[1]["models"][0]["run"] == "digits-2"


def test_what_cannot_be_served_is_said(site: Site, dlx: Dlx) -> None:
    missing = dlx("serve", "nothing", "--port", 0, "--runs-dir", site.world / "runs")
    assert (missing.code, "nothing" in missing.err) == (2, True)
    taken = dlx("serve", "digits", "--port", site.port, "--runs-dir", site.world / "runs")
    assert (taken.code, "--port 0" in taken.err) == (2, True)


@pytest.mark.slow
def test_the_page_of_the_server(site: Site) -> None:
    expected = site.predict("digits", "x.png")[0]
    address = f"http://127.0.0.1:{site.port}/"
    with chromium() as browser, opened(browser, address, address, "data:", "blob:") as tab:
        tab.wait_for_selector("#draw")
        tab.set_input_files("#file", str(site.world / "x.png"))
        tab.wait_for_selector(".bars")
        assert tab.inner_text(".headline") == expected["label"]
        tab.wait_for_selector(".example img")
        tab.click(".example")
        draw_a_line(tab)
        tab.select_option("#model", label="flowers")
        tab.wait_for_selector("#form")
        tab.fill("#form input[name=size]", "6")
        tab.wait_for_selector(".bars")
        tab.select_option("#model", label="texts")
        tab.fill("#text", "a fine day")
        tab.wait_for_selector(".headline")
