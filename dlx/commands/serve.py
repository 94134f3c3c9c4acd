"""`dlx serve`: runs behind an address, with a page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options

if TYPE_CHECKING:
    from dlx.export.server.served import Served

EXAMPLES = 8


@click.command("serve", short_help="A page and a server that answer by trained runs.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at; another needs --token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@click.option(
    "--token", metavar="TEXT", envvar="DLX_TOKEN", help="What requests must send, as Authorization: Bearer TEXT "
    "(environment DLX_TOKEN, which no list of processes shows).",
)  # fmt: skip
@launch_options()
def command(runs: tuple[str, ...], host: str, port: int, token: str | None, launch: Launch) -> None:
    """Answer by the models of RUNs until Ctrl-C: a page for people, and addresses for programs.

    /predict takes images, CSV tables or JSON and answers as `dlx predict --json`; the Open Inference Protocol (/v2) and
    TensorFlow Serving's (/v1) are spoken, too; /docs shows all. A spec's name, or `latest`, follows newer runs.

    \b
    dlx serve digits                           # needs pip install 'dlx-runner[serve]'
    dlx serve digits iris --port 8080          # needs pip install 'dlx-runner[serve]'
    curl --data-binary @photo.png -H 'Content-Type: image/png' localhost:8000/predict    # needs a server
    """
    from dlx.errors import DlxError
    from dlx.system import terminal

    errors = terminal.console(error=True)

    def say(words: str) -> None:
        errors.print(terminal.clean_lines(words))

    try:
        from dlx.export.server import app, guard, process
    except ModuleNotFoundError as error:
        message = f"dlx serve needs {error.name}, which is not installed"
        raise DlxError(message, hint="pip install 'dlx-runner[serve]'") from error
    if not guard.is_loopback(host) and not token:
        message = f"--host {host}: others than this machine could ask, so a token must be sent with each request"
        raise DlxError(message, hint="DLX_TOKEN=… dlx serve …, or --token")
    from dlx.export.server.served import Served, follow

    launch.want()
    with process.bound(host, port) as listening:
        with terminal.doing("loading the models"):
            models = [Served(word, launch.root) for word in dict.fromkeys(runs)]
        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"

        def ready() -> None:
            names = ", ".join(f"{one.name} ({one.predictor.run.name})" if one.follows else one.name for one in models)
            follow(models, say)
            secret = f"#token={token}" if token and sys.stdout.isatty() else ""  # no file is to hold it
            print(f"{names}: {address}{secret}", flush=True)

        process.serve(app.application(app.Service(models, _examples), host, token), listening, ready)


def _examples(served: Served) -> list[dict[str, Any]]:
    """Some of a run's own test split, for the page; none where its data is not here, or a form holds values."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    inputs = served.predictor.inputs
    if inputs.encoding.columns or inputs.encoding.column:
        return []
    # In a process of its own, so that answers do not wait for what it imports.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_examples_of, str(served.predictor.run.path), inputs.kind).result()


def _examples_of(path: str, kind: str) -> list[dict[str, Any]]:
    from dlx.errors import DlxError
    from dlx.runs.run import Run
    from dlx.training.experiment import chosen_split, prepared_again

    run = Run.open(path)
    try:
        experiment, _ = prepared_again(run)
        name = chosen_split(run, experiment, None)
    except (DlxError, OSError):
        return []
    split = experiment.splits.named()[name]
    return [_example(kind, split.inputs[row : row + 1][0], f"{name}:{row}") for row in range(min(EXAMPLES, len(split)))]


def _example(kind: str, array: Any, name: str) -> dict[str, Any]:
    """An input for the page: an image as a data: address, numbers as a text."""
    import base64
    import io

    import numpy as np
    from PIL import Image

    array = np.asarray(array)
    if kind != "image" or array.dtype != np.uint8:
        return {"name": name, "text": " ".join(f"{value:g}" for value in array.ravel())}
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    with io.BytesIO() as stream:
        picture.save(stream, "PNG")
        return {"name": name, "image": f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"}
