"""Fast versions ("twins") of readable functions; the functions here select those that fit given arrays.

The functions in ``cells/`` follow the equations and are meant to be read. The twins compute the same results
faster, and tests/kernels compares the two; you need not read them to understand the rest of the library. The
measured speed-up of each part is in benchmarks/RESULTS.md.

- ``cpu/``: NumPy, on several cores; if Numba is installed, the steps run in the loops of ``compiled/``;
- ``cuda/``: CUDA kernels for CuPy arrays;
- both have an embedding's gradient, and ``cuda/`` has Adam's update: on the host NumPy is as fast as compiled
  code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.cells.gates import SequencePair
from minilstm.kernels import compiled, cpu, cuda
from minilstm.kernels.cuda.adam import adam_on_device
from minilstm.kernels.cuda.embedding import add_on_device
from minilstm.kernels.cuda.launch import takes
from minilstm.kernels.cuda.trial import trusted


def twins(cell: str, *arrays: Array | None) -> SequencePair | None:
    """Return the fast forward and backward of a cell ("lstm", "gru" or "rnn") for arrays like these, or None.

    They take the arguments of the readable functions and three more: ``outputs=False`` (forward does not
    return the outputs), ``keep=False`` (forward keeps nothing for backward), and ``consume=True`` (backward
    may overwrite the cache).
    """
    given = [array for array in arrays if array is not None]
    if get_array_module(*given) is np:
        # Complex numbers, of complex-step checks, are for the readable functions.
        return cpu.PAIRS[cell] if all(array.dtype.kind == "f" for array in given) else None
    dtypes = {array.dtype for array in given}
    return cuda.PAIRS[cell] if all(dtype in cuda.REALS and trusted(cell, dtype) for dtype in dtypes) else None


def embedding_twin(dy: Array, dW: Array) -> Callable[[Array, Array, Array, int | None], None] | None:
    """Return the fast function for these arrays, or None if there is none.

    ``twin(dy, tokens, dW, padding_idx)`` adds to each row of dW (V, D) the sum of dy (..., D) over the
    positions of its token in tokens (...), in a fixed order, so that every run gives the same bytes. The row
    ``padding_idx`` is not changed.
    """
    if get_array_module(dy, dW) is not np:
        return add_on_device if takes(dy, dW) and trusted("embedding", dW.dtype) else None
    functions = compiled.functions(dW, dy) if dW.flags.c_contiguous else None
    return None if functions is None else partial(_add_compiled, functions)


def _add_compiled(functions: Any, dy: np.ndarray, tokens: np.ndarray, dW: np.ndarray,
                  padding_idx: int | None) -> None:
    rows = np.ascontiguousarray(dy.reshape(tokens.size, -1))
    tokens = np.ascontiguousarray(tokens, dtype=np.int64)
    functions.embedding.add_up(rows, tokens, -1 if padding_idx is None else padding_idx, dW)


def adam_twin(*arrays: Array) -> Callable[..., None] | None:
    """Return the update function for a parameter p, its gradient g and its moments m and v, or None.

    ``twin(p, g, m, v, betas=(β₁, β₂), rate=, eps=, decay=)`` updates p, m and v in place, like
    ``minilstm.optim.adam``. ``rate`` and ``eps`` include the bias corrections:

        g ← g + decay·p;  m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  p ← p − rate·m / (√v + eps)
    """
    if get_array_module(*arrays) is np or not takes(*arrays) or not trusted("adam", arrays[0].dtype):
        return None
    return adam_on_device
