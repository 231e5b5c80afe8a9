"""Losses: what training makes small, each with its hand-derived gradient.

A loss turns a batch of predictions and targets into one number; its gradient is where going back starts. Each is a pair of
pure functions, ``foo_forward(prediction, target) -> (loss, cache)`` and ``foo_backward(cache) -> dprediction``, and a small
class that keeps the latest cache, for ``loss = criterion(prediction, target)``; ``criterion.backward()``. Entries are summed
in double precision whatever the dtype. A target never broadcasts against a prediction: shapes must agree, and only a (N,)
target beside a (N, 1) prediction is taken for the same thing. Values that make no sense (a probability of 1.5, a class
that does not exist) raise on the host; on a device, where looking would make every step wait, they turn their entry into
NaN, so that loss and gradient stop at the NaN guard instead of being quietly wrong.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minilstm.activations import sigmoid
from minilstm.backend import Array, backend_name, get_array_module, takes
from minilstm.checks import check_choice, check_floating, check_integer, is_array
from minilstm.errors import ArgumentError, BackwardError, DtypeError, ShapeError

REDUCTIONS = ("mean", "sum")
LOG_FLOOR = -100.0                  # BCELoss: no logarithm is taken for smaller than this (PyTorch's clamp)
P_FLOOR = math.exp(LOG_FLOOR)       # the probability whose logarithm that is, 3.7e-44: still above 0 in float32


class PointwiseCache(NamedTuple):
    """What the backward pass of a loss over single entries needs; prediction and target have the same shape."""

    prediction: Array
    target: Array
    scale: float                    # dloss / d(one entry's loss): 1/size for the mean, 1 for the sum
    pos_weight: float = 1.0


class CrossEntropyCache(NamedTuple):
    """What cross_entropy_backward needs; the class axis C comes last."""

    log_softmax: Array              # (..., C)
    target: Array                   # (...): class ids, 0 where ignored
    counted: Array                  # (...) bool: False where the target is ignored
    scale: Any                      # dloss / d(one counted row's loss), a number or 0-d array


# Binary cross-entropy ------------------------------------------------------------------------------------------------


def bce_forward(prediction: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, PointwiseCache]:
    """Binary cross-entropy of probabilities: −[y·log p + (1 − y)·log(1 − p)], logarithms no smaller than −100.

    Args:
        prediction: probabilities p in [0, 1], any shape, float (NaN passes through, for the NaN guard to name).
        target: y in [0, 1], float, integer or bool, of the same shape, or (N,) beside a prediction (N, 1).
        reduction: "mean" over all entries, or "sum".
    Returns the 0-d loss in the prediction's dtype, and the cache. Raises ShapeError, DtypeError, ArgumentError.
    The clamp is PyTorch's (torch.nn.BCELoss): p exactly 0 or 1 costs at most 100 and nothing becomes infinite.
    """
    y = _aligned_target("bce", prediction, target, reduction)
    p = prediction
    xp = get_array_module(p, y)
    if takes(p, y):
        return _bce_by_kernel(p, y, reduction)
    p = _refuse((p.real < 0) | (p.real > 1), p, "bce: prediction",
                "outside [0, 1]; give probabilities (end the model with Sigmoid), or use BCEWithLogitsLoss for logits")
    p = _refuse(~((y.real >= 0) & (y.real <= 1)), p, "bce: target", "outside [0, 1]", shown=y)
    p_floored, q_floored = p.real <= P_FLOOR, 1 - p.real <= P_FLOOR         # both False for NaN, which thus stays NaN
    log_p = xp.where(p_floored, LOG_FLOOR, xp.log(xp.where(p_floored, 1, p)))
    log_q = xp.where(q_floored, LOG_FLOOR, xp.log1p(-xp.where(q_floored, 0, p)))
    loss, scale = _reduce(-(y * log_p + (1 - y) * log_q), reduction)
    return loss, PointwiseCache(p.copy(), y, scale)


def bce_backward(cache: PointwiseCache) -> Array:
    """Return dprediction = (p − y) / max(p(1 − p), 1e-12), times 1/size for the mean; shape and dtype of the prediction.

    From −y/p + (1 − y)/(1 − p) = (p − y) / (p(1 − p)). The floor of 1e-12 is PyTorch's; where it or the clamp of the forward
    pass is at work (p within 1e-12 of 0 or 1), this gradient is not the derivative of the forward pass: it still points
    towards the target, so that a saturated sigmoid is not stuck.
    """
    p, y, scale, _ = cache
    if takes(p, y):
        return import_module("minilstm.kernels.cuda.losses").bce_gradient(p, y, scale)
    xp = get_array_module(p)
    pq = p * (1 - p)
    return (p - y) / xp.where(pq.real < 1e-12, 1e-12, pq) * scale


def bce_with_logits_forward(prediction: Array, target: Array, *, reduction: str = "mean",
                            pos_weight: float = 1.0) -> tuple[Array, PointwiseCache]:
    """Binary cross-entropy of logits: w·y·softplus(−z) + (1 − y)·softplus(z), which is BCE of σ(z), stable for any z.

    softplus(z) = log(1 + e^z) = max(z, 0) + log1p(e^−|z|) never overflows. ``pos_weight`` w multiplies the cost of positive
    targets (a number above 0). Arguments, returns and errors otherwise as bce_forward, with any real logits z.
    """
    if isinstance(pos_weight, bool) or not isinstance(pos_weight, (int, float)) or not 0 < pos_weight < math.inf:
        raise ArgumentError(f"bce_with_logits: pos_weight must be a finite number above 0, got {pos_weight!r}")
    y = _aligned_target("bce_with_logits", prediction, target, reduction)
    if takes(prediction, y):
        return _bce_by_kernel(prediction, y, reduction, logits=True, pos_weight=float(pos_weight))
    z = _refuse(~((y.real >= 0) & (y.real <= 1)), prediction, "bce_with_logits: target", "outside [0, 1]", shown=y)
    xp = get_array_module(z, y)
    positive = z.real >= 0                                      # no abs, no maximum: complex z stay differentiable
    log_tail = xp.log1p(xp.exp(xp.where(positive, -z, z)))
    loss_if_1 = xp.where(positive, 0, -z) + log_tail            # softplus(−z) = −log σ(z)
    loss_if_0 = xp.where(positive, z, 0) + log_tail             # softplus(z) = −log(1 − σ(z))
    loss, scale = _reduce(float(pos_weight) * y * loss_if_1 + (1 - y) * loss_if_0, reduction)
    return loss, PointwiseCache(z.copy(), y, scale, float(pos_weight))


def bce_with_logits_backward(cache: PointwiseCache) -> Array:
    """Return dprediction = (1 − y)·σ(z) − w·y·(1 − σ(z)), times 1/size for the mean; for w = 1 this is σ(z) − y."""
    z, y, scale, pos_weight = cache
    if takes(z, y):
        return import_module("minilstm.kernels.cuda.losses").bce_gradient(z, y, scale, logits=True, pos_weight=pos_weight)
    p = sigmoid(z)
    return ((1 - y) * p - pos_weight * y * (1 - p)) * scale


# Cross-entropy over classes, and squares -----------------------------------------------------------------------------


def cross_entropy_forward(prediction: Array, target: Array, *, reduction: str = "mean",
                          ignore_index: int | None = None) -> tuple[Array, CrossEntropyCache]:
    """Cross-entropy of logits over the last axis: −log softmax(z)[target] = log Σ_c e^(z_c) − z_target.

    Args:
        prediction: logits z, (N, C), (N, T, C) or more leading axes, float.
        target: integer class ids in 0..C−1, (N,), (N, T), ...: the prediction's shape without its last axis.
        reduction: "mean" over the targets that count, or "sum".
        ignore_index: a class id whose rows cost nothing (padding). When every target is ignored, loss and gradient are 0.
    Returns the 0-d loss in the prediction's dtype, and the cache. Raises ShapeError, DtypeError, ArgumentError.
    """
    check_choice("reduction", reduction, REDUCTIONS)
    check_floating("cross_entropy: prediction", prediction)
    check_integer("cross_entropy: target", target)
    if ignore_index is not None and (isinstance(ignore_index, bool) or not isinstance(ignore_index, (int, np.integer))):
        raise ArgumentError(f"cross_entropy: ignore_index must be None or a whole number, got {ignore_index!r}")
    if prediction.ndim < 2 or 0 in prediction.shape:
        raise ShapeError(f"cross_entropy: expected a prediction (N, ..., C) with no empty axis, got shape {prediction.shape}")
    if tuple(target.shape) != tuple(prediction.shape[:-1]):
        raise ShapeError(f"cross_entropy: target must have the prediction's shape without the class axis, "
                         f"{tuple(prediction.shape[:-1])}, got {tuple(target.shape)} (prediction: {tuple(prediction.shape)})")
    xp = get_array_module(prediction, target)
    classes, counted = prediction.shape[-1], xp.ones(target.shape, bool) if ignore_index is None else target != ignore_index
    wrong = counted & ((target < 0) | (target >= classes))
    z = _refuse(wrong, prediction, "cross_entropy: target", f"not one of the {classes} classes 0..{classes - 1}", shown=target)
    target = xp.where(counted & ~wrong, target, 0)
    shifted = z - z.real.max(axis=-1, keepdims=True)            # the largest is 0, so that no exponential overflows
    log_softmax = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    picked = xp.take_along_axis(log_softmax, target[..., None], axis=-1)[..., 0]
    scale: Any = 1.0
    if reduction == "mean":         # counting ignored targets stays on the device: no wait
        scale = 1 / target.size if ignore_index is None else 1 / xp.maximum(counted.sum(), 1)
    return _total(xp.where(counted, -picked, 0), scale), CrossEntropyCache(log_softmax, target, counted, scale)


def cross_entropy_backward(cache: CrossEntropyCache) -> Array:
    """Return dprediction = softmax(z) − onehot(target), times 1/count for the mean; shape and dtype of the prediction.

    d log Σ e^(z_c) / dz_k = e^(z_k) / Σ e^(z_c) = softmax(z)_k. Rows with an ignored target get 0.
    """
    log_softmax, target, counted, scale = cache
    xp = get_array_module(log_softmax)
    onehot = target[..., None] == xp.arange(log_softmax.shape[-1])
    weight = xp.asarray(scale, dtype=log_softmax.real.dtype)
    return xp.where(counted[..., None], (xp.exp(log_softmax) - onehot) * weight, 0)


def mse_forward(prediction: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, PointwiseCache]:
    """Squared error (prediction − target)². Shapes, reduction, returns and errors as bce_forward; any real values."""
    y = _aligned_target("mse", prediction, target, reduction)
    difference = prediction - y
    loss, scale = _reduce(difference * difference, reduction)
    return loss, PointwiseCache(prediction.copy(), y, scale)


def mse_backward(cache: PointwiseCache) -> Array:
    """Return dprediction = 2(prediction − target), times 1/size for the mean; shape and dtype of the prediction."""
    return (cache.prediction - cache.target) * (2 * cache.scale)


# What they share -----------------------------------------------------------------------------------------------------


def _aligned_target(name: str, prediction: Any, target: Any, reduction: str) -> Array:
    """Check both arrays; return the target in the prediction's shape and precision. Nothing is ever broadcast."""
    check_choice("reduction", reduction, REDUCTIONS)
    check_floating(f"{name}: prediction", prediction)
    if not is_array(target):
        raise DtypeError(f"{name}: target: expected an array, got {type(target).__name__}")
    if target.dtype.kind not in "biufc" or target.dtype.kind == "c" != prediction.dtype.kind:
        raise DtypeError(f"{name}: target: expected real numbers (float, integer or bool), got dtype {target.dtype}")
    got, expected = tuple(target.shape), tuple(prediction.shape)
    if got != expected and not (len(got) == 1 and expected == (*got, 1)):
        raise ShapeError(f"{name}: target and prediction must have the same shape (or (N,) and (N, 1)), "
                         f"got target {got} and prediction {expected}")
    if prediction.size == 0:
        raise ShapeError(f"{name}: the batch is empty: prediction has shape {expected}")
    get_array_module(prediction, target)
    dtype = prediction.dtype if target.dtype.kind == "c" else prediction.real.dtype
    return target.astype(dtype).reshape(expected)       # a copy: the caller may write into theirs before backward


