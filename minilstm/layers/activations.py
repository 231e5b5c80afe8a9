"""Activation layers: the elementwise functions of cells/activations.py as layers, which keep their output for
backward."""

from __future__ import annotations

from typing import NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import as_gradient, as_not_empty, axis_names
from minilstm.backend.subnormals import flush_to_zero
from minilstm.cells.activations import d_relu, d_sigmoid, d_tanh, relu, sigmoid
from minilstm.layers.module import Module


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

    # The forward keeps subnormals: σ(-90) is not 0, and its logarithm is a loss.
    def forward(self, x: Array) -> Array:
        """Return a(x), shaped like ``x``. Raises DtypeError unless it is floating point, ShapeError if
        empty."""
        y = self.activate(as_not_empty("x", x))
        # The caller may write into y, so the cache keeps its own copy.
        self.push(ActivationCache(y.copy()) if self.caches_needed else None)
        return y

    @flush_to_zero
    def backward(self, dy: Array) -> Array:
        """Return dx = dy · a'(x), shaped like ``x``. First raises ShapeError, DtypeError, BackwardError."""
        y = self.peek().y
        dy = as_gradient("dy", dy, tuple(y.shape), axis_names(y.ndim), y.dtype)
        self.pop()
        return dy * self.derivative(y)


class Sigmoid(_Activation):
    """y = σ(x) = 1 / (1 + exp(-x)), for x of any shape; dx = dy · y (1 - y).

    >>> import numpy as np, minilstm as ml
    >>> layer = ml.Sigmoid()
    >>> layer(np.array([0.0, 100.0])).tolist(), layer.backward(np.ones(2)).round(3).tolist()
    ([0.5, 1.0], [0.25, 0.0])
    """

    activate = staticmethod(sigmoid)
    derivative = staticmethod(d_sigmoid)


class Tanh(_Activation):
    """y = tanh(x), for x of any shape; dx = dy · (1 - y²).

    >>> import numpy as np, minilstm as ml
    >>> layer = ml.Tanh()
    >>> layer(np.array([0.0, 100.0])).tolist(), layer.backward(np.ones(2)).tolist()
    ([0.0, 1.0], [1.0, 0.0])
    """

    @staticmethod
    def activate(z: Array) -> Array:
        return get_array_module(z).tanh(z)

    derivative = staticmethod(d_tanh)


class ReLU(_Activation):
    """y = max(x, 0), for x of any shape; dx = dy where x > 0, else 0.

    >>> import numpy as np, minilstm as ml
    >>> layer = ml.ReLU()
    >>> layer(np.array([-1.0, 2.0])).tolist(), layer.backward(np.ones(2)).tolist()
    ([0.0, 2.0], [0.0, 1.0])
    """

    activate = staticmethod(relu)
    derivative = staticmethod(d_relu)
