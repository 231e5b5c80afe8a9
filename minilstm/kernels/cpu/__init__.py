"""The fast twins for NumPy arrays, one pair a cell.

- ``sequence.py``: a whole batch through one layer and direction, cut into chunks of rows for several cores, time-major and
  feature-major inside; ``layout.py`` copies between this form and the batch's, ``memory.py`` keeps buffers for the next step;
- ``lstm.py``, ``gru.py``, ``rnn.py``: a step of each cell, one product each way; forward leaves the local derivatives behind,
  so that a step back is a few multiplications;
- ``products.py``: the product of a step.
"""

from __future__ import annotations

from minilstm.cells.gates import SequencePair
from minilstm.kernels.cpu.gru import gru_backward, gru_forward
from minilstm.kernels.cpu.lstm import lstm_backward, lstm_forward
from minilstm.kernels.cpu.rnn import rnn_backward, rnn_forward

PAIRS = {"lstm": SequencePair(lstm_forward, lstm_backward), "gru": SequencePair(gru_forward, gru_backward),
         "rnn": SequencePair(rnn_forward, rnn_backward)}
