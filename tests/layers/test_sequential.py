"""Sequential: its layers, their options and caches, and what a refused input leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, backend, put, xp
from models import TOKENS, small_model
from refusals import refuses

import minilstm as ml

N, T, D, H = 3, 7, 5, 2

X = np.ones((N, T, D))


@pytest.mark.parametrize("bad", [None, "Linear", [ml.Sigmoid()], ml.Sigmoid])
def test_sequential_is_made_of_modules(bad: Any) -> None:
    refuses(ml.DtypeError, lambda: ml.Sequential(ml.Sigmoid(), bad), "layer 1", type(bad).__name__)


def test_a_refused_input_leaves_a_sequential_that_can_be_used() -> None:
    """The caches of the layers before the refusal are dropped, so that no backward pass uses half a forward pass."""
    third = ml.Linear(4, 1, dtype=np.float64, rng=0)        # would want 5 features
    inner = ml.Sequential(ml.Embedding(7, D, dtype=np.float64, rng=0), ml.Linear(D, D, dtype=np.float64, rng=1))
    model = ml.Sequential(inner, ml.LSTM(D, D, 2, dtype=np.float64, rng=2), third)
    ids = put(np.ones((N, T), int))
    put(model)
    refuses(ml.ShapeError, lambda: model(ids), "x", "4", "(3, 7, 5)", unchanged=model)
    refuses(ml.ArgumentError, lambda: model(ids, length=[1]), "length", unchanged=model)
    refuses(ml.ArgumentError, lambda: model(ids, lengths=np.array([1, 2, 8])), "lengths", "8", unchanged=model)
    model.layers.pop()
    y = model(ids)
    refuses(ml.TokenError, lambda: model(ids + 7), "8") if backend() == "numpy" else model.drop_caches()
    refuses(ml.BackwardError, lambda: model.backward(y), "forward")         # nor through a forward before it
    y = model(ids)
    refuses(ml.ShapeError, lambda: model.backward(y[:1]), "dy", "(1, 7, 5)", unchanged=model)
    model.backward(xp.ones_like(y))
    twin = ml.Sequential(ml.Embedding(7, D, dtype=np.float64, rng=0), ml.Linear(D, D, dtype=np.float64, rng=1),
                         ml.LSTM(D, D, 2, dtype=np.float64, rng=2))
    put(twin).backward(xp.ones_like(twin(ids)))
    assert [g.tobytes() for g in model.named_gradients().values()] == [g.tobytes() for g in twin.named_gradients().values()]
    refuses(ml.BackwardError, lambda: model.backward(y), "forward", unchanged=model)


def test_sequential_backward_needs_every_layers_forward() -> None:
    """A layer left in evaluation mode kept no cache: that is said before any layer has added to its gradients."""
    model = put(ml.Sequential(ml.Linear(D, 3, rng=0), ml.Tanh(), ml.Linear(3, 2, rng=1)))
    model[1].eval()
    y = model(put(X))
    refuses(ml.BackwardError, lambda: model.backward(xp.ones_like(y)), "Tanh", "forward", unchanged=model)


def test_shared_layers_go_back_in_the_reverse_order() -> None:
    shared, twins = ml.Linear(D, D, dtype=np.float64, rng=0), [ml.Linear(D, D, dtype=np.float64, rng=0) for _ in range(2)]
    model, unshared = put((ml.Sequential(shared, ml.Tanh(), shared), ml.Sequential(twins[0], ml.Tanh(), twins[1])))
    y = model(put(X))
    assert y.tobytes() == unshared(put(X)).tobytes()
    assert model.backward(xp.ones_like(y)).tobytes() == unshared.backward(xp.ones_like(y)).tobytes()
    assert_allclose(shared.grads["W"], twins[0].grads["W"] + twins[1].grads["W"], rtol=1e-14)


def test_options_reach_the_layers_that_take_them() -> None:
    model = put(ml.Sequential(ml.Embedding(7, 3, rng=0), ml.Sequential(ml.RNN(3, 2, rng=1), ml.RNN(2, 2, rng=2)), ml.Tanh()))
    y = model(put(TOKENS), lengths=[3, 1])
    assert not y[1, 1:].any() and y[0].all()
    with pytest.raises(ml.ArgumentError, match="'length'"):
        model(put(TOKENS), length=[3, 1])
    with pytest.raises(ml.ArgumentError, match="'lengths'"):
        ml.Sequential(ml.Tanh())(xp.ones(3), lengths=[1])


def test_a_slice_is_a_sequential_of_the_same_layers() -> None:
    model = small_model()
    assert isinstance(model[:2], ml.Sequential) and model[:2][1] is model[1] and len(model[2:]) == 3
