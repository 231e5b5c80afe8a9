"""Pooling over time: one vector for a whole sequence, from the outputs of all its steps.

    max     y_nh = max_t x_nth                      over the real steps t of sequence n
    mean    y_nh = (1 / T_n) Σ_t x_nth              T_n: its number of real steps

Derivation. A maximum depends on the step t* where it is reached and on no other; each step has the same share
in a mean:

    2. dx_nth = dy_nh if t = t*_nh, else 0          max; the first such step, where several reach it
    1. dx_nth = dy_nh / T_n                         mean

The last state of a recurrent layer has to carry what was read first through all later steps. Pooling gives
every step a direct way to the output, and its gradient a direct way back (Johnson & Zhang 2016, Howard &
Ruder 2018, use both).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import as_gradient, as_not_empty, check_choice, check_shape
from minilstm.backend.errors import BackwardError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.cells.padding import check_lengths, check_padding, real_steps
from minilstm.layers.module import Module

POOLINGS = ("max", "mean", "both")


class PoolCache(NamedTuple):
    """What backward needs."""

    shape: tuple[int, ...]      # of x, (N, T, H)
    dtype: Any
    places: Array | None        # (N, H) the step of each maximum; None: no maximum was taken
    # (N, T, 1) or (1, 1, 1): the weight of each step in the mean, 0 at padded steps; None: no mean
    shares: Array | None


def pool_forward(x: Array, lengths: Any = None, *, mode: str = "both", padding: str = "post",
                 keep: bool = True) -> tuple[Array, PoolCache | None]:
    """Return (y, cache).

    Args:
        x: (N, T, H), floating point. What stands at padded steps does not matter.
        lengths: N whole numbers from 1 to T, the real steps of each sequence; None: all steps are real.
        mode: "max", "mean" or "both" (both side by side, maxima first).
        padding: "post" or "pre", the side that is padded.
        keep: False if there will be no backward: the places of the maxima are not looked up, and the cache is
            None.

    Returns y (N, H), or (N, 2H) with mode "both". Raises ShapeError, DtypeError or ArgumentError.
    """
    check_choice("mode", mode, POOLINGS)
    check_padding(padding)
    x = as_not_empty("x", x)
    xp = get_array_module(x)
    check_shape("x", x, (None, None, None), "N, T, H")
    N, T, H = x.shape
    lengths = None if lengths is None else check_lengths(lengths, N, T)
    real = real_steps(lengths, T, padding, like=x)                      # (T, N, 1), or None
    real = None if real is None else real.transpose(1, 0, 2)
    parts, places, shares = [], None, None
    if mode != "mean":
        shown = x if real is None else xp.where(real, x, -xp.inf)
        parts.append(shown.max(axis=1))
        if keep:                                                        # faster than shown.argmax(axis=1)
            places = (shown == parts[0][:, None]).argmax(axis=1)
    if mode != "max":
        dtype = x.real.dtype
        shares = (xp.full((1, 1, 1), 1 / T, dtype) if real is None
                  else real.astype(dtype) / real.sum(axis=1, keepdims=True, dtype=dtype))
        parts.append((x if real is None else xp.where(real, x, 0)).sum(axis=1) * shares.max(axis=1))
    return xp.concatenate(parts, axis=1), PoolCache(tuple(x.shape), x.dtype, places, shares) if keep else None


def pool_backward(dy: Array, cache: PoolCache | None) -> Array:
    """Return dx (N, T, H), given dy (N, H), or (N, 2H) with mode "both". See the file's derivation.

    Raises ShapeError or DtypeError for a dy that does not fit, BackwardError after a forward with
    ``keep=False``.
    """
    if cache is None:
        raise BackwardError("pool_backward: the forward was called with keep=False, so nothing was kept")
    (N, T, H), dtype, places, shares = cache
    both = places is not None and shares is not None
    dy = as_gradient("dy", dy, (N, 2 * H if both else H), "N, H·2" if both else "N, H", dtype)
    xp = get_array_module(dy, places, shares)
    if shares is None:
        dx = xp.zeros((N, T, H), dtype)
    else:
        dx = xp.empty((N, T, H), dtype)
        xp.multiply(dy[:, None, -H:], shares, out=dx)
    if places is not None:
        dx[xp.arange(N)[:, None], places, xp.arange(H)] += dy[:, :H]    # each place once, so += adds all
    return dx


class PoolOverTime(Module):
    """Pool the outputs of all real steps: their maximum, their mean, or both side by side.

    Args:
        mode: "max", "mean" or "both".
        padding: the side that is padded when ``lengths`` are given, "post" or "pre".

    Call: ``y = layer(x, lengths=None, padding=None)`` with x (N, T, H) gives y (N, H), or (N, 2H) with mode
    "both", maxima first. It follows a recurrent layer with ``return_sequences=True``.

    >>> import numpy as np, minilstm as ml
    >>> pool = ml.PoolOverTime("both")
    >>> pool(np.array([[[1.0], [4.0], [9.0]]]), lengths=[2]).tolist()       # the third step is padding
    [[4.0, 2.5]]
    >>> pool.backward(np.array([[1.0, 1.0]])).tolist()
    [[[0.5], [1.5], [0.0]]]
    """

    def __init__(self, mode: str = "both", *, padding: str = "post") -> None:
        super().__init__()
        check_choice("mode", mode, POOLINGS)
        check_padding(padding)
        self.mode, self.padding = mode, padding

    def extra_repr(self) -> str:
        return repr(self.mode) + ("" if self.padding == "post" else f", padding={self.padding!r}")

    @flush_to_zero
    def forward(self, x: Array, *, lengths: Any = None, padding: str | None = None) -> Array:
        """Return y (N, H) or (N, 2H) for x (N, T, H). Raises ShapeError, DtypeError, ArgumentError."""
        padding = self.padding if padding is None else padding
        y, cache = pool_forward(x, lengths, mode=self.mode, padding=padding, keep=self.caches_needed)
        self.push(cache)
        return y

    @flush_to_zero
    def backward(self, dy: Array) -> Array:
        """Return dx (N, T, H). Raises ShapeError, DtypeError, BackwardError before any change."""
        dx = pool_backward(dy, self.peek())
        self.pop()
        return dx
