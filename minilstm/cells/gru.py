"""The GRU, forward and backward, by hand (Cho et al. 2014, with the reset gate after the product, as in cuDNN and PyTorch).

One step, with * elementwise and [h, x] the concatenation of the previous hidden state and the input:

    r_t = σ(w_r [h_{t-1}, x_t] + b_r)                           reset gate
    z_t = σ(w_z [h_{t-1}, x_t] + b_z)                           update gate
    q_t = w_nh h_{t-1} + b_nh                                   the past's share of the candidate
    n_t = tanh(w_nx x_t + b_nx + r_t * q_t)                     candidate; r_t scales the past's share
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}                       hidden state

The three w stand side by side in one matrix W (H + D, 3H): rows [h; x], column blocks in the order r, z, n. The candidate is
the one gate with two biases, since r_t stands between them: b (4H,) is b_r, b_z, b_nx, b_nh. As z is the usual name of the
update gate, pre-activations are called a here.

Backward. A loss depends on h_t directly and through step t+1 (dh, their sum). Reading the equations from the bottom up, with
σ' = σ(1-σ) and tanh' = 1-tanh²:

    10. dn      = dh * (1 - z_t)                        from h_t = (1 - z_t) * n_t + z_t * h_{t-1}
     9. dz      = dh * (h_{t-1} - n_t)
     8. dh_prev = dh * z_t                              the path along the state: one factor z_t a step, no w, no tanh'
     7. da_n    = dn * (1 - n_t²)                       through the tanh, to w_nx x + b_nx and to r * q alike
     6. dq      = da_n * r_t                            from r_t * q_t
     5. dr      = da_n * q_t
     4. da_z    = dz * z_t * (1 - z_t)                  through the sigmoids
     3. da_r    = dr * r_t * (1 - r_t)
     2. dW_r, dW_z = Σ_t [h_{t-1}, x_t]ᵀ da_t,  dW_nh = Σ_t h_{t-1}ᵀ dq_t,  dW_nx = Σ_t x_tᵀ da_n,  the biases alike
     1. dh_prev += [da_r, da_z, dq] W_hᵀ,  dx = [da_r, da_z, da_n] W_xᵀ

So in the candidate's block h and x receive different gradients, dq and da_n; in the other blocks they receive the same.

``gru_step`` is one time step, as in a textbook. ``gru_forward`` does the same over a whole sequence: the products with x
need no recurrence, so they are computed for all steps at once, and so are the weight gradients, after the backward loop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.cells.activations import sigmoid
from minilstm.cells.gates import check_sequence, check_step, gate_columns, upstream

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
    W: Array


class GRUCache(NamedTuple):
    """A sequence's values that backward needs, time-major: row t of ``h`` is the state before step t."""

    x: Array                # (T, N, D)
    h: Array                # (T+1, N, H)
    gates: Array            # (T, N, 3H): r, z, n after their nonlinearity
    q: Array                # (T, N, H)
    real: Array | None      # (T, N, 1) bool, False at padded steps; None: no padding
    W: Array                # (H+D, 3H), a reference: do not change it between forward and backward

    @property
    def last(self) -> tuple[Array, ...]:
        """The final state (h,), (N, H), a copy."""
        return (self.h[-1].copy(),)


def gru_step(x_t: Array, h_prev: Array, W: Array, b: Array) -> tuple[Array, GRUStepCache]:
    """One time step of the equations above. Return (h_t, cache).

    Args:
        x_t: (N, D) input at time t.
        h_prev: (N, H) hidden state at time t-1.
        W: (H+D, 3H), rows [h; x], column blocks r, z, n.
        b: (4H,): b_r, b_z, b_nx, b_nh.

    Raises ShapeError or DtypeError when they do not fit.
    """
    xp, H, (x_t, h_prev, W, b) = check_step(x_t, {"h_prev": h_prev}, W, b, GATES, BIASES)
    W_h, W_x = W[:H], W[H:]
    (w_rh, w_zh, w_nh), (w_rx, w_zx, w_nx) = ([w[:, gate_columns(GATES, gate, H)] for gate in GATES] for w in (W_h, W_x))
    b_r, b_z, b_nx, b_nh = (b[gate_columns(BIASES, bias, H)] for bias in BIASES)
    r = sigmoid(h_prev @ w_rh + x_t @ w_rx + b_r)
    z = sigmoid(h_prev @ w_zh + x_t @ w_zx + b_z)
    q = h_prev @ w_nh + b_nh
    n = xp.tanh(x_t @ w_nx + b_nx + r * q)
    h_t = (1.0 - z) * n + z * h_prev
    return h_t, GRUStepCache(x_t.copy(), h_prev.copy(), r, z, n, q, W)


