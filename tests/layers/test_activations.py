"""Sigmoid, Tanh and ReLU as layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import put, xp
from cell_tests import check
from refusals import refuses

import minilstm as ml

N, T, D, H = 3, 7, 5, 2

X = np.ones((N, T, D))


@pytest.mark.parametrize("layer", [ml.Sigmoid(), ml.Tanh(), ml.ReLU()], ids=repr)
def test_gradients(layer: ml.Module, rng: np.random.Generator) -> None:
    check(layer, rng.standard_normal((2, 3, 5)) * 2)
    check(layer, rng.standard_normal(7))


@pytest.mark.parametrize("layer", [ml.Sigmoid(), ml.Tanh(), ml.ReLU()], ids=lambda m: type(m).__name__)
def test_input_that_does_not_fit(layer: Any) -> None:
    refuses(ml.DtypeError, lambda: layer(put(X.astype(int))), "x", "int64", unchanged=layer)
    refuses(ml.DtypeError, lambda: layer([[1.0], [2.0, 3.0]]), "x", "list", unchanged=layer)


@pytest.mark.parametrize("layer", [ml.Sigmoid(), ml.Tanh(), ml.ReLU()], ids=repr)
def test_empty_batches_are_refused(layer: ml.Module) -> None:
    with pytest.raises(ml.ShapeError, match="is empty"):
        layer(xp.ones((0, 3), np.float32))