def _refuse(bad: Array, x: Array, name: str, words: str, shown: Array | None = None) -> Array:
    """Raise ArgumentError at the first True of ``bad``; on a device, return ``x`` with NaN there instead of looking."""
    xp = get_array_module(bad)
    if backend_name(x) != "numpy":
        return xp.where(bad.reshape(bad.shape + (1,) * (x.ndim - bad.ndim)), xp.nan, x)
    if bad.any():
        where = tuple(int(k) for k in np.argwhere(bad)[0])
        raise ArgumentError(f"{name}{list(where) if where else ''} is {(x if shown is None else shown)[where]}, {words}")
    return x


def _total(losses: Array, scale: Any) -> Array:
    """Return scale · Σ losses as a 0-d array of their dtype, summed in double precision."""
    xp = get_array_module(losses)
    wide = np.complex128 if losses.dtype.kind == "c" else np.float64
    return xp.asarray(losses.sum(dtype=wide) * scale, dtype=losses.dtype)


def _reduce(losses: Array, reduction: str) -> tuple[Array, float]:
    """Return the reduced loss and its derivative with respect to each entry's loss."""
    scale = 1 / losses.size if reduction == "mean" else 1.0
    return _total(losses, scale), scale


def _bce_by_kernel(x: Array, y: Array, reduction: str, **options: Any) -> tuple[Array, PointwiseCache]:
    """Either binary cross-entropy on a device, in one call."""
    scale = 1 / x.size if reduction == "mean" else 1.0
    loss = import_module("minilstm.kernels.cuda.losses").bce_loss(x, y, scale, **options)
    return loss, PointwiseCache(x.copy(), y, scale, options.get("pos_weight", 1.0))


