"""A table of 100,000 rows: 20 columns of numbers, two of words, a class to predict."""

import sys

import keras
import pandas as pd
from keras import layers
from sklearn.model_selection import train_test_split

epochs, out, path = int(sys.argv[1]), *sys.argv[2:]
frame = pd.read_csv(path)
labels = frame.pop("label").astype("category").cat.codes.to_numpy()
x = pd.get_dummies(frame).to_numpy("float32")
x_train, x_test, y_train, y_test = train_test_split(x, labels, test_size=0.2, stratify=labels, random_state=0)
normalize = layers.Normalization()
normalize.adapt(x_train)

model = keras.Sequential(
    [
        keras.Input(x.shape[1:]),
        normalize,
        layers.Dense(64, activation="relu"),
        layers.Dense(32, activation="relu"),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [
    keras.callbacks.TensorBoard(f"{out}/logs"),
    keras.callbacks.ModelCheckpoint(f"{out}/best.keras", save_best_only=True),
]
model.fit(
    x_train, y_train, batch_size=128, epochs=epochs, validation_data=(x_test, y_test), callbacks=callbacks, verbose=2
)
print(keras.models.load_model(f"{out}/best.keras").evaluate(x_test, y_test, verbose=0))
