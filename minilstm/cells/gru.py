"""The GRU, forward and backward, by hand (Cho et al. 2014, with the reset gate after the product, as in cuDNN
and PyTorch).

One step, with * elementwise and [h, x] the concatenation of the previous hidden state and the input:

    r_t = σ(w_r [h_{t-1}, x_t] + b_r)                           reset gate
    z_t = σ(w_z [h_{t-1}, x_t] + b_z)                           update gate
    q_t = w_nh h_{t-1} + b_nh                                   the past's share of the candidate
    n_t = tanh(w_nx x_t + b_nx + r_t * q_t)                     candidate; r_t scales the past's share
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}                       hidden state

The three w stand side by side in one matrix W (H + D, 3H): rows [h; x], column blocks in the order r, z, n.
The candidate is the one gate with two biases, since r_t stands between them: b (4H,) is b_r, b_z, b_nx, b_nh.
As z is the usual name of the update gate, pre-activations are called a here.

Backward. A loss depends on h_t directly and through step t+1 (dh, their sum). Reading the equations from the
bottom up, with σ' = σ(1-σ) and tanh' = 1-tanh²:

    10. dn      = dh * (1 - z_t)                        from h_t = (1 - z_t) * n_t + z_t * h_{t-1}
     9. dz      = dh * (h_{t-1} - n_t)
     8. dh_prev = dh * z_t                              along the state: one factor z_t a step, no w, no tanh'
     7. da_n    = dn * (1 - n_t²)                       through the tanh, to w_nx x + b_nx and to r * q alike
     6. dq      = da_n * r_t                            from r_t * q_t
     5. dr      = da_n * q_t
     4. da_z    = dz * z_t * (1 - z_t)                  through the sigmoids
     3. da_r    = dr * r_t * (1 - r_t)
     2. dW_r, dW_z = Σ_t [h_{t-1}, x_t]ᵀ da_t,  dW_nh = Σ_t h_{t-1}ᵀ dq_t,  dW_nx = Σ_t x_tᵀ da_n,  b alike
     da_t
     1. dh_prev += [da_r, da_z, dq] W_hᵀ,  dx = [da_r, da_z, da_n] W_xᵀ

So in the candidate's block h and x receive different gradients, dq and da_n; in the others, the same.

``gru_step`` is one time step, ``gru_forward`` a loop of such steps over a whole sequence. The layers compute
the same, faster, with the functions in minilstm/kernels, which are compared with these.
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

GATES = ("r", "z", "n")                 # the one place that knows the order of W's column blocks
BIASES = ("r", "z", "nx", "nh")         # and that of b's


class GRUStepCache(NamedTuple):
    """One step's values that backward needs: x_t (N, D); h_prev, r, z, n, q (N, H); W (H+D, 3H)."""

    x: Array
    h_prev: Array
    r: Array
    z: Array
    n: Array
    q: Array
    W: Array                # a reference: do not change it between forward and backward

    @property
    def state(self) -> Array:
        """An array of the state's shape (N, H) and dtype."""
        return self.h_prev


class GRUCache(NamedTuple):
    """A sequence's values that backward needs, time-major: row t of ``h`` is the state before step t."""

    steps: list[GRUStepCache]
    h: Array                # (T+1, N, H)
    real: Array | None      # (T, N, 1) bool, False at padded steps; None: no padding

    @property
    def last(self) -> tuple[Array, ...]:
        """The final state (h,), (N, H), a copy."""
        return (self.h[-1].copy(),)


@checked(step_arguments, GATES, BIASES)
def gru_step(x_t: Array, h_prev: Array, W: Array, b: Array) -> tuple[Array, GRUStepCache]:
    """One time step of the equations above. Return (h_t, cache).

    Args:
        x_t: (N, D) input at time t.
        h_prev: (N, H) hidden state at time t-1.
        W: (H+D, 3H), rows [h; x], column blocks r, z, n.
        b: (4H,): b_r, b_z, b_nx, b_nh.

    Raises ShapeError or DtypeError when they do not fit.
    """
    H = h_prev.shape[1]
    w_rh, w_zh, w_nh = split_gates(W[:H], GATES)
    w_rx, w_zx, w_nx = split_gates(W[H:], GATES)
    b_r, b_z, b_nx, b_nh = split_gates(b, BIASES)
    r = sigmoid(h_prev @ w_rh + x_t @ w_rx + b_r)
    z = sigmoid(h_prev @ w_zh + x_t @ w_zx + b_z)
    q = h_prev @ w_nh + b_nh
    n = get_array_module(x_t).tanh(x_t @ w_nx + b_nx + r * q)
    h_t = (1.0 - z) * n + z * h_prev
    return h_t, GRUStepCache(x_t.copy(), h_prev.copy(), r, z, n, q, W)


