"""Weights and random states, taken out and put back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_equal, put
from models import TOKENS, small_model

import minilstm as ml


def test_saving_round_trip_and_copies() -> None:
    model, other = small_model(), small_model(init="uniform")
    state = model.state_dict()
    other.load_state_dict(state)
    assert_equal(model.eval()(put(TOKENS)), other.eval()(put(TOKENS)))
    state["0.W"][...] = 9
    assert not (model[0].params["W"] == 9).any() and not (other[0].params["W"] == 9).any()


@pytest.mark.parametrize(("change", "words"), [
    (lambda s: s.pop("1.b"), "missing 1.b"), (lambda s: s.update(extra=s["1.b"]), "unexpected extra"),
    (lambda s: s.update({"1.W": s["1.W"].T}), r"1.W: expected shape \(7, 16\), got \(16, 7\)"),
    (lambda s: s.update({"1.W": s["1.W"].astype(int)}), "1.W: expected dtype float32, got int64"),
    (lambda s: s["3.W"].fill(np.nan), "3.W: holds NaN"), (lambda s: s["3.b"].fill(np.inf), "3.b: holds NaN or infinite"),
    (lambda s: s.update({"3.b": "abc"}), "3.b: expected dtype float32, got <U3")])
def test_a_state_that_does_not_fit_changes_nothing(change: Any, words: str) -> None:
    model = small_model()
    before, state = model.state_dict(), model.state_dict()
    state["0.W"] += 1
    change(state)
    with pytest.raises(ml.CheckpointError, match=words):
        model.load_state_dict(state)
    assert all((before[k] == v).all() for k, v in model.state_dict().items())


def test_random_states_round_trip() -> None:
    model = small_model()
    state = model.rng_state()
    first = model(put(TOKENS))
    model.load_rng_state(state)
    assert_equal(model(put(TOKENS)), first)
    with pytest.raises(ml.CheckpointError, match="random states"):
        model.load_rng_state({})


def test_a_weight_too_large_for_float32_is_refused() -> None:
    model = put(ml.Linear(1, 1))
    with pytest.raises(ml.CheckpointError, match="W: holds NaN or infinite"):
        model.load_state_dict({"W": np.full((1, 1), 1e300), "b": np.zeros(1)})
