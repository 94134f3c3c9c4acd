"""`dlx pack`: a run as one file."""

from __future__ import annotations

import click

from dlx.commands import completion
from dlx.commands.options import file_to_write, runs_dir


@click.command("pack", short_help="A run as one file, for a colleague.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.option("-o", "--output", metavar="FILE", help="The .zip to write.  [default: RUN.zip]")
@click.option("--checkpoints", is_flag=True, help="With what resume needs.")
@runs_dir
def command(run: str, output: str | None, checkpoints: bool, runs_dir: str | None) -> None:
    """Write RUN into a zip, which `dlx unpack` makes a run again elsewhere.

    Checkpoints, which only a continued training needs, are left out unless --checkpoints asks for them.

    \b
    dlx pack digits-1
    dlx pack latest -o best.zip --checkpoints
    """
    from dlx.export import packed
    from dlx.runs import find
    from dlx.system import terminal
    from dlx.system.units import byte_size

    existing = find.one(run, find.root(runs_dir))
    target = file_to_write(output or f"{existing.name}.zip", (".zip",))
    find.check_outside(target)
    size = packed.pack(existing, target, checkpoints)
    terminal.console().print(terminal.clean(f"{target}  {byte_size(size)}"))
    terminal.fields([("next", find.command_line("dlx", "unpack", str(target)))])
