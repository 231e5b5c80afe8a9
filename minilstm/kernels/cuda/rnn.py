"""The device twin of ``rnn_forward`` and ``rnn_backward``; the kernels are in rnn.cu."""

from __future__ import annotations

from typing import Any

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels.cuda import sequence
from minilstm.kernels.cuda.launch import Pointer, launch
from minilstm.kernels.cuda.sequence import DeviceCache


def rnn_forward(x: Array, h0: Array | None, W: Array, b: Array, *, nonlinearity: str = "tanh",
                lengths: Any = None, padding: str = "post", outputs: bool = True,
                keep: bool = True) -> tuple[Any, DeviceCache]:
    """``minilstm.cells.rnn.rnn_forward`` for CuPy arrays; ``outputs`` and ``keep``: as for the LSTM."""
    relu = int(nonlinearity == "relu")
    plan = sequence.make_plan("rnn", x, W, lengths, padding)
    xp, dtype = get_array_module(x), plan.dtype
    N, T, H, states = plan.N, plan.T, plan.H, plan.states
    W, b, h0 = (sequence.ready(part, plan) for part in (W, b, h0))
    x = sequence.time_major(x, plan)
    xw = sequence.input_products(x, W[H:], plan)
    y = xp.empty((N, T, H), dtype=dtype) if outputs else None
    shares, biases = Pointer(xw, (T, N, H)), Pointer(b, (H,))
    if plan.rows:
        h = xp.empty((T + 1, N, H), dtype=dtype) if keep else None
        last = xp.empty(states, dtype=dtype)
        launch(*plan.persistent("forward"), shares, Pointer(W[:H], (H, H)), biases, Pointer(h0, states),
               Pointer(h, (T + 1, N, H)), Pointer(last, states), Pointer(y, (N, T, H)), *plan.padding,
               relu, N, T)
    else:
        h = sequence.start_rows(h0, plan, T + 1 if keep else 2, x)
        sequence.step_forward(plan, h, W[:H], lambda from_h: (
            shares, from_h, biases, Pointer(h, h.shape), Pointer(y, (N, T, H)), *plan.padding, relu))
        last = h[T % len(h)].copy()
    if not keep:
        return y, DeviceCache(plan, [last], W)
    return y, DeviceCache(plan, [last], W, x, h, relu=relu)


def rnn_backward(dh: Array | None, cache: DeviceCache, *, dh_last: Array | None = None,
                 consume: bool = False) -> tuple[Array, Array, Array, Array]:
    """Return (dx, dh0, dW, db), as ``minilstm.cells.rnn.rnn_backward``."""
    plan, W, h = cache.plan, cache.W, cache.h
    N, T, H, states = plan.N, plan.T, plan.H, plan.states
    xp = get_array_module(W)
    dh, dh_last = sequence.ready(dh, plan), sequence.ready(dh_last, plan)
    W_hT = xp.ascontiguousarray(W[:H].T)
    dz = xp.empty((T, N, H), dtype=plan.dtype)
    kept, above, made = Pointer(h, (T + 1, N, H)), Pointer(dh, (N, T, H)), Pointer(dz, (T, N, H))
    if plan.rows:
        dh0 = xp.empty(states, dtype=plan.dtype)
        launch(*plan.persistent("backward"), Pointer(W_hT, (H, H)), kept, above, Pointer(dh_last, states),
               made, Pointer(dh0, states), *plan.padding, cache.relu, N, T)
    else:
        dh0 = sequence.step_backward(plan, W_hT, dh_last, lambda t: dz[t], lambda from_later, carried: (
            kept, above, from_later, carried, made, *plan.padding, cache.relu))
    dW, dx = sequence.weight_gradients(cache, dz)
    return dx, dh0, dW, xp.sum(dz.reshape(T * N, H), axis=0)
