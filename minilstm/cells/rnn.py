"""The simple recurrent network, forward and backward, by hand (Elman 1990).

One step, with [h, x] the concatenation of the previous hidden state and the input:

    h_t = tanh(w_h [h_{t-1}, x_t] + b_h)            or relu in place of tanh

W is w_h as one matrix (H + D, H), rows [h; x].

Backward. A loss depends on h_t directly (dh, from above) and through step t+1. From the bottom up:

    3. dz = dh * (1 - h_t²)                         through the tanh (relu: dh where h_t > 0, else 0)
    2. dW = Σ_t [h_{t-1}, x_t]ᵀ dz_t,  db = Σ_t dz_t
    1. [dh_prev, dx] = dz Wᵀ                        first H columns to step t-1, the others to the input

Each step back multiplies dh by diag(1 - h_t²) W_hᵀ, and the gradient has no other way back: it is the product of many
such matrices that vanishes or explodes (Bengio et al. 1994). Compare step 7 of lstm.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import check_choice
from minilstm.cells.activations import d_relu, d_tanh, relu
from minilstm.cells.gates import check_sequence, check_step, upstream

GATES = ("h",)
NONLINEARITIES = ("tanh", "relu")


class RNNStepCache(NamedTuple):
    """One step's values that backward needs: hx (N, H+D) = [h_prev, x_t], h (N, H), W (H+D, H), nonlinearity."""

    hx: Array
    h: Array
    W: Array
    nonlinearity: str


class RNNCache(NamedTuple):
    """A sequence's values that backward needs, time-major: row t of ``h`` is the state before step t."""

    x: Array                # (T, N, D)
    h: Array                # (T+1, N, H)
    real: Array | None      # (T, N, 1) bool, False at padded steps; None: no padding
    W: Array                # (H+D, H), a reference: do not change it between forward and backward
    nonlinearity: str

    @property
    def last(self) -> tuple[Array, ...]:
        """The final state (h,), (N, H), a copy."""
        return (self.h[-1].copy(),)


def _activation(nonlinearity: str, xp: Any) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return the activation and its derivative in terms of its value."""
    return (xp.tanh, d_tanh) if nonlinearity == "tanh" else (relu, d_relu)


def rnn_step(x_t: Array, h_prev: Array, W: Array, b: Array, *, nonlinearity: str = "tanh") -> tuple[Array, RNNStepCache]:
    """One time step of the equation above. Return (h_t, cache).

    Args:
        x_t: (N, D) input at time t.
        h_prev: (N, H) hidden state at time t-1.
        W: (H+D, H), rows [h; x].
        b: (H,).
        nonlinearity: "tanh" or "relu".

    Raises ShapeError, DtypeError or ArgumentError when they do not fit.
    """
    check_choice("nonlinearity", nonlinearity, NONLINEARITIES)
    xp, _, (x_t, h_prev, W, b) = check_step(x_t, {"h_prev": h_prev}, W, b, GATES, GATES)
    activate, _ = _activation(nonlinearity, xp)
    hx = xp.concatenate([h_prev, x_t], axis=1)
    h_t = activate(hx @ W + b)
    return h_t, RNNStepCache(hx, h_t.copy(), W, nonlinearity)


def rnn_step_backward(dh: Array | None, cache: RNNStepCache) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through one step. Return (dx_t, dh_prev, dW, db), the gradients of rnn_step's arguments.

    ``dh`` (N, H) is the gradient of h_t: from above and from step t+1, added up; None stands for zeros. The numbers in
    the comments are those of the derivation at the top of this file.
    """
    hx, h, W, nonlinearity = cache
    xp = get_array_module(dh, hx)
    H = h.shape[1]
    _, derivative = _activation(nonlinearity, xp)
    dz = upstream("dh", dh, tuple(h.shape), "N, H", like=h) * derivative(h)     # 3
    dW, db = hx.T @ dz, dz.sum(axis=0)                                          # 2
    dhx = dz @ W.T                                                              # 1
    return dhx[:, H:], dhx[:, :H], dW, db


