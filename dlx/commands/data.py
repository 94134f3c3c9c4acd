"""`dlx data`: the local data store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dlx.system import terminal


@click.group("data", short_help="The local data store: list, show, add, fetch.")
def command() -> None:
    """The named image sets on this machine: mnist, fashion_mnist, cifar10, cifar100.

    A set that is in the store is used by every spec that names it, without a network.

    \b
    dlx data list
    dlx data add cifar10 cifar-10-python.tar.gz
    dlx data fetch mnist
    """


@command.command("list", short_help="The named sets, and which are here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each set.")
def list_(as_json: bool) -> None:
    """Show each named set: whether it is in the store, its sizes and its source."""
    from dlx.data import store
    from dlx.system import terminal
    from dlx.system.json_text import finite, one_line

    entries = store.entries()
    if as_json:
        for name, copy in entries:
            print(one_line(finite({"name": name, "here": bool(copy), **(copy or {})})))
        return
    columns = [
        ("name", [name for name, _ in entries]),
        ("train", [f"{copy['train']:,}" if copy else "–" for _, copy in entries]),
        ("test", [f"{copy['test']:,}" if copy else "–" for _, copy in entries]),
        ("source", [_source(copy) if copy else "not here" for _, copy in entries]),
    ]
    terminal.table(columns, [False, True, True, False])
    terminal.console().print("\ndlx data fetch NAME downloads one, dlx data add NAME PATH takes a local copy")
    terminal.console().print(f"the store is {store.home()} (environment DLX_DATA)")


@command.command("show", short_help="One set: sizes, classes, a few examples.")
@click.argument("name")
def show(name: str) -> None:
    """Show the data set NAME: what the store holds of it, or what dlx makes or ships, with a few examples.

    \b
    dlx data show mnist
    dlx data show moons
    """
    from dlx.commands import data_view
    from dlx.data import store
    from dlx.errors import DataError
    from dlx.system import terminal

    if name not in store.KNOWN:
        data_view.show(name)
        return
    copy = store.info(name)
    if copy is None:
        raise DataError(f"{name} is not in the store", hint=f"dlx data fetch {name}, or dlx data add {name} PATH")
    entry = store.known(name)
    terminal.fields(
        [
            ("name", name),
            ("images", f"{copy['train']:,} train, {copy['test']:,} test; {' × '.join(map(str, entry.shape))}"),
            ("classes", ", ".join(entry.classes)),
            ("source", _source(copy)),
            ("fingerprint", str(copy["fingerprint"])),
            ("place", str(store.home() / name)),
        ]
    )
    data_view.show_examples(name)


@command.command("add", short_help="Add a local copy.")
@click.argument("name")
@click.argument("path", type=click.Path())
def add(name: str, path: str) -> None:
    """Convert the copy of NAME at PATH into the store.

    PATH is the official archive, an unpacked folder of it, an .npz with x_train, y_train, x_test and y_test,
    or a folder of images (train/CLASS/*.jpg, test/CLASS/*.jpg), packed (.tar.gz, .tar.xz, .zip) or not.
    """
    from dlx.data import store

    with _ImageBar() as bar:
        store.add(name, Path(path), bar.update)
    _show_added(name)


@command.command("fetch", short_help="Download a set through Keras.")
@click.argument("name")
def fetch(name: str) -> None:
    """Bring the set NAME into the store from Keras's cache, or download it."""
    from dlx.data import store
    from dlx.system import terminal

    store.known(name)
    if store.info(name) is not None:
        terminal.console().print(f"{name} is in the store already")
        return
    with _ImageBar() as bar:
        store.fetch(name, bar.update)
    _show_added(name)


def _source(copy: dict[str, Any]) -> str:
    return f"{copy['source']}{', through JPEG' if copy.get('lossy') else ''}"


class _ImageBar:
    """A bar that learns its length with the first update."""

    def __init__(self) -> None:
        self._bar: terminal.Bar | None = None

    def __enter__(self) -> _ImageBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__()

    def update(self, done: int, total: int) -> None:
        from dlx.system import terminal

        if self._bar is None:
            self._bar = terminal.Bar(total, "images").__enter__()
        self._bar.update(done)


def _show_added(name: str) -> None:
    from dlx.data import store
    from dlx.system import terminal

    copy = store.info(name) or {}
    terminal.console().print(
        f"{name}: {copy.get('train', 0):,} train and {copy.get('test', 0):,} test images in {store.home() / name}"
    )
