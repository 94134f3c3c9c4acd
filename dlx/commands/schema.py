"""`dlx schema`: the JSON Schema of a spec, or the reference page."""

from __future__ import annotations

import click


@click.command("schema", short_help="The JSON Schema of a spec, for editors.")
@click.option("--markdown", is_flag=True, help="The reference page instead, as Markdown.")
def command(markdown: bool) -> None:
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
    else:
        from dlx.spec.json_schema import as_text

        print(as_text(), end="")
