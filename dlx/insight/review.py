"""A spec with what can be known of it without training: its data where that is quick to load, its network, advice."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dlx.data import store
from dlx.data.dataset import Facts
from dlx.errors import DataError
from dlx.insight.advice import Advice, advise, known
from dlx.model.network import Network
from dlx.parts.datasets import loading
from dlx.spec.sections import Spec
from dlx.training import check
from dlx.training.experiment import Experiment, facts_of, prepare

SLOW = ("image_folder",)  # to load, while it says what is in it beforehand


@dataclass(frozen=True)
class Review:
    """experiment: None where the data is not here, or takes long to load."""

    spec: Spec
    facts: Facts
    network: Network
    experiment: Experiment | None
    advice: list[Advice]


def review(spec: Spec, root: Path, quick: bool, ignored: Collection[str] = ()) -> Review | None:
    """Load what is quick to load, build the network, and apply the rules that are not `ignored`.

    quick: by shapes alone; then None where only the backend that trains can tell. Raises SpecError or DataError where
    the spec cannot be trained.
    """
    experiment = load(spec)
    facts = experiment.facts if experiment is not None else facts_of(spec)
    network = (check.check_shapes if quick else check.check)(spec, root, facts)
    if network is None:
        return None
    given = list(advise(spec, known(facts, network, experiment), ignored))
    return Review(spec, facts, network, experiment, given)


def load(spec: Spec) -> Experiment | None:
    """The data of a spec, cut and checked; None where what is known of it has to do."""
    if loading.facts(spec.dataset) is None:
        return prepare(spec)
    named = spec.dataset.name in store.KNOWN and not spec.dataset.args.get("path")
    if spec.dataset.name in SLOW or (named and store.info(spec.dataset.name) is None):
        return None
    try:
        return prepare(spec)
    except DataError:
        return None  # the spec may be right all the same
