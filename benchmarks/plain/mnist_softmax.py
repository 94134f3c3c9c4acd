"""MNIST: one softmax layer."""

import sys

import keras
from data import arrays

epochs, out = int(sys.argv[1]), sys.argv[2]
(x_train, y_train), (x_test, y_test) = arrays("mnist")
x_train, x_test = x_train.astype("float32") / 255, x_test.astype("float32") / 255

model = keras.Sequential(
    [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
)
model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [
    keras.callbacks.TensorBoard(f"{out}/logs"),
    keras.callbacks.ModelCheckpoint(f"{out}/best.keras", save_best_only=True),
]
model.fit(
    x_train, y_train, batch_size=32, epochs=epochs, validation_data=(x_test, y_test), callbacks=callbacks, verbose=2
)
print(keras.models.load_model(f"{out}/best.keras").evaluate(x_test, y_test, verbose=0))
