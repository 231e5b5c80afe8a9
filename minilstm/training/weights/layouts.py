"""Where each library keeps a layer's weights: the one place that converts them.

A cell has G gates, blocks of H numbers. Ours is W (H+D, G·H), rows [h; x], and b; theirs are, by role,

    kernel      weight_ih (G·H, D) in PyTorch   kernel (D, G·H) in Keras
    recurrent   weight_hh (G·H, H)              recurrent_kernel (H, G·H)
    bias        bias_ih (G·H,)                  bias (G·H,); of a GRU with reset_after (2, G·H), for x and h
    bias_h      bias_hh (G·H,)

Two biases of a gate add up, but not those of the GRU's candidate: r_t stands between them. A dense kernel is
W in Keras, Wᵀ in PyTorch. Sources: the documentation of torch.nn.LSTM and torch.nn.GRU; keras/src/layers/rnn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.errors import CheckpointError
from minilstm.layers.embedding import Embedding
from minilstm.layers.linear import Linear
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent

Arrays = Mapping[str, np.ndarray]       # by role, the reverse direction's with "_reverse" behind it
TORCH = {"kernel": "weight_ih", "recurrent": "weight_hh", "bias": "bias_ih", "bias_h": "bias_hh"}
KERAS = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}
GATES = {"torch": {"lstm": "ifco", "gru": "rzn", "rnn": "h"},
         "keras": {"lstm": "ifco", "gru": "zrn", "rnn": "h"}}
WAYS = ("", "_reverse")


class Place(NamedTuple):
    """What a layer of a file can fill: an Embedding, a Linear, or one level of a recurrent layer."""

    name: str               # of our layer
    layer: Any
    level: int
    ends: list[str]         # of its parameters' names, one for each direction


def places(model: Module) -> list[Place]:
    """Return the places of a model, in its order. Raises CheckpointError for weights of other layers."""
    found = []
    for name, layer in model.modules():
        ends = layer.suffixes() if isinstance(layer, Recurrent) else [""] * bool(layer.params)
        if ends and not isinstance(layer, (Recurrent, Embedding, Linear)):
            raise CheckpointError(f"cannot fill {name} {layer!r}, which has no counterpart elsewhere")
        ways = getattr(layer, "directions", 1)
        found += [Place(name, layer, at // ways, ends[at:at + ways]) for at in range(0, len(ends), ways)]
    return found


def to_ours(layout: str, place: Place, theirs: Arrays) -> dict[str, np.ndarray]:
    """Return a place's parameters by name. A cell's missing biases are zero."""
    layer, ours = place.layer, dict[str, np.ndarray]()
    for end, way in zip(place.ends, WAYS):
        part = {role: _turned(layout, layer, theirs[role + way]) for role in TORCH if role + way in theirs}
        ours["W" + end] = W = part["kernel"]
        if isinstance(layer, Recurrent):
            W = np.concatenate([part["recurrent"], W])
            columns = _columns(GATES[layout][layer.cell], layer.gates, W.shape[1])
            biases = [part[role] for role in ("bias", "bias_h") if role in part]
            of_x, of_h = np.vstack([*biases, np.zeros((2, W.shape[1]), W.dtype)])[:2, columns]
            b = np.where(of_h == 0, of_x, of_x + of_h)          # keeps -0.0
            n = len(b) - layer.hidden_size * (layer.cell == "gru")      # whose candidate has two
            ours |= {"W" + end: W[:, columns], "b" + end: np.concatenate([b[:n], of_x[n:], of_h[n:]])}
        elif "bias" in part:
            ours["b" + end] = part["bias"]
    return {f"{place.name}.{name}".lstrip("."): array for name, array in ours.items()}


def to_theirs(layout: str, place: Place) -> dict[str, np.ndarray]:
    """Return a place's arrays, the way back. PyTorch's bias_h is zero, but for the GRU's candidate."""
    layer, theirs = place.layer, dict[str, np.ndarray]()
    for end, way in zip(place.ends, WAYS):
        W, *biases = [to_numpy(layer.params[name + end]) for name in "Wb" if name + end in layer.params]
        part = dict(zip(("kernel", "bias"), (W, *biases)))
        if isinstance(layer, Recurrent):
            H, size = layer.hidden_size, W.shape[1]
            columns = _columns(layer.gates, GATES[layout][layer.cell], size)
            b = biases[0]
            of_x, of_h = b[columns], np.concatenate([np.zeros(2 * size - len(b), b.dtype), b[size:]])[columns]
            part = {"kernel": W[H:, columns], "recurrent": W[:H, columns], "bias": of_x, "bias_h": of_h}
            if layout == "keras":
                del part["bias_h"]
                part["bias"] = np.stack([of_x, of_h]) if layer.cell == "gru" else of_x
        theirs.update({role + way: _turned(layout, layer, array) for role, array in part.items()})
    return theirs


def steps(layout: str, layer: Module) -> str:
    """Return in words what ``to_ours`` does."""
    words = ["transposed"] * (layout == "torch" and not isinstance(layer, Embedding))
    if isinstance(layer, Recurrent):
        words.append(f"gates {GATES[layout][layer.cell]} -> {''.join(layer.gates)}, rows [h; x]")
        words += ["biases added"] * (layout == "torch")
    return ", ".join(words)


def _turned(layout: str, layer: Module, array: np.ndarray) -> np.ndarray:
    return array.T if layout == "torch" and not isinstance(layer, Embedding) else array


def _columns(order: str | tuple[str, ...], wanted: str | tuple[str, ...], size: int) -> np.ndarray:
    """Return where the ``size`` columns of blocks ``wanted`` stand among blocks in another order."""
    return np.arange(size).reshape(len(order), -1)[[order.index(gate) for gate in wanted]].ravel()
