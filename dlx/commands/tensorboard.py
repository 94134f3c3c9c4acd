"""`dlx tensorboard`: TensorBoard with the runs by their names, and none that was removed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir

PAUSE = 2.0  # seconds between two looks at which runs there are
TICKED = 40  # entries, of more TensorBoard ticks none
# Where the module notf is, TensorBoard imports its stub instead of TensorFlow. The server ends with dlx in any case.
SERVER = """
import os, shutil, sys, threading, time, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
from tensorboard.compat import tf
tf.__version__ = "not needed"  # else it says that TensorFlow is not installed
from tensorboard.main import run_main

def watch(parent, folder):
    while os.getppid() == parent:
        time.sleep(1)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)

threading.Thread(target=watch, args=(int(sys.argv.pop(1)), sys.argv[-1]), daemon=True).start()
run_main()
"""


@click.command("tensorboard", short_help="Curves, settings and networks of runs in a browser.")
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=completion.runs)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The port to serve at; 0 takes a free one.  [default: 6006]"
)
@click.option("--all", "everything", is_flag=True, help="All runs, not the newest 40 alone.")
@runs_dir
def command(runs: tuple[str, ...], port: int | None, everything: bool, runs_dir: str | None) -> None:
    """Serve TensorBoard for each RUN, or for the newest 40; those that begin while it serves come in, Ctrl-C ends it.

    It names a run as dlx does, and shows none that `dlx rm` took away. Of up to 20 runs there are the curves of train
    and of validation; of more, those of validation, so that each run is one entry.

    \b
    dlx tensorboard
    dlx tensorboard 'digits-*' --port 6007
    """
    import subprocess
    import tempfile

    from dlx.errors import DlxError
    from dlx.runs import find

    root = find.root(runs_dir)
    with tempfile.TemporaryDirectory(prefix="dlx-tensorboard-") as folder:
        try:
            shown = _paths(runs, root, everything)
            _link(Path(folder), shown)
        except OSError as error:
            hint = find.command_line("tensorboard", "--logdir", str(root))
            raise DlxError(f"no links can be made here ({error.strerror})", hint=hint) from error
        if remark := _remark(runs, root, len(shown), everything):
            click.echo(remark, err=True)
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        options = [] if port is None else [f"--port={port}"]
        for number in filter(None, (signal.SIGTERM, getattr(signal, "SIGHUP", None))):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, lambda number, frame: sys.exit(128 + number))  # which ends the server, too
        words = [str(os.getpid()), *options, "--logdir", folder]
        server = subprocess.Popen([sys.executable, "-c", SERVER, *words], env=quiet)
        try:
            while server.poll() is None:
                with contextlib.suppress(DlxError):  # a RUN that was removed meanwhile
                    _link(Path(folder), _paths(runs, root, everything))
                try:
                    server.wait(PAUSE)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            server.terminate()
            server.wait()
    if server.returncode > 0:
        raise DlxError(f"TensorBoard ended with {server.returncode}", hint="--port 0 takes a free port")


def _remark(words: Sequence[str], root: Path, shown: int, everything: bool) -> str:
    """What of the runs is not shown, or not ticked."""
    from dlx.runs import find

    if shown > TICKED:
        return f"Scalars, Images and Text tick none of {shown} runs: TOGGLE ALL RUNS does"
    there = 0 if words or everything else sum(map(find.is_run, find.below(root)))
    return f"the newest {shown} of {there} runs; --all shows all" if there > TICKED else ""


def _paths(words: Sequence[str], root: Path, everything: bool) -> Mapping[str, Path]:
    """The TensorBoard folders of the runs that the words name, by the name of the run; without words of the newest.

    Raises RunError where no word names a run that is there.
    """
    from dlx.errors import RunError
    from dlx.runs import find
    from dlx.runs.run import Run

    paths, problem = [] if words else find.below(root), None
    for word in words:
        try:
            paths += find.find_all([word], root)
        except RunError as error:
            problem = error
    if problem is not None and not paths:
        raise problem
    runs = [path for path in dict.fromkeys(find.runs_of(paths)) if find.is_run(path)]
    if not words and not everything:
        runs = sorted(sorted(runs, key=_begun)[-TICKED:], key=find.natural)
    names = [find.shown_name(path, root) for path in runs]
    shown = [f"{path.parent.name}/{name}" if names.count(name) > 1 and "/" not in name else name
             for path, name in zip(runs, names, strict=True)]  # fmt: skip
    shown = _in_order(shown)
    few = len(runs) <= TICKED // 2
    folders = {name: _folder(Run(path).tensorboard, few) for path, name in zip(runs, shown, strict=True)}
    return {name: folder.resolve() for name, folder in folders.items() if os.path.isdir(folder)}


def _in_order(names: Sequence[str]) -> list[str]:
    """The names with numbers of equal length, moons-01 and moons-12: TensorBoard sorts them by their letters."""
    split = [re.fullmatch(r"(.*-)(\d+)", name) for name in names]
    longest: dict[str, int] = {}
    for match in filter(None, split):
        longest[match[1]] = max(longest.get(match[1], 0), len(match[2]))
    padded = [f"{m[1]}{m[2].zfill(longest[m[1]])}" if m else name for m, name in zip(split, names, strict=True)]
    return padded if len(set(padded)) == len(set(names)) else list(names)


def _begun(run: Path) -> float:
    """When a run began, or was continued; 0 where that is not known, as of one that is just removed."""
    try:
        return (run / "run.json").stat().st_mtime
    except OSError:
        return 0.0


def _folder(folder: Path, few: bool) -> Path:
    """The folder of a run with both its splits, or of many that with what the run is judged by."""
    if few or list(folder.glob("*tfevents*")):  # an earlier dlx kept HParams beside the two
        return folder
    return folder / "validation" if os.path.isdir(folder / "validation") else folder / "train"


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
