"""Embedding: one learned row for each token.

    y_nt = W[tokens_nt]                       tokens (...), W (V, D), y (..., D)
    dW[v] = Σ dy_nt over all places where tokens_nt = v

The sum is computed by sorting the positions by token and adding each token's run of rows, which is
deterministic and faster than adding rows one at a time. The row ``padding_idx`` starts at 0 and never gets a
gradient, so it stays 0. A token outside the table raises an error on the host; on a device, where checking
would make every step wait, it gets a row of NaN, and the NaN guard (minilstm/training/nonfinite.py) names it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import (as_floating, as_gradient, as_integers, axis_names, check_choice,
                                     check_dtype, check_positive_int, check_shape, is_whole)
from minilstm.backend.errors import ArgumentError, ShapeError, TokenError
from minilstm.backend.seeds import as_generator
from minilstm.backend.subnormals import flush_to_zero
from minilstm.kernels import embedding_twin
from minilstm.layers.initial_weights import INITS, uniform
from minilstm.layers.module import Module


class EmbeddingCache(NamedTuple):
    """What backward needs: the tokens and the table's size."""

    tokens: Array
    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    dtype: Any              # of the table


def check_padding_idx(padding_idx: Any, V: int) -> None:
    """Raise ArgumentError unless ``padding_idx`` is None or a token from 0 to V - 1."""
    if padding_idx is not None and not (is_whole(padding_idx) and 0 <= padding_idx < V):
        raise ArgumentError(f"padding_idx: expected a token from 0 to {V - 1}, got {padding_idx!r}")


def embedding_forward(tokens: Array, W: Array, *,
                      padding_idx: int | None = None) -> tuple[Array, EmbeddingCache]:
    """Return (W[tokens], cache).

    Args:
        tokens: integer array of any non-empty shape, values in [0, V).
        W: (V, D).
        padding_idx: row that gets no gradient.

    Raises DtypeError, ShapeError and, on the host, TokenError naming the first token out of range.
    """
    tokens, W = as_integers("tokens", tokens), as_floating("W", W)
    xp = get_array_module(tokens, W)
    check_shape("W", W, (None, None), "V, D")
    V, D = W.shape
    check_padding_idx(padding_idx, V)
    if tokens.size == 0:
        raise ShapeError(f"tokens: expected at least one token, got shape {tuple(tokens.shape)}")
    cache = EmbeddingCache(tokens.copy(), V, D, padding_idx, W.dtype)
    if xp is np:
        check_tokens(tokens, V)
        return xp.take(W, tokens, axis=0), cache
    known = (tokens >= 0) & (tokens < V)            # CuPy wraps a wrong index round silently
    return xp.where(known[..., None], xp.take(W, tokens, axis=0), xp.nan), cache


def check_tokens(tokens: Array, V: int) -> None:
    """Raise TokenError naming the first token that is not in [0, V), and its place. Waits for a device."""
    if bool((tokens.min() < 0) | (tokens.max() >= V)):
        wrong = get_array_module(tokens).nonzero((tokens < 0) | (tokens >= V))
        place = tuple(int(axis[0]) for axis in wrong)
        raise TokenError(f"tokens: {int(tokens[place])} at {list(place)} is outside the vocabulary: "
                         f"expected 0 to {V - 1}")


def embedding_backward(dy: Array, cache: EmbeddingCache) -> Array:
    """Return dW (V, D), given dy (..., D): a token's row is the sum of dy over the places where it stands."""
    return _row_sums(_as_dy(dy, cache), cache)


def _as_dy(dy: Any, cache: EmbeddingCache) -> Array:
    """Return dy (..., D) as an array. Raises DtypeError or ShapeError unless it fits the output."""
    shape = (*cache.tokens.shape, cache.embedding_dim)
    dy = as_gradient("dy", dy, shape, axis_names(len(shape), "D"), cache.dtype)
    get_array_module(dy, cache.tokens)
    return dy


def _row_sums(dy: Array, cache: EmbeddingCache) -> Array:
    xp = get_array_module(dy)
    tokens, V, D = cache.tokens, cache.num_embeddings, cache.embedding_dim
    flat = tokens.reshape(-1)
    order = xp.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = xp.flatnonzero(xp.concatenate([xp.ones(1, dtype=bool), ordered[1:] != ordered[:-1]]))
    dW = xp.zeros((V, D), dtype=dy.dtype)
    dW[ordered[starts]] = xp.add.reduceat(dy.reshape(-1, D)[order], starts, axis=0)
    if cache.padding_idx is not None:
        dW[cache.padding_idx] = 0
    return dW


class Embedding(Module):
    """A table of ``num_embeddings`` rows of size ``embedding_dim``, looked up by token id.

    Args:
        num_embeddings: V, size of the vocabulary.
        embedding_dim: D, size of a row.
        padding_idx: token whose row is 0 and stays 0 (None: no such token).
        init: "default" (uniform in ±0.05, Keras') or "uniform" (standard normal, PyTorch's).
        dtype: floating dtype of the table.
        rng: seed or numpy Generator for the initial rows.

    Parameters: ``W`` (V, D).

    >>> import numpy as np, minilstm as ml
    >>> embedding = ml.Embedding(10, 4, rng=0)
    >>> tokens = np.array([[1, 7, 7], [2, 0, 0]])           # any shape of whole numbers from 0 to 9
    >>> y = embedding(tokens)
    >>> y.shape
    (2, 3, 4)
    >>> embedding.backward(np.ones_like(y))
    >>> embedding.grads["W"][:, 0].tolist()                 # token 7 occurs twice, and so does 0
    [2.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0]
    """

    takes_tokens = True

    def __init__(self, num_embeddings: int, embedding_dim: int, *, padding_idx: int | None = None,
                 init: str = "default", dtype: Any = np.float32, rng: Any = None) -> None:
        super().__init__()
        self.num_embeddings = check_positive_int("num_embeddings", num_embeddings)
        self.embedding_dim = check_positive_int("embedding_dim", embedding_dim)
        check_choice("init", init, INITS)
        check_padding_idx(padding_idx, self.num_embeddings)
        self.padding_idx = None if padding_idx is None else int(padding_idx)
        self.init = init
        for name, value in self.init_params(as_generator(rng)).items():
            self.add_param(name, value.astype(check_dtype(dtype)))

    def init_params(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shape = (self.num_embeddings, self.embedding_dim)
        W = rng.standard_normal(shape) if self.init == "uniform" else uniform(rng, shape, 0.05)
        if self.padding_idx is not None:
            W[self.padding_idx] = 0.0
        return {"W": W}

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"

    def forward(self, tokens: Array) -> Array:
        """Return rows (..., D) for tokens (...). Raises DtypeError, ShapeError, and on the host
        TokenError."""
        y, cache = embedding_forward(tokens, self.params["W"], padding_idx=self.padding_idx)
        self.push(cache)
        return y

    @flush_to_zero
    def backward(self, dy: Array) -> None:
        """Add to ``grads["W"]``, given dy (..., D). Tokens have no gradient, so this returns None."""
        cache, dW = self.peek(), self.grads["W"]
        dy = _as_dy(dy, cache)
        self.pop()
        twin = embedding_twin(dy, dW) if self.fast else None
        if twin is None:
            dW += _row_sums(dy, cache)
        else:
            twin(dy, cache.tokens, dW, cache.padding_idx)
