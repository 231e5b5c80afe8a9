"""Where each gate stands in a weight matrix whose blocks of H columns lie side by side.

Each cell lists its gates in the order of W's column blocks (GATES) and, where they differ, its biases in the
order of b's blocks (BIASES); the functions here take these tuples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array


class SequencePair(NamedTuple):
    """A cell's forward and backward over whole sequences, such as ``lstm_forward`` and ``lstm_backward``."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def gate_columns(gates: tuple[str, ...], gate: str, H: int) -> slice:
    """Return the columns of ``gate`` in a weight matrix whose blocks stand in the order ``gates``."""
    position = gates.index(gate)
    return slice(position * H, (position + 1) * H)


def split_gates(z: Array, gates: tuple[str, ...]) -> list[Array]:
    """Return the block (..., H) of each gate in z (..., G·H), in the order ``gates``, as views."""
    H = z.shape[-1] // len(gates)
    return [z[..., gate_columns(gates, gate, H)] for gate in gates]
