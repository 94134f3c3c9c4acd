"""`dlx data`: the store as a person sees it."""

from __future__ import annotations

from pathlib import Path

from dlx.data import store
from dlx.errors import DataError
from dlx.system import terminal as display


def list_sets() -> None:
    """Every named set, here or not."""
    entries = store.entries()
    columns = [
        ("name", [name for name, _ in entries]),
        ("train", [f"{found['train']:,}" if found else "–" for _, found in entries]),
        ("test", [f"{found['test']:,}" if found else "–" for _, found in entries]),
        ("source", [_source(found) if found else "not here" for name, found in entries]),
    ]
    display.table(columns, [False, True, True, False])
    display.console().print("\ndlx data fetch NAME downloads one, dlx data add NAME PATH takes a copy at hand")
    display.console().print(f"the store is {store.home()} (environment DLX_DATA)")


def _source(found: dict[str, object]) -> str:
    return f"{found['source']}{', through JPEG' if found.get('lossy') else ''}"


def show_set(name: str) -> None:
    """One set in the store; raises DataError when it is not there."""
    found = store.info(name)
    if found is None:
        raise DataError(f"{name} is not in the store", hint=f"dlx data fetch {name}, or dlx data add {name} PATH")
    entry = store.known(name)
    display.lines(
        [
            ("name", name),
            ("images", f"{found['train']:,} train, {found['test']:,} test; {' × '.join(map(str, entry.shape))}"),
            ("classes", ", ".join(entry.classes)),
            ("source", _source(found)),
            ("fingerprint", str(found["fingerprint"])),
            ("place", str(store.home() / name)),
        ]
    )


def add_set(name: str, path: str) -> None:
    """Convert a copy into the store, with a progress bar over its images."""
    with _Images() as images:
        store.add(name, Path(path), images.update)
    _added(name)


def fetch_set(name: str) -> None:
    """Download, or take Keras's copy, and convert it."""
    store.known(name)
    if store.info(name) is not None:
        display.console().print(f"{name} is in the store already")
        return
    with _Images() as images:
        store.fetch(name, images.update)
    _added(name)


class _Images:
    """A bar that learns its length with the first update."""

    def __init__(self) -> None:
        self._bar: display.Bar | None = None

    def __enter__(self) -> _Images:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__()

    def update(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = display.Bar(total, "images").__enter__()
        self._bar.update(done)


def _added(name: str) -> None:
    found = store.info(name) or {}
    display.console().print(
        f"{name}: {found.get('train', 0):,} train and {found.get('test', 0):,} test images in {store.home() / name}"
    )
