"""Adam's step in one pass, without temporaries (the equations: minilstm/optim/adam.py)."""

from __future__ import annotations

import math

import numpy as np

from minilstm.kernels.compiled.jit import compiled


@compiled("array1", "array1", "array1", "array1", "float", "float", "float", "float", "float")
def adam(p: np.ndarray, m: np.ndarray, v: np.ndarray, g: np.ndarray, beta1: float, beta2: float, rate: float, eps: float,
         decay: float) -> None:
    """Update p, m, v, all flat and of one dtype; g ← g + decay p. ``rate`` and ``eps`` have the corrections in them."""
    number = p.dtype.type
    b1, b2, rest1, rest2 = number(beta1), number(beta2), number(1 - beta1), number(1 - beta2)
    step, small, pull = number(rate), number(eps), number(decay)
    for k in range(len(p)):
        gradient = g[k] + pull * p[k] if decay else g[k]
        m[k] = b1 * m[k] + rest1 * gradient
        v[k] = b2 * v[k] + rest2 * (gradient * gradient)
        p[k] -= step * (m[k] / (math.sqrt(v[k]) + small))
