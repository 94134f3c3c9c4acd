import keras

from dlx import layer


@layer
def doubled(units: int = 4):
    """A dense layer of twice the units."""
    return keras.layers.Dense(2 * units, activation="tanh")
