"""What the shell offers at the tabulator key."""

from __future__ import annotations

import os
from typing import Any

import click


def runs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The runs; after --restore those in the trash."""
    from dlx.runs import find, trash

    folder = find.root(ctx.params.get("runs_dir"))
    names = [path.name for path in [*find.below(folder), *find.nested(folder)]]
    if "rm" in ctx.command_path and ctx.params.get("restore"):
        names = [path.name for path in find.below(trash.trash(folder))]
    return [name for name in [*names, "latest"] if name.startswith(incomplete)]


def specs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Spec files and folders; bases are left out."""
    from pathlib import Path

    from click.shell_completion import CompletionItem

    folder = Path(incomplete).parent if not incomplete.endswith("/") else Path(incomplete)
    items = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if str(path).startswith(incomplete) and not path.name.startswith((".", "_")):
            if path.is_dir():
                items.append(CompletionItem(f"{path}/"))
            elif path.suffix in (".yaml", ".yml"):
                items.append(CompletionItem(str(path)))
    return items


def settings(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The addresses of the specs named so far, and the keys of every spec, after -s."""
    from dlx import spec
    from dlx.errors import DlxError
    from dlx.spec.annotations import SECTIONS

    os.environ.pop("DLX_ALLOW_CODE", None)  # the tabulator key runs no code of a spec
    addresses = set(SECTIONS)
    # click has not parsed the line before an option that still waits for its value.
    for word in os.environ.get("COMP_WORDS", "").split():
        if not word.endswith((".yaml", ".yml")):
            continue
        try:
            addresses |= set(spec.flat(spec.resolved(spec.load(word))))
        except DlxError:
            continue
    return [f"{address}=" for address in sorted(addresses) if address.startswith(incomplete)]


def parts(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of all parts."""
    from dlx.parts import REGISTRIES

    return sorted({name for registry in REGISTRIES.values() for name in registry if name.startswith(incomplete)})
