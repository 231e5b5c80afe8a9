"""Squared error, for numeric targets (regression)."""

from __future__ import annotations

from minilstm.backend.arrays import Array
from minilstm.backend.subnormals import flush_to_zero
from minilstm.losses.loss import Loss
from minilstm.losses.reduction import PointwiseCache, aligned, reduce


@flush_to_zero
def mse_forward(prediction: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, PointwiseCache]:
    """Squared error (prediction − target)² of real values; all else is as in bce_forward."""
    prediction, y = aligned("mse", prediction, target, reduction)
    difference = prediction - y
    loss, scale = reduce(difference * difference, reduction)
    return loss, PointwiseCache(prediction.copy(), y, scale)


@flush_to_zero
def mse_backward(cache: PointwiseCache) -> Array:
    """Return dprediction = 2(prediction − target), times 1/size for the mean, in the prediction's dtype."""
    return (cache.prediction - cache.target) * (2 * cache.scale)


class MSELoss(Loss):
    """Squared error, mean((prediction − target)²), for numeric targets.

    Args:
        reduction: "mean" or "sum" over all elements.

    Call it with a prediction and a target of the same shape, or (N, 1) and (N,); then ``backward()`` returns
    the gradient of the prediction. Raises ShapeError, DtypeError, ArgumentError.

    >>> import numpy as np, minilstm as ml
    >>> criterion = ml.MSELoss()
    >>> float(criterion(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    2.0
    >>> criterion.backward().tolist()
    [0.0, 2.0]
    """

    _forward, _backward = staticmethod(mse_forward), staticmethod(mse_backward)
    threshold = None        # numbers, not classes
