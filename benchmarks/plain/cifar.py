"""CIFAR-10: three sets of convolution and pooling. Words after the folder: a dtype policy, `augment`."""

import sys

import keras
from data import arrays
from keras import layers

epochs, out, *words = int(sys.argv[1]), *sys.argv[2:]
keras.config.set_dtype_policy(words[0])
(x_train, y_train), (x_test, y_test) = arrays("cifar10")
mean, std = x_train.mean(axis=0), x_train.std(axis=0)
x_train, x_test = x_train.astype("float32"), x_test.astype("float32")
augment = [layers.RandomFlip("horizontal"), layers.RandomRotation(25 / 360, fill_mode="constant")]
if "augment" not in words:  # what does not change from epoch to epoch is computed once
    augment, x_train, x_test = [], (x_train - mean) / std, (x_test - mean) / std
else:
    augment.append(layers.Normalization((1, 2, 3), mean=mean, variance=std**2))

model = keras.Sequential(
    [
        keras.Input((32, 32, 3)),
        *augment,
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(10, activation="softmax", dtype="float32"),
    ]
)
model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [
    keras.callbacks.TensorBoard(f"{out}/logs"),
    keras.callbacks.ModelCheckpoint(f"{out}/best.keras", monitor="val_accuracy", save_best_only=True),
]
model.fit(
    x_train, y_train, batch_size=96, epochs=epochs, validation_data=(x_test, y_test), callbacks=callbacks, verbose=2
)
print(keras.models.load_model(f"{out}/best.keras").evaluate(x_test, y_test, verbose=0))
