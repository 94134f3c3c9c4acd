"""The application: which address answers what."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

import prometheus_client as prometheus
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from dlx.errors import DataError, DlxError
from dlx.export.server import describe, protocols, reading
from dlx.export.server.batching import Answered, Batcher, BusyError
from dlx.export.server.guard import MOST_BODY, Guard, Refusal, answer_json, names_of, with_body
from dlx.export.server.served import Served
from dlx.inference.inputs import Batch, Inputs
from dlx.inference.predictor import Predictor
from dlx.inference.unlike import remarks

if TYPE_CHECKING:
    import numpy as np

SMALL = 64 * 2**10  # bytes of a body that needs no thread of its own
PAGE = {"index.html": "text/html", "page.css": "text/css", "inputs.js": "text/javascript", "page.js": "text/javascript",
        "remote.js": "text/javascript"}  # fmt: skip
CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
T = TypeVar("T")
Examples = Callable[[Served], list[dict[str, Any]]]


class Service:
    """The runs that are served, and the answers to requests.

    examples: example inputs of a run for the page, each with a name and an image (a data: address) or an input.
    """

    def __init__(self, models: Sequence[Served], examples: Examples) -> None:
        self.models = {served.name: served for served in models}
        self.examples = functools.lru_cache(maxsize=16)(lambda name, since: examples(self.models[name]))
        self.registry = prometheus.CollectorRegistry()
        self.requests = prometheus.Counter(
            "dlx_requests", "Requests, by route and status.", ["route", "status"], registry=self.registry
        )
        self.seconds = prometheus.Histogram(
            "dlx_request_seconds", "Seconds from a request to its answer.", ["route"], registry=self.registry
        )
        self.batches = prometheus.Histogram(
            "dlx_batch_examples", "Examples in a batch.", registry=self.registry, buckets=(1, 2, 4, 8, 16, 32, 64, 256)
        )
        waiting = prometheus.Gauge("dlx_waiting", "Questions that wait.", registry=self.registry)
        waiting.set_function(lambda: len(self.batcher))
        self.batcher: Batcher

    @asynccontextmanager
    async def lifespan(self, application: Starlette) -> AsyncIterator[None]:
        self.batcher = Batcher(self.batches.observe)
        yield

    def observe(self, route: str, status: int, seconds: float) -> None:
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def served(self, name: str | None) -> Served:
        """The run of a name, or the first one."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refusal(404, f"no model {name[:100]!r}; there is {', '.join(self.models)}")
        return self.models[name]

    async def ask(self, predictor: Predictor, read: Callable[[], Iterable[Batch]], size: int) -> list[Answered]:
        """The answers to what `read` gives of a body of `size` bytes: a small one is read in the model's own thread."""
        if size <= SMALL:
            later = list[Batch]()

            def first() -> Batch:
                batches = _some(read())
                later.extend(batches[1:])
                return batches[0]

            answered = [await self.batcher.ask(predictor.model, first)]
        else:
            later, answered = await run_in_threadpool(lambda: _some(read())), []
        for batch in later:
            answered.append(await self.batcher.ask(predictor.model, functools.partial(_itself, batch)))
        return answered


