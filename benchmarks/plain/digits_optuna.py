"""Forty rates and seeds of a digits network: Optuna's random sampler, a Keras `fit` for each."""

import sys

import keras
import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

trials, epochs = int(sys.argv[1]), int(sys.argv[2])
x, y = load_digits(return_X_y=True)
x = x.astype("float32") / 16
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
x_train, x_val, y_train, y_val = train_test_split(x_train, y_train, test_size=0.1, stratify=y_train, random_state=0)


def objective(trial):
    keras.utils.set_random_seed(trial.number)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    rate = trial.suggest_float("lr", 1e-3, 1e-2, log=True)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    done = model.fit(x_train, y_train, batch_size=32, epochs=epochs, validation_data=(x_val, y_val), verbose=0)
    return min(done.history["val_loss"])


optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(objective, n_trials=trials)
print(study.best_value, study.best_params)
