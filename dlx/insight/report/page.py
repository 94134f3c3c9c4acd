"""A report as one page of HTML: no request to anywhere, readable without its script, light and dark."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from dlx.errors import RunError
from dlx.insight.report import sections
from dlx.insight.report.charts import text
from dlx.insight.report.material import Material
from dlx.insight.report.trials import trials
from dlx.system.files import disk, replacing
from dlx.system.json_text import finite
from dlx.system.units import byte_size

LARGEST = 1_000_000  # bytes


def page(material: Material) -> str:
    """The whole page."""
    curves, points = sections.curves(material)
    parts = [
        ("", sections.answer(material)),
        ("Figures", sections.figures(material)),
        ("Curves", curves),
        ("Trials", trials(material)),
        ("Settings", sections.scatter(material)),
        ("Predictions" + f" of {material.chosen.name}" * (len(material.rows) > 1), sections.classes(material)),
        ("Surest mistakes", sections.mistakes(material)),
        ("Flips", sections.flips(material)),
        ("Conditions", sections.conditions(material)),
    ]
    body = "".join(f"<section>{_heading(title)}{content}</section>" for title, content in parts if content)
    title = material.chosen.name if len(material.entries) == 1 else f"{len(material.entries)} runs"
    return _document(title, f"<main><h1>{sections.name(title)}</h1>{body}</main>", points, _record(material))


def _heading(title: str) -> str:
    return f"<h2>{sections.name(title)}</h2>" if title else ""


def _record(material: Material) -> Any:
    """What a program reads; of many runs without their settings, so that the page stays small."""
    record = finite(material.record())
    if len(json.dumps(record)) > LARGEST // 3:
        record["runs"] = [{key: run[key] for key in ("run", "status", "metrics")} for run in record["runs"]]
    return record


def _document(title: str, body: str, points: dict[str, Any], record: Any) -> str:
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(title[:80])}: dlx report</title><style>{style}</style></head><body>{body}"
        f"{_data('points', points)}{_data('report', record)}<script>{script}</script></body></html>\n"
    )


def _data(key: str, value: Any) -> str:
    """JSON inside the page, which no text in it can end."""
    written = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{key}">{written}</script>'


def _part(name: str) -> str:
    return files("dlx.insight.report").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def write(material: Material, path: Path) -> int:
    """Write the page whole or not at all; returns its size in bytes."""
    content = page(material).encode("utf-8", "backslashreplace")
    if len(content) > LARGEST:
        message = f"the page would have {byte_size(len(content))}, more than anybody wants to be sent"
        raise RunError(message, hint="name fewer runs")
    with disk(path), replacing(path) as temporary:
        temporary.write_bytes(content)
    return len(content)
