"""What the three cells share: the columns of each gate, checks that arguments fit together, and zeros for a missing gradient.

Each cell lists its gates in the order of W's column blocks (GATES) and, where they differ, its biases in the order of b's
blocks (BIASES); the functions here take these tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import as_floating, as_gradient, check_shape
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
    """Return an upstream gradient, checked and in the dtype of ``like``; a missing one (None) is zero."""
    if d is None:
        return get_array_module(like).zeros(shape, dtype=like.dtype)
    return as_gradient(name, d, shape, axes, like.dtype)


def check_weights(W: Array, b: Array, gates: tuple[str, ...], biases: tuple[str, ...]) -> int:
    """Check W (H+D, G·H) and b (B·H,) of a cell with G gates and B biases; return H. Raises ShapeError."""
    G, B = len(gates), len(biases)
    columns, entries = (f"{n}H" if n > 1 else "H" for n in (G, B))
    check_shape("W", W, (None, None), f"H+D, {columns}")
    H = int(W.shape[1]) // G
    if W.shape[1] % G or W.shape[0] <= H:
        raise ShapeError(f"W: expected shape (H+D, {columns}) with D of at least 1, got {tuple(W.shape)}")
    check_shape("b", b, (B * H,), entries)
    return H


def check_step(x_t: Any, states: Mapping[str, Any], W: Any, b: Any, gates: tuple[str, ...],
               biases: tuple[str, ...]) -> tuple[Any, int, tuple[Array, ...]]:
    """Check the arguments of one step, x_t (N, D) and the states (N, H) by name.

    Return (array module, H, (x_t, *states, W, b) as arrays). Raises ShapeError or DtypeError.
    """
    given = {"x_t": x_t, **states, "W": W, "b": b}
    x_t, *rows, W, b = (as_floating(name, value) for name, value in given.items())
    xp = get_array_module(x_t, *rows, W, b)
    H = check_weights(W, b, gates, biases)
    check_shape("x_t", x_t, (None, W.shape[0] - H), "N, D")
    for name, state in zip(states, rows):
        check_shape(name, state, (x_t.shape[0], H), "N, H")
    return xp, H, (x_t, *rows, W, b)


class Checked(NamedTuple):
    """The arguments of a whole sequence, as arrays that fit together, all of one dtype, which the results have too."""

    xp: Any                             # the array module
    sizes: tuple[int, int, int, int]    # N, T, D, H
    x: Array                            # (N, T, D)
    states: tuple[Array | None, ...]    # (N, H) each; None for zeros
    W: Array                            # (H+D, G·H)
    b: Array                            # (B·H,)
    real: Array | None                  # (T, N, 1) bool, False at padded steps; None: no padding
    dtype: Any


def check_sequence(x: Any, states: Mapping[str, Any], W: Any, b: Any, gates: tuple[str, ...], biases: tuple[str, ...],
                   lengths: Any, padding: str) -> Checked:
    """Check the arguments of a whole sequence, x (N, T, D) and the initial states (N, H), None for zeros, by name.

    Raises ShapeError, DtypeError, ArgumentError.
    """
    x, W, b = as_floating("x", x), as_floating("W", W), as_floating("b", b)
    rows = [None if state is None else as_floating(name, state) for name, state in states.items()]
    given = [array for array in (x, *rows, W, b) if array is not None]
    xp = get_array_module(*given)
    H = check_weights(W, b, gates, biases)
    check_shape("x", x, (None, None, W.shape[0] - H), "N, T, D")
    N, T, D = x.shape
    for name, state in zip(states, rows):
        if state is not None:
            check_shape(name, state, (N, H), "N, H")
    real = real_steps(lengths, N, T, padding, like=x)
    dtype = xp.result_type(*[array.dtype for array in given])
    x, W, b, *rows = (None if array is None else array.astype(dtype, copy=False) for array in (x, W, b, *rows))
    return Checked(xp, (N, T, D, H), x, tuple(rows), W, b, real, dtype)
