"""Several devices for one training on JAX: each batch is divided among them, all else is on each of them.

The program is one: XLA divides it, so sums, means and normalizations are over the whole batch, as on one device.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dlx.system import backend, hosts


def factors(number: int) -> list[int]:
    """The prime factors of a number, the smallest first."""
    found, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found


class Devices:
    """The devices of a training, as a mesh with an axis for each prime factor of their number.

    So a batch that not all of them can share equally is shared by as many as can, the others compute the same as these.
    """

    def __init__(self, devices: Any) -> None:
        self.count = len(devices)
        self._sizes = factors(self.count)
        self._axes = [f"axis{number}" for number in range(len(self._sizes))]
        self._mesh = Mesh(np.asarray(devices).reshape(self._sizes), self._axes) if self._sizes else None
        self.whole = None if self._mesh is None else NamedSharding(self._mesh, PartitionSpec())

    def among(self, length: int) -> int:
        """How many devices share a batch."""
        shared, rest = 1, length
        for size in self._sizes:
            if rest % size == 0:
                shared, rest = shared * size, rest // size
        return shared

    def place(self, value: Any) -> Any:
        """An array, or a mapping or sequence of some, on every device."""
        if self.whole is None:
            return value
        if hosts.group().count == 1:
            return jax.device_put(value, self.whole)
        return jax.tree.map(self._everywhere, value)

    def _everywhere(self, value: Any) -> Any:
        """An array that every host has, as one on the devices of all."""
        array = np.asarray(value)
        return jax.make_array_from_callback(array.shape, self.whole, lambda index: array[index])

    def here(self, value: Any) -> Any:
        """An array that is on every device, as one of this host's alone."""
        return value if hosts.group().count == 1 else np.asarray(value)

    def array(self, value: Any, dtype: Any = None) -> Any:
        """A copy of a value as an array on every device."""
        return jnp.array(value, dtype) if self.whole is None else self.place(np.array(value, dtype))

    def spread(self, batch: Any) -> Any:
        """A batch within a compiled function, (n, …), its examples divided among the devices."""
        if self._mesh is None:
            return batch
        axes, rest = [], len(batch)
        for axis, size in zip(self._axes, self._sizes, strict=True):
            if rest % size == 0:
                axes.append(axis)
                rest //= size
        divided = NamedSharding(self._mesh, PartitionSpec(tuple(axes)))
        return jax.lax.with_sharding_constraint(batch, divided)


def devices() -> Devices:
    """Those that the process was asked to train on."""
    return Devices(jax_devices(backend.load()))


def jax_devices(device: backend.Device) -> list[Any]:
    """As many of JAX's devices as a training uses, in their order; of several hosts as many of each."""
    found = jax.devices("cpu" if device.device == "cpu" else "gpu")
    count = hosts.group().count
    own = ([one for one in found if one.process_index == rank] for rank in range(count))
    return [one for there in own for one in there[: device.devices // count]]
