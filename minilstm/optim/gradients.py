"""All gradients of a model together: they must fit their parameters and be finite; clipping scales them by
their norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, to_numpy
from minilstm.backend.checks import check_number, check_writeable
from minilstm.backend.errors import ArgumentError, DtypeError, NonFiniteError, ShapeError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.layers.foreign import OPTIMIZER_INSTEAD, refuse_foreign
from minilstm.layers.module import Module
from minilstm.layers.tree import located

Trainable = list[tuple[str, Any, Array, Array]]     # name, layer, parameter, gradient


def trainable(modules: list[tuple[str, Any]]) -> Trainable:
    """Return (name, layer, parameter, gradient) of each parameter that learns: those of frozen layers do not.

    ``modules`` is what ``model.modules()`` returns. Raises DtypeError, ShapeError or ParameterError for a
    parameter, or a gradient, that does not fit.
    """
    found, arrays = [], {}
    for name, (layer, key) in located(modules).items():
        if not layer._frozen:
            p, g, who = layer.params[key], layer.grads[key], f"{name} ({type(layer).__name__})"
            arrays[who], arrays[f"gradient of {who}"] = p, g
            found.append((name, layer, p, g))
    check_writeable(arrays)
    for who, array in arrays.items():
        if array.dtype.char not in "fd":
            raise DtypeError(f"{who}: expected float32 or float64, got {array.dtype}")
    for name, layer, p, g in found:
        if g.shape != p.shape:
            raise ShapeError(f"gradient of {name} ({type(layer).__name__}): expected shape {p.shape}, "
                             f"got {g.shape}")
    return found


def check_apart(modules: list[tuple[str, Any]]) -> None:
    """Raise ArgumentError if two parameters share memory, which each of them would update."""
    host = [(name, layer.params[key]) for name, (layer, key) in located(modules).items()
            if isinstance(layer.params[key], np.ndarray)]
    for (name, p), (other, q) in combinations(host, 2):
        if np.may_share_memory(p, q) and np.shares_memory(p, q):
            raise ArgumentError(f"{name} and {other} share memory, so each step would update them twice; to "
                                "share weights, use one layer object in both places")


def check_finite(gradients: Trainable, largest: Callable[[Any], float]) -> None:
    """Raise NonFiniteError naming the first gradient with an entry not below ``largest(dtype)``."""
    xp = get_array_module(gradients[0][2])
    sizes = [xp.maximum(g.max(), -g.min()) for _, _, _, g in gradients]     # NaN is not below anything
    fits = to_numpy(xp.stack([size < largest(p.dtype) for size, (_, _, p, _) in zip(sizes, gradients)]))
    if fits.all():
        return
    name, layer, p, g = gradients[int(np.argmin(fits))]
    g, who = to_numpy(g), f"gradient of {name} ({type(layer).__name__})"
    bad = np.argwhere(~np.isfinite(g))
    if len(bad):
        first = tuple(int(k) for k in bad[0])
        raise NonFiniteError(f"{who} is not finite: first at {list(first)}={g[first]} ({len(bad)} of "
                             f"{g.size} entries); no weight was changed")
    first = tuple(int(k) for k in np.unravel_index(np.abs(g).argmax(), g.shape))
    raise NonFiniteError(
        f"{who} is too large: the square of its entry {list(first)}={g[first]:g} overflows {p.dtype}; "
        "no weight was changed. Clip gradients first: clip_grad_norm(model, 1.0)")


def clip_grad_norm(model: Module, max_norm: float, *, modules: list[tuple[str, Any]] | None = None,
                   **foreign: Any) -> Array:
    """Scale the gradients of ``model`` so that their common L2 norm is at most ``max_norm``; return the norm
    before.

    Gradients of frozen layers do not count. ``modules`` is ``model.modules()``, where the caller has it.

    The factor is min(1, max_norm / (norm + 1e-6)), as in torch.nn.utils.clip_grad_norm_. The norm is a 0-d
    float64 array on the gradients' backend; squares are summed in float64, where those of float32 cannot
    overflow. ``max_norm=math.inf`` only measures. Gradients whose norm is not finite are left alone, so that
    the optimiser can name the one that is wrong. Raises ArgumentError unless max_norm >= 0, DtypeError for
    something that is no Module, and what ``Optimizer.step`` raises for a gradient that does not fit; nothing
    is changed then.

    >>> import minilstm as ml
    >>> model = ml.Linear(1, 1, rng=0)
    >>> model.grads["W"][:], model.grads["b"][:] = 3.0, 4.0
    >>> float(ml.clip_grad_norm(model, 1.0))                # the norm before; afterwards it is 1
    5.0
    >>> print(model.grads["W"].round(3), model.grads["b"].round(3))
    [[0.6]] [0.8]
    """
    if foreign:
        refuse_foreign(clip_grad_norm, foreign, OPTIMIZER_INSTEAD)
        raise TypeError(f"clip_grad_norm() got an unexpected keyword argument {min(foreign)!r}")
    if not isinstance(model, Module):
        raise DtypeError(f"clip_grad_norm: expected a minilstm Module, got {type(model).__name__}")
    if max_norm != math.inf:
        max_norm = check_number("max_norm", max_norm)
    gradients = [g for _, _, _, g in trainable(model.modules() if modules is None else modules)]
    xp, norm = get_array_module(*gradients), _norm(gradients)
    if max_norm == math.inf:
        return xp.asarray(norm)
    finite = xp.isfinite(norm)
    factor = xp.where(finite, xp.minimum(max_norm / (xp.where(finite, norm, 0.0) + 1e-6), 1.0), 1.0)
    if xp is not np or factor < 1:          # on the host, reading the factor is no wait, and 1 is no work
        for g in gradients:
            g *= factor.astype(g.dtype)
    return xp.asarray(norm)


@flush_to_zero
def _norm(gradients: list[Array]) -> Any:
    xp = get_array_module(*gradients)
    return xp.sqrt(sum([xp.square(g, dtype=np.float64).sum() for g in gradients]))
