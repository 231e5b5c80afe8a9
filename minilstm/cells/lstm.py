"""The LSTM, forward and backward, by hand (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

One step, with * elementwise and [h, x] the concatenation of the previous hidden state and the input:

    f_t  = σ(w_f [h_{t-1}, x_t] + b_f)        forget gate
    i_t  = σ(w_i [h_{t-1}, x_t] + b_i)        input gate
    o_t  = σ(w_o [h_{t-1}, x_t] + b_o)        output gate
    c̃_t  = tanh(w_c [h_{t-1}, x_t] + b_c)     candidate
    c_t  = f_t * c_{t-1} + i_t * c̃_t          cell state
    h_t  = o_t * tanh(c_t)                    hidden state

The four w stand side by side in one matrix W (H + D, 4H): rows [h; x], column blocks in the order f, i, o,
c̃. So all four gates come from one product, z = [h, x] W + b, and what is done to W is done to all of them.

Backward. A loss depends on h_t directly (dh, from above) and through step t+1; on c_t through h_t and through
step t+1 (dc, from the future). From the bottom up, with σ' = σ(1-σ) and tanh' = 1-tanh²:

    12. do      = dh * tanh(c_t)                        from h_t = o_t * tanh(c_t)
    11. dc      = dc + dh * o_t * (1 - tanh²(c_t))      c_t gets both: from step t+1 and through h_t
    10. df      = dc * c_{t-1}                          from c_t = f_t * c_{t-1} + i_t * c̃_t
     9. di      = dc * c̃_t
     8. dc̃      = dc * i_t
     7. dc_prev = dc * f_t                              along the cell: one factor f_t a step, no w, no tanh'
     6. dz_f    = df * f_t * (1 - f_t)                  through the sigmoids ...
     5. dz_i    = di * i_t * (1 - i_t)
     4. dz_o    = do * o_t * (1 - o_t)
     3. dz_c    = dc̃ * (1 - c̃_t²)                       ... and the tanh
     2. dW      = Σ_t [h_{t-1}, x_t]ᵀ dz_t,  db = Σ_t dz_t
     1. [dh_prev, dx] = dz Wᵀ                           first H columns to step t-1, the others to the input

``lstm_step`` is one time step, ``lstm_forward`` a loop of such steps over a whole sequence. The layers
compute the same, faster, with the functions in minilstm/kernels, which are compared with these.
"""

from __future__ import annotations

from inspect import unwrap
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.cells.activations import sigmoid
from minilstm.cells.arguments import (checked, sequence_arguments, sequence_gradients, step_arguments,
                                      step_gradients)
from minilstm.cells.gates import split_gates
from minilstm.cells.padding import real_steps, without_padding

GATES = ("f", "i", "o", "c")    # the one place that knows the order of W's column blocks


class LSTMStepCache(NamedTuple):
    """One step's values that backward needs: hx (N, H+D) = [h_prev, x_t]; the others (N, H); W (H+D, 4H)."""

    hx: Array
    c_prev: Array
    f: Array
    i: Array
    o: Array
    c_tilde: Array
    tanh_c: Array
    W: Array                # a reference: do not change it between forward and backward

    @property
    def state(self) -> Array:
        """An array of the states' shape (N, H) and dtype."""
        return self.f


class LSTMCache(NamedTuple):
    """A sequence's values that backward needs, time-major: row t of ``h``, ``c`` is the state before step
    t."""

    steps: list[LSTMStepCache]
    h: Array                # (T+1, N, H)
    c: Array                # (T+1, N, H)
    real: Array | None      # (T, N, 1) bool, False at padded steps; None: no padding

    @property
    def last(self) -> tuple[Array, ...]:
        """The final states (h, c), (N, H) each, a copy."""
        return self.h[-1].copy(), self.c[-1].copy()


@checked(step_arguments, GATES)
def lstm_step(x_t: Array, h_prev: Array, c_prev: Array, W: Array,
              b: Array) -> tuple[Array, Array, LSTMStepCache]:
    """One time step of the equations above. Return (h_t, c_t, cache).

    Args:
        x_t: (N, D) input at time t.
        h_prev, c_prev: (N, H) hidden state and cell state at time t-1.
        W: (H+D, 4H), rows [h; x], column blocks f, i, o, c̃.
        b: (4H,), in the same order.

    Raises ShapeError or DtypeError when they do not fit.
    """
    xp = get_array_module(x_t)
    hx = xp.concatenate([h_prev, x_t], axis=1)
    z_f, z_i, z_o, z_c = split_gates(hx @ W + b, GATES)
    f = sigmoid(z_f)
    i = sigmoid(z_i)
    o = sigmoid(z_o)
    c_tilde = xp.tanh(z_c)
    c_t = f * c_prev + i * c_tilde
    tanh_c = xp.tanh(c_t)
    h_t = o * tanh_c
    return h_t, c_t, LSTMStepCache(hx, c_prev.copy(), f, i, o, c_tilde, tanh_c, W)


@checked(step_gradients)
def lstm_step_backward(dh: Array | None, dc: Array | None,
                       cache: LSTMStepCache) -> tuple[Array, Array, Array, Array, Array]:
    """Backpropagate through one step. Return (dx_t, dh_prev, dc_prev, dW, db): of lstm_step's arguments.

    Args:
        dh: (N, H) gradient of h_t: from above and from step t+1, added up. None stands for zeros.
        dc: (N, H) gradient of c_t from step t+1. None stands for zeros.

    The numbers in the comments are those of the derivation at the top of this file.
    """
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    H = f.shape[1]
    do = dh * tanh_c                                # 12
    dc = dc + dh * o * (1.0 - tanh_c * tanh_c)      # 11
    df = dc * c_prev                                # 10
    di = dc * c_tilde                               # 9
    dc_tilde = dc * i                               # 8
    dc_prev = dc * f                                # 7
    dz = get_array_module(f).concatenate([
        df * f * (1.0 - f),                         # 6
        di * i * (1.0 - i),                         # 5
        do * o * (1.0 - o),                         # 4
        dc_tilde * (1.0 - c_tilde * c_tilde),       # 3
    ], axis=1)
    dW, db = hx.T @ dz, dz.sum(axis=0)              # 2
    dhx = dz @ W.T                                  # 1
    return dhx[:, H:], dhx[:, :H], dc_prev, dW, db


