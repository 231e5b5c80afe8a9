"""Every loss: against PyTorch, finite differences and complex steps, and with input that does not fit."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import product
from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, backend, host, on_host, put, xp
from cell_tests import check
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_cases import ALL, POINTWISE, example, put_array, torch_loss

import minilstm as ml
from minilstm.backend.checks import is_array
from minilstm.losses.binary_cross_entropy import bce_forward
from minilstm.losses.cross_entropy import cross_entropy_forward


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind, options", ALL)
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 7)])
def test_agrees_with_pytorch(kind: Any, options: dict, reduction: str, shape: tuple, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    prediction, target = example(kind, rng, shape, options)
    criterion = kind(reduction=reduction, **options)
    loss, gradient = criterion(prediction, target), criterion.backward()
    prediction, target = on_host((prediction, target))
    theirs = torch.tensor(prediction, requires_grad=True)
    class_first = theirs.movedim(-1, 1) if kind is ml.CrossEntropyLoss else theirs
    expected = torch_loss(kind, options, reduction)(class_first, torch.tensor(target))
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-13)
    assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-12, atol=1e-15)


def numeric_gradient(kind: type, options: dict, prediction: Any, target: Any, complex_step: bool) -> Any:
    gradient = np.empty(prediction.shape)
    for entry in np.ndindex(prediction.shape):
        if complex_step:
            z = prediction.astype(complex)
            z[entry] += 1e-30j
            loss = kind(**options)(z, target)
            assert loss.dtype == np.complex128
            gradient[entry] = float(loss.imag) / 1e-30
        else:
            plus, minus, step = prediction.copy(), prediction.copy(), 1e-5
            plus[entry] += step
            minus[entry] -= step
            gradient[entry] = float(kind(**options)(plus, target) - kind(**options)(minus, target)) / (2 * step)
    return gradient


@pytest.mark.parametrize("kind, options", ALL)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=4), seed=st.integers(0, 2**32),
       reduction=st.sampled_from(["mean", "sum"]))
def test_gradient_of_every_element(kind: Any, options: dict, data: Any, shape: tuple, seed: int, reduction: str) -> None:
    prediction, target = example(kind, np.random.default_rng(seed), shape, options)
    options = {**options, "reduction": reduction}
    criterion = kind(**options)
    criterion(prediction, target)
    gradient = host(criterion.backward())
    exact = numeric_gradient(kind, options, prediction, target, complex_step=True)
    assert (np.abs(gradient - exact) <= 1e-10 * np.maximum(np.maximum(np.abs(gradient), np.abs(exact)), 1e-3)).all()
    rough = numeric_gradient(kind, options, prediction, target, complex_step=False)
    assert_allclose(gradient, rough, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", POINTWISE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_column_and_vector_meet_as_equals(kind: Any, dtype: Any) -> None:
    prediction, target, criterion = xp.array([0.2, 0.6, 0.9, 0.5], dtype), xp.array([0, 1, 1, 0]), kind()
    expected, gradient_expected = criterion(prediction, target.astype(dtype)), criterion.backward()
    for shape, target_dtype in product([(4, 1), (4,)], [bool, np.int8, np.int64, np.uint8, np.float32, np.float64]):
        loss = criterion(prediction.reshape(shape), target.astype(target_dtype))
        gradient = criterion.backward()
        assert loss.shape == () and loss.dtype == gradient.dtype == dtype and gradient.shape == shape
        assert host(loss) == host(expected)
        assert_equal(gradient.ravel(), gradient_expected)


SHAPES = [(), (1,), (3,), (4,), (1, 1), (3, 1), (1, 3), (3, 3), (3, 1, 1), (3, 4)]


@pytest.mark.parametrize("kind", POINTWISE)
def test_no_other_shapes_meet(kind: Any) -> None:
    for prediction, target in product(SHAPES, SHAPES):
        fits = prediction == target or prediction == (*target, 1) and len(target) == 1
        with nullcontext() if fits else pytest.raises(ml.ShapeError, match="same shape"):
            kind()(xp.full(prediction, 0.5), xp.ones(target))
            assert fits, (prediction, target)


@pytest.mark.parametrize("kind", POINTWISE)
def test_refuses_other_dtypes_and_empty_batches(kind: Any) -> None:
    good = np.full(2, 0.5)
    for prediction, target in [([[0.5], [0.5, 1]], good), (good, "10"), (np.ones(2, int), good), (good, np.array(["a", "b"])),
                               (good, good.astype(complex)), (good, np.array([None, 1]))]:
        with pytest.raises(ml.DtypeError):
            kind()(*map(put_array, (prediction, target)))
    with pytest.raises(ml.ShapeError, match="empty"):
        kind()(xp.zeros((0, 1)), xp.zeros(0))


@pytest.mark.parametrize("kind, prediction, target, words", [
    (ml.BCELoss, [[0.5], [1.5]], [1, 0], r"prediction\[1, 0\] is 1.5.*BCEWithLogitsLoss"),
    (ml.BCELoss, [0.5, -1e-9], [1, 0], r"prediction\[1\]"),
    (ml.BCELoss, [0.5, 0.5], [1, 2], r"target\[1\] is 2.0, outside"),
    (ml.BCELoss, [0.5, 0.5], [np.nan, 1], r"target\[0\] is nan"),
    (ml.BCEWithLogitsLoss, [5.0, 0.5], [-1, 1], r"target\[0\] is -1.0"),
    (ml.CrossEntropyLoss, [[0.5, 0.5]], [2], r"target\[0\] is 2, not one of the 2 classes 0..1"),
    (ml.CrossEntropyLoss, [[[0.5, 0.5], [1, 2]]], [[0, -1]], r"target\[0, 1\] is -1")])
def test_values_that_make_no_sense(kind: Any, prediction: Any, target: Any, words: str) -> None:
    """On the host, an error says what is wrong. A device does not check: the loss and that entry's gradient become NaN."""
    prediction, target, criterion = put(np.array(prediction)), put(np.array(target)), kind()
    if backend() == "numpy":
        with pytest.raises(ml.ArgumentError, match=words):
            criterion(prediction, target)
        with pytest.raises(ml.BackwardError):
            criterion.backward()
        return
    assert np.isnan(host(criterion(prediction, target)))
    gradient = host(criterion.backward())
    assert np.isnan(gradient).any() and np.isfinite(gradient).any() == (gradient.shape[:-1] != (1,))


