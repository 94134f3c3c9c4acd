"""`dlx schema`: the JSON Schema of a spec, or the reference page."""

from __future__ import annotations

import importlib
from typing import Any

import click


@click.command("schema", short_help="The JSON Schema of a spec, for editors.")
@click.option("--markdown", is_flag=True, help="The reference of keys and parts instead, as Markdown.")
@click.option("--commands", is_flag=True, help="The help of every command instead, as Markdown.")
def command(markdown: bool, commands: bool) -> None:
    """Print the JSON Schema of a spec, made from the signatures of its parts.

    A spec whose first line is `# yaml-language-server: $schema=spec.schema.json` is completed and checked by editors
    that know YAML schemas, VS Code's YAML extension for one.

    \b
    dlx schema > spec.schema.json
    dlx schema --markdown > spec.md
    """
    if markdown:
        from dlx.spec.reference import reference

        print(reference(), end="")
    elif commands:
        print(_commands(), end="")
    else:
        from dlx.spec.json_schema import as_text

        print(as_text(), end="")


def _commands() -> str:
    """docs/commands.md: what --help says of every command."""
    from dlx.commands import COMMANDS

    text = ["# Commands", "What `dlx COMMAND --help` says, of each command. `dlx schema --commands` writes this page."]
    for name in COMMANDS:
        module: Any = importlib.import_module(f"dlx.commands.{name}")
        inner = getattr(module.command, "commands", {})
        for words, one in [(name, module.command), *((f"{name} {key}", inner[key]) for key in inner)]:
            context = click.Context(
                one, info_name=f"dlx {words}", terminal_width=100, help_option_names=["-h", "--help"]
            )
            text += [f"{'###' if ' ' in words else '##'} dlx {words}", f"```text\n{one.get_help(context)}\n```"]
    return "\n\n".join(text) + "\n"
