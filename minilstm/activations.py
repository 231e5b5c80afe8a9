"""Activation functions, with derivatives written in terms of the function's own value.

The sigmoid uses exp of a number that is never positive, so it cannot overflow, keeps its relative accuracy down to the
smallest probabilities (a confident mistake still has a gradient), and takes complex z, which complex-step gradient checks
need. All three derivatives need only the output y, so that is all a layer keeps.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from minilstm.backend import Array, get_array_module, takes
from minilstm.checks import check_not_empty
from minilstm.module import Module, check_gradient


def sigmoid(z: Array) -> Array:
    """Return σ(z) = 1 / (1 + exp(-z)), elementwise, in the dtype of ``z``."""
    if takes(z):
        return import_module("minilstm.kernels.cuda.training").sigmoid(z)
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


class ActivationCache(NamedTuple):
    """What an activation keeps: its output y."""

    y: Array


class _Activation(Module):
    """An elementwise layer y = a(x) of any shape; backward returns dx = dy · a'(x), computed from y."""

    @staticmethod
    def activate(z: Array) -> Array:
        raise TypeError("an activation layer defines activate")

    @staticmethod
    def derivative(y: Array) -> Array:
        raise TypeError("an activation layer defines derivative")

    def forward(self, x: Array) -> Array:
        """Return a(x): same shape and dtype as ``x``. Raises DtypeError unless it is floating point, ShapeError if empty."""
        check_not_empty("x", x)
        y = self.activate(x)
        # The caller may write into y, so the cache keeps its own copy.
        self.push(ActivationCache(y.copy()) if self.training else None)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx = dy · a'(x), shaped like ``x``. Raises ShapeError, DtypeError, BackwardError before any change."""
        y = self.peek().y
        check_gradient("dy", dy, tuple(y.shape), ", ".join(f"axis {axis}" for axis in range(y.ndim)))
        self.pop()
        return dy * self.derivative(y)


class Sigmoid(_Activation):
    """y = σ(x) = 1 / (1 + exp(-x)); dx = dy · y (1 - y)."""

    activate = staticmethod(sigmoid)
    derivative = staticmethod(d_sigmoid)


class Tanh(_Activation):
    """y = tanh(x); dx = dy · (1 - y²)."""

    @staticmethod
    def activate(z: Array) -> Array:
        return get_array_module(z).tanh(z)

    derivative = staticmethod(d_tanh)


class ReLU(_Activation):
    """y = max(x, 0); dx = dy where x > 0, else 0."""

    activate = staticmethod(relu)
    derivative = staticmethod(d_relu)
