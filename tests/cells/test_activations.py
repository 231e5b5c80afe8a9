"""Activations at the edges, where a formula that is right on paper loses its digits."""

from __future__ import annotations

import numpy as np
import pytest
from backends import assert_allclose, host, put, xp

import minilstm as ml


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_keeps_its_relative_accuracy(dtype: type) -> None:
    z = np.array([-80, -37, -20, -5, -0.1, 0, 0.1, 5, 20, 80], dtype=dtype)
    y = ml.sigmoid(put(z))
    assert y.dtype == dtype
    assert_allclose(y, 1 / (1 + np.exp(-z.astype(np.longdouble))), rtol=4 * np.finfo(dtype).eps)


def test_sigmoid_never_overflows() -> None:
    assert ml.sigmoid(xp.array([-1e4, 1e4, -np.inf, np.inf], np.float32)).tolist() == [0, 1, 0, 1]


def test_a_confident_mistake_still_has_a_gradient() -> None:
    layer, criterion = ml.Sigmoid(), ml.BCELoss()
    for z in (-16.0, -20.0, -25.0):
        loss = criterion(layer(xp.array([z], np.float32)), xp.ones(1))
        assert float(loss) == pytest.approx(-z, rel=1e-5)
        assert float(layer.backward(criterion.backward())[0]) == pytest.approx(-1, rel=0.1 if z < -24 else 1e-3)


def test_nan_goes_through() -> None:
    z = np.array([np.nan, 1.0], np.float32)
    for layer in (ml.ReLU(), ml.Sigmoid(), ml.Tanh()):
        assert np.isnan(host(layer(put(z)))).tolist() == [True, False]
    W, b = xp.ones((3, 2), np.float32), xp.zeros(2, np.float32)
    assert np.isnan(host(ml.rnn_forward(xp.full((1, 2, 1), np.nan, np.float32), None, W, b, nonlinearity="relu")[0])).all()
