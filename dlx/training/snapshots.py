"""The weights after chosen epochs: kept in the run for pictures, and as histograms in TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dlx.engine.plan import Program, Progress, State
from dlx.model.network import Network, before
from dlx.runs.run import Run
from dlx.spec.sections import Spec
from dlx.system import files
from dlx.system.files import disk
from dlx.training.tensorboard import Layer, TensorBoard


def graph(network: Network) -> list[Layer]:
    """The layers of a network, each with those before it."""
    return [
        Layer(layer.name, type(layer).__name__, before(layer), tuple(layer.output.shape))
        for layer in network.model.layers
    ]


class Snapshots:
    """Keeps the weights after the epochs of a spec's `snapshots`, and their histograms every `histograms` epochs."""

    def __init__(self, run: Run, board: TensorBoard, spec: Spec, network: Network) -> None:
        self._run, self._board = run, board
        self._epochs, self._every = frozenset(spec.snapshots), spec.histograms
        self._names = [str(weight.path) for weight in network.logits.weights]

    def take(self, program: Program, state: State, epoch: int) -> None:
        """Keep what is wanted of the state after an epoch; 0 is before the training. Raises DiskError."""
        histograms = self._every is not None and epoch % self._every == 0
        if epoch not in self._epochs and not histograms:
            return
        arrays = program.weights(state)
        with disk(self._run.path):
            if histograms:
                self._board.histograms(dict(zip(self._names, arrays, strict=True)), epoch)
                self._board.flush()
            if epoch in self._epochs:
                self._write(epoch, arrays)

    def ended(self, program: Program, progress: Progress, before: Callable[[], None]) -> None:
        """The same, where a chunk has just finished an epoch; `before` is called first where TensorBoard is written."""
        if progress.rows and progress.rows[-1]["step"] == progress.step:
            if self._every is not None:
                before()
            self.take(program, progress.state, int(progress.rows[-1]["epoch"]))

    def _write(self, epoch: int, arrays: Sequence[Any]) -> None:
        """The arrays in the order of the network's weights: 0:hidden/kernel, 1:hidden/bias, …"""
        import numpy as np

        files.make_folder(self._run.snapshots)
        names = [f"{number}:{name}" for number, name in enumerate(self._names)]
        with files.replacing(self._run.snapshots / f"{epoch}.npz") as path:
            np.savez(path, **dict(zip(names, arrays, strict=True)))
