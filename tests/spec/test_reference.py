"""The JSON Schema and the reference page: made from the signatures, and held to them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import CONFIGS, ROOT, Dlx, modules_after

from dlx import spec as specs
from dlx.errors import SpecError
from dlx.parts import REGISTRIES
from dlx.spec import reference
from dlx.spec.annotations import SECTIONS
from dlx.spec.json_schema import as_text, schema
from dlx.spec.parse import write_value

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