@checked(step_gradients)
def gru_step_backward(dh: Array | None, cache: GRUStepCache) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through one step. Return (dx_t, dh_prev, dW, db), the gradients of gru_step's arguments.

    ``dh`` (N, H) is the gradient of h_t: from above and from step t+1, added up; None stands for zeros. The
    numbers in the comments are those of the derivation at the top of this file.
    """
    x_t, h_prev, r, z, n, q, W = cache
    xp, H = get_array_module(h_prev), h_prev.shape[1]
    dn = dh * (1.0 - z)                                     # 10
    dz = dh * (h_prev - n)                                  # 9
    dh_prev = dh * z                                        # 8
    da_n = dn * (1.0 - n * n)                               # 7
    dq = da_n * r                                           # 6
    dr = da_n * q                                           # 5
    da_z = dz * z * (1.0 - z)                               # 4
    da_r = dr * r * (1.0 - r)                               # 3
    from_h = xp.concatenate([da_r, da_z, dq], axis=1)       # the gradient of the product h W_h
    from_x = xp.concatenate([da_r, da_z, da_n], axis=1)     # the gradient of the product x W_x
    dW = xp.concatenate([h_prev.T @ from_h, x_t.T @ from_x])                            # 2
    db = xp.concatenate([da_r, da_z, da_n, dq], axis=1).sum(axis=0)
    return from_x @ W[H:].T, dh_prev + from_h @ W[:H].T, dW, db                         # 1


@checked(sequence_arguments, GATES, BIASES)
def gru_forward(x: Array, h0: Array | None, W: Array, b: Array, *, lengths: Any = None,
                padding: str = "post") -> tuple[Array, GRUCache]:
    """Run a GRU over whole sequences: ``gru_step`` for each t. Return (h, cache).

    Args:
        x: (N, T, D) input, floating point.
        h0: (N, H) initial hidden state; None stands for zeros.
        W: (H+D, 3H), rows [h; x], column blocks r, z, n.
        b: (4H,): b_r, b_z, b_nx, b_nh.
        lengths: N integers from 1 to T, the number of real steps of each sequence; None: all T.
        padding: "post" or "pre", the side on which sequences shorter than T are filled up. At padded steps
            the state is carried and the output is 0; the values of x there do not matter.

    Returns:
        h (N, T, H), the hidden state after each step (0 at padded steps); cache for gru_backward, whose
        ``h[T]`` (N, H) is the state after the last real step. The dtype is the promotion of all arguments'
        dtypes.

    Raises ShapeError, DtypeError, ArgumentError (lengths, padding) before anything is computed.

    >>> import numpy as np, minilstm as ml
    >>> rng, (N, T, D, H) = np.random.default_rng(0), (2, 7, 3, 5)
    >>> x, W, b = rng.standard_normal((N, T, D)), rng.standard_normal((H + D, 3 * H)), np.zeros(4 * H)
    >>> h, cache = ml.gru_forward(x, None, W, b)
    >>> dx, dh0, dW, db = ml.gru_backward(np.ones_like(h), cache)
    >>> h.shape, dx.shape, dh0.shape, dW.shape
    ((2, 7, 5), (2, 7, 3), (2, 5), (8, 15))
    """
    xp = get_array_module(x)
    N, T, D = x.shape
    real = real_steps(lengths, T, padding, like=x)
    x = without_padding(x.transpose(1, 0, 2), real)                     # time-major: (T, N, D)
    h = xp.zeros((T + 1, N, len(W) - D), dtype=x.dtype)
    h[0] = 0 if h0 is None else h0
    step, steps = unwrap(gru_step), []
    for t in range(T):
        h[t + 1], cache = step(x[t], h[t], W, b)
        if real is not None:                                        # a padded step carries the state
            h[t + 1] = xp.where(real[t], h[t + 1], h[t])
        steps.append(cache)
    return without_padding(h[1:], real).transpose(1, 0, 2).copy(), GRUCache(steps, h, real)


@checked(sequence_gradients)
def gru_backward(dh: Array | None, cache: GRUCache, *,
                 dh_last: Array | None = None) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through time: ``gru_step_backward`` for each t, the last step first.

    Return (dx, dh0, dW, db), the gradients of gru_forward's arguments.

    Args:
        dh: (N, T, H) gradient of every output; None stands for zeros. Values at padded steps are ignored.
        cache: from gru_forward. It is read, never written: a second call gives the same bytes.
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
    step_backward = unwrap(gru_step_backward)
    for t in reversed(range(T)):
        dh_t = dh_next if dh is None else dh[t] + dh_next
        if real is None:
            dx[:, t], dh_next, dW_t, db_t = step_backward(dh_t, steps[t])
        else:                                                       # a padded step passes dh on
            dx[:, t], dh_prev, dW_t, db_t = step_backward(xp.where(real[t], dh_t, 0), steps[t])
            dh_next = xp.where(real[t], dh_prev, dh_t)
        dW, db = dW + dW_t, db + db_t
    return dx, dh_next, dW, db
