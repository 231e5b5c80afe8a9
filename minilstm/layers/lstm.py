"""The LSTM as a layer; its equations and their derivation are in cells/lstm.py."""

from __future__ import annotations

from inspect import unwrap

from minilstm.cells import lstm
from minilstm.cells.gates import SequencePair
from minilstm.layers.recurrent import Recurrent


class LSTM(Recurrent):
    """Long short-term memory, one or more layers (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    Args:
        input_size, hidden_size: D and H.
        num_layers: number of layers on top of each other.
        bidirectional: read each sequence in both directions and concatenate the outputs, forward units first.
        dropout: probability of dropping outputs between layers, while training; needs ``num_layers`` >= 2.
        return_sequences: return all outputs, (N, T, H · directions); False: the last one, (N, H ·
            directions).
        padding: the side that is padded when ``lengths`` are given, "post" or "pre".
        init: "default" (Keras': Glorot for the input, orthogonal for the state, forget bias 1), "chrono"
            (Tallec & Ollivier 2018) or "uniform" (PyTorch's: ±1/√H).
        t_max: with "chrono", the longest dependency to learn, in steps.
        dtype: floating dtype of the parameters.
        rng: seed or numpy Generator for the initial weights and the dropout masks.

    Call: ``y = layer(x, state0=None, lengths=None, padding=None, return_state=False)`` with x (N, T, D), and
    ``dx = layer.backward(dy)`` with dy shaped like y. With ``return_state=True`` or given states, ``y, (h_n,
    c_n) = layer(x, (h0, c0), return_state=True)`` and ``dx, (dh0, dc0) = layer.backward(dy, (dh_n, dc_n))``;
    states are (num_layers · directions, N, H).

    Parameters: ``W`` (H+D, 4H), rows [h; x], columns f, i, o, c, and ``b`` (4H,), for each layer and
    direction (``W_reverse``, ``W_l1``, ...); ``gate("f")`` returns one gate's columns as views.

    Raises ShapeError, DtypeError and ArgumentError for input that does not fit, before anything changes.

    >>> import numpy as np, minilstm as ml
    >>> lstm = ml.LSTM(3, 5, rng=0)
    >>> x = np.zeros((2, 7, 3), np.float32)                 # 2 sequences of 7 steps, 3 features each
    >>> y, (h_n, c_n) = lstm(x, return_state=True)
    >>> y.shape, h_n.shape
    ((2, 7, 5), (1, 2, 5))
    >>> dx, (dh0, dc0) = lstm.backward(np.ones_like(y))     # adds to lstm.grads["W"] and lstm.grads["b"]
    >>> dx.shape, lstm.grads["W"].shape
    ((2, 7, 3), (8, 20))
    """

    cell, _readable = "lstm", SequencePair(unwrap(lstm.lstm_forward), unwrap(lstm.lstm_backward))
    gates = biases = lstm.GATES
    _keep_gate = "f"
    state_names = ("h", "c")
