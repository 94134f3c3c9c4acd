"""Datasets. Each function loads one; add a module here and import it below."""

from dlx.dataset import Dataset, Facts
from dlx.parts.datasets.registry import facts, load, registry

from dlx.parts.datasets import bundled, files, folders, named, sequences, tables, toy  # isort: skip

__all__ = [
    "Dataset",
    "Facts",
    "bundled",
    "facts",
    "files",
    "folders",
    "load",
    "named",
    "registry",
    "sequences",
    "tables",
    "toy",
]
