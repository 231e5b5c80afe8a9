"""What the three cells share: the columns of each gate, checks that arguments fit together, and zeros for a missing gradient.

Each cell lists its gates in the order of W's column blocks (GATES) and, where they differ, its biases in the order of b's
blocks (BIASES); the functions here take these tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import check_floating, check_gradient, check_shape
from minilstm.backend.errors import ShapeError
from minilstm.cells.padding import real_steps


class SequencePair(NamedTuple):
    """A cell's forward and backward over whole sequences, such as ``lstm_forward`` and ``lstm_backward``."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def gate_columns(gates: tuple[str, ...], gate: str, H: int) -> slice:
    """Return the columns of ``gate`` in a weight matrix whose blocks of H columns stand in the order ``gates``."""
    position = gates.index(gate)
    return slice(position * H, (position + 1) * H)


def upstream(name: str, d: Array | None, shape: tuple[int, ...], axes: str, like: Array) -> Array:
    """Return a checked upstream gradient; a missing one (None) is zero, in the dtype of ``like``."""
    if d is None:
        return get_array_module(like).zeros(shape, dtype=like.dtype)
    check_gradient(name, d, shape, axes)
    return d


def check_weights(W: Array, b: Array, gates: tuple[str, ...], biases: tuple[str, ...]) -> int:
    """Check W (H+D, G·H) and b (B·H,) of a cell with G gates and B biases; return H. Raises DtypeError or ShapeError."""
    G, B = len(gates), len(biases)
    columns, entries = (f"{n}H" if n > 1 else "H" for n in (G, B))
    check_floating("W", W)
    check_floating("b", b)
    check_shape("W", W, (None, None), f"H+D, {columns}")
    H = int(W.shape[1]) // G
    if W.shape[1] % G or W.shape[0] <= H:
        raise ShapeError(f"W: expected shape (H+D, {columns}) with D of at least 1, got {tuple(W.shape)}")
    check_shape("b", b, (B * H,), entries)
    return H


def check_step(x_t: Array, states: Mapping[str, Array], W: Array, b: Array, gates: tuple[str, ...],
               biases: tuple[str, ...]) -> tuple[Any, int]:
    """Check the arguments of one step, x_t (N, D) and the states (N, H) by name; return (array module, H)."""
    xp = get_array_module(x_t, *states.values(), W, b)
    H = check_weights(W, b, gates, biases)
    check_floating("x_t", x_t)
    check_shape("x_t", x_t, (None, W.shape[0] - H), "N, D")
    for name, state in states.items():
        check_floating(name, state)
        check_shape(name, state, (x_t.shape[0], H), "N, H")
    return xp, H


def check_sequence(x: Array, states: Mapping[str, Array | None], W: Array, b: Array, gates: tuple[str, ...],
                   biases: tuple[str, ...], lengths: Any,
                   padding: str) -> tuple[Any, tuple[int, int, int, int], Array | None, Any]:
    """Check the arguments of a whole sequence, x (N, T, D) and the initial states (N, H), None for zeros, by name.

    Return (array module, (N, T, D, H), real (T, N, 1) or None, dtype of the results). Raises ShapeError, DtypeError,
    ArgumentError.
    """
    xp = get_array_module(x, *states.values(), W, b)
    H = check_weights(W, b, gates, biases)
    check_floating("x", x)
    check_shape("x", x, (None, None, W.shape[0] - H), "N, T, D")
    N, T, D = x.shape
    for name, state in states.items():
        if state is not None:
            check_floating(name, state)
            check_shape(name, state, (N, H), "N, H")
    real = real_steps(lengths, N, T, padding, like=x)
    dtype = xp.result_type(*[a.dtype for a in (x, *states.values(), W, b) if a is not None])
    return xp, (N, T, D, H), real, dtype
