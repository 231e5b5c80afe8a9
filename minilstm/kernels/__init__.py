"""Fast versions ("twins") of the sequence functions in minilstm/cells; ``twins`` selects those that fit given arrays.

The functions in ``cells/`` follow the equations and are meant to be read. The twins compute the same results faster, and
tests/kernels compares the two; you need not read them to understand the rest of the library. The measured speed-up of each
part is in benchmarks/RESULTS.md.

- ``cpu/``: NumPy, on several cores; if Numba is installed, the steps run in the loops of ``compiled/``;
- ``cuda/``: CUDA kernels for CuPy arrays;
- ``embedding.py``, ``adam.py``: the embedding's gradient, compiled or on a device, and Adam's update on a device.
"""

from __future__ import annotations

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.cells.gates import SequencePair
from minilstm.kernels import cpu, cuda
from minilstm.kernels.cuda.trial import trusted


def twins(cell: str, *arrays: Array | None) -> SequencePair | None:
    """Return the fast forward and backward of a cell ("lstm", "gru" or "rnn") for arrays like these, or None.

    They take the arguments of the readable functions and three more: ``outputs=False`` (forward does not return the outputs),
    ``keep=False`` (forward keeps nothing for backward), and ``consume=True`` (backward may overwrite the cache).
    """
    given = [array for array in arrays if array is not None]
    if get_array_module(*given) is np:          # complex numbers, of complex-step checks, are for the readable functions
        return cpu.PAIRS[cell] if all(array.dtype.kind == "f" for array in given) else None
    dtypes = {array.dtype for array in given}
    return cuda.PAIRS[cell] if all(dtype in cuda.REALS and trusted(cell, dtype) for dtype in dtypes) else None
