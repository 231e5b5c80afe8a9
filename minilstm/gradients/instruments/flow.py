"""The flow of the gradient: ∂L/∂h_t and ∂L/∂c_t at every step, as backpropagation through time computes them.

Here dh_t = ∂L/∂h_t is the effect on the loss of a nudge of h_t alone (c_t held fixed), and dc_t = ∂L/∂c_t
that of a nudge of c_t, through h_t and through c_{t+1}:

    dh_t = from above at step t  +  what step t+1 sends to h_t
    dc_t = dh_t * o_t * (1 - tanh²(c_t))  +  dc_{t+1} * f_{t+1}                         (LSTM)

The second equation is line 11 of cells/lstm.py, the first the sum dh that enters line 12; an RNN or GRU has
dh_t alone. If the norms shrink by some factor per step towards t = 0, the gradient vanishes; if they grow by
some factor per step, it explodes (Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio
2013).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import as_array, as_gradient
from minilstm.backend.errors import ArgumentError
from minilstm.gradients.instruments.unrolled import Unrolled, check_layer, step_back, unroll
from minilstm.layers.dropout import Dropout
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent
from minilstm.layers.sequential import Sequential


@dataclass(frozen=True)
class GradientFlow:
    """The gradients of one backward pass over N sequences of T steps, float64.

    Attributes:
        cell: "rnn", "gru" or "lstm".
        dh: (T+1, N, H), row t is ∂L/∂h_t, row 0 that of the initial state.
        dc: the same for c_t; None except for an LSTM.
        dx: (N, T, D) gradient of the input.
        grads: "W" and "b", the gradients of the parameters.
        real: (T, N) bool, False at padded steps.
    """

    cell: str
    dh: np.ndarray
    dc: np.ndarray | None
    dx: np.ndarray
    grads: dict[str, np.ndarray]
    real: np.ndarray

    @property
    def h_norms(self) -> np.ndarray:
        """(T+1, N), ‖∂L/∂h_t‖ of each sequence."""
        return norms(self.dh)

    @property
    def c_norms(self) -> np.ndarray | None:
        """(T+1, N), ‖∂L/∂c_t‖ of each sequence; None except for an LSTM."""
        return None if self.dc is None else norms(self.dc)


def norms(v: np.ndarray) -> np.ndarray:
    """Return the L2 norm over the last axis, even where the squares would underflow to 0 or overflow."""
    largest = np.abs(v).max(axis=-1)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    return np.asarray(scale * np.linalg.norm(v / scale[..., None], axis=-1))


def gradient_flow(layer: Recurrent, x: Any, dh: Any = None, dh_last: Any = None, *, dc_last: Any = None,
                  state0: Any = None,
                  lengths: Any = None, padding: str | None = None) -> GradientFlow:
    """Run ``layer`` forward and backward, and return the gradient at every step.

    Args: layer: an RNN, GRU or LSTM, one layer, one direction. Neither it nor its ``grads`` are changed. x:
        (N, T, D), real floating point numbers. dh: (N, T, H) gradient of every output; None stands for zeros.
        Values at padded steps are ignored. dh_last, dc_last: (N, H) gradients of the last hidden and cell
        state; None stands for zeros. state0: initial state, h0 (N, H), or (h0, c0) for an LSTM; None stands
        for zeros. lengths, padding: as for the layer. A padded step carries the state; there ∂L/∂h_t and
        ∂L/∂c_t pass through.

    Raises ArgumentError, ShapeError, DtypeError before anything is computed.
    """
    run = unroll(layer, x, state0=state0, lengths=lengths, padding=padding)
    return backward_flow(run, *check_upstream(run, dh, dh_last, dc_last))


def model_gradient_flow(model: Module, criterion: Any, x: Any, targets: Any, *, lengths: Any = None,
                        padding: str | None = None) -> GradientFlow:
    """The flow in the recurrent layer of a whole model, for the loss of a batch.

    Args:
        model: a Sequential with exactly one recurrent layer, such as Embedding -> LSTM -> Linear. A
            float64 copy without dropout is used; the model itself is not changed.
        criterion: the loss. A mean over N sequences gives each of them 1/N of the gradient of its own loss.
        x: the model's input, for example tokens (N, T).
        targets: what the criterion takes.
        lengths, padding: handed to the layers that take them.

    Raises ArgumentError, and what the layers and the criterion raise.
    """
    layer, below, upstream = model_upstream(model, criterion, x, targets, lengths=lengths, padding=padding)
    return gradient_flow(layer, below, **upstream, lengths=lengths, padding=padding)


def model_upstream(model: Module, criterion: Any, x: Any, targets: Any, *, lengths: Any = None,
                   padding: str | None = None) -> tuple[Recurrent, np.ndarray, dict[str, np.ndarray]]:
    """Return the recurrent layer, its input and its upstream gradient; as model_gradient_flow."""
    if not isinstance(model, Sequential) or sum(isinstance(layer, Recurrent) for layer in model) != 1:
        layers = [type(layer).__name__ for layer in model] if isinstance(model, Sequential) else []
        raise ArgumentError("model: expected a Sequential with exactly one recurrent layer, got "
                            f"{type(model).__name__}{' of ' * bool(layers)}{', '.join(layers)}")
    place = next(k for k, layer in enumerate(model) if isinstance(layer, Recurrent))
    check_layer(model[place])
    twin = copy.deepcopy(model)
    twin.to("numpy", np.float64)
    twin.train()
    twin.zero_grad()
    twin.drop_caches()
    for _, module in twin.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    layer: Recurrent = twin[place]
    layer.fast = False
    x = to_numpy(as_array("x", x))
    x = x.astype(np.float64) if x.dtype.kind == "f" else x
    options = {"lengths": lengths, "padding": padding}
    options = {name: value for name, value in options.items() if value is not None}
    head = twin[place + 1:]
    below = twin[:place](x, **{k: v for k, v in options.items() if twin[:place].accepts(k)})
    y = layer(below, **options)
    criterion(head(y, **{k: v for k, v in options.items() if head.accepts(k)}), targets)
    dy = head.backward(criterion.backward())
    return layer, below, {"dh" if layer.return_sequences else "dh_last": dy}


def check_upstream(run: Unrolled, dh: Any, dh_last: Any,
                   dc_last: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dh (T+1, N, H), 0 in row 0 and at padded steps; dh_last and dc_last (N, H); float64."""
    T, N, H = run.sizes
    above = np.zeros((T + 1, N, H))
    if dh is not None:
        above[1:] = to_numpy(as_gradient("dh", dh, (N, T, H), "N, T, H", np.float64)).transpose(1, 0, 2)
        if run.real is not None:
            above[1:] = np.where(run.real, above[1:], 0.0)
    if dc_last is not None and run.cell != "lstm":
        raise ArgumentError(f"dc_last: {run.cell.upper()} has no cell state")

    def last(name: str, d: Any) -> np.ndarray:
        if d is None:
            return np.zeros((N, H))
        return np.asarray(to_numpy(as_gradient(name, d, (N, H), "N, H", np.float64)))
    return above, last("dh_last", dh_last), last("dc_last", dc_last)


