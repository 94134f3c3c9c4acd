"""Prediction: the answer to one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Shares = dict[str, float]  # probabilities by class


class TableRow(str):
    """The name of an input that is a row of a table; `fields` are its values by column."""

    fields: Mapping[str, str]

    def __new__(cls, name: str, fields: Mapping[str, str]) -> TableRow:
        row = super().__new__(cls, name)
        row.fields = fields
        return row


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer to one input: a label with probabilities, or a value.

    label: the most probable class; of several labels, each that is more probable than not; of a sequence, one a step.
    probabilities: by class; of a sequence a mapping a step. value: one, or several targets.
    truth: what is true of a run's own example, as label or value. reading: answer and truth as the dataset reads them.
    """

    input: str
    label: str | list[str] | None = None
    probabilities: Shares | list[Shares] | None = None
    value: float | list[float] | None = None
    truth: Any = None
    reading: tuple[str, str] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        answer: np.ndarray,
        classes: Sequence[str],
        top: int | None = None,
        several: bool = False,
        threshold: float | None = None,
    ) -> Prediction:
        """The prediction of an answer, (units,) or (steps, units); with `top` of the most probable classes alone.

        threshold: of two classes the probability from which on the second is the label.
        """
        if answer.ndim == 2:
            steps = [cls.of("", step, classes, top) for step in answer]
            return cls(name, [str(step.label) for step in steps], [step.shares for step in steps])
        values = [float(value) for value in answer]
        if not classes:
            return cls(name, value=values[0] if len(values) == 1 else values)
        pairs = list(zip(classes, values, strict=True))
        ranked = sorted(pairs, key=lambda pair: -pair[1])
        label = ranked[0][0] if threshold is None else classes[values[1] >= threshold]
        labels = [label for label, share in pairs if share > 0.5]
        return cls(name, labels if several else label, dict(ranked[:top] if top else pairs))

    def beside(self, truth: Any) -> Prediction:
        """The same with what is true."""
        return replace(self, truth=truth)

    def read(self, answer: str, truth: str) -> Prediction:
        """The same with its answer and what is true, as the dataset reads them."""
        return replace(self, reading=(answer, truth))

    @property
    def shares(self) -> Shares:
        """The probabilities by class; empty where there are none, or one set for each step."""
        return self.probabilities if isinstance(self.probabilities, dict) else {}

    @property
    def values(self) -> list[float]:
        """The predicted values, as a list."""
        if self.value is None:
            return []
        return self.value if isinstance(self.value, list) else [self.value]

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """(class, probability), the most probable first."""
        return sorted(self.shares.items(), key=lambda pair: -pair[1])

    def record(self) -> dict[str, Any]:
        """The prediction as JSON: input, label and probabilities, or input and value; truth where it is known."""
        known = {} if self.truth is None else {"truth": self.truth}
        if self.probabilities is None:
            return {"input": self.input, "value": self.value, **known}
        return {"input": self.input, "label": self.label, "probabilities": self.probabilities, **known}
