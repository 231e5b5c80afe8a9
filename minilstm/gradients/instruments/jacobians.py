"""Jacobians of the state: how a nudge of an earlier state moves a later one, whatever the loss.

The state s is all that a step hands to the next: h of an RNN or GRU, (h, c) of an LSTM. J_t = ∂s_t/∂s_{t-1}
has J_t[a, b] = ∂s_t[a]/∂s_{t-1}[b]; with W_h the rows of h in a weight matrix,

    RNN    ∂h_t/∂h_{t-1} = diag(φ'_t) W_hᵀ                                  φ' = 1 - h_t² for tanh
    GRU    ∂h_t/∂h_{t-1} = diag(z) + diag((h_{t-1} - n) z') W_zᵀ
                           + diag((1 - z) n') (diag(r) W_nᵀ + diag(q r') W_rᵀ)
    LSTM   ∂c_t/∂c_{t-1} = diag(f)
           ∂c_t/∂h_{t-1} = A = diag(c_{t-1} f') W_fᵀ + diag(c̃ i') W_iᵀ + diag(i c̃') W_cᵀ
           ∂h_t/∂c_{t-1} = diag(o tanh'(c) f)
           ∂h_t/∂h_{t-1} = diag(o tanh'(c)) A + diag(tanh(c) o') W_oᵀ

where a gate's prime is its derivative, g (1 - g) or 1 - g². Over many steps ∂s_T/∂s_t = J_T ... J_{t+1}. Two
blocks of an LSTM's product are reported: ∂h_T/∂h_t, with c_t held fixed, and ∂c_T/∂c_t, with h_t held fixed.
Both include every path through the states in between.

Bounds. In an RNN ‖∂h_T/∂h_t‖ <= (σ_max(W_h) max φ')^(T-t) with max φ' = 1, so it must vanish where σ_max < 1,
and can explode only where σ_max > 1 (Pascanu, Mikolov & Bengio 2013, section 2.1). The product of ‖J_s‖ over
the actual steps s is a tighter bound. An LSTM has no bound as simple; the product of its f_s is what its cell
state alone carries over.

Products of hundreds of matrices leave the range of floating point numbers, so each is kept as a matrix of
norm 1 and the logarithm of its scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.errors import ArgumentError
from minilstm.cells.activations import d_relu, d_sigmoid, d_tanh
from minilstm.cells.gates import gate_columns
from minilstm.cells.gru import GATES as GRU_GATES
from minilstm.cells.lstm import GATES as LSTM_GATES
from minilstm.gradients.instruments.paths import keep_factors
from minilstm.gradients.instruments.unrolled import Unrolled, unroll
from minilstm.layers.recurrent import Recurrent


class ScaledProduct(NamedTuple):
    """∂s_T/∂s_t (N, S, S): ``matrix``, of Frobenius norm 1 or 0, times exp(``log_scale`` (N,))."""

    matrix: np.ndarray
    log_scale: np.ndarray


@dataclass(frozen=True)
class JacobianSpectrum:
    """Singular values of ∂h_T/∂h_t and ∂c_T/∂c_t at K steps t, and what they are compared with; all log10.

    Attributes:
        cell: "rnn", "gru" or "lstm".
        T: the last step.
        steps: (K,) the t.
        h: (K, N, H) those of ∂h_T/∂h_t, largest first. -inf stands for 0; NaN for a value that is too small,
            compared with the largest one, to be known in float64.
        c: the same for ∂c_T/∂c_t; None except for an LSTM.
        keep: (K, N, H) each unit's product of f_s (LSTM) or z_s (GRU) over s = t+1 .. T; None for an RNN.
        bound: (K,) the upper bound of an RNN's largest value, (σ_max(W_h) max φ')^(T-t); None for the others.
        step_bound: (K, N) the tighter bound, the product of each step's own ‖J_s‖; None for the others.
    """

    cell: str
    T: int
    steps: np.ndarray
    h: np.ndarray
    c: np.ndarray | None
    keep: np.ndarray | None
    bound: np.ndarray | None
    step_bound: np.ndarray | None


def step_jacobians(layer: Recurrent, x: Any, *, state0: Any = None) -> np.ndarray:
    """Return ∂s_t/∂s_{t-1} for t = 1 .. T: (T, N, S, S) float64, S = H, or 2H for an LSTM, h before c.

    ``layer``: RNN, GRU or LSTM, one layer, one direction; x (N, T, D), real floating point numbers, no
    padding; state0 as for ``unroll``. Raises ArgumentError, ShapeError, DtypeError.
    """
    run = unroll(layer, x, state0=state0)
    return np.stack([_step_jacobian(run, t) for t in range(1, run.sizes[0] + 1)])


def jacobian_products(layer: Recurrent, x: Any, steps: Sequence[int] | None = None, *,
                      state0: Any = None) -> dict[int, ScaledProduct]:
    """Return t -> ∂s_T/∂s_t for each t of ``steps``, 0 to T (None: all). Else as ``step_jacobians``."""
    run = unroll(layer, x, state0=state0)
    return dict(_products(run, _check_steps(run, steps)))


def jacobian_spectrum(layer: Recurrent, x: Any, steps: Sequence[int] | None = None, *,
                      state0: Any = None) -> JacobianSpectrum:
    """Return the singular values at ``steps``, 0 to T (None: all). Else as ``step_jacobians``."""
    run = unroll(layer, x, state0=state0)
    T, N, H = run.sizes
    wanted = _check_steps(run, steps)
    h, c = np.empty((len(wanted), N, H)), np.empty((len(wanted), N, H))
    for t, product in _products(run, wanted):
        h[wanted.index(t)] = _log_singular_values(product, slice(0, H))
        if run.cell == "lstm":
            c[wanted.index(t)] = _log_singular_values(product, slice(H, 2 * H))
    with np.errstate(divide="ignore"):          # log10(0) is -inf, as it should be
        keep = None if run.cell == "rnn" else _from_the_end(np.log10(keep_factors(run)))[wanted]
        bound = step_bound = None
        if run.cell == "rnn":
            largest = np.log10(np.linalg.norm(run.W[:H], 2))
            back = T - np.array(wanted)
            bound = np.where(back > 0, back * np.where(back > 0, largest, 1.0), 0.0)
            each = [np.linalg.norm(_step_jacobian(run, t), 2, axis=(1, 2)) for t in range(1, T + 1)]
            step_bound = _from_the_end(np.log10(np.stack(each)))[wanted]
    c_of_lstm = c if run.cell == "lstm" else None
    return JacobianSpectrum(run.cell, T, np.array(wanted), h, c_of_lstm, keep, bound, step_bound)


def _check_steps(run: Unrolled, steps: Sequence[int] | None) -> list[int]:
    T = run.sizes[0]
    wanted = list(range(T + 1)) if steps is None else [int(t) for t in steps]
    wrong = [t for t in wanted if not 0 <= t <= T]
    if wrong or not wanted or len(set(wanted)) < len(wanted):
        raise ArgumentError(f"steps: expected different numbers from 0 to {T}, got "
                            f"{wrong[0] if wrong else wanted}")
    return wanted


def _products(run: Unrolled, wanted: Sequence[int]) -> Iterator[tuple[int, ScaledProduct]]:
    """Yield (t, ∂s_T/∂s_t) from t = T down to the first one wanted."""
    T, N, H = run.sizes
    S = 2 * H if run.cell == "lstm" else H
    matrix, log_scale = np.broadcast_to(np.eye(S) / np.sqrt(S), (N, S, S)), np.full(N, 0.5 * np.log(S))
    for t in range(T, min(wanted) - 1, -1):
        if t < T:
            matrix = matrix @ _step_jacobian(run, t + 1)
            size = np.linalg.norm(matrix, axis=(1, 2))
            with np.errstate(divide="ignore"):
                log_scale = log_scale + np.log(size)
            matrix = matrix / np.where(size > 0, size, 1.0)[:, None, None]
        if t in wanted:
            yield t, ScaledProduct(matrix, log_scale)


def _log_singular_values(product: ScaledProduct, block: slice) -> np.ndarray:
    """Return log10 of the singular values (N, H) of one diagonal block; NaN for those lost in rounding."""
    values = np.linalg.svd(product.matrix[:, block, block], compute_uv=False)
    with np.errstate(divide="ignore"):
        logs = np.log10(values) + product.log_scale[:, None] / np.log(10)
    noise = values[:, :1] * np.finfo(float).eps * values.shape[1]
    return np.where((values > 0) & (values < noise), np.nan, logs)


def _from_the_end(logs: np.ndarray) -> np.ndarray:
    """Return (T+1, ...): in row t the sum of rows t .. T-1, so of steps t+1 .. T; 0 in row T."""
    sums = np.cumsum(logs[::-1], axis=0)[::-1]
    return np.concatenate([sums, np.zeros_like(logs[:1])])


def _rnn_slope(cache: Any) -> np.ndarray:
    return np.asarray(d_tanh(cache.h) if cache.nonlinearity == "tanh" else d_relu(cache.h))


def _step_jacobian(run: Unrolled, t: int) -> np.ndarray:
    """Return ∂s_t/∂s_{t-1}, (N, S, S)."""
    cache, H = run.caches[t - 1], run.sizes[2]
    names = {"rnn": ("h",), "gru": GRU_GATES, "lstm": LSTM_GATES}[run.cell]
    # (N, H) times the rows of W_gateᵀ: diag(d) W_gateᵀ for each sequence.
    w = {gate: run.W[:H, gate_columns(names, gate, H)].T for gate in names}
    if run.cell == "rnn":
        return np.asarray(_rnn_slope(cache)[:, :, None] * w["h"])
    if run.cell == "gru":
        r, z, n = cache.r, cache.z, cache.n
        through_n = (1.0 - z) * d_tanh(n)
        return np.asarray(_diagonal(z) + ((cache.h_prev - n) * d_sigmoid(z))[:, :, None] * w["z"]
                          + (through_n * r)[:, :, None] * w["n"]
                          + (through_n * cache.q * d_sigmoid(r))[:, :, None] * w["r"])
    f, i, o, c_tilde, tanh_c = cache.f, cache.i, cache.o, cache.c_tilde, cache.tanh_c
    c_by_h = ((cache.c_prev * d_sigmoid(f))[:, :, None] * w["f"]
              + (c_tilde * d_sigmoid(i))[:, :, None] * w["i"]
              + (i * d_tanh(c_tilde))[:, :, None] * w["c"])
    slope = o * d_tanh(tanh_c)
    h_by_h = slope[:, :, None] * c_by_h + (tanh_c * d_sigmoid(o))[:, :, None] * w["o"]
    top = np.concatenate([h_by_h, _diagonal(slope * f)], axis=2)
    return np.concatenate([top, np.concatenate([c_by_h, _diagonal(f)], axis=2)], axis=1)


def _diagonal(d: np.ndarray) -> np.ndarray:
    """Return (N, H, H) with d (N, H) on the diagonals."""
    return np.asarray(d[:, :, None] * np.eye(d.shape[1]))
