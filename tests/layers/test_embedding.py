"""Embedding: gradients, the same in PyTorch, ids that make no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import backend, host, put
from cases import close
from cell_tests import check
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses
from torch_twin import to_torch, torch

import minilstm as ml


@settings(max_examples=20)
@given(shape=st.lists(st.sampled_from([1, 2, 5]), min_size=1, max_size=3), padding_idx=st.sampled_from([None, 0, 6]),
       seed=st.integers(0, 999))
def test_gradients(shape: list[int], padding_idx: int | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 7, shape)
    if padding_idx is None:
        check(ml.Embedding(7, 3, rng=rng), tokens)
    else:       # the padding row is held at 0: its numerical gradient is not 0, its analytic one must be
        tokens = np.where(tokens == padding_idx, (padding_idx + 1) % 7, tokens)
        check(ml.Embedding(7, 3, padding_idx=padding_idx, rng=rng), tokens)


@pytest.mark.parametrize("padding_idx", [None, 0, 6])
def test_same_as_pytorch(padding_idx: int | None, rng: np.random.Generator, worst: list[float]) -> None:
    ours = ml.Embedding(7, 3, padding_idx=padding_idx, dtype=np.float64, rng=0)
    theirs = torch.nn.Embedding(7, 3, padding_idx=padding_idx, dtype=torch.float64)
    ours.params["W"][...] = rng.standard_normal((7, 3))
    with torch.no_grad():
        theirs.weight.copy_(to_torch(ours.params["W"]))
    put(ours)
    ids = rng.integers(0, 7, (5, 11))       # each id several times: gradients must add up
    dy = rng.standard_normal((5, 11, 3))
    y = theirs(torch.from_numpy(ids))
    y.backward(to_torch(dy))
    worst.append(close(ours(put(ids)), y.detach().numpy(), 1e-10))
    ours.backward(put(dy))
    worst.append(close(ours.grads["W"], theirs.weight.grad.numpy(), 1e-10))


@pytest.mark.parametrize("ids, error, words", [
    (np.array([[0, 7]]), ml.TokenError, ["7", "0 to 6"]), (np.array([[0, -1]]), ml.TokenError, ["-1", "0 to 6"]),
    (np.array([[0, 2**40]]), ml.TokenError, [str(2**40)]),
    (np.array([[0, 2**64 - 1]], np.uint64), ml.TokenError, [str(2**64 - 1)]),
    (np.array([[0.0, 1.0]]), ml.DtypeError, ["integers", "float64"]),
    (np.array([[True]]), ml.DtypeError, ["integers", "bool"]),
    (np.array([["a"]]), ml.DtypeError, ["integers", "<U1"]), ([[0, 1], [2]], ml.DtypeError, ["array", "list"]),
    (np.zeros((0, 4), int), ml.ShapeError, ["(0, 4)"]), (np.zeros((3, 0), int), ml.ShapeError, ["(3, 0)"])])
def test_ids_that_make_no_sense(ids: Any, error: type[Exception], words: list[str]) -> None:
    layer = put(ml.Embedding(7, 3, rng=0))
    if error is ml.TokenError and backend() != "numpy":     # a device does not look: it gives NaN, and who fetches it explains
        y = host(layer(put(ids)))
        assert np.isfinite(y[0, 0]).all() == (ids.size > 1) and np.isnan(y[0, -1]).all()
        return
    refuses(error, lambda: layer(put(ids)), *words, unchanged=layer)
