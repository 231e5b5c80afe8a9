"""The GRU as a layer; its equations and their derivation are in cells/gru.py."""

from __future__ import annotations

from inspect import unwrap

from minilstm.cells import gru
from minilstm.cells.gates import SequencePair
from minilstm.layers.recurrent import Recurrent


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014; the reset gate acts after the product, as in PyTorch), one or
    more layers.

    Args:
        input_size, hidden_size: D and H.
        num_layers: number of layers on top of each other.
        bidirectional: read each sequence in both directions and concatenate the outputs, forward units first.
        dropout: probability of dropping outputs between layers, while training; needs ``num_layers`` >= 2.
        return_sequences: return all outputs, (N, T, H · directions); False: the last one, (N, H ·
            directions).
        padding: the side that is padded when ``lengths`` are given, "post" or "pre".
        init: "default" (Keras': Glorot for the input, orthogonal for the state), "chrono" (Tallec & Ollivier
            2018) or "uniform" (PyTorch's: ±1/√H).
        t_max: with "chrono", the longest dependency to learn, in steps.
        dtype: floating dtype of the parameters.
        rng: seed or numpy Generator for the initial weights and the dropout masks.

    Call: ``y = layer(x, state0=None, lengths=None, padding=None, return_state=False)`` with x (N, T, D), and
    ``dx = layer.backward(dy)`` with dy shaped like y. With ``return_state=True`` or a given state,
    ``y, h_n = layer(x, h0, return_state=True)`` and ``dx, dh0 = layer.backward(dy, dh_n)``; states are
    (num_layers · directions, N, H).

    Parameters: ``W`` (H+D, 3H), rows [h; x], columns r, z, n, and ``b`` (4H,), with two blocks for n, for
    each layer and direction (``W_reverse``, ``W_l1``, ...); ``gate("z")`` returns one gate's columns as
    views.

    Raises ShapeError, DtypeError and ArgumentError for input that does not fit, before anything changes.

    >>> import numpy as np, minilstm as ml
    >>> gru = ml.GRU(3, 5, rng=0)
    >>> x = np.zeros((2, 7, 3), np.float32)                 # 2 sequences of 7 steps, 3 features each
    >>> y, h_n = gru(x, return_state=True)
    >>> y.shape, h_n.shape
    ((2, 7, 5), (1, 2, 5))
    >>> dx, dh0 = gru.backward(np.ones_like(y))
    >>> dx.shape, gru.grads["W"].shape
    ((2, 7, 3), (8, 15))
    """

    cell, _readable = "gru", SequencePair(unwrap(gru.gru_forward), unwrap(gru.gru_backward))
    gates, biases = gru.GATES, gru.BIASES
    _keep_gate = "z"
    state_names = ("h",)
