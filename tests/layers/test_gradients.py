"""Of no single file: every gradient of the recurrent layers and of whole models: every argument and element, by both
numerical methods.

This is the suite a teacher can trust. hypothesis draws the shapes, dtypes, lengths, states and upstream gradients (one of
them missing, too); ``gradcheck`` compares; ``test_gradcheck.py`` proves that it would notice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import KINDS, Case, cases
from cell_tests import check
from hypothesis import given, settings
from hypothesis import strategies as st

import minilstm as ml


@settings(max_examples=40)
@given(case=cases(num_layers=st.integers(1, 2)))
def test_recurrent_layers(case: Case) -> None:
    options: dict[str, Any] = dict(case.options)
    inputs: Any = case.x()
    if case.states:
        inputs = (case.x(), case.pack(case.state()))
        options |= {"return_state": True, "upstream": [case.dy(), *case.dstate()]}
    elif case.upstream == "all":
        options["upstream"] = [case.dy()]
    check(case.layer(), inputs, **options)


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_steps_two_layers(kind: str, bidirectional: bool) -> None:
    case = Case(kind, 2, bidirectional, "pre", N=2, T=20, D=2, H=3)
    check(case.layer(), (case.x(), case.pack(case.state())), return_state=True, **case.options)


def test_dropout_between_layers(rng: np.random.Generator) -> None:
    check(ml.LSTM(1, 2, 2, bidirectional=True, dropout=0.4, rng=1), rng.standard_normal((3, 4, 1)), lengths=[1, 4, 2])


class Classifier(ml.Module):
    """The whole reference model and its loss as one layer: tokens -> loss."""

    def __init__(self, cell: str, padding: str) -> None:
        super().__init__()
        H, options = 3, {"return_sequences": False, "padding": padding, "rng": 1}
        self.model = ml.Sequential(
            ml.Embedding(11, 2, init="uniform", rng=0),
            {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}[cell](2, H, **options),         # type: ignore[operator]
            ml.Dropout(0.5, rng=2), ml.Linear(H, 1, rng=3), ml.Sigmoid())
        self.criterion = ml.BCELoss()
        self.target = np.array([1, 0, 1, 1])

    def forward(self, tokens: np.ndarray, lengths: Any = None) -> Any:
        return self.criterion(self.model(tokens, lengths=lengths), self.target)

    def backward(self, dloss: Any) -> None:
        return self.model.backward(dloss * self.criterion.backward())


@pytest.mark.parametrize("padding", ["post", "pre"])
@pytest.mark.parametrize("lengths", [None, [5, 1, 3, 7]])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_whole_model(cell: str, lengths: Any, padding: str, rng: np.random.Generator) -> None:
    check(Classifier(cell, padding), rng.integers(0, 11, (4, 7)), lengths=lengths)
