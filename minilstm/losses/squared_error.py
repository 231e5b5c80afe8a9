"""Squared error, for numeric targets (regression)."""

from __future__ import annotations

from minilstm.backend.arrays import Array
from minilstm.losses.loss import Loss, PointwiseCache, aligned_target, reduce


def mse_forward(prediction: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, PointwiseCache]:
    """Squared error (prediction − target)². Shapes, reduction, returns and errors as bce_forward; any real values."""
    y = aligned_target("mse", prediction, target, reduction)
    difference = prediction - y
    loss, scale = reduce(difference * difference, reduction)
    return loss, PointwiseCache(prediction.copy(), y, scale)


def mse_backward(cache: PointwiseCache) -> Array:
    """Return dprediction = 2(prediction − target), times 1/size for the mean; shape and dtype of the prediction."""
    return (cache.prediction - cache.target) * (2 * cache.scale)


class MSELoss(Loss):
    """Mean (or summed) squared error; see mse_forward."""

    _forward, _backward = staticmethod(mse_forward), staticmethod(mse_backward)
    threshold = None        # numbers, not classes
