"""Dropout: the share that it drops, its scale, its gradient."""

from __future__ import annotations

import numpy as np
import pytest
from backends import assert_equal, put, xp
from cell_tests import check
from refusals import refuses

import minilstm as ml


def test_dropout_drops_a_share_of_p_and_scales_up_what_is_left() -> None:
    layer, x = put(ml.Dropout(0.2, rng=0)), xp.ones((100, 1000))
    y = layer(x)
    dropped = float((y == 0).mean())
    assert abs(dropped - 0.2) < 5 * (0.2 * 0.8 / x.size) ** 0.5
    assert float(abs(y[y != 0] - 1 / 0.8).max()) < 1e-12
    assert_equal(layer.backward(x), y)          # the same mask on the way back


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_gradients(p: float, rng: np.random.Generator) -> None:
    check(ml.Dropout(p, rng=2), rng.standard_normal((2, 3, 5)) * 2)
    check(ml.Dropout(p, rng=2), rng.standard_normal(7))


def test_input_that_does_not_fit() -> None:
    layer = ml.Dropout(0.5, rng=0)
    refuses(ml.DtypeError, lambda: layer(put(np.ones((2, 3), int))), "x", "int64", unchanged=layer)
    refuses(ml.DtypeError, lambda: layer([[1.0], [2.0, 3.0]]), "x", "list", unchanged=layer)
    refuses(ml.ShapeError, lambda: layer(xp.ones((0, 3), np.float32)), "is empty", unchanged=layer)
