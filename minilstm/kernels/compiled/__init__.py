"""The fast twins' inner loops, compiled by Numba where it is installed.

NumPy makes a gate in several passes, exp among them, which is slow on processors without AVX-512; a compiled loop reads every
number once, takes it through all the equations of its unit in registers, and writes it once. And a whole block of steps is one
call, in which Python's global interpreter lock is free, so that threads need not wait for each other.

- ``lstm.py``, ``gru.py``, ``rnn.py``: blocks of steps, forward and back; ``activations.py``, ``padding.py``: what they share;
- ``gemm.py``, ``blas.py``: the matrix product, which is the function of OpenBLAS that NumPy itself calls;
- ``layout.py``, ``embedding.py``, ``optim.py``: what else a training step moves;
- ``jit.py``: how they are compiled, and where the result is kept for the next process.

Only float32 is compiled: it is what models are trained in, and what short formulas are exact enough for. float64 is for checks
and stays with NumPy. Results do not depend on how rows are cut. ``MINILSTM_NUMBA=0`` in the environment leaves Numba alone.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

SWITCH = "MINILSTM_NUMBA"           # the environment variable; "0" means NumPy only
DTYPES = "f"                        # characters of the dtypes that are compiled


@cache
def _load() -> tuple[dict[str, Any], str]:
    """Return (all files by name, ""), or ({}, what is missing); Numba itself refuses a NumPy that it does not know."""
    try:
        return {name: importlib.import_module(f"{__name__}.{name}")
                for name in ("lstm", "gru", "rnn", "layout", "embedding", "optim")}, ""
    except Exception as error:      # whatever is wrong with it: nobody needs it to train
        return {}, f"{type(error).__name__}: {' '.join(str(error).split())}"


def why_not() -> str:
    """Return why nothing is compiled, in a few words; "" where it is."""
    return f"{SWITCH}=0" if os.environ.get(SWITCH) == "0" else _load()[1]


def words() -> str:
    """Return how steps in float32 are made, for a line above measured times."""
    return "steps in NumPy" if why_not() else f"steps compiled by Numba {version('numba')}"


@contextmanager
def switched_off() -> Iterator[None]:
    """Leave the work to NumPy inside a ``with``, in all threads."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        yield
    finally:
        os.environ.pop(SWITCH)
        os.environ.update({} if before is None else {SWITCH: before})


def takes(dtype: Any) -> bool:
    """Tell whether work on arrays of this dtype is compiled."""
    return np.dtype(dtype).char in DTYPES and os.environ.get(SWITCH) != "0" and bool(_load()[0])


def module(name: str, *arrays: np.ndarray) -> Any:
    """Return the file of compiled functions called ``name`` if it takes these arrays, or None: NumPy is to do it."""
    return _load()[0][name] if all(takes(array.dtype) for array in arrays) else None


def flat(a: np.ndarray | None, like: np.ndarray | None = None) -> np.ndarray:
    """Return a C-contiguous array (L, ...) as a view (L, numbers of a step), as compiled functions take it.

    None, where there is nothing to give, becomes an array without rows, in the dtype of ``like`` or bool.
    """
    if a is None:
        return np.empty((0, 0), bool if like is None else like.dtype)
    return a.reshape(len(a), -1)
