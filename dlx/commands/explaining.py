"""`dlx parts`: the registries, from their signatures and docstrings."""

from __future__ import annotations

import textwrap
from typing import Any

from dlx.errors import DlxError, suggest
from dlx.parts import REGISTRIES, types
from dlx.parts.registry import Registry
from dlx.spec.parse import write_value
from dlx.spec.validate import describe
from dlx.system import terminal as display


def list_parts() -> None:
    """Every part by kind, with the first line of its help."""
    out = display.console()
    for number, registry in enumerate(REGISTRIES.values()):
        if number:
            out.print()
        out.print(f"{registry.kind}{'es' if registry.kind.endswith('s') else 's'}", style="bold")
        display.lines([(f"  {name}", registry.help(name).split("\n")[0]) for name in registry])
    out.print("\ndlx parts NAME explains one.")


def explain(name: str) -> None:
    """One part in full; raises DlxError with the nearest name."""
    homes = [registry for registry in REGISTRIES.values() if name in registry]
    if not homes:
        near = next((found for r in REGISTRIES.values() if (found := suggest(name, r, r.aliases))), None)
        raise DlxError(
            f"unknown part {name!r}" + (f" (did you mean {near!r}?)" if near else ""), hint="dlx parts lists them all"
        )
    for registry in homes:
        _one(registry, name)


def _words(annotation: Any) -> str:
    """What a value must be; the long lists that many layers share are cut: docs/spec.md has them."""
    shared: list[tuple[Any, str]] = [
        (types.Activation, "an activation: relu, gelu, tanh, softmax, …"),
        (types.Initializer, "an initializer: glorot_uniform, he_normal, {random_normal: 0.02}, …"),
    ]
    found = next((words for kind, words in shared if annotation in (kind, kind | None)), None)
    return found or describe(annotation)


def _one(registry: Registry, name: str) -> None:
    out = display.console()
    out.print(f"{name}  ({registry.kind})", style="bold")
    paragraphs = registry.help(name).split("\n\n")
    out.print("\n\n".join(textwrap.fill(" ".join(text.split()), display.width()) for text in paragraphs))
    parameters = registry.parameters(name).values()
    if not parameters:
        out.print("\nIt has no parameters.")
        return
    out.print()
    pairs = []
    for parameter in parameters:
        default = "required" if parameter.required else f"default {write_value(parameter.default)}"
        pairs.append(
            (
                f"  {parameter.name}",
                f"{_words(parameter.annotation)}; {default}".replace("default null", "default none"),
            )
        )
    display.lines(pairs)
