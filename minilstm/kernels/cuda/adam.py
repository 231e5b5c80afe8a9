"""Adam's update of one parameter in one call; the kernel is in adam.cu."""

from __future__ import annotations

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.kernels.cuda.launch import THREADS, Pointer, blocks_for, kernel, launch


def adam_on_device(p: Array, g: Array, m: Array, v: Array, *, betas: tuple[float, float], rate: float,
                   eps: float, decay: float) -> None:
    """Update p, m and v in place, as ``minilstm.optim.adam``.

    The arrays are contiguous, of one shape and one dtype, float32 or float64.
    """
    beta1, beta2 = betas
    arrays = [Pointer(x, tuple(p.shape)) for x in (p, g, m, v)]
    numbers = [p.dtype.type(number) for number in (beta1, beta2, 1 - beta1, 1 - beta2, rate, eps, decay)]
    launch(kernel("adam", "adam", p.dtype), blocks_for(p.size), THREADS, *arrays, *numbers, np.int64(p.size))
