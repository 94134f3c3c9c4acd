"""Parts made into layers and applied, one after another; what does not fit is an error at its place in the spec."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dlx.data.dataset import Facts
from dlx.errors import DlxError, SpecError, TrainingError
from dlx.model.keras_errors import memory_is_full, sentence, shape_hint
from dlx.parts.registry import Part
from dlx.spec.sections import Spec


class Layers:
    """Makes the layers of a spec and applies them.

    `restored`: weights will be loaded, so no pretrained ones are fetched. `applied`: each part with its output.
    """

    def __init__(self, spec: Spec, facts: Facts, restored: bool) -> None:
        self.spec, self.facts, self.restored = spec, facts, restored
        self.registry = spec.registries["layer"]
        self.applied: list[tuple[Part, Any]] = []

    def problem(self, address: str, message: str, hint: str = "") -> SpecError:
        """An error at an address of the spec."""
        return SpecError([DlxError(message, where=self.spec.locate(address), hint=hint)])

    def make(self, part: Part, plain: bool = False) -> Any:
        """The layer of a part, with the spec's regularization laid under its own, unless it is left `plain`."""
        plain = plain or self._excluded(part)
        inner = {"_make": partial(self.make, plain=plain), "_build": partial(self.stack, plain=plain)}
        try:
            return self.registry.make(part if plain else self._regularized(part), **inner, _restored=self.restored)
        except DlxError:
            raise
        except Exception as error:  # Keras raises ValueError, TypeError and others for arguments that do not fit
            raise self.problem(part.where, sentence(error)) from error

    def stack(self, parts: Sequence[Part], plain: bool = False) -> Callable[[Any], Any]:
        """Several parts as one function."""
        made = [(part, self.make(part, plain)) for part in parts]

        def apply(x: Any) -> Any:
            for part, layer in made:
                x = self.apply(part, layer, x)
            return x

        return apply

    def apply(self, part: Part, layer: Any, x: Any) -> Any:
        """The output of a part's layer for the symbolic input x."""
        before = tuple(x.shape[1:])
        if part.name.endswith(("_cell", "_cells")):
            raise self.problem(part.where, "is a cell, not a layer", f"rnn: {{{part.name}: …}} is the layer of it")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # Keras warns of masks that end at a layer
                y = layer(x)
            self.applied.append((part, y))
            return y
        except DlxError:
            raise
        except Exception as error:  # Keras raises ValueError, the backend what it likes
            if memory_is_full(error):
                raise TrainingError(
                    "the weights of this layer do not fit into memory",
                    where=self.spec.locate(part.where),
                    hint="a smaller layer, or a smaller input to it",
                ) from error
            message = f"cannot follow: its input has the shape {before} ({sentence(error)})"
            raise self.problem(part.where, message, shape_hint(part.name, before, str(error))) from error

    def _excluded(self, part: Part) -> bool:
        """Whether the regularization leaves out a layer, and with it all that is inside."""
        rule = self.spec.regularization
        return rule is not None and bool({part.name, part.args.get("name")} & set(rule.excluded))

    def _regularized(self, part: Part) -> Part:
        rule = self.spec.regularization
        if rule is None or not (rule.l1 or rule.l2):
            return part
        penalty = {key: value for key, value in (("l1", rule.l1), ("l2", rule.l2)) if value}
        known = self.registry.parameters(part.name)
        kinds = ("kernel", "recurrent", "embeddings", "depthwise", "pointwise")
        names = [f"{kind}_regularizer" for kind in kinds]
        added = {key: penalty for key in names if key in known and part.args.get(key) is None}
        return Part(part.name, {**part.args, **added}, part.where) if added else part
