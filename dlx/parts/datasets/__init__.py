"""Datasets. Each function loads one; add a module here and import it below."""

from dlx.data.dataset import Dataset, Facts
from dlx.parts.datasets.loading import facts, load, registry

from dlx.parts.datasets import bundled, image_folder, named, npz, series, table, text, toy  # isort: skip

__all__ = [
    "Dataset",
    "Facts",
    "bundled",
    "facts",
    "image_folder",
    "load",
    "named",
    "npz",
    "registry",
    "series",
    "table",
    "text",
    "toy",
]
