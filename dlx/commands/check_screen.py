"""What `dlx check` shows of a spec: its model, what each `auto` stands for, advice, and all of it as JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from dlx.data import store
from dlx.errors import DlxError, SpecError
from dlx.insight.advice import Advice, sentence
from dlx.insight.review import Review
from dlx.model.network import layer_table, parameter_count
from dlx.spec.sections import Spec
from dlx.system import problems, terminal
from dlx.system.json_text import one_line

FORMAT = 1  # of a line of --json


def leaves_to_the_data(text: str) -> bool:
    """Whether a resolved spec leaves something to the data."""
    return re.search(r"\bauto\b", text) is not None


def explained(text: str, review: Review) -> str:
    """A spec's text with what each `auto` stands for in a comment; as it is where its data is not here."""
    experiment, network = review.experiment, review.network
    if experiment is None:
        return text
    meaning = {
        "test": "none: the data has no test split" if experiment.splits.test is None else "the data's own",
        "task": experiment.facts.task,
        "loss": network.head[1],
        "metrics": ", ".join(metric.name for metric in network.metrics()) or "none",
        "monitor": experiment.monitor,
        "  - {output": network.head[0],
    }
    lines = text.splitlines()
    for number, line in enumerate(lines):
        key = line.partition(":")[0]
        if key in meaning and re.search(r"\bauto\b", line):
            lines[number] = f"{line}  # {meaning[key]}"
    return "\n".join(lines) + "\n"


def show_model(path: str, review: Review) -> None:
    """The table of the layers."""
    spec, network = review.spec, review.network
    rows = layer_table(network)
    total, trainable = sum(row[3] for row in rows), parameter_count(network)
    sums = [("parameters", trainable)] + ([("not trained", total - trainable)] if trainable != total else [])
    shares = [terminal.share_bar(row[3] / total) if row[3] else "" for row in rows]
    columns = [
        ("layer", [row[0] for row in rows] + [name for name, _ in sums]),
        ("kind", [row[1] for row in rows] + [""] * len(sums)),
        ("output", [row[2] for row in rows] + [""] * len(sums)),
        ("parameters", [f"{row[3]:,}" for row in rows] + [f"{count:,}" for _, count in sums]),
        ("share", [*shares, *("" for _ in sums)]),
    ]
    terminal.console().print(terminal.clean(f"{path}: ok"), style=f"bold {terminal.BETTER}")
    terminal.table(columns, [False, False, False, True, False])
    terminal.console().print(terminal.clean(f"output: {network.head[0]}; loss {network.head[1]}"))
    if spec.dataset.name in store.KNOWN and not spec.dataset.args.get("path") and store.info(spec.dataset.name) is None:
        name = spec.dataset.name
        words = f"{name} is not in the store yet: dlx run fetches it, dlx data add {name} PATH takes a copy"
        terminal.console().print(words)


def show_advice(spec: Spec, advice: Iterable[Advice]) -> None:
    """Advice as errors are shown, on standard error, each with the change to type."""
    sys.stdout.flush()
    for one in advice:
        problems.show(sentence(spec, one), doubt=True)


def as_line(path: str, review: Review | None, error: DlxError | None, tried: Mapping[str, Any] | None = None) -> str:
    """A spec as one line of JSON: its problems, or its advice, probe and plan."""
    found = [] if error is None else error.problems if isinstance(error, SpecError) else [error]
    given = [] if review is None else [sentence(review.spec, one) for one in review.advice]
    rules = [] if review is None else [one.rule for one in review.advice]
    record = {
        "format": FORMAT,
        "spec": path,
        "problems": [_item("", problem) for problem in found],
        "advice": [_item(rule, one) for rule, one in zip(rules, given, strict=True)],
        "probe": (tried or {}).get("probe"),
        "plan": (tried or {}).get("plan"),
    }
    return one_line(record)


def _item(rule: str, words: DlxError) -> dict[str, str]:
    message = words.message.removesuffix(f" [{rule}]")
    return {"rule": rule, "where": words.where, "message": message, "change": words.hint}
