"""Several processes, as a rule each on a machine of its own, that train as one on JAX.

Each runs the same program on its own devices; sums over a batch go by the network. The first decides and keeps the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Group:
    """The processes of one training: the address of the first, how many there are, and which this one is, from 0."""

    address: str = ""
    count: int = 1
    rank: int = 0


_group = Group()


def want(address: str, count: int, rank: int) -> None:
    """Set the processes that this one is one of; takes effect when the backend is loaded."""
    global _group
    _group = Group(address, count, rank)


def group() -> Group:
    """The processes that this one is one of: it alone, unless somebody said so."""
    return _group


def join(jax: Any) -> None:
    """Meet the other processes, before JAX has looked for devices. Waits for them."""
    if _group.count > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(_group.address, _group.count, _group.rank)


def agreed(number: int) -> int:
    """What the first process says, for what depends on the time and must be the same on all."""
    if _group.count == 1:
        return number
    import numpy as np
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))
