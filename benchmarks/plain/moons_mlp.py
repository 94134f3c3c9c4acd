"""Two moons: a hidden layer of three units, all 200 points at once."""

import sys

import keras
from sklearn.datasets import make_moons

epochs, out = int(sys.argv[1]), sys.argv[2]
x, y = make_moons(200, noise=0.2, random_state=0)
x = x.astype("float32")

l2 = keras.regularizers.L2(0.000025)
model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(3, activation="tanh", kernel_regularizer=l2),
        keras.layers.Dense(2, activation="softmax", kernel_regularizer=l2),
    ]
)
model.compile(keras.optimizers.SGD(2.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [
    keras.callbacks.TensorBoard(f"{out}/logs"),
    keras.callbacks.ModelCheckpoint(f"{out}/best.keras", monitor="loss", save_best_only=True),
]
model.fit(x, y, batch_size=200, epochs=epochs, callbacks=callbacks, verbose=0)
print(model.evaluate(x, y, verbose=0))
