"""What programs read: each line that --json prints, and the JSON of a run, fits docs/outputs.schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Dlx
from jsonschema import Draft202012Validator

SCHEMA = json.loads((ROOT / "docs" / "outputs.schema.json").read_text())
TABLE = "id,a,b,label\n" + "".join(f"{n},{n % 7},{n % 5 / 3},{'yes' if n % 7 > 3 else 'no'}\n" for n in range(60))
SPEC = "dataset: {csv: {path: t.csv, label: label, id: id}}\ntest: 0.2\nlayers: [{dense: 4}, output]\nepochs: 2\n"


def fits(name: str, value: Any) -> None:
    """Hold a value to the definition of a name; what nobody described is no part of it yet, but no error."""
    Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}).validate(value)


@pytest.fixture
def table(world: Path) -> Path:
    (world / "t.csv").write_text(TABLE)
    (world / "s.yaml").write_text(SPEC)
    return world


def test_every_line_of_json_fits_its_schema(dlx: Dlx, table: Path) -> None:
    said = {
        "run": dlx("run", "s.yaml", "--json"),
        "failed": dlx("run", "s.yaml", "-s", "lr=1e30", "-s", "optimizer=sgd", "--json"),
        "sweep": dlx("sweep", "s.yaml", "-s", "lr=0.1,0.2", "--json"),
        "resume": dlx("resume", "s-1", "-s", "epochs=3", "--json"),
        "baseline": dlx("baseline", "s.yaml", "--json"),
        "check": dlx("check", "s.yaml", "none.yaml", "--json"),
        "list": dlx("list", "--json", "--size"),
        "compare": dlx("compare", "s-*", "--json"),
        "show": dlx("show", "s-1", "--json"),
        "predict": dlx("predict", "s-1", "t.csv", "--json"),
        "evaluate": dlx("evaluate", "s-1", "--json"),
        "reproduce": dlx("reproduce", "s-1", "--json"),
        "plot": dlx("plot", "s-1", "--only", "curves,layers", "--json"),
        "parts": dlx("parts", "--json"),
        "rules": dlx("parts", "--advice", "--json"),
        "data list": dlx("data", "list", "--json"),
    }
    kinds = {**dict.fromkeys(("run", "failed", "sweep", "resume", "baseline"), "ended"), "rules": "parts"}
    counts = {"sweep": 2, "baseline": 4, "check": 2, "predict": 60, "plot": 2, "data list": 4}
    for command, result in said.items():
        lines = result.lines  # each line is a value, and nothing else is there
        if command in ("parts", "rules"):
            assert len(lines) > 20
        else:
            assert len(lines) == counts.get(command, 1), command
        for line in lines:
            fits(kinds.get(command, command), line)
    (line,) = dlx("parts", "conv2d", "--json").lines
    assert {parameter["name"]: parameter["default"] for parameter in line["parameters"]}["padding"] == "valid"
    for path in (table / "runs").glob("s-*"):
        fits("run.json", json.loads((path / "run.json").read_text()))
    fits("metrics.json", json.loads((table / "runs" / "s-1" / "metrics.json").read_text()))


def test_doctor_says_one_object(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlx.commands import doctor

    monkeypatch.setattr(doctor, "SECONDS", 0.5)
    (line,) = dlx("doctor", "--json").lines
    fits("doctor", line)
    assert set(line["training"]) <= {"compiled", "trained", "learned", "failed"}
    assert type(line["healthy"]) is bool


def test_published_runs_fit_too() -> None:
    kept = list((ROOT / "tests" / "runs").rglob("run.json"))
    published = list((ROOT / "runs" / "tutorials").glob("*/run.json"))
    assert len(kept) > 2
    for path in [*kept, *published]:
        fits("run.json", json.loads(path.read_text()))


def test_the_schema_is_one_and_can_fail() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for name in SCHEMA["$defs"]:
        if "required" in SCHEMA["$defs"][name]:
            with pytest.raises(Exception, match="is a required property"):
                fits(name, {})
