"""The GRU as a layer; its equations and their derivation are in cells/gru.py."""

from __future__ import annotations

from minilstm.cells import gru
from minilstm.cells.gates import SequencePair
from minilstm.layers.recurrent import Recurrent


class GRU(Recurrent):
    """GRU layer: one or more layers, one or both directions.

    ``y = gru(x)`` gives the output alone; ``y, h_n = gru(x, h0, return_state=True)`` the final state too, and then
    ``dx, dh0 = gru.backward(dy, dh_n)``. See Recurrent for all arguments, shapes and errors.

    Parameters: ``W`` (H+D, 3H) and ``b`` (4H,) for each layer and direction; ``gate("z")`` gives one gate's share.
    """

    cell, readable = "gru", SequencePair(gru.gru_forward, gru.gru_backward)
    gates = gru.GATES
    biases = gru.BIASES
    keep_gate = "z"
    state_names = ("h",)
