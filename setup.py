"""What setup.cfg cannot say: a wheel has the specs of configs/, and an index page no links into this folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SPECS = sorted((ROOT / "configs").glob("*.yaml"))


class WithSpecs(build_py):
    """Copies configs/*.yaml into the package, as dlx/configs."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "dlx" / "configs"
            target.mkdir(parents=True, exist_ok=True)
            for spec in SPECS:
                shutil.copyfile(spec, target / spec.name)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copied = [str(Path(self.build_lib) / "dlx" / "configs" / spec.name) for spec in SPECS]
        return [*super().get_outputs(include_bytecode), *copied]


def on_an_index_page(text: str) -> str:
    """The README without its pictures, and with names instead of links to other files."""
    text = re.sub(r"(?m)^(?:\|.*\n){2}\|.*!\[.*\n+", "", text)  # a table of pictures
    return re.sub(r"\[([^]]+)\]\((?![a-z]+:|#)[^)]+\)", r"\1", text)


setup(
    cmdclass={"build_py": WithSpecs},
    long_description=on_an_index_page((ROOT / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
