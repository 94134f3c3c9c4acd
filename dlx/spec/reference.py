"""`dlx schema`: the JSON Schema for editors and the reference page, both from the signatures."""

from __future__ import annotations

import dataclasses
import json
import typing
from importlib import metadata
from typing import Any

from pydantic import TypeAdapter

from dlx import __version__
from dlx.parts import REGISTRIES, types
from dlx.parts.registry import FilePath, Parameter, Parts, Registry, plain
from dlx.spec.parse import write_value
from dlx.spec.validate import SECTIONS, annotation_kind, describe, options

Schema = dict[str, Any]
# Annotations that many parameters share: said once.
SHARED: dict[str, Any] = {
    "activation": types.Activation,
    "initializer": types.Initializer,
    "regularizer": types.Regularizer,
    "constraint": types.Constraint,
}
# What an example says where a parameter is required and its type alone says too little.
SAMPLES: dict[str, Any] = {
    "units": 64, "filters": 32, "kernel_size": 3, "pool_size": 2, "rate": 0.5, "num_heads": 4, "key_dim": 16,
    "head_dim": 16, "num_query_heads": 4, "num_key_value_heads": 2, "ff_dim": 64, "input_dim": 20000, "output_dim": 64,
    "target_shape": [8, 8, 1], "dims": [2, 1], "height": 32, "width": 32, "equation": "abc,cd->abd",
    "output_shape": [None, 64], "path": "data.csv", "text": "review", "label": "species", "target": "load",
    "window": 24, "degrees": 25, "at": [0.5, 0.75], "output_size": 4, "size": 96, "factor": 0.2, "times": 2,
    "height_factor": 0.1, "width_factor": 0.1, "stddev": 0.1, "scale": 0.5, "cell": {"lstm_cell": 32},
    "cells": [{"lstm_cell": 32}, {"lstm_cell": 16}], "activation": "relu", "name": "mobilenet_v2", "n": 4,
}  # fmt: skip
NESTED = {
    "bidirectional": {"lstm": 32},
    "time_distributed": {"dense": 8},
    "spectral_normalization": {"conv2d": {"filters": 32, "kernel_size": 3}},
    "parallel": [{"conv2d": {"filters": 16, "kernel_size": 1}}, "identity"],
    "image_folder": {"path": "photos", "image_size": 64},
    "npz": "arrays.npz",
}


def schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a spec."""
    definitions: Schema = {name: _shared(kind) for name, kind in SHARED.items()}
    for kind, registry in REGISTRIES.items():
        definitions[kind] = _registry(registry)
    properties: Schema = {
        "extends": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "set": {"type": "object", "description": "Addresses with values, as -s says them."},
    }
    properties["extends"]["description"] = "A spec beside this one that it builds on, or several; later ones win."
    for name, section in SECTIONS.items():
        properties[name] = {**_value(section.annotation), "description": HELP[name]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A dlx spec",
        "$comment": f"dlx {__version__}, {_made_with()}; made by dlx schema",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _made_with() -> str:
    """What the schema's form depends on."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("keras", "pydantic"))


def _shared(annotation: Any) -> Schema:
    found: Schema = TypeAdapter(annotation).json_schema()
    return found


def _registry(registry: Registry) -> Schema:
    """A part of the registry: its name alone, or a mapping of its name."""
    bare, held = [], {}
    for name in registry:
        parameters = registry.parameters(name)
        if not any(parameter.required for parameter in parameters.values()):
            bare.append(name)
        held[name] = {**_arguments(parameters), "description": registry.help(name).split("\n")[0]}
    mapping = {
        "type": "object", "properties": held, "additionalProperties": False, "minProperties": 1, "maxProperties": 1,
    }  # fmt: skip
    return {"anyOf": [{"enum": bare}, mapping]}


