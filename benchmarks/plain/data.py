"""What `keras.datasets` would return, from dlx's data store: nothing is downloaded, and both sides read the same.

LIMIT in the environment keeps as many of the training images.
"""

import os

import numpy as np

from dlx.data import store


def arrays(name):
    """((x_train, y_train), (x_test, y_test)) in memory, images (n, height, width, channels) uint8."""
    found, _ = store.load(name)
    train, test = [(np.array(found[f"x_{split}"]), np.array(found[f"y_{split}"])) for split in ("train", "test")]
    limit = int(os.environ.get("LIMIT") or 0) or len(train[0])
    return (train[0][:limit], train[1][:limit]), test
