"""The LSTM as a layer; its equations and their derivation are in cells/lstm.py."""

from __future__ import annotations

from minilstm.cells import lstm
from minilstm.cells.gates import SequencePair
from minilstm.layers.recurrent import Recurrent


class LSTM(Recurrent):
    """LSTM layer: one or more layers, one or both directions.

    ``y = lstm(x)`` gives the output alone; ``y, (h_n, c_n) = lstm(x, (h0, c0), return_state=True)`` the final states too,
    and then ``dx, (dh0, dc0) = lstm.backward(dy, (dh_n, dc_n))``. See Recurrent for all arguments, shapes and errors.

    Parameters: ``W`` (H+D, 4H) and ``b`` (4H,) for each layer and direction; ``gate("f")`` gives one gate's share.
    """

    cell, readable = "lstm", SequencePair(lstm.lstm_forward, lstm.lstm_backward)
    gates = lstm.GATES
    keep_gate = "f"
    state_names = ("h", "c")
