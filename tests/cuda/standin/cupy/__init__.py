"""A stand-in for CuPy on NumPy arrays: as strict as a device, and it counts what a program does.

It has only what the library may use; any other name raises AttributeError. tests/cuda/test_names.py checks that the real CuPy
has the names and keywords that the library uses. ``with cupy.counted() as counts`` (the one
addition) counts device calls, matrix products, syncs and uploads. Kernels written in CUDA run on the CPU, through
tests/cuda/emulator.py.
"""

from __future__ import annotations

import numpy as _np
from cupy import _functions, _operators, cuda
from cupy._array import ndarray
from cupy._counts import Counts, counted
from cupy._kernels import ElementwiseKernel, RawKernel, RawModule

__version__ = "14.2.0"
STANDIN = True
_FUNCTIONS = {name.rstrip("_"): thing for name, thing in vars(_functions).items()
              if getattr(thing, "__module__", "") == _functions.__name__}

globals().update(_FUNCTIONS)
globals().update({name: _functions.ufunc(getattr(_np, name)) for name in _functions.UFUNCS})
globals().update({name: getattr(_np, name) for name in _functions.CONSTANTS})
abs = globals()["absolute"]

__all__ = ["ElementwiseKernel", "RawKernel", "RawModule", "abs", "cuda", "ndarray"]
__all__ += [*_FUNCTIONS, *_functions.UFUNCS, *_functions.CONSTANTS]
ADDITIONS = (Counts, counted, _operators)
