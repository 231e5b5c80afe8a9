"""The paths along which the gradient flows back: along the state, or through the gates.

LSTM. Step t+1 reads c_t in one place, c_{t+1} = f_{t+1} * c_t + ..., and h_t in four, the gates'
pre-activations z. So, with dh_t and dc_t the whole gradients of flow.py, and W_gate the rows of h in a gate's
weights,

    arrives at h_t through a gate:   dh_t[gate]  = dz_gate(t+1) W_gateᵀ                    gate = f, i, o, c̃
    arrives at c_t along the cell:   dc_t[cell]  = dc_{t+1} * f_{t+1}
    ... through a gate:              dc_t[gate]  = dh_t[gate] * o_t * (1 - tanh²(c_t))
    ... from above:                  dc_t[above] = (∂L/∂h_t from above) * o_t * (1 - tanh²(c_t))

and dc_t is the sum of these six. In a GRU, h_{t+1} = (1 - z) * n + z * h_t reads h_t directly too:

    arrives at h_t along the state:  dh_t[state] = dh_{t+1} * z_{t+1}
    ... through a gate:              dh_t[gate]  = da_r W_rᵀ, da_z W_zᵀ, dq W_nhᵀ            gate = r, z, n

An RNN has one way only, dh_t[h] = dz W_hᵀ.

These are the ways through one step. Over many steps, the gradient at t is the sum over all sequences of such
ways. ``alone`` is the part that has stayed on the cell (the state) at every step since it came from above;
``gated`` is the part that went through a gate at least once. Below, s is an LSTM's c or the others' h, and k
is f for an LSTM, z for a GRU, 0 for an RNN:

    alone_t = alone_{t+1} * k_{t+1} + ds_t[above]
    gated_t = gated_{t+1} * k_{t+1} + Σ_gates ds_t[gate]              alone_t + gated_t = ds_t

so that alone_t = ds_T * k_T * ... * k_{t+1} for a loss at T. The first recursion contains no w and no tanh'.
It is what Hochreiter & Schmidhuber 1997 call the constant error carousel (with f = 1; Gers, Schmidhuber &
Cummins 2000 introduced f). Parts may point in opposite directions, so their norms do not add up, but their
shares do: the share of a part p is p · ds_t / ‖ds_t‖².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minilstm.backend.errors import ArgumentError
from minilstm.cells.activations import d_relu, d_sigmoid, d_tanh
from minilstm.cells.gates import gate_columns
from minilstm.cells.gru import GATES as GRU_GATES
from minilstm.cells.gru import GRUStepCache
from minilstm.cells.lstm import GATES as LSTM_GATES
from minilstm.cells.lstm import LSTMStepCache
from minilstm.gradients.instruments.flow import (GradientFlow, backward_flow, check_upstream, model_upstream,
                                                 norms)
from minilstm.gradients.instruments.unrolled import Unrolled, unroll
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent

ABOVE = "above"
DIRECT = {"rnn": None, "gru": "state", "lstm": "cell"}      # the way that has no w in it


@dataclass(frozen=True)
class GradientPaths:
    """The gradient of the state s (an LSTM's c, the others' h), split by the ways it takes; row t (0 .. T)
    for s_t, float64.

    Attributes:
        flow: the whole gradients, from the cell's own backward functions; ``total`` is ∂L/∂s_t, (T+1, N, H).
        parts: way -> (T+1, N, H), what arrives at s_t by it. LSTM: cell, f, i, o, c_tilde, above; GRU: state,
            r, z, n, above; RNN: h, above. Their sum is ``total``.
        into_h: for an LSTM the same for h_t: f, i, o, c_tilde, above, whose sum is ∂L/∂h_t; otherwise equal
            to ``parts``.
        alone, gated: (T+1, N, H), along the cell (state) at every step, and through a gate at least once.
            Their sum is ``total``.
    """

    flow: GradientFlow
    parts: dict[str, np.ndarray]
    into_h: dict[str, np.ndarray]
    alone: np.ndarray
    gated: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """∂L/∂s_t, (T+1, N, H)."""
        return self.flow.dh if self.flow.dc is None else self.flow.dc

    def share(self, part: np.ndarray) -> np.ndarray:
        """Return the share (T+1, N) of ``part`` in ``total``: 1: all; < 0: against it; NaN: of nothing."""
        size = norms(self.total)
        unit = self.total / np.where(size > 0, size, 1.0)[..., None]        # so that no square underflows
        along = (part / np.where(size > 0, size, 1.0)[..., None] * unit).sum(axis=-1)
        return np.where(size > 0, along, np.nan)


def gradient_paths(layer: Recurrent, x: Any, dh: Any = None, dh_last: Any = None, *, dc_last: Any = None,
                   state0: Any = None) -> GradientPaths:
    """Run ``layer`` over x (N, T, D), no padding, and back, and split the gradient of its state by the ways
    it takes.

    Arguments and errors as for ``minilstm.gradients.instruments.flow.gradient_flow``.
    """
    run = unroll(layer, x, state0=state0)
    above, dh_last, dc_last = check_upstream(run, dh, dh_last, dc_last)
    return split(run, above, dh_last, dc_last)


def model_gradient_paths(model: Module, criterion: Any, x: Any, targets: Any) -> GradientPaths:
    """Do so in the recurrent layer of a whole model, as ``flow.model_gradient_flow`` does."""
    layer, below, upstream = model_upstream(model, criterion, x, targets)
    return gradient_paths(layer, below, **upstream)


def split(run: Unrolled, above: np.ndarray, dh_last: np.ndarray, dc_last: np.ndarray) -> GradientPaths:
    """Split the flow of an unrolled layer without padding, with what ``check_upstream`` returned."""
    if run.real is not None:
        raise ArgumentError("lengths: the split by ways takes sequences without padding")
    T, _, H = run.sizes
    flow = backward_flow(run, above, dh_last, dc_last)
    source = above.copy()
    source[T] += dh_last
    into_h = {gate: np.zeros_like(flow.dh) for gate in _names(run.cell)} | {ABOVE: source}
    for t in range(T):
        for gate, arriving in _through_gates(run, t + 1, flow).items():
            into_h[gate][t] = arriving
    parts = dict(into_h)
    if flow.dc is not None:
        slopes = np.stack([run.output_slope(t) for t in range(T + 1)])
        parts = {way: arriving * slopes for way, arriving in into_h.items()}
        parts[ABOVE][T] += dc_last
    keep = keep_factors(run)
    direct = DIRECT[run.cell]
    if direct is not None:
        arriving = np.zeros_like(flow.dh)
        arriving[:T] = (flow.dh if flow.dc is None else flow.dc)[1:] * keep
        parts = {direct: arriving, **parts}
        if run.cell == "gru":
            into_h = dict(parts)
    gates = sum(parts[gate] for gate in _names(run.cell))
    alone, gated = parts[ABOVE].copy(), np.array(gates)
    for t in range(T - 1, -1, -1):
        alone[t] += alone[t + 1] * keep[t]
        gated[t] += gated[t + 1] * keep[t]
    return GradientPaths(flow, parts, into_h, alone, gated)


def keep_factors(run: Unrolled) -> np.ndarray:
    """Return (T, N, H): the factor of the direct way back from t+1 to t: f_{t+1}, z_{t+1}, or 0."""
    T, N, H = run.sizes
    if run.cell == "rnn":
        return np.zeros((T, N, H))
    return np.stack([cache.f if run.cell == "lstm" else cache.z for cache in run.caches])


def _names(cell: str) -> tuple[str, ...]:
    """Return the ways through gates, the LSTM's candidate by its full name."""
    names = {"rnn": ("h",), "gru": GRU_GATES, "lstm": LSTM_GATES}[cell]
    return tuple("c_tilde" if (cell, gate) == ("lstm", "c") else gate for gate in names)


