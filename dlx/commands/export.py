"""`dlx export`: a run's model for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from dlx.commands import completion
from dlx.commands.options import allow_code, runs_dir

ENDS = {"onnx": ".onnx", "litert": ".tflite", "saved_model": "-saved_model", "web": "-web"}
QUANTIZE = ("dynamic", "static", "float16")


@click.command("export", short_help="Write a run's model for other programs, proven equal.")
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.option("--to", "form", type=click.Choice(tuple(ENDS)), help="The format.")
@click.option("--quantize", type=click.Choice(QUANTIZE), help="Smaller numbers, judged by what they cost.")
@click.option(
    "--tolerance", type=click.FloatRange(0.0), default=0.01, metavar="X", show_default=True,
    help="What a quantised model may lose: of its accuracy, or of its error as a share.",
)  # fmt: skip
@click.option(
    "--runtime", metavar="DIR", type=click.Path(exists=True, file_okay=False),
    help="For web, a folder with onnxruntime-web's files; else npm fetches them.",
)  # fmt: skip
@click.option("--benchmark", is_flag=True, help="All formats in a table: size, speed, agreement, figure; writes none.")
@click.option("-o", "--output", metavar="PATH", type=click.Path(), help="Where to; else beside you, by the run's name.")
@allow_code
@runs_dir
def command(
    run: str, form: str | None, quantize: str | None, tolerance: float, runtime: str | None, benchmark: bool,
    output: str | None, runs_dir: str | None,
) -> int:  # fmt: skip
    """Write the model of RUN as a file or a folder that needs no dlx: raw inputs in, probabilities or values out.

    It is read back by its own runtime and compared with the network on examples of the run's data before it counts.
    What it takes and gives stands in its metadata.

    \b
    dlx export digits --to onnx
    dlx export digits --to litert --quantize dynamic
    dlx export digits --to web
    dlx export digits --benchmark
    """
    from dlx.commands import export_screen
    from dlx.runs import find

    if benchmark == (form is not None):
        raise click.UsageError("expected one of --to FORMAT and --benchmark")
    if benchmark and (output or quantize):
        raise click.UsageError("--benchmark tries all formats, and writes none: leave -o and --quantize out")
    existing = find.one(run, find.root(runs_dir))
    if form is None:
        return export_screen.benchmark(existing, tolerance)
    place = Path(output or f"{existing.name}{f'-{quantize}' if quantize else ''}{ENDS[form]}")
    how = {"to": form, "quantize": quantize or "none", "tolerance": tolerance}
    export_screen.export(existing, place, how, runtime)
    return 0
