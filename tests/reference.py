"""The oracle: recurrent layers as slow scalar loops, written from the six equations and nothing else.

There is no matrix product here, no batching, no mask and no shared buffer: one number is computed after another, over rows
n, time steps t and units k, as one would on paper. It shares no code with the library, so a mistake would have to be made
twice, in two different styles, to go unseen. It is a forward pass only: gradients come from ``complex_step``, which
differentiates this same code without deriving anything. float64 and complex128.

Equations (Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000), one bias a gate:

    f = σ(w_f [h, x] + b_f)    i = σ(w_i [h, x] + b_i)    o = σ(w_o [h, x] + b_o)    c̃ = tanh(w_c [h, x] + b_c)
    c' = f c + i c̃             h' = o tanh(c')            simple RNN: h' = tanh(w_h [h, x] + b_h), or relu

and of the GRU (Cho et al. 2014, reset after the product), whose candidate has two biases, b_r, b_z, b_nx, b_nh in this order:

    r = σ(w_r [h, x] + b_r)    z = σ(w_z [h, x] + b_z)    n = tanh(w_nx x + b_nx + r (w_nh h + b_nh))    h' = (1 - z) n + z h
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from backends import on_host

State = tuple[list[Any], ...]                       # of one row: (h,) or (h, c), each a list of H numbers
Cell = Callable[[Any, State, Any, Any], State]      # (x_t of one row, state, W, b) -> the next state


def sigmoid(z: Any) -> Any:
    """1 / (1 + e^-z), with the exponent never positive so that nothing overflows."""
    if z.real >= 0:
        return 1 / (1 + np.exp(-z))
    return np.exp(z) / (1 + np.exp(z))


def weighted_sum(column: int, h: Any, x: Any, W: Any, b: Any) -> Any:
    """One unit of w [h, x] + b: rows 0..H-1 of W belong to h, rows H..H+D-1 to x."""
    z = b[column]
    for row, value in enumerate([*h, *x]):
        z = z + value * W[row, column]
    return z


def lstm_cell(x: Any, state: State, W: Any, b: Any) -> State:
    """One row, one time step. Columns of W: H of the forget gate, H input gate, H output gate, H candidate."""
    h, c = state
    H = len(h)
    h_next, c_next = [], []
    for k in range(H):
        forget = sigmoid(weighted_sum(k, h, x, W, b))
        admit = sigmoid(weighted_sum(H + k, h, x, W, b))
        out = sigmoid(weighted_sum(2 * H + k, h, x, W, b))
        candidate = np.tanh(weighted_sum(3 * H + k, h, x, W, b))
        c_next.append(forget * c[k] + admit * candidate)
        h_next.append(out * np.tanh(c_next[k]))
    return h_next, c_next


def gru_cell(x: Any, state: State, W: Any, b: Any) -> State:
    """One row, one time step. Columns of W: H of the reset gate, H update gate, H candidate."""
    h, H = state[0], len(state[0])
    h_next = []
    for k in range(H):
        reset = sigmoid(weighted_sum(k, h, x, W, b))
        update = sigmoid(weighted_sum(H + k, h, x, W, b))
        from_x, from_h = b[2 * H + k], b[3 * H + k]
        for row, value in enumerate(h):
            from_h = from_h + value * W[row, 2 * H + k]
        for row, value in enumerate(x):
            from_x = from_x + value * W[H + row, 2 * H + k]
        h_next.append((1 - update) * np.tanh(from_x + reset * from_h) + update * h[k])
    return (h_next,)


def tanh_cell(x: Any, state: State, W: Any, b: Any) -> State:
    """One row, one time step of the simple RNN."""
    return ([np.tanh(weighted_sum(k, state[0], x, W, b)) for k in range(len(state[0]))],)


def relu_cell(x: Any, state: State, W: Any, b: Any) -> State:
    """The same with max(0, z); of a complex z the real part decides."""
    z = [weighted_sum(k, state[0], x, W, b) for k in range(len(state[0]))]
    return ([value if value.real > 0 else 0 * value for value in z],)


CELLS: dict[str, Cell] = {"lstm": lstm_cell, "gru": gru_cell, "tanh": tanh_cell, "relu": relu_cell}
BLOCKS = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}        # columns of W are BLOCKS · H
BIASES = {"lstm": 4, "gru": 4, "tanh": 1, "relu": 1}        # b is BIASES · H
STATES = {"lstm": 2, "gru": 1, "tanh": 1, "relu": 1}        # how many arrays a state is made of


def is_real(t: int, T: int, length: int, padding: str) -> bool:
    """Tell whether step t of a row of ``length`` real steps is one of them."""
    return t < length if padding == "post" else t >= T - length


def one_direction(cell: Cell, x: Any, state: tuple[Any, ...], W: Any, b: Any, lengths: Any = None, padding: str = "post",
                  reverse: bool = False) -> tuple[Any, tuple[Any, ...]]:
    """Run one layer one way over x (N, T, D) from states (N, H); return outputs (N, T, H) and the final states.

    At padded steps the state is carried and the output stays 0.
    """
    N, T, _ = x.shape
    y = np.zeros((N, T, state[0].shape[1]), np.result_type(x, W, b, *state))
    final = tuple(np.zeros(s.shape, y.dtype) for s in state)
    for n in range(N):
        row: State = tuple(list(s[n]) for s in state)
        for t in range(T - 1, -1, -1) if reverse else range(T):
            if lengths is None or is_real(t, T, int(lengths[n]), padding):
                row = cell(x[n, t], row, W, b)
                for k, value in enumerate(row[0]):
                    y[n, t, k] = value
        for array, values in zip(final, row):
            for k, value in enumerate(values):
                array[n, k] = value
    return y, final


def suffix(layer: int, reverse: bool) -> str:
    """The ending of parameter names: "" for layer 0 forward, then "_l1", "_reverse", "_l1_reverse"."""
    return (f"_l{layer}" if layer else "") + ("_reverse" if reverse else "")


def recurrent(kind: str, params: Mapping[str, Any], x: Any, state: tuple[Any, ...], *, num_layers: int = 1,
              bidirectional: bool = False, lengths: Any = None, padding: str = "post") -> tuple[Any, tuple[Any, ...]]:
    """Run a stack. ``state`` arrays are (num_layers · directions, N, H), layer by layer, forward before reverse.

    Returns the top layer's outputs (N, T, H · directions), forward units first, and the final states in state's layout.
    """
    params, x, state = on_host(dict(params)), on_host(x), on_host(state)
    finals: list[tuple[Any, ...]] = []
    for layer in range(num_layers):
        outputs = []
        for reverse in (False, True)[:1 + bidirectional]:
            end = suffix(layer, reverse)
            y, final = one_direction(CELLS[kind], x, tuple(s[len(finals)] for s in state), params["W" + end],
                                     params["b" + end], lengths, padding, reverse)
            outputs.append(y)
            finals.append(final)
        x = np.concatenate(outputs, axis=2)
    return x, tuple(np.stack([final[part] for final in finals]) for part in range(len(state)))


def last_output(final_h: Any, bidirectional: bool) -> Any:
    """What ``return_sequences=False`` gives: the top layer's final hidden states, both directions side by side."""
    return np.concatenate([final_h[-2], final_h[-1]], axis=1) if bidirectional else final_h[-1]


