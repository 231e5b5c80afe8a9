"""tanh and σ of one number, for compiled loops.

In float32 they are a dozen instructions that work on eight numbers at once:

    tanh(x) = x P(x²) / Q(x²)  for |x| <= 8,        beyond, tanh differs from ±1 by less than 2.3e-7

The coefficients minimise the largest relative error for |x| <= 8, which is 6.5e-9 (found by linearised least
squares with Lawson's weights); with float32 rounding it is 3.5e-7. Other dtypes use the C library's tanh.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from minilstm.kernels.compiled.jit import OPTIONS, inside

BOUND = np.float32(8)
P = tuple(np.float32(c) for c in (1, 0.134444997, 0.00357159926, 2.18946825e-05, 1.52304498e-08))
Q = tuple(np.float32(c) for c in (1, 0.467778265, 0.0261644479, 0.000341129402, 8.52245932e-07))


def tanh(x: Any) -> Any:
    """tanh(x), for compiled code; NaN stays NaN, and the result is never outside [-1, 1]."""
    return math.tanh(x)


@overload(tanh, jit_options=OPTIONS)
def _tanh_for(x: Any) -> Callable[[Any], Any]:
    def tanh_library(x: Any) -> Any:
        return math.tanh(x)

    def tanh_float32(x: Any) -> Any:
        one = np.float32(1)
        y = BOUND if x > BOUND else x               # NaN fails every comparison, and so passes through
        y = -BOUND if y < -BOUND else y
        s = y * y
        p = (((P[4] * s + P[3]) * s + P[2]) * s + P[1]) * s + P[0]
        q = (((Q[4] * s + Q[3]) * s + Q[2]) * s + Q[1]) * s + Q[0]
        y = y * p / q
        y = one if y > one else y
        return -one if y < -one else y
    return tanh_float32 if x is types.float32 else tanh_library


@inside
def sigmoid_of_minus(z: Any, half: Any) -> Any:
    """σ(-z) = ½ - ½ tanh(z/2); ``half`` has z's dtype."""
    return half - half * tanh(half * z)
