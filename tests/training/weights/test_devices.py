"""Of no single file: weights are loaded onto models wherever those are, and saved from there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from backends import assert_equal, backend, host, put, xp
from weight_files import classifier, loaded

import minilstm as ml


@pytest.mark.parametrize("layout", ["torch", "keras"])
def test_onto_a_model_and_back(layout: str, tmp_path: Path) -> None:
    model, other = put(classifier(num_layers=2, bidirectional=True)), put(
        classifier(num_layers=2, bidirectional=True).reset_parameters(5)
    )
    ml.save_weights(model, tmp_path / "w.npz", layout)
    loaded(tmp_path / "w.npz", other)
    tokens = xp.arange(14).reshape(2, 7) % 11
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert_equal(two, one)
        assert type(one) is type(two)
    host(other.eval()(tokens))
    assert backend() == "numpy" or not isinstance(other.parameters()[0], np.ndarray)
