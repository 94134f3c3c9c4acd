"""Advice on what comes in: scales, augmentations, vocabularies."""

from __future__ import annotations

import re

from dlx.insight.advice.case import Advice, Known
from dlx.insight.probed import LARGEST_INPUT, scaling_for
from dlx.spec.sections import Spec

SCALES = ("rescale", "normalize", "standardize")
SCALING_LAYERS = ("rescaling", "batch_normalization", "layer_normalization", "group_normalization",
                  "rms_normalization", "unit_normalization")  # fmt: skip
TAKES_NUMBERS = ("embedding", "reversible_embedding", "category_encoding", "pretrained", "discretization", "masking")
LOOKS = ("flatten", "identity", "reshape", "zero_padding2d", "permute", "resizing", "center_crop")


def unscaled_inputs(spec: Spec, known: Known) -> Advice | None:
    """Inputs far from 0..1 that nothing scales: the first layer's outputs, and the steps, become far too large."""
    data = known.data
    first = next((part for part in spec.layers if part.name not in LOOKS), None)
    if data is None or data.rms <= LARGEST_INPUT or first is None or any(p.name in SCALES for p in spec.preprocess):
        return None
    if first.name in SCALING_LAYERS or first.name in TAKES_NUMBERS:
        return None
    message = f"inputs of {data.low:.4g} to {data.high:.4g} reach the first layer as they are"
    change = f"preprocess: [{scaling_for(data.kind)}]"
    return Advice("preprocess", message, f"{change}: trainings on inputs of this size mostly fail")


def two_scalings(spec: Spec, known: Known) -> Advice | None:
    """Inputs that are scaled twice: the second undoes the first, or spoils it."""
    scalings = [part for part in spec.preprocess if part.name in SCALES]
    first = next((part for part in spec.layers if part.name not in LOOKS), None)
    if len(scalings) > 1:
        names = f"{scalings[0].name} and then {scalings[1].name}"
        return Advice(scalings[1].where, f"inputs are scaled twice, by {names}", f"{scalings[1].name} alone")
    if scalings and first is not None and first.name == "rescaling":
        message = f"inputs are scaled twice, by {scalings[0].name} and by this layer"
        return Advice(first.where, message, "one of the two")
    return None


def scaling_before_pretrained(spec: Spec, known: Known) -> Advice | None:
    """A pretrained network scales its own inputs, and wants them as they are stored."""
    scalings = [part for part in spec.preprocess if part.name in SCALES]
    if not scalings or not spec.layers or spec.layers[0].name != "pretrained":
        return None
    message = "the pretrained network scales its inputs itself, and was trained on 0 to 255"
    return Advice(scalings[0].where, message, "no preprocess but resize")


def flip_changes_the_class(spec: Spec, known: Known) -> Advice | None:
    """Digits, letters and directions that are mirrored are others, or none."""
    classes = known.facts.classes
    for part in spec.augment:
        direction = str(part.args.get("direction", "horizontal")) if part.name == "flip" else ""
        if direction and _written(classes) and known.facts.shape[-1:] == (1,):
            message = "a mirrored digit or letter is another one, or none"
            return Advice(part.where, message, "no flip; shift: 0.1 or rotate: 10 keep the class")
        if direction in ("horizontal", "both") and _sided(classes):
            return Advice(part.where, "mirrored left-right, left is right", "flip: vertical, or none")
    return None


def rotation_changes_the_class(spec: Spec, known: Known) -> Advice | None:
    """Digits and letters turned by more than 45 degrees: 6 is 9, N is Z."""
    grey = known.facts.shape[-1:] == (1,)
    for part in spec.augment:
        degrees = part.args.get("degrees", 0) if part.name == "rotate" else 0
        if isinstance(degrees, (int, float)) and abs(degrees) > 45 and grey and _written(known.facts.classes):
            message = f"turned by up to {degrees:g} degrees, 6 is 9 and N is Z"
            return Advice(part.where, message, "rotate: 15")
    return None


def vocabulary_misses_words(spec: Spec, known: Known) -> Advice | None:
    """Many words of the train split are outside of the vocabulary."""
    data = known.data
    if data is None or data.kind != "text" or data.unknown <= 0.15:
        return None
    tokens = spec.dataset.args.get("max_tokens")
    message = f"{100 * data.unknown:.0f} % of the words of train are outside of the vocabulary of {tokens:,}"
    return Advice(f"dataset.{spec.dataset.name}.max_tokens", message, f"max_tokens: {int(tokens or 0) * 4}")


def _written(classes: tuple[str, ...]) -> bool:
    """Whether the classes are the ten digits, or most letters: numbers alone may stand for anything."""
    letters = [name for name in classes if re.fullmatch(r"[A-Za-z]", name)]
    return set(classes) >= set("0123456789") or len({name.lower() for name in letters}) >= 20


def _sided(classes: tuple[str, ...]) -> bool:
    words = {word for name in classes for word in re.split(r"[\W_]+", name.lower())}
    return {"left", "right"} <= words


RULES = (
    unscaled_inputs,
    two_scalings,
    scaling_before_pretrained,
    flip_changes_the_class,
    rotation_changes_the_class,
    vocabulary_misses_words,
)