def backward_flow(run: Unrolled, above: np.ndarray, dh_last: np.ndarray, dc_last: np.ndarray) -> GradientFlow:
    """Back through all steps of ``run``, with what ``check_upstream`` returned."""
    T, N, H = run.sizes
    lstm = run.cell == "lstm"
    dh, dc, dx = np.zeros((T + 1, N, H)), np.zeros((T + 1, N, H)), np.zeros_like(run.x)
    dW, db = np.zeros_like(run.W), np.zeros_like(run.b)
    from_h, from_c = dh_last, dc_last           # what the steps after t send back to h_t and c_t
    for t in range(T, 0, -1):
        dh[t] = above[t] + from_h
        dc[t] = from_c + (dh[t] * run.output_slope(t) if lstm else 0.0)
        real = True if run.real is None else run.real[t - 1]
        # A padded step is the identity: the cell's own backward gets zeros there, and so returns zeros.
        dc_t = from_c * real if lstm else None
        dx[t - 1], dh_prev, dc_prev, dW_t, db_t = step_back(run, t, dh[t] * real, dc_t)
        dW += dW_t
        db += db_t
        from_h = np.where(real, dh_prev, dh[t])
        if dc_prev is not None:
            from_c = np.where(real, dc_prev, from_c)
    dh[0], dc[0] = from_h, from_c
    real = np.ones((T, N), bool) if run.real is None else run.real[:, :, 0]
    dx = np.ascontiguousarray(dx.transpose(1, 0, 2))
    return GradientFlow(run.cell, dh, dc if lstm else None, dx, {"W": dW, "b": db}, real)
