"""`dlx plot`: the pictures of one run, or of several side by side, as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from dlx.commands.gallery import Gallery
    from dlx.commands.spec_gallery import SpecGallery
    from dlx.plots.history import X
    from dlx.runs.run import Run

RUN_KINDS = (
    "overview", "curves", "settings", "trials", "parallel", "family", "boundary", "confusion", "probabilities",
    "residuals", "forecast", "mistakes", "filters", "activations", "network", "layers",
)  # fmt: skip
SPEC_KINDS = ("data", "classes", "augmented")


def _kinds(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds that --only names, once or with commas."""
    kinds = tuple(kind.strip() for text in value for kind in text.split(","))
    for kind in kinds:
        if kind not in (*RUN_KINDS, *SPEC_KINDS):
            raise click.BadParameter(f"{kind!r} is not one of {', '.join((*RUN_KINDS, *SPEC_KINDS))}")
    return kinds


@click.command("plot", short_help="Draw runs, or a spec's data: curves, boundaries, mistakes, …")
@click.argument("runs", metavar="RUN...|SPEC", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("-o", "--output", default="plots", metavar="DIR", help="Where the pictures go.  [default: plots]")
@click.option("--only", multiple=True, metavar="KIND,...", callback=_kinds, help="These pictures alone.")
@click.option(
    "--x", type=click.Choice(["epoch", "step", "seconds"]), default="epoch", help="What curves are drawn over."
)
@click.option("--image", metavar="FILE", help="The image whose activations are drawn.  [default: the first test image]")
@click.option("--svg", "form", flag_value="svg", help="Write .svg files instead of .png.")
@click.option("--pdf", "form", flag_value="pdf", help="Write .pdf files instead of .png.")
@click.option("--dark", is_flag=True, help="Draw on a dark ground.")
@overrides
@launch_options("json")
def command(
    runs: tuple[str, ...],
    output: str,
    only: tuple[str, ...],
    x: X,
    image: str | None,
    form: str | None,
    dark: bool,
    settings: tuple[str, ...],
    launch: Launch,
) -> int:
    """Draw one RUN in every way that fits its data, or several side by side: their curves and decision boundaries.

    Of a SPEC its data is drawn, before any training. A run with `snapshots` is also drawn epoch by epoch, as a strip
    and as an animation.

    \b
    overview      of one run: curves, right and wrong, the surest mistakes
    curves        loss and metrics over the epochs, the best epoch marked
    settings      of several runs: their figure against the settings that differ
    boundary      the decision boundary of a network with two inputs
    confusion     which class was taken for which
    probabilities of two classes: how probable the second one is, by true class
    residuals     of a regression: what is predicted against what is true
    forecast      of a series: the last values, predicted and true
    mistakes      the images that it was most surely wrong about
    filters       the kernels of the first layer
    activations   what each layer makes of one image
    network       the units and weights of a small network
    layers        the chain of layers, their shapes and parameters
    data          of a spec: points, images with labels, or histograms of columns
    classes       of a spec: how many examples each class has
    augmented     of a spec: images, and what augmentation makes of them

    \b
    dlx plot latest
    dlx plot 'moons_hidden_sizes-*' --only boundary
    dlx plot digits --only activations --image seven.png
    dlx plot 'cifar_*_batch' --only curves --x step
    dlx plot cifar_dropout.yaml --only data,augmented
    """
    from dlx.commands.gallery import Gallery
    from dlx.commands.spec_gallery import SpecGallery
    from dlx.errors import DlxError

    specs = [word for word in runs if word.endswith((".yaml", ".yml"))]
    if specs and len(specs) < len(runs):
        raise DlxError(f"{specs[0]} is a spec, the others are runs; expected one kind")
    if wrong := [kind for kind in only if kind in (RUN_KINDS if specs else SPEC_KINDS)]:
        raise DlxError(f"--only {wrong[0]} is a picture of a {'run' if specs else 'spec'}")
    if settings and not specs:
        raise DlxError("-s changes a spec, and runs are drawn as they are", hint="dlx plot SPEC.yaml -s …")
    if specs:
        launch.want()
        shown = SpecGallery(specs, settings)
        _draw(shown, only, _Target(Path(output), form or "png", dark, launch.json))
        return shown.problems[0].exit_code if shown.problems else 0
    existing = _open(runs, launch.root)
    if image is not None and only and "activations" not in only:
        only = (*only, "activations")
    launch.want()
    gallery = Gallery(existing, image, x)
    written = _draw(gallery, only, _Target(Path(output), form or "png", dark, launch.json))
    if gallery.problems and (only or image is not None or not written):
        return gallery.problems[0].exit_code
    return 0


def _open(words: Sequence[str], root: Path) -> list[Run]:
    """The runs that the words mean, each once. Raises RunError where they mean none."""
    from dlx.errors import RunError
    from dlx.runs import find
    from dlx.runs.run import Run

    runs = [Run.open(path) for path in find.runs_of(find.find_all(words, root))]
    if not runs:
        raise RunError("is no run", where=" ".join(words), hint="dlx list shows the runs")
    return list({run.path.resolve(): run for run in runs}.values())


@dataclass(frozen=True)
class _Target:
    """Where pictures go, in which form, and whether their paths are printed as JSON."""

    folder: Path
    suffix: str
    dark: bool
    json: bool


def _draw(gallery: Gallery | SpecGallery, only: Sequence[str], target: _Target) -> int:
    """Write the pictures; returns how many. One that cannot be drawn is a problem of the gallery."""
    from dlx.errors import DlxError
    from dlx.plots import style
    from dlx.system import terminal
    from dlx.system.json_text import one_line

    out, errors = terminal.console(), terminal.console(error=True)
    drawings, written = gallery.drawings(only), 0
    with terminal.Bar(len(drawings), "pictures", plain=False) as bar:
        for number, (name, draw) in enumerate(drawings, 1):
            try:
                with style.on_dark(target.dark):
                    paths = style.save_all(draw(), target.folder / name, target.suffix)
            except DlxError as error:
                if error.exit_code == 5:
                    raise
                gallery.problems.append(error)
                continue
            written += len(paths)
            bar.update(number)
            for path in paths:
                if target.json:
                    print(one_line({"picture": name, "file": str(path)}))
                else:
                    out.print(terminal.clean(str(path)))
    for remark in gallery.remarks:
        errors.print(terminal.clean(remark))
    for problem in gallery.problems:
        errors.print(terminal.clean_lines(f"not drawn: {problem}"))
    return written
