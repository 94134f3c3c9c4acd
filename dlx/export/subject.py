"""What is converted: a network, what is known of its run, and examples to judge by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from dlx.data.scaling import Scaling
from dlx.export.agreement import expected_answers
from dlx.inference.predictor import KerasModel
from dlx.model.network import Network

if TYPE_CHECKING:
    import numpy as np

Quantize = Literal["none", "dynamic", "static", "float16"]


@dataclass(frozen=True)
class Examples:
    """Raw inputs (n, *shape), of which data they are, and what is true of them, (n, …), where that is known."""

    data: str
    inputs: np.ndarray
    targets: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """What is converted: a network in the state in which it takes scaled inputs, and what is known of its run.

    info: run.json; record: what the file shall say of itself, see `metadata.record`; usual: raw inputs of the train
    split, from which a static quantisation takes the ranges of what the layers give.
    """

    network: Network
    info: Mapping[str, Any]
    record: Mapping[str, Any]
    examples: Examples
    usual: np.ndarray | None = None

    @cached_property
    def scaling(self) -> Scaling | None:
        """How its inputs are scaled."""
        return Scaling.recorded(self.info, "inputs")

    def unit(self, answers: np.ndarray) -> Any:
        """What a difference is measured in: 1 of probabilities, of values the standard deviation of their column.

        A network that learned values as they are gives them in float32: some of its last digits are let through.
        """
        import numpy as np

        targets = self.network.target_scaling
        if targets is None:
            return 1.0
        return targets.deviation if self.network.scales else targets.deviation + 0.05 * np.abs(answers)

    @cached_property
    def answers(self) -> np.ndarray:
        """What the network answers to all examples."""
        return expected_answers(KerasModel(self.network, self.scaling), self.examples.inputs, self.info["task"])


def made_up(info: Mapping[str, Any], rows: int = 64) -> Examples:
    """Noise in the range of a run's inputs, to check a model on where its data is not loaded."""
    import numpy as np

    facts, generator = info["input"], np.random.default_rng(0)
    shape, dtype = (rows, *facts["shape"]), str(facts["dtype"])
    if dtype == "uint8":
        return Examples("made up", generator.integers(0, 256, shape, np.uint8))
    if dtype.startswith("int"):
        known = [v for k, v in info["settings"].items() if k.endswith("embedding.input_dim") and isinstance(v, int)]
        words = min(known, default=0) or len(facts.get("encoding", {}).get("vocabulary", ()))
        return Examples("made up", generator.integers(0, max(words, 2), shape, np.int32))
    scaling, noise = Scaling.recorded(info, "inputs"), generator.normal(size=shape)
    return Examples("made up", scaling.undo(noise) if scaling is not None else noise.astype(np.float32))
