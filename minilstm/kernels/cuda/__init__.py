"""The fast versions of the sequence functions for CuPy: custom CUDA kernels, one launch per sequence.

A recurrent network on a GPU is a long chain of tiny steps, and a step launched from Python costs more than it
computes. So the fast path is a *persistent* kernel, which contains the time loop: a layer needs a dozen
device calls per direction, independent of the number of steps. The rows of a batch are independent, so each
block of threads processes a few rows through all steps, and blocks never wait for each other: there are no
grid-wide barriers and no atomic additions, and every run gives the same bytes. The persistent kernels exist
for H a multiple of 32 up to 128, where the threads of a block can hold the recurrent weights; any other H
uses one *fused* kernel and one matrix product per step.

- ``lstm.cu``, ``gru.cu``, ``rnn.cu``: the cell's mathematics, the persistent kernels and the step kernels;
  ``common.cu``: shared code; ``embedding.cu``, ``adam.cu``, ``layout.cu``: kernels for other operations;
- ``launch.py``: compiled modules and checked launches; ``plan.py``: choice of kernel and rows per block;
- ``sequence.py``, ``lstm.py``, ``gru.py``, ``rnn.py``: the twins, with the signatures of those in
  ``kernels/cpu``;
- ``embedding.py``, ``adam.py``: the other kernels behind plain functions;
- ``trial.py``: each family is compared with the readable functions before it is first used.

Nothing here waits for the device, and only ``lengths`` on the host are uploaded. tests/cuda runs the sources,
unchanged, on a CPU.
"""

from __future__ import annotations

from minilstm.cells.gates import SequencePair
from minilstm.kernels.cuda.gru import gru_backward, gru_forward
from minilstm.kernels.cuda.launch import REALS
from minilstm.kernels.cuda.lstm import lstm_backward, lstm_forward
from minilstm.kernels.cuda.rnn import rnn_backward, rnn_forward

__all__ = ["PAIRS", "REALS"]

PAIRS = {
    "lstm": SequencePair(lstm_forward, lstm_backward),
    "gru": SequencePair(gru_forward, gru_backward),
    "rnn": SequencePair(rnn_forward, rnn_backward),
}
