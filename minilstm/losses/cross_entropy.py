"""Cross-entropy of logits over classes, the classes along the last axis."""

from __future__ import annotations

from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import as_floating, as_integers, check_choice, is_whole
from minilstm.backend.errors import ArgumentError, ShapeError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.losses.loss import Loss
from minilstm.losses.reduction import REDUCTIONS, refuse, total


class CrossEntropyCache(NamedTuple):
    """What cross_entropy_backward needs; the class axis C comes last."""

    log_softmax: Array              # (..., C)
    target: Array                   # (...): class ids, 0 where ignored
    counted: Array                  # (...) bool: False where the target is ignored
    scale: Any                      # dloss / d(one counted row's loss), a number or 0-d array


@flush_to_zero
def cross_entropy_forward(prediction: Array, target: Array, *, reduction: str = "mean",
                          ignore_index: int | None = None) -> tuple[Array, CrossEntropyCache]:
    """Cross-entropy of logits over the last axis: −log softmax(z)[target] = log Σ_c e^(z_c) − z_target.

    Args:
        prediction: logits z, (N, C), (N, T, C) or more leading axes, float.
        target: integer class ids in 0..C−1, (N,), (N, T), ...: the prediction's shape without its last axis.
        reduction: "mean" over the targets that count, or "sum".
        ignore_index: a class id whose rows cost nothing (padding). When every target is ignored, loss and
            gradient are 0.
    Returns the 0-d loss in the prediction's dtype, and the cache. Raises ShapeError, DtypeError,
    ArgumentError.
    """
    check_choice("reduction", reduction, REDUCTIONS)
    prediction = as_floating("cross_entropy: prediction", prediction)
    target = as_integers("cross_entropy: target", target)
    if ignore_index is not None and not is_whole(ignore_index):
        raise ArgumentError("cross_entropy: ignore_index must be None or a whole number, "
                            f"got {ignore_index!r}")
    shape, got = tuple(prediction.shape), tuple(target.shape)
    if len(shape) < 2 or 0 in shape:
        raise ShapeError("cross_entropy: expected a prediction (N, ..., C) with no empty axis, "
                         f"got shape {shape}")
    if got != shape[:-1]:
        raise ShapeError("cross_entropy: target must have the prediction's shape without the class axis, "
                         f"{shape[:-1]}, got {got} (prediction: {shape})")
    xp = get_array_module(prediction, target)
    counted = xp.ones(got, bool) if ignore_index is None else target != ignore_index
    classes = shape[-1]
    wrong = counted & ((target < 0) | (target >= classes))
    words = f"not one of the {classes} classes 0..{classes - 1}"
    z = refuse(wrong, prediction, "cross_entropy: target", words, shown=target)
    target = xp.where(counted & ~wrong, target, 0)
    shifted = z - z.real.max(axis=-1, keepdims=True)            # the largest is 0: no exponential overflows
    log_softmax = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    picked = xp.take_along_axis(log_softmax, target[..., None], axis=-1)[..., 0]
    scale: Any = 1.0
    if reduction == "mean":         # counting ignored targets stays on the device: no wait
        scale = 1 / target.size if ignore_index is None else 1 / xp.maximum(counted.sum(), 1)
    return total(xp.where(counted, -picked, 0), scale), CrossEntropyCache(log_softmax, target, counted, scale)


@flush_to_zero
def cross_entropy_backward(cache: CrossEntropyCache) -> Array:
    """Return dprediction = softmax(z) − onehot(target), times 1/count for the mean; shape and dtype of the
    prediction.

    d log Σ e^(z_c) / dz_k = e^(z_k) / Σ e^(z_c) = softmax(z)_k. Rows with an ignored target get 0.
    """
    log_softmax, target, counted, scale = cache
    xp = get_array_module(log_softmax)
    onehot = target[..., None] == xp.arange(log_softmax.shape[-1])
    weight = xp.asarray(scale, dtype=log_softmax.real.dtype)
    return xp.where(counted[..., None], (xp.exp(log_softmax) - onehot) * weight, 0)


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits over classes, −log softmax(z)[target].

    Args:
        reduction: "mean" over the targets that count, or "sum".
        ignore_index: a class id whose targets cost nothing (padding); None: every target counts.

    Call it with logits (N, C) or (N, T, C), the classes on the last axis, and integer class ids (N,) or (N,
    T); then ``backward()`` returns the gradient of the logits. Raises ShapeError, DtypeError, ArgumentError.

    >>> import numpy as np, minilstm as ml
    >>> criterion = ml.CrossEntropyLoss(ignore_index=-1)
    >>> print(f"{criterion(np.zeros((2, 3)), np.array([2, -1])):.4f}")      # log 3
    1.0986
    >>> criterion.backward().round(3).tolist()              # softmax(z) - onehot(target)
    [[0.333, 0.333, -0.667], [0.0, 0.0, 0.0]]
    """

    _forward, _backward = staticmethod(cross_entropy_forward), staticmethod(cross_entropy_backward)

    def __init__(self, *, reduction: str = "mean", ignore_index: int | None = None) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index)
        self.ignore_index = ignore_index
