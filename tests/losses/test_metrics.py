"""The metrics: exactly scikit-learn's numbers, over every kind of prediction they take, and input that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_equal, backend, host, put, xp
from hypothesis import given
from hypothesis import strategies as st

import minilstm as ml


@st.composite
def labelled(draw: Any) -> tuple[Any, Any, int, Any]:
    """Return (prediction, target, number of classes, predicted classes) in one of the shapes the metrics take."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, t = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    form = draw(st.sampled_from(["column", "vector", "grid", "bool", "scores", "sequence", "numbers"]))
    if form in ("scores", "sequence", "numbers"):
        classes = draw(st.integers(2, 5))
        shape = (n, t) if form == "sequence" else (n,)
        scores, target = rng.normal(size=(*shape, classes)), rng.integers(0, classes, shape)
        predicted = scores.argmax(-1)
        return predicted if form == "numbers" else scores, target, classes, predicted
    shape = (n, t) if form == "grid" else (n,)
    p, target = rng.choice([0.0, 0.2, 0.5, 0.8, 1.0], shape), rng.integers(0, 2, shape)
    target = target.astype(draw(st.sampled_from([bool, np.int64, np.float32, np.uint8])))
    prediction = p.reshape(-1, 1) if form == "column" else p >= 0.5 if form == "bool" else p
    return prediction, target, 2, (p >= 0.5).astype(int)


@given(labelled())
def test_agrees_with_scikit_learn(case: tuple) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="the oracles extra is not installed")
    prediction, target, classes, predicted = case
    true, labels = target.ravel().astype(int), list(range(classes))
    predicted, binary = predicted.ravel(), prediction.dtype.kind in "fb" and classes == 2 and \
        prediction.shape in (target.shape, (*target.shape, 1))
    prediction, target = put(prediction), put(target)
    right = ml.accuracy(prediction, target)
    assert type(right) is type(target) and right.shape == () and float(right) == reference.accuracy_score(true, predicted)
    matrix = ml.confusion_matrix(prediction, target, num_classes=classes)
    assert_equal(matrix, reference.confusion_matrix(true, predicted, labels=labels))
    assert matrix.dtype == np.int64
    scores = ml.precision_recall_f1(prediction, target, num_classes=classes)
    expected = reference.precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)[:3]
    for ours, theirs in zip(scores, expected):
        assert ours.shape == (() if binary else (classes,)) and type(ours) is type(target)
        assert_equal(ours, theirs[1] if binary else theirs)


def test_threshold() -> None:
    logits, target = xp.array([-0.1, 0.0, 0.4, 2.0]), xp.array([0, 1, 1, 1])
    assert ml.accuracy(logits, target) == 0.5 and ml.accuracy(logits, target, threshold=0.0) == 1
    assert_equal(ml.confusion_matrix(logits, target, threshold=0.0), [[1, 0], [0, 3]])
    assert host(ml.precision_recall_f1(logits, target)) == [1, 1 / 3, 0.5]


def test_number_of_classes() -> None:
    predicted, true = xp.array([0, 2, 1, 0]), xp.array([0, 1, 1, 0])
    assert_equal(ml.confusion_matrix(predicted, true), [[2, 0, 0], [0, 1, 1], [0, 0, 0]])
    assert ml.confusion_matrix(predicted, true, 5).shape == (5, 5)
    assert_equal(ml.precision_recall_f1(predicted, true).precision, [1, 1, 0])
    assert_equal(ml.precision_recall_f1(predicted, true).recall, [1, 0.5, 0])
    assert ml.confusion_matrix(xp.zeros((1, 4)), xp.array([2])).shape == (4, 4)
    for classes in (2, 0, 2.5):
        with pytest.raises(ml.ArgumentError):
            ml.confusion_matrix(predicted, true, num_classes=classes)
    with pytest.raises(ml.ArgumentError, match="negative"):
        ml.confusion_matrix(-predicted, true)


@pytest.mark.parametrize("prediction, target", [((4, 1), (4, 1, 1)), ((4,), (4, 1)), ((4,), (3,)), ((4, 3), (3,)),
                                                ((4, 3), (4, 1)), ((1,), ()), ((4, 1), (1,)), ((2, 3, 1), (2, 3)),
                                                ((0,), (0,)), ((0, 3), (0,))])
def test_no_other_shapes_meet(prediction: tuple, target: tuple) -> None:
    for metric in (ml.accuracy, ml.confusion_matrix, ml.precision_recall_f1):
        with pytest.raises(ml.ShapeError):
            metric(xp.zeros(prediction), xp.zeros(target, int))


@pytest.mark.parametrize("bad", [[0, 2], [-1, 0], [0.5, 1], [np.nan, 1], [np.inf, 0]])
def test_targets_that_are_no_class(bad: list) -> None:
    """The host refuses them; a device does not look, which would make it wait."""
    for prediction in (xp.zeros(2), xp.zeros((2, 2))):
        if backend() == "numpy":
            with pytest.raises(ml.ArgumentError, match="expected class numbers 0..1, got"):
                ml.accuracy(prediction, put(np.array(bad)))
        else:
            assert float(ml.accuracy(prediction, put(np.array(bad)))) in (0.0, 0.5)


def test_other_dtypes_are_refused() -> None:
    for prediction, target in [("1.0", np.ones(1)), (np.ones(1), [[1], [2, 3]]), (np.ones(1, complex), np.ones(1)),
                               (np.ones(1), np.array(["positive"]))]:
        with pytest.raises(ml.DtypeError):
            ml.accuracy(*(put(x) if isinstance(x, np.ndarray) else x for x in (prediction, target)))


def test_accuracy_leaves_ignored_targets_out() -> None:
    prediction = put(np.eye(3)[[[0, 1, 2, 2]]])
    assert ml.accuracy(prediction, xp.array([[0, 0, -1, -1]]), ignore_index=-1) == 0.5
    assert ml.accuracy(prediction, xp.full((1, 4), -1), ignore_index=-1) == 0.0
    assert ml.accuracy(prediction, xp.array([[0, 1, 0, 0]]), ignore_index=0) == 1        # one that is predicted, too
    if backend() == "numpy":
        with pytest.raises(ml.ArgumentError, match="got -2"):
            ml.accuracy(prediction, np.array([[0, 0, -1, -2]]), ignore_index=-1)
