"""Dropout, inverted: survivors are scaled up while training (Srivastava et al. 2014).

    y = x · m,  m_j = 1 / (1 - p) with probability 1 - p, else 0;      dx = dy · m

The functional pair takes the mask as an argument and stays pure; the layer draws it from its own seeded
generator. Two layers beside it drop more than single numbers: LockedDropout the same features at every step,
WordDropout whole words.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, get_array_module
from minilstm.backend.checks import (as_floating, as_gradient, as_integers, as_not_empty, axis_names,
                                     check_number, check_shape, check_whole)
from minilstm.backend.seeds import as_generator
from minilstm.backend.subnormals import flush_to_zero
from minilstm.layers.module import Module


class DropoutCache(NamedTuple):
    """What backward needs: the scaled mask (None: nothing was dropped), the output's shape and dtype."""

    mask: Array | None
    shape: tuple[int, ...]
    dtype: Any


def dropout_mask(rng: np.random.Generator, shape: tuple[int, ...], p: float, like: Array) -> Array:
    """Draw a mask, 0 with probability ``p``, else 1 / (1 - p); backend and dtype are those of ``like``."""
    keep = rng.random(shape, dtype=np.float32) >= p
    return asarray(keep.astype(like.real.dtype) * like.real.dtype.type(1.0 / (1.0 - p)), backend_name(like))


def dropout_forward(x: Array, mask: Array | None) -> tuple[Array, DropoutCache]:
    """Return (x · mask, cache); ``mask`` is shaped like ``x`` and already scaled, or None: all 1."""
    x = as_floating("x", x)
    if mask is None:
        return x.copy(), DropoutCache(None, tuple(x.shape), x.dtype)
    mask = as_floating("mask", mask)
    get_array_module(x, mask)
    check_shape("mask", mask, tuple(x.shape), axis_names(x.ndim))
    y = x * mask
    return y, DropoutCache(mask, tuple(x.shape), y.dtype)


def dropout_backward(dy: Array, cache: DropoutCache) -> Array:
    """Return dx = dy · mask, shaped like the input."""
    dy = as_gradient("dy", dy, cache.shape, axis_names(len(cache.shape)), cache.dtype)
    return dy.copy() if cache.mask is None else dy * cache.mask


class Dropout(Module):
    """Drop each element with probability ``p`` while training; pass everything on in evaluation mode.

    Args:
        p: probability of dropping, 0 <= p < 1.
        rng: seed or numpy Generator of the masks (drawn on the host, the same on every backend).

    The rest is multiplied by 1 / (1 − p), so that the expected value stays the same (Srivastava et al. 2014,
    inverted).

    >>> import numpy as np, minilstm as ml
    >>> dropout = ml.Dropout(0.5, rng=0)
    >>> sorted(set(dropout(np.ones(100)).tolist()))
    [0.0, 2.0]
    >>> bool((dropout.eval()(np.ones(100)) == 1).all())
    True
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        super().__init__()
        self.p = check_number("p", p, below=1.0)
        self.rng = as_generator(rng)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"

    @flush_to_zero
    def forward(self, x: Array) -> Array:
        """Return x · mask, like ``x``. Raises DtypeError unless it is floating point, ShapeError if empty."""
        x = as_not_empty("x", x)
        y, cache = dropout_forward(x, self.mask(x) if self.training and self.p > 0.0 else None)
        self.push(cache)
        return y

    def mask(self, x: Array) -> Array:
        """Draw the mask of an input."""
        return dropout_mask(self.rng, tuple(x.shape), self.p, x)

    @flush_to_zero
    def backward(self, dy: Array) -> Array:
        """Return dx, shaped like the input. First raises ShapeError, DtypeError, BackwardError."""
        dx = dropout_backward(dy, self.peek())
        self.pop()
        return dx


class LockedDropout(Dropout):
    """Dropout with one mask for all steps of a sequence ("variational" dropout; Gal & Ghahramani 2016).

    Args:
        p: probability of dropping, 0 <= p < 1.
        rng: seed or numpy Generator of the masks.

    Input (N, T, D). A feature that is dropped is dropped at every step of its sequence, so that a recurrent
    layer cannot find it again one step later.

    >>> import numpy as np, minilstm as ml
    >>> y = ml.LockedDropout(0.5, rng=0)(np.ones((1, 3, 4)))
    >>> y[0].tolist()
    [[2.0, 2.0, 2.0, 0.0], [2.0, 2.0, 2.0, 0.0], [2.0, 2.0, 2.0, 0.0]]
    """

    def forward(self, x: Array) -> Array:
        """Return x · mask, shaped like ``x`` (N, T, D). Raises DtypeError, ShapeError."""
        check_shape("x", as_not_empty("x", x), (None, None, None), "N, T, D")
        return super().forward(x)

    def mask(self, x: Array) -> Array:
        N, T, D = x.shape
        return get_array_module(x).broadcast_to(dropout_mask(self.rng, (N, 1, D), self.p, x), (N, T, D))


class WordDropout(Module):
    """Replace each token with probability ``p`` by ``token`` while training; pass all on in evaluation mode.

    Args:
        p: probability of replacing a token, 0 <= p < 1.
        token: what replaces it, usually the number of "<OOV>", 1.
        padding_idx: a token that is never replaced (None: no such token).
        rng: seed or numpy Generator, which draws on the host.

    It comes before the Embedding: the model must not rely on any single word, and the vector of unknown words
    is trained. (Iyyer et al. 2015 leave the words out; Gal & Ghahramani 2016 set their vectors to 0.)

    >>> import numpy as np, minilstm as ml
    >>> layer = ml.WordDropout(0.5, rng=0)
    >>> layer(np.array([[5, 6, 7, 8, 0, 0]])).tolist()
    [[5, 6, 7, 1, 0, 0]]
    >>> layer.eval()(np.array([[5, 6, 7, 8, 0, 0]])).tolist()
    [[5, 6, 7, 8, 0, 0]]
    """

    takes_tokens = True

    def __init__(self, p: float, *, token: int = 1, padding_idx: int | None = 0, rng: Any = None) -> None:
        super().__init__()
        self.p, self.rng = check_number("p", p, below=1.0), as_generator(rng)
        self.token = check_whole("token", token)
        self.padding_idx = None if padding_idx is None else check_whole("padding_idx", padding_idx)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"

    def forward(self, tokens: Array) -> Array:
        """Return tokens like ``tokens``, whole numbers of any shape. Raises DtypeError."""
        tokens = as_integers("tokens", tokens)
        xp = get_array_module(tokens)
        self.push(None)
        if not self.training or self.p == 0.0:
            return tokens.copy()
        drop = asarray(self.rng.random(tuple(tokens.shape), dtype=np.float32) < self.p, backend_name(tokens))
        if self.padding_idx is not None:
            drop &= tokens != self.padding_idx
        return xp.where(drop, tokens.dtype.type(self.token), tokens)

    def backward(self, dy: Any = None) -> None:
        """Tokens have no gradient: forget the forward, and return None. Raises BackwardError."""
        self.pop()
