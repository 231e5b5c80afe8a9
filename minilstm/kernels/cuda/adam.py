"""Adam's update of one parameter in one call; the kernel is in adam.cu."""

from __future__ import annotations

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.kernels.cuda.launch import THREADS, Pointer, blocks_for, kernel, launch


def adam_on_device(p: Array, g: Array, m: Array, v: Array, *, betas: tuple[float, float], rate: float, eps: float,
                   decay: float) -> None:
    """The update of ``minilstm.optim.adam`` for arrays of one shape, float32 or float64, contiguous: p, m and v in place."""
    beta1, beta2 = betas
    numbers = (beta1, beta2, 1 - beta1, 1 - beta2, rate, eps, decay)
    launch(kernel("adam", "adam", p.dtype), blocks_for(p.size), THREADS, *(Pointer(x, tuple(p.shape)) for x in (p, g, m, v)),
           *(p.dtype.type(number) for number in numbers), np.int64(p.size))
