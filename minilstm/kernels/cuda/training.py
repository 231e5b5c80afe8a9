"""A training step's bookkeeping on a device, a few calls in all: gradient norm, clipping, guard, accuracy, sums of the epoch.

Written with array functions each of these takes several calls a parameter. None makes the host wait; what they compute is said
in ``minilstm/optim.py``, ``optimizer.py``, ``metrics.py`` and ``tally.py``, which use them where the arrays are CuPy's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minilstm.backend import Array, get_array_module
from minilstm.kernels.cuda.launch import THREADS, Pointer, blocks_for, kernel, launch

ARRAYS = 8          # that one launch takes
BLOCKS = 128        # at most, of a launch that adds up: by the sizes alone, so that sums are always made in the same order


def _groups(arrays: Sequence[Array]) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield (number of the first, size of the largest, arguments) for as many arrays at a time as a launch takes."""
    for start in range(0, len(arrays), ARRAYS):
        group = arrays[start:start + ARRAYS]
        rest = [None] * (ARRAYS - len(group))
        pointers = [Pointer(x, tuple(x.shape)) for x in group] + [Pointer(None, ()) for _ in rest]
        sizes = [np.int64(x.size) for x in group] + [np.int64(0) for _ in rest]
        yield start, max(int(x.size) for x in group), [*pointers, *sizes]


def clear(gradients: Sequence[Array]) -> None:
    """Make all gradients 0."""
    for _, largest, arguments in _groups(gradients):
        launch(kernel("training", "clear", gradients[0].dtype), blocks_for(largest), THREADS, *arguments)


def gradient_norm(gradients: Sequence[Array]) -> Array:
    """Return the common L2 norm of all gradients, a 0-d float64 array; squares are added up in float64."""
    xp, dtype = get_array_module(*gradients), gradients[0].dtype
    groups = list(_groups(gradients))
    blocks = min(BLOCKS, max(blocks_for(largest) for _, largest, _ in groups))
    partial, norm = xp.empty(len(groups) * blocks), xp.empty(())
    for k, (_, _, arguments) in enumerate(groups):
        launch(kernel("training", "squares", dtype), blocks, THREADS, *arguments, Pointer(partial, partial.shape, np.float64),
               k * blocks)
    launch(kernel("training", "norm_of", dtype), 1, THREADS, Pointer(partial, partial.shape, np.float64), partial.size,
           Pointer(norm, (), np.float64))
    return norm


def clip(gradients: Sequence[Array], norm: Array, most: float) -> None:
    """Scale gradients by min(1, most / (norm + 1e-6)), in place, unless the norm (0-d float64) is not finite."""
    for _, largest, arguments in _groups(gradients):
        launch(kernel("training", "clip", gradients[0].dtype), blocks_for(largest), THREADS, *arguments,
               Pointer(norm, (), np.float64), np.float64(most))


def mark(gradients: Sequence[Array], ok: Array, finite: Array) -> None:
    """Clear the flag in ``finite`` (k,) bool of each gradient that is not finite, unless ``ok`` (0-d bool) is False."""
    for start, largest, arguments in _groups(gradients):
        launch(kernel("training", "mark", gradients[0].dtype), blocks_for(largest), THREADS, *arguments,
               Pointer(ok, (), np.bool_), Pointer(finite, (len(gradients),), np.bool_), start)


def settle(finite: Array, ok: Array, good: Array, dtype: Any) -> None:
    """Set ``ok`` (0-d bool) to whether all flags are set, and add one to ``good`` (0-d int64) if they are."""
    launch(kernel("training", "settle", dtype), 1, 1, Pointer(finite, tuple(finite.shape), np.bool_), int(finite.size),
           Pointer(ok, (), np.bool_), Pointer(good, (), np.int64))


def sigmoid(z: Array) -> Array:
    """Return σ(z), elementwise; ``minilstm.activations.sigmoid`` in one call."""
    y = get_array_module(z).empty(z.shape, dtype=z.dtype)
    launch(kernel("training", "sigmoid_of", z.dtype), blocks_for(z.size), THREADS, Pointer(z, tuple(z.shape)),
           Pointer(y, tuple(z.shape)), np.int64(z.size))
    return y


def accuracy(prediction: Array, target: Array, threshold: float) -> Array:
    """Return the fraction of right binary predictions, a 0-d float64 array; both arrays have one size and dtype."""
    share = get_array_module(prediction).empty(())
    launch(kernel("training", "accuracy", prediction.dtype), 1, THREADS, Pointer(prediction, tuple(prediction.shape)),
           Pointer(target, tuple(target.shape)), np.float64(threshold), int(prediction.size), Pointer(share, (), np.float64))
    return share


def tally(loss: Array, score: Array | None, norm: Array, totals: Array, gradient: Array, weight: float, n: int) -> None:
    """Add a step to ``totals`` (9,) float64, or mark it there as the first bad one, and then write NaN into ``gradient``.

    loss 0-d, in the gradient's dtype; score (None: 0) and norm 0-d float64. What is where in totals: ``minilstm/tally.py``.
    """
    launch(kernel("training", "tally", loss.dtype), 1, 1, Pointer(loss, ()), Pointer(score, (), np.float64),
           Pointer(norm, (), np.float64), np.float64(weight), np.float64(n), Pointer(totals, (9,), np.float64),
           Pointer(gradient, tuple(gradient.shape)))
