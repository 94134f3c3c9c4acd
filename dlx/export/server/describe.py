"""What the server says of itself: an OpenAPI document, and the same as a page that asks nobody else."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from dlx import __version__
from dlx.data.encoding import Encoding
from dlx.export.server import protocols
from dlx.export.server.served import Served
from dlx.inference.predictor import Predictor

SERVER = {"name": "dlx", "version": __version__, "extensions": ["binary_tensor_data"]}
REFUSED = ("400", "401", "403", "404", "408", "413", "415", "421", "503")
ERROR = {"type": "object", "properties": {name: {"type": "string"} for name in ("error", "where", "hint")}}


def document(models: Iterable[Served]) -> dict[str, Any]:
    """The OpenAPI document of the runs that are served."""
    models = list(models)
    paths: dict[str, Any] = {
        "/predict": {"post": _predict(models)},
        "/about": {"get": _get("What is known of each model")},
        "/healthz": {"get": _get("Whether the server is there")},
        "/metrics": {"get": _get("Figures for Prometheus")},
        "/v2": {"get": _get("The server, of the Open Inference Protocol")},
        "/v2/health/live": {"get": _get("Whether the server is there")},
        "/v2/health/ready": {"get": _get("Whether the models are ready")},
    }
    for served in models:
        name = served.name
        about = protocols.metadata(name, served.predictor)
        ends = ", ".join(f"{end['name']} {end['datatype']} {end['shape']}" for end in about["inputs"])
        paths[f"/v2/models/{name}"] = {"get": _get(f"The inputs and outputs of {name}")}
        paths[f"/v2/models/{name}/ready"] = {"get": _get(f"Whether {name} is ready")}
        paths[f"/v2/models/{name}/infer"] = {
            "post": _post(
                f"Ask {name} by the Open Inference Protocol: {ends}", {"application/json": {"type": "object"}}
            )
        }
        paths[f"/v1/models/{name}"] = {"get": _get(f"The state of {name}, as TensorFlow Serving says it")}
        paths[f"/v1/models/{name}:predict"] = {
            "post": _post(
                f"Ask {name} as TensorFlow Serving is asked", {"application/json": _instances(served.predictor)}
            )
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": ", ".join(served.name for served in models), "version": __version__},
        "paths": paths,
    }


def _get(words: str) -> dict[str, Any]:
    return {"summary": words, "responses": {"200": {"description": "what was asked"}}}


def _post(words: str, bodies: Mapping[str, Any]) -> dict[str, Any]:
    problem = {"description": "why not", "content": {"application/json": {"schema": ERROR}}}
    return {
        "summary": words,
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind, schema in bodies.items()}},
        "responses": {
            "200": {"description": "the answers"},
            **dict.fromkeys(REFUSED, problem),
        },
    }


def _predict(models: list[Served]) -> dict[str, Any]:
    names = [served.name for served in models]
    schemas = [example(served.predictor) for served in models]
    binary = {"type": "string", "format": "binary"}
    files = {"type": "object", "properties": {"file": {"type": "array", "items": binary}}}
    bodies: dict[str, Any] = {"application/json": {"anyOf": schemas}, "multipart/form-data": files}
    kinds = {served.predictor.inputs.kind for served in models}
    bodies.update({"image/*": binary} if "image" in kinds else {})
    bodies.update({"text/csv": {"type": "string"}} if kinds & {"table", "text", "series"} else {})
    bodies.update({"text/plain": {"type": "string"}} if "text" in kinds else {})
    bodies["application/octet-stream"] = binary
    words = "Ask a model, as `dlx predict --json` does: an image, files of a form, a CSV table, or JSON"
    return {
        **_post(words, bodies),
        "parameters": [
            {"name": "model", "in": "query", "schema": {"enum": names}, "description": "the first where it is absent"},
            {"name": "top", "in": "query", "schema": {"type": "integer", "minimum": 1}},
        ],
    }


def example(predictor: Predictor) -> dict[str, Any]:
    """The schema of JSON inputs."""
    return {"anyOf": [_row(predictor), {"type": "array", "items": _row(predictor), "minItems": 1}]}


def _row(predictor: Predictor) -> dict[str, Any]:
    """The schema of one input."""
    inputs, encoding = predictor.inputs, predictor.inputs.encoding
    if inputs.kind == "text":
        by_column = {
            "type": "object",
            "properties": {encoding.column: {"type": "string"}},
            "required": [encoding.column],
        }
        return {"anyOf": [{"type": "string"}, by_column]}
    if inputs.kind == "table" and encoding.columns:
        fields = {name: _field(encoding, name) for name in encoding.columns}
        needed = {} if encoding.lenient else {"required": list(encoding.columns)}
        return {"type": "object", "properties": fields, **needed}
    schema: dict[str, Any] = {"type": "number"}
    for extent in reversed(inputs.shape):
        schema = {"type": "array", "items": schema, "minItems": extent, "maxItems": extent}
    if inputs.kind == "image":
        return {"anyOf": [{"type": "object", "properties": {"b64": {"type": "string"}}, "required": ["b64"]}, schema]}
    return schema


def _field(encoding: Encoding, name: str) -> dict[str, Any]:
    """The schema of one column of a table."""
    known = encoding.categories.get(name)
    if known and not encoding.lenient:
        return {"enum": list(known)}
    kinds = ["string"] if known or name in encoding.dates else ["number", "string"]
    more = {"format": "date"} if name in encoding.dates else {"examples": list(known)} if known else {}
    return {"type": [*kinds, "null"] if encoding.lenient else kinds, **more}


def _instances(predictor: Predictor) -> dict[str, Any]:
    rows = {"type": "array", "items": _row(predictor), "minItems": 1}
    named = {"type": "object", "properties": {"inputs": {}}, "required": ["inputs"]}
    return {"anyOf": [{"type": "object", "properties": {"instances": rows}, "required": ["instances"]}, named]}


def page(api: Mapping[str, Any]) -> str:
    """The document for people: every address, what it takes, and the schema."""
    parts = []
    for path, methods in api["paths"].items():
        for method, about in methods.items():
            parts.append(
                f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{html.escape(about['summary'])}</p>"
            )
            for kind, content in about.get("requestBody", {}).get("content", {}).items():
                schema = html.escape(json.dumps(content["schema"], ensure_ascii=False))
                parts.append(f"<p class='dim'>{html.escape(kind)}</p><pre>{schema}</pre>")
    title = html.escape(api["info"]["title"])
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<meta name='color-scheme' content='light dark'><title>{title}</title>"
        "<link rel='stylesheet' href='page.css'><link rel='icon' href='data:,'></head>"
        f"<body><main><h1>{title}</h1><p><a href='.'>the page</a> · <a href='openapi.json'>openapi.json</a></p>"
        f"{''.join(parts)}</main></body></html>\n"
    )
