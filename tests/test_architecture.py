"""The house as dlx/README.md draws it, held true: rooms, floors, the order within a room, and what a command loads."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import GATE, ROOT, modules_after

PACKAGE = ROOT / "dlx"
# From the ground: a room imports only rooms below it, and none beside it. A room that is not there yet has its floor.
FLOORS = (
    ("errors",),
    ("system",),
    ("data", "runs"),
    ("parts",),
    ("spec",),
    ("model",),
    ("engine",),
    ("inference",),
    ("export",),
    ("plots",),
    ("training",),
    ("insight",),
    ("search",),
    ("api",),
    ("commands",),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {"matplotlib", "keras", "tensorflow", "jax", "torch", "numpy", "pydantic", "sklearn", "PIL"}
# Who imports Keras or a backend by itself; all others take Keras from system.backend, where it is loaded on first touch.
BACKENDS = {
    "system/backend.py": {"keras", "tensorflow", "jax"},
    "system/pooling.py": {"jax"},
    "system/hosts.py": {"jax"},
    "engine/tensorflow.py": {"tensorflow"},
    "engine/tensorflow_loop.py": {"tensorflow"},
    "engine/xla.py": {"tensorflow"},
    "export/tf_function.py": {"tensorflow"},
    "export/litert.py": {"tensorflow"},
    "export/saved_model.py": {"tensorflow"},
    "engine/jax.py": {"jax"},
    "engine/jax_loop.py": {"jax"},
    "engine/jax_lanes.py": {"jax"},
    "engine/jax_devices.py": {"jax"},
}
# At module level a command imports no more than these, so that --help loads none of the work.
FOR_COMMANDS = {"click", "dlx.commands", "dlx.commands.completion", "dlx.commands.options"}
MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 400, 50, 6


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of dlx by its dotted name; the package itself hands names on, and is not a room."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        words = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(words[:-1] if words[-1] == "__init__" else words)] = path
    return {name: path for name, path in found.items() if name not in ("dlx", "dlx.__main__")}


def room(module: str) -> str:
    return module.split(".")[1]


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a tree imports, anywhere in it; of `from dlx.x import y` the module y, where y is one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else node.module


@functools.cache
def imports(module: str) -> frozenset[str]:
    """The modules of dlx that a module imports."""
    tree = ast.parse(modules()[module].read_text())
    return frozenset(name for name in imported(tree) if name in modules() and name != module)


def picture() -> str:
    """The floors from the top, with what each room imports: what a failure shows."""
    lines = []
    for number in range(len(FLOORS) - 1, -1, -1):
        for name in FLOORS[number]:
            below = {room(other) for module in modules() if room(module) == name for other in imports(module)} - {name}
            if any(room(module) == name for module in modules()):
                lines.append(f"{number:3} {name:10} -> {', '.join(sorted(below, key=FLOOR.__getitem__))}")
    return "\n" + "\n".join(lines)


def test_every_room_has_a_floor() -> None:
    assert {room(module) for module in modules()} <= set(FLOOR), picture()


def test_imports_go_down_to_other_rooms() -> None:
    broken = [
        f"{module} (floor {FLOOR[room(module)]}) imports {other} (floor {FLOOR[room(other)]})"
        for module in modules()
        for other in imports(module)
        if room(module) != room(other) and FLOOR[room(other)] >= FLOOR[room(module)]
    ]
    assert not broken, "\n".join(broken) + picture()


def test_there_is_an_order_within_each_room() -> None:
    """No circle of imports: every module can be read before those that use it."""
    order: dict[str, int] = {}

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"a circle: {' -> '.join((*way[way.index(module) :], module))}{picture()}"
        if module in order:
            return
        for other in sorted(imports(module)):
            visit(other, (*way, module))
        order[module] = len(order)

    for module in modules():
        visit(module, ())
    assert set(order) == set(modules())


def test_the_house_test_sees_what_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the tests above fails where it should."""
    real = imports
    for module, other, test in (
        ("dlx.system.files", "dlx.runs.run", test_imports_go_down_to_other_rooms),
        ("dlx.runs.run", "dlx.data.dataset", test_imports_go_down_to_other_rooms),
        ("dlx.runs.run", "dlx.runs.find", test_there_is_an_order_within_each_room),
    ):
        assert module in modules()
        assert other in modules()
        broken = functools.partial(
            lambda name, bad, more: real(name) | ({more} if name == bad else set()), bad=module, more=other
        )
        monkeypatch.setitem(globals(), "imports", broken)
        with pytest.raises(AssertionError, match=re.escape(other)):
            test()


