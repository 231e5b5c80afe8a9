"""What shapes alone say about a layer's training step: arithmetic, bytes kept for backward, bytes moved.

These are the rules behind the predicted columns of ``ml.explain``, for the layers of this library:

    arithmetic  matrix products only; (M, K) times (K, N) is 2·M·K·N operations, a multiplication and an addition each.
                Backward has two products for each one of forward, dx = dy Wᵀ and dW = xᵀ dy, so twice the operations.
                Elementwise work (gates, activations, masks, sums over rows) is left out.
    kept        the arrays in the cache that backward will read. A recurrent layer's fast twin keeps [h; x; 1] and U·H numbers
                of each step (U: 6 for the LSTM, 5 for the GRU, 1 for the RNN); the readable functions keep x, the states and
                the gates.
    moved       every array once. Forward reads x and the parameters, writes y and what is kept; backward reads dy, what is
                kept and the parameters, writes dx and adds to the gradients. Of an Embedding only the rows that can occur.

A layer of another class, a subclass too, has no rule here: what its forward does is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from minilstm.activations import ReLU, Sigmoid, Tanh
from minilstm.dropout import Dropout
from minilstm.embedding import Embedding
from minilstm.gru import GRU
from minilstm.kernels.gru import GRUCell
from minilstm.kernels.lstm import LSTMCell
from minilstm.kernels.rnn import RNNCell
from minilstm.linear import Linear
from minilstm.lstm import LSTM
from minilstm.module import Module
from minilstm.recurrent import Recurrent
from minilstm.rnn import RNN


class Call(NamedTuple):
    """One call of a layer's forward: its input and output, by shape and size.

    ``is_tokens``: the input is integers, so it has no gradient. ``on_host``: it is a NumPy array.
    """

    x: tuple[int, ...]
    x_bytes: int
    y: tuple[int, ...]
    y_bytes: int
    is_tokens: bool = False
    on_host: bool = True


class Cost(NamedTuple):
    """One call's costs: operations and bytes moved, each (forward, backward), and bytes kept in between."""

    flops: tuple[int, int]
    kept: int
    moved: tuple[int, int]

    def plus(self, other: Cost) -> Cost:
        """Return the costs of both."""
        return Cost((self.flops[0] + other.flops[0], self.flops[1] + other.flops[1]), self.kept + other.kept,
                    (self.moved[0] + other.moved[0], self.moved[1] + other.moved[1]))


def cost(layer: Module, call: Call) -> Cost | None:
    """Return the costs of one call of ``layer`` in training mode; None: there is no rule for its class."""
    rule = _RULES.get(type(layer))
    return None if rule is None else rule(layer, call)


def _moved(call: Call, kept: int, parameters: int) -> tuple[int, int]:
    """Return bytes moved (forward, backward) by the rule above; ``parameters`` in bytes, read whole."""
    dx = 0 if call.is_tokens else call.x_bytes
    return call.x_bytes + parameters + call.y_bytes + kept, call.y_bytes + kept + parameters + dx + 2 * parameters


def _parameter_bytes(layer: Module) -> int:
    return sum(int(p.nbytes) for p in layer.params.values())


def _embedding(layer: Any, call: Call) -> Cost:
    tokens = math.prod(call.x)
    rows = min(layer.num_embeddings, tokens) * call.y_bytes // tokens
    kept = call.x_bytes
    return Cost((0, 0), kept, (call.x_bytes + rows + call.y_bytes + kept, call.y_bytes + kept + 2 * rows))


def _linear(layer: Any, call: Call) -> Cost:
    forward = 2 * math.prod(call.x) * layer.out_features
    return Cost((forward, 2 * forward), call.x_bytes, _moved(call, call.x_bytes, _parameter_bytes(layer)))


def _dropout(layer: Any, call: Call) -> Cost:
    kept = call.x_bytes if layer.p > 0 else 0           # the mask
    return Cost((0, 0), kept, _moved(call, kept, 0))


def _activation(layer: Any, call: Call) -> Cost:
    return Cost((0, 0), call.y_bytes, _moved(call, call.y_bytes, 0))


def _recurrent(layer: Any, call: Call) -> Cost:
    """LSTM, GRU and RNN: every layer of the stack in every direction, and the dropout masks between layers."""
    N, T, _ = call.x
    H, dirs, gates = layer.hidden_size, layer.directions, len(layer.gates)
    item = call.x_bytes // math.prod(call.x)
    total = Cost((0, 0), 0, (0, 0))
    for k in range(layer.num_layers):
        D = layer.input_size if k == 0 else dirs * H
        last = k + 1 == layer.num_layers
        kept = dirs * _kept_by_direction(layer, N, T, D, call.on_host) * item
        between = Call((N, T, D), N * T * D * item, (), call.y_bytes if last else N * T * H * dirs * item)
        parameters = dirs * ((H + D) * gates + len(layer.biases or layer.gates)) * H * item
        forward = dirs * 2 * N * T * (H + D) * _blocks(layer, call.on_host) * H
        total = total.plus(Cost((forward, 2 * forward), kept, _moved(between, kept, parameters)))
        if k and layer.dropout:
            mask = between._replace(y_bytes=between.x_bytes)
            total = total.plus(Cost((0, 0), mask.x_bytes, _moved(mask, mask.x_bytes, 0)))
    return total


def _is_fast(layer: Recurrent, on_host: bool) -> bool:
    return layer.fast and on_host


def _blocks(layer: Recurrent, on_host: bool) -> int:
    """Return how many blocks of H columns a step's product has: the gates, but for the GRU's fast twin, which makes four."""
    return _CELLS[type(layer)].G if _is_fast(layer, on_host) else len(layer.gates)


def _kept_by_direction(layer: Recurrent, N: int, T: int, D: int, on_host: bool) -> int:
    """Return how many numbers one layer in one direction keeps."""
    H, states = layer.hidden_size, len(layer.state_names)
    if _is_fast(layer, on_host):
        return (T + 1) * N * (H + D + 1 + _CELLS[type(layer)].U * H) + states * N * H       # [h; x; 1], u; the final states
    of_each_step = {LSTM: 5, GRU: 4, RNN: 0}[type(layer)] * H               # the gates; tanh(c); q
    return T * N * (D + of_each_step) + states * (T + 1) * N * H


_CELLS: dict[type, Any] = {LSTM: LSTMCell, GRU: GRUCell, RNN: RNNCell}        # the fast twins
_RULES: dict[type, Callable[[Any, Call], Cost]] = {
    Embedding: _embedding, LSTM: _recurrent, GRU: _recurrent, RNN: _recurrent, Linear: _linear, Dropout: _dropout,
    Sigmoid: _activation, Tanh: _activation, ReLU: _activation,
}