def _through_gates(run: Unrolled, t: int, flow: GradientFlow) -> dict[str, np.ndarray]:
    """Return way -> (N, H), what step t sends to h_{t-1} through each gate."""
    cache, H = run.caches[t - 1], run.sizes[2]
    if run.cell == "rnn":
        slope = d_tanh(cache.h) if cache.nonlinearity == "tanh" else d_relu(cache.h)
        dz = {"h": flow.dh[t] * slope}
    else:
        dz = _gru_gates(cache, flow.dh[t]) if flow.dc is None else _lstm_gates(cache, flow.dh[t], flow.dc[t])
    names = _names(run.cell)
    return {gate: d @ run.W[:H, gate_columns(names, gate, H)].T for gate, d in dz.items()}


def _lstm_gates(cache: LSTMStepCache, dh: np.ndarray, dc: np.ndarray) -> dict[str, np.ndarray]:
    """Return dz of each gate; dc has the share through h_t in it. Lines 12 to 3 of cells/lstm.py."""
    return {"f": dc * cache.c_prev * d_sigmoid(cache.f), "i": dc * cache.c_tilde * d_sigmoid(cache.i),
            "o": dh * cache.tanh_c * d_sigmoid(cache.o), "c_tilde": dc * cache.i * d_tanh(cache.c_tilde)}


def _gru_gates(cache: GRUStepCache, dh: np.ndarray) -> dict[str, np.ndarray]:
    """Return da_r, da_z and, for the candidate, dq, which reaches h. Lines 9 to 3 of cells/gru.py."""
    da_n = dh * (1.0 - cache.z) * d_tanh(cache.n)
    return {"r": da_n * cache.q * d_sigmoid(cache.r), "z": dh * (cache.h_prev - cache.n) * d_sigmoid(cache.z),
            "n": da_n * cache.r}
