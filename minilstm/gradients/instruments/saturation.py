"""What the gates do: their values over a batch, and how often they are saturated.

A sigmoid gate is left-saturated below 0.1 (shut) and right-saturated above 0.9 (open), after Karpathy,
Johnson & Li 2015; for a tanh (c̃ of an LSTM, n of a GRU, h of an RNN) the limits are -0.9 and 0.9. A
saturated gate has a small derivative, so little gradient goes through it; where the forget gate is
right-saturated, nearly all of the gradient goes along the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minilstm.backend.errors import ArgumentError
from minilstm.gradients.instruments.unrolled import unroll
from minilstm.layers.recurrent import Recurrent

SIGMOID_LIMITS, TANH_LIMITS = (0.1, 0.9), (-0.9, 0.9)
TANH_GATES = ("c_tilde", "n", "h")
GATES_OF = {"rnn": ("h",), "gru": ("r", "z", "n"), "lstm": ("f", "i", "o", "c_tilde")}


@dataclass(frozen=True)
class GateStatistics:
    """A layer's gates over N sequences of T steps.

    Attributes: cell: "rnn", "gru" or "lstm". values: gate -> (T, N, H) float64, after its nonlinearity. LSTM:
        f, i, o, c_tilde; GRU: r, z, n; RNN: h. real: (T, N) bool, False at padded steps, which count nowhere.
    """

    cell: str
    values: dict[str, np.ndarray]
    real: np.ndarray

    def saturation(self, gate: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (left, right), each (H,): the share of real steps at which a unit's gate is saturated."""
        low, high = TANH_LIMITS if gate in TANH_GATES else SIGMOID_LIMITS
        values = self._real_values(gate)
        return (values < low).mean(axis=0), (values > high).mean(axis=0)

    def mean(self, gate: str) -> float:
        """Return the mean over all real steps and units."""
        return float(self._real_values(gate).mean())

    def over_time(self, gate: str) -> np.ndarray:
        """Return the mean over units and sequences at each step, (T,); NaN where every sequence is padded."""
        self._real_values(gate)
        count = self.real.sum(axis=1)
        sums = np.where(self.real[:, :, None], self.values[gate], 0.0).mean(axis=2).sum(axis=1)
        return np.where(count > 0, sums / np.maximum(count, 1), np.nan)

    def _real_values(self, gate: str) -> np.ndarray:
        if gate not in self.values:
            raise ArgumentError(f"gate: expected one of {', '.join(self.values)}, got {gate!r}")
        return np.asarray(self.values[gate][self.real])


def gate_statistics(layer: Recurrent, x: Any, *, state0: Any = None, lengths: Any = None,
                    padding: str | None = None) -> GateStatistics:
    """Run ``layer`` over x (N, T, D) and return what its gates were.

    Args:
        layer: an RNN (tanh), GRU or LSTM, one layer, one direction; it is not changed.
        x: real floating point numbers.
        state0, lengths, padding: as for ``minilstm.gradients.instruments.unrolled.unroll``.

    Raises ArgumentError, ShapeError, DtypeError before anything is computed.
    """
    if getattr(layer, "nonlinearity", "tanh") != "tanh":
        raise ArgumentError(f"layer: saturation is defined for tanh and sigmoid only, got {layer!r}")
    run = unroll(layer, x, state0=state0, lengths=lengths, padding=padding)
    T, N, _ = run.sizes
    values = {gate: np.stack([getattr(cache, gate) for cache in run.caches]) for gate in GATES_OF[run.cell]}
    return GateStatistics(run.cell, values, np.ones((T, N), bool) if run.real is None else run.real[:, :, 0])
