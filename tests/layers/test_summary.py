"""What a model prints."""

from __future__ import annotations

import pytest
from models import small_model

import minilstm as ml


def test_print_and_summary() -> None:
    model = small_model()
    assert repr(model) == ("Sequential(\n  (0): Embedding(7, 3)\n  (1): LSTM(3, 4, return_sequences=False)\n"
                           "  (2): Dropout(p=0.5)\n  (3): Linear(4, 1)\n  (4): Sigmoid()\n)")
    text = model.summary((2, 3))
    assert "(1) LSTM" in text and "(2, 4)" in text and "154 parameters" in text and "float32" in text
    assert repr(text) == str(text) and "output shape" not in model.summary()
    assert not any(m._caches for _, m in model.modules()) and model.training
    assert "shared" in ml.Sequential(*[ml.Linear(2, 2)] * 2).summary()
    with pytest.raises(ml.ArgumentError, match="input_shape"):
        model.summary(3)                    # type: ignore[arg-type]
    with pytest.raises(ml.ShapeError):
        ml.Sequential(ml.Linear(2, 2)).summary((3, 5))


def test_a_summary_shows_layers_directions_and_dropout() -> None:
    model = ml.Sequential(ml.Embedding(7, 3), ml.GRU(3, 4, num_layers=2, bidirectional=True, dropout=0.25))
    line = model.summary((2, 5)).splitlines()[3]
    assert "(1) GRU(3, 4, num_layers=2, bidirectional=True, dropout=0.25)" in line and "(2, 5, 8)" in line
