"""Which forward a backward belongs to: what is pending, and what is discarded."""

from __future__ import annotations

import copy
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


def test_a_look_between_loss_and_backward_is_refused_once() -> None:
    m, criterion = model(), ml.BCELoss()
    criterion(m(X), Y)
    m(V)
    with pytest.raises(ml.BackwardError, match="not clear which forward.*model.eval"):
        m.backward(criterion.backward())
    assert not gradient(m).any()
    criterion(m(X), Y)
    m.backward(criterion.backward())
    np.testing.assert_array_equal(gradient(m), plain())


def test_a_loss_older_than_the_forward_is_refused() -> None:
    m, other, criterion = model(), model(), ml.BCELoss()
    criterion(m(X), Y)
    other(V)
    with pytest.raises(ml.BackwardError, match="not clear which forward"):
        other.backward(criterion.backward())
    assert not gradient(other).any()


def test_a_look_between_forward_and_loss_is_refused_once() -> None:
    m, criterion = model(), ml.BCELoss()
    y = m(X)
    m(V)
    criterion(y, Y)
    with pytest.raises(ml.BackwardError, match="not clear which forward.*model.eval"):
        m.backward(criterion.backward())
    assert not gradient(m).any()


def test_a_loss_of_a_view_is_one_of_the_output() -> None:
    m, criterion = model(), ml.BCELoss()
    m(V)
    criterion(m(X)[:, 0], Y)
    m.backward(criterion.backward()[:, None])
    np.testing.assert_array_equal(gradient(m), plain())


def test_a_loss_inside_a_forward_is_of_that_forward() -> None:
    class Own(ml.Module):
        def __init__(self) -> None:
            self.inner, self.criterion = model(), ml.BCELoss()

        def forward(self, x: Any) -> Any:
            return self.criterion(self.inner(x), Y)

        def backward(self, dy: Any) -> Any:
            return self.inner.backward(dy * self.criterion.backward())
    m = Own()
    m(V)
    m(X)
    m.backward(1)
    np.testing.assert_array_equal(gradient(m.inner), plain())


@pytest.mark.parametrize("looks", [1, 20])
def test_forwards_nobody_backpropagates_before_the_loop(looks: int) -> None:
    m, criterion = model(), ml.BCELoss()
    for _ in range(looks):
        m(V)
    criterion(m(X), Y)
    m.backward(criterion.backward())
    np.testing.assert_array_equal(gradient(m), plain())


def test_two_models_in_a_row_are_two_passes_and_one_way_back() -> None:
    encoder, criterion = ml.Linear(3, 2, rng=0), ml.BCELoss()
    decoder = ml.Sequential(ml.Linear(2, 1, rng=1), ml.Sigmoid())
    whole = ml.Sequential(*copy.deepcopy([encoder, *decoder]))
    criterion(decoder(encoder(X)), Y)
    dx = encoder.backward(decoder.backward(criterion.backward()))
    criterion(whole(X), Y)
    np.testing.assert_array_equal(dx, whole.backward(criterion.backward()))


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


def test_a_gradient_by_hand_after_a_look_is_refused_once() -> None:
    """Also where the layers are called by a module of one's own: none of them has changed when another one refuses."""
    class Own(ml.Module):
        def __init__(self) -> None:
            self.a, self.b = ml.Linear(3, 2, rng=0), ml.Linear(2, 1, rng=1)

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x))

        def backward(self, dy: Any) -> Any:
            return self.a.backward(self.b.backward(dy))
    m, twin = Own(), Own()
    m(X)
    y = m(V)
    with pytest.raises(ml.BackwardError, match="model.eval"):
        m.backward(y)
    assert not any(g.any() for g in m.named_gradients().values())
    m.backward(m(X))
    twin.backward(twin(X))
    assert all((g == twin.named_gradients()[name]).all() for name, g in m.named_gradients().items())


def test_of_many_forwards_one_is_kept() -> None:
    layer = ml.LSTM(8, 16, rng=0)
    layer.fast = False              # the fast functions' memory serves again
    x = np.zeros((32, 50, 8), np.float32)
    tracemalloc.start()
    for _ in range(2):
        layer(x)
    two = tracemalloc.get_traced_memory()[0]
    for _ in range(10):
        layer(x)
    twelve = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert two > 8e5 and twelve - two < 4e5        # a forward keeps 0.8 MB or more


def test_whatever_changes_weights_discards_what_is_pending() -> None:
    m, criterion = model(), ml.BCELoss()
    for change in (ml.SGD(m, 0.1).step, lambda: m.load_state_dict(m.state_dict()), lambda: m.reset_parameters(0)):
        criterion(m(X), Y)
        change()
        with pytest.raises(ml.BackwardError, match="no forward pass.*before optimizer.step"):
            m.backward(criterion.backward())


def test_what_a_step_discards_was_left_pending() -> None:
    m = model()
    m(X)
    ml.SGD(m, 0.1).step()
    y = m(V)
    with pytest.raises(ml.BackwardError, match="not clear which forward.*model.eval"):
        m.backward(np.ones_like(y))
    m.backward(np.ones_like(m(V)))
    assert gradient(m).any()


def test_a_refused_input_leaves_the_forward_before_it_pending() -> None:
    m, criterion = model(), ml.BCELoss()
    criterion(m(X), Y)
    with pytest.raises(ml.ShapeError):
        m(np.ones((4, 7), np.float32))
    m.backward(criterion.backward())
    np.testing.assert_array_equal(gradient(m), plain())


def test_inside_a_pass_the_last_call_comes_first() -> None:
    class Twice(ml.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = ml.Linear(3, 3, dtype=np.float64, rng=0)

        def forward(self, x: np.ndarray) -> np.ndarray:
            return self.inner(np.tanh(self.inner(x))) + 0 * self.inner(x)

        def backward(self, dy: np.ndarray) -> np.ndarray:
            dx = self.inner.backward(0 * dy)
            _, kept = None, self.inner.backward(dy)
            x = kept * (1 - np.tanh(self.inner._caches[-1].x @ self.inner.params["W"] + self.inner.params["b"]) ** 2)
            return dx + self.inner.backward(x)
    ml.gradcheck(Twice(), X.astype(np.float64))


def test_forward_called_by_its_name_makes_a_pass_of_each_layer() -> None:
    shared = ml.Linear(3, 3, dtype=np.float64, rng=0)
    m, twice = ml.Sequential(ml.Linear(3, 3, rng=1), ml.Tanh()), ml.Sequential(shared, ml.Tanh(), shared)
    twin = copy.deepcopy(m)
    np.testing.assert_array_equal(m.backward(m.forward(X)), twin.backward(twin(X)))
    with pytest.raises(ml.BackwardError, match="no forward pass"):
        twice.backward(twice.forward(X))
    assert not shared.grads["W"].any()


def test_threads_have_passes_of_their_own() -> None:
    m, seen = model(), []
    with passes.one_pass():
        thread = threading.Thread(target=lambda: seen.append((passes.thread.current, m.eval()(X).shape)))
        thread.start()
        thread.join()
    assert seen == [(None, (4, 1))] and passes.thread.current is None


def test_evaluation_of_one_thread_is_not_that_of_another() -> None:
    m, seen = model(), []
    with passes.evaluating():
        thread = threading.Thread(target=lambda: seen.append(m.training))
        thread.start()
        thread.join()
        assert not m.training and not m.caches_needed
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
