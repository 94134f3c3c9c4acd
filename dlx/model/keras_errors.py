"""What Keras and its backends say went wrong, in a sentence."""

from __future__ import annotations

import re


def sentence(error: BaseException) -> str:
    """What a Keras or backend error says, on one line: without its frames, its arguments and its colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("Arguments received by")[0]
    lines = [line.strip() for line in text.splitlines()]
    idle = ("Graph execution error", "Detected at node", "Exception encountered when calling", "<stack", "File ")
    useful = [line for line in lines if line and not line.startswith(idle)]
    message = " ".join(" ".join(useful or lines).split())
    message = re.sub(r"\{\{function_node .*?\}\}", "", message).split("[[{{node")[0].strip()
    return message[:300] or type(error).__name__


def memory_is_full(error: BaseException) -> bool:
    """Whether Python, Keras or a backend had no memory left."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    return named or any(mark in str(error) for mark in ("OOM", "RESOURCE_EXHAUSTED"))


def shape_hint(name: str, shape: tuple[int | None, ...], message: str) -> str:
    """What to try where a layer does not take its input's shape; empty where that is unknown."""
    if name.startswith(("conv2d", "max_pooling2d", "average_pooling2d", "global_average")) and len(shape) != 3:
        return "it expects images: (height, width, channels); reshape brings a row back to one"
    if name in ("conv1d", "max_pooling1d", "simple_rnn", "lstm", "gru", "bidirectional") and len(shape) != 2:
        if len(shape) == 1:
            first = f"`reshape: [{shape[0]}, 1]` before it, or return_sequences: true in an RNN before it"
            return f"it expects a sequence, (steps, features): {first}"
        return "it expects a sequence: (steps, features); an RNN before it needs return_sequences: true"
    shrunk = "negative" in message or "smaller than or equal to 0" in message or "output size" in message
    return "a smaller window, or padding: same, keeps more of the image" if shrunk else ""