def gru_step_backward(dh: Array | None, cache: GRUStepCache) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through one step. Return (dx_t, dh_prev, dW, db), the gradients of gru_step's arguments.

    ``dh`` (N, H) is the gradient of h_t: from above and from step t+1, added up; None stands for zeros. The numbers in
    the comments are those of the derivation at the top of this file.
    """
    x_t, h_prev, r, z, n, q, W = cache
    xp = get_array_module(dh, x_t)
    H = h_prev.shape[1]
    W_h, W_x = W[:H], W[H:]
    dh = upstream("dh", dh, tuple(h_prev.shape), "N, H", like=h_prev)
    dn = dh * (1.0 - z)                                     # 10
    dz = dh * (h_prev - n)                                  # 9
    dh_prev = dh * z                                        # 8
    da_n = dn * (1.0 - n * n)                               # 7
    dq, dr = da_n * r, da_n * q                             # 6, 5
    da_z = dz * z * (1.0 - z)                               # 4
    da_r = dr * r * (1.0 - r)                               # 3
    from_h = xp.concatenate([da_r, da_z, dq], axis=1)       # the gradient of the product h W_h
    from_x = xp.concatenate([da_r, da_z, da_n], axis=1)     # the gradient of the product x W_x
    dW = xp.concatenate([h_prev.T @ from_h, x_t.T @ from_x])                                            # 2
    db = xp.concatenate([da_r, da_z, da_n, dq], axis=1).sum(axis=0)
    return from_x @ W_x.T, dh_prev + from_h @ W_h.T, dW, db                                             # 1


def gru_forward(x: Array, h0: Array | None, W: Array, b: Array, *, lengths: Any = None,
                padding: str = "post") -> tuple[Array, GRUCache]:
    """Run a GRU over whole sequences. Return (h, cache).

    Args:
        x: (N, T, D) input, floating point.
        h0: (N, H) initial hidden state; None stands for zeros.
        W: (H+D, 3H), rows [h; x], column blocks r, z, n.
        b: (4H,): b_r, b_z, b_nx, b_nh.
        lengths: N integers from 1 to T, the number of real steps of each sequence; None: all T.
        padding: "post" or "pre", the side on which sequences shorter than T are filled up. At padded steps the state is
            carried and the output is 0; the values of x there do not matter.

    Returns:
        h (N, T, H), the hidden state after each step (0 at padded steps); cache for gru_backward, whose ``h[T]`` (N, H)
        is the state after the last real step. The dtype is the promotion of all arguments' dtypes.

    Raises ShapeError, DtypeError, ArgumentError (lengths, padding) before anything is computed.

    >>> import numpy as np, minilstm as ml
    >>> rng, (N, T, D, H) = np.random.default_rng(0), (2, 7, 3, 5)
    >>> x, W, b = rng.standard_normal((N, T, D)), rng.standard_normal((H + D, 3 * H)), np.zeros(4 * H)
    >>> h, cache = ml.gru_forward(x, None, W, b)
    >>> dx, dh0, dW, db = ml.gru_backward(np.ones_like(h), cache)
    >>> h.shape, dx.shape, dh0.shape, dW.shape
    ((2, 7, 5), (2, 7, 3), (2, 5), (8, 15))
    """
    xp, (N, T, D, H), x, (h0,), W, b, real, dtype = check_sequence(x, {"h0": h0}, W, b, GATES, BIASES, lengths, padding)
    rz, candidate = slice(0, 2 * H), gate_columns(GATES, "n", H)

    x = x.transpose(1, 0, 2).astype(dtype, order="C")           # time-major, a copy: (T, N, D)
    if real is not None:
        x = xp.where(real, x, xp.zeros_like(x))
    h = xp.zeros((T + 1, N, H), dtype=dtype)
    q = xp.empty((T, N, H), dtype=dtype)
    h[0] = 0 if h0 is None else h0
    W_h, W_x = W[:H], W[H:]
    b_nh = b[gate_columns(BIASES, "nh", H)]
    gates = (x.reshape(T * N, D) @ W_x).reshape(T, N, 3 * H)    # each a's share from x, all steps in one product
    gates += b[:3 * H]
    for t in range(T):
        a, from_h = gates[t], h[t] @ W_h
        a[:, rz] += from_h[:, rz]
        # σ(a) = ½ (1 + tanh(a/2))
        a[:, rz] *= 0.5
        xp.tanh(a[:, rz], out=a[:, rz])
        a[:, rz] += 1.0
        a[:, rz] *= 0.5
        r, z, n = (a[:, gate_columns(GATES, gate, H)] for gate in GATES)
        xp.add(from_h[:, candidate], b_nh, out=q[t])
        n += r * q[t]
        xp.tanh(n, out=n)
        h_t = (1.0 - z) * n + z * h[t]
        h[t + 1] = h_t if real is None else xp.where(real[t], h_t, h[t])       # a padded step carries the state
    out = h[1:] if real is None else xp.where(real, h[1:], xp.zeros_like(h[1:]))
    return out.transpose(1, 0, 2).copy(), GRUCache(x, h, gates, q, real, W)


def gru_backward(dh: Array | None, cache: GRUCache, *,
                 dh_last: Array | None = None) -> tuple[Array, Array, Array, Array]:
    """Backpropagate through time. Return (dx, dh0, dW, db), the gradients of gru_forward's arguments.

    Args:
        dh: (N, T, H) gradient of every output; None stands for zeros. Values at padded steps are ignored.
        cache: from gru_forward. It is read, never written: a second call gives the same bytes.
        dh_last: (N, H) gradient of the hidden state after the last real step, where that was used beside (or instead of)
            the outputs; None stands for zeros.

    The numbers in the comments are those of the derivation at the top of this file. A padded step is the identity on the
    state, so there dh passes through and all da are 0.
    """
    x, h, gates, q, real, W = cache
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
    da = xp.empty((T, N, 4 * H), dtype=h.dtype)                         # blocks r, z, n and q
    columns = [gate_columns(GATES, gate, H) for gate in GATES]
    to_h = [*range(2 * H), *range(3 * H, 4 * H)]                        # the blocks computed from h: r, z, q
    for t in range(T - 1, -1, -1):
        r, z, n = (gates[t][:, block] for block in columns)
        da_r, da_z, da_n, dq = (da[t][:, k * H:(k + 1) * H] for k in range(4))
        dh_t = dh_next if dh is None else dh[t] + dh_next
        xp.multiply(dh_t * (1.0 - z), 1.0 - n * n, out=da_n)            # 10, 7
        xp.multiply(da_n, r, out=dq)                                    # 6
        xp.multiply(dh_t * (h[t] - n), z * (1.0 - z), out=da_z)         # 9, 4
        xp.multiply(da_n * q[t], r * (1.0 - r), out=da_r)               # 5, 3
        if real is not None:
            da[t] *= real[t]
        dh_prev = dh_t * z + da[t][:, to_h] @ W_hT                      # 8, 1
        dh_next = dh_prev if real is None else xp.where(real[t], dh_prev, dh_t)
    rows = da.reshape(T * N, 4 * H)
    from_x = rows[:, :3 * H]
    dW = xp.concatenate([h[:T].reshape(T * N, H).T @ rows[:, to_h], x.reshape(T * N, D).T @ from_x])    # 2
    db = rows.sum(axis=0)
    dx = (from_x @ W_x.T).reshape(T, N, D).transpose(1, 0, 2).copy()    # 1, the columns of x
    return dx, dh_next, dW, db
