"""The OR gate: one sigmoid unit, all four rows at once."""

import sys

import keras
import numpy as np

epochs, out = int(sys.argv[1]), sys.argv[2]
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
y = np.array([0, 1, 1, 1], "float32")

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
model.compile(keras.optimizers.SGD(2.0), "mean_squared_error", metrics=["accuracy"])
callbacks = [
    keras.callbacks.TensorBoard(f"{out}/logs"),
    keras.callbacks.ModelCheckpoint(f"{out}/best.keras", monitor="loss", save_best_only=True),
]
model.fit(x, y, batch_size=4, epochs=epochs, callbacks=callbacks, verbose=0)
print(model.evaluate(x, y, verbose=0))
