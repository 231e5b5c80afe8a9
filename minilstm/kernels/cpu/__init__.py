"""The fast twins for NumPy arrays, one pair per cell.

- ``sequence.py``: runs a whole batch through one layer and direction, in chunks of rows for several cores;
  inside a chunk, time is the first axis and features the second; ``buffers.py`` copies between this layout
  and the batch's, and keeps memory for the next training step;
- ``lstm.py``, ``gru.py``, ``rnn.py``: one step of each cell, with one matrix product forward and one
  backward; forward stores the local derivatives, so that a step backward needs only a few more
  multiplications;
- ``products.py``: the matrix product of a step.
"""

from __future__ import annotations

from minilstm.cells.gates import SequencePair
from minilstm.kernels.cpu.gru import gru_backward, gru_forward
from minilstm.kernels.cpu.lstm import lstm_backward, lstm_forward
from minilstm.kernels.cpu.rnn import rnn_backward, rnn_forward

PAIRS = {
    "lstm": SequencePair(lstm_forward, lstm_backward),
    "gru": SequencePair(gru_forward, gru_backward),
    "rnn": SequencePair(rnn_forward, rnn_backward),
}
