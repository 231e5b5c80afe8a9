"""The same sequence functions as in minilstm/cells, made for speed; ``twins`` says which there are for given arrays.

``cells/`` says what is computed, in the order of the equations. What is here computes the same, and tests/kernels holds the
two against each other; nothing here is needed to understand anything else. What each part is worth, measured, is in
benchmarks/RESULTS.md.

- ``cpu/``: NumPy, on several cores; where Numba is installed its steps are the loops of ``compiled/``;
- ``cuda/``: CUDA kernels for CuPy arrays;
- ``embedding.py``, ``adam.py``: the embedding's gradient, compiled or on a device, and Adam's update on a device.
"""

from __future__ import annotations

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.cells.gates import SequencePair
from minilstm.kernels import cpu, cuda


def twins(cell: str, *arrays: Array | None) -> SequencePair | None:
    """Return the fast forward and backward of a cell ("lstm", "gru" or "rnn") for arrays like these; None: there are none.

    They take the arguments of the readable functions, and further ones: forward ``outputs=False`` (leave the outputs out) and
    ``keep=False`` (keep nothing for backward), backward ``consume=True`` (the cache may be written over).
    """
    given = [array for array in arrays if array is not None]
    if get_array_module(*given) is np:
        return cpu.PAIRS[cell]
    return cuda.PAIRS[cell] if all(array.dtype in cuda.REALS for array in given) else None
