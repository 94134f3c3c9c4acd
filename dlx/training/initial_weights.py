"""Another run's weights, where `weights` names one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dlx.errors import RunError
from dlx.model.network import Network
from dlx.model.restore import restore
from dlx.model.transfer import transfer_weights, weights_of
from dlx.parts.registry import FilePath, located
from dlx.runs import find
from dlx.runs.run import Run
from dlx.spec.sections import Spec


def donor_weights(spec: Spec, root: Path) -> tuple[Run, dict[str, Any]] | None:
    """(the run, its arrays by layer) of the run that `weights` names; None where it names none."""
    if spec.weights is None:
        return None
    run = donor(spec, root)
    return run, weights_of(restore(run)[0])


def settled(spec: Spec, root: Path) -> Spec:
    """The spec with the run that `weights` names by its directory: `latest` is another one later. Raises RunError."""
    if spec.weights is None:
        return spec
    return replace(spec, weights=FilePath(donor(spec, root).path.resolve()))


def donor(spec: Spec, root: Path) -> Run:
    """The run that `weights` names: a directory, or a RUN below the runs folder. Raises RunError."""
    path = Path(located(str(spec.weights)))
    try:
        word_alone = path.parent.is_dir() and not path.is_dir()  # a path that leads nowhere is none
        run = find.one(path.name, root) if word_alone else Run.open(path)
        if not run.model_file.is_file():
            raise RunError(f"has no trained model: it is {run.status}", where=str(run.path))
    except RunError as error:
        error.where = spec.locate("weights") + (f": {error.where}" if error.where else "")
        raise
    return run


def begin_from(network: Network, name: str, arrays: dict[str, Any]) -> list[str]:
    """Give the network another run's weights; returns remarks on which layers got them."""
    matched, fresh = transfer_weights(network, arrays)
    head = f"weights of {name}: {len(matched)} of {len(matched) + len(fresh)} layers with weights begin from them"
    return [head, *(f"  not from there: {layer}" for layer in fresh)]
