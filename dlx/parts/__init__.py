"""Every part that a spec can name. The imports below fill the registries."""

from dlx.parts import augment, blocks, datasets, layers, losses, metrics, optimizers, preprocess, schedules, searches
from dlx.parts.registry import Registry

REGISTRIES: dict[str, Registry] = {
    "dataset": datasets.registry,
    "preprocess": preprocess.registry,
    "augment": augment.registry,
    "layer": layers.registry,
    "optimizer": optimizers.registry,
    "schedule": schedules.registry,
    "loss": losses.registry,
    "metric": metrics.registry,
    "search": searches.registry,
    "pruner": searches.pruners,
}

__all__ = [
    "REGISTRIES", "augment", "blocks", "datasets", "layers", "losses", "metrics", "optimizers", "preprocess",
    "schedules", "searches",
]  # fmt: skip