@pytest.mark.parametrize("kind, options", ALL)
def test_nan_predictions_flow_through_to_the_guard(kind: Any, options: dict, rng: np.random.Generator) -> None:
    prediction, target = example(kind, rng, (3, 2), {})
    prediction[2, 1], target[2] = np.nan, 0
    criterion = kind(**options)
    assert np.isnan(host(criterion(prediction, target)))
    gradient = host(criterion.backward())
    assert np.isnan(gradient[2, 1]) and np.isfinite(gradient[:2]).all()


@pytest.mark.parametrize("make", [lambda: ml.BCELoss(reduction="none"), lambda: ml.MSELoss(reduction="average"),
                                  lambda: ml.CrossEntropyLoss(ignore_index=0.5)(xp.zeros((1, 2)), xp.zeros(1, int)),
                                  lambda: bce_forward(xp.full(1, .5), xp.ones(1), reduction="none"),
                                  lambda: cross_entropy_forward(xp.zeros((1, 2)), xp.zeros(1, int), reduction="no"),
                                  lambda: ml.BCEWithLogitsLoss(pos_weight=0)(xp.zeros(1), xp.zeros(1)),
                                  lambda: ml.BCEWithLogitsLoss(pos_weight=float("nan"))(xp.zeros(1), xp.zeros(1))])
