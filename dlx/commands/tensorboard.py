"""`dlx tensorboard`: TensorBoard with the runs by their names, and none that was removed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir

PAUSE = 2.0  # seconds between two looks at which runs there are
# Where this module is, TensorBoard imports its stub instead of TensorFlow.
SERVER = """
import sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
from tensorboard.main import run_main
run_main()
"""


@click.command("tensorboard", short_help="Curves, settings and networks of runs in a browser.")
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=completion.runs)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The port to serve at; 0 takes a free one.  [default: 6006]"
)
@runs_dir
def command(runs: tuple[str, ...], port: int | None, runs_dir: str | None) -> None:
    """Serve TensorBoard for each RUN, or for all; runs that begin while it serves come in, and Ctrl-C ends it.

    It names a run as dlx does, and shows none that `dlx rm` took away; `tensorboard --logdir runs` shows more folders.

    \b
    dlx tensorboard
    dlx tensorboard 'digits-*' --port 6007
    """
    import subprocess
    import tempfile

    from dlx.errors import DlxError
    from dlx.runs import find

    root = find.root(runs_dir)
    _paths(runs, root)  # a RUN that is not there is said at once
    with tempfile.TemporaryDirectory(prefix="dlx-tensorboard-") as folder:
        try:
            _link(Path(folder), _paths(runs, root))
        except OSError as error:
            hint = find.command_line("tensorboard", "--logdir", str(root))
            raise DlxError(f"no links can be made here ({error.strerror})", hint=hint) from error
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        options = [] if port is None else [f"--port={port}"]
        for number in filter(None, (signal.SIGTERM, getattr(signal, "SIGHUP", None))):
            signal.signal(number, lambda number, frame: sys.exit(128 + number))  # which ends the server, too
        server = subprocess.Popen([sys.executable, "-c", SERVER, "--logdir", folder, *options], env=quiet)
        try:
            while server.poll() is None:
                _link(Path(folder), _paths(runs, root))
                try:
                    server.wait(PAUSE)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            server.terminate()
            server.wait()
    if server.returncode > 0:
        raise DlxError(f"TensorBoard ended with {server.returncode}", hint="--port 0 takes a free port")


def _paths(words: Sequence[str], root: Path) -> Mapping[str, Path]:
    """The TensorBoard folders of the runs that the words name, by the name of the run; without words of all runs."""
    from dlx.runs import find
    from dlx.runs.run import Run

    found = [path for word in words for path in find.find(word, root)] if words else find.below(root)
    runs = {find.shown_name(path, root): Run(path).tensorboard for path in find.runs_of(found) if find.is_run(path)}
    return {name: folder.resolve() for name, folder in runs.items() if folder.is_dir()}


def _link(folder: Path, paths: Mapping[str, Path]) -> None:
    """Make the links in `folder` those of `paths`."""
    for link in [path for path in folder.rglob("*") if path.is_symlink()]:
        name = link.relative_to(folder).as_posix()
        if name not in paths or not link.exists() or Path(os.readlink(link)) != paths[name]:
            link.unlink()
    for name, path in paths.items():
        link = folder / name
        if not link.is_symlink():
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(path, target_is_directory=True)
