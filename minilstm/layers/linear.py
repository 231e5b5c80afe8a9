"""Linear, the dense layer: y = x W + b.

    y = x W + b                     x (..., D), W (D, M), b (M,), y (..., M)

Derivation. With every leading axis flattened into rows, y_nm = Σ_d x_nd W_dm + b_m, so

    3. dx_nd = Σ_m dy_nm W_dm       dx = dy Wᵀ
    2. dW_dm = Σ_n x_nd dy_nm       dW = xᵀ dy
    1. db_m  = Σ_n dy_nm            db = sum of dy's rows
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import (as_floating, as_gradient, axis_names, check_choice, check_dtype,
                                     check_positive_int, check_shape)
from minilstm.backend.seeds import as_generator
from minilstm.backend.subnormals import flush_to_zero
from minilstm.backend.threads import matmul
from minilstm.layers.initial_weights import INITS, glorot_uniform, uniform
from minilstm.layers.module import Module


class LinearCache(NamedTuple):
    """What backward needs: a copy of the input (..., D) and the weight (D, M), by reference."""

    x: Array
    W: Array


def linear_forward(x: Array, W: Array, b: Array | None) -> tuple[Array, LinearCache]:
    """Return (y, cache) with y = x W + b.

    Args:
        x: (..., D), floating point.
        W: (D, M).
        b: (M,), or None for no bias.

    Raises ShapeError or DtypeError when they do not fit.
    """
    x, W, b = as_floating("x", x), as_floating("W", W), None if b is None else as_floating("b", b)
    get_array_module(x, W, b)
    check_shape("W", W, (None, None), "D, M")
    D, M = W.shape
    check_shape("x", x, (None,) * (x.ndim - 1) + (D,), axis_names(x.ndim, "D"))
    if b is not None:
        check_shape("b", b, (M,), "M")
    y = matmul(x.reshape(-1, D), W).reshape(*x.shape[:-1], M)
    return y if b is None else y + b, LinearCache(x.copy(), W)


def linear_backward(dy: Array, cache: LinearCache) -> tuple[Array, Array, Array]:
    """Return (dx, dW, db), the gradients of linear_forward's arguments, given dy (..., M): see above."""
    x, W = cache
    D, M = W.shape
    dy = as_gradient("dy", dy, (*x.shape[:-1], M), axis_names(x.ndim, "M"), np.result_type(x.dtype, W.dtype))
    rows = dy.reshape(-1, M)
    return matmul(rows, W.T).reshape(x.shape), matmul(x.reshape(-1, D).T, rows), rows.sum(axis=0)


class Linear(Module):
    """Dense layer y = x W + b on the last axis.

    Args:
        in_features: D, size of the input's last axis.
        out_features: M, size of the output's last axis.
        bias: False leaves b out.
        init: "default" (Glorot-uniform W, b = 0) or "uniform" (PyTorch's: W and b uniform in ±1/√D).
        dtype: floating dtype of the parameters.
        rng: seed or numpy Generator for the initial weights.

    Parameters: ``W`` (D, M) and ``b`` (M,).

    >>> import numpy as np, minilstm as ml
    >>> linear = ml.Linear(3, 2, rng=0)
    >>> y = linear(np.ones((5, 7, 3), np.float32))
    >>> y.shape, linear.backward(np.ones_like(y)).shape, linear.grads["b"].tolist()
    ((5, 7, 2), (5, 7, 3), [35.0, 35.0])
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True, init: str = "default",
                 dtype: Any = np.float32, rng: Any = None) -> None:
        super().__init__()
        self.in_features = check_positive_int("in_features", in_features)
        self.out_features = check_positive_int("out_features", out_features)
        check_choice("init", init, INITS)
        self.bias, self.init = bool(bias), init
        for name, value in self.init_params(as_generator(rng)).items():
            self.add_param(name, value.astype(check_dtype(dtype)))

    def init_params(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        D, M = self.in_features, self.out_features
        bound = 1.0 / math.sqrt(D)
        values = {"W": uniform(rng, (D, M), bound) if self.init == "uniform" else glorot_uniform(rng, D, M)}
        if self.bias:
            values["b"] = uniform(rng, (M,), bound) if self.init == "uniform" else np.zeros(M)
        return values

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias else ", bias=False")

    @flush_to_zero
    def forward(self, x: Array) -> Array:
        """Return y (..., M) for x (..., D). Raises ShapeError or DtypeError."""
        y, cache = linear_forward(x, self.params["W"], self.params.get("b"))
        self.push(cache)
        return y

    @flush_to_zero
    def backward(self, dy: Array) -> Array:
        """Return dx (..., D) for dy (..., M) and add to ``grads``. Raises ShapeError, DtypeError,
        BackwardError."""
        dx, dW, db = linear_backward(dy, self.peek())
        self.pop()
        self.grads["W"] += dW
        if self.bias:
            self.grads["b"] += db
        return dx
