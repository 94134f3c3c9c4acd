"""What a training has counted, written as it comes: history.jsonl, steps.jsonl and TensorBoard's files."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from dlx.engine.plan import Progress
from dlx.runs.run import Run
from dlx.system.files import disk
from dlx.training.tensorboard import TensorBoard


class RowWriter:
    """Writes the rows of each chunk, in their order; raises DiskError.

    behind: a thread writes them while the next chunk computes, for trainings that count each step. `drain` waits for
    it: what comes after finds all rows written.
    """

    def __init__(self, run: Run, board: TensorBoard, behind: bool) -> None:
        self._run, self._board = run, board
        self._pool = ThreadPoolExecutor(1, "dlx-rows") if behind else None
        self._last: Future[None] | None = None

    def add(self, progress: Progress) -> None:
        """The rows of a chunk."""
        if self._pool is None:
            self._write(progress)
            return
        self.drain()
        self._last = self._pool.submit(self._write, progress)

    def drain(self) -> None:
        """Wait until all is written; raises what went wrong."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Wait for the thread, whatever went wrong."""
        if self._pool is not None:
            self._pool.shutdown()

    def _write(self, progress: Progress) -> None:
        self._run.epochs.append(progress.rows)
        self._run.steps.append(progress.logged)
        with disk(self._run.path):
            self._board.steps(progress.logged)
            for row in progress.rows:
                self._board.epoch(row)
            self._board.flush()
