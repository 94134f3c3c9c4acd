"""Advice on a spec: rules of deep learning that no type can check. Each is a function, its docstring its help.

A rule takes the Spec and what is Known of its data and network, and returns an Advice or None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from dlx.errors import DlxError, did_you_mean
from dlx.insight.advice import heads, inputs, layers, training
from dlx.insight.advice.case import Advice, Known, Rule, known
from dlx.spec.sections import Spec

RULES: dict[str, Rule] = {rule.__name__: rule for module in (heads, layers, inputs, training) for rule in module.RULES}


def check_names(ignored: Collection[str]) -> None:
    """Raise DlxError for a name that is no rule."""
    for name in ignored:
        if name not in RULES:
            raise DlxError(
                f"unknown rule {name!r}{did_you_mean(name, RULES)}", hint="dlx parts --advice lists them all"
            )


def advise(spec: Spec, about: Known, ignored: Collection[str] = ()) -> Iterator[Advice]:
    """What is unwise in a spec, in the order of its file."""
    given = [
        replace(advice, rule=name)
        for name, rule in RULES.items()
        if name not in ignored and (advice := rule(spec, about)) is not None
    ]
    yield from sorted(given, key=lambda advice: _place(spec, advice))


def _place(spec: Spec, advice: Advice) -> list[tuple[int, str]]:
    """What puts advice in the order of the files and their lines."""
    place = spec.locate(advice.where).partition(": ")[0]
    return [(int(word), "") if word.isdecimal() else (0, word) for word in place.split(":")]


def sentence(spec: Spec, advice: Advice) -> DlxError:
    """Advice as an error is said: where, what, and what to type."""
    return DlxError(f"{advice.message} [{advice.rule}]", where=spec.locate(advice.where), hint=advice.change)


__all__ = ["RULES", "Advice", "Known", "advise", "check_names", "known", "sentence"]
