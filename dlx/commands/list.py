"""`dlx list`: the runs, from their JSON alone."""

from __future__ import annotations

import dataclasses
import datetime
import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir

if TYPE_CHECKING:
    from pathlib import Path

    from dlx.runs.summary import Entry

MANY = 3  # runs of a sweep, of more there is one line
STATUS = ("running", "away", "done", "failed", "interrupted", "pruned", "crashed", "unknown", "damaged", "unreadable")


@click.command("list", short_help="The runs, their status and what they changed.")
@click.argument("runs", metavar="[RUN...]", nargs=-1, shell_complete=completion.runs)
@click.option(
    "--status", type=click.Choice(STATUS), multiple=True, help="Only runs of this status; any number of times."
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag.")
@click.option("--since", metavar="TIME", help="Only runs started since: 2026-03-01, 30m, 12h, 7d or 2w.")
@click.option("--sort", metavar="METRIC", help="Best first by this figure; or by start, name, or size.")
@click.option("--all", "everything", is_flag=True, help="The runs of a sweep, too, each in a line.")
@click.option("--size", "sizes", is_flag=True, help="What each takes on the disk, and what of it can be freed.")
@click.option("-q", "--quiet", is_flag=True, help="Names alone, for other commands.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every run.")
@runs_dir
def command(
    runs: tuple[str, ...],
    status: tuple[str, ...],
    tags: tuple[str, ...],
    since: str | None,
    sort: str | None,
    everything: bool,
    sizes: bool,
    quiet: bool,
    as_json: bool,
    runs_dir: str | None,
) -> None:
    """List the runs: status, start, a figure, and what each changed against its spec, or the run that it continues.

    The newest is last. The runs of a sweep are one line with their best, unless RUN, --sort or --all asks for each.

    \b
    dlx list
    dlx list 'cifar_*' --status done --sort val_accuracy
    dlx list --since 7d --tag seeds
    dlx list --size
    dlx rm $(dlx list -q --status failed)
    """
    from dlx.runs import find
    from dlx.runs.summary import as_record, read
    from dlx.system import terminal
    from dlx.system.json_text import one_line
    from dlx.system.machine import uncollected

    root = find.root(runs_dir)
    with uncollected():
        paths = find.find_all(runs, root) if runs else find.below(root)
        entries: list[Entry] = []
        for path in dict.fromkeys(find.runs_of(paths)):
            entries.append(read(path, entries[0].settings if entries else None))
        changed = _changed(entries)
        earliest = _time(since) if since is not None else 0.0
        chosen = [
            entry
            for entry in entries
            if (not status or entry.status in status) and set(tags) <= _tags(entry) and _started(entry) >= earliest
        ]
        chosen = _sorted(chosen, sort)
        if as_json:
            records = [{**as_record(entry), **_sizes(entry, sizes)} for entry in chosen]
            print(one_line({"format": 1, "runs": records}))
        elif quiet:
            for entry in chosen:
                print(terminal.clean(find.shown_name(entry.path, root)))
        elif not chosen:
            left = f"no run in {root} matches these options" if find.below(root) else find.none_yet(root)
            terminal.console().print(left)
        elif sizes:
            _print_sizes(chosen, root)
        else:
            lines = [_line(entry, find.shown_name(entry.path, root), changed[entry.path], sort) for entry in chosen]
            whole = bool(runs or sort or everything)
            _print_table(lines if whole else _folded(chosen, lines), _sorting_figure(sort) or "figure")


class Line(NamedTuple):
    """A line of the table: a run, or all of a sweep."""

    name: str
    status: str
    start: str
    figure: str
    changed: str
    failed: bool = False


LONGEST = 32  # columns of a name


def _sorting_figure(sort: str | None) -> str | None:
    """The figure that the runs are sorted by; None where it is no figure."""
    return sort if sort not in ("name", "start", "size") else None


def _line(entry: Entry, name: str, changed: str, sort: str | None) -> Line:
    """The line of one run, with the figure that the runs are sorted by, or else what it monitors."""
    chosen = _sorting_figure(sort)
    start = str(entry.info.get("start", ""))[:16].replace("T", " ")
    return Line(name, _status(entry), start, _figure(entry, chosen), _remark(entry, changed), entry.status == "failed")


def _folded(entries: Sequence[Entry], lines: Sequence[Line]) -> list[Line]:
    """The lines, those of the runs of a sweep in one: how they ended, which is the best, what they vary."""
    from dlx.runs.find import stem

    sweeps: dict[Any, list[int]] = {}
    for number, entry in enumerate(entries):
        parent = str(entry.info.get("parent") or "")
        if parent == stem(entry.name) and not entry.reason:
            sweeps.setdefault((parent, *_varied(entry), entry.data), []).append(number)
    folded: dict[int, Line | None] = {}
    for numbers in sweeps.values():
        if len(numbers) > MANY:
            folded |= dict.fromkeys(numbers)
            folded[numbers[-1]] = _sweep([entries[n] for n in numbers], [lines[n] for n in numbers])
    made = (folded.get(number, line) for number, line in enumerate(lines))
    return [line for line in made if line is not None]


def _varied(entry: Entry) -> list[str]:
    """The addresses that a run of a sweep has changed."""
    return list(dict.fromkeys(str(change).partition("=")[0] for change in entry.info.get("changed") or []))


def _sweep(entries: Sequence[Entry], lines: Sequence[Line]) -> Line:
    """All runs of a sweep in a line."""
    from dlx.runs.compare import Row, best_rows
    from dlx.runs.find import ranges

    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.status] = counts.get(entry.status, 0) + 1
    status = ", ".join(f"{count} {name}" for name, count in counts.items())
    rows, monitors = [Row([entry]) for entry in entries], {str(entry.info.get("monitor", "")) for entry in entries}
    monitor = monitors.pop() if len(monitors) == 1 else ""
    best = best_rows(rows, monitor)  # none where their figures say nothing of one another
    figure = f"{monitor} {best[0].shown(monitor)}" if best else ""
    names, start = ranges(entry.name for entry in entries), lines[-1].start
    winner = f"; best {', '.join(row.first.name for row in best[:3])}" if best else ""
    changed = f"{', '.join(_varied(entries[0]))}{winner}"
    return Line(" ".join(names), status, start, figure, changed, "failed" in counts and len(counts) == 1)


