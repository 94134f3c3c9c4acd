"""A starter spec: looks at data and writes a commented spec that runs as it stands."""

from __future__ import annotations

from pathlib import Path

from dlx.errors import DataError, DlxError, did_you_mean
from dlx.parts import REGISTRIES
from dlx.spec import examples
from dlx.spec.sections import run_name
from dlx.spec.starter.arrays import arrays_spec
from dlx.spec.starter.columns import names_of
from dlx.spec.starter.images import folder_spec
from dlx.spec.starter.layout import Lines
from dlx.spec.starter.named import named_spec
from dlx.spec.starter.table import table_spec
from dlx.system.files import disk, replacing


def write_starter(data: str, label: str | None, output: str | None, force: bool) -> tuple[Path, Lines, list[str]]:
    """Write a spec for a folder, a file or the name of a dataset; returns (its path, what it says of the data, and what
    `dlx predict` may be given).

    Raises DataError where the data cannot be used, DlxError where the file exists, DiskError.
    """
    stem, lines, inputs = _starter(data, label, output)
    target = Path(output or f"{run_name(stem)}.yaml")
    if target.exists() and not force:
        raise DlxError("is there already", where=str(target), hint="-o OTHER.yaml, or --force to write over it")
    with disk(target), replacing(target) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target, [line.removeprefix("# ") for line in lines if line.startswith("# ")], inputs


def _starter(data: str, label: str | None, output: str | None) -> tuple[str, Lines, list[str]]:
    """(a name for the spec, its lines, what `dlx predict` may be given)."""
    path = Path(data)
    suffix = path.suffix.lower()
    if data in REGISTRIES["dataset"] and not path.exists():
        return data, named_spec(data), ["INPUT"]
    if path.is_dir():
        return path.resolve().name, folder_spec(path, output), ["PHOTO.jpg"]
    if suffix == ".npz" and path.is_file():
        return path.stem, arrays_spec(path, output), ["OTHER.npz"]
    if suffix == ".csv" and path.is_file():
        lines, beside = table_spec(path, label, output), path.with_name("test.csv")
        unused = ", test: " not in "".join(lines) and _like(path, beside)
        return path.stem, lines, [str(beside), "-o", "submission.csv"] if unused else ["OTHER.csv"]
    if path.exists():
        raise DataError("is not a folder, .csv or .npz", where=data)
    near = did_you_mean(data, [*examples.names(), *REGISTRIES["dataset"]])
    hint = "dlx init lists the experiments that come with dlx; dlx init photos/ or train.csv looks at your own data"
    raise DataError(f"no such file, folder or dataset{near}", where=data, hint=hint)


def _like(table: Path, other: Path) -> bool:
    """Whether another table has the columns of a table but its label."""
    if other == table or not other.is_file():
        return False
    return len(names_of(table) - names_of(other)) == 1
