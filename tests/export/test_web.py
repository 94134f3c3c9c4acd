"""The page that predicts in the browser: the answers of `predict`, nothing asked of anybody else, and the same inputs."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium, draw_a_line, opened
from conftest import SMALL, Dlx
from PIL import Image

import dlx as api
from dlx.data.encoding import Encoding
from dlx.export import web
from dlx.inference.predictor import load_predictor
from dlx.parts.datasets import table_encoding
from dlx.parts.datasets.text import encode_text
from dlx.runs.run import Run
from dlx.training.exporting import check_place

PAGE = Path(web.__file__).parent / "page"


# Without a browser: the functions of the page in node, beside those of Python.


def in_node(call: str) -> Any:
    """What a function of inputs.js returns."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = f"{(PAGE / 'inputs.js').read_text()}\nprocess.stdout.write(JSON.stringify(Array.from({call})));"
    return json.loads(subprocess.run([node, "-e", script], capture_output=True, text=True, check=True).stdout)


ENCODING = Encoding(
    columns=["age", "town", "born"], missing="flag", types={"age": "number", "town": "words", "born": "number"},
    categories={"town": ["Aix", "Bar"]}, fill={"age": 30.5, "town": "Aix", "born": 11000.0}, gaps=["age", "town"],
    dates=["born"],
)  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [["41", "Bar", "2001-02-03"], ["", "Aix", "1969-12-31"], ["7.5", "NA", "2026-11-27"], ["1e3", "Cos", "n/a"]],
)
def test_a_form_becomes_the_numbers_of_predict(row: list[str]) -> None:
    columns = table_encoding.columns_of([row], ENCODING.columns, ENCODING, "t")
    expected = table_encoding.encode(columns, ENCODING, "t", strict=True)[0]
    fields = dict(zip(ENCODING.columns, row, strict=True))
    assert in_node(f"rowOf({json.dumps(fields)}, {json.dumps(ENCODING.record())})") == expected.tolist()


@pytest.mark.parametrize("text", ["A good day!", "bad   BAD\tnight, day day day day", "", "day-good it's {odd}"])
def test_a_text_becomes_the_numbers_of_predict(text: str) -> None:
    encoding = Encoding(kind="text", column="x", vocabulary=["day", "good", "bad"], sequence_length=5, max_tokens=9)
    expected = encode_text({"x": [text]}, encoding)[0].tolist()
    assert in_node(f"tokensOf({json.dumps(text)}, {json.dumps(encoding.record())})") == expected


def test_pixels_become_those_of_pillow() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    rgba = np.concatenate([colours, np.full((6, 7, 1), 255, np.uint8)], axis=2).reshape(-1).tolist()
    grey = np.asarray(Image.fromarray(colours).convert("L")).reshape(-1).tolist()
    assert in_node(f"pixelsOf({rgba}, 1)") == grey
    assert in_node(f"pixelsOf({rgba}, 3)") == colours.reshape(-1).tolist()
    assert in_node("pixelsOf([10, 20, 30, 0], 3)") == [255, 255, 255]


def test_a_runtime_that_is_none_and_a_folder_that_is_the_users(world: Path, dlx: Dlx) -> None:
    (world / "digits.yaml").write_text(SMALL)
    assert dlx("run", "digits.yaml").code == 0
    (world / "empty").mkdir()
    result = dlx("export", "digits", "--to", "web", "--runtime", "empty")
    assert result.code == 2
    assert "empty: has no ort.wasm.min.js" in result.err
    assert "npm pack onnxruntime-web" in result.err
    for name in web.RUNTIME:
        (world / "empty" / name).write_text("x")
    assert dlx("export", "digits", "--to", "web", "--runtime", "empty", "-o", "site").code == 0
    assert {path.name for path in (world / "site").iterdir()} == {*web.PAGE, *web.RUNTIME, "model.onnx", "dlx.json"}
    check_place(world / "site", "web")
    (world / "site" / "mine.txt").write_text("mine")
    assert dlx("export", "digits", "--to", "web", "--runtime", "empty", "-o", "site").code == 2


# In a browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Run]]:
    """(where the folder of a run on digits is served, the run)."""
    from dlx.cli import main

    world = tmp_path_factory.mktemp("site")
    (world / "digits.yaml").write_text(SMALL)
    before = Path.cwd()
    os.chdir(world)
    try:
        api.run("digits.yaml")
        with pytest.raises(SystemExit) as ended:
            main(["export", "digits", "--to", "web", "-o", "site"])
        assert ended.value.code in (0, None)
    finally:
        os.chdir(before)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(world / "site")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", Run.open(world / "runs/digits-1")
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_the_page_answers_as_predict_does(site: tuple[str, Run], world: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("no npm")
    address, run = site
    image = np.random.default_rng(1).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(image).save(world / "x.png")
    expected = load_predictor(run).predict(image[None, ..., None])[0]
    with chromium() as browser, opened(browser, address, address, "data:", "blob:") as tab:
        tab.wait_for_selector("#draw")
        given = tab.evaluate("pixels => answer({data: pixels, shape: [1, 8, 8, 1]})", image.reshape(-1).tolist())
        assert given == pytest.approx(expected.tolist(), abs=1e-5)
        tab.set_input_files("#file", str(world / "x.png"))
        tab.wait_for_selector(".bars")
        assert tab.inner_text(".headline") == str(int(expected.argmax()))
        draw_a_line(tab)
