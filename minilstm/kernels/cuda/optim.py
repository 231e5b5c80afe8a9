"""A step of Adam or AdamW in one call a parameter; the kernel is in optim.cu."""

from __future__ import annotations

import math

import numpy as np

from minilstm.backend import Array
from minilstm.kernels.cuda.launch import THREADS, Pointer, blocks_for, kernel, launch


def adam_update(p: Array, g: Array, m: Array, v: Array, *, steps: int, lr: float, betas: tuple[float, float], eps: float,
                weight_decay: float = 0.0, decoupled: bool = False, ok: Array | None = None) -> None:
    """Step number ``steps`` (from 1) of Adam, with ``decoupled`` of AdamW, on one parameter: p, m and v in place.

    p, g, m, v: one shape, float32 or float64, contiguous. ok: one bool on the device; where it is False nothing changes. The
    formula is that of ``minilstm.optim.Adam``.
    """
    k, (beta1, beta2) = math.sqrt(1 - betas[1] ** steps), betas
    numbers = (beta1, beta2, 1 - beta1, 1 - beta2, lr * k / (1 - beta1 ** steps), eps * k,
               0.0 if decoupled else weight_decay, 1 - lr * weight_decay if decoupled else 1.0)
    allowed = Pointer(ok, (1,) if ok is not None and ok.ndim else (), np.bool_)
    launch(kernel("optim", "adam", p.dtype), blocks_for(p.size), THREADS, *(Pointer(x, tuple(p.shape)) for x in (p, g, m, v)),
           allowed, *(p.dtype.type(number) for number in numbers), np.int64(p.size))
