"""Activation functions, with derivatives written in terms of the function's own value.

The sigmoid uses exp of a number that is never positive, so it cannot overflow, keeps its relative accuracy
down to the smallest probabilities (a confident mistake still has a gradient), and takes complex z, which
complex-step gradient checks need.
"""

from __future__ import annotations

from minilstm.backend.arrays import Array, get_array_module

NONLINEARITIES = ("tanh", "relu")       # that a simple RNN takes


def sigmoid(z: Array) -> Array:
    """Return σ(z) = 1 / (1 + exp(-z)), elementwise, in the dtype of ``z``."""
    xp = get_array_module(z)
    negative = z.real < 0
    e = xp.exp(xp.where(negative, z, -z))
    return xp.where(negative, e, xp.ones_like(e)) / (1.0 + e)


def relu(z: Array) -> Array:
    """Return max(z, 0), elementwise; a complex z is compared by its real part, NaN stays NaN."""
    xp = get_array_module(z)
    return xp.where(z.real <= 0, xp.zeros_like(z), z)


def d_sigmoid(y: Array) -> Array:
    """Return dσ/dz = y (1 - y), from y = σ(z) (not from z)."""
    return y * (1.0 - y)


def d_tanh(y: Array) -> Array:
    """Return dtanh/dz = 1 - y², from y = tanh(z) (not from z)."""
    return 1.0 - y * y


def d_relu(y: Array) -> Array:
    """Return drelu/dz = 1 where y > 0, else 0, from y = relu(z); 0 at the kink, as in PyTorch."""
    return (~(y.real <= 0)).astype(y.real.dtype)
