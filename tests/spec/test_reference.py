"""The JSON Schema and the reference page: made from the signatures, and held to them."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import CONFIGS, ROOT, Dlx, modules_after

from dlx import spec as specs
from dlx.errors import DlxError, SpecError
from dlx.parts import REGISTRIES
from dlx.spec import reference
from dlx.spec.annotations import SECTIONS
from dlx.spec.json_schema import as_text, schema
from dlx.spec.parse import read_text, write_value

PAGE = (ROOT / "docs" / "spec.md").read_text()
EXAMPLES = re.findall(r"^### (\S+)\n.*?```yaml\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL)
BASE = {"dataset": "digits", "layers": ["flatten", "output"]}


def test_the_files_are_what_the_signatures_say() -> None:
    again = "make them again: dlx schema > configs/spec.schema.json; dlx schema --markdown > docs/spec.md"
    kept = (CONFIGS / "spec.schema.json").read_text()
    if (
        json.loads(kept)["$comment"] == schema()["$comment"]
    ):  # another Keras has other signatures, another pydantic other forms
        assert kept == as_text(), again
        assert reference.reference() == PAGE, again


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((CONFIGS / "spec.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_specs_name_the_schema_and_fit_it(validator: jsonschema.Draft202012Validator, path: Path) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=spec.schema.json\n")
    errors = [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))]
    assert errors == []


@pytest.mark.parametrize(
    "broken",
    [
        {"layer": []},
        {"layers": ["flaten"]},
        {"layers": [{"dense": {"unit": 3}}]},
        {"layers": [{"dense": {"units": 0}}]},
        {"layers": [{"dense": 3, "flatten": None}]},
        {"layers": [{"conv2d": 3}]},
        {"lr": "fast"},
        {"validation": 1.5},
        {"regularization": {"l3": 1}},
        {"early_stop": {"patience": 0}},
        {"dataset": "digit"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_reader_refuses(
    validator: jsonschema.Draft202012Validator, world: Path, broken: dict[str, object]
) -> None:
    whole = {**BASE, **broken}
    assert list(validator.iter_errors(whole))
    (world / "x.yaml").write_text(json.dumps(whole))
    with pytest.raises(SpecError):
        specs.load(world / "x.yaml")


def test_every_key_and_every_part_is_on_the_page() -> None:
    for name in SECTIONS:
        assert f"\n| `{name}` |" in PAGE
        assert f"\n- `{name}`: " in PAGE
    assert {name for name, _ in EXAMPLES} >= {name for registry in REGISTRIES.values() for name in registry}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, registry in REGISTRIES.items() for name in registry])
def test_the_example_of_a_part_is_a_valid_spec(
    validator: jsonschema.Draft202012Validator, world: Path, kind: str, name: str
) -> None:
    said = reference.example(REGISTRIES[kind], name)
    shown = f"{name}: {write_value(said[name])}" if isinstance(said, dict) else name
    assert (name, shown) in EXAMPLES
    section = {"layer": "layers", "metric": "metrics"}.get(kind, kind)
    value = [said, "output"] if kind == "layer" and name != "output" else [said]
    whole = {**BASE, section: value if kind in ("layer", "metric", "augment", "preprocess") else said}
    if kind == "pruner":
        whole = {**BASE, "search": {"random": {"prune": said}}}
    assert [error.message for error in validator.iter_errors(whole)] == []
    (world / "x.yaml").write_text("\n".join(f"{key}: {write_value(part)}" for key, part in whole.items()) + "\n")
    assert specs.load(world / "x.yaml").name == "x"


def test_the_command_prints_json_and_loads_no_keras(dlx: Dlx) -> None:
    assert json.loads(dlx("schema").out)["title"] == "A dlx spec"
    assert dlx("schema", "--markdown").out.startswith("# Keys and parts\n")
    loaded = modules_after("from dlx.cli import main\ntry: main(['schema'])\nexcept SystemExit: pass")
    assert not loaded & {"keras", "tensorflow"}


def everything(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(name, text) of every spec of the tests, good and broken."""
    for room in ("spec", "parts", "commands"):
        monkeypatch.syspath_prepend(ROOT / "tests" / room)
    return list(importlib.import_module("test_check").texts())


def test_no_spec_that_check_accepts_fails_the_schema(
    validator: jsonschema.Draft202012Validator, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = refused = seen = 0
    for name, text in everything(monkeypatch):
        (world / f"{name}.yaml").write_text(text)
        try:
            specs.load(world / f"{name}.yaml")
        except DlxError:
            node = None
            with contextlib.suppress(DlxError):
                node = read_text(text, name, world)
            refused += 1
            seen += node is not None and not validator.is_valid(node.plain())
            continue
        plain = read_text(text, name, world)
        assert plain is not None
        problems = [error.message for error in validator.iter_errors(plain.plain())]
        assert problems == [], f"{name}\n{text}"
        accepted += 1
    assert accepted > 300
    assert seen / refused > 0.5, f"{seen} of {refused}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layers: [output]", "is not valid under any of the given schemas"),
        ("dataset: digits\nlayers: [output]\nepochs: 1\nsteps: 2", "should not be valid under"),
        ("dataset: digits\nlayers: [{dense: {unit: 4}}, output]", "'unit' was unexpected"),
        ("dataset: digits\nlayers: [{dense: x}, output]", "'x' is not"),
        ("dataset: digits\nlayers: [dens, output]", "'dens' is not one of"),
        ("dataset: digits\nlayers: [output]\nlearning_rate: 1", "'learning_rate' was unexpected"),
    ],
)
def test_the_schema_says_what_is_wrong(validator: jsonschema.Draft202012Validator, text: str, said: str) -> None:
    node = read_text(text, "x", Path())
    assert node is not None
    errors = [jsonschema.exceptions.best_match([error]).message for error in validator.iter_errors(node.plain())]
    assert any(said in error for error in errors), errors


def test_parts_of_ones_own_fit_where_there_are_imports(validator: jsonschema.Draft202012Validator) -> None:
    mine = {"imports": ["mine.py"], "dataset": {"ours": 1}, "layers": [{"doubled": 3}, "output"], "lr": 0.1}
    assert validator.is_valid(mine)
    assert not validator.is_valid({**mine, "imports": 1})
    assert not validator.is_valid({**mine, "lr": "x"})
    assert not validator.is_valid({key: value for key, value in mine.items() if key != "imports"})


def test_every_parameter_is_described_with_its_default() -> None:
    whole, described = schema(), 0
    for kind, registry in REGISTRIES.items():
        for name in registry:
            part = whole["$defs"][kind]["then"]["properties"][name]
            entries = next(one for one in (part.get("then"), *part.get("anyOf", [])) if one and "properties" in one)
            for parameter in registry.parameters(name).values():
                entry = entries["properties"][parameter.name]
                assert entry["description"], (name, parameter.name)
                assert ("default" in entry) is not parameter.required, (name, parameter.name)
                described += 1
    assert described > 1000
