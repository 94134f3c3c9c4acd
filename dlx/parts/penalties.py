"""Penalties on weights whose strengths can be changed without compiling again."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from dlx.system.backend import keras


def strengths_of(regularizer: Any) -> tuple[float, float] | None:
    """(l1, l2) of one of Keras's own penalties on single weights, or of one made by `tune`; None for any other."""
    known = keras.regularizers
    if type(regularizer) not in (known.L1, known.L2, known.L1L2, _penalty_class()):
        return None
    l1, l2 = (getattr(regularizer, name, None) for name in ("l1", "l2"))
    return _number(l1), _number(l2)


def _number(strength: Any) -> float:
    return 0.0 if strength is None else float(getattr(strength, "value", strength))


def tune(variables: Sequence[Any]) -> list[Any]:
    """Give each variable with an L1 or L2 penalty the same one, its strength a Keras variable; returns these, in order.

    The layers keep their own regularizers, which are saved with the model.
    """
    made: list[Any] = []
    for variable in variables:
        strengths = strengths_of(variable.regularizer)
        if strengths is None or not any(strengths):
            continue
        penalties = [keras.Variable(value, trainable=False, dtype="float32") if value else None for value in strengths]
        variable.regularizer = _penalty_class()(*penalties)
        made += [one for one in penalties if one is not None]
    return made


def retune(strengths: Sequence[Any], variables: Sequence[Any]) -> None:
    """Set the strengths to those of another network's variables."""
    pairs = [strengths_of(variable.regularizer) for variable in variables]
    values = [value for pair in pairs if pair is not None for value in pair if value]
    for strength, value in zip(strengths, values, strict=True):
        strength.assign(value)


@functools.cache
def _penalty_class() -> Any:
    """Made when Keras is loaded: l1 · sum |x| + l2 · sum x², as Keras's own; what is None is left out."""

    class Penalty(keras.regularizers.Regularizer):  # type: ignore[misc]
        def __init__(self, l1: Any, l2: Any) -> None:
            self.l1, self.l2 = l1, l2

        def __call__(self, x: Any) -> Any:
            terms = [] if self.l1 is None else [self.l1 * keras.ops.sum(keras.ops.absolute(x))]
            terms += [] if self.l2 is None else [self.l2 * keras.ops.sum(keras.ops.square(x))]
            return sum(terms[1:], terms[0])

        def get_config(self) -> dict[str, Any]:
            return {"l1": _number(self.l1), "l2": _number(self.l2)}

    return Penalty
