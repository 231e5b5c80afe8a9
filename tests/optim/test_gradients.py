"""Clipping by the norm of all gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, host, put
from hypothesis import given
from hypothesis import strategies as st
from optimizer_cases import fill_gradients, tiny_model

import minilstm as ml


@given(max_norm=st.floats(0, 100), scale=st.floats(1e-3, 1e3))
def test_clipping_agrees_with_pytorch(max_norm: float, scale: float) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    model = tiny_model()
    fill_gradients(model, 0)
    theirs = []
    for g in model.named_gradients().values():
        g *= scale
        theirs.append(torch.zeros(g.shape, dtype=torch.float64))
        theirs[-1].grad = torch.tensor(ml.to_numpy(g))
    norm = ml.clip_grad_norm(model, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    assert_allclose(norm, expected.item(), rtol=1e-13)
    for g, t in zip(model.named_gradients().values(), theirs):
        assert_allclose(g, t.grad.numpy(), rtol=1e-12, atol=1e-300)


def test_frozen_layers_neither_learn_nor_count() -> None:
    model = put(ml.Sequential(ml.Linear(1, 1, rng=0), ml.Linear(1, 1, rng=1)))
    fill_gradients(model, 0)
    model[0].frozen = True
    before, learning = model.state_dict(), [g for name, g in model.named_gradients().items() if name.startswith("1.")]
    assert_allclose(ml.clip_grad_norm(model, math.inf), math.sqrt(sum(float((g ** 2).sum()) for g in learning)), rtol=1e-6)
    ml.SGD(model, 1.0).step()
    changed = {name: bool((value != before[name]).any()) for name, value in model.state_dict().items()}
    assert changed == {"0.W": False, "0.b": False, "1.W": True, "1.b": True}


def test_clipping_measures_without_change() -> None:
    model = tiny_model(np.float32)
    fill_gradients(model, 0)
    before = [g.copy() for g in model.named_gradients().values()]
    norm = ml.clip_grad_norm(model, math.inf)
    assert type(norm) is type(before[0]) and norm.shape == ()
    assert_allclose(norm, np.sqrt(sum((host(g).astype(float) ** 2).sum() for g in before)), rtol=1e-14)
    for g, same in zip(model.named_gradients().values(), before):
        assert_equal(g, same)


def test_clipping_survives_float32_overflow() -> None:
    model = tiny_model(np.float32)
    for g in model.named_gradients().values():
        g.fill(3e38)
    norm = ml.clip_grad_norm(model, 1.0)
    assert_allclose(norm, 3e38 * math.sqrt(model.num_parameters()), rtol=1e-6)
    assert_allclose(ml.clip_grad_norm(model, math.inf), 1.0, rtol=1e-5)
    assert all(g.dtype == np.float32 for g in model.named_gradients().values())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("max_norm", [1e-9, 1.0, math.inf])
def test_clipping_leaves_bad_gradients_for_the_guard(bad: float, max_norm: float) -> None:
    model = tiny_model()
    fill_gradients(model, 0)
    model[1].grads["b"][0] = bad
    before = {name: g.copy() for name, g in model.named_gradients().items()}
    assert not np.isfinite(host(ml.clip_grad_norm(model, max_norm)))
    for name, g in model.named_gradients().items():
        assert_equal(g, before[name])
    with pytest.raises(ml.NonFiniteError, match="1.b"):
        ml.Adam(model).step()


def test_clipping_checks_its_arguments() -> None:
    for bad in (-1, math.nan, "1", None):
        with pytest.raises(ml.ArgumentError, match="max_norm"):
            ml.clip_grad_norm(tiny_model(), bad)
    with pytest.raises(ml.DtypeError):
        ml.clip_grad_norm([np.ones(3)], 1.0)


def test_keywords_of_pytorchs_clipping_are_answered() -> None:
    for keyword in ("norm_type", "error_if_nonfinite", "foreach"):
        with pytest.raises(ml.ArgumentError, match=f"^clip_grad_norm: {keyword} is not an argument here"):
            ml.clip_grad_norm(ml.Linear(1, 1, rng=0), 1.0, **{keyword: 2})
    with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
        ml.clip_grad_norm(ml.Linear(1, 1, rng=0), 1.0, foo=2)
