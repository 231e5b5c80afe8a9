"""The fast twins of the sequence functions, for CuPy: CUDA kernels of our own, one for a whole sequence.

A recurrent network on a GPU is a long chain of tiny steps, and a step launched from Python costs more than it computes. So
the fast path is a *persistent* kernel: the time loop is inside it, and a layer takes a dozen device calls a direction, however
many steps there are. The rows of a batch do not depend on each other, so a block of threads takes a few rows through all steps
and blocks never wait for each other: no barrier across the grid, no atomic addition, the same bytes at each run. It holds for
H a multiple of 32 up to 128, where a block's threads can keep the recurrent weights beside them; for any other H one *fused*
kernel and one matrix product a step do the work.

- ``lstm.cu``, ``gru.cu``, ``rnn.cu``: the cell's mathematics, the persistent kernels and the step kernels; ``common.cu`` what
  they share; ``embedding.cu``, ``adam.cu``, ``layout.cu`` what else there is a kernel for;
- ``launch.py``: compiled modules and checked launches; ``plan.py``: which kernel, how many rows a block;
- ``sequence.py``, ``lstm.py``, ``gru.py``, ``rnn.py``: the twins, with the signatures of those in ``kernels/cpu``;
- ``embedding.py``, ``adam.py``: the other kernels behind plain functions.

Nothing here waits for the device, and nothing but host ``lengths`` is uploaded. tests/cuda runs the sources, unchanged, on a
CPU.
"""

from __future__ import annotations

from minilstm.cells.gates import SequencePair
from minilstm.kernels.cuda.gru import gru_backward, gru_forward
from minilstm.kernels.cuda.launch import REALS
from minilstm.kernels.cuda.lstm import lstm_backward, lstm_forward
from minilstm.kernels.cuda.rnn import rnn_backward, rnn_forward

__all__ = ["PAIRS", "REALS"]

PAIRS = {"lstm": SequencePair(lstm_forward, lstm_backward), "gru": SequencePair(gru_forward, gru_backward),
         "rnn": SequencePair(rnn_forward, rnn_backward)}