def _print_table(lines: Sequence[Line], heading: str) -> None:
    """The lines, what failed in red."""
    from dlx.system import terminal

    columns = [
        ("run", [terminal.shortened(line.name, LONGEST) for line in lines]),
        ("status", [line.status for line in lines]),
        ("start", [line.start for line in lines]),
        (heading, [line.figure for line in lines]),
        ("changed", [line.changed for line in lines]),
    ]
    failed = [number for number, line in enumerate(lines) if line.failed]
    terminal.table(columns, [False, False, False, True, False], failed=failed)


def _sizes(entry: Entry, wanted: bool) -> dict[str, Any]:
    """What a run takes, as --json says it: bytes."""
    from dlx.runs.sizes import size

    return {"bytes": dataclasses.asdict(size(entry.path))} if wanted else {}


def _print_sizes(entries: Sequence[Entry], root: Path) -> None:
    """What each run takes, all of them together, and the commands that free some of it."""
    from dlx.inference import onnx_model
    from dlx.runs import find
    from dlx.runs import sizes as on_disk
    from dlx.system import terminal
    from dlx.system.units import byte_size

    sizes = [on_disk.size(entry.path) for entry in entries]
    names = [terminal.shortened(find.shown_name(entry.path, root), LONGEST) for entry in entries]
    rows = [*sizes, on_disk.total(sizes)]

    def shown(figures: Iterable[int]) -> list[str]:
        return [byte_size(figure) if figure else "" for figure in figures]

    columns = [
        ("run", [*names, f"{len(entries):,} run{'s' * (len(entries) != 1)}"]),
        ("status", [*map(_status, entries), ""]),
        ("size", shown(row.total for row in rows)),
        ("checkpoints", shown(row.checkpoints for row in rows)),
        ("model.onnx", shown(row.onnx for row in rows)),
    ]
    terminal.table(columns, [False, False, True, True, True])
    pairs = list(zip(entries, sizes, strict=True))
    remarks: list[str] = []
    ended = [(entry.name, size.checkpoints) for entry, size in pairs if entry.status in on_disk.ENDED]
    if freed := sum(count for _, count in ended):
        which = find.ranges(name for name, count in ended if count)
        free = find.command_line("dlx", "rm", "--checkpoints", *which[:4], *["…"] * (len(which) > 4), runs_dir=root)
        remarks.append(f"{byte_size(freed)} are checkpoints of runs that have ended: {free}")
    if waiting := on_disk.in_trash(root):
        empty = find.command_line("dlx", "rm", "--empty", runs_dir=root)
        remarks.append(f"{byte_size(waiting)} are in the trash: {empty}")
    if cached := on_disk.taken(onnx_model.cache()):
        place = onnx_model.cache()
        remarks.append(f"{byte_size(cached)} are model.onnx of runs elsewhere, made again when needed: {place}")
    if remarks:
        print()
    for remark in remarks:
        terminal.console().print(terminal.clean(remark))


