"""The simple recurrent network, forward and backward, by hand (Elman 1990).

One step, with [h, x] the concatenation of the previous hidden state and the input:

    h_t = tanh(w_h [h_{t-1}, x_t] + b_h)            or relu in place of tanh

W is w_h as one matrix (H + D, H), rows [h; x].

Backward. A loss depends on h_t directly (dh, from above) and through step t+1. From the bottom up:

    3. dz = dh * (1 - h_t²)                         through the tanh (relu: dh where h_t > 0, else 0)
    2. dW = Σ_t [h_{t-1}, x_t]ᵀ dz_t,  db = Σ_t dz_t
    1. [dh_prev, dx] = dz Wᵀ                        first H columns to step t-1, the others to the input

Each step back multiplies dh by diag(1 - h_t²) W_hᵀ, and the gradient has no other way back: it is the product
of many such matrices that vanishes or explodes (Bengio et al. 1994). Compare step 7 of lstm.py.
"""

from __future__ import annotations

from inspect import unwrap
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.cells.activations import d_relu, d_tanh, relu
from minilstm.cells.arguments import (checked, sequence_arguments, sequence_gradients, step_arguments,
                                      step_gradients)
from minilstm.cells.padding import real_steps, without_padding

GATES = ("h",)


class RNNStepCache(NamedTuple):
    """One step's values that backward needs: hx (N, H+D) = [h_prev, x_t], h (N, H), W (H+D, H)."""

    hx: Array
    h: Array
    W: Array                # a reference: do not change it between forward and backward
    nonlinearity: str

    @property
    def state(self) -> Array:
        """An array of the state's shape (N, H) and dtype."""
        return self.h


class RNNCache(NamedTuple):
    """A sequence's values that backward needs, time-major: row t of ``h`` is the state before step t."""

    steps: list[RNNStepCache]
    h: Array                # (T+1, N, H)
    real: Array | None      # (T, N, 1) bool, False at padded steps; None: no padding

    @property
    def last(self) -> tuple[Array, ...]:
        """The final state (h,), (N, H), a copy."""
        return (self.h[-1].copy(),)


@checked(step_arguments, GATES)
def rnn_step(x_t: Array, h_prev: Array, W: Array, b: Array, *,
             nonlinearity: str = "tanh") -> tuple[Array, RNNStepCache]:
    """One time step of the equation above. Return (h_t, cache).

    Args:
        x_t: (N, D) input at time t.
        h_prev: (N, H) hidden state at time t-1.
        W: (H+D, H), rows [h; x].
        b: (H,).
        nonlinearity: "tanh" or "relu".

    Raises ShapeError, DtypeError or ArgumentError when they do not fit.
    """
    xp = get_array_module(x_t)
    hx = xp.concatenate([h_prev, x_t], axis=1)
    z = hx @ W + b
    h_t = xp.tanh(z) if nonlinearity == "tanh" else relu(z)
    return h_t, RNNStepCache(hx, h_t.copy(), W, nonlinearity)


