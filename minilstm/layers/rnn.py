"""The simple RNN as a layer; its equation and its derivation are in cells/rnn.py."""

from __future__ import annotations

from typing import Any

from minilstm.backend.checks import check_choice
from minilstm.cells import rnn
from minilstm.cells.gates import SequencePair
from minilstm.layers.recurrent import Recurrent


class RNN(Recurrent):
    """Simple recurrent layer: one or more layers, one or both directions.

    ``y = rnn(x)`` gives the output alone; ``y, h_n = rnn(x, h0, return_state=True)`` the final state too, and then
    ``dx, dh0 = rnn.backward(dy, dh_n)``. See Recurrent for all other arguments, shapes and errors.

    Args:
        nonlinearity: "tanh" or "relu".

    Parameters: ``W`` (H+D, H) and ``b`` (H,) for each layer and direction; ``gate("h")`` gives both as views.
    """

    cell, readable = "rnn", SequencePair(rnn.rnn_forward, rnn.rnn_backward)
    gates = rnn.GATES
    state_names = ("h",)

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, nonlinearity: str = "tanh",
                 **options: Any) -> None:
        check_choice("nonlinearity", nonlinearity, rnn.NONLINEARITIES)
        super().__init__(input_size, hidden_size, num_layers, **options)
        self.nonlinearity = nonlinearity
        self.cell_options = {"nonlinearity": nonlinearity}
