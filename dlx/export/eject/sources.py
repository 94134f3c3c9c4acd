"""dlx's own functions as a script may hold them: their source, and that of what they call, without annotations."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any


def of(functions: Sequence[Callable[..., Any]]) -> list[str]:
    """The sources of functions, those of the same module that they need before them."""
    found: dict[str, str] = {}
    for function in functions:
        _collect(function.__name__, sys.modules[function.__module__], found)
    return list(found.values())


def _collect(name: str, module: Any, found: dict[str, str]) -> None:
    text, tree = _sources(module)
    node = next((node for node in tree.body if name in _defines(node)), None)
    if node is None or name in found or isinstance(node, (ast.Import, ast.ImportFrom, ast.ClassDef)):
        return
    bare = _without_annotations(node, text)
    for used in ast.walk(ast.parse(bare)):
        if isinstance(used, ast.Name) and used.id != name:
            _collect(used.id, module, found)
    found[name] = bare


def _sources(module: Any) -> tuple[str, ast.Module]:
    text = inspect.getsource(module)
    return text, ast.parse(text)


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _without_annotations(node: ast.stmt, text: str) -> str:
    """The lines of a function or a constant, its decorators and all annotations left out."""
    lines = text.splitlines()
    first, last = node.lineno, node.end_lineno or node.lineno
    heads = [inner for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef)]
    for inner in sorted(heads, key=lambda inner: -inner.lineno):
        begin, end = inner.lineno - 1, inner.body[0].lineno - 1
        while not lines[end - 1].rstrip().endswith(":"):  # comments between the head and the body
            end -= 1
        for argument in (*inner.args.args, *inner.args.kwonlyargs, *inner.args.posonlyargs):
            argument.annotation = None
        head = f"def {inner.name}({ast.unparse(inner.args)}):"
        lines[begin:end] = [" " * inner.col_offset + head, *[""] * (end - begin - 1)]
    kept = lines[first - 1 : last]
    return textwrap.dedent(
        "\n".join(line for number, line in enumerate(kept) if line.strip() or _between(kept, number))
    )


def _between(lines: list[str], number: int) -> bool:
    """Whether a blank line parts a body, and is not what is left of a head."""
    return number > 0 and not lines[number - 1].rstrip().endswith(":") and bool(lines[number - 1].strip())
