"""The picture in dlx/README.md, held true: who imports whom, and what a command loads."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT, modules_after

PACKAGE = ROOT / "dlx"
FLOORS = (
    {"errors"},
    {"system"},
    {"data", "runs"},
    {"parts"},
    {"spec"},
    {"model"},
    {"engine"},
    {"inference"},
    {"export"},
    {"plots"},
    {"training"},
    {"insight"},
    {"search"},
    {"api"},
    {"commands"},
    {"cli"},
)
LEVEL = {module: number for number, modules in enumerate(FLOORS) for module in modules}
HEAVY = {"matplotlib", "keras", "tensorflow", "jax", "torch", "numpy", "pydantic", "sklearn", "PIL"}


def home(path: Path) -> str:
    """The module or package below dlx that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "dlx":
            found |= {f"dlx.{alias.name}" for alias in node.names if not alias.name.startswith("__")}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def files() -> list[Path]:
    top = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path not in top]


def test_every_module_has_a_level() -> None:
    assert {home(path) for path in files()} <= set(LEVEL)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_strictly_down(path: Path) -> None:
    own = home(path)
    for name in imports(path):
        if name.split(".")[0] != "dlx" or name == "dlx":
            continue
        other = name.split(".")[1]
        assert other == own or LEVEL[other] < LEVEL[own], f"{own} imports {other}"


def test_keras_and_tensorflow_are_imported_in_two_places() -> None:
    for path in files():
        heavy = {name.split(".")[0] for name in imports(path)} & {"keras", "tensorflow"}
        if path.relative_to(PACKAGE).as_posix() not in ("system/backend.py", "engine/tensorflow.py"):
            assert not heavy, path


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["predict", "--help"], ["data", "--help"], ["list"], ["parts", "--help"]]
)
def test_help_and_list_load_nothing_heavy(words: list[str]) -> None:
    assert not modules_after(_call(words)) & HEAVY


def test_compare_and_show_load_nothing_heavy() -> None:
    old = str(ROOT / "tests" / "runs" / "format-1")
    for words in (["compare", old], ["compare", old, "--json"], ["show", old]):
        assert not modules_after(_call(words)) & HEAVY


def test_a_broken_spec_loads_no_keras(world: Path) -> None:
    (world / "x.yaml").write_text("dataset: digits\nlayers: [{dense: {unit: 3}}, {conv: 2}]\nlr: no\n")
    loaded = modules_after(_call(["run", "x.yaml"]))
    assert "pydantic" in loaded
    assert not loaded & {"keras", "tensorflow", "sklearn"}


def test_importing_dlx_loads_nothing_heavy() -> None:
    assert not modules_after("import dlx; dlx.run, dlx.load, dlx.compare, dlx.predict") & HEAVY


def _call(words: list[str]) -> str:
    return f"from dlx.cli import main\ntry: main({words!r})\nexcept SystemExit: pass"
