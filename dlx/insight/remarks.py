"""What happened in a training, in one verdict, with the command that tries a remedy. Rules of figures, no Keras.

The order is that of cause and effect: what makes a training fail comes before what a failed training looks like.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.insight.evidence import HALF, NEAR, Evidence, falls
from dlx.insight.probed import IMBALANCED, MOST_DEAD, SMALLEST_GRADIENT, scaling_for
from dlx.runs.find import command_line
from dlx.runs.run import Run

NOTHING = 0.9  # times the loss of an even guess: nothing was learned
WORSE, APART = 1.1, 0.05  # times its best, and times ln C: where validation has risen
GAP = 0.7  # train over validation loss, below which the network has learned train by heart
BY_HEART = 0.8  # of what there is to learn: without a validation nobody knows whether more is good
DONE = 0.1  # times the loss of an even guess: what is left to learn is little
FALLING = 0.15  # by so much over the last fifth: there was more to learn
ENOUGH = 0.995  # accuracy with which nobody trains on


@dataclass(frozen=True)
class Remark:
    """A verdict: its rule, a sentence, the settings that may mend it; whether the training goes on with them, or the
    spec should be checked, as no setting is known to."""

    rule: str
    message: str
    change: Sequence[str] = ()
    resume: bool = False
    check: bool = False


Rule = Callable[[Evidence], Remark | None]


def diverged(run: Evidence) -> Remark | None:
    """The loss is not finite any more."""
    if not run.diverged or (run.probed is not None and run.probed.unscaled):
        return None
    return Remark("diverged", "the loss is not finite any more: the steps were too large", [_lower(run)])


def unscaled(run: Evidence) -> Remark | None:
    """The first layer saw values far from 1."""
    if run.probed is None or not run.probed.unscaled:
        return None
    message = f"the first layer's input has an RMS of {run.probed.rms:.3g}: values of that size make steps too large"
    return Remark("unscaled", message, [f"preprocess=[{scaling_for(run.kind)}]"])


def dead(run: Evidence) -> Remark | None:
    """Most units of a layer answered 0 to everything from the start, or all examples had one answer."""
    probed = run.probed
    if probed is None or (probed.dead <= MOST_DEAD and not probed.stuck):
        return None
    units = f"{100 * probed.dead:.0f} % of the units of {probed.dead_layer}"
    message = f"{units} answer 0 to every example from the start: they learn nothing"
    if probed.dead <= MOST_DEAD:
        message = "every example has the same answer from the start: nothing passes through the network"
    return Remark("dead", message, _initializers(run) or _obstacles(run))


def vanishing(run: Evidence) -> Remark | None:
    """Hardly any gradient reaches the first layers."""
    probed = run.probed
    if probed is None or not probed.vanishes:
        return None
    message = f"the last hidden layer's outputs vary by {probed.spread:.1g} over examples: hardly anything passes"
    if probed.without:
        message = f"no gradient reaches {', '.join(probed.without[:3])}"
    elif probed.gradient < SMALLEST_GRADIENT:
        share = f"{probed.gradient:.1g} of the gradient of the last"
        message = f"the first kernel gets {share}: the layers between let hardly any through"
    bounded = ("sigmoid", "hard_sigmoid", "tanh")
    hidden = [key for key, value in run.settings.items() if key.endswith(".activation") and value in bounded]
    relu = [f"{key}=relu" for key in hidden if "output" not in key][:6]
    return Remark("vanishing", message, relu or _initializers(run) or _obstacles(run))


def imbalance(run: Evidence) -> Remark | None:
    """The network answers the most frequent of imbalanced classes."""
    if run.accuracy is None or run.majority is None or run.majority <= IMBALANCED:
        return None
    if run.accuracy > run.majority + NEAR or _weighed(run):
        return None
    message = f"its accuracy is that of always answering the most frequent class ({100 * run.majority:.1f} %)"
    return Remark("imbalance", message, ["class_weight=balanced"])


def step_large(run: Evidence) -> Remark | None:
    """Each step changes the weights by a tenth of their size or more."""
    if run.probed is None or not run.probed.step_large:
        return None
    message = f"a step changes the weights by {100 * run.probed.update:.2g} % of their size: it oversteps"
    return Remark("step_large", message, [_lower(run)])


def step_small(run: Evidence) -> Remark | None:
    """Steps too small to get anywhere, where Adam at its usual rate learns."""
    if run.probed is None or not run.probed.step_small:
        return None
    share = 100 * run.probed.largest_update
    message = f"a step changes the weights by {share:.1g} % of their size at most: the training hardly moves"
    return Remark("step_small", message, [f"lr={run.probed.better_rate(0.0):g}"])


def cannot_fit(run: Evidence) -> Remark | None:
    """Not even one batch can be learned, also by Adam."""
    probed = run.probed
    if probed is None or probed.could_learn or probed.learns:
        return None
    losses = f"Adam at {probed.adam_rate:g} brings their loss to {probed.adam:.3g}, a guess has {probed.even:.3g}"
    message = f"not even 32 examples can be learned: {losses}"
    return Remark("cannot_fit", message, _obstacles(run))


def nothing_learned(run: Evidence) -> Remark | None:
    """The figures are those of a guess."""
    losses = [loss for loss in run.losses("train") if math.isfinite(loss)]
    if not losses or run.even is None:
        return None
    guesses = run.accuracy is not None and run.accuracy <= run.guess + NEAR and not _weighed(run)
    if run.long and guesses and min(losses) > HALF * run.even:
        message = f"its accuracy is that of always answering the most frequent class ({100 * run.guess:.1f} %)"
        return Remark("nothing_learned", message, check=True)
    if min(losses) <= NOTHING * run.even or (run.accuracy is not None and run.accuracy > run.guess + 5 * NEAR):
        return None
    message = f"it learned nothing: its train loss stays at {min(losses):.3g}, that of a guess"
    return Remark("nothing_learned", message, check=True)


def overfit(run: Evidence) -> Remark | None:
    """Validation has become worse while train went on falling."""
    if run.split != "val" or len(run.rows) < 4:
        return None
    train, val = run.losses("train"), run.losses("val")
    best, last = min(val), val[-1]
    slack = APART * (run.even if run.even is not None else best)
    if not (last > WORSE * best and last > best + slack and train[-1] < GAP * last):
        return None
    epoch = val.index(best) + 1
    message = (
        f"it overfits: val_loss was best after epoch {epoch} ({best:.3g}), and rose to {last:.3g} while train_loss fell"
    )
    penalized = any(key.startswith("regularization.l") for key in run.settings)
    patience = min(max(len(val) // 10, 3), 50)
    return Remark("overfit", message, [f"early_stop={patience}" if penalized else "regularization={l2: 0.0005}"])


def still_falling(run: Evidence) -> Remark | None:
    """The loss was still falling fast when the training ended."""
    if run.status != "done" or (run.accuracy or 0.0) >= ENOUGH:
        return None
    losses = run.losses(run.split)
    if run.split == "train" and run.learned > BY_HEART:  # what is left may be noise
        return None
    if falls(losses) <= FALLING or (run.even and losses[-1] < DONE * run.even) or losses[-1] > 1.05 * min(losses):
        return None
    fell = f"{run.split}_loss still fell by {100 * falls(losses):.0f} % over the last fifth of the epochs"
    message = f"{fell}: there is more to learn"
    length = run.settings.get("epochs")
    if isinstance(length, int):
        return Remark("still_falling", message, [f"epochs={2 * length}"], resume=True)
    return Remark("still_falling", message, [f"steps={2 * int(run.settings.get('steps') or 0)}"], resume=True)


def learned_little(run: Evidence) -> Remark | None:
    """No cause is seen, and less than half of what there is to learn was learned."""
    losses = [loss for loss in run.losses("train") if math.isfinite(loss)]
    if not run.long or run.learned >= HALF or run.even is None or min(losses, default=0.0) < HALF * run.even:
        return None
    message = f"it learned little: its train loss comes to {min(losses):.3g}, where a guess has {run.even:.3g}"
    return Remark("learned_little", message, check=True)


RULES: tuple[Rule, ...] = (
    diverged, unscaled, dead, vanishing, imbalance, step_large, step_small, cannot_fit, nothing_learned, overfit,
    still_falling, learned_little,
)  # fmt: skip


def verdict(run: Evidence) -> Remark | None:
    """The first rule that speaks; None where nothing is to be said."""
    return next((remark for rule in RULES if (remark := rule(run)) is not None), None)


def remedy(remark: Remark, run: Run) -> str:
    """The command that tries what a remark proposes; empty where it proposes nothing."""
    if remark.check:
        return command_line("dlx", "check", str(run.spec_file), "--probe")
    if not remark.change:
        return ""
    words = [word for setting in remark.change for word in ("-s", setting)]
    if remark.resume:
        return command_line("dlx", "resume", run.name, *words, runs_dir=run.path.parent)
    return command_line("dlx", "run", str(run.spec_file), *words, runs_dir=run.path.parent)


def record(run: Run, remark: Remark | None) -> dict[str, str] | None:
    """A remark as programs read it; None where there is none."""
    if remark is None:
        return None
    return {"rule": remark.rule, "message": remark.message, "command": remedy(remark, run)}


def notes(run: Evidence) -> list[str]:
    """What a reader of the figures should know."""
    if not _weighed(run):
        return []
    return ["train_loss counts classes by class_weight, val_loss and test_loss do not: they cannot be compared"]


def _weighed(run: Evidence) -> bool:
    """Whether the loss of the training counts classes by weights."""
    return any(key.startswith("class_weight") and value is not None for key, value in run.settings.items())


def _lower(run: Evidence) -> str:
    """A rate with which a step changes the weights by two hundredths, where that is known; else a tenth."""
    rate = float(run.settings.get("lr") or 0.001)
    return f"lr={run.probed.better_rate(rate) if run.probed is not None else rate / 10:.3g}"


def _initializers(run: Evidence) -> list[str]:
    """The initializers of hidden layers that are not usual ones, put back."""
    usual = {"kernel_initializer": "he_normal", "bias_initializer": "zeros"}
    made: dict[str, str] = {}
    for key, value in run.settings.items():
        for name, default in usual.items():
            head, found, _ = key.partition(f".{name}")
            if found and "output" not in head and value not in (default, "glorot_uniform"):
                made[f"{head}.{name}"] = default
    return [f"{key}={value}" for key, value in list(made.items())[:6]]


def _obstacles(run: Evidence) -> list[str]:
    """What in the spec keeps a network from learning: a strong penalty, much dropout, a layer of one unit."""
    made: list[str] = []
    for key, value in run.settings.items():
        number: Any = value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
        if key.endswith(("dropout.rate", ".dropout")) and number > 0.8:
            made.append(f"{key}=0.3")
        elif key.endswith((".l2", ".l1")) and number >= 0.01:
            made.append(f"{key}=0.0001")
        elif key.endswith("dense.units") and number < 3 and "output" not in key:
            made.append(f"{key}=32")
        elif key.endswith(".activation") and value == "softmax" and "output" not in key:
            made.append(f"{key}=relu")
        elif key.endswith("output.activation") and run.task == "regression" and value not in ("auto", "linear"):
            made.append(f"{key}=linear")
        elif key.endswith("kernel_initializer") and value in ("zeros", "ones"):
            made.append(f"{key}=glorot_uniform")
    return made
