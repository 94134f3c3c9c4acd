"""What a sweep is trained with where nobody says: the backend, and how many trainings are one program."""

from __future__ import annotations

import importlib.util

from dlx.search.study import Study
from dlx.spec.rules import all_parts
from dlx.spec.sections import Spec
from dlx.system import backend as backends
from dlx.training.program_cache import TUNED

MANY = 20  # trials from which on JAX pays: it compiles slower and begins a trial faster
LANES = {"cpu": 8, "gpu": 64}


def convolves(spec: Spec) -> bool:
    """Whether a layer is a convolution, at which JAX is slower on a CPU, or a network of many."""
    return any("conv" in part.name or part.name in ("pretrained", "dense_block") for part in all_parts(spec.layers))


def _specs(study: Study) -> list[Spec]:
    """A trial of each alternative of what the sweep varies: what all trials may have."""
    if study.fixed:
        return [trial.spec for trial in study.fixed]
    space = study.space
    widest = max((len(dimension.alternatives) for dimension in space.dimensions), default=1) or 1
    return [
        space.trial(lambda d, n=n: n % len(d.alternatives) if d.range is None else d.first).spec  # type: ignore[misc]
        for n in range(widest)
    ]


def backend_of(study: Study, wanted: str, device: str) -> str:
    """The backend of a sweep: the one asked for; else that of its trials so far; else JAX where it pays."""
    if wanted != "auto":
        return wanted
    before = [entry.info.get("backend") for entry in study.entries.values() if entry.info.get("backend")]
    if before:
        return str(before[0])
    if backends.choose("auto", device) == "jax" or importlib.util.find_spec("jax") is None:
        return "auto"
    trials = (len(study.fixed) or study.search.trials or 0) * study.search.repeats
    specs = _specs(study)
    plain = not any(convolves(spec) or spec.imports for spec in specs)
    return "jax" if trials >= MANY and plain else "auto"


def lanes_of(study: Study, backend: str, device: str, said: int | None) -> int:
    """How many trainings are one program at most: as said; else 1, but on JAX where that was measured to pay.

    On a GPU that is for every network that does not convolve. A processor is as busy with one training as with many,
    but compiles a program for each dropout rate and momentum, which lanes share.
    """
    if said is not None:
        return max(said, 1)
    on_jax = backend == "jax" or (backend == "auto" and backends.choose("auto", device) == "jax")
    if not on_jax or any(convolves(spec) or spec.imports for spec in _specs(study)):
        return 1
    if device.startswith("gpu") or backends.sees_gpu(device):
        return LANES["gpu"]
    return LANES["cpu"] if any(TUNED.search(_flat(d.address)) for d in study.space.dimensions) else 1


def _flat(address: str) -> str:
    """An address as settings have it: of layers.*.dropout.rate and layers.dropout.rate the part and its parameter."""
    return address if address.startswith("optimizer.") else f".{'.'.join(address.split('.')[-2:])}"