@checked(step_gradients)
def rnn_step_backward(dh: Array | None, cache: RNNStepCache) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through one step. Return (dx_t, dh_prev, dW, db), the gradients of rnn_step's arguments.

    ``dh`` (N, H) is the gradient of h_t: from above and from step t+1, added up; None stands for zeros. The
    numbers in the comments are those of the derivation at the top of this file.
    """
    hx, h, W, nonlinearity = cache
    H = h.shape[1]
    dz = dh * (d_tanh(h) if nonlinearity == "tanh" else d_relu(h))      # 3
    dW, db = hx.T @ dz, dz.sum(axis=0)                                  # 2
    dhx = dz @ W.T                                                      # 1
    return dhx[:, H:], dhx[:, :H], dW, db


@checked(sequence_arguments, GATES)
def rnn_forward(x: Array, h0: Array | None, W: Array, b: Array, *, nonlinearity: str = "tanh",
                lengths: Any = None, padding: str = "post") -> tuple[Array, RNNCache]:
    """Run an RNN over whole sequences: ``rnn_step`` for each t. Return (h, cache).

    Args:
        x: (N, T, D) input, floating point.
        h0: (N, H) initial hidden state; None stands for zeros.
        W: (H+D, H), rows [h; x].
        b: (H,).
        nonlinearity: "tanh" or "relu".
        lengths: N integers from 1 to T, the number of real steps of each sequence; None: all T.
        padding: "post" or "pre", the side on which sequences shorter than T are filled up. At padded steps
            the state is carried and the output is 0; the values of x there do not matter.

    Returns:
        h (N, T, H), the hidden state after each step (0 at padded steps); cache for rnn_backward, whose
        ``h[T]`` (N, H) is the state after the last real step. The dtype is the promotion of all arguments'
        dtypes.

    Raises ShapeError, DtypeError, ArgumentError before anything is computed.

    >>> import numpy as np, minilstm as ml
    >>> rng, (N, T, D, H) = np.random.default_rng(0), (2, 7, 3, 5)
    >>> x, W, b = rng.standard_normal((N, T, D)), rng.standard_normal((H + D, H)), np.zeros(H)
    >>> h, cache = ml.rnn_forward(x, None, W, b)
    >>> dx, dh0, dW, db = ml.rnn_backward(np.ones_like(h), cache)
    >>> h.shape, dx.shape, dh0.shape, dW.shape
    ((2, 7, 5), (2, 7, 3), (2, 5), (8, 5))
    """
    xp = get_array_module(x)
    N, T, D = x.shape
    real = real_steps(lengths, T, padding, like=x)
    x = without_padding(x.transpose(1, 0, 2), real)                     # time-major: (T, N, D)
    h = xp.zeros((T + 1, N, len(W) - D), dtype=x.dtype)
    h[0] = 0 if h0 is None else h0
    step, steps = unwrap(rnn_step), []
    for t in range(T):
        h[t + 1], cache = step(x[t], h[t], W, b, nonlinearity=nonlinearity)
        if real is not None:                                        # a padded step carries the state
            h[t + 1] = xp.where(real[t], h[t + 1], h[t])
        steps.append(cache)
    return without_padding(h[1:], real).transpose(1, 0, 2).copy(), RNNCache(steps, h, real)


@checked(sequence_gradients)
def rnn_backward(dh: Array | None, cache: RNNCache, *,
                 dh_last: Array | None = None) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through time: ``rnn_step_backward`` for each t, the last step first.

    Return (dx, dh0, dW, db), the gradients of rnn_forward's arguments.

    Args:
        dh: (N, T, H) gradient of every output; None stands for zeros. Values at padded steps are ignored.
        cache: from rnn_forward. It is read, never written: a second call gives the same bytes.
        dh_last: (N, H) gradient of the hidden state after the last real step, where that was used beside (or
            instead of) the outputs; None stands for zeros.

    A padded step is the identity on the state: its gradient passes it by, and all others are 0 there.
    """
    steps, h, real = cache
    xp, T = get_array_module(h), len(steps)
    _, N, H = h.shape
    dh_next = xp.zeros_like(h[0]) if dh_last is None else dh_last   # what step t+1 sends back to h_t
    if dh is not None:
        dh = without_padding(dh.transpose(1, 0, 2), real)           # time-major: (T, N, H)
    dx = xp.empty((N, T, len(steps[0].W) - H), dtype=h.dtype)
    dW: Any = 0
    db: Any = 0
    step_backward = unwrap(rnn_step_backward)
    for t in reversed(range(T)):
        dh_t = dh_next if dh is None else dh[t] + dh_next
        if real is None:
            dx[:, t], dh_next, dW_t, db_t = step_backward(dh_t, steps[t])
        else:                                                       # a padded step passes dh on
            dx[:, t], dh_prev, dW_t, db_t = step_backward(xp.where(real[t], dh_t, 0), steps[t])
            dh_next = xp.where(real[t], dh_prev, dh_t)
        dW, db = dW + dW_t, db + db_t
    return dx, dh_next, dW, db
