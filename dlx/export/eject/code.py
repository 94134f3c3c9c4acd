"""Python of values and of Keras's objects: what differs from a parameter's default is written, nothing else."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dlx.errors import TrainingError
from dlx.system.backend import keras

WIDTH = 110
# Several equal numbers, one for each side of an image, are written once.
EACH_SIDE = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")
SHOWN = ("pool_size",)  # written even where it is the default
NEVER = ("name", "trainable", "dtype", "data_format", "seed", "unroll", "build_config")


def literal(value: Any) -> str:
    """A value of plain types, as a person writes it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(literal, value))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if hasattr(value, "item"):  # a number of NumPy
        return literal(value.item())
    if isinstance(value, float) and value == 1 / 255:
        return "1 / 255"
    return repr(value)


def words(text: str) -> str:
    """A stranger's text as one line of a comment or a docstring: it can end neither."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(line.replace("\\", "/").replace('"', "'").split())


def call(name: str, positional: Sequence[str] = (), named: Mapping[str, str] | None = None) -> str:
    """A call of a function, in lines of one argument each where it is long."""
    arguments = [*positional, *(f"{key}={value}" for key, value in (named or {}).items())]
    line = f"{name}({', '.join(arguments)})"
    if len(line) <= WIDTH or not arguments:
        return line
    return "\n".join([f"{name}(", *(indented(f"{argument},") for argument in arguments), ")"])


def indented(text: str, by: int = 4) -> str:
    """Text with its lines moved to the right."""
    return re.sub(r"^(?=.)", " " * by, text, flags=re.MULTILINE)


def tidy(lines: Sequence[str]) -> str:
    """Lines as a file: two blank ones around a function or a class, never more."""
    found: list[str] = []
    inside = False  # a function or a class
    for line in "\n".join(lines).splitlines():
        begins = line.startswith(("def ", "class "))
        if not line.strip():
            found.append("")
            continue
        if line[0] not in " )]}" and (begins or inside) and found:
            while found and not found[-1]:
                found.pop()
            found += ["", ""]
        inside = begins or (inside and line[0] in " )]}")
        while found[-3:] == ["", "", ""]:
            found.pop()
        found.append(line)
    return "\n".join(found).rstrip() + "\n"


def of_layer(layer: Any, names: Collection[str]) -> str:
    """How a layer of Keras is made; its name is written where it is one of `names`, which the spec gives.

    Raises TrainingError for a layer that is none of Keras's.
    """
    return _of_object(keras.saving.serialize_keras_object(layer), names)


def of_optimizer(optimizer: Any, learning_rate: str) -> str:
    """How an optimizer of Keras is made; its learning rate is the expression `learning_rate`."""
    kind = type(optimizer)
    config = {key: value for key, value in optimizer.get_config().items() if key not in ("learning_rate", *NEVER)}
    _, named = _arguments(kind, config, ())
    return call(f"keras.optimizers.{kind.__name__}", [], {"learning_rate": learning_rate, **named})


def _of_object(described: Mapping[str, Any], names: Collection[str]) -> str:
    """The code of what Keras's `serialize_keras_object` describes."""
    module, name, config = described.get("module") or "", described["class_name"], described["config"]
    public = module.startswith("keras.") and not module.startswith("keras.src")
    found = getattr(_module(module), name, None) if public else None
    if found is None or not isinstance(config, Mapping):
        raise TrainingError(f"{name} is no class of Keras that a script could name")
    positional, named = _arguments(found, config, names)
    if not positional and not named and module in ("keras.initializers", "keras.constraints"):
        return literal(snake(name))
    return call(f"{'layers' if module == 'keras.layers' else module}.{name}", positional, named)


def _module(path: str) -> Any:
    found: Any = keras
    for name in path.split(".")[1:]:
        found = getattr(found, name, None)
    return found


def snake(name: str) -> str:
    """A class's name as keras.ops and initializers spell it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _arguments(kind: type, config: Mapping[str, Any], names: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """(the arguments without a default, those that differ from theirs) of an object of that class."""
    parameters = _parameters(kind)
    positional, named, leading = list[str](), dict[str, str](), True
    for key, parameter in parameters.items():
        if key in NEVER or key not in config:
            continue
        required = parameter.default is inspect.Parameter.empty
        value = _compact(key, config[key])
        same = _same(key, value, _compact(key, parameter.default)) and key not in SHOWN
        if not required and (same or _follows(kind, key, config)):
            leading = False
            continue
        text = _value(value, names)
        if (required or key in SHOWN) and leading:
            positional.append(text)
        else:
            named[key] = text
    if config.get("name") in names:
        named["name"] = literal(config["name"])
    policy = _policy(config.get("dtype"))
    if policy is not None and policy != keras.config.dtype_policy().name:
        named["dtype"] = literal(policy)
    return positional, named


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """The parameters of a class and of those that it hands further ones to, by name."""
    found: dict[str, inspect.Parameter] = {}
    for one in kind.__mro__:
        if "__init__" not in vars(one) or one is object:
            continue
        own = inspect.signature(vars(one)["__init__"]).parameters
        for name, parameter in list(own.items())[1:]:
            found.setdefault(name, parameter)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in own.values()):
            break
    return {name: parameter for name, parameter in found.items() if name not in ("args", "kwargs")}


def _compact(key: str, value: Any) -> Any:
    if key in EACH_SIDE and isinstance(value, (list, tuple)) and value and len(set(map(repr, value))) == 1:
        return value[0]
    return tuple(value) if isinstance(value, list) and not any(isinstance(item, Mapping) for item in value) else value


def _same(key: str, value: Any, default: Any) -> bool:
    """Whether a value of a config is what the default of its parameter becomes."""
    if isinstance(value, Mapping) and isinstance(default, str) and key.endswith("initializer"):
        default = keras.initializers.serialize(keras.initializers.get(default))
    if key.endswith("activation") and value == "linear" and default is None:
        return True
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        return value["class_name"] == default["class_name"] and _unseeded(value) == _unseeded(default)
    return bool(value == default)


def _unseeded(described: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described["config"].items() if key != "seed"}


def _follows(kind: type, key: str, config: Mapping[str, Any]) -> bool:
    """Whether a value is what another one makes of it: Keras fills it in."""
    if key == "strides" and "Pooling" in kind.__name__:
        return bool(_compact("strides", config["strides"]) == _compact("strides", config["pool_size"]))
    if key == "value_dim":
        return bool(config["value_dim"] == config["key_dim"])
    return key == "backward_layer"  # dlx sets none: it is the forward one's


def _policy(dtype: Any) -> str | None:
    return str(dtype["config"]["name"]) if isinstance(dtype, Mapping) else dtype if isinstance(dtype, str) else None


def _value(value: Any, names: Collection[str]) -> str:
    """A value of a config, which may describe an object."""
    if isinstance(value, Mapping) and {"class_name", "config"} <= set(value):
        return _of_object(value, names)
    if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        return f"[{', '.join(_value(item, names) for item in value)}]"
    return literal(value)
