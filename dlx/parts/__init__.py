"""Every part that a spec can name. The imports below fill the registries."""

from dlx.parts import augment, blocks, datasets, layers, losses, optimizers, preprocess, schedules, user_code
from dlx.parts.registry import Registry

REGISTRIES: dict[str, Registry] = {
    "dataset": datasets.registry,
    "preprocess": preprocess.registry,
    "augment": augment.registry,
    "layer": layers.registry,
    "optimizer": optimizers.registry,
    "schedule": schedules.registry,
    "loss": losses.registry,
    "metric": losses.metrics,
}

__all__ = [
    "REGISTRIES", "augment", "blocks", "datasets", "layers", "losses", "optimizers", "preprocess", "schedules",
    "user_code",
]  # fmt: skip
