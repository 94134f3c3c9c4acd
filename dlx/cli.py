"""The command line: the one place where errors are printed and exit codes chosen."""

from __future__ import annotations

import signal
import threading

# Until `main` can answer it, Ctrl-C ends the process without a traceback.
_answers = signal.getsignal(signal.SIGINT) is signal.default_int_handler
_answers = _answers and threading.current_thread() is threading.main_thread()
if _answers:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# ruff: noqa: E402
import atexit
import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from dlx.commands import COMMANDS
from dlx.errors import DlxError, did_you_mean
from dlx.system import streams

# What other tools call a command.
MEANT = {"train": "run", "fit": "run", "start": "run", "ls": "list", "remove": "rm", "delete": "rm", "diff": "compare",
         "new": "init", "validate": "check", "infer": "predict", "tune": "sweep",
         "eval": "evaluate", "test": "evaluate", "convert": "export", "info": "show", "search": "sweep",
         "optimize": "sweep", "continue": "resume", "visualize": "plot", "draw": "plot", "create": "init",
         "lint": "check", "layers": "parts", "help": "--help", "version": "--version", "datasets": "data"}  # fmt: skip


TRAINS = (["run"], ["resume"], ["sweep"])  # what nobody's closing of a pipe stops


class _Group(click.Group):
    """Commands in the order in which a newcomer needs them; an unknown one gets the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"dlx.commands.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], [*COMMANDS, "--help", "--version"], MEANT)
            if args[0].endswith((".yaml", ".yml")):
                from dlx.runs.find import command_line

                hint = f" (did you mean `{command_line('dlx', 'run', args[0])}`?)"
            raise click.UsageError(f"no such command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


_VERSION = "Show the version, in a checkout with its commit, and exit."


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from dlx.system import versions

        click.echo(f"dlx, version {versions.own()}")
        context.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help=_VERSION)
def cli() -> None:
    """Run deep-learning experiments from YAML specs.

    \b
    dlx init digits                      write a spec that comes with dlx
    dlx run digits.yaml                  train; leaves a run directory in runs/
    dlx run digits.yaml -s lr=0.01
    dlx compare runs/*                   what differs, what resulted
    dlx predict latest photo.png

    --debug, anywhere, shows the traceback of an error.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of the contract."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("DLX_DEBUG"))
    words = [word for word in words if word != "--debug"]
    atexit.register(gc.freeze)  # else Python looks through all of Keras for garbage as it ends: a second
    with streams.standard(lasting=words[:1] in TRAINS) as pipes:
        code = _code(words, debug, pipes)
    sys.exit(code)


def _code(words: list[str], debug: bool, pipes: Sequence[streams.Pipe]) -> int:
    """Run a command; returns its exit code, its error printed."""
    try:
        code = cli.main(words, prog_name="dlx", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except DlxError as error:
        if debug:
            raise
        _say(str(error))
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        if debug:
            raise
        _say("stopped")
        return 130
    except click.NoSuchOption as error:
        error.show()
        if (hint := _as_setting(error.option_name, words)) is not None:
            _say(f"  a setting of the spec is {hint}")
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except (BrokenPipeError, SystemExit):  # rich ends the process when a pipe breaks
        if not any(pipe.broken for pipe in pipes):
            raise
        return 0
    except OSError as error:
        if debug:
            raise
        _say(f"{error.filename or 'a file'}: {error.strerror or error}")
        return 2 if error.errno == errno.ENAMETOOLONG else 5
    except Exception as error:
        if debug:
            raise
        _say(f"internal error: {type(error).__name__}: {error}\n  --debug shows where; please report it")
        return 1


def _as_setting(option: str, words: Sequence[str]) -> str | None:
    """How -s says what was written as an option: `--lr 0.01` is `-s lr=0.01`; None where a spec has no such key."""
    from dlx.spec.aliases import KEY_ALIASES
    from dlx.spec.annotations import SECTIONS

    key = option.lstrip("-").replace("-", "_")
    key = key if key in SECTIONS else KEY_ALIASES.get(key.replace("_", ""), "")
    if key not in SECTIONS or words[:1] not in (["run"], ["sweep"], ["check"], ["resume"]):
        return None
    place = next((n for n, word in enumerate(words) if word.partition("=")[0] == option), len(words))
    given = words[place].partition("=")[2] if place < len(words) and "=" in words[place] else ""
    return f"-s {key}={given or next(iter(words[place + 1 : place + 2]), 'VALUE')}"


def _say(text: str) -> None:
    from dlx.system import problems

    problems.show(text)


if _answers:
    signal.signal(signal.SIGINT, signal.default_int_handler)
