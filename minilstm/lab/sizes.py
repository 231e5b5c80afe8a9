"""The number of parameters of a recurrent layer, and the hidden size that gives different cells equally many.

At an equal hidden size the LSTM has four times as many parameters as the simple RNN. With one layer and one
direction, D inputs and H hidden units:

    RNN   H (H + D) + H             one w, one b
    GRU   3 H (H + D) + 4 H         three w, but four b (the candidate has two)
    LSTM  4 (H (H + D) + H)         four of each
"""

from __future__ import annotations

from minilstm.backend.checks import check_choice, check_positive_int
from minilstm.lab.cells import CELLS

WEIGHTS_AND_BIASES = {"rnn": (1, 1), "gru": (3, 4), "lstm": (4, 4)}


def recurrent_parameters(cell: str, input_size: int, hidden_size: int) -> int:
    """Return how many parameters a layer of ``cell`` ("rnn", "gru" or "lstm") has. Raises ArgumentError."""
    check_choice("cell", cell, CELLS)
    D, H = check_positive_int("input_size", input_size), check_positive_int("hidden_size", hidden_size)
    weights, biases = WEIGHTS_AND_BIASES[cell]
    return weights * H * (H + D) + biases * H


def hidden_size_for(cell: str, input_size: int, parameters: int) -> int:
    """Return the hidden size with which a layer's number of parameters is closest to ``parameters``.

    Raises ArgumentError.
    """
    check_positive_int("parameters", parameters)
    low, high = 1, 2
    while recurrent_parameters(cell, input_size, high) < parameters:
        high *= 2
    while high - low > 1:       # low has too few parameters (or is 1), high has enough
        middle = (low + high) // 2
        if recurrent_parameters(cell, input_size, middle) < parameters:
            low = middle
        else:
            high = middle
    return min(low, high, key=lambda H: abs(recurrent_parameters(cell, input_size, H) - parameters))