def application(service: Service, host: str, token: str | None) -> Guard:
    """What a server runs."""
    routes = Routes(service)
    starlette = Starlette(
        routes=routes.all(),
        lifespan=service.lifespan,
        exception_handlers={
            Refusal: _refusal,
            DlxError: _refused,
            HTTPException: _http,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    free = frozenset({"/", "/healthz", "/v2/health/live", "/v2/health/ready", *(f"/{name}" for name in PAGE)})
    return Guard(starlette, names_of(host), token, free, service.observe)


class Routes:
    """The functions behind the addresses."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def all(self) -> list[Route]:
        get, post = ["GET"], ["POST"]
        v1, v2 = "/v1/models/{name}", "/v2/models/{name}"
        table = [
            ("/", self.page, get), ("/about", self.about, get), ("/examples", self.given, get),
            ("/predict", self.predict, post), ("/healthz", self.healthy, get), ("/metrics", self.metrics, get),
            ("/openapi.json", self.openapi, get), ("/docs", self.docs, get),
            ("/v2", self.v2, get), ("/v2/health/live", self.live, get), ("/v2/health/ready", self.ready, get),
            (v2, self.v2_model, get), (f"{v2}/ready", self.v2_ready, get), (f"{v2}/infer", self.v2_infer, post),
            (f"{v2}/versions/{{version}}", self.v2_model, get),
            (f"{v2}/versions/{{version}}/ready", self.v2_ready, get),
            (f"{v2}/versions/{{version}}/infer", self.v2_infer, post),
            (f"{v1}:predict", self.v1_predict, post), (f"{v1}/metadata", self.v1_metadata, get),
            (f"{v1}/versions/{{version:int}}:predict", self.v1_predict, post),
            (f"{v1}/versions/{{version:int}}", self.v1, get), (v1, self.v1, get),
            *((f"/{name}", self.static, get) for name in PAGE if name != "index.html"),
        ]  # fmt: skip
        return [Route(path, _named(path, function), methods=methods) for path, function, methods in table]

    # The page

    async def page(self, request: Request) -> Response:
        text = (
            _page("index.html")
            .replace('<script src="ort.wasm.min.js"></script>\n', "")
            .replace("local.js", "remote.js")
        )
        head, _, rest = text.partition('<meta http-equiv="Content-Security-Policy"')
        return HTMLResponse(head + rest.partition(">\n")[2], headers={"content-security-policy": CONTENT})

    async def static(self, request: Request) -> Response:
        name = request.url.path.lstrip("/")
        return Response(_page(name), media_type=PAGE[name])

    async def about(self, request: Request) -> Response:
        return answer_json({"models": [served.about for served in self.service.models.values()]})

    async def given(self, request: Request) -> Response:
        served = self.service.served(request.query_params.get("model"))
        return answer_json(await run_in_threadpool(self.service.examples, served.name, served.since))

    # dlx's own

    async def predict(self, request: Request) -> Response:
        predictor = self.service.served(request.query_params.get("model")).predictor
        top = request.query_params.get("top", "")
        if top and not (top.isascii() and top.isdigit() and int(top[:9]) > 0):
            raise Refusal(400, f"top is {top[:20]!r}, expected a whole number from 1")

        async def answer(raw: bytes) -> Response:
            inputs = reading.fresh(predictor.inputs)
            one, read = await _bodies(request, inputs, raw)
            answered = await self.service.ask(predictor, read, len(raw))

            def written() -> Response:
                records = [
                    prediction.record()
                    for part in answered
                    for prediction in predictor.predictions(part.names, part.answers, int(top[:9]) if top else None)
                ]
                headers = _noted(inputs, predictor, answered)
                return answer_json(records[0] if one and len(records) == 1 else records, headers=headers)

            return await _aside(len(raw), written)

        return await with_body(request, answer)

    async def healthy(self, request: Request) -> Response:
        return answer_json({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        return Response(prometheus.generate_latest(self.service.registry), media_type="text/plain; version=0.0.4")

    async def openapi(self, request: Request) -> Response:
        return answer_json(describe.document(self.service.models.values()))

    async def docs(self, request: Request) -> Response:
        return HTMLResponse(
            describe.page(describe.document(self.service.models.values())), headers={"content-security-policy": CONTENT}
        )

    # The Open Inference Protocol

    async def v2(self, request: Request) -> Response:
        return answer_json(describe.SERVER)

    async def live(self, request: Request) -> Response:
        return answer_json({"live": True})

    async def ready(self, request: Request) -> Response:
        return answer_json({"ready": True})

    async def v2_model(self, request: Request) -> Response:
        served = self._model(request)
        return answer_json(protocols.metadata(served.name, served.predictor))

    async def v2_ready(self, request: Request) -> Response:
        return answer_json({"name": self._model(request).name, "ready": True})

    async def v2_infer(self, request: Request) -> Response:
        served = self._model(request)
        predictor = served.predictor

        async def answer(raw: bytes) -> Response:
            length = request.headers.get("inference-header-content-length")
            asked, binary = await _aside(len(raw), functools.partial(protocols.infer_request, raw, length))
            inputs = reading.fresh(predictor.inputs)
            read = functools.partial(protocols.infer_inputs, inputs, asked, binary)
            answers, headers = await self._answers(predictor, inputs, read, len(raw))
            body, end = protocols.infer_response(served.name, predictor, asked, answers)
            if end is None:
                return Response(body, headers=headers, media_type="application/json")
            headers["inference-header-content-length"] = str(end)
            return Response(body, headers=headers, media_type="application/octet-stream")

        return await with_body(request, answer)

    # TensorFlow Serving

    async def v1(self, request: Request) -> Response:
        self._model(request)
        return answer_json(protocols.serving_status())

    async def v1_metadata(self, request: Request) -> Response:
        served = self._model(request)
        return answer_json(protocols.serving_metadata(served.name, served.predictor))

    async def v1_predict(self, request: Request) -> Response:
        predictor = self._model(request).predictor

        async def answer(raw: bytes) -> Response:
            inputs = reading.fresh(predictor.inputs)
            batches, key = await _aside(len(raw), functools.partial(protocols.serving_request, inputs, raw))
            answers, headers = await self._answers(predictor, inputs, lambda: batches, len(raw))
            return answer_json({key: answers.tolist()}, headers=headers)

        return await with_body(request, answer)

    def _model(self, request: Request) -> Served:
        if str(request.path_params.get("version", "1")) != "1":
            raise Refusal(404, "the one version is 1")
        return self.service.served(request.path_params["name"])

    async def _answers(
        self, predictor: Predictor, inputs: Inputs, read: Callable[[], Iterator[Batch]], size: int
    ) -> tuple[np.ndarray, dict[str, str]]:
        import numpy as np

        answered = await self.service.ask(predictor, read, size)
        answers = np.concatenate([predictor.readable(part.answers) for part in answered])
        return answers, _noted(inputs, predictor, answered)


def _some(batches: Iterable[Batch]) -> list[Batch]:
    found = list(batches)
    if not found:
        raise DataError("holds no example", where="the body")
    return found


def _noted(inputs: Inputs, predictor: Predictor, answered: Sequence[Answered]) -> dict[str, str]:
    """A header with what is remarkable in inputs, if anything is."""
    unlike = [pair for part in answered for pair in predictor.unlike(part.names, part.array)]
    notes = [*inputs.remarks, *remarks(unlike)]
    return {"dlx-remarks": json.dumps(notes)} if notes else {}


def _itself(batch: Batch) -> Batch:
    return batch


async def _aside(size: int, work: Callable[[], T]) -> T:
    """What `work` returns; of a large body it is done in a thread, and nobody waits for it."""
    return await run_in_threadpool(work) if size > SMALL else work()


async def _bodies(request: Request, inputs: Inputs, raw: bytes) -> tuple[bool, Callable[[], Iterable[Batch]]]:
    """(whether it is one input, what reads it) of the body of a prediction, by its type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        parts = await _parts(request, raw)
        return False, lambda: [batch for name, part in parts for batch in reading.of_file(inputs, part, name)]
    if kind == "application/json":
        value = await _aside(len(raw), functools.partial(reading.parsed, raw))
        return isinstance(value, Mapping), lambda: reading.of_json(inputs, value)
    if kind == "application/x-www-form-urlencoded":
        kinds = "image/png, text/csv, text/plain, application/json or application/octet-stream (.npy)"
        words = f"curl's usual type says nothing of a body; --data-binary @FILE with -H 'Content-Type: …': {kinds}"
        raise Refusal(415, f"{words}; or -F file=@FILE")
    return inputs.kind == "image" and not reading.is_array(raw), lambda: reading.of_file(inputs, raw, "-")


async def _parts(request: Request, raw: bytes) -> list[tuple[str, bytes]]:
    """(name, content) of each file of a form."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield raw

    try:
        form = await MultiPartParser(
            request.headers,
            stream(),
            max_files=1000,
            max_fields=1000,
            max_part_size=MOST_BODY,
        ).parse()
    except (MultiPartException, KeyError, ValueError, AttributeError) as error:
        raise Refusal(400, f"is no form with files ({getattr(error, 'message', error)})") from error
    parts = []
    for key, item in form.multi_items():
        if isinstance(item, str):
            parts.append((key, item.encode()))
        else:
            parts.append((item.filename or key, await item.read()))
            await item.close()
    if not parts:
        raise Refusal(400, "the form has no file")
    return parts


@functools.cache
def _page(name: str) -> str:
    return files("dlx.export").joinpath("page", name).read_text(encoding="utf-8")


def _named(path: str, function: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A function that says in the scope which route it is of, for the metrics."""

    async def called(request: Request) -> Response:
        request.scope["dlx.route"] = path
        return await function(request)

    return called


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, DlxError)
    record = {"error": error.message, **{k: v for k, v in (("where", error.where), ("hint", error.hint)) if v}}
    if isinstance(error, BusyError):
        return answer_json(record, 503, {"retry-after": "1"})
    return answer_json(record, 400)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    wanted = (error.headers or {}).get("Allow", "")
    words = f"expected {wanted}" if wanted else f"nothing is at {request.url.path[:100]}"
    return answer_json({"error": words}, error.status_code, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return answer_json({"error": "the request was cut off"}, 400, {"connection": "close"})


async def _failed(request: Request, error: Exception) -> Response:
    return answer_json({"error": f"an internal error ({type(error).__name__})"}, 500)
