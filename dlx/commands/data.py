"""dlx data."""

from __future__ import annotations

import click


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
def list_() -> None:
    """Show each named set: whether it is in the store, its sizes and its source."""
    from dlx.commands.storing import list_sets

    list_sets()


@command.command("show", short_help="One set: sizes, source, fingerprint, place.")
@click.argument("name")
def show(name: str) -> None:
    """Show what the store holds of the set NAME."""
    from dlx.commands.storing import show_set

    show_set(name)


@command.command("add", short_help="Add a copy that is at hand.")
@click.argument("name")
@click.argument("path", type=click.Path())
def add(name: str, path: str) -> None:
    """Convert the copy of NAME at PATH into the store.

    PATH is the official archive, an unpacked folder of it, an .npz with x_train, y_train, x_test and y_test,
    or a folder of images (train/CLASS/*.jpg, test/CLASS/*.jpg), packed (.tar.gz, .tar.xz, .zip) or not.
    """
    from dlx.commands.storing import add_set

    add_set(name, path)


@command.command("fetch", short_help="Download a set through Keras.")
@click.argument("name")
def fetch(name: str) -> None:
    """Bring the set NAME into the store from Keras's cache, or download it."""
    from dlx.commands.storing import fetch_set

    fetch_set(name)
