"""The documentation, held true: every command runs, every spec checks, every link leads somewhere, pictures are small."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Dlx

from dlx import __version__
from dlx.commands import COMMANDS
from dlx.search.places import named

DOCS = ROOT / "docs"
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
GUIDE = [DOCS / page for section in CONFIG["nav"] for page in section.get("Guide", [])]
REFERENCE = [DOCS / "spec.md", DOCS / "commands.md"]
PAGES = [
    ROOT / "README.md",
    DOCS / "index.md",
    *GUIDE,
]  # in this order: a page may use what the ones before it have made
TEXT = "\n".join(page.read_text() for page in PAGES)
DATA = ("list", "show", "add", "fetch")


@pytest.mark.parametrize("words", [*COMMANDS, *(f"data {name}" for name in DATA)])
def test_every_command_has_a_place_in_the_guide(words: str) -> None:
    assert f"dlx {words}" in TEXT


def test_the_page_of_commands_is_what_help_says(dlx: Dlx) -> None:
    again = "make it again: dlx schema --commands > docs/commands.md"
    assert dlx("schema", "--commands").out == (DOCS / "commands.md").read_text(), again


def test_the_man_page_is_what_help_says(dlx: Dlx) -> None:
    assert dlx("schema", "--man").out == (DOCS / "dlx.1").read_text(), "dlx schema --man > docs/dlx.1"


def test_project_files_say_what_is_there(dlx: Dlx) -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f"## {cited['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert cited["version"] == __version__
    for path in (ROOT / ".github").rglob("*.yml"):
        assert yaml.safe_load(path.read_text()), path
    text = (ROOT / "CONTRIBUTING.md").read_text() + (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"(?:tests|docs|training|\.ci)/[\w./]+", text))
    assert len(named) > 5
    assert [name for name in named if not ((ROOT / name).exists() or (ROOT / "dlx" / name).exists())] == []


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[str]:
    """Every dlx command in the shell blocks, but those of the set-up and those that need a network."""
    lines = [line for block in blocks("sh", text) for line in block.replace("\\\n", " ").splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith("dlx ") and "# needs" not in line]


# Two halves, so that two processes share them: a page of the second uses runs of the README's two specs alone.
HALF = next(number for number, page in enumerate(PAGES) if page.stem == "pictures")


@pytest.mark.parametrize("half", ["first", "second"])
def test_every_command_in_the_documentation_runs(dlx: Dlx, world: Path, half: str) -> None:
    """In order, in one folder that looks as the pages say; everything they show must work."""
    text = "\n".join(page.read_text() for page in (PAGES[:HALF] if half == "first" else PAGES[HALF:]))
    before = ["dlx run configs/digits.yaml" + " mine.yaml -s epochs=2" * (half == "second")]  # as the set-up line does
    shutil.copytree(ROOT / "configs", world / "configs")
    shutil.copytree(ROOT / "tests" / "data", world / "tests" / "data")
    shutil.copytree(ROOT / "runs" / "tutorials", world / "runs" / "tutorials")
    for name, content in re.findall(r'```(?:yaml|csv|python) title="(\S+)"\n(.*?)```', TEXT, re.DOTALL):
        (world / name).write_text(content)
    lines = [*before, *commands(text)]
    assert len(lines) > 24
    for line in lines:
        code, said = typed(dlx, line)
        assert code == 0, f"{line}\n{said[-6000:]}"
    for page in PAGES[:HALF] if half == "first" else PAGES[HALF:]:
        exec(compile("\n".join(blocks("python", page.read_text())), page.name, "exec"), {"__name__": "__main__"})


def typed(dlx: Dlx, line: str) -> tuple[int, str]:
    """The exit code and the errors of a line of a shell: in this process where it is words alone."""
    if re.search(r"[|<>&;]|--backend", line):
        script = f'dlx() {{ {shlex.quote(sys.executable)} -m dlx "$@"; }}\n{line}'
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True)
    result = dlx(*words.stdout.split("\0")[1:-1])
    return result.code, result.err


def test_every_spec_in_the_documentation_checks(dlx: Dlx, world: Path) -> None:
    shutil.copytree(ROOT / "configs", world / "configs")
    matches = re.findall(r'```yaml(?: title="(\S+)")?\n(.*?)```', TEXT, re.DOTALL)
    plain = [(title, text) for title, text in matches if "imports:" not in text]
    assert len(plain) > 6
    for number, (title, text) in enumerate(plain):
        name = title or f"s{number}.yaml"
        (world / name).write_text(text)
        if name == named.FILE:
            assert len(named.places()) > 1
            continue
        result = dlx("check", name, "--print")
        assert result.code == 0, result.err


def test_links_lead_somewhere() -> None:
    for page in (*PAGES, *REFERENCE, ROOT / "dlx" / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_is_read_in_five_minutes_and_pictures_are_small() -> None:
    prose = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(prose.split()) < 1250
    pictures = list((DOCS / "images").iterdir())
    shown = {Path(target).name for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT)}
    assert {picture.name for picture in pictures} == shown
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_builds_strictly_and_needs_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(GUIDE)
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"?(https?://[^\" >]+)", page.read_text())
        assert loaded == [], page.name
        assert "```" not in page.read_text(), page.name
    assert (tmp_path / "site/search/search_index.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nbclient") is None, reason="needs nbclient")
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_shows_its_runs_and_pictures(world: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(DOCS / "first-steps.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # what it shows is made where it is read
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(world)}}).execute()
    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    pages = [data["text/html"] for data in shown if "dlx.Run" in data.get("text/plain", "")]
    assert len(pages) == 1
    assert all("<svg" in page and len(page) < 20_000 for page in pages)
    assert sum("dlx.Comparison" in data.get("text/plain", "") for data in shown) == 2
    assert sum("image/png" in data for data in shown) == 2
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "did you mean 'dense'?" in text
