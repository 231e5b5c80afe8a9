"""On a kink any slope between the one-sided ones is right, and no other; beside it there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml

AT_KINKS = np.array([0.0, 1.0, -2.0])
FORWARDS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "hard sigmoid": lambda x: np.clip(x / 4 + 0.5, 0, 1),       # its kink is the -2
    "two in an entry": lambda x: np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)])}
SLOPES = {
    "relu": lambda dy, x: dy * (x > 0),
    "leaky": lambda dy, x: dy * np.where(x >= 0, 1, 0.1),
    "hard sigmoid": lambda dy, x: dy * (abs(x) < 2) / 4,
    "two in an entry": lambda dy, x: dy[:3] * (x > 0) - dy[3:] * (x < 0)}


def pair(kink: str, planted: Any = lambda x: 1.0) -> Any:
    return lambda x: (FORWARDS[kink](x), x), lambda dy, x: SLOPES[kink](dy, x) * planted(x)


@pytest.mark.parametrize("method", ["both", "finite", "complex"])
@pytest.mark.parametrize("kink", FORWARDS)
def test_a_slope_on_a_kink_is_right_between_the_one_sided_ones_alone(kink: str, method: str) -> None:
    method = "finite" if kink == "hard sigmoid" else method        # clip drops complex numbers
    for u in (1.0, -1.0), (-1.0, -2.0), (2.0, -1.0):
        upstream = [np.repeat(u, 3)] if kink == "two in an entry" else [np.full(3, u[0])]
        assert ml.gradcheck(pair(kink), AT_KINKS, method=method, upstream=upstream).right
    with pytest.raises(ml.GradientError, match="worst entry: x.1.: analytic"):     # beside the kink
        ml.gradcheck(pair(kink, lambda x: np.where(x == 1, 2.0, 1.0)), AT_KINKS, method=method)


@pytest.mark.parametrize("method", ["both", "finite", "complex"])
def test_a_slope_beyond_the_one_sided_ones_is_wrong(method: str) -> None:
    with pytest.raises(ml.GradientError, match=r"x\[0\]: analytic"):
        wrong = lambda dy, x: dy * np.where(x == 0, 2, x > 0)       # noqa: E731
        ml.gradcheck((pair("relu")[0], wrong), AT_KINKS, method=method)


def test_where_every_entry_is_on_a_kink_the_gradients_beside_them_count() -> None:
    with pytest.raises(ml.GradientError, match=r"x\[.\], 0.01 beside a kink: analytic") as caught:
        ml.gradcheck(pair("relu", lambda x: 2.0), np.zeros(3))
    assert "zero everywhere" not in str(caught.value)


class Doubled(ml.RNN):
    def backward(self, dy: Any, dstate: Any = None) -> Any:
        found = super().backward(dy, dstate)
        self.grads["W"][:] *= 2
        return found


def test_kinks_one_behind_another() -> None:
    x = np.concatenate([np.zeros((2, 2, 3)), np.ones((2, 2, 3))], 1)
    ml.gradcheck(ml.RNN(3, 4, 2, rng=0, nonlinearity="relu"), x)
    layers = [ml.Linear(3, 5, rng=0), ml.ReLU(), ml.Linear(5, 4, rng=1), ml.ReLU(), ml.Linear(4, 1, rng=2)]
    ml.gradcheck(ml.Sequential(*layers), np.zeros((2, 3)))
    with pytest.raises(ml.GradientError, match="of W is wrong"):
        ml.gradcheck(Doubled(3, 4, rng=0, nonlinearity="relu"), 0 * x)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_parameter_without_axes(factor: float) -> None:
    def forward(x: Any, s: Any) -> Any:
        return np.where(x > 0, x, s * x), (x, s)

    def backward(dy: Any, cache: Any) -> Any:
        x, s = cache
        return dy * np.where(x > 0, 1, s), factor * (dy * x * (x <= 0)).sum()
    report = ml.gradcheck((forward, backward), (AT_KINKS, np.array(0.1)), raise_exception=False)
    assert report.wrong == ("s",) * (factor == 2)
