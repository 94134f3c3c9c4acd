"""`dlx schema`: the JSON Schema of a spec, or the reference page."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import click


@click.command("schema", short_help="The JSON Schema of a spec, for editors.")
@click.option("--markdown", is_flag=True, help="The reference of keys and parts instead, as Markdown.")
@click.option("--commands", is_flag=True, help="The help of every command instead, as Markdown.")
@click.option("--man", is_flag=True, help="The help of every command instead, as a man page.")
def command(markdown: bool, commands: bool, man: bool) -> None:
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
    elif man:
        print(_man(), end="")
    else:
        from dlx.spec.json_schema import as_text

        print(as_text(), end="")


def _commands() -> str:
    """docs/commands.md: what --help says of every command."""
    text = ["# Commands", "What `dlx COMMAND --help` says, of each command. `dlx schema --commands` writes this page."]
    for words, said in _helps(100):
        text += [f"{'###' if ' ' in words else '##'} dlx {words}", f"```text\n{said}\n```"]
    return "\n\n".join(text) + "\n"


def _helps(width: int) -> Iterator[tuple[str, str]]:
    """Each command by its words, and what its --help says."""
    from dlx.commands import COMMANDS

    for name in COMMANDS:
        module: Any = importlib.import_module(f"dlx.commands.{name}")
        inner = getattr(module.command, "commands", {})
        for words, one in [(name, module.command), *((f"{name} {key}", inner[key]) for key in inner)]:
            context = click.Context(
                one, info_name=f"dlx {words}", terminal_width=width, help_option_names=["-h", "--help"]
            )
            yield words, one.get_help(context)


def _man() -> str:
    """docs/dlx.1: the same as a page for man."""
    from dlx import __version__

    def plain(text: str) -> str:
        escaped = text.replace("\\", "\\e").replace("-", "\\-")
        return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())

    lines = [f'.TH DLX 1 "" "dlx {__version__}"', ".SH NAME", "dlx \\- run deep\\-learning experiments from YAML specs"]
    lines += [".SH SYNOPSIS", ".B dlx", "COMMAND [OPTIONS] [ARGUMENTS]", ".SH COMMANDS"]
    for words, said in _helps(78):
        lines += [f".SS dlx {words}", ".nf", plain(said), ".fi"]
    codes = "0 done, 2 spec or usage, 3 data, 4 the run failed, 5 disk, 75 stopped by SIGUSR1 or a time limit,"
    lines += [".SH EXIT STATUS", codes, "129, 130 and 143 by another signal."]
    return "\n".join(lines) + "\n"
