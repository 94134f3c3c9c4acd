"""The named image sets. They come from `path`, from dlx's own store, or from Keras's cache or download."""

import hashlib

from dlx.data import store
from dlx.data.dataset import Dataset, Facts, Split
from dlx.data.store.catalog import KNOWN
from dlx.parts.datasets.loading import know, registry, split
from dlx.parts.registry import FilePath
from dlx.parts.types import Positive

Limit = Positive | None


@registry.register
def mnist(path: FilePath | None = None, limit: Limit = None, test_limit: Limit = None) -> Dataset:
    """70,000 handwritten digits, 28 × 28, grey (LeCun et al. 1998); 60,000 to train, 10,000 to test.

    `limit` keeps so many train examples, drawn evenly over the classes, `test_limit` so many of the test split.
    """
    return _named("mnist", path, limit, test_limit)


@registry.register
def fashion_mnist(path: FilePath | None = None, limit: Limit = None, test_limit: Limit = None) -> Dataset:
    """70,000 pieces of clothing, 28 × 28, grey (Xiao et al. 2017); 60,000 to train, 10,000 to test.

    `limit` keeps so many train examples, drawn evenly over the classes, `test_limit` so many of the test split.
    """
    return _named("fashion_mnist", path, limit, test_limit)


@registry.register
def cifar10(path: FilePath | None = None, limit: Limit = None, test_limit: Limit = None) -> Dataset:
    """60,000 photos of ten kinds of thing, 32 × 32, colour (Krizhevsky 2009); 50,000 to train, 10,000 to test.

    `limit` keeps so many train examples, drawn evenly over the classes, `test_limit` so many of the test split.
    """
    return _named("cifar10", path, limit, test_limit)


@registry.register
def cifar100(path: FilePath | None = None, limit: Limit = None, test_limit: Limit = None) -> Dataset:
    """60,000 photos of a hundred kinds of thing, 32 × 32, colour (Krizhevsky 2009); 50,000 to train, 10,000 to test.

    `limit` keeps so many train examples, drawn evenly over the classes, `test_limit` so many of the test split.
    """
    return _named("cifar100", path, limit, test_limit)


for _name, _known in KNOWN.items():
    know(_name, Facts(_known.shape, "classification", _known.classes))


def _named(name: str, path: str | None, limit: int | None, test_limit: int | None) -> Dataset:
    """The set, mapped; `limit` and `test_limit` keep that many examples, drawn evenly over the classes."""
    arrays, record = store.load(name, path)
    train = split(arrays["x_train"], arrays["y_train"])
    test = split(arrays["x_test"], arrays["y_test"])
    limits = f"{limit}" if limit == test_limit else f"{limit}:{test_limit}"
    source = f"{record['source']}{' (images went through JPEG)' if record.get('lossy') else ''}"
    return Dataset(
        _limited(train, limit),
        "classification",
        record["fingerprint"]
        if limit is None and test_limit is None
        else hashlib.sha256(f"{record['fingerprint']}:{limits}".encode()).hexdigest(),
        test=_limited(test, test_limit),
        classes=KNOWN[name].classes,
        kind="image",
        source=source,
    )


def _limited(whole: Split, limit: int | None) -> Split:
    import numpy as np

    if limit is None or limit >= len(whole):
        return whole
    order = np.random.default_rng(0).permutation(len(whole))
    labels = np.asarray(whole.targets)[order]
    # The k-th example of each class goes before the (k+1)-th of any: a stable sort by that rank.
    rank = np.empty(len(order), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rank[rows] = np.arange(len(rows))
    return whole.take(np.sort(order[np.argsort(rank, kind="stable")[:limit]]))