def test_unknown_options(make: Any) -> None:
    with pytest.raises(ml.ArgumentError):
        make()


def test_each_backward_needs_one_call() -> None:
    criterion = ml.MSELoss(reduction="sum")
    with pytest.raises(ml.BackwardError, match="MSELoss"):
        criterion.backward()
    criterion(xp.array([3.0]), xp.array([1.0]))
    assert_equal(criterion.backward(), [4.0])
    with pytest.raises(ml.BackwardError, match="no loss"):
        criterion.backward()
    criterion(xp.array([1.0]), xp.array([5.0]))
    criterion(xp.array([3.0]), xp.array([1.0]))
    with pytest.raises(ml.BackwardError, match="not clear which loss"):
        criterion.backward()
    criterion(xp.array([3.0]), xp.array([1.0]))             # those before are forgotten
    assert_equal(criterion.backward(), [4.0])


def test_a_loss_that_was_looked_at_does_not_stand_beside_one_of_training() -> None:
    layer, criterion = put(ml.Linear(2, 1, dtype=np.float64, rng=0)), ml.MSELoss()
    x, v = xp.ones((3, 2)), xp.zeros((3, 2))
    criterion(layer(x), xp.zeros(3))
    expected = criterion.backward()
    criterion(layer(x), xp.zeros(3))
    criterion(layer.eval()(v), xp.ones(3))
    assert_equal(criterion.backward(), expected)
    layer.train()
    criterion(layer(x), xp.zeros(3))
    criterion(2 * layer(v), xp.ones(3))         # of no output, but after a forward in training mode
    with pytest.raises(ml.BackwardError, match="not clear which loss"):
        criterion.backward()


@pytest.mark.parametrize("kind, options", ALL)
def test_functions_are_pure(kind: Any, options: dict, rng: np.random.Generator) -> None:
    prediction, target = example(kind, rng, (3, 4), options)
    before = prediction.copy(), target.copy()
    _, cache = kind._forward(prediction, target, **options)
    kept = [part.copy() if is_array(part) else part for part in cache]
    first = kind._backward(cache)
    assert_equal(prediction, before[0])
    assert_equal(target, before[1])
    prediction[...], target[...] = 0.25, 0             # what the caller does later does not matter
    assert_equal(kind._backward(cache), first)
    for part, same in zip(cache, kept):
        assert_equal(part, same)


def test_repr() -> None:
    assert repr(ml.BCELoss()) == "BCELoss(reduction='mean')"
    assert repr(ml.CrossEntropyLoss(reduction="sum", ignore_index=0)) == "CrossEntropyLoss(reduction='sum', ignore_index=0)"
    assert repr(ml.BCEWithLogitsLoss(pos_weight=2)) == "BCEWithLogitsLoss(reduction='mean', pos_weight=2)"


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradcheck_passes_each_loss(reduction: str, rng: np.random.Generator) -> None:
    p, z, y = rng.uniform(0.05, 0.95, (7, 1)), rng.standard_normal((7, 1)) * 3, rng.integers(0, 2, 7)
    check(ml.BCELoss(reduction=reduction), (p, y))
    check(ml.BCEWithLogitsLoss(reduction=reduction), (z, y))
    check(ml.CrossEntropyLoss(reduction=reduction), (rng.standard_normal((5, 3)), rng.integers(0, 3, 5)))
    check(ml.CrossEntropyLoss(reduction=reduction), (rng.standard_normal((2, 3, 5)), rng.integers(0, 5, (2, 3))))
    check(ml.MSELoss(reduction=reduction), (z, rng.standard_normal(7)))


def test_gradcheck_passes_a_pair_of_functions(rng: np.random.Generator) -> None:
    check((ml.bce_forward, ml.bce_backward), (rng.uniform(0.1, 0.9, 5), np.array([0.0, 1.0, 0.5, 1.0, 0.2])[:5]))