def _arguments(parameters: dict[str, Parameter]) -> Schema:
    """What may stand behind a part's name: parameters by name, or the value of the first."""
    properties = {name: _value(parameter.annotation) for name, parameter in parameters.items()}
    whole: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name, parameter in parameters.items() if parameter.required]
    if required:
        whole["required"] = required
    first = next(iter(parameters.values()), None)
    if first is None:
        return {"anyOf": [whole, {"type": "null"}]}
    choices = [whole, {"type": "null"}]
    if set(required) <= {first.name}:
        choices.insert(0, _value(first.annotation))
    return {"anyOf": choices}


def _value(annotation: Any) -> Schema:
    """The schema of a value under an annotation; null leaves it to its default."""
    for name, kind in SHARED.items():
        if annotation in (kind, kind | None):
            return {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}
    found = [_option(option) for option in options(annotation)]
    plain: list[Schema] = []
    for option in [*found, {"type": "null"}]:
        if option not in plain:
            plain.append(option)
    return {"anyOf": plain}


def _option(option: Any) -> Schema:
    kind = annotation_kind(option)
    if isinstance(kind, Parts):
        return {"$ref": f"#/$defs/{kind.kind}"}
    if isinstance(kind, list):
        return {"type": "array", "items": {"$ref": f"#/$defs/{kind[0].kind}"}}
    if dataclasses.is_dataclass(option):
        hints = typing.get_type_hints(option, include_extras=True)
        names = [entry.name for entry in dataclasses.fields(option)]
        fields = {name.rstrip("_"): _value(hints[name]) for name in names}
        return {
            "anyOf": [_value(hints[names[0]]), {"type": "object", "properties": fields, "additionalProperties": False}]
        }
    if option is FilePath:
        return {"type": "string"}
    if option == list[FilePath]:
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    if option is type(None):
        return {"type": "null"}
    found: Schema = TypeAdapter(option).json_schema()
    return found


def as_text() -> str:
    """The schema as JSON, a line for each key and each part."""
    whole = schema()
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    for key in (*whole, *whole["properties"], *whole["$defs"], *(name for r in REGISTRIES.values() for name in r)):
        text = text.replace(f',"{key}":{{', f',\n"{key}":{{')
    return text + "\n"


def print_schema() -> None:
    """The schema as JSON on standard output."""
    print(as_text(), end="")


# The reference page

HELP = {
    "dataset": "What is learned from: a dataset, by its name and arguments.",
    "layers": "The network, a list of layers from the input to the output.",
    "name": "What the run is called; the file's name without its suffix.",
    "description": "A sentence or two on what the experiment is for; the plan shows it.",
    "task": "What is predicted. `auto` follows the data, and asks where a guess could be wrong.",
    "test": "The split that is looked at once, at the end: the dataset's own, a share cut off first, or none.",
    "validation": "The split that chooses the best epoch: a share of train, the test split (as tutorials do), or none.",
    "preprocess": "What happens to every input, inside the model; fitted on the train split alone.",
    "augment": "Random changes of the training images, in their raw range, before preprocessing.",
    "optimizer": "How the weights follow the gradient.",
    "lr": "The learning rate, always a number: the peak, where there is a schedule. Keras's default of the optimizer.",
    "schedule": "How the rate changes; lengths are shares of the training.",
    "loss": "What is minimized. `auto` follows the task and the head.",
    "metrics": "What is counted besides. `auto`: accuracy for classes, mae for values, exact_match for labels too.",
    "regularization": "A penalty on every kernel and embedding but those of `except`; a layer's own wins.",
    "class_weight": "What an example of each class counts in training: `balanced`, or a number a class.",
    "weights": "A run (its directory, or RUN in the runs folder) whose weights this one begins from, layer by layer.",
    "batch_size": "Examples a step; `full` for all of them.",
    "epochs": "Passes over the train split; 10 where neither this nor steps is said.",
    "steps": "Batches, in place of epochs.",
    "monitor": "The figure that chooses the best weights: val_loss; without validation train_loss.",
    "early_stop": "Stops after so many epochs without a better monitored figure.",
    "precision": "What the layers compute in; weights and losses stay float32.",
    "seed": "Weights, order, dropout and augmentation follow from it; splits do not, so that repeats share them.",
    "plots": "Draws the run's pictures into TensorBoard.",
    "strict": "Refuses data in which train lacks a class, or shares examples with validation or test; else they count.",
    "tags": "Words to find the run by.",
    "imports": "Python files with parts of your own; they run only with --allow-code, and are copied into the run.",
    "sweep": "Alternatives by address, for `dlx sweep`.",
}