def test_keras_and_the_backends_are_imported_in_few_places() -> None:
    for path in modules().values():
        heavy = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))} & {"keras", "tensorflow", "jax"}
        assert heavy <= BACKENDS.get(path.relative_to(PACKAGE).as_posix(), set()), path


def commands() -> list[str]:
    from dlx.commands import COMMANDS

    return [f"dlx.commands.{name}" for name in COMMANDS]


@pytest.mark.parametrize("module", ["dlx.commands.options", "dlx.commands.completion", *commands()])
def test_a_command_imports_click_and_the_standard_library_alone(module: str) -> None:
    import sys

    tree = ast.parse(modules()[module].read_text())
    loaded = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = set(imported(ast.Module(body=loaded, type_ignores=[])))
    assert not {name for name in names if name.split(".")[0] not in sys.stdlib_module_names} - FOR_COMMANDS


# Sizes


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{module}.{node.name}", node


def its_signature_is_a_schema(node: ast.FunctionDef) -> bool:
    """A click command, whose parameters are its options, or a registered part, whose parameters are its settings."""
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.startswith(("click.command", "command.command", "registry.register")) for name in names)


def test_no_module_is_long() -> None:
    long = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert not {name: lines for name, lines in long.items() if lines > MOST_LINES}


def test_no_function_is_long_or_has_many_parameters() -> None:
    broken = []
    for name, node in functions():
        if its_signature_is_a_schema(node):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([a for a in arguments if a.arg not in ("self", "cls")])
        lines = (node.end_lineno or 0) - node.lineno + 1
        if count > MOST_PARAMETERS or lines > MOST_FUNCTION_LINES:
            broken.append(f"{name}: {count} parameters, {lines} lines")
    assert not broken, "\n".join(broken)


# What a command loads


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


def test_a_checked_model_answers_without_keras(world: Path) -> None:
    (world / "g.yaml").write_text(GATE.replace("epochs: 50", "epochs: 2"))
    (world / "x.csv").write_text("0,1\n")
    for words in (["run", "g.yaml"], ["predict", "latest", "x.csv"]):  # Keras answers, and leaves model.onnx
        assert "keras" in modules_after(_call(words))
    assert (world / "runs/g-1/model.onnx").is_file()
    loaded = modules_after(_call(["predict", "latest", "x.csv"]))
    assert "onnxruntime" in loaded
    assert not loaded & {"keras", "tensorflow", "jax", "matplotlib", "sklearn", "tf2onnx", "onnx"}


def test_importing_dlx_loads_nothing_heavy() -> None:
    assert not modules_after("import dlx; dlx.run, dlx.load, dlx.compare, dlx.predict") & HEAVY


def test_what_dlx_offers_is_there() -> None:
    import dlx

    for name in dlx.__all__:
        assert isinstance(getattr(dlx, name), str) or inspect.getdoc(getattr(dlx, name)), name
    with pytest.raises(AttributeError, match="nothing"):
        dlx.nothing  # noqa: B018


def _call(words: list[str]) -> str:
    return f"from dlx.cli import main\ntry: main({words!r})\nexcept SystemExit: pass"


def test_the_map_names_every_module_and_no_other() -> None:
    text = (PACKAGE / "README.md").read_text()
    words = re.findall(r"`([^`\n]+)`", text)
    paths = [word for word in words if re.fullmatch(r"\w+/[\w/]+\.py", word) and "NAME" not in word]
    assert len(paths) > 30
    assert [path for path in paths if not (PACKAGE / path).exists() and not (ROOT / path).exists()] == []
    named = {name for word in words for name in re.findall(r"\w+", word)} | {"api", "errors"}
    inner = ("dlx.commands.", "dlx.spec.starter.")  # a command is called by its name; see the room
    assert [name for name in modules() if not name.startswith(inner) and name.split(".")[-1] not in named] == []
