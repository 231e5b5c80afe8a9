"""A recurrent layer unrolled: one readable step after the other, in float64, every step's values kept.

All instruments for gradients build on this. The layer supplies its parameters; ``rnn_step``, ``gru_step`` or
``lstm_step`` supplies the mathematics. States are numbered as in the equations: row 0 is the initial state,
row t (1 .. T) the state after step t.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import as_real, check_shape, is_array
from minilstm.backend.errors import ArgumentError, ShapeError
from minilstm.cells.activations import d_tanh
from minilstm.cells.gru import gru_step, gru_step_backward
from minilstm.cells.lstm import lstm_step, lstm_step_backward
from minilstm.cells.padding import check_lengths, check_padding, real_steps
from minilstm.cells.rnn import rnn_step, rnn_step_backward
from minilstm.layers.gru import GRU
from minilstm.layers.lstm import LSTM
from minilstm.layers.recurrent import Recurrent
from minilstm.layers.rnn import RNN

CELL_OF: dict[type, str] = {RNN: "rnn", GRU: "gru", LSTM: "lstm"}


class Unrolled(NamedTuple):
    """A layer's forward pass over N sequences of T steps, all arrays float64 and time-major.

    cell: "rnn", "gru" or "lstm".
    x: (T, N, D), 0 at padded steps.
    h, c: (T+1, N, H), row t the state after step t; c is None except for an LSTM.
    caches: T caches of the cell's step function, the first one that of step 1.
    real: (T, N, 1) bool, False at padded steps; None: no padding.
    W, b: the parameters.
    """

    cell: str
    x: np.ndarray
    h: np.ndarray
    c: np.ndarray | None
    caches: list[Any]
    real: np.ndarray | None
    W: np.ndarray
    b: np.ndarray

    @property
    def sizes(self) -> tuple[int, int, int]:
        """T, N, H."""
        return len(self.caches), self.h.shape[1], self.h.shape[2]

    def output_slope(self, t: int) -> np.ndarray:
        """LSTM: ∂h_t/∂c_t = o_t * (1 - tanh²(c_t)), (N, H); 0 in row 0 and at padded steps."""
        if t == 0:
            return np.zeros(self.h.shape[1:])
        slope = self.caches[t - 1].o * d_tanh(self.caches[t - 1].tanh_c)
        return np.asarray(slope if self.real is None else slope * self.real[t - 1])


def check_layer(layer: Any) -> str:
    """Return "rnn", "gru" or "lstm". Raises ArgumentError unless it is one layer, one direction."""
    if type(layer) not in CELL_OF:
        raise ArgumentError(f"layer: expected an RNN, a GRU or an LSTM, got {type(layer).__name__}")
    if layer.num_layers > 1 or layer.bidirectional:
        raise ArgumentError(f"layer: expected one layer and one direction, got {layer!r}")
    return CELL_OF[type(layer)]


def unroll(layer: Recurrent, x: Any, *, state0: Any = None, lengths: Any = None,
           padding: str | None = None) -> Unrolled:
    """Run ``layer`` over x (N, T, D), real floating point numbers, step by step; the layer is not changed.

    Args:
        state0: initial state, h0 (N, H), or (h0, c0) for an LSTM (either may be None); None stands for zeros.
        lengths, padding: as for the layer; at padded steps the state is carried.

    Raises ArgumentError, ShapeError, DtypeError before anything is computed.
    """
    cell = check_layer(layer)
    x = as_real("x", x)
    check_shape("x", x, (None, None, layer.input_size), "N, T, D")
    N, T, _ = x.shape
    W, b = (to_numpy(layer.params[name]).astype(np.float64) for name in ("W", "b"))
    steps = np.ascontiguousarray(to_numpy(x).transpose(1, 0, 2), dtype=np.float64)
    padding = layer.padding if padding is None else padding
    check_padding(padding)
    lengths = None if lengths is None else check_lengths(lengths, N, T)
    real = real_steps(lengths, T, padding, like=steps)
    if real is not None:
        steps = np.where(real, steps, 0.0)
    states = [np.zeros((T + 1, N, layer.hidden_size)) for _ in layer.state_names]
    for name, rows, given in zip(layer.state_names, states, _initial(layer, state0)):
        if given is not None:
            given = as_real(f"state0 {name}", given)
            check_shape(f"state0 {name}", given, (N, layer.hidden_size), "N, H")
            rows[0] = to_numpy(given)
    caches = []
    for t in range(T):
        *new, cache = _step(layer, steps[t], [rows[t] for rows in states], W, b)
        caches.append(cache)
        for rows, value in zip(states, new):
            rows[t + 1] = value if real is None else np.where(real[t], value, rows[t])
    return Unrolled(cell, steps, states[0], states[1] if cell == "lstm" else None, caches, real, W, b)


# dx, dh, dc, dW, db
StepGradients = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]


def step_back(run: Unrolled, t: int, dh: np.ndarray,
              dc: np.ndarray | None) -> StepGradients:
    """Back through step t with the cell's own function: (dx_t, dh_{t-1}, dc_{t-1} or None, dW, db)."""
    if run.cell == "lstm":
        return lstm_step_backward(dh, dc, run.caches[t - 1])
    back: Any = gru_step_backward if run.cell == "gru" else rnn_step_backward
    dx, dh_prev, dW, db = back(dh, run.caches[t - 1])
    return dx, dh_prev, None, dW, db


def _step(layer: Recurrent, x_t: np.ndarray, state: list[np.ndarray], W: np.ndarray, b: np.ndarray) -> Any:
    if isinstance(layer, RNN):
        return rnn_step(x_t, state[0], W, b, nonlinearity=layer.nonlinearity)
    step: Any = gru_step if isinstance(layer, GRU) else lstm_step
    return step(x_t, *state, W, b)


def _initial(layer: Recurrent, state0: Any) -> tuple[Any, ...]:
    names = layer.state_names
    if state0 is None:
        return (None,) * len(names)
    if len(names) == 1:
        return (state0,)
    if is_array(state0) or not isinstance(state0, (tuple, list)) or len(state0) != len(names):
        raise ShapeError(f"state0: expected a tuple ({', '.join(names)}) of arrays, got a "
                         f"{type(state0).__name__}")
    return tuple(state0)
