"""What losses share: arguments that fit together, values that make sense, mean and sum over all entries.

Entries are summed in double precision whatever the dtype. A target never broadcasts against a prediction:
shapes must agree, with one exception: a target (N,) fits a prediction (N, 1). Values that make no sense (a
probability of 1.5, a class that does not exist) raise an error on the host. On a device, where checking would
make every step wait, they turn their entry into NaN, so that the NaN guard stops loss and gradient instead of
letting them be silently wrong.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, backend_name, get_array_module
from minilstm.backend.checks import as_array, as_floating, check_choice
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError

REDUCTIONS = ("mean", "sum")


class PointwiseCache(NamedTuple):
    """What the backward of a loss over single entries needs; prediction and target have the same shape."""

    prediction: Array
    target: Array
    scale: float                    # dloss / d(one entry's loss): 1/size for the mean, 1 for the sum
    pos_weight: float = 1.0


def aligned(name: str, prediction: Any, target: Any, reduction: str) -> tuple[Array, Array]:
    """Return both as arrays, the target a copy in the prediction's shape and precision; none is broadcast."""
    check_choice("reduction", reduction, REDUCTIONS)
    prediction, target = as_floating(f"{name}: prediction", prediction), as_array(f"{name}: target", target)
    if target.dtype.kind not in "biufc" or target.dtype.kind == "c" != prediction.dtype.kind:
        raise DtypeError(f"{name}: target: expected float, integer or bool, got dtype {target.dtype}")
    got, expected = tuple(target.shape), tuple(prediction.shape)
    if got != expected and not (len(got) == 1 and expected == (*got, 1)):
        steps = len(expected) == 3 and len(got) < 3 and got[:1] == expected[:1]
        hint = ("; a recurrent layer returns the output of every step: return_sequences=False returns the "
                "last one" if steps else "")
        raise ShapeError(f"{name}: target and prediction must have the same shape (or (N,) and (N, 1)), "
                         f"got target {got} and prediction {expected}{hint}")
    if prediction.size == 0:
        raise ShapeError(f"{name}: the batch is empty: prediction has shape {expected}")
    get_array_module(prediction, target)
    dtype = prediction.dtype if target.dtype.kind == "c" else prediction.real.dtype
    return prediction, target.astype(dtype).reshape(expected)       # a copy: the caller may write into it


def refuse(bad: Array, x: Array, name: str, words: str, shown: Array | None = None) -> Array:
    """Raise ArgumentError at the first True of ``bad``; on a device, return ``x`` with NaN there instead."""
    xp = get_array_module(bad)
    if backend_name(x) != "numpy":
        return xp.where(bad.reshape(bad.shape + (1,) * (x.ndim - bad.ndim)), xp.nan, x)
    if bad.any():
        where, values = tuple(int(k) for k in np.argwhere(bad)[0]), x if shown is None else shown
        raise ArgumentError(f"{name}{list(where) if where else ''} is {values[where]}, {words}")
    return x


def total(losses: Array, scale: Any) -> Array:
    """Return scale · Σ losses as a 0-d array of their dtype, summed in double precision."""
    xp = get_array_module(losses)
    wide = np.complex128 if losses.dtype.kind == "c" else np.float64
    return xp.asarray(losses.sum(dtype=wide) * scale, dtype=losses.dtype)


def reduce(losses: Array, reduction: str) -> tuple[Array, float]:
    """Return the reduced loss and its derivative with respect to each entry's loss."""
    scale = 1 / losses.size if reduction == "mean" else 1.0
    return total(losses, scale), scale
