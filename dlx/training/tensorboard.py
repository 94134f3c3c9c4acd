"""TensorBoard event files, with Keras's own tags, written without TensorFlow."""

from __future__ import annotations

import math
import os
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, NamedTuple

import google_crc32c

from dlx.system import files

# TensorBoard's own switch: with this module present it uses its stub instead of importing TensorFlow.
sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))

from tensorboard.compat.proto import event_pb2, graph_pb2, summary_pb2, versions_pb2  # noqa: E402
from tensorboard.plugins.histogram import metadata as histograms  # noqa: E402
from tensorboard.plugins.hparams import metadata, plugin_data_pb2, summary_v2  # noqa: E402
from tensorboard.plugins.text import metadata as texts  # noqa: E402
from tensorboard.util.tensor_util import make_tensor_proto  # noqa: E402

BUCKETS = 30  # of a histogram, as Keras's callback has them


Row = Mapping[str, Any]


class Layer(NamedTuple):
    """A layer as the Graphs tab shows it: its class, the names of the layers before it, the shape of its output."""

    name: str
    kind: str
    inputs: Sequence[str]
    shape: Sequence[int | None]


class Head(NamedTuple):
    """What TensorBoard says of a run before its first epoch.

    judged: the split, validation or train, whose folder holds all that is no curve, so that a run is no third entry.
    settings: for the HParams tab; spec: for the Text tab, in Markdown; layers: for the Graphs tab.
    """

    name: str
    judged: str
    settings: Mapping[str, Any] = {}
    spec: str = ""
    layers: Sequence[Layer] = ()


class Events:
    """One event file in `folder`. Steps are epochs, from 1, or steps; wall times are seconds since 1970.

    With a `name` the file of that name continues.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        files.make_folder(folder)
        # TensorBoard finds event files by "tfevents" and orders them by the time after it.
        self.path = folder / (name or f"events.out.tfevents.{int(time.time())}.dlx")
        self._stream = self.path.open("ab" if name else "wb")
        if name is None:
            self._write(event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"))

    @property
    def length(self) -> int:
        """The bytes written so far."""
        return self._stream.tell()

    def _write(self, event: Any) -> None:
        """One record: its length, its bytes, and a check of each of the two."""
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        self._stream.write(length + _check(length) + data + _check(data))

    def scalars(self, figures: Mapping[str, float | None], step: int) -> None:
        """Each figure under its tag at `step`; None is NaN."""
        event = event_pb2.Event(wall_time=time.time(), step=step)
        for tag, value in figures.items():
            event.summary.value.add(tag=tag, simple_value=math.nan if value is None else value)
        self._write(event)

    def image(self, tag: str, png: bytes, size: tuple[int, int], step: int) -> None:
        """A picture, as the bytes of a PNG file of that (width, height), for the Images tab."""
        picture = summary_pb2.Summary.Image(width=size[0], height=size[1], colorspace=4, encoded_image_string=png)
        value = summary_pb2.Summary.Value(tag=tag, image=picture)
        self._write(event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=[value])))

    def histogram(self, tag: str, values: Any, step: int) -> None:
        """How an array's numbers are distributed, for the Histograms and Distributions tabs."""
        import numpy as np

        numbers = np.asarray(values, np.float64).ravel()
        counts, edges = np.histogram(numbers[np.isfinite(numbers)], BUCKETS)
        tensor = make_tensor_proto(np.stack([edges[:-1], edges[1:], counts], axis=1), np.float64)
        kind = histograms.create_summary_metadata(display_name=None, description=None)
        value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=kind)
        self._write(event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=[value])))

    def text(self, tag: str, markdown: str, step: int) -> None:
        """Words for the Text tab."""
        tensor = make_tensor_proto(_utf8(markdown).encode())
        kind = texts.create_summary_metadata(display_name=None, description=None)
        value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=kind)
        self._write(event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=[value])))

    def graph(self, layers: Sequence[Layer]) -> None:
        """The network for the Graphs tab, a node a layer."""
        nodes = graph_pb2.GraphDef(versions=versions_pb2.VersionDef(producer=22))
        for layer in layers:
            node = nodes.node.add(name=layer.name, op=layer.kind, input=layer.inputs)
            shape = node.attr["_output_shapes"].list.shape.add()
            for size in layer.shape:
                shape.dim.add(size=-1 if size is None else size)
        self._write(event_pb2.Event(wall_time=time.time(), graph_def=nodes.SerializeToString()))

    def hparams(self, settings: Mapping[str, Any], name: str) -> None:
        """What the HParams tab shows of a run: its settings."""
        shown = {key: _utf8(value) if isinstance(value, str) else value for key, value in settings.items()}
        summary = summary_v2.hparams_pb(shown, trial_id=_utf8(name), start_time_secs=time.time())
        self._write(event_pb2.Event(wall_time=time.time(), summary=summary))

    def ended(self, success: bool) -> None:
        """Say to the HParams tab how the run ended."""
        status = "STATUS_SUCCESS" if success else "STATUS_FAILURE"
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
        value = summary_pb2.Summary.Value(
            tag=metadata.SESSION_END_INFO_TAG, metadata=metadata.create_summary_metadata(data)
        )
        self._write(event_pb2.Event(wall_time=time.time(), summary=summary_pb2.Summary(value=[value])))

    def flush(self) -> None:
        self._stream.flush()

    def sync(self) -> None:
        """Have the disk hold what was written."""
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()


