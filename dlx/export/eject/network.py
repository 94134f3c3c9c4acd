"""The network of a run as Keras code: its graph, an operation a line."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dlx.errors import TrainingError
from dlx.export.eject import code
from dlx.system.backend import keras

NAMES = ("x", "y", "z", "a", "b", "c", "d", "e", "f", "g")
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "true_divide": "/"}
FEWEST = 4  # lines that a loop must save


def network(model: Any, instead: Mapping[str, str | None], last: str | None, names: Collection[str]) -> list[str]:
    """The lines that make `model`, a functional one from raw inputs to logits, as a variable of that name.

    instead: by the name of a layer, the code that stands for it, or None where it is left out; last: the activation
    behind the logits, where the loss wants one; names: those that the spec gives to layers. Raises TrainingError for
    what no script can say.
    """
    nodes = _in_order(model)
    ends = [f'layers.Activation({code.literal(last)}, dtype="float32")'] if last else []
    if all(_chains(node, before) for before, node in itertools.pairwise(nodes)):
        lines = [f"    {_input(model)},"]
        for node in nodes[1:]:
            if (text := _made(node.operation, instead, names)) is not None:
                lines.append(code.indented(f"{text},  # {' × '.join(map(str, node.outputs[0].shape[1:]))}"))
        return ["model = keras.Sequential([", *lines, *(f"    {end}," for end in ends), "])"]
    lines, result = _statements(nodes, instead, names)
    lines = [f"inputs = {_input(model)}", "x = inputs", *_folded(lines)]
    lines += [f"{result} = {end}({result})" for end in ends]
    return [*lines, f"model = keras.Model(inputs, {result})"]


def _input(model: Any) -> str:
    given = model.inputs[0]
    named = {} if given.dtype == "float32" else {"dtype": code.literal(given.dtype)}
    return code.call("keras.Input", [code.literal(tuple(given.shape[1:]))], named)


def _in_order(model: Any) -> list[Any]:
    """The nodes of a model's graph, each behind those whose outputs it takes; branch after branch."""
    order: dict[int, Any] = {}
    stack = [(_node(model.outputs[0]), False)]
    while stack:
        node, ready = stack.pop()
        if id(node) in order:
            continue
        if ready:
            order[id(node)] = node
        else:
            stack += [(node, True), *((_node(before), False) for before in reversed(node.input_tensors))]
    return list(order.values())


def _node(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _chains(node: Any, before: Any) -> bool:
    """Whether it is a layer that takes one thing, the output of the node before."""
    arguments = node.arguments
    alone = len(arguments.args) == 1 and not _named(node) and node.input_tensors == [before.outputs[0]]
    return alone and isinstance(node.operation, keras.layers.Layer) and not isinstance(node.operation, keras.Model)


def _named(node: Any) -> dict[str, Any]:
    """The arguments of a call by their names; whether it is in training is no business of a graph."""
    given = node.arguments.kwargs.items()
    return {key: value for key, value in given if value is not None and key != "training"}


def _made(operation: Any, instead: Mapping[str, str | None], names: Collection[str]) -> str | None:
    """What makes a layer; None where nothing stands for it."""
    if operation.name in instead:
        return instead[operation.name]
    if type(operation).__name__ == "Activation" and operation.activation is keras.activations.linear:
        full = keras.config.dtype_policy().name == "float32"
        return None if full else 'layers.Activation("linear", dtype="float32")'
    return code.of_layer(operation, names)


def _statements(
    nodes: Sequence[Any], instead: Mapping[str, str | None], names: Collection[str]
) -> tuple[list[str], str]:
    """(a line for each operation, the variable that holds the last one's output).

    A variable is used again as soon as nothing needs what it holds.
    """
    last_use = {id(tensor): number for number, node in enumerate(nodes) for tensor in node.input_tensors}
    holds = {id(nodes[0].outputs[0]): "x"}
    lines: list[str] = []
    for number, node in enumerate(nodes[1:], 1):
        taken = {id(tensor): holds[id(tensor)] for tensor in node.input_tensors}
        text = _expression(node, instead, names, holds)
        free = [holds.pop(key) for key in taken if last_use[key] == number]
        if text is None:
            name = next(iter(taken.values()))
        else:
            name = "x" if "x" in free else next((n for n in (*free, *NAMES) if n not in holds.values()), f"x{number}")
            lines.append(f"{name} = {text}")
        holds[id(node.outputs[0])] = name
    return lines, holds[id(nodes[-1].outputs[0])]


def _expression(
    node: Any, instead: Mapping[str, str | None], names: Collection[str], holds: Mapping[int, str]
) -> str | None:
    """The operation applied to the variables that hold its inputs."""

    def given(value: Any) -> str:
        if isinstance(value, keras.KerasTensor):
            return holds[id(value)]
        if isinstance(value, (list, tuple)) and any(isinstance(item, keras.KerasTensor) for item in value):
            return f"[{', '.join(map(given, value))}]"
        return code.literal(value)

    operation = node.operation
    if type(operation).__name__ == "GetItem":
        return f"{given(node.arguments.args[0])}[{_index(node.arguments.args[1])}]"
    positional = list(map(given, node.arguments.args))
    named = {key: given(value) for key, value in _named(node).items()}
    if isinstance(operation, keras.layers.Layer):
        made = _made(operation, instead, names)
        return None if made is None else f"{made}({', '.join([*positional, *(f'{k}={v}' for k, v in named.items())])})"
    return _function(operation, positional, named)


def _function(operation: Any, positional: list[str], named: Mapping[str, str]) -> str:
    """A function of keras.ops, applied."""
    name = code.snake(type(operation).__name__)
    if name in OPERATORS and len(positional) == 2 and not named:
        return f" {OPERATORS[name]} ".join(positional)
    if not hasattr(keras.ops, name):
        raise TrainingError(f"{type(operation).__name__} has no function of keras.ops that a script could name")
    config = operation.get_config()
    known = inspect.signature(getattr(keras.ops, name)).parameters
    settings = {
        key: code.literal(value)
        for key, value in config.items()
        if key in known and value != known[key].default and (key != "dtype" or name == "cast")
    }
    return code.call(f"keras.ops.{name}", positional, {**settings, **named})


def _index(value: Any) -> str:
    """What stands in the brackets of an index."""
    if isinstance(value, tuple):
        return ", ".join(map(_index, value))
    if not isinstance(value, slice):
        return "..." if value is Ellipsis else code.literal(value)
    ends = ["" if end is None else code.literal(end) for end in (value.start, value.stop, value.step)]
    return ":".join(ends if ends[2] else ends[:2])


def _folded(lines: list[str]) -> list[str]:
    """The same lines, those that come several times in a row in a loop."""
    folded: list[str] = []
    start = 0
    while start < len(lines):
        length, times = _repeated(lines, start)
        if times > 1:
            body = [code.indented(line) for line in _folded(lines[start : start + length])]
            folded += [f"for _ in range({times}):", *body]
            start += length * times
        else:
            folded.append(lines[start])
            start += 1
    return folded


def _repeated(lines: list[str], start: int) -> tuple[int, int]:
    """(how many lines from `start` come several times in a row, how often), where that saves most; else (1, 1)."""
    best, saved = (1, 1), FEWEST - 1
    for length in range(1, (len(lines) - start) // 2 + 1):
        block, times = lines[start : start + length], 1
        while lines[start + times * length : start + (times + 1) * length] == block:
            times += 1
        if length * (times - 1) > saved:
            best, saved = (length, times), length * (times - 1)
    return best
