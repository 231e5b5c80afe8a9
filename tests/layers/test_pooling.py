"""Pooling over time: beside PyTorch, with lengths on either side, ties, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, put, xp
from cell_tests import check
from refusals import refuses

import minilstm as ml

N, T, H = 3, 5, 2
LENGTHS = [5, 1, 3]
MODES = ["max", "mean", "both"]


def real(padding: str) -> np.ndarray:
    """(N, T) bool, counted by hand."""
    rows = [[True] * n + [False] * (T - n) for n in LENGTHS]
    return np.array([row if padding == "post" else row[::-1] for row in rows])


@pytest.mark.parametrize("padding", ["post", "pre"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("mode", MODES)
def test_gradients(mode: str, lengths: Any, padding: str, rng: np.random.Generator) -> None:
    check(ml.PoolOverTime(mode, padding=padding), rng.standard_normal((N, T, H)), lengths=lengths)


@pytest.mark.parametrize("padding", ["post", "pre"])
@pytest.mark.parametrize("mode", MODES)
def test_it_agrees_with_pytorch_whatever_stands_in_the_padding(mode: str, padding: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    x, steps = rng.standard_normal((N, T, H)) - 2, real(padding)
    x[~steps] = np.nan
    dy = rng.standard_normal((N, 2 * H if mode == "both" else H))
    theirs = [torch.tensor(row[some], requires_grad=True) for row, some in zip(x, steps)]
    parts = {"max": [row.max(dim=0).values for row in theirs], "mean": [row.mean(dim=0) for row in theirs]}
    parts["both"] = [torch.cat(pair) for pair in zip(parts["max"], parts["mean"])]
    y = torch.stack(parts[mode])
    (y * torch.tensor(dy)).sum().backward()
    pool = ml.PoolOverTime(mode)
    assert_allclose(pool(put(x), lengths=LENGTHS, padding=padding), y.detach().numpy(), rtol=1e-14)
    dx = pool.backward(put(dy))
    assert not bool(dx[put(~steps)].any())
    for row, some, want in zip(dx, steps, theirs):
        assert_allclose(row[put(some)], want.grad.numpy(), rtol=1e-14)


def test_the_first_of_equal_maxima_gets_the_gradient() -> None:
    pool = ml.PoolOverTime("max")
    pool(put(np.array([[[1.0], [7.0], [7.0]]])))
    assert_equal(pool.backward(xp.ones((1, 1))), [[[0.0], [1.0], [0.0]]])


def test_lengths_reach_it_in_a_chain_and_dtypes_stay(rng: np.random.Generator) -> None:
    x = put(rng.standard_normal((N, T, H)).astype(np.float32))
    model = put(ml.Sequential(ml.LSTM(H, 3, bidirectional=True, rng=0), ml.PoolOverTime("both"), ml.Linear(12, 1, rng=1)))
    whole, cut = model(x, lengths=LENGTHS), model(x[:, :3], lengths=[3, 1, 3])
    assert whole.dtype == np.float32
    assert_allclose(cut[1:], whole[1:], rtol=1e-5)
    model.drop_caches()
    model(x, lengths=LENGTHS)
    assert model.backward(xp.ones((N, 1), np.float32)).dtype == np.float32


@pytest.mark.parametrize("mode", MODES)
def test_without_a_cache_the_output_is_the_same(mode: str, rng: np.random.Generator) -> None:
    x = put(rng.standard_normal((N, T, H)))
    y, cache = ml.pool_forward(x, LENGTHS, mode=mode, keep=False)
    assert_equal(y, ml.pool_forward(x, LENGTHS, mode=mode)[0])
    refuses(ml.BackwardError, lambda: ml.pool_backward(y, cache), "keep=False")


def test_input_that_does_not_fit() -> None:
    refuses(ml.ArgumentError, lambda: ml.PoolOverTime("sum"), "mode", "'sum'")
    refuses(ml.ArgumentError, lambda: ml.PoolOverTime("max", padding="left"), "padding")
    pool, x = ml.PoolOverTime("max"), xp.ones((2, 3, 4))
    refuses(ml.ShapeError, lambda: pool(x[0]), "3 axes", unchanged=pool)
    refuses(ml.ShapeError, lambda: pool(x[:, :0]), "is empty", unchanged=pool)
    refuses(ml.DtypeError, lambda: pool(put(np.ones((2, 3, 4), int))), "int64", unchanged=pool)
    refuses(ml.ArgumentError, lambda: pool(x, lengths=[0, 3]), "got 0 for sequence 0", unchanged=pool)
    pool(x)
    refuses(ml.ShapeError, lambda: pool.backward(xp.ones((2, 8))), "dy", "(2, 8)", unchanged=pool)