def _tags(entry: Entry) -> set[str]:
    tags = entry.settings.get("tags")
    return {str(tag) for tag in tags} if isinstance(tags, list) else set()


def _status(entry: Entry) -> str:
    """A status, and of a run of another host when it was last seen at work."""
    from dlx.runs.run import Run

    return f"unknown, {Run(entry.path).seen()}" if entry.status == "unknown" else entry.status


def _remark(entry: Entry, changed: str) -> str:
    """What a run changed, then its note."""
    from dlx.runs.run import Run

    note = "" if entry.reason else Run(entry.path).note().replace("\n", " ")
    return "; ".join(word for word in (changed, f"“{note}”" if note else "") if word)


def _started(entry: Entry) -> float:
    value = entry.info.get("started")
    return float(value) if isinstance(value, (int, float)) else 0.0


def _time(text: str) -> float:
    """The moment that --since names; raises DlxError where it names none."""
    from dlx.errors import DlxError

    units = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
    if match := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        return time.time() - int(match[1]) * units[match[2]]
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        message = f"--since: expected a date (2026-03-01) or an age (30m, 12h, 7d, 2w), got {text!r}"
        raise DlxError(message) from error


def _sorted(entries: list[Entry], sort: str | None) -> list[Entry]:
    """By start, the newest last, by name, or best first by a figure; those without it last."""
    from dlx.errors import DlxError, did_you_mean
    from dlx.runs.metrics import maximized

    if sort == "name":
        return entries
    if sort == "size":
        from dlx.runs.sizes import size

        return sorted(entries, key=lambda entry: -size(entry.path).total)
    if sort in (None, "start"):
        return sorted(entries, key=_started)
    known = sorted({key for entry in entries for key in entry.metrics})
    if sort not in known and entries:
        expected = f"expected start, name, size, or one of {', '.join(known)}"
        raise DlxError(f"--sort: no run has the figure {sort!r}{did_you_mean(str(sort), known)}", hint=expected)
    sign = -1 if maximized(str(sort)) else 1

    def key(entry: Entry) -> tuple[bool, float]:
        value = entry.metrics.get(str(sort))
        missing = isinstance(value, bool) or not isinstance(value, (int, float))
        return missing, 0.0 if missing else sign * float(str(value))

    return sorted(entries, key=key)


def _figure(entry: Entry, chosen: str | None) -> str:
    """The chosen figure, or the monitored one of a finished run, or how far another one came."""
    from dlx.runs.metrics import figure_text
    from dlx.runs.run import Run

    key = chosen or str(entry.info.get("monitor", ""))
    value = entry.metrics.get(key)
    if isinstance(value, (int, float)):
        text = figure_text(key, float(value))
        return text if chosen else f"{key} {text}"
    history = [] if entry.reason or chosen else Run(entry.path).history()
    return f"epoch {int(history[-1].get('epoch', 0)):,}" if history else ""


def _changed(entries: Sequence[Entry]) -> dict[Path, str]:
    """What each run changed against its spec or its parent; of runs of an earlier dlx, against the last of its spec.

    Of a run that only repeats an earlier one, with or without another seed, which; of a damaged one, why it is.
    """
    from dlx.runs.diff import changes
    from dlx.runs.find import stem
    from dlx.runs.summary import NOTES, SPREAD, identity

    texts: dict[Path, str] = {}
    named = {entry.name: entry for entry in entries}
    last: dict[str, Entry] = {}
    alike: dict[str, Entry] = {}
    for entry in sorted(entries, key=_started):
        if entry.reason:
            texts[entry.path] = entry.reason
            continue
        own = (stem(entry.name), str(entry.info.get("spec", "")))
        earlier = named.get(str(entry.info.get("parent"))) or next((last[key] for key in own if key in last), None)
        words: list[str] = []
        if isinstance(known := entry.info.get("changed"), list):
            words = [str(word) for word in known if str(word).partition("=")[0] not in NOTES]
        elif earlier is not None and earlier is not entry:
            words = changes(earlier.settings, entry.settings)
        data = str((entry.info.get("dataset") or {}).get("fingerprint"))
        first = alike.setdefault(identity(entry.settings, apart=tuple(SPREAD)) + data, entry)
        again = [f"{first.name} again"] if first is not entry else []
        texts[entry.path] = ", ".join([*again, *(w for w in words if not again or w.partition("=")[0] in SPREAD)])
        last.update({key: entry for key in own if key})
    return texts
