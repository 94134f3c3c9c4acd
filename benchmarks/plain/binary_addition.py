"""Binary addition: sixteen recurrent units, a bit of the sum at each step."""

import sys

import keras
import numpy as np

epochs, out = int(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
a, b = rng.integers(0, 128, (2, 10_000))
x = np.stack([(a[:, None] >> np.arange(8)) & 1, (b[:, None] >> np.arange(8)) & 1], axis=-1).astype("float32")
y = (((a + b)[:, None] >> np.arange(8)) & 1)[..., None].astype("float32")


def exact_match(wanted, found):
    right = keras.ops.equal(wanted > 0.5, found > 0.5)
    return keras.ops.cast(keras.ops.all(right, axis=(1, 2)), "float32")


model = keras.Sequential(
    [
        keras.Input((8, 2)),
        keras.layers.SimpleRNN(16, activation="sigmoid", return_sequences=True),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy", exact_match])
callbacks = [
    keras.callbacks.TensorBoard(f"{out}/logs"),
    keras.callbacks.ModelCheckpoint(f"{out}/best.keras", save_best_only=True),
]
model.fit(x, y, batch_size=32, epochs=epochs, validation_split=0.1, callbacks=callbacks, verbose=2)
model.load_weights(f"{out}/best.keras")
print(model.evaluate(x[-1000:], y[-1000:], verbose=0))
