"""Which forward a backward belongs to: what waits, what a gradient tells, what is forgotten."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.backend import passes

X, V = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
Y = np.array([1, 0, 0, 1], np.float32)


def model() -> ml.Sequential:
    return ml.Sequential(ml.Linear(3, 1, rng=0), ml.Sigmoid())


def gradient(m: ml.Module) -> np.ndarray:
    return m.named_gradients()["0.W"].copy()


def plain(x: Any = X) -> np.ndarray:
    m, criterion = model(), ml.BCELoss()
    criterion(m(x), Y)
    m.backward(criterion.backward())
    return gradient(m)


def test_a_view_of_the_output_is_the_output() -> None:
    m, criterion = model(), ml.BCELoss()
    criterion(m(X)[:, 0], Y)
    m(V)
    with pytest.raises(ml.ShapeError):              # (4,) where (4, 1) is expected: but it is known whose it is
        m.backward(criterion.backward())
    m(V)
    criterion(m(X).reshape(-1)[:, None], Y)
    m.backward(criterion.backward())
    np.testing.assert_array_equal(gradient(m), plain())


def test_what_was_unclear_is_forgotten_and_the_next_loop_works() -> None:
    m, criterion = model(), ml.BCELoss()
    m(X)
    y = m(V)
    with pytest.raises(ml.BackwardError, match="not clear which forward.*model.eval"):
        m.backward(np.ones_like(y))
    assert not gradient(m).any()
    with pytest.raises(ml.BackwardError, match="no forward pass"):
        m.backward(np.ones_like(y))
    criterion(m(X), Y)
    m.backward(criterion.backward())
    np.testing.assert_array_equal(gradient(m), plain())


def test_a_gradient_by_hand_is_told_by_its_shape() -> None:
    m = model()
    dys = [np.ones((n, 1), np.float32) for n in (4, 2)]
    m(X)
    m(V[:2])
    for dy in dys:
        m.backward(dy)
    want = [model(), model()]
    for one, x, dy in zip(want, (X, V[:2]), dys):
        one(x)
        one.backward(dy)
    np.testing.assert_allclose(gradient(m), gradient(want[0]) + gradient(want[1]), rtol=1e-6)


def test_the_output_itself_as_a_gradient_is_told_too() -> None:
    """Of the loss ½Σy²."""
    m = model()
    y = m(X)
    m(V)
    m.backward(y)
    one = model()
    one.backward(one(X))
    np.testing.assert_array_equal(gradient(m), gradient(one))


def test_of_many_forwards_two_wait() -> None:
    """Memory does not pile up, and the shape of a gradient no longer tells, since one of that shape may be lost."""
    layer = ml.LSTM(8, 16, rng=0)
    layer.fast = False              # the twins' memory serves again
    x = np.zeros((32, 50, 8), np.float32)
    tracemalloc.start()
    for _ in range(3):
        layer(x)
    three = tracemalloc.get_traced_memory()[0]
    for _ in range(10):
        layer(x)
    thirteen = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert three > 1e6 and thirteen - three < 1e6 and layer.pending == passes.KEPT         # a forward keeps 0.8 MB
    y = layer(x[:5])
    with pytest.raises(ml.BackwardError, match="not clear"):
        layer.backward(np.ones_like(y))


def test_weights_that_changed_since() -> None:
    m, criterion = model(), ml.BCELoss()
    for change in (ml.SGD(m, 0.1).step, lambda: m.load_state_dict(m.state_dict()), lambda: m.reset_parameters(0)):
        criterion(m(X), Y)
        change()
        with pytest.raises(ml.BackwardError, match="weights have changed"):
            m.backward(criterion.backward())


def test_a_module_inside_a_pass_is_gone_back_through_last_call_first() -> None:
    class Twice(ml.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = ml.Linear(3, 3, dtype=np.float64, rng=0)

        def forward(self, x: np.ndarray) -> np.ndarray:
            return self.inner(np.tanh(self.inner(x))) + 0 * self.inner(x)

        def backward(self, dy: np.ndarray) -> np.ndarray:
            dx = self.inner.backward(0 * dy)
            _, kept = None, self.inner.backward(dy)
            x = kept * (1 - np.tanh(self.inner.peek().x @ self.inner.params["W"] + self.inner.params["b"]) ** 2)
            return dx + self.inner.backward(x)
    ml.gradcheck(Twice(), X.astype(np.float64))


def test_forward_called_by_its_name_is_a_pass_too() -> None:
    shared = ml.Linear(3, 3, dtype=np.float64, rng=0)
    m, twin = (ml.Sequential(shared, ml.Tanh(), shared) for _ in range(2))
    x = X.astype(np.float64)
    dx = m.backward(m.forward(x))
    np.testing.assert_array_equal(dx, twin.backward(twin(x)))
    assert shared.forward.__doc__ == ml.Linear.forward.__doc__ and "Return y" in str(shared.forward.__doc__)


def test_threads_have_passes_of_their_own() -> None:
    m, seen = model(), []
    with passes.one_pass():
        thread = threading.Thread(target=lambda: seen.append((passes.current_pass(), m.eval()(X).shape)))
        thread.start()
        thread.join()
    assert seen == [(None, (4, 1))] and passes.current_pass() is None


def test_evaluation_of_one_thread_is_not_that_of_another() -> None:
    m, seen = model(), []
    with passes.evaluating():
        thread = threading.Thread(target=lambda: seen.append(m.training))
        thread.start()
        thread.join()
        assert not m.training and not m.keeps
    assert seen == [True] and m.training


def test_a_second_backward_does_not_go_through_a_look() -> None:
    m, criterion = model(), ml.BCELoss()
    m(V)
    criterion(m(X), Y)
    dy = criterion.backward()
    m.backward(dy)
    for again in (dy, None):
        with pytest.raises(ml.BackwardError, match="not clear|no forward"):
            m[1].backward(again)
    np.testing.assert_array_equal(gradient(m), plain())
