"""`dlx plot`: the pictures of one run, or of several side by side, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options

if TYPE_CHECKING:
    from dlx.commands.gallery import Gallery
    from dlx.runs.run import Run

KINDS = ("curves", "boundary", "confusion", "mistakes", "filters", "activations")


@click.command("plot", short_help="Draw runs: curves, boundaries, mistakes, filters, …")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("-o", "--output", default="plots", metavar="DIR", help="Where the pictures go.  [default: plots]")
@click.option("--only", multiple=True, type=click.Choice(KINDS), help="This picture alone; any number of times.")
@click.option("--image", metavar="FILE", help="The image whose activations are drawn.  [default: the first test image]")
@click.option("--svg", is_flag=True, help="Write .svg files instead of .png.")
@launch_options()
def command(
    runs: tuple[str, ...], output: str, only: tuple[str, ...], image: str | None, svg: bool, launch: Launch
) -> int:
    """Draw one RUN in every way that fits its data, or several side by side: their curves and decision boundaries.

    \b
    curves        loss and metrics over the epochs, the best epoch marked
    boundary      the decision boundary of a network with two inputs
    confusion     which class was taken for which
    mistakes      the images that it was most surely wrong about
    filters       the kernels of the first layer
    activations   what each layer makes of one image

    \b
    dlx plot latest
    dlx plot 'moons_hidden_sizes-*' --only boundary
    dlx plot digits --only activations --image seven.png
    """
    from dlx.commands.gallery import Gallery

    existing = _open(runs, launch.root)
    if image is not None and only and "activations" not in only:
        only = (*only, "activations")
    launch.want()
    gallery = Gallery(existing, image)
    written = _draw(gallery, only, Path(output), "svg" if svg else "png")
    if gallery.problems and (only or image is not None or not written):
        return gallery.problems[0].exit_code
    return 0


def _open(words: Sequence[str], root: Path) -> list[Run]:
    """The runs that the words mean, each once."""
    from dlx.runs import find
    from dlx.runs.run import Run

    runs = [Run.open(path) for word in words for path in find.runs_of(find.find(word, root))]
    return list({run.path.resolve(): run for run in runs}.values())


def _draw(gallery: Gallery, only: Sequence[str], folder: Path, suffix: str) -> int:
    """Write the pictures; returns how many. One that cannot be drawn is a problem of the gallery."""
    from dlx.errors import DlxError
    from dlx.plots import style
    from dlx.system import terminal

    out, errors = terminal.console(), terminal.console(error=True)
    drawings, written = gallery.drawings(only), 0
    with terminal.Bar(len(drawings), "pictures", plain=False) as bar:
        for number, (name, draw) in enumerate(drawings, 1):
            path = folder / f"{name}.{suffix}"
            try:
                style.save(draw(), path)
            except DlxError as error:
                if error.exit_code == 5:
                    raise
                gallery.problems.append(error)
                continue
            written += 1
            bar.update(number)
            out.print(terminal.clean(str(path)))
    for remark in gallery.remarks:
        errors.print(terminal.clean(remark))
    for problem in gallery.problems:
        errors.print(terminal.clean_lines(f"not drawn: {problem}"))
    return written
