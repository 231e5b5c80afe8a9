"""Clipping: all gradients of a model are scaled down together, so that their common norm stays within a bound."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import check_writeable
from minilstm.backend.errors import DtypeError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.layers.module import Module
from minilstm.optim.optimizer import check_number, learning


def clip_grad_norm(model: Module, max_norm: float) -> Array:
    """Scale the gradients of ``model`` so that their common L2 norm is at most ``max_norm``; return the norm before.

    Gradients of frozen layers do not count.

    The factor is min(1, max_norm / (norm + 1e-6)), as in torch.nn.utils.clip_grad_norm_. The norm is a 0-d float64 array on
    the gradients' backend; squares are summed in float64, where those of float32 cannot overflow. ``max_norm=math.inf`` only
    measures. Gradients whose norm is not finite are left alone, so that the optimiser can name the one that is wrong.
    Raises ArgumentError unless max_norm >= 0, DtypeError for something that is no Module, and what ``Optimizer.step`` raises
    for a gradient that does not fit; nothing is changed then.

    >>> import minilstm as ml
    >>> model = ml.Linear(1, 1, rng=0)
    >>> model.grads["W"][:], model.grads["b"][:] = 3.0, 4.0
    >>> float(ml.clip_grad_norm(model, 1.0))                # the norm before; afterwards it is 1
    5.0
    >>> print(model.grads["W"].round(3), model.grads["b"].round(3))
    [[0.6]] [0.8]
    """
    if not isinstance(model, Module):
        raise DtypeError(f"clip_grad_norm: expected a minilstm Module, got {type(model).__name__}")
    if max_norm != math.inf:
        max_norm = check_number("max_norm", max_norm)
    gradients = []
    for name, layer, _, g in learning(model):
        check_writeable(f"gradient of {name} ({type(layer).__name__})", g)
        gradients.append(g)
    xp, norm = get_array_module(*gradients), _norm(gradients)
    if max_norm == math.inf:
        return xp.asarray(norm)
    finite = xp.isfinite(norm)
    factor = xp.where(finite, xp.minimum(max_norm / (xp.where(finite, norm, 0.0) + 1e-6), 1.0), 1.0)
    if xp is not np or factor < 1:          # on the host, reading the factor costs no wait, and 1 needs no work
        for g in gradients:
            g *= factor.astype(g.dtype)
    return xp.asarray(norm)


@flush_to_zero
def _norm(gradients: list[Array]) -> Any:
    xp = get_array_module(*gradients)
    return xp.sqrt(sum([xp.square(g, dtype=np.float64).sum() for g in gradients]))
