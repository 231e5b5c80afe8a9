"""Binary cross-entropy, of probabilities (BCELoss) and of logits (BCEWithLogitsLoss)."""

from __future__ import annotations

import math

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import is_number
from minilstm.backend.errors import ArgumentError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.cells.activations import sigmoid
from minilstm.losses.loss import Loss
from minilstm.losses.reduction import PointwiseCache, aligned, reduce, refuse

LOG_FLOOR = -100.0                  # BCELoss: logarithms are clamped to at least this, as in PyTorch
P_FLOOR = math.exp(LOG_FLOOR)       # its probability, 3.7e-44: still above 0 in float32


# The forwards keep subnormals: a probability below 1.2e-38 has a logarithm, and a loss of that size is not 0.
def bce_forward(prediction: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, PointwiseCache]:
    """Binary cross-entropy of probabilities: −[y·log p + (1 − y)·log(1 − p)], logarithms at least −100.

    Args:
        prediction: probabilities p in [0, 1], any shape, float; NaN passes through, for the NaN guard to
            name.
        target: y in [0, 1], float, integer or bool, of the same shape, or (N,) beside a prediction (N, 1).
        reduction: "mean" over all entries, or "sum".
    Returns the 0-d loss in the prediction's dtype, and the cache. Raises ShapeError, DtypeError,
    ArgumentError. The clamp is PyTorch's (torch.nn.BCELoss): p exactly 0 or 1 costs at most 100.
    """
    p, y = aligned("bce", prediction, target, reduction)
    xp = get_array_module(p, y)
    hint = "give probabilities (end the model with Sigmoid), or use BCEWithLogitsLoss for logits"
    p = refuse((p.real < 0) | (p.real > 1), p, "bce: prediction", f"outside [0, 1]; {hint}")
    p = refuse(~((y.real >= 0) & (y.real <= 1)), p, "bce: target", "outside [0, 1]", shown=y)
    p_floored, q_floored = p.real <= P_FLOOR, 1 - p.real <= P_FLOOR     # False for NaN, which thus stays NaN
    log_p = xp.where(p_floored, LOG_FLOOR, xp.log(xp.where(p_floored, 1, p)))
    log_q = xp.where(q_floored, LOG_FLOOR, xp.log1p(-xp.where(q_floored, 0, p)))
    loss, scale = reduce(-(y * log_p + (1 - y) * log_q), reduction)
    return loss, PointwiseCache(p.copy(), y, scale)


@flush_to_zero
def bce_backward(cache: PointwiseCache) -> Array:
    """Return dprediction = (p − y) / max(p(1 − p), 1e-12), times 1/size for the mean, in p's shape and dtype.

    From −y/p + (1 − y)/(1 − p) = (p − y) / (p(1 − p)). The floor of 1e-12 is PyTorch's; where this floor or
    the clamp of the forward pass applies (p within 1e-12 of 0 or 1), this gradient is not the derivative of
    the forward pass. It still points towards the target, so a saturated sigmoid does not get stuck.
    """
    p, y, scale, _ = cache
    xp = get_array_module(p)
    pq = p * (1 - p)
    return (p - y) / xp.where(pq.real < 1e-12, 1e-12, pq) * scale


def bce_with_logits_forward(prediction: Array, target: Array, *, reduction: str = "mean",
                            pos_weight: float = 1.0) -> tuple[Array, PointwiseCache]:
    """Binary cross-entropy of logits, BCE of σ(z): w·y·softplus(−z) + (1 − y)·softplus(z), for any real z.

    softplus(z) = log(1 + e^z) = max(z, 0) + log1p(e^−|z|) never overflows. ``pos_weight`` w, a number above
    0, multiplies the cost of positive targets. Arguments, returns and errors otherwise as bce_forward.
    """
    if not is_number(pos_weight) or not 0 < pos_weight < math.inf:
        raise ArgumentError(f"bce_with_logits: pos_weight must be finite and above 0, got {pos_weight!r}")
    z, y = aligned("bce_with_logits", prediction, target, reduction)
    z = refuse(~((y.real >= 0) & (y.real <= 1)), z, "bce_with_logits: target", "outside [0, 1]", shown=y)
    xp = get_array_module(z, y)
    positive = z.real >= 0                                      # no abs: complex z stay differentiable
    log_tail = xp.log1p(xp.exp(xp.where(positive, -z, z)))
    loss_if_1 = xp.where(positive, 0, -z) + log_tail            # softplus(−z) = −log σ(z)
    loss_if_0 = xp.where(positive, z, 0) + log_tail             # softplus(z) = −log(1 − σ(z))
    loss_if_1 = xp.where(y == 0, 0, loss_if_1)                  # 0 · ∞ would be NaN
    loss_if_0 = xp.where(y == 1, 0, loss_if_0)
    loss, scale = reduce(float(pos_weight) * y * loss_if_1 + (1 - y) * loss_if_0, reduction)
    return loss, PointwiseCache(z.copy(), y, scale, float(pos_weight))


@flush_to_zero
def bce_with_logits_backward(cache: PointwiseCache) -> Array:
    """Return dprediction = (1 − y)·σ(z) − w·y·(1 − σ(z)), σ(z) − y for w = 1, times 1/size for the mean."""
    z, y, scale, pos_weight = cache
    p = sigmoid(z)
    return ((1 - y) * p - pos_weight * y * (1 - p)) * scale


class BCELoss(Loss):
    """Binary cross-entropy of probabilities, −mean(y ln p + (1 − y) ln(1 − p)); ln is cut at −100 (PyTorch).

    Args:
        reduction: "mean" or "sum" over all elements.

    Call it with a prediction p in [0, 1], (N,) or (N, 1) or any shape, and a target y alike; then
    ``backward()`` returns the gradient of the prediction. Raises ShapeError, DtypeError, ArgumentError.

    >>> import numpy as np, minilstm as ml
    >>> criterion = ml.BCELoss()
    >>> print(f"{criterion(np.array([0.5, 0.25]), np.array([1, 0])):.4f}")
    0.4904
    >>> criterion.backward().round(4).tolist()
    [-1.0, 0.6667]
    """

    _forward, _backward = staticmethod(bce_forward), staticmethod(bce_backward)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits: BCELoss of σ(z), in one step that is stable for logits of any size.

    Args:
        reduction: "mean" or "sum" over all elements.
        pos_weight: w, multiplies the cost of positive targets; a finite number above 0.

    Call it with logits z (no Sigmoid before it), (N,) or (N, 1) or any shape, and a target y in [0, 1] alike;
    then ``backward()`` returns the gradient of z. Raises ShapeError, DtypeError, ArgumentError.

    >>> import numpy as np, minilstm as ml
    >>> criterion = ml.BCEWithLogitsLoss()
    >>> print(f"{criterion(np.array([0.0, 2.0]), np.array([1, 1])):.4f}")
    0.4100
    >>> criterion.backward().round(4).tolist()              # (σ(z) - y) / 2
    [-0.25, -0.0596]
    """

    _forward, _backward = staticmethod(bce_with_logits_forward), staticmethod(bce_with_logits_backward)
    threshold = 0.0         # σ(0) = ½

    def __init__(self, *, reduction: str = "mean", pos_weight: float = 1.0) -> None:
        super().__init__(reduction=reduction, pos_weight=pos_weight)
