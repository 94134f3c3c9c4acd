"""What a backend's error means to the user."""

from __future__ import annotations

from dlx.errors import TrainingError
from dlx.model.keras_errors import memory_is_full, sentence
from dlx.training.experiment import Experiment


def backend_failure(error: Exception, experiment: Experiment) -> TrainingError | None:
    """What went wrong while the backend computed; None for an error of dlx itself."""
    if memory_is_full(error):
        return out_of_memory(experiment)
    if "Exception encountered when calling" in str(error):  # Keras, while the first steps are compiled
        return TrainingError(f"the network cannot be trained: {sentence(error)}", hint="dlx check shows its layers")
    if not type(error).__module__.startswith(("tensorflow", "jax")):
        return None
    return TrainingError(f"the backend stopped: {sentence(error)[:200]}", hint="log.txt in the run has more")


def out_of_memory(experiment: Experiment) -> TrainingError:
    """The memory is full, and what to try."""
    smaller = max(1, experiment.batch_size // 2)
    return TrainingError("out of memory", hint=f"try a smaller batch: -s batch_size={smaller}; or a smaller network")
