"""One layer and one direction over a whole batch on a device: the code shared by all cells.

Forward: x is copied to time-major order (with 0 at padded steps), one product computes the contribution of
the inputs at all steps, then the kernel runs through the steps. Backward: the kernel runs backwards and
stores dz, the gradient with respect to each step's products; then products over all steps compute dW and dx
from dz. The plan chooses the kernel: a persistent one, launched once, or a fused one with one product per
step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels.cuda import plan as plans
from minilstm.kernels.cuda.launch import (THREADS, Kernel, Pointer, blocks_for, kernel, launch,
                                          multiprocessors, prepare)


class Plan(NamedTuple):
    """The plan of one call: sizes, padding, and the choice of kernels."""

    cell: str                   # "lstm", "gru" or "rnn"
    N: int
    T: int
    D: int
    H: int
    dtype: np.dtype
    lengths: Array | None       # (N,) int32 on the device
    pre: int                    # 1: the padding is in front
    rows: int                   # of the batch per block of the persistent kernel; 0: the fused kernels

    @property
    def states(self) -> tuple[int, int]:
        return self.N, self.H

    @property
    def padding(self) -> tuple[Pointer, int]:
        """The kernels' arguments that say where the real steps are."""
        return Pointer(self.lengths, (self.N,), np.int32), self.pre

    def persistent(self, direction: str) -> tuple[Kernel, int, int]:
        """Return the persistent kernel "forward" or "backward", its blocks and their threads."""
        macros = plans.defines(self.cell, self.H, self.rows, self.dtype)
        chosen = kernel(self.cell, f"{self.cell}_{direction}", self.dtype, **macros)
        return chosen, -(-self.N // self.rows), plans.GATES[self.cell] * self.H

    def fused(self, direction: str) -> tuple[Kernel, int, int]:
        """Return the kernel of one step "forward" or "backward", its blocks and their threads."""
        chosen = kernel(self.cell, f"{self.cell}_{direction}_step", self.dtype)
        return chosen, blocks_for(self.N * self.H), THREADS


class DeviceCache(NamedTuple):
    """What backward needs, time-major; after a forward with ``keep=False``, the final states alone."""

    plan: Plan
    last: list[Array]               # (N, H) each
    W: Array                        # a reference: do not change it between forward and backward
    x: Array | None = None          # (T, N, D), 0 at padded steps
    h: Array | None = None          # (T+1, N, H), row t the state before step t
    values: tuple[Array, ...] = ()  # the other values that the cell keeps for each step
    relu: int = 0                   # an RNN's nonlinearity


def device_lengths(lengths: Array | None, T: int, like: Array) -> Array | None:
    """Return lengths (N,) as int32 on the device, or None if every step is known to be real.

    Lengths on a device are not checked, because that would make the host wait; the kernels clip them to the
    range 0 to T.
    """
    if lengths is None:
        return None
    if get_array_module(lengths) is not np:
        return get_array_module(lengths).ascontiguousarray(lengths, dtype=np.int32)
    return None if (lengths == T).all() else get_array_module(like).asarray(lengths.astype(np.int32))


def make_plan(cell: str, x: Array, W: Array, lengths: Array | None, padding: str) -> Plan:
    """Return how to do one call, for x (N, T, D) and W (H+D, G·H)."""
    N, T, D = x.shape
    H = W.shape[0] - D
    rows = plans.rows_for(N, multiprocessors(), x.dtype) if plans.fits(cell, H, x.dtype) else 0
    return Plan(cell, N, T, D, H, x.dtype, device_lengths(lengths, T, x), int(padding == "pre"), rows)


def ready(array: Array | None, plan: Plan) -> Array | None:
    """Return an array as the kernels need it, contiguous and of the plan's dtype."""
    return None if array is None else get_array_module(array).ascontiguousarray(array, dtype=plan.dtype)


def time_major(x: Array, plan: Plan) -> Array:
    """Return x (N, T, D) as (T, N, D), with 0 at padded steps."""
    N, T, D = plan.N, plan.T, plan.D
    result = get_array_module(x).empty((T, N, D), dtype=plan.dtype)
    launch(kernel("layout", "time_major", plan.dtype), blocks_for(N * T * D), THREADS,
           Pointer(ready(x, plan), (N, T, D)), Pointer(result, (T, N, D)), *plan.padding, N, T, D)
    return result


def input_products(x: Array, W_x: Array, plan: Plan) -> Array:
    """Return (T, N, columns of W_x): the inputs' share of all steps, in one product. x is time-major."""
    xp, columns = get_array_module(x), W_x.shape[1]
    result = xp.empty((plan.T, plan.N, columns), dtype=plan.dtype)
    xp.dot(x.reshape(-1, plan.D), W_x, out=result.reshape(-1, columns))
    return result


def start_rows(value: Array | None, plan: Plan, rows: int, like: Array) -> Array:
    """Return an array for ``rows`` states (N, H); the first is the initial state ``value`` (None: 0)."""
    states = get_array_module(like).empty((rows, *plan.states), dtype=plan.dtype)
    states[0] = 0 if value is None else value
    return states


def step_forward(plan: Plan, h: Array, W_h: Array, arguments: Callable[[Pointer], tuple[Any, ...]]) -> None:
    """Run the fused kernel for all steps; ``arguments`` returns its own arguments, given h_{t-1} W_h."""
    xp, rows, columns = get_array_module(h), len(h), W_h.shape[1]
    from_h = xp.empty((plan.N, columns), dtype=plan.dtype)
    special = arguments(Pointer(from_h, from_h.shape))
    step = prepare(*plan.fused("forward"), *special, plan.N, plan.T, plan.H, rows)
    for t in range(plan.T):
        xp.dot(h[t % rows], W_h, out=from_h)
        step(t)


def step_backward(plan: Plan, W_hT: Array, dh_last: Array | None, to_h: Callable[[int], Array],
                  arguments: Callable[[Pointer, Pointer], tuple[Any, ...]]) -> Array:
    """Run the fused kernel backwards through all steps and return dh0 (N, H).

    ``to_h`` returns the gradients of a step that are multiplied by W_hT. ``arguments`` returns the cell's own
    kernel arguments, given from_later and carried, the two parts of the gradient of h.
    """
    xp = get_array_module(W_hT)
    from_later = xp.empty(plan.states, dtype=plan.dtype)
    carried = start_rows(dh_last, plan, 1, W_hT)[0]
    special = arguments(Pointer(from_later, plan.states), Pointer(carried, plan.states))
    step = prepare(*plan.fused("backward"), *special, plan.N, plan.T, plan.H)
    for t in range(plan.T - 1, -1, -1):
        step(t)
        xp.dot(to_h(t), W_hT, out=from_later)
    return xp.add(carried, from_later, out=carried)


def weight_gradients(cache: DeviceCache, dz: Array) -> tuple[Array, Array]:
    """Return dW (H+D, columns) and dx (N, T, D, a view), given dz (T, N, columns)."""
    plan, (H, D), W = cache.plan, (cache.plan.H, cache.plan.D), cache.W
    xp, rows = get_array_module(dz), dz.reshape(-1, dz.shape[2])
    assert cache.h is not None and cache.x is not None
    dW = xp.empty(W.shape, dtype=plan.dtype)
    xp.dot(cache.h[:-1].reshape(-1, H).T, rows, out=dW[:H])
    xp.dot(cache.x.reshape(-1, D).T, rows, out=dW[H:])
    dx = xp.dot(rows, W[H:].T).reshape(plan.T, plan.N, D)
    return dW, dx.transpose(1, 0, 2)
