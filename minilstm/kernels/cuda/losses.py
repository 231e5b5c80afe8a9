"""Binary cross-entropy in one call each way, of probabilities or of logits; the kernels are in losses.cu."""

from __future__ import annotations

import numpy as np

from minilstm.backend import Array, get_array_module
from minilstm.kernels.cuda.launch import THREADS, Pointer, blocks_for, kernel, launch
from minilstm.losses import P_FLOOR


def bce_loss(prediction: Array, target: Array, scale: float, *, logits: bool = False, pos_weight: float = 1.0) -> Array:
    """Return scale · Σ of the entries' losses, a 0-d array; formulas and clamps of ``minilstm.losses``.

    prediction, target: one shape, float32 or float64, one dtype. What the host would refuse there gives NaN here.
    """
    dtype, shape = prediction.dtype, tuple(prediction.shape)
    xp = get_array_module(prediction)
    loss = xp.empty((), dtype=dtype)
    launch(kernel("losses", "bce_forward", dtype), 1, THREADS, Pointer(xp.ascontiguousarray(prediction), shape),
           Pointer(xp.ascontiguousarray(target), shape), Pointer(loss, ()), int(logits),
           dtype.type(pos_weight if logits else P_FLOOR), np.float64(scale), prediction.size)
    return loss


def bce_gradient(prediction: Array, target: Array, scale: float, *, logits: bool = False, pos_weight: float = 1.0) -> Array:
    """Return dprediction for the arguments of ``bce_loss``."""
    dtype, shape = prediction.dtype, tuple(prediction.shape)
    xp = get_array_module(prediction)
    gradient = xp.empty(shape, dtype=dtype)
    launch(kernel("losses", "bce_backward", dtype), blocks_for(prediction.size), THREADS,
           Pointer(xp.ascontiguousarray(prediction), shape), Pointer(xp.ascontiguousarray(target), shape),
           Pointer(gradient, shape), int(logits), dtype.type(pos_weight), dtype.type(scale), prediction.size)
    return gradient
