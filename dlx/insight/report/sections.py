"""The sections of a report, each a piece of HTML; an empty one is left out. Every name in them is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dlx.inference.evaluate import calibration, confusion_counts, per_class, surest_mistakes
from dlx.insight import evidence, remarks
from dlx.insight.lift import is_baseline
from dlx.insight.remarks import remedy
from dlx.insight.report import charts
from dlx.insight.report.charts import Line, text
from dlx.insight.report.material import Material
from dlx.runs.compare import figure_names
from dlx.runs.diff import heading, settings_in
from dlx.runs.find import command_line
from dlx.runs.history import thinned
from dlx.runs.metrics import figure_text, is_number, is_share, number_text, numbers, plain_name, splits_of
from dlx.runs.run import Run
from dlx.runs.summary import BASELINE

if TYPE_CHECKING:
    import numpy as np

CURVES, POINTS, TRAINS = 12, 200, 3  # rows that have a line, points of a line; rows whose train line is drawn
CLASSES = 25  # that a confusion has cells for
SHOWN = 12  # mistakes and flips
DOTS = 1500
SCATTERS = 6
LONGEST = 60  # letters of a name


def name(words: str) -> str:
    """A name as the page shows it: short, isolated from the writing around it, and no markup."""
    short = words if len(words) <= LONGEST else f"{words[: LONGEST - 12]}…{words[-10:]}"
    return f"<bdi>{text(short)}</bdi>"


def table(head: Sequence[str], body: Sequence[Sequence[str]], numbers: int = 1) -> str:
    """A table of cells that are HTML already; columns from `numbers` on stand at the right."""
    kind = [' class="n"' if place >= numbers else "" for place in range(len(head))]
    titles = "".join(f"<th{k}>{cell}</th>" for k, cell in zip(kind, head, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kind, line, strict=True)) + "</tr>" for line in body
    )
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def answer(material: Material) -> str:
    """The verdict, and the sentences about differences."""
    run, remark = material.chosen, material.remark
    lines = []
    if len(material.rows) > 1 and material.figure:
        pairs = zip(material.labels, material.rows, strict=True)
        label, row = next(pair for pair in pairs if any(entry.path == run.path for entry in pair[1].entries))
        lines.append(f"Best by {text(material.figure)}: <b>{name(label)}</b>, {text(row.shown(material.figure))}.")
    elif material.figure:
        lines.append(f"<b>{text(material.figure)} {text(material.rows[0].shown(material.figure))}</b>.")
    elif not material.alike:
        lines.append("The runs are on unlike data: their figures say nothing of one another.")
    lines += [text(line) for line in _status(material)]
    lines += [text(line) for line in material.said.ranking]
    lines += [text(one.sentence) for one in material.said.statements[: material.said.shown][:5]]
    lines += [text(line) for line in material.said.remarks]
    lines += [text(line) for line in remarks.notes(evidence.of_run(run))]
    paragraphs = "".join(f"<p>{line}</p>" for line in lines)
    if remark is not None:
        command = remedy(remark, run)
        paragraphs += f'<p class="doubt">{name(run.name)}: {text(remark.message)}.'
        paragraphs += f"<br><code>{text(command)}</code></p>" if command else "</p>"
    return paragraphs


def _status(material: Material) -> Iterator[str]:
    """Of runs that are not done, how they ended."""
    for entry in material.entries:
        if entry.status != "done":
            message = (Run(entry.path).failure() or {}).get("message")
            yield f"{entry.name} is {entry.status}" + (f": {message}" if message else "")


def figures(material: Material) -> str:
    """The settings that differ, and the figures: a line a row; of one run a line a split."""
    if len(material.rows) == 1 and len(material.entries) == 1:
        return _splits(material)
    names = figure_names(list(material.rows))
    columns = settings_in(list(material.rows))[:6] if len(material.rows) > 1 else []
    titles = [heading(column) for column in columns]
    titles = [c.title if titles.count(t) > 1 else t for c, t in zip(columns, titles, strict=True)]
    head = ["run", *map(text, titles), *map(text, names)]
    body = []
    for number, row in enumerate(material.rows):
        cells = [name(column.cells[number]) for column in columns]
        body.append([name(row.name), *cells, *(text(row.shown(figure)) for figure in names)])
    return table(head, body)


def _splits(material: Material) -> str:
    known = numbers(material.entries[0].metrics)
    splits, names = splits_of(known)
    body = [[split, *(_cell(one, known.get(f"{split}_{one}")) for one in names)] for split in splits]
    counts = ("best_epoch", "epochs", "parameters", "train_seconds")
    more = ", ".join(f"{key} {figure_text(key, known[key])}" for key in counts if key in known)
    return table(["", *map(text, names)], body) + f'<p class="dim">{text(more)}</p>' if body else ""


def _cell(figure: str, value: float | None) -> str:
    return "–" if value is None else text(figure_text(figure, value))


# Curves


def curves(material: Material) -> tuple[str, dict[str, Any]]:
    """(the curves of each figure; for the page's script, the points of each line by chart)"""
    histories = [(label, Run(row.first.path)) for label, row in zip(material.labels, material.rows, strict=True)]
    rows = [(label, run, run.history()) for label, run in histories]
    data = _data(material.chosen)  # curves of unlike data are in no chart together
    rows = [row for row in rows if row[2] and _data(row[1]) == data][:CURVES]
    if not rows:
        return "", {}
    keys = dict.fromkeys(key for _, _, history in rows for key in history[0] if key.startswith(("train_", "val_")))
    names = [one for one in dict.fromkeys(plain_name(key) for key in keys) if not one.endswith("data_loss")]
    pieces, points = [], {}
    for number, figure in enumerate(names[:4]):
        series = list(_series(rows, figure))
        chart, logs = charts.lines(series, f"{figure} over the epochs", "epoch", is_share(figure))
        if chart:
            key = f"chart{number}"
            button = f'<button type="button" data-log="{key}">log</button>' if logs else ""
            pieces.append(f'<figure id="{key}"><figcaption>{text(figure)} {button}</figcaption>{chart}'
                          '<p class="hover dim"></p></figure>')  # fmt: skip
            points[key] = {line.key: [[round(a), float(f"{b:.5g}")] for a, b in line.points] for line in series}
    return f'{_legend(rows)}<div class="charts">{"".join(pieces)}</div>', points


def _data(run: Run) -> str:
    return str((run.info().get("dataset") or {}).get("fingerprint"))


def _series(rows: Sequence[tuple[str, Run, Any]], figure: str) -> Iterator[Line]:
    """The lines of a figure: of each row validation, and of up to three rows, or without a validation, train."""
    single = len(rows) == 1
    for number, (label, run, history) in enumerate(rows):
        best, validated = (run.metrics() or {}).get("best_epoch"), f"val_{figure}" in history[0]
        for split in ("train", "val"):
            key = f"{split}_{figure}"
            points = [(float(row["epoch"]), float(row[key])) for row in history if is_number(row.get(key))]
            judged = split == "val" or not validated
            if not points or not (judged or len(rows) <= TRAINS):
                continue
            colour = split if single else f"c{number % charts.COLOURS}"
            ring = next((point for point in points if judged and point[0] == best), None)
            yield Line(f"{label} {split}", colour, thinned(points, POINTS), not judged, ring)


def _legend(rows: Sequence[tuple[str, Run, Any]]) -> str:
    """What the lines are; with the page's script each can be turned off."""
    if len(rows) == 1:
        words = [f"{_sample('train', True)}train", f"{_sample('val')}validation"]
        return f'<p class="legend">{"".join(f"<label>{one}</label>" for one in words)}{RINGED}</p>'
    items = []
    for number, (label, _, _) in enumerate(rows):
        box = f'<input type="checkbox" checked data-run="{text(label)}">'
        items.append(f"<label>{box}{_sample(f'c{number % charts.COLOURS}')}{name(label)}</label>")
    return f'<p class="legend">{" ".join(items)} <span class="dim">dashed: train;</span> {RINGED}</p>'


RINGED = '<span class="dim">ringed: the best epoch</span>'


def _sample(colour: str, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 3"' if dashed else ""
    line = f'<line class="line {colour}" x1="0" x2="24" y1="4" y2="4"{dashes}/>'
    return f'<svg class="key" viewBox="0 0 24 8" aria-hidden="true">{line}</svg>'


# Classes and values


def classes(material: Material) -> str:
    """Each class, the confusion, the calibration; of values, what is predicted against what is true."""
    kept = material.kept
    if kept is None:
        return ""
    if kept.task == "regression":
        return _values(kept.label, kept.prediction, kept.split)
    if kept.task != "classification" or kept.label.ndim != 1 or len(kept.classes) < 2:
        return ""
    rows = per_class(kept.label, kept.prediction, len(kept.classes))
    order = [n for n in sorted(range(len(rows)), key=lambda n: rows[n]["recall"]) if rows[n]["n"]][:60]
    shares = ("recall", "precision", "f1", "confidence")
    body = [
        [name(kept.classes[n]), f"{rows[n]['n']:,}", *(f"{100 * rows[n][key]:.1f} %" for key in shares)] for n in order
    ]
    pieces = []
    if len(kept.classes) <= CLASSES:
        counts = confusion_counts(kept.label, kept.prediction, len(kept.classes))
        chart = charts.confusion(counts.tolist(), list(kept.classes), f"confusion on {kept.split}")
        pieces.append(captioned("confusion: true beside, predicted above", chart))
    bins, error = calibration(kept.label, kept.prediction)
    chart = charts.reliability(bins, f"reliability on {kept.split}, expected calibration error {100 * error:.1f} %")
    words = f"calibration: expected error {100 * error:.1f} points (10 bins, n={len(kept):,})"
    pieces.append(
        captioned(words, chart, "bars: the share that is right; marks: how sure it was; dotted: as sure as right")
    )
    head = ["class, the worst first", "n", "recall", "precision", "F1", "confidence"]
    return table(head, body) + f'<div class="charts">{"".join(pieces)}</div>'


def captioned(words: str, chart: str, note: str = "") -> str:
    """A chart under its words; words are escaped here."""
    below = f'<p class="dim">{text(note)}</p>' if note else ""
    return f"<figure><figcaption>{text(words)}</figcaption>{chart}{below}</figure>"


def _values(labels: np.ndarray, predictions: np.ndarray, split: str) -> str:
    """Of values, what is predicted against what is true, and the furthest off."""
    import numpy as np

    true, said = (np.asarray(one, np.float64).reshape(len(labels), -1)[:, 0] for one in (labels, predictions))
    chosen = np.linspace(0, len(true) - 1, min(DOTS, len(true))).astype(int)
    pairs = [(float(true[n]), float(said[n])) for n in chosen]
    chart = charts.dots(pairs, f"predicted against true on {split}", ("true", "predicted"))
    worst = [
        (n, number_text(float(true[n])), number_text(float(said[n]))) for n in np.argsort(-np.abs(said - true))[:5]
    ]
    words = "; ".join(f"row {n}: {a}, predicted {b}" for n, a, b in worst)
    figure = captioned(f"predicted against true, n={len(true):,}", chart, f"furthest off: {words}")
    return f'<div class="charts">{figure}</div>'


def mistakes(material: Material) -> str:
    """The wrong answers of which the network was most sure: as images, or as rows."""
    kept, examples = material.kept, material.examples
    if kept is None or kept.task != "classification" or kept.label.ndim != 1:
        return ""
    worst = surest_mistakes(kept.label, kept.prediction, SHOWN)
    if not len(worst):
        return f"<p>No mistake on {len(kept):,} rows of {kept.split}.</p>"
    items = []
    for row in map(int, worst):
        predicted = int(kept.prediction[row].argmax())
        sure = f"{100 * kept.prediction[row, predicted]:.0f} %"
        words = f"{name(kept.classes[int(kept.label[row])])} → {name(kept.classes[predicted])}, {sure}"
        place, image = f"row {row}", ""
        if examples is not None:
            dataset, split = examples
            image = _image(split.inputs, row)
            if dataset.reading is not None:
                place = dataset.reading.example(split.inputs[row])[:90]
            elif split.place is not None:
                place = split.place(int(split.index[row]))
        items.append(f'<li>{image}<span>{words}</span><span class="dim">{name(place)}</span></li>')
    missing = "" if examples is not None else '<p class="dim">The data is not here: no examples are shown.</p>'
    return f'<ul class="sheet">{"".join(items)}</ul>{missing}'


def _image(inputs: Any, row: int) -> str:
    """An image as it is stored, as a PNG inside the page; empty for what is no image."""
    import numpy as np
    from PIL import Image

    if len(inputs.shape) != 4 or inputs.shape[-1] not in (1, 3) or inputs.dtype.name != "uint8":
        return ""
    pixels = np.asarray(inputs[np.array([row])])[0]
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((72, 72))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    content = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="" width="72" height="72" src="data:image/png;base64,{content}">'


def flips(material: Material) -> str:
    """What two single runs answered otherwise, one of them rightly."""
    found = material.flips
    if found is None:
        return ""
    a, b = (name(one) for one in found.names)
    total = len(found.only_a) + len(found.only_b)
    alone = f"{len(found.only_a):,} are right in {a} alone, {len(found.only_b):,} in {b} alone"
    words = f"<p>{total:,} of {found.rows:,} {text(found.split)} rows flip: {alone}.</p>"
    if not total:
        return words
    changed = [one for one in found.classes if one[2] or one[3]]
    body = [[name(one[0]), f"{one[1]:,}", f"{one[2]:,}", f"{one[3]:,}"] for one in changed]
    return words + table(["class", "n", f"{a} alone", f"{b} alone"], body)


def scatter(material: Material) -> str:
    """The figure of each run against each setting that differs."""
    if len(material.entries) < 3 or not material.figure:
        return ""
    pieces = []
    rows = [row for row in material.rows if not is_baseline(row)]
    for column in settings_in(rows)[:SCATTERS] if len(rows) > 1 else []:
        cells = zip(column.cells, rows, strict=True)
        pairs = [(cell, value) for cell, row in cells for value in row.values(material.figure)]
        if len({cell for cell, _ in pairs}) < 2:
            continue
        known = [number for cell, _ in pairs if (number := _number(cell)) is not None]
        words = [] if len(known) == len(pairs) else [cell for cell, _ in pairs]
        order = {cell: float(place) for place, cell in enumerate(dict.fromkeys(words))}
        places = [order[cell] for cell in words] or known
        title = heading(column)
        chart = charts.settings(places, words, [value for _, value in pairs], (title, material.figure))
        pieces.append(captioned(f"{material.figure} against {title[:50]}", chart))
    return f'<div class="charts">{"".join(pieces)}</div>' if pieces else ""


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _repeat(run: Run) -> str:
    """The command that repeats a run."""
    if BASELINE in run.info()["settings"]:
        return command_line("dlx", "baseline", str(run.spec_file), runs_dir=run.path.parent)
    return command_line("dlx", "reproduce", run.name, runs_dir=run.path.parent)


def conditions(material: Material) -> str:
    """What made the run that is looked at closely, and the command that repeats it."""
    info = material.chosen.info()
    data, git = dict(info.get("dataset") or {}), dict(info.get("git") or {})
    sizes = ", ".join(f"{data[s]:,} {s}" for s in ("train", "validation", "test") if isinstance(data.get(s), int))
    versions = ", ".join(f"{key} {value}" for key, value in dict(info.get("versions") or {}).items())
    commit = f"{str(git.get('commit', ''))[:12]}{' with changes' if git.get('dirty') else ''}" if git else "none"
    pairs = [
        ("run", material.chosen.name), ("start", str(info.get("start", ""))), ("command", str(info.get("command", ""))),
        ("data", f"{data.get('source', '?')}: {sizes}"), ("fingerprint", str(data.get("fingerprint", ""))[:16]),
        ("device", str(info.get("device_name", ""))), ("threads", str(info.get("threads", ""))),
        ("versions", f"dlx {info.get('dlx', '?')}, {versions}"), ("git", commit),
        ("repeat", _repeat(material.chosen)),
    ]  # fmt: skip
    lines = "".join(f"<dt>{text(key)}</dt><dd>{text(value[:400])}</dd>" for key, value in pairs if value)
    spec = text(material.chosen.text("spec.yaml")[:20_000])
    return f"<dl>{lines}</dl><details><summary>spec.yaml</summary><pre>{spec}</pre></details>"
