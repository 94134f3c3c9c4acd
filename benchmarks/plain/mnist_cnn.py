"""MNIST: two convolutions, a dense layer, dropout."""

import sys

import keras
from data import arrays
from keras import layers

epochs, out = int(sys.argv[1]), sys.argv[2]
(x_train, y_train), (x_test, y_test) = arrays("mnist")
x_train, x_test = x_train.astype("float32") / 255, x_test.astype("float32") / 255

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(64, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Flatten(),
        layers.Dense(1024, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(0.0001), "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [
    keras.callbacks.TensorBoard(f"{out}/logs"),
    keras.callbacks.ModelCheckpoint(f"{out}/best.keras", save_best_only=True),
]
model.fit(
    x_train, y_train, batch_size=50, epochs=epochs, validation_data=(x_test, y_test), callbacks=callbacks, verbose=2
)
print(keras.models.load_model(f"{out}/best.keras").evaluate(x_test, y_test, verbose=0))
