"""Several trainings of one structure as one program on JAX, a lane each: `vmap` over the states of a JaxLoop.

All lanes are at the same step. One whose loss is not finite, or that has stopped, keeps its state while the others
continue.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dlx.engine.jax_loop import Arrays, JaxLoop
from dlx.engine.plan import LANE_LAYERS, LANE_OPTIMIZERS, ROWS, Lanes, Member, State


class _Number:
    """A number of a layer or an optimizer while a program is traced: `value`, of which `nominal` is one example.

    What decides the structure (is there dropout, is there momentum) is asked of the example, all else of the value.
    """

    def __init__(self, value: Any, nominal: float) -> None:
        self.value, self.nominal = value, nominal

    def __jax_array__(self) -> Any:
        return self.value

    def __gt__(self, other: float) -> bool:
        return self.nominal > other

    def __eq__(self, other: object) -> bool:
        return self.nominal == other

    __hash__ = None  # type: ignore[assignment]

    def __rsub__(self, other: Any) -> Any:
        return other - self.value

    def __mul__(self, other: Any) -> Any:
        return self.value * other

    __rmul__ = __mul__


def places(network: Any, optimizer: Any) -> list[tuple[Any, str]]:
    """(object, attribute) of every number that may differ between lanes, in an order of the structure alone."""
    found, classes = [], {kind.replace("_", ""): number for kind, number in LANE_LAYERS.items()}
    for layer in network.logits._flatten_layers(include_self=False):
        number = classes.get(type(layer).__name__.lower(), "")
        found += [(layer, number)] if number and getattr(layer, number) else []
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return found + [(inner, name) for name in LANE_OPTIMIZERS if getattr(inner, name, None)]


class LaneLoop:
    """The functions of a JaxLoop for the states of several lanes, stacked: each array is (lanes, …).

    tuned: the places whose numbers differ; shared: all lanes have one seed, so their order and dropout are one.
    """

    def __init__(self, loop: JaxLoop, tuned: Sequence[tuple[Any, str]], shared: bool) -> None:
        self.loop, self.tuned, self.shared = loop, tuned, shared
        self.stops = loop.plan.patience is not None or bool(loop.plan.stop_at)

    def chunk(self, states: Arrays, numbers: Any, data: tuple[Any, ...], step: Any, steps: Any) -> Any:
        """Up to `steps` steps from `step` on; returns the states and rows (ROWS, lanes, columns) float32."""
        plan = self.loop.plan

        def going(carry: Any) -> Any:
            states, _, left, _, _ = carry
            return (left > 0) & jnp.any(_alive(states))

        def segment(carry: Any) -> Any:
            before, step, left, finished, rows = carry
            into = step % plan.steps_per_epoch
            count = jnp.minimum(jnp.minimum(left, plan.steps_per_epoch - into), plan.steps - step)
            states = self._steps(before, numbers, data, step, into, count)
            step += count
            ended = (step % plan.steps_per_epoch == 0) | (step >= plan.steps)
            nothing = jnp.zeros(rows.shape[1:], jnp.float32)
            states, row = lax.cond(ended, lambda s: self._epoch_end(s, data), lambda s: (s, nothing), states)
            if self.stops:
                states = _chosen(~before["loop/stopped"], states, before)
            rows = lax.dynamic_update_index_in_dim(rows, row, finished, 0)
            return states, step, left - count, finished + ended.astype(jnp.int32), rows

        lanes = len(states["loop/step"])
        rows = jnp.zeros((ROWS, lanes, len(self.loop.columns)), jnp.float32)
        states, _, _, _, rows = lax.while_loop(going, segment, (states, step, steps, jnp.int32(0), rows))
        return states, rows

    def _steps(self, states: Arrays, numbers: Any, data: tuple[Any, ...], step: Any, into: Any, count: Any) -> Arrays:
        """`count` steps of one epoch, beginning with its step number `into`, which is `step` of the training."""
        loop, batch = self.loop, self.loop.plan.batch_size
        if loop.whole:
            return self._step(states, numbers, step, data[0], data[1], None)
        epoch, axis = step // loop.plan.steps_per_epoch, None if self.shared else 0
        seeds = states["loop/bases"][:, 0]
        order = loop.order(seeds[0], epoch) if self.shared else jax.vmap(loop.order, (0, None))(seeds, epoch)

        def picked(states: Arrays, number: Any, length: int) -> Arrays:
            rows = lax.dynamic_slice_in_dim(order, number * batch, length, axis=order.ndim - 1)
            x, y = (jnp.take(data[n], rows, axis=0) for n in (0, 1))
            return self._step(states, numbers, step - into + number, x, y, axis)

        def going(carry: Any) -> Any:
            states, number = carry
            return (number < jnp.minimum(into + count, full)) & jnp.any(states["loop/bad_step"] == 0)

        full = loop.size // batch
        states, _ = lax.while_loop(going, lambda c: (picked(c[0], c[1], batch), c[1] + 1), (states, into))
        if left := loop.size % batch:
            states = lax.cond(into + count > full, lambda s: picked(s, jnp.int32(full), left), lambda s: s, states)
        return states

    def _step(self, states: Arrays, numbers: Any, step: Any, x: Any, y: Any, axis: int | None) -> Arrays:
        """One step of every lane. A lane whose loss was not finite computes on and is counted no more."""
        common = {"loop/step": step.astype(states["loop/step"].dtype)}
        if self.shared:
            common["loop/bases"] = states["loop/bases"][0]

        def one(state: Arrays, numbers: Any, x: Any, y: Any) -> Arrays:
            with _set(self.tuned, numbers):
                return self.loop.step({**state, **common}, x, y)

        after: Arrays = jax.vmap(one, (0, 0, axis, axis))(states, numbers, x, y)
        bad = states["loop/bad_step"]
        return {
            **after,
            "loop/bases": states["loop/bases"],
            "loop/bad_step": jnp.where(bad > 0, bad, after["loop/bad_step"]),
            "loop/step": jnp.where(bad > 0, states["loop/step"], after["loop/step"]),
        }

    def _epoch_end(self, states: Arrays, data: tuple[Any, ...]) -> tuple[Arrays, Any]:
        """The end of an epoch of every lane that is alive; returns the states and the rows, (lanes, columns)."""
        after, rows = jax.vmap(self.loop.epoch_end, (0, None))(states, data)
        return _chosen(states["loop/bad_step"] == 0, after, states), rows


def _alive(states: Arrays) -> Any:
    return ~states["loop/stopped"] & (states["loop/bad_step"] == 0)


def _chosen(which: Any, new: Arrays, old: Arrays) -> Arrays:
    """`new` of the lanes of which `which` is true, else `old`."""
    return {
        name: jnp.where(which.reshape(-1, *(1 for _ in value.shape[1:])), value, old[name])
        for name, value in new.items()
    }


@contextlib.contextmanager
def _set(places: Sequence[tuple[Any, str]], numbers: Any) -> Iterator[None]:
    """Within it each place has its number."""
    before = [getattr(owner, name) for owner, name in places]
    for (owner, name), value, nominal in zip(places, numbers, before, strict=True):
        object.__setattr__(owner, name, _Number(value, nominal))
    try:
        yield
    finally:
        for (owner, name), nominal in zip(places, before, strict=True):
            object.__setattr__(owner, name, nominal)


def lanes(loop: JaxLoop, data: tuple[Any, ...], network: Any, optimizer: Any, members: Sequence[Member]) -> Lanes:
    """The lanes of several trainings that share the structure of a compiled one, which is `network` and `optimizer`.

    Raises ValueError where a number that they do not share is none that lanes can differ in.
    """
    for member in members:
        member.optimizer.build(member.network.logits.trainable_variables)
    states = [loop.state(member.network, member.optimizer, member.plan) for member in members]
    stacked = {name: jnp.stack([state[name] for state in states]) for name in states[0]}
    values = np.array(
        [
            [float(getattr(owner, name)) for owner, name in places(member.network, member.optimizer)]
            for member in members
        ]
    ).reshape(len(members), -1)
    own = places(network, optimizer)
    if values.shape[1] != len(own):
        raise ValueError("the trainings are not of one structure")
    seeds = np.asarray(stacked["loop/bases"])
    shared = bool((seeds == seeds[0]).all())
    if shared not in loop.side_by_side:  # lanes of the next trainings are the same program
        loop.side_by_side[shared] = jax.jit(LaneLoop(loop, own, shared).chunk, donate_argnums=0)
    compiled = loop.side_by_side[shared]

    def chunk(states: State, numbers: Any, step: int, steps: int) -> tuple[State, list[np.ndarray]]:
        before = np.asarray(states["loop/epochs"])
        most = min(steps, (ROWS - 2) * loop.plan.steps_per_epoch)
        states, rows = compiled(dict(states), numbers, data, jnp.int32(step), jnp.int32(most))
        finished, every = np.asarray(states["loop/epochs"]) - before, np.asarray(rows)
        return states, [every[:count, lane] for lane, count in enumerate(finished)]

    def take(states: State, numbers: Any, kept: Sequence[int]) -> tuple[State, Any]:
        which = jnp.asarray(list(kept))
        return {name: value[which] for name, value in states.items()}, numbers[which]

    return Lanes(
        states=stacked,
        numbers=jnp.asarray(values, jnp.float32),
        chunk=chunk,
        lane=lambda states, number: {name: value[number] for name, value in states.items()},
        take=take,
        counters=lambda states: jax.device_get({name: states[f"loop/{name}"] for name in loop.counters}),
        fetch=lambda states: {name: np.asarray(value) for name, value in jax.device_get(dict(states)).items()},
    )
