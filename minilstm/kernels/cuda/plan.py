"""Choose the kernel for a sequence, the persistent one if the sizes fit, and the rows of a batch per block.

In the persistent kernels, each thread owns H recurrent weights. As many of them as fit into the thread's
registers stay there for the whole sequence; the others are read through the cache at each step. The numbers
that fit without spilling come from the compiler's report; tests/cuda/test_compilation.py checks them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.kernels.cuda import launch

LARGEST = 128                           # H above which weights spill
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
ROWS = (1, 2, 4, 8)                     # possible rows per block; with doubles, its shared memory takes 4
# Weights that a thread keeps in registers, by rows per block (for float32; doubles take twice the space, and
# more for their sums). With more rows there are more sums to hold, but each weight that is read serves more
# of them.
HELD = {
    "rnn": {1: 96, 2: 96, 4: 96, 8: 96},
    "gru": {1: 64, 2: 64, 4: 64, 8: 32},
    "lstm": {1: 64, 2: 64, 4: 48, 8: 32},
}


def fits(cell: str, H: int, dtype: Any) -> bool:
    """Tell whether the persistent kernels of a cell ("lstm", "gru", "rnn") take a hidden state of size H."""
    return cell in GATES and np.dtype(dtype) in launch.REALS and H % 32 == 0 and 0 < H <= LARGEST


def rows_for(N: int, multiprocessors: int, dtype: Any) -> int:
    """Return the rows per block: the smallest with at most one block per multiprocessor, else the largest."""
    possible = [rows for rows in ROWS if rows <= 32 // np.dtype(dtype).itemsize]
    return next((rows for rows in possible if rows * multiprocessors >= N), possible[-1])


def defines(cell: str, H: int, rows: int, dtype: Any) -> dict[str, int]:
    """Return the macros that a persistent kernel is compiled with."""
    held = HELD[cell][rows] * 4 // np.dtype(dtype).itemsize ** 2 * 4
    return {"HIDDEN": H, "ROWS": rows, "HELD": min(H, held)}
