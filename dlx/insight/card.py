"""A model card: what a model is, what it was trained on, how good it is and where it ends, as hubs read it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from dlx.errors import DlxError, RunError
from dlx.inference import onnx_model
from dlx.inference.evaluate import per_class
from dlx.insight import evidence, kept, remarks
from dlx.runs.metrics import figure_text, is_number, numbers, plain_name, splits_of
from dlx.runs.run import Run
from dlx.system import terminal

MARK = "<!-- dlx card -->"
# What hubs call the task, by the kind of the inputs and the task.
TASKS = {
    ("image", "classification"): "image-classification", ("table", "classification"): "tabular-classification",
    ("table", "regression"): "tabular-regression", ("text", "classification"): "text-classification",
    ("series", "regression"): "time-series-forecasting",
}  # fmt: skip
WORDS = {"classification": "classes", "regression": "values", "multi_label": "several labels an example"}


def card(run: Run) -> str:
    """The card of a finished run, as Markdown with a head in YAML. Raises RunError where it has not ended."""
    info, metrics = run.info(), run.metrics()
    if metrics is None:
        raise RunError(f"has no figures to tell: it is {run.status}", where=str(run.path))
    known = numbers(metrics)
    head = yaml.safe_dump(_head(run, info, known), sort_keys=False, allow_unicode=True)
    parts = [_what(run, info, known), _figures(known, metrics), _classes(run), _limits(run, info), _use(run, info),
             _training(run, info)]  # fmt: skip
    return f"---\n{head}---\n{MARK}\n\n" + "\n".join(part for part in parts if part)


def _head(run: Run, info: Mapping[str, Any], known: Mapping[str, float]) -> dict[str, Any]:
    kind = (info["input"].get("kind"), info["task"])
    task = TASKS.get(kind)
    results = [{"type": plain_name(key), "value": value} for key, value in known.items() if key.startswith("test_")]
    source = str((info.get("dataset") or {}).get("source") or "unknown")
    entry: dict[str, Any] = {"name": run.name, "results": [{
        "task": {"type": task or info["task"]}, "dataset": {"name": source, "type": source, "split": "test"},
        "metrics": results,
    }]}  # fmt: skip
    return {
        "library_name": "keras", "tags": ["dlx", *map(str, info["settings"].get("tags") or [])],
        **({"pipeline_tag": task} if task else {}), **({"model-index": [entry]} if results else {}),
    }  # fmt: skip


def text(words: object) -> str:
    """Words of anybody as Markdown shows them, and no more than that."""
    plain = html.escape(terminal.clean(" ".join(str(words).split())), quote=False)
    return re.sub(r"([\\`*_{}\[\]|#!~])", r"\\\1", plain)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column names the rows."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fenced(words: str, language: str) -> str:
    """A block of code, whatever it holds."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", words)), default=0))
    return f"{fence}{language}\n{words.rstrip()}\n{fence}\n"


def _what(run: Run, info: Mapping[str, Any], known: Mapping[str, float]) -> str:
    facts, data = info["input"], info.get("dataset") or {}
    description = str(info["settings"].get("description") or "")
    classes = ", ".join(map(str, info["classes"][:20])) + " …" * (len(info["classes"]) > 20)
    sizes = ", ".join(f"{data[name]:,} {name}" for name in ("train", "validation", "test") if is_number(data.get(name)))
    shape = " × ".join(map(str, facts["shape"]))
    lines = [
        f"It takes {text(facts.get('kind'))}s of the shape {shape} and predicts {WORDS[info['task']]}"
        + (f": {text(classes)}." if classes else "."),
        f"Learned from {text(data.get('source') or 'unknown data')} ({sizes}); {known.get('parameters', 0):,.0f} "
        "parameters.",
    ]
    head = f"# {text(run.name)}\n\n" + (f"{text(description)}\n\n" if description else "")
    return head + " ".join(lines) + "\n"


def _figures(known: Mapping[str, float], metrics: Mapping[str, Any]) -> str:
    splits, names = splits_of(known)
    if not names:
        return ""

    def cell(key: str) -> str:
        return figure_text(key, known[key]) if key in known else "–"

    rows = [[split, *(cell(f"{split}_{name}") for name in names)] for split in splits]
    words = "## Figures\n\n" + table(["", *map(text, names)], rows)
    if metrics.get("test_is_validation"):
        words += "\nThe test split is the validation split: it chose the weights, too.\n"
    return words


def _classes(run: Run) -> str:
    try:
        found = kept.predictions(run)
    except DlxError:
        return ""
    if found.task != "classification" or found.label.ndim != 1:
        return ""
    keys = ("precision", "recall", "f1")
    rows = [
        [text(name), f"{int(row['n']):,}", *(figure_text(key, row[key]) for key in keys)]
        for name, row in zip(found.classes, per_class(found.label, found.prediction, len(found.classes)), strict=True)
    ]
    return f"## Each class, on {found.split}\n\n" + table(["", "n", *keys], rows)


def _limits(run: Run, info: Mapping[str, Any]) -> str:
    shown = evidence.of_run(run)
    verdict = remarks.verdict(shown)
    lines = [] if verdict is None else [f"{text(verdict.message)}."]
    lines += map(text, remarks.notes(shown))
    lines.append("One training with one seed: another seed gives other figures.")
    if info["input"].get("kind") == "image":
        lines.append("Images unlike those of the training get answers all the same.")
    return "## Limits\n\n" + "".join(f"- {line}\n" for line in lines)


def _use(run: Run, info: Mapping[str, Any]) -> str:
    shape = ", ".join(map(str, (1, *info["input"]["shape"])))
    dtype = info["input"].get("dtype", "float32")
    lines = ["import keras", "import numpy as np", "", 'model = keras.models.load_model("model.keras")',
             f"print(model.predict(np.zeros(({shape}), {dtype!r})))"]  # fmt: skip
    if info.get("code"):
        lines[3:3] = ["# has layers of its own: their files are in code/"]
    scaled = "Raw inputs go in, preprocessing is inside.\n\n"
    words = "## Use\n\n" + scaled + fenced("\n".join(lines), "python")
    if (run.path / onnx_model.NAME).is_file():
        words += "\n`model.onnx` is the same for ONNX Runtime, its classes and encodings in its metadata.\n"
    return words


def _training(run: Run, info: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{key} {value}" for key, value in (info.get("versions") or {}).items())
    data = info.get("dataset") or {}
    rows = [
        ["start", text(info.get("start", ""))], ["device", text(info.get("device_name", ""))],
        ["versions", text(f"dlx {info.get('dlx', '?')}, {versions}")],
        ["data fingerprint", text(str(data.get("fingerprint", ""))[:16])],
        ["seed", text(info["settings"].get("seed", ""))],
    ]  # fmt: skip
    words = "## Training\n\n" + "".join(f"- {name}: {value}\n" for name, value in rows)
    return f"{words}\nThe whole experiment; `dlx run spec.yaml` repeats it:\n\n{fenced(run.text('spec.yaml'), 'yaml')}"
