"""The device twin of ``gru_forward`` and ``gru_backward``; the kernels are in gru.cu."""

from __future__ import annotations

from typing import Any

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels.cuda import sequence
from minilstm.kernels.cuda.launch import Pointer, launch
from minilstm.kernels.cuda.sequence import DeviceCache


def gru_forward(x: Array, h0: Array | None, W: Array, b: Array, *, lengths: Any = None, padding: str = "post",
                outputs: bool = True, keep: bool = True) -> tuple[Any, DeviceCache]:
    """``minilstm.cells.gru.gru_forward`` for CuPy arrays; ``outputs`` and ``keep``: as for the LSTM."""
    plan = sequence.make_plan("gru", x, W, lengths, padding)
    xp, dtype = get_array_module(x), plan.dtype
    N, T, H, states = plan.N, plan.T, plan.H, plan.states
    W, b, h0 = (sequence.ready(part, plan) for part in (W, b, h0))
    x = sequence.time_major(x, plan)
    gates = sequence.input_products(x, W[H:], plan)
    q = xp.empty((T, N, H), dtype=dtype) if keep else None
    y = xp.empty((N, T, H), dtype=dtype) if outputs else None
    made, biases = (Pointer(gates, (T, N, 3 * H)), Pointer(q, (T, N, H))), Pointer(b, (4 * H,))
    if plan.rows:
        h = xp.empty((T + 1, N, H), dtype=dtype) if keep else None
        last = xp.empty(states, dtype=dtype)
        launch(*plan.persistent("forward"), *made, Pointer(W[:H], (H, 3 * H)), biases, Pointer(h0, states),
               Pointer(h, (T + 1, N, H)), Pointer(last, states), Pointer(y, (N, T, H)), *plan.padding, N, T)
    else:
        h = sequence.start_rows(h0, plan, T + 1 if keep else 2, x)
        sequence.step_forward(plan, h, W[:H], lambda from_h: (
            *made, from_h, biases, Pointer(h, h.shape), Pointer(y, (N, T, H)), *plan.padding))
        last = h[T % len(h)].copy()
    if not keep:
        return y, DeviceCache(plan, [last], W)
    return y, DeviceCache(plan, [last], W, x, h, (gates, q))


def gru_backward(dh: Array | None, cache: DeviceCache, *, dh_last: Array | None = None,
                 consume: bool = False) -> tuple[Array, Array, Array, Array]:
    """Return (dx, dh0, dW, db), as ``minilstm.cells.gru.gru_backward``; ``consume``: as for the LSTM."""
    plan, W, (gates, q), h = cache.plan, cache.W, cache.values, cache.h
    N, T, H, states = plan.N, plan.T, plan.H, plan.states
    xp = get_array_module(W)
    assert h is not None
    dh, dh_last = sequence.ready(dh, plan), sequence.ready(dh_last, plan)
    W_hT = xp.ascontiguousarray(W[:H].T)
    da = gates if consume else xp.empty((T, N, 3 * H), dtype=plan.dtype)        # blocks r, z, n
    dq = q if consume else xp.empty((T, N, H), dtype=plan.dtype)
    kept = Pointer(gates, (T, N, 3 * H)), Pointer(q, (T, N, H))
    hidden, above = Pointer(h, (T + 1, N, H)), Pointer(dh, (N, T, H))
    made = Pointer(da, (T, N, 3 * H)), Pointer(dq, (T, N, H))
    if plan.rows:
        dh0 = xp.empty(states, dtype=plan.dtype)
        launch(*plan.persistent("backward"), *kept, Pointer(W_hT, (3 * H, H)), hidden, above,
               Pointer(dh_last, states), *made, Pointer(dh0, states), *plan.padding, N, T)
    else:
        to_h = xp.empty((N, 3 * H), dtype=plan.dtype)           # blocks r, z, q of one step
        product = Pointer(to_h, (N, 3 * H))
        dh0 = sequence.step_backward(plan, W_hT, dh_last, lambda t: to_h, lambda from_later, carried: (
            *kept, hidden, above, from_later, carried, *made, product, *plan.padding))
    dW, dx = sequence.weight_gradients(cache, da)
    # h sees another gradient in the candidate's block than x does.
    dW[:H, 2 * H:] = xp.dot(h[:-1].reshape(T * N, H).T, dq.reshape(T * N, H))
    db = xp.empty(4 * H, dtype=plan.dtype)
    xp.sum(da.reshape(T * N, 3 * H), axis=0, out=db[:3 * H])
    xp.sum(dq.reshape(T * N, H), axis=0, out=db[3 * H:])
    return dx, dh0, dW, db
