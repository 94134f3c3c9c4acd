"""Real data that comes with scikit-learn: no download."""

from dlx.data.dataset import Dataset, Facts
from dlx.data.encoding import Encoding
from dlx.parts.datasets.loading import arrays, know, registry

DIGITS = tuple("0123456789")
SPECIES = ("setosa", "versicolor", "virginica")
know("digits", Facts((8, 8, 1), "classification", DIGITS))
know("iris", Facts((4,), "classification", SPECIES))


@registry.register
def digits() -> Dataset:
    """1,797 handwritten digits, 8 × 8 pixels, grey, 0..255 (Alpaydin and Kaynak 1998), white on black."""
    import numpy as np
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    pixels = np.round(x.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return arrays(pixels, y, DIGITS, "scikit-learn", kind="image")


@registry.register
def iris() -> Dataset:
    """150 flowers of three species: sepal length and width, petal length and width in cm (Fisher 1936)."""
    from sklearn.datasets import load_iris

    bunch = load_iris()
    columns = [str(name).replace(" (cm)", "").replace(" ", "_") for name in bunch.feature_names]
    encoding = Encoding(columns=columns)
    return arrays(bunch.data, bunch.target, SPECIES, "scikit-learn", kind="table", encoding=encoding)
