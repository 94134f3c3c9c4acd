"""`dlx parts`: the registries, from their signatures and docstrings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion

if TYPE_CHECKING:
    from dlx.parts.registry import Registry


@click.command("parts", short_help="Everything that a spec can name.")
@click.argument("name", required=False, shell_complete=completion.parts)
def command(name: str | None) -> None:
    """List every part, or explain the part NAME: its parameters, their types and defaults.

    \b
    dlx parts
    dlx parts conv2d
    """
    if name:
        _explain(name)
    else:
        _list()


def _list() -> None:
    """Every part by kind, with the first line of its help."""
    from dlx.parts import REGISTRIES
    from dlx.system import terminal

    out = terminal.console()
    for number, registry in enumerate(REGISTRIES.values()):
        if number:
            out.print()
        out.print(f"{registry.kind}{'es' if registry.kind.endswith('s') else 's'}", style="bold")
        terminal.fields([(f"  {name}", registry.help(name).split("\n")[0]) for name in registry])
    out.print("\ndlx parts NAME explains one.")


def _explain(name: str) -> None:
    """One part in full; raises DlxError with the nearest name."""
    from dlx.errors import DlxError, suggest
    from dlx.parts import REGISTRIES

    homes = [registry for registry in REGISTRIES.values() if name in registry]
    if not homes:
        near = next((hit for r in REGISTRIES.values() if (hit := suggest(name, r, r.aliases))), None)
        raise DlxError(
            f"unknown part {name!r}" + (f" (did you mean {near!r}?)" if near else ""), hint="dlx parts lists them all"
        )
    for registry in homes:
        _explain_one(registry, name)


def _explain_one(registry: Registry, name: str) -> None:
    import textwrap

    from dlx.spec import write_value
    from dlx.system import terminal

    out = terminal.console()
    out.print(f"{name}  ({registry.kind})", style="bold")
    paragraphs = registry.help(name).split("\n\n")
    out.print("\n\n".join(textwrap.fill(" ".join(text.split()), terminal.width()) for text in paragraphs))
    parameters = registry.parameters(name).values()
    if not parameters:
        out.print("\nIt has no parameters.")
        return
    out.print()
    pairs = []
    for parameter in parameters:
        default = "required" if parameter.required else f"default {write_value(parameter.default)}"
        text = f"{_value(parameter.annotation)}; {default}".replace("default null", "default none")
        pairs.append((f"  {parameter.name}", text))
    terminal.fields(pairs)


def _value(annotation: Any) -> str:
    """What a value must be; the long lists that many layers share are cut: docs/spec.md has them."""
    from dlx.parts import types
    from dlx.spec import describe

    shared: list[tuple[Any, str]] = [
        (types.Activation, "an activation: relu, gelu, tanh, softmax, …"),
        (types.Initializer, "an initializer: glorot_uniform, he_normal, {random_normal: 0.02}, …"),
    ]
    return next((words for kind, words in shared if annotation in (kind, kind | None)), None) or describe(annotation)
