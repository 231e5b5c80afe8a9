"""Batches of one long text: every row goes on where the same row of the batch before ended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refusals import refuses

import minilstm as ml


@pytest.mark.parametrize(("n", "N", "T"), [(25, 2, 3), (24, 2, 3), (8, 2, 3), (100, 1, 99), (41, 4, 2)])
def test_streams_can_be_read_off_the_batches(n: int, N: int, T: int) -> None:
    tokens = np.arange(n, dtype=np.int16)
    x, y = ml.contiguous_batches(tokens, N, T)
    chunks = (n // N - 1) // T
    assert x.dtype == y.dtype == np.int16 and x.shape == y.shape == (chunks * N, T)
    for row in range(N):
        stream = tokens[row * (n // N):][:chunks * T + 1]
        assert x[row::N].ravel().tolist() == stream[:-1].tolist()
        assert y[row::N].ravel().tolist() == stream[1:].tolist()


@pytest.mark.parametrize(("tokens", "N", "T", "error", "words"), [
    (np.arange(7), 2, 3, ml.ShapeError, "at least 8"), (np.zeros((4, 4), int), 2, 3, ml.ShapeError, "tokens"),
    (np.arange(9.0), 2, 3, ml.DtypeError, "tokens"), ("a text", 2, 3, ml.DtypeError, "tokens"),
    (np.arange(9), 0, 3, ml.ArgumentError, "batch_size"), (np.arange(9), 2, 1.5, ml.ArgumentError, "length")])
def test_what_cannot_be_cut_is_refused(tokens: Any, N: int, T: Any, error: type[Exception], words: str) -> None:
    refuses(error, lambda: ml.contiguous_batches(tokens, N, T), words)
