"""Real data that comes with scikit-learn: no download, and no import of it, which takes a second."""

import importlib.util
from pathlib import Path
from typing import Any

from dlx.data.dataset import Dataset, Facts
from dlx.data.encoding import Encoding
from dlx.errors import DataError
from dlx.parts.datasets.loading import arrays, know, registry

DIGITS = tuple("0123456789")
SPECIES = ("setosa", "versicolor", "virginica")
know("digits", Facts((8, 8, 1), "classification", DIGITS))
know("iris", Facts((4,), "classification", SPECIES))


@registry.register
def digits() -> Dataset:
    """1,797 handwritten digits, 8 × 8 pixels, grey, 0..255 (Alpaydin and Kaynak 1998), white on black."""
    import numpy as np

    table = _table("digits.csv.gz")
    pixels = np.round(table[:, :-1].reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return arrays(pixels, table[:, -1].astype(np.int64), DIGITS, "scikit-learn", kind="image")


@registry.register
def iris() -> Dataset:
    """150 flowers of three species: sepal length and width, petal length and width in cm (Fisher 1936)."""
    import numpy as np

    table = _table("iris.csv", skiprows=1)
    encoding = Encoding(columns=["sepal_length", "sepal_width", "petal_length", "petal_width"])
    labels = table[:, -1].astype(np.int64)
    return arrays(table[:, :-1], labels, SPECIES, "scikit-learn", kind="table", encoding=encoding)


def _table(name: str, skiprows: int = 0) -> Any:
    """The numbers of a file that scikit-learn carries, float64, the label last."""
    import numpy as np

    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("scikit-learn is not installed", hint="pip install scikit-learn")
    return np.loadtxt(Path(package.origin).parent / "datasets" / "data" / name, delimiter=",", skiprows=skiprows)
