"""The JSON Schema of a spec, for editors, from the signatures."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from importlib import metadata
from typing import Any

from pydantic import TypeAdapter

from dlx import __version__
from dlx.parts import REGISTRIES, types
from dlx.parts.registry import FilePath, Parameter, Parts, Registry, plain
from dlx.spec.annotations import SECTIONS, annotation_kind, options
from dlx.spec.describe import describe

Schema = dict[str, Any]
# Annotations that many parameters share: explained once.
SET: Schema = {"not": {"type": "null"}}  # what is null is left to its default
SHARED: dict[str, Any] = {
    "activation": types.Activation,
    "initializer": types.Initializer,
    "regularizer": types.Regularizer,
    "constraint": types.Constraint,
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
        properties[name] = {**_value(section.annotation), "description": KEY_HELP[name]}
    properties, closed = _with_own_parts(properties)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A dlx spec",
        "$comment": f"dlx {__version__}, {_made_with()}; made by dlx schema",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "anyOf": [{"required": ["dataset"]}, {"required": ["extends"]}],
        "allOf": [closed, {"not": {"required": ["epochs", "steps"], "properties": {"epochs": SET, "steps": SET}}}],
        "$defs": definitions,
    }


def _with_own_parts(properties: Schema) -> tuple[Schema, Schema]:
    """(the keys, and what else holds of a spec: without `imports` its parts are those that dlx has)"""
    named = {name for name, section in SECTIONS.items() if _names_parts(section.annotation)}
    words = {name: {"description": properties[name]["description"]} for name in named}
    strict = {"properties": {name: value for name, value in properties.items() if name in named}}
    loose = {name: words.get(name, value) for name, value in properties.items()}
    return loose, {"if": {"required": ["imports"]}, "then": True, "else": strict}


def _names_parts(annotation: Any) -> bool:
    kinds = [annotation_kind(option) for option in options(annotation)]
    return any(isinstance(kind[0] if isinstance(kind, list) else kind, Parts) for kind in kinds)


def _made_with() -> str:
    """What the schema's form depends on."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("keras", "pydantic"))


def _shared(annotation: Any) -> Schema:
    schema: Schema = TypeAdapter(annotation).json_schema()
    return schema


def _registry(registry: Registry) -> Schema:
    """A part of the registry: its name alone, or a mapping of its name."""
    bare, named = [], {}
    for name in registry:
        parameters = registry.parameters(name)
        if not any(parameter.required for parameter in parameters.values()):
            bare.append(name)
        named[name] = {**_arguments(parameters, registry.help(name)), "description": registry.help(name).split("\n")[0]}
    mapping = {
        "type": "object", "properties": named, "additionalProperties": False, "minProperties": 1, "maxProperties": 1,
    }  # fmt: skip
    return {"if": {"type": "object"}, "then": mapping, "else": {"enum": bare}}


def _arguments(parameters: dict[str, Parameter], words: str) -> Schema:
    """What may stand behind a part's name: parameters by name, or the value of the first; words: the part's help."""
    properties = {name: _parameter(parameter, words) for name, parameter in parameters.items()}
    whole: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name, parameter in parameters.items() if parameter.required]
    if required:
        whole["required"] = required
    first = next(iter(parameters.values()), None)
    if first is None:
        return {"anyOf": [whole, {"type": "null"}]}
    choices: list[Schema] = [{"type": "null"}]
    if set(required) <= {first.name}:
        choices.insert(0, _value(first.annotation))
    if _may_be_mapping(first.annotation):  # which of the two a mapping is, its keys say
        return {"anyOf": [whole, *choices]}
    return {"if": {"type": "object"}, "then": whole, "else": {"anyOf": choices}}


def _may_be_mapping(annotation: Any) -> bool:
    """Whether a value may be written as a mapping."""
    return annotation is Any or '"object"' in json.dumps(_value(annotation)) or "$ref" in json.dumps(_value(annotation))


def _parameter(parameter: Parameter, words: str) -> Schema:
    """The schema of a parameter: what the help of its part says of it, what it must be, its default."""
    text = " ".join(words.split())
    said = [sentence for sentence in re.split(r"(?<=[.;])\s+", text) if f"`{parameter.name}`" in sentence]
    must = describe(parameter.annotation)
    must = must if len(must) < 200 else f"{must[:150].rsplit(', ', 1)[0]}, …"
    entry = _value(parameter.annotation)
    if parameter.required:
        return {**entry, "description": " ".join([*said, f"{must}; required"])}
    default = plain(parameter.default)
    return {**entry, "description": " ".join([*said, f"{must}; default {json.dumps(default)}"]), "default": default}


def _value(annotation: Any) -> Schema:
    """The schema of a value under an annotation; null leaves it to its default."""
    for name, kind in SHARED.items():
        if annotation in (kind, kind | None):
            return {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}
    schemas = [_option(option) for option in options(annotation)]
    found: list[Schema] = []
    for option in [*schemas, {"type": "null"}]:
        if option not in found:
            found.append(option)
    if len(found) == 2 and ("$ref" in found[0] or "items" in found[0]):  # so that what is wrong within it is said
        return {"if": {"type": "null"}, "then": True, "else": found[0]}
    return {"anyOf": found}


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
    schema: Schema = TypeAdapter(option).json_schema()
    return schema


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

KEY_HELP = {
    "dataset": "What is learned from: a dataset, by its name and arguments.",
    "layers": "The network, a list of layers from the input to the output.",
    "name": "What the run is called; the file's name without its suffix.",
    "description": "A sentence or two on what the experiment is for; the plan shows it.",
    "task": "What is predicted. `auto` follows the data, and asks where a guess could be wrong.",
    "test": "The split that is used once, for the final figures: the dataset's own, a share cut off first, or none.",
    "validation": "What chooses the best epoch: a share of train, `fold 1 of 5`, the test split, or none.",
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
    "epochs": "Passes over the train split; 10 where neither this nor steps is set; 0 for no training.",
    "steps": "Batches, in place of epochs.",
    "monitor": "The figure that chooses the best weights: val_loss; without validation train_loss.",
    "keep": "The weights that the run keeps, and its final figures: of the best epoch by `monitor`, or of the last.",
    "early_stop": "Stops after so many epochs without a better monitored figure.",
    "stop_at": "Stops after the first epoch whose figures are all this good, as `{train_loss: 0.01}`.",
    "log_every": "Steps from one row of train figures to the next, in steps.jsonl and in TensorBoard.",
    "snapshots": "Epochs after which the weights are kept for pictures; 0 is before the training.",
    "histograms": "Epochs from one histogram of the weights in TensorBoard to the next.",
    "precision": "What the layers compute in; weights and losses stay float32.",
    "seed": "Weights, order, dropout and augmentation follow from it; splits do not, so that repeats share them.",
    "split_seed": "Which examples a share cuts off for test and validation follows from it.",
    "plots": "Draws the run's pictures into TensorBoard.",
    "strict": "Refuses data in which train lacks a class, or shares examples with validation or test; else they count.",
    "tags": "Words to find the run by.",
    "imports": "Python files with parts of your own; they run only with --allow-code, and are copied into the run.",
    "sweep": "What `dlx sweep` varies, by address: a list of alternatives, or a range such as `log 1e-5..1e-1`.",
    "search": "How `dlx sweep` searches: which trial comes next, how many, by which figures. Default: grid.",
}
