"""dlx plot."""

from __future__ import annotations

import click

from dlx.commands import allow_code, complete_runs, device_options, runs_dir

KINDS = ("curves", "boundary", "confusion", "mistakes", "filters", "activations")


@click.command("plot", short_help="Draw runs: curves, boundaries, mistakes, filters, …")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("-o", "--output", default="plots", metavar="DIR", help="Where the pictures go.  [default: plots]")
@click.option("--only", multiple=True, type=click.Choice(KINDS), help="This picture alone; any number of times.")
@click.option("--image", metavar="FILE", help="The image whose activations are drawn.  [default: the first test image]")
@click.option("--svg", is_flag=True, help="Write .svg files instead of .png.")
@allow_code
@device_options
@runs_dir
def command(
    runs: tuple[str, ...],
    output: str,
    only: tuple[str, ...],
    image: str | None,
    svg: bool,
    backend: str,
    device: str,
    runs_dir: str | None,
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
    from dlx.commands.plotting import plot

    return plot(runs, only, output, svg, image, backend, device, runs_dir)