def reference() -> str:
    """docs/spec.md: every key and every part, with an example of each."""
    version = ".".join(metadata.version("keras").split(".")[:2])
    text = [
        "# The spec",
        f"Made from the signatures by `dlx schema --markdown`, with the layers and optimizers of Keras {version}. "
        "A part is written as its name, as `name: value` (its first parameter), or as `name: {parameter: value}`. "
        "`dlx parts NAME` says the same in the shell; `# yaml-language-server: $schema=spec.schema.json` as a spec's "
        "first line makes an editor that knows YAML schemas complete and check it.",
        "## Keys",
        "| key | value | default |\n|---|---|---|\n"
        + "\n".join(_key(name, section) for name, section in SECTIONS.items()),
        "\n".join(f"- `{name}`: {HELP[name]}" for name in SECTIONS),
        "`extends: base.yaml` builds on another file (or several), `set: {layers.dropout.rate: 0.3}` changes what came "
        "from there by address.",
    ]
    shared = [f"- {name}: {describe(kind)}" for name, kind in SHARED.items()]
    text += ["## Values", "What many parameters take:", "\n".join(shared)]
    for kind, registry in REGISTRIES.items():
        text.append(f"## {registry.kind.capitalize()}{'es' if registry.kind.endswith('s') else 's'}")
        for name in registry:
            text += _part(kind, registry, name)
    return "\n\n".join(text) + "\n"


def _key(name: str, section: Parameter) -> str:
    default = section.default
    shown = (
        "required"
        if section.required
        else ""
        if default in (None, [], {}, "", 0.0)
        else f"`{write_value(plain(default))}`"
    )
    return f"| `{name}` | {_words(section.annotation)} | {shown} |"


def _words(annotation: Any) -> str:
    """What a value must be; what many parameters share is said once, under Values."""
    for name, kind in SHARED.items():
        if annotation in (kind, kind | None):
            return f"{'an' if name[0] in 'ai' else 'a'} {name}"
    return describe(annotation).replace("|", "\\|")


def _part(kind: str, registry: Registry, name: str) -> list[str]:
    paragraphs = [" ".join(paragraph.split()) for paragraph in registry.help(name).split("\n\n")]
    said = example(registry, name)
    shown = said if isinstance(said, str) else f"{name}: {write_value(said[name])}"
    found = [f"### {name}", *paragraphs, f"```yaml\n{shown}\n```"]
    rows = [
        f"| `{parameter.name}` | {_words(parameter.annotation)} | {_default(parameter)} |"
        for parameter in registry.parameters(name).values()
        if parameter.name != "name" or kind != "layer" or parameter.required
    ]
    if rows:
        found.append("| parameter | value | default |\n|---|---|---|\n" + "\n".join(rows))
    return found


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default is None else f"`{write_value(plain(parameter.default))}`"


def example(registry: Registry, name: str) -> Any:
    """A part as a spec might write it: what it requires, and no more."""
    if name in NESTED:
        return {name: NESTED[name]}
    required = [parameter for parameter in registry.parameters(name).values() if parameter.required]
    if not required:
        return name
    values = {parameter.name: _sample(parameter) for parameter in required}
    first = next(iter(registry.parameters(name)))
    return {name: values[first]} if list(values) == [first] and not isinstance(values[first], dict) else {name: values}


def _sample(parameter: Parameter) -> Any:
    kind = annotation_kind(parameter.annotation)
    if isinstance(kind, list):
        return SAMPLES.get(parameter.name, [{"dense": 32}, "relu"])
    return SAMPLES.get(parameter.name, 4)
