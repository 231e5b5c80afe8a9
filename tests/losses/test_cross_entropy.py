"""Cross-entropy: extremes, ignored targets, input that does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, xp
from loss_cases import put_array

import minilstm as ml


def test_cross_entropy_extremes() -> None:
    z = xp.array([[1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -1000.0]])
    criterion = ml.CrossEntropyLoss(reduction="sum")
    assert_allclose(criterion(z, xp.array([1, 2])), 2000 + np.log(3), rtol=1e-15)
    assert_allclose(criterion.backward(), [[1, -1, 0], [1 / 3, 1 / 3, -2 / 3]], rtol=1e-15)


def test_ignored_rows_cost_nothing() -> None:
    z, kept = xp.array([[1.0, 2.0], [np.nan, 5.0], [0.5, 0.1]]), [0, 2]
    all_rows, some_rows = ml.CrossEntropyLoss(ignore_index=-1), ml.CrossEntropyLoss()
    assert all_rows(z, xp.array([0, -1, 1])) == some_rows(z[kept], xp.array([0, 1]))
    gradient = all_rows.backward()
    assert_equal(gradient[kept], some_rows.backward())
    assert (gradient[1] == 0).all()
    assert all_rows(z, xp.full(3, -1)) == 0 and (all_rows.backward() == 0).all()


@pytest.mark.parametrize("prediction, target", [((4, 3), (4, 1)), ((4, 3), (3,)), ((4, 3), (4, 3)), ((4,), ()), ((4, 3), (1,)),
                                                ((2, 3, 5), (2, 5)), ((2, 3, 5), (6,)), ((0, 3), (0,)), ((4, 0), (4,))])
def test_cross_entropy_refuses_other_shapes(prediction: tuple, target: tuple) -> None:
    with pytest.raises(ml.ShapeError):
        ml.CrossEntropyLoss()(xp.zeros(prediction), xp.zeros(target, int))


def test_cross_entropy_refuses_other_dtypes() -> None:
    for prediction, target in [(np.zeros((2, 3), int), np.zeros(2, int)), (np.zeros((2, 3)), np.zeros(2)),
                               (np.zeros((2, 3)), np.zeros(2, bool)), (np.zeros((2, 3)), [[0], [1, 2]])]:
        with pytest.raises(ml.DtypeError):
            ml.CrossEntropyLoss()(*map(put_array, (prediction, target)))