# The classes ---------------------------------------------------------------------------------------------------------


class Loss:
    """A loss that remembers its latest call: ``loss = criterion(prediction, target)``, then ``criterion.backward()``.

    Attributes:
        threshold: a binary prediction from here on counts as class 1 in the accuracy that the Trainer reports; None where
            the predictions are no classes at all, and there is no accuracy.
        ignore_index: the target that costs nothing, and is left out of that accuracy too; None: each counts.
    """

    threshold: ClassVar[float | None] = 0.5
    ignore_index: int | None = None
    _forward: ClassVar[Any]
    _backward: ClassVar[Any]

    def __init__(self, *, reduction: str = "mean", **options: Any) -> None:
        check_choice("reduction", reduction, REDUCTIONS)
        self.reduction = reduction
        self._options = options
        self._cache: Any = None

    def __call__(self, prediction: Array, target: Array) -> Array:
        """Return the loss, a 0-d array in the prediction's dtype. Shapes, values and errors: see the forward function."""
        loss, self._cache = type(self)._forward(prediction, target, reduction=self.reduction, **self._options)
        return loss

    def backward(self) -> Array:
        """Return the gradient of the latest loss, in the prediction's shape and dtype, and forget that call.

        Raises BackwardError when the criterion has not been called since the last backward.
        """
        if self._cache is None:
            raise BackwardError(f"{type(self).__name__}.backward: there is no loss to go back from; call "
                                "criterion(prediction, target) first, once for each backward")
        cache, self._cache = self._cache, None
        return type(self)._backward(cache)

    def __repr__(self) -> str:
        options = {"reduction": self.reduction, **self._options}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in options.items())})"


class BCELoss(Loss):
    """Binary cross-entropy of probabilities (after a Sigmoid); see bce_forward."""

    _forward, _backward = staticmethod(bce_forward), staticmethod(bce_backward)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits (no Sigmoid before it), stable at any size; see bce_with_logits_forward."""

    _forward, _backward = staticmethod(bce_with_logits_forward), staticmethod(bce_with_logits_backward)
    threshold = 0.0         # σ(0) = ½

    def __init__(self, *, reduction: str = "mean", pos_weight: float = 1.0) -> None:
        super().__init__(reduction=reduction, pos_weight=pos_weight)


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits (..., C) with class ids (...); see cross_entropy_forward."""

    _forward, _backward = staticmethod(cross_entropy_forward), staticmethod(cross_entropy_backward)

    def __init__(self, *, reduction: str = "mean", ignore_index: int | None = None) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index)
        self.ignore_index = ignore_index


class MSELoss(Loss):
    """Mean (or summed) squared error; see mse_forward."""

    _forward, _backward = staticmethod(mse_forward), staticmethod(mse_backward)
    threshold = None        # numbers, not classes
