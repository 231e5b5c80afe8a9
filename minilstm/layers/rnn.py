"""The simple RNN as a layer; its equation and its derivation are in cells/rnn.py."""

from __future__ import annotations

from inspect import unwrap
from typing import Any

from minilstm.backend.checks import check_choice
from minilstm.cells import rnn
from minilstm.cells.activations import NONLINEARITIES
from minilstm.cells.gates import SequencePair
from minilstm.layers.recurrent import Recurrent


class RNN(Recurrent):
    """Simple recurrent network (Elman 1990), h_t = tanh(w_h [h_{t-1}, x_t] + b_h), one or more layers.

    Args:
        input_size, hidden_size: D and H.
        nonlinearity: "tanh" or "relu".
        num_layers: number of layers on top of each other.
        bidirectional: read each sequence in both directions and concatenate the outputs, forward units first.
        dropout: probability of dropping outputs between layers, while training; needs ``num_layers`` >= 2.
        return_sequences: return all outputs, (N, T, H · directions); False: the last one, (N, H ·
            directions).
        padding: the side that is padded when ``lengths`` are given, "post" or "pre".
        init: "default" (Keras': Glorot for the input, orthogonal for the state), "uniform" (PyTorch's:
            ±1/√H).
        dtype: floating dtype of the parameters.
        rng: seed or numpy Generator for the initial weights and the dropout masks.

    Call: ``y = layer(x, state0=None, lengths=None, padding=None, return_state=False)`` with x (N, T, D), and
    ``dx = layer.backward(dy)`` with dy shaped like y. With ``return_state=True`` or a given state,
    ``y, h_n = layer(x, h0, return_state=True)`` and ``dx, dh0 = layer.backward(dy, dh_n)``; states are
    (num_layers · directions, N, H).

    Parameters: ``W`` (H+D, H), rows [h; x], and ``b`` (H,), for each layer and direction
    (``W_reverse``, ``W_l1``, ...).

    Raises ShapeError, DtypeError and ArgumentError for input that does not fit, before anything changes.

    >>> import numpy as np, minilstm as ml
    >>> rnn = ml.RNN(3, 5, return_sequences=False, rng=0)
    >>> y = rnn(np.zeros((2, 7, 3), np.float32))            # the last states of 2 sequences of 7 steps
    >>> y.shape, rnn.backward(np.ones_like(y)).shape
    ((2, 5), (2, 7, 3))
    """

    cell, _readable = "rnn", SequencePair(unwrap(rnn.rnn_forward), unwrap(rnn.rnn_backward))
    gates = biases = rnn.GATES
    state_names = ("h",)

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, nonlinearity: str = "tanh",
                 **options: Any) -> None:
        check_choice("nonlinearity", nonlinearity, NONLINEARITIES)
        super().__init__(input_size, hidden_size, num_layers, **options)
        self.nonlinearity = nonlinearity
        self._cell_options = {"nonlinearity": nonlinearity}
