"""The device twin of ``lstm_forward`` and ``lstm_backward``; the kernels are in lstm.cu."""

from __future__ import annotations

from typing import Any

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels.cuda import sequence
from minilstm.kernels.cuda.launch import Pointer, launch
from minilstm.kernels.cuda.sequence import DeviceCache


def lstm_forward(x: Array, h0: Array | None, c0: Array | None, W: Array, b: Array, *,
                 lengths: Any = None, padding: str = "post", outputs: bool = True,
                 keep: bool = True) -> tuple[Any, Array, DeviceCache]:
    """``minilstm.cells.lstm.lstm_forward`` for CuPy arrays, float32 or float64. Return (h, c_last, cache).

    Args:
        lengths: also int32 on the device, which saves the upload.
        outputs: False leaves h out (None).
        keep: False keeps nothing for backward; ``cache.last`` still has the final states, h_last and c_last.
    """
    plan = sequence.make_plan("lstm", x, W, lengths, padding)
    xp, dtype = get_array_module(x), plan.dtype
    N, T, H, states = plan.N, plan.T, plan.H, plan.states
    W, b, h0, c0 = (sequence.ready(part, plan) for part in (W, b, h0, c0))
    x = sequence.time_major(x, plan)
    gates = sequence.input_products(x, W[H:], plan)
    y = xp.empty((N, T, H), dtype=dtype) if outputs else None
    shares, biases = Pointer(gates, (T, N, 4 * H)), Pointer(b, (4 * H,))
    if plan.rows:
        h, c = (xp.empty((T + 1, N, H), dtype=dtype) if keep else None for _ in range(2))
        last = [xp.empty(states, dtype=dtype) for _ in range(2)]
        launch(*plan.persistent("forward"), shares, Pointer(W[:H], (H, 4 * H)), biases,
               Pointer(h0, states), Pointer(c0, states), Pointer(h, (T + 1, N, H)), Pointer(c, (T + 1, N, H)),
               Pointer(last[0], states), Pointer(last[1], states), Pointer(y, (N, T, H)), *plan.padding, N, T)
    else:
        h, c = (sequence.start_rows(state, plan, T + 1 if keep else 2, x) for state in (h0, c0))
        sequence.step_forward(plan, h, W[:H], lambda from_h: (
            shares, from_h, biases, Pointer(h, h.shape), Pointer(c, c.shape), Pointer(y, (N, T, H)),
            *plan.padding))
        last = [state[T % len(state)].copy() for state in (h, c)]
    if not keep:
        return y, last[1], DeviceCache(plan, last, W)
    return y, last[1], DeviceCache(plan, last, W, x, h, (gates, c))


def lstm_backward(dh: Array | None, dc_last: Array | None, cache: DeviceCache, *,
                  dh_last: Array | None = None,
                  consume: bool = False) -> tuple[Array, Array, Array, Array, Array]:
    """Return (dx, dh0, dc0, dW, db), as ``minilstm.cells.lstm.lstm_backward``.

    With ``consume`` the cache is written over; otherwise a second call gives the same bytes.
    """
    plan, W, (gates, c) = cache.plan, cache.W, cache.values
    N, T, H, states = plan.N, plan.T, plan.H, plan.states
    xp = get_array_module(W)
    dh, dh_last, dc_last = (sequence.ready(d, plan) for d in (dh, dh_last, dc_last))
    W_hT = xp.ascontiguousarray(W[:H].T)
    dz = gates if consume else xp.empty((T, N, 4 * H), dtype=plan.dtype)
    kept, carry = Pointer(gates, (T, N, 4 * H)), Pointer(c, (T + 1, N, H))
    above, made = Pointer(dh, (N, T, H)), Pointer(dz, (T, N, 4 * H))
    if plan.rows:
        dh0, dc0 = (xp.empty(states, dtype=plan.dtype) for _ in range(2))
        launch(*plan.persistent("backward"), kept, Pointer(W_hT, (4 * H, H)), carry, above,
               Pointer(dh_last, states), Pointer(dc_last, states), made,
               Pointer(dh0, states), Pointer(dc0, states), *plan.padding, N, T)
    else:
        dc0 = sequence.start_rows(dc_last, plan, 1, W)[0]
        dh0 = sequence.step_backward(plan, W_hT, dh_last, lambda t: dz[t], lambda from_later, carried: (
            kept, carry, above, from_later, carried, Pointer(dc0, states), made, *plan.padding))
    dW, dx = sequence.weight_gradients(cache, dz)
    return dx, dh0, dc0, dW, xp.sum(dz.reshape(T * N, 4 * H), axis=0)