@checked(sequence_arguments, GATES)
def lstm_forward(x: Array, h0: Array | None, c0: Array | None, W: Array, b: Array, *, lengths: Any = None,
                 padding: str = "post") -> tuple[Array, Array, LSTMCache]:
    """Run an LSTM over whole sequences: ``lstm_step`` for each t. Return (h, c_last, cache).

    Args:
        x: (N, T, D) input, floating point.
        h0, c0: (N, H) initial hidden and cell state; None stands for zeros.
        W: (H+D, 4H), rows [h; x], column blocks f, i, o, c̃.
        b: (4H,), in the same order.
        lengths: N integers from 1 to T, the number of real steps of each sequence; None: all T.
        padding: "post" or "pre", the side on which sequences shorter than T are filled up. At padded steps
            the state is carried and the output is 0; the values of x there do not matter.

    Returns:
        h (N, T, H), the hidden state after each step (0 at padded steps); c_last (N, H), the cell state after
        the last real step; cache for lstm_backward. The dtype is the promotion of all arguments' dtypes.

    Raises ShapeError, DtypeError, ArgumentError (lengths, padding) before anything is computed.

    >>> import numpy as np, minilstm as ml
    >>> rng, (N, T, D, H) = np.random.default_rng(0), (2, 7, 3, 5)
    >>> x, W, b = rng.standard_normal((N, T, D)), rng.standard_normal((H + D, 4 * H)), np.zeros(4 * H)
    >>> h, c_last, cache = ml.lstm_forward(x, None, None, W, b)
    >>> dx, dh0, dc0, dW, db = ml.lstm_backward(np.ones_like(h), None, cache)
    >>> h.shape, c_last.shape, dx.shape, dW.shape
    ((2, 7, 5), (2, 5), (2, 7, 3), (8, 20))
    """
    xp = get_array_module(x)
    N, T, D = x.shape
    H = len(W) - D
    real = real_steps(lengths, T, padding, like=x)
    x = without_padding(x.transpose(1, 0, 2), real)                     # time-major: (T, N, D)
    h = xp.zeros((T + 1, N, H), dtype=x.dtype)
    c = xp.zeros((T + 1, N, H), dtype=x.dtype)
    h[0] = 0 if h0 is None else h0
    c[0] = 0 if c0 is None else c0
    step, steps = unwrap(lstm_step), []
    for t in range(T):
        h[t + 1], c[t + 1], cache = step(x[t], h[t], c[t], W, b)
        if real is not None:                                        # a padded step carries the states
            h[t + 1] = xp.where(real[t], h[t + 1], h[t])
            c[t + 1] = xp.where(real[t], c[t + 1], c[t])
        steps.append(cache)
    outputs = without_padding(h[1:], real)
    return outputs.transpose(1, 0, 2).copy(), c[T].copy(), LSTMCache(steps, h, c, real)


@checked(sequence_gradients)
def lstm_backward(dh: Array | None, dc_last: Array | None, cache: LSTMCache, *,
                  dh_last: Array | None = None) -> tuple[Array, Array, Array, Array, Array]:
    """Backpropagate through time: ``lstm_step_backward`` for each t, the last step first.

    Return (dx, dh0, dc0, dW, db), the gradients of lstm_forward's arguments.

    Args:
        dh: (N, T, H) gradient of every output; None stands for zeros. Values at padded steps are ignored.
        dc_last: (N, H) gradient of c_last; None stands for zeros.
        cache: from lstm_forward. It is read, never written: a second call gives the same bytes.
        dh_last: (N, H) gradient of the hidden state after the last real step, where that was used beside (or
            instead of) the outputs; None stands for zeros.

    A padded step is the identity on both states: their gradients pass it by, and all others are 0 there.
    """
    steps, h, _, real = cache
    xp, T = get_array_module(h), len(steps)
    _, N, H = h.shape
    dh_next = xp.zeros_like(h[0]) if dh_last is None else dh_last   # what step t+1 sends back to h_t
    dc = xp.zeros_like(h[0]) if dc_last is None else dc_last
    if dh is not None:
        dh = without_padding(dh.transpose(1, 0, 2), real)           # time-major: (T, N, H)
    dx = xp.empty((N, T, len(steps[0].W) - H), dtype=h.dtype)
    dW: Any = 0
    db: Any = 0
    step_backward = unwrap(lstm_step_backward)
    for t in reversed(range(T)):
        dh_t = dh_next if dh is None else dh[t] + dh_next
        if real is None:
            dx[:, t], dh_next, dc, dW_t, db_t = step_backward(dh_t, dc, steps[t])
        else:                                                       # a padded step passes dh and dc on
            real_dh, real_dc = xp.where(real[t], dh_t, 0), xp.where(real[t], dc, 0)
            dx[:, t], dh_prev, dc_prev, dW_t, db_t = step_backward(real_dh, real_dc, steps[t])
            dh_next, dc = xp.where(real[t], dh_prev, dh_t), xp.where(real[t], dc_prev, dc)
        dW, db = dW + dW_t, db + db_t
    return dx, dh_next, dc, dW, db
