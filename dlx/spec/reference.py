"""The reference page of a spec, docs/spec.md, from the signatures."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from dlx.parts import REGISTRIES
from dlx.parts.registry import Parameter, Registry, plain
from dlx.spec.annotations import SECTIONS, annotation_kind
from dlx.spec.describe import describe
from dlx.spec.json_schema import KEY_HELP, SHARED
from dlx.spec.parse import write_value

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


def reference() -> str:
    """docs/spec.md: every key and every part, with an example of each."""
    version = ".".join(metadata.version("keras").split(".")[:2])
    text = [
        "# Keys and parts",
        f"Made from the signatures by `dlx schema --markdown`, with the layers and optimizers of Keras {version}. "
        "A part is written as its name, as `name: value` (its first parameter), or as `name: {parameter: value}`. "
        "`dlx parts NAME` says the same in the shell; `# yaml-language-server: $schema=spec.schema.json` as a spec's "
        "first line makes an editor that knows YAML schemas complete and check it.",
        "## Keys",
        "| key | value | default |\n|---|---|---|\n"
        + "\n".join(_key(name, section) for name, section in SECTIONS.items()),
        "\n".join(f"- `{name}`: {KEY_HELP[name]}" for name in SECTIONS),
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
    """What a value must be; what many parameters share is explained once, under Values."""
    for name, kind in SHARED.items():
        if annotation in (kind, kind | None):
            return f"{'an' if name[0] in 'ai' else 'a'} {name}"
    return describe(annotation).replace("|", "\\|")


def _part(kind: str, registry: Registry, name: str) -> list[str]:
    paragraphs = [" ".join(paragraph.split()) for paragraph in registry.help(name).split("\n\n")]
    written = example(registry, name)
    shown = written if isinstance(written, str) else f"{name}: {write_value(written[name])}"
    blocks = [f"### {name}", *paragraphs, f"```yaml\n{shown}\n```"]
    rows = [
        f"| `{parameter.name}` | {_words(parameter.annotation)} | {_default(parameter)} |"
        for parameter in registry.parameters(name).values()
        if parameter.name != "name" or kind != "layer" or parameter.required
    ]
    if rows:
        blocks.append("| parameter | value | default |\n|---|---|---|\n" + "\n".join(rows))
    return blocks


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
