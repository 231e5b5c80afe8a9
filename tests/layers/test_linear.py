"""Linear: gradients, the same in PyTorch, input that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import put
from cases import close
from cell_tests import check
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses
from torch_twin import to_torch, torch

import minilstm as ml

N, T, D, H = 3, 7, 5, 2

X = np.ones((N, T, D))


@settings(max_examples=20)
@given(leading=st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=3), bias=st.booleans(), seed=st.integers(0, 999))
def test_gradients(leading: list[int], bias: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(ml.Linear(5, 2, bias=bias, init="uniform", rng=rng), rng.standard_normal((*leading, 5)))
    W, b = rng.standard_normal((5, 2)), rng.standard_normal(2)
    check((ml.linear_forward, ml.linear_backward), (rng.standard_normal((*leading, 5)), W, b))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 5)])
def test_same_as_pytorch(bias: bool, shape: tuple[int, ...], rng: np.random.Generator, worst: list[float]) -> None:
    ours, theirs = ml.Linear(5, 2, bias=bias, dtype=np.float64, rng=0), torch.nn.Linear(5, 2, bias=bias, dtype=torch.float64)
    for value in ours.params.values():
        value[...] = rng.standard_normal(value.shape)
    with torch.no_grad():
        theirs.weight.copy_(to_torch(ours.params["W"].T))
        if bias:
            theirs.bias.copy_(to_torch(ours.params["b"]))
    put(ours)
    x, dy = rng.standard_normal(shape), rng.standard_normal((*shape[:-1], 2))
    tensor = to_torch(x, True)
    y = theirs(tensor)
    y.backward(to_torch(dy))
    worst.append(close(ours(put(x)), y.detach().numpy(), 1e-10))
    worst.append(close(ours.backward(put(dy)), tensor.grad.numpy(), 1e-10))
    worst.append(close(ours.grads["W"], theirs.weight.grad.numpy().T, 1e-10))
    if bias:
        worst.append(close(ours.grads["b"], theirs.bias.grad.numpy(), 1e-10))


@pytest.mark.parametrize("x, error, words", [
    (X[..., :4], ml.ShapeError, ["x", "5", "(3, 7, 4)"]), (X[:0], ml.ShapeError, ["x", "(0, 7, 5)"]),
    (X.astype(int), ml.DtypeError, ["x", "int64"]), ([[1.0], [2.0, 3.0]], ml.DtypeError, ["x", "list"])])
def test_input_that_does_not_fit(x: Any, error: type[Exception], words: list[str]) -> None:
    layer = put(ml.Linear(D, H, rng=0))
    refuses(error, lambda: layer(put(x)), *words, unchanged=layer)