def embedding(ids: Any, W: Any) -> Any:
    """Row ``id`` of W for every id: (...) of integers and (V, D) give (..., D)."""
    ids, W = on_host(ids), on_host(W)
    out = np.zeros((*ids.shape, W.shape[1]), W.dtype)
    for position in np.ndindex(*ids.shape):
        for d in range(W.shape[1]):
            out[(*position, d)] = W[int(ids[position]), d]
    return out


def linear(x: Any, W: Any, b: Any = None) -> Any:
    """y = x W + b over the last axis: (..., D) gives (..., K)."""
    x, W, b = on_host(x), on_host(W), on_host(b)
    out = np.zeros((*x.shape[:-1], W.shape[1]), np.result_type(x, W))
    for position in np.ndindex(*out.shape):
        total = 0 if b is None else b[position[-1]]
        for d in range(W.shape[0]):
            total = total + x[(*position[:-1], d)] * W[d, position[-1]]
        out[position] = total
    return out


def complex_step(scalar: Callable[[list[Any]], Any], arrays: list[Any], step: float = 1e-30) -> list[Any]:
    """Return d scalar / d element for every element of every float64 array, as Im scalar(a + i·step) / step.

    Exact to rounding: there is no difference of nearby numbers (Squire & Trapp 1998).
    """
    gradients, arrays = [], list(on_host(arrays))
    for which, array in enumerate(arrays):
        gradient = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            moved = array.astype(np.complex128)
            moved[index] += 1j * step
            gradient[index] = scalar([*arrays[:which], moved, *arrays[which + 1:]]).imag / step
        gradients.append(gradient)
    return gradients
