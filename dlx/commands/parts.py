"""`dlx parts`: the registries, from their signatures and docstrings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion

if TYPE_CHECKING:
    from dlx.parts.registry import Registry


@click.command("parts", short_help="Everything that a spec can name.")
@click.argument("name", required=False, shell_complete=completion.parts)
@click.option("--advice", is_flag=True, help="The rules by which dlx check gives advice.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each part, key or rule.")
def command(name: str | None, advice: bool, as_json: bool) -> None:
    """List the names of all parts, explain those of one kind, or explain one part, or one key of a spec.

    \b
    dlx parts
    dlx parts layers
    dlx parts conv2d
    dlx parts early_stop
    dlx parts --advice
    """
    if as_json:
        _as_json(name, advice)
    elif advice:
        _rules(name)
    elif name:
        _explain(name)
    else:
        _names()


def _as_json(name: str | None, advice: bool) -> None:
    """What the names mean as data, a line each: rules of advice, or keys and parts. Raises DlxError as `_explain`."""
    from dlx.insight.advice import RULES, check_names
    from dlx.parts import REGISTRIES
    from dlx.spec.annotations import SECTIONS
    from dlx.system.json_text import finite, one_line

    if advice:
        check_names([name] if name else [])
        records = [{"kind": "rule", "name": one, "help": str(rule.__doc__)} for one, rule in RULES.items()]
    else:
        homes, kind = _meant(name) if name else (list(REGISTRIES.values()), None)
        records = [_key_record(key) for key in SECTIONS]
        records += [_record(home, part) for home in [*homes, *([kind] if kind and not homes else [])] for part in home]
        name = None if kind and not homes else name
    for record in records:
        if name in (None, record["name"]):
            print(one_line(finite(record)))


def _key_record(name: str) -> dict[str, Any]:
    from dlx.parts.registry import plain
    from dlx.spec import describe
    from dlx.spec.annotations import SECTIONS
    from dlx.spec.json_schema import KEY_HELP

    section = SECTIONS[name]
    default = None if section.required else plain(section.default)
    value = describe(section.annotation)
    return {
        "kind": "key",
        "name": name,
        "help": KEY_HELP[name],
        "required": section.required,
        "value": value,
        "default": default,
    }


def _record(registry: Registry, name: str) -> dict[str, Any]:
    from dlx.parts.registry import plain
    from dlx.spec import describe

    parameters = [
        {
            "name": parameter.name, "required": parameter.required, "value": describe(parameter.annotation),
            "default": None if parameter.required else plain(parameter.default),
        }
        for parameter in registry.parameters(name).values()
    ]  # fmt: skip
    return {"kind": registry.kind, "name": name, "help": registry.help(name), "parameters": parameters}


def _names() -> None:
    """The names of all parts by kind, and the keys."""
    from dlx.parts import REGISTRIES
    from dlx.spec.annotations import SECTIONS
    from dlx.system import terminal

    out = terminal.console()
    kinds = {plural(registry): list(registry) for registry in REGISTRIES.values()}
    for number, (heading, names) in enumerate({**kinds, "keys of a spec": list(SECTIONS)}.items()):
        if number:
            out.print()
        out.print(heading, style=terminal.HEADING)
        for line in terminal.wrapped("  ".join(names)):
            out.print(f"  {line}" if terminal.cells(line) < terminal.width() - 1 else line)
    out.print("\ndlx parts layers explains one kind, dlx parts NAME one part or key.")


def _rules(name: str | None) -> None:
    """The rules of advice, or one of them, each with what it is about."""
    from dlx.insight.advice import RULES, check_names
    from dlx.system import terminal

    check_names([name] if name else [])
    terminal.fields([(one, str(rule.__doc__)) for one, rule in RULES.items() if name in (None, one)], most=40)
    terminal.console().print("\ndlx check --ignore RULE leaves one out.", style=terminal.SECONDARY)


def plural(registry: Registry) -> str:
    """What the parts of a registry are called: datasets, layers, losses."""
    return f"{registry.kind}{'es' if registry.kind.endswith('s') else '' if registry.kind.endswith('ing') else 's'}"


def _explain(name: str) -> None:
    """All that has a name: a kind of parts, a key, a part. Raises DlxError where there is none."""
    from dlx.spec.annotations import SECTIONS
    from dlx.system import terminal

    homes, kind = _meant(name)
    if name in SECTIONS:
        _explain_key(name)
    for number, registry in enumerate(homes):
        if number or name in SECTIONS:
            terminal.console().print()
        _explain_one(registry, name)
    if kind and not homes:
        if name in SECTIONS:
            terminal.console().print()
        _explain_kind(kind)


def _meant(name: str) -> tuple[list[Registry], Registry | None]:
    """(the registries that have a part of the name, the one of that kind). Raises DlxError with the nearest name."""
    from dlx.errors import DlxError, suggest
    from dlx.parts import REGISTRIES
    from dlx.spec.aliases import KEY_ALIASES
    from dlx.spec.annotations import SECTIONS

    kinds = {heading: registry for key, registry in REGISTRIES.items() for heading in (key, plural(registry))}
    homes = [registry for registry in REGISTRIES.values() if name in registry]
    kind = kinds.get(name)
    if not (homes or kind or name in SECTIONS):
        known = [*SECTIONS, *(part for registry in REGISTRIES.values() for part in registry)]
        # One spelling may mean parts of several kinds: that of the kind which comes first in a spec.
        spellings = {
            alias: part for registry in reversed(REGISTRIES.values()) for alias, part in registry.aliases.items()
        }
        near = suggest(name, known, {**spellings, **KEY_ALIASES})
        raise DlxError(
            f"unknown part {name!r}" + (f" (did you mean {near!r}?)" if near else ""), hint="dlx parts lists them all"
        )
    return homes, kind


def _explain_kind(registry: Registry) -> None:
    """Every part of a kind, with the first line of its help."""
    from dlx.system import terminal

    terminal.console().print(plural(registry), style=terminal.HEADING)
    terminal.fields([(f"  {name}", registry.help(name).split("\n")[0]) for name in registry], most=26)


def _explain_key(name: str) -> None:
    """A key of a spec: what it is for, what its value must be, its default."""
    import textwrap

    from dlx.parts.registry import plain
    from dlx.spec import write_value
    from dlx.spec.annotations import SECTIONS
    from dlx.spec.json_schema import KEY_HELP
    from dlx.system import terminal

    section, out = SECTIONS[name], terminal.console()
    out.print(f"{name}  (key of a spec)", style=terminal.HEADING)
    out.print(textwrap.fill(" ".join(KEY_HELP[name].replace("`", "").split()), terminal.width()))
    out.print()
    pairs = [("  value", _value(section.annotation))]
    if section.required or section.default not in (None, [], {}, "", 0.0):
        pairs.append(("  default", "required" if section.required else write_value(plain(section.default))))
    terminal.fields(pairs)


def _explain_one(registry: Registry, name: str) -> None:
    import textwrap

    from dlx.spec import write_value
    from dlx.system import terminal

    out = terminal.console()
    out.print(f"{name}  ({registry.kind})", style=terminal.HEADING)
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
