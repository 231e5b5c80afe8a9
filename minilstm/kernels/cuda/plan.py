"""Which kernel runs a sequence: the persistent one where it fits, and with how many rows a block.

A thread of the persistent kernels owns H recurrent weights. As many as its share of the registers allows stay there for the
whole sequence, the rest is read at each step through the cache. What fits without spilling was found with the compiler's own
report (tests/cuda/test_compilation.py holds it).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.kernels.cuda import launch

LARGEST = 128                           # H above which weights spill
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
ROWS = (1, 2, 4, 8)                     # that a block may take; of doubles, no more than 4 fit into its shared memory
# Weights of a thread in registers (float32; doubles take twice the room, and more for their sums), by the rows of a block:
# with more rows there are more sums to hold, and each weight that is read serves more of them.
HELD = {"rnn": {1: 96, 2: 96, 4: 96, 8: 96}, "gru": {1: 64, 2: 64, 4: 64, 8: 32}, "lstm": {1: 64, 2: 64, 4: 48, 8: 32}}


def fits(cell: str, H: int, dtype: Any) -> bool:
    """Tell whether the persistent kernels of a cell ("lstm", "gru", "rnn") take a hidden state of size H."""
    return cell in GATES and np.dtype(dtype) in launch.REALS and H % 32 == 0 and 0 < H <= LARGEST


def rows_for(N: int, multiprocessors: int, dtype: Any) -> int:
    """Return how many rows of a batch a block takes: as few as leave every multiprocessor one block at most, if possible."""
    possible = [rows for rows in ROWS if rows <= 32 // np.dtype(dtype).itemsize]
    return next((rows for rows in possible if rows * multiprocessors >= N), possible[-1])


def defines(cell: str, H: int, rows: int, dtype: Any) -> dict[str, int]:
    """Return the macros that a persistent kernel is compiled with."""
    held = HELD[cell][rows] * 4 // np.dtype(dtype).itemsize ** 2 * 4
    return {"HIDDEN": H, "ROWS": rows, "HELD": min(H, held)}
