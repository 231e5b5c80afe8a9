"""Where each library keeps a layer's weights: the one place that converts them.

A cell has G gates, blocks of H numbers. Ours is W (H+D, G·H), rows [h; x], and b; theirs are

    role        PyTorch                 Keras
    kernel      weight_ih (G·H, D)      kernel (D, G·H)
    recurrent   weight_hh (G·H, H)      recurrent_kernel (H, G·H)
    bias        bias_ih (G·H,)          bias (G·H,); GRU with reset_after: (2, G·H), for x and for h
    bias_h      bias_hh (G·H,)
    LSTM, GRU   i f c o, r z n          i f c o, z r n

Two biases of a gate add up, but not those of the GRU's candidate: r_t stands between them. A dense kernel is W in
Keras, Wᵀ in PyTorch. Sources: the documentation of torch.nn.LSTM and torch.nn.GRU; keras/src/layers/rnn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minilstm.cells import gru, lstm, rnn
from minilstm.layers.embedding import Embedding
from minilstm.layers.gru import GRU
from minilstm.layers.lstm import LSTM
from minilstm.layers.module import Module
from minilstm.layers.rnn import RNN

Arrays = Mapping[str, np.ndarray]
TORCH = {"kernel": "weight_ih", "recurrent": "weight_hh", "bias": "bias_ih", "bias_h": "bias_hh"}


class Cell(NamedTuple):
    """A kind of cell: its name in Keras, our blocks of W, and the libraries' orders of them."""

    keras: str
    gates: tuple[str, ...]
    orders: Mapping[str, str]


CELLS = {LSTM: Cell("LSTM", lstm.GATES, {"torch": "ifco", "keras": "ifco"}),
         GRU: Cell("GRU", gru.GATES, {"torch": "rzn", "keras": "zrn"}),
         RNN: Cell("SimpleRNN", rnn.GATES, {"torch": "h", "keras": "h"})}


def cell_of(layer: Module) -> Any:
    """Return the Cell of a recurrent layer; None for other layers."""
    return next((cell for kind, cell in CELLS.items() if isinstance(layer, kind)), None)


def to_ours(layout: str, layer: Module, theirs: Arrays) -> dict[str, np.ndarray]:
    """Return W and b of arrays by role. A cell's missing biases are zero."""
    turn = layout == "torch" and not isinstance(layer, Embedding)
    kernel, cell = theirs["kernel"].T if turn else theirs["kernel"], cell_of(layer)
    if cell is None:
        return {"W": kernel, **({"b": theirs["bias"]} if "bias" in theirs else {})}
    W = np.concatenate([theirs["recurrent"].T if turn else theirs["recurrent"], kernel])
    columns = _columns(cell.orders[layout], cell.gates, W.shape[1])
    rows = [np.atleast_2d(theirs[role]) for role in ("bias", "bias_h") if role in theirs]
    of_x, of_h = np.concatenate([*rows, np.zeros((2, W.shape[1]), W.dtype)])[:2, columns]
    b = np.where(of_h == 0, of_x, of_x + of_h)          # keeps -0.0
    if isinstance(layer, GRU):                          # its last two blocks: b_nx, b_nh
        n = columns.size // 3 * 2
        b = np.concatenate([b[:n], of_x[n:], of_h[n:]])
    return {"W": W[:, columns], "b": b}


def to_theirs(layout: str, layer: Module, W: np.ndarray, b: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return arrays by role, the way back. PyTorch's bias_h is zero, but for the GRU's candidate."""
    turn, cell = layout == "torch" and not isinstance(layer, Embedding), cell_of(layer)
    if cell is None or b is None:
        return {"kernel": W.T if turn else W, **({} if b is None else {"bias": b})}
    size = W.shape[1]
    H, columns = size // len(cell.gates), _columns(cell.gates, cell.orders[layout], size)
    of_h = np.concatenate([np.zeros(2 * size - len(b), b.dtype), b[size:]])[columns]
    W, of_x = W[:, columns], b[columns]
    if turn:
        return {"kernel": W[H:].T, "recurrent": W[:H].T, "bias": of_x, "bias_h": of_h}
    return {"kernel": W[H:], "recurrent": W[:H], "bias": np.stack([of_x, of_h]) if len(b) > size else of_x}


def _columns(order: str | tuple[str, ...], wanted: str | tuple[str, ...], size: int) -> np.ndarray:
    """Return where the ``size`` columns of blocks ``wanted`` stand among blocks in another order."""
    return np.arange(size).reshape(len(order), -1)[[order.index(gate) for gate in wanted]].ravel()


def steps(layout: str, layer: Module) -> str:
    """Return in words what ``to_ours`` does."""
    cell, turned = cell_of(layer), "transposed" * (layout == "torch" and not isinstance(layer, Embedding))
    gates = f"gates {cell.orders[layout]} -> {''.join(cell.gates)}, rows [h; x]" if cell else ""
    return ", ".join(filter(None, [turned, gates, "biases added" * bool(cell and turned)]))