class TensorBoard:
    """The event files of a run: train/ and validation/ with a scalar a figure; in one of them the rest.

    mark: how long the files were, as `mark` returned it, for a run that continues: what came after is cut off. Where
    one is missing, or shorter, all of them are written again: the figures from `rows`, those of the epochs and those of
    `log_every`.
    """

    def __init__(
        self,
        folder: Path,
        head: Head,
        mark: Mapping[str, int] | None = None,
        rows: tuple[Sequence[Row], Sequence[Row]] = ((), ()),
    ) -> None:
        self._folder = folder
        self._splits: dict[str, Events] = {}
        if mark and _cut(folder, mark):
            made = {PurePosixPath(file).parent.name: PurePosixPath(file).name for file in mark}
            self._splits = {split: Events(folder / split, file) for split, file in made.items()}
            self._session = self._splits[""] if "" in made else self._split(head.judged)  # "": of an earlier dlx
            return
        for file in _files(folder):
            file.unlink()
        self._session = self._split(head.judged)
        self._session.hparams(head.settings, head.name)
        self._session.graph(head.layers)
        if head.spec:
            self._session.text("spec", head.spec, 0)
        epochs, steps = rows
        self.steps(steps)
        for row in epochs:
            self.epoch(row)
        self.flush()

    def mark(self) -> dict[str, int]:
        """How long each file is, on the disk now, by its place below the folder."""
        lengths = {}
        for events in self._splits.values():
            events.sync()
            lengths[events.path.relative_to(self._folder).as_posix()] = events.length
        return lengths

    def epoch(self, row: Row) -> None:
        """One row of the history: train_loss becomes epoch_loss of train/, val_loss that of validation/."""
        for prefix, split in (("train_", "train"), ("val_", "validation")):
            figures = {f"epoch_{k.removeprefix(prefix)}": v for k, v in row.items() if k.startswith(prefix)}
            if split == "train":
                figures["epoch_learning_rate"] = row["learning_rate"]
            if figures:
                self._split(split).scalars(figures, int(row["epoch"]))

    def steps(self, rows: Sequence[Row]) -> None:
        """Rows of `log_every`: train_loss becomes batch_loss of train/."""
        for row in rows:
            figures = {f"batch_{k.removeprefix('train_')}": v for k, v in row.items() if k.startswith("train_")}
            self._split("train").scalars(figures, int(row["step"]))

    def histograms(self, arrays: Mapping[str, Any], epoch: int) -> None:
        """The distribution of each array of weights after an epoch."""
        for name, values in arrays.items():
            self._split("train").histogram(f"{name}/histogram", values, epoch)

    def _split(self, name: str) -> Events:
        if name not in self._splits:
            self._splits[name] = Events(self._folder / name)
        return self._splits[name]

    def image(self, kind: str, png: bytes, size: tuple[int, int], step: int) -> None:
        """A picture of the run; they come after the curves."""
        self._session.image(f"pictures/{kind}", png, size, step)
        self._session.flush()

    def flush(self) -> None:
        for events in self._splits.values():
            events.flush()

    def result(self, figures: Mapping[str, float], markdown: str, step: int) -> None:
        """The final figures, for the columns of the HParams tab, and in words for the Text tab."""
        self._session.scalars({f"result/{key}": value for key, value in figures.items()}, step)
        self._session.text("result", markdown, step)

    def ended(self, success: bool) -> None:
        """Say to the HParams tab how the run ended."""
        self._session.ended(success)
        self._session.flush()

    def close(self) -> None:
        for events in self._splits.values():
            events.close()


def _check(data: bytes) -> bytes:
    """The masked CRC-32C of a record, which TensorBoard verifies; in C, as rows of each step need it."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _utf8(text: str) -> str:
    """A text that a protocol buffer takes: a file name may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*tfevents*") if path.is_file()]


def _cut(folder: Path, mark: Mapping[str, int]) -> bool:
    """Cut the files back to their lengths at the mark, remove younger ones; False where one of them cannot be."""
    marked = {folder / name: length for name, length in mark.items()}
    there = _files(folder)
    if not all(path in there and type(end) is int and 0 <= end <= path.stat().st_size for path, end in marked.items()):
        return False
    for path in there:
        if path in marked:
            os.truncate(path, marked[path])
        else:
            path.unlink()
    return True
