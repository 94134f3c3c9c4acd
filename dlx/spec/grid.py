"""Alternatives: the combinations of settings that a `sweep` section, or commas in a shell, ask for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError
from dlx.spec.checking import check
from dlx.spec.merging import gather, override, put
from dlx.spec.reading import Node, read_text, write_value
from dlx.spec.sections import Spec

MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Trial:
    """One combination: what it sets, by address, and the whole spec that comes of it."""

    settings: dict[str, Any]
    spec: Spec

    @property
    def label(self) -> str:
        """What the combination sets, as a shell would say it."""
        return " ".join(f"{address}={write_value(value)}" for address, value in self.settings.items())


def trials(path: str | Path, overrides: Sequence[str] = ()) -> list[Trial]:
    """Every combination of the alternatives of a spec's `sweep` and of `-s address=a,b,…`, in their order.

    An override of an address replaces its alternatives in the spec. Raises SpecError with every problem.
    """
    file = Path(path)
    root = gather(file)
    problems: list[DlxError] = []
    axes: dict[str, list[Node]] = {}
    fixed = set()
    for text in overrides:
        try:
            address, values = _alternatives(text)
            axes.pop(address, None)
            if len(values) > 1:
                axes[address] = values
            else:
                root = override(root, text)
                fixed.add(address)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    axes = {**{a: v for a, v in said(root).items() if a not in axes and a not in fixed}, **axes}
    entries = {key: node for key, node in root.value.items() if key != "sweep"}
    plain = root.with_value(entries)
    if not axes:
        check(plain, file.stem)
        hint = "a section `sweep: {lr: [0.001, 0.01]}`, or -s lr=0.001,0.01"
        raise SpecError([DlxError("there are no alternatives to try", where=str(path), hint=hint)])
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST_TRIALS:
        message = f"{count:,} combinations; expected at most {MOST_TRIALS:,}"
        raise SpecError([DlxError(message, where=str(path), hint="fewer alternatives")])
    check_alternatives(plain, axes, file.stem)
    found = []
    for combination in itertools.product(*axes.values()):
        chosen = dict(zip(axes, combination, strict=True))
        found.append(Trial({a: node.plain() for a, node in chosen.items()}, _spec(plain, chosen, file.stem, problems)))
    if problems:
        raise SpecError(list({str(problem): problem for problem in problems}.values()))
    return found


def said(root: Node) -> dict[str, list[Node]]:
    """The alternatives of a tree's `sweep` section, by address; raises SpecError where they are none."""
    section = root.value.get("sweep")
    if section is None or section.value is None:
        return {}
    if not section.is_mapping:
        hint = "sweep: {lr: [0.001, 0.01]}"
        raise SpecError([DlxError("sweep: expected addresses with lists", where=section.where, hint=hint)])
    problems = [
        DlxError(f"sweep.{address}: expected a list of alternatives, got {write_value(node.plain())}", where=node.where)
        for address, node in section.value.items()
        if node.value is not None and (not node.is_list or not node.value)
    ]
    if problems:
        raise SpecError(problems)
    return {address: list(node.value) for address, node in section.value.items() if node.value is not None}


def check_alternatives(root: Node, axes: dict[str, list[Node]], stem: str) -> None:
    """Raise SpecError with the problems of every alternative, each tried alone on the rest of the spec."""
    problems: list[DlxError] = []
    for address, values in axes.items():
        for value in values:
            _spec(root, {address: value}, stem, problems)
    if problems:
        raise SpecError(list({str(problem): problem for problem in problems}.values()))


def _spec(root: Node, chosen: dict[str, Node], stem: str, problems: list[DlxError]) -> Any:
    try:
        for address, value in chosen.items():
            root = put(root, address, value, value.where)
        return check(root, stem)
    except SpecError as error:
        problems += error.problems
        return None


def _alternatives(text: str) -> tuple[str, list[Node]]:
    """(address, values) of `address=a,b`: what stands between the commas of a YAML list, without its brackets."""
    address, _, raw = text.partition("=")
    shown = f"-s {text}"
    try:
        listed = read_text(f"[{raw}]", shown, Path.cwd(), marks=False)
    except SpecError:  # no alternatives, then: whoever takes it as one value says what is wrong with it
        listed = None
    return address.strip(), list(listed.value) if listed is not None and listed.is_list else []