def rnn_forward(x: Array, h0: Array | None, W: Array, b: Array, *, nonlinearity: str = "tanh", lengths: Any = None,
                padding: str = "post") -> tuple[Array, RNNCache]:
    """Run an RNN over whole sequences. Return (h, cache).

    Args:
        x: (N, T, D) input, floating point.
        h0: (N, H) initial hidden state; None stands for zeros.
        W: (H+D, H), rows [h; x].
        b: (H,).
        nonlinearity: "tanh" or "relu".
        lengths: N integers from 1 to T, the number of real steps of each sequence; None: all T.
        padding: "post" or "pre", the side on which sequences shorter than T are filled up. At padded steps the state is
            carried and the output is 0; the values of x there do not matter.

    Returns:
        h (N, T, H), the hidden state after each step (0 at padded steps); cache for rnn_backward, whose ``h[T]`` (N, H)
        is the state after the last real step. The dtype is the promotion of all arguments' dtypes.

    Raises ShapeError, DtypeError, ArgumentError before anything is computed.

    >>> import numpy as np, minilstm as ml
    >>> rng, (N, T, D, H) = np.random.default_rng(0), (2, 7, 3, 5)
    >>> x, W, b = rng.standard_normal((N, T, D)), rng.standard_normal((H + D, H)), np.zeros(H)
    >>> h, cache = ml.rnn_forward(x, None, W, b)
    >>> dx, dh0, dW, db = ml.rnn_backward(np.ones_like(h), cache)
    >>> h.shape, dx.shape, dh0.shape, dW.shape
    ((2, 7, 5), (2, 7, 3), (2, 5), (8, 5))
    """
    check_choice("nonlinearity", nonlinearity, NONLINEARITIES)
    xp, (N, T, D, H), x, (h0,), W, b, real, dtype = check_sequence(x, {"h0": h0}, W, b, GATES, GATES, lengths, padding)
    activate, _ = _activation(nonlinearity, xp)
    x = x.transpose(1, 0, 2).astype(dtype, order="C")           # time-major, a copy: (T, N, D)
    if real is not None:
        x = xp.where(real, x, xp.zeros_like(x))
    h = xp.zeros((T + 1, N, H), dtype=dtype)
    h[0] = 0 if h0 is None else h0
    W_h, W_x = W[:H], W[H:]
    z = (x.reshape(T * N, D) @ W_x).reshape(T, N, H)            # z's share from x, all steps in one product
    z += b
    for t in range(T):
        h_t = activate(z[t] + h[t] @ W_h)
        h[t + 1] = h_t if real is None else xp.where(real[t], h_t, h[t])    # a padded step carries the state
    out = h[1:] if real is None else xp.where(real, h[1:], xp.zeros_like(h[1:]))
    return out.transpose(1, 0, 2).copy(), RNNCache(x, h, real, W, nonlinearity)


def rnn_backward(dh: Array | None, cache: RNNCache, *,
                 dh_last: Array | None = None) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through time. Return (dx, dh0, dW, db), the gradients of rnn_forward's arguments.

    Args:
        dh: (N, T, H) gradient of every output; None stands for zeros. Values at padded steps are ignored.
        cache: from rnn_forward. It is read, never written: a second call gives the same bytes.
        dh_last: (N, H) gradient of the hidden state after the last real step, where that was used beside (or instead of)
            the outputs; None stands for zeros.

    The numbers in the comments are those of the derivation at the top of this file. A padded step is the identity on the
    state, so there dh passes through and dz is 0.
    """
    x, h, real, W, nonlinearity = cache
    xp = get_array_module(dh, dh_last, x)
    T, N, D = x.shape
    H = h.shape[2]
    if dh is not None:
        dh = upstream("dh", dh, (N, T, H), "N, T, H", like=h).transpose(1, 0, 2)
        if real is not None:
            dh = xp.where(real, dh, xp.zeros_like(dh))
    dh_next = upstream("dh_last", dh_last, (N, H), "N, H", like=h)      # what step t+1 sends back to h_t
    W_h, W_x = W[:H], W[H:]
    W_hT = xp.ascontiguousarray(W_h.T)
    _, derivative = _activation(nonlinearity, xp)
    dz = xp.empty((T, N, H), dtype=h.dtype)
    for t in range(T - 1, -1, -1):
        dh_t = dh_next if dh is None else dh[t] + dh_next
        xp.multiply(dh_t, derivative(h[t + 1]), out=dz[t])              # 3
        if real is not None:
            dz[t] *= real[t]
        dh_prev = dz[t] @ W_hT                                          # 1, the columns of h
        dh_next = dh_prev if real is None else xp.where(real[t], dh_prev, dh_t)
    rows = dz.reshape(T * N, H)
    dW = xp.concatenate([h[:T].reshape(T * N, H).T @ rows, x.reshape(T * N, D).T @ rows])      # 2
    db = rows.sum(axis=0)
    dx = (rows @ W_x.T).reshape(T, N, D).transpose(1, 0, 2).copy()      # 1, the columns of x
    return dx, dh_next, dW, db
