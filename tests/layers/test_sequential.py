"""Sequential: its layers, their options and caches, and what a refused input leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, backend, put, xp
from models import TOKENS, small_model
from refusals import refuses

import minilstm as ml

N, T, D, H = 3, 7, 5, 2

X = np.ones((N, T, D))


@pytest.mark.parametrize("bad", [None, "Linear", [ml.Sigmoid()], ml.Sigmoid])
def test_sequential_is_made_of_modules(bad: Any) -> None:
    refuses(ml.DtypeError, lambda: ml.Sequential(ml.Sigmoid(), bad), "layer 1", type(bad).__name__)


def test_a_refused_input_leaves_a_sequential_that_can_be_used() -> None:
    """What the layers before the refusal kept is dropped; the forward before it can still be backpropagated."""
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
    if backend() == "numpy":
        refuses(ml.TokenError, lambda: model(ids + 7), "8", unchanged=model)
    refuses(ml.ShapeError, lambda: model.backward(y[:1]), "dy", "(1, 7, 5)", unchanged=model)
    model.backward(xp.ones_like(y))
    twin = ml.Sequential(ml.Embedding(7, D, dtype=np.float64, rng=0), ml.Linear(D, D, dtype=np.float64, rng=1),
                         ml.LSTM(D, D, 2, dtype=np.float64, rng=2))
    put(twin).backward(xp.ones_like(twin(ids)))
    assert [g.tobytes() for g in model.named_gradients().values()] == [g.tobytes() for g in twin.named_gradients().values()]
    refuses(ml.BackwardError, lambda: model.backward(y), "forward", unchanged=model)


def test_backward_needs_every_layers_forward() -> None:
    """One that was backpropagated already is noticed before any other layer has added to its gradients."""
    model = put(ml.Sequential(ml.Linear(D, 3, rng=0), ml.Tanh(), ml.Linear(3, 2, rng=1)))
    y = model(put(X))
    model[1].backward(xp.ones((N, T, 3)))
    refuses(ml.BackwardError, lambda: model.backward(xp.ones_like(y)), "Tanh", "forward", unchanged=model)


def test_a_layer_of_ones_own_may_keep_what_it_needs_elsewhere() -> None:
    class Square(ml.Module):
        def forward(self, x: Any) -> Any:
            self.x = x
            return x * x

        def backward(self, dy: Any) -> Any:
            return 2 * self.x * dy
    model = put(ml.Sequential(ml.Tanh(), Square()))
    y = model(put(X))
    assert_allclose(model.backward(xp.ones_like(y)), 2 * np.tanh(X) * (1 - np.tanh(X) ** 2))


def test_a_layer_in_evaluation_mode_inside_a_training_model_is_gone_back_through() -> None:
    """A frozen Dropout passes on what it gets, and a frozen LSTM of several layers drops nothing between them."""
    model = put(ml.Sequential(ml.LSTM(D, 3, 2, dropout=0.5, dtype=np.float64, rng=0), ml.Dropout(0.5, rng=1), ml.Tanh()))
    for layer in model:
        layer.eval()
    twin = put(ml.Sequential(ml.LSTM(D, 3, 2, dtype=np.float64, rng=0), ml.Tanh()))
    y = model(put(X))
    assert_equal(y, twin(put(X)))
    assert_equal(model.backward(xp.ones_like(y)), twin.backward(xp.ones_like(y)))
    assert_equal(model[0].grads["W_l1"], twin[0].grads["W_l1"])


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


def test_a_refused_backward_leaves_everything_as_it_was() -> None:
    """Gradients, and the caches too: mended, the same backward goes through."""
    class Moody(ml.Module):
        wrong = True

        def forward(self, x: Any) -> Any:
            self.push(None)
            return x + 0

        def backward(self, dy: Any) -> Any:
            self.pop()
            return dy[:1] if self.wrong else dy
    moody = Moody()
    model = put(ml.Sequential(ml.Linear(D, 3, dtype=np.float64, rng=0), moody, ml.Linear(3, 2, dtype=np.float64, rng=1)))
    dy = xp.ones_like(model(put(X)))
    refuses(ml.ShapeError, lambda: model.backward(dy), "dy", unchanged=model)
    moody.wrong = False
    twin = put(ml.Sequential(ml.Linear(D, 3, dtype=np.float64, rng=0), ml.Linear(3, 2, dtype=np.float64, rng=1)))
    twin(put(X))
    assert_equal(model.backward(dy), twin.backward(dy))
    for mine, theirs in zip(model.named_gradients().values(), twin.named_gradients().values()):
        assert_equal(mine, theirs)
