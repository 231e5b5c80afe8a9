"""Every gradient of every layer, loss and of the whole model: every argument, every element, both numerical methods.

This is the suite a teacher can trust. hypothesis draws the shapes, dtypes, lengths, states and upstream gradients (one of
them missing, too); ``gradcheck`` compares; ``test_gradcheck.py`` proves that it would notice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import put
from cases import KINDS, Case, cases
from cell_tests import check
from hypothesis import given, settings
from hypothesis import strategies as st

import minilstm as ml


@settings(max_examples=100)
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


@settings(max_examples=20)
@given(leading=st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=3), bias=st.booleans(), seed=st.integers(0, 999))
def test_linear(leading: list[int], bias: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(ml.Linear(5, 2, bias=bias, init="uniform", rng=rng), rng.standard_normal((*leading, 5)))
    W, b = rng.standard_normal((5, 2)), rng.standard_normal(2)
    check((ml.linear_forward, ml.linear_backward), (rng.standard_normal((*leading, 5)), W, b))


@settings(max_examples=20)
@given(shape=st.lists(st.sampled_from([1, 2, 5]), min_size=1, max_size=3), padding_idx=st.sampled_from([None, 0, 6]),
       seed=st.integers(0, 999))
def test_embedding(shape: list[int], padding_idx: int | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 7, shape)
    if padding_idx is None:
        check(ml.Embedding(7, 3, rng=rng), tokens)
    else:       # the padding row is held at 0: its numerical gradient is not 0, its analytic one must be
        tokens = np.where(tokens == padding_idx, (padding_idx + 1) % 7, tokens)
        check(ml.Embedding(7, 3, padding_idx=padding_idx, rng=rng), tokens)


@pytest.mark.parametrize("layer", [ml.Sigmoid(), ml.Tanh(), ml.ReLU(), ml.Dropout(0.5, rng=2), ml.Dropout(0.0)], ids=repr)
def test_elementwise_layers(layer: ml.Module, rng: np.random.Generator) -> None:
    check(layer, rng.standard_normal((2, 3, 5)) * 2)
    check(layer, rng.standard_normal(7))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses(reduction: str, rng: np.random.Generator) -> None:
    p, z, y = rng.uniform(0.05, 0.95, (7, 1)), rng.standard_normal((7, 1)) * 3, rng.integers(0, 2, 7)
    check(ml.BCELoss(reduction=reduction), (p, y))
    check(ml.BCEWithLogitsLoss(reduction=reduction), (z, y))
    check(ml.CrossEntropyLoss(reduction=reduction), (rng.standard_normal((5, 3)), rng.integers(0, 3, 5)))
    check(ml.CrossEntropyLoss(reduction=reduction), (rng.standard_normal((2, 3, 5)), rng.integers(0, 5, (2, 3))))
    check(ml.MSELoss(reduction=reduction), (z, rng.standard_normal(7)))


def test_loss_functions(rng: np.random.Generator) -> None:
    check((ml.bce_forward, ml.bce_backward), (rng.uniform(0.1, 0.9, 5), np.array([0.0, 1.0, 0.5, 1.0, 0.2])[:5]))


class Classifier(ml.Module):
    """The whole main job as one layer: tokens -> loss."""

    def __init__(self, cell: str, padding: str) -> None:
        super().__init__()
        H, options = 3, {"return_sequences": False, "padding": padding, "rng": 1}
        self.model = ml.Sequential(
            ml.Embedding(11, 2, init="uniform", rng=0),
            {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}[cell](2, H, **options),         # type: ignore[operator]
            ml.Dropout(0.5, rng=2), ml.Linear(H, 1, rng=3), ml.Sigmoid())
        self.criterion = ml.BCELoss()
        self.target = put(np.array([1, 0, 1, 1]))

    def forward(self, tokens: np.ndarray, lengths: Any = None) -> Any:
        return self.criterion(self.model(tokens, lengths=lengths), self.target)

    def backward(self, dloss: Any) -> None:
        return self.model.backward(dloss * self.criterion.backward())


@pytest.mark.parametrize("padding", ["post", "pre"])
@pytest.mark.parametrize("lengths", [None, [5, 1, 3, 7]])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_whole_model(cell: str, lengths: Any, padding: str, rng: np.random.Generator) -> None:
    check(Classifier(cell, padding), rng.integers(0, 11, (4, 7)), lengths=lengths)
