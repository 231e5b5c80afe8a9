"""How much of the loss's gradient reaches the state of an earlier step: ‖∂L/∂s_t‖ against the distance T - t.

The state s is all that a step hands to the next: h of an RNN or GRU, (h, c) of an LSTM. A sequence is cut after step t, and
its rest is run from s_t as if that were an initial state; the layer's own backward pass then returns ∂L/∂s_t. So the figure
comes from the same code that trains (Pascanu et al. 2013 look at the same quantity).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilstm.checks import check_integer, check_shape
from minilstm.errors import ArgumentError
from minilstm.lab.cells import CELL_NAMES, COLOURS, MARKERS
from minilstm.lab.words import model_parts
from minilstm.module import Module


def state_gradients(model: Module, criterion: Any, tokens: np.ndarray, targets: np.ndarray,
                    steps: Sequence[int]) -> dict[int, float]:
    """Return t -> ‖∂L/∂s_t‖, the mean over the sequences, for each t of ``steps``.

    Args:
        model: a Sequential of Embedding, one recurrent layer (one direction, return_sequences=False), Dropout (or none),
            Linear and Sigmoid. A float64 copy of it is used, without dropout; the model itself is not changed.
        criterion: the loss, a mean over the sequences; each sequence's own loss is what is differentiated.
        tokens: (N, T) integers, T real words in each row.
        targets: (N,).
        steps: numbers from 1 to T; t = T is the state that the answer is made from.

    Raises ArgumentError, ShapeError, DtypeError.
    """
    model_parts(model)
    check_integer("tokens", tokens)
    check_shape("tokens", tokens, (None, None), "N, T")
    N, T = tokens.shape
    for t in steps:
        if not 1 <= t <= T:
            raise ArgumentError(f"steps: expected numbers from 1 to {T}, got {t!r}")
    model = copy.deepcopy(model).to(dtype=np.float64).train()
    embedding, layer, linear, sigmoid = model_parts(model)
    layer.fast = False
    x = embedding(tokens)
    norms = {}
    for t in steps:
        model.zero_grad()
        h, state = layer(x[:, :t], return_state=True)
        if t < T:
            h, _ = layer(x[:, t:], state, return_state=True)
        criterion(sigmoid(linear(h)), targets)
        gradient = linear.backward(sigmoid.backward(criterion.backward()))
        if t < T:
            _, gradient = layer.backward(gradient)
        parts = gradient if isinstance(gradient, tuple) else (gradient,)
        rows = np.concatenate([part.reshape(N, -1) for part in parts], axis=1)     # one layer: (1, N, H), or (N, H) at T
        norms[int(t)] = N * float(np.linalg.norm(rows, axis=1).mean())
    return norms


def distances(T: int, count: int = 12) -> list[int]:
    """Return up to ``count`` steps from 1 to T, with distances T - t that grow by a factor: close at the end, wide before."""
    back = np.unique(np.round(np.geomspace(1, T, count)).astype(int)) - 1
    return sorted({int(T - k) for k in back})


def draw_state_gradients(curves: Mapping[tuple[str, str], Mapping[int, float]]) -> Any:
    """Draw norms relative to the last step's against steps back, on a logarithmic axis; return the matplotlib Figure.

    ``curves``: (cell, when) -> what ``state_gradients`` returned. The first "when" is drawn solid, further ones dashed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ArgumentError("drawing needs matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    times = list(dict.fromkeys(when for _, when in curves))
    for (cell, when), norms in curves.items():
        T = max(norms)
        drawn = [(T - t, norm / norms[T]) for t, norm in sorted(norms.items()) if norm > 0]
        axes.plot(*zip(*drawn), color=COLOURS[cell], marker=MARKERS[cell], linewidth=2.5, markersize=6,
                  linestyle="-" if when == times[0] else "--", label=f"{CELL_NAMES[cell]}, {when}")
    axes.set_yscale("log")
    axes.invert_xaxis()
    axes.set_title("How much of the gradient reaches an earlier state", fontsize=15)
    axes.set_xlabel("steps before the last one", fontsize=14)
    axes.set_ylabel("‖∂L/∂s$_t$‖ / ‖∂L/∂s$_T$‖", fontsize=14)
    axes.tick_params(labelsize=12)
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=12)
    return figure
