"""The libraries that bench_lstm compares: each call starts anew, and a disagreement is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["y", "dW", "db", "dx"])
@pytest.mark.parametrize("wrong", [2.0, math.nan, 0.5])
def test_disagreement_is_seen_in_every_result(name: str, wrong: float, program: Callable[[str], Any],
                                              rng: np.random.Generator) -> None:
    """By twice and by half the bound."""
    libraries = program("lstm_libraries")
    ours = {key: rng.uniform(-1, 1, (5, 7)) for key in libraries.BOUNDS}
    theirs = {key: value.copy() for key, value in ours.items()}
    theirs[name][2, 3] += wrong * libraries.BOUNDS[name] * np.abs(ours[name]).max()
    runs = {key: libraries.Runs(lambda: None, lambda: None, lambda results=results: results)
            for key, results in (("minilstm", ours), ("A", ours), ("B", theirs))}
    if wrong == 0.5:
        assert libraries.check_agreement(runs).startswith("agree: A y 0e+00 dW 0e+00, B y ")
    else:
        with pytest.raises(ArithmeticError, match=f"minilstm and B disagree: {name} by "):
            libraries.check_agreement(runs)


def test_each_call_starts_anew(program: Callable[[str], Any]) -> None:
    """No gradient is added to that of the call before."""
    pytest.importorskip("torch", reason="the oracles extra is not installed")
    libraries = program("lstm_libraries")
    for make in libraries.find_libraries()[0].values():
        runs = make(libraries.make_problem(2, 3, 5, 7))
        first = {name: value.copy() for name, value in runs.results().items()}
        for name, value in runs.results().items():
            np.testing.assert_allclose(value, first[name], rtol=0, atol=1e-6, err_msg=name)


def test_gradients_stay_away_from_subnormal_numbers(program: Callable[[str], Any]) -> None:
    """The problem's promise, at a length where the gradient of the last state alone would be gone."""
    libraries = program("lstm_libraries")
    dx = libraries.minilstm_runs(libraries.make_problem(3, 400, 5, 7)).results()["dx"]
    assert np.abs(dx).max(axis=2).min() > 1e-4
