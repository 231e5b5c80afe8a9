"""Gradients as students give them: in another order, with other axes, left out for data, in an update."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest

import minilstm as ml

FORMS = {
    "another order": (lambda dx, dW, db: (dW, db, dx), "told apart by their shapes"),
    "an axis of length 1": (lambda dx, dW, db: (dx, dW, db[None]), r"of b has shape \(1, 4\), b \(4,\)"),
    "a column": (lambda dx, dW, db: (dx, dW, db[:, None]), r"\(4, 1\), b \(4,\), and an update would broadcast to \(4, 4\)"),
    "None": (lambda dx, dW, db: (None, dW, db), "no gradient of x was returned"),
    "no dx": (lambda dx, dW, db: (dW, db), "no gradient of x was returned"),
    "no dx by name": (lambda dx, dW, db: {"dW": dW, "db": db}, "no gradient of x was returned")}
REFUSED = {
    "no dW": (lambda dx, dW, db: {"dx": dx, "db": db}, "no key names the gradient of W"),
    "no db": (lambda dx, dW, db: (dx, dW), "returned 2 gradients for 3 inputs"),
    "nothing": (lambda dx, dW, db: {"foo": dx}, "returned 0 gradients")}


def forward(x: Any, W: Any, b: Any) -> Any:
    y = np.tanh(x @ W + b)
    return y, (x, y, W)


def backward(form: Any, factor: float = 1.0) -> Any:
    def back(dy: Any, cache: Any) -> Any:
        x, y, W = cache
        dz = dy * (1 - y * y)
        return form(dz @ W.T, factor * x.T @ dz, dz.sum(0))
    return back


@pytest.fixture
def inputs(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((2, 3)), rng.standard_normal((3, 4)), np.zeros(4)


@pytest.mark.parametrize(("form", "note"), FORMS.values(), ids=FORMS)
def test_right_gradients_in_another_form(form: Any, note: str, inputs: tuple[Any, ...]) -> None:
    with pytest.raises(ml.GradientError, match="the gradient of W is wrong"):
        ml.gradcheck((forward, backward(form, 2.0)), inputs)
    report = ml.gradcheck((forward, backward(form)), inputs)
    assert re.search(note, report.note) and "W" in report.sizes


@pytest.mark.parametrize(("form", "words"), REFUSED.values(), ids=REFUSED)
def test_a_form_that_is_none(form: Any, words: str, inputs: tuple[Any, ...]) -> None:
    with pytest.raises(ml.GradientError, match=words):
        ml.gradcheck((forward, backward(form)), inputs)


def test_a_gradient_of_data_that_is_computed_is_forgotten(inputs: tuple[Any, ...]) -> None:
    def forgets(dy: Any, cache: Any) -> Any:
        dx = dy @ cache[2].T        # noqa: F841
        return {"dW": cache[0].T @ dy, "db": dy.sum(0)}
    report = ml.gradcheck((lambda x, W, b: (x @ W + b, (x, b, W)), forgets), inputs)
    assert "no gradient of x was returned, though backward has dx: taken for data, not checked" in report.note


def test_an_order_that_shapes_do_not_tell_is_asked_for(rng: np.random.Generator) -> None:
    def back(dy: Any, cache: Any) -> Any:
        x, U, V = cache
        return x.T @ (dy @ V.T), (x @ U).T @ dy, dy @ V.T @ U.T
    given = tuple(map(rng.standard_normal, ((2, 3), (3, 3), (3, 3))))
    with pytest.raises(ml.GradientError, match="in another order than x, U, V; some shapes are alike"):
        ml.gradcheck((lambda x, U, V: (x @ U @ V, (x, U, V)), back), given)


@pytest.mark.parametrize("form", ["positions", "names", "d + names", "data last"])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_two_dicts_of_the_same_keys(form: str, factor: float, rng: np.random.Generator) -> None:
    def two(x: Any, p: Any, q: Any) -> Any:
        h = x @ p["W"]
        return h @ q["W"], (x, h, p, q)

    def back(dy: Any, cache: Any) -> Any:
        x, h, p, q = cache
        dh = dy @ q["W"].T
        dx, dp, dq = dh @ p["W"].T, {"dW": x.T @ dh}, {"dW": factor * h.T @ dy}
        return {"positions": (dx, dp, dq), "names": {"x": dx, "p": dp, "q": dq},
                "d + names": {"dx": dx, "dp": dp, "dq": dq}, "data last": (dp, dq, dx)}[form]
    x, W1, W2 = map(rng.standard_normal, ((2, 3), (3, 4), (4, 5)))
    given = x, {"W": W1}, {"W": W2}
    report = ml.gradcheck((two, back), given, raise_exception=False)
    assert list(report.sizes) == ["x", "p.W", "q.W"] and report.wrong == ("q.W",) * (factor == 2)


class Weights(NamedTuple):
    W: Any
    b: Any


@pytest.mark.parametrize("form", ["a named tuple", "a list of dicts"])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_gradients_in_the_form_of_the_inputs(form: str, factor: float, rng: np.random.Generator) -> None:
    def parts(net: Any) -> Any:
        return net if form == "a named tuple" else (net[0]["W"], net[0]["b"])

    def back(dy: Any, cache: Any) -> Any:
        x, net = cache
        dW, db = x.T @ dy, factor * dy.sum(axis=0)
        return dy @ parts(net)[0].T, Weights(dW, db) if form == "a named tuple" else [{"b": db, "W": dW}]
    W, b = rng.standard_normal((3, 4)), rng.standard_normal(4)
    net: Any = Weights(W, b) if form == "a named tuple" else [{"W": W, "b": b}]
    report = ml.gradcheck((lambda x, net: (x @ parts(net)[0] + parts(net)[1], (x, net)), back),
                          (rng.standard_normal((2, 3)), net), raise_exception=False)
    assert len(report.sizes) == 3 and len(report.wrong) == (factor == 2)


def test_numbers_are_arrays_where_nothing_else_is() -> None:
    def back(dy: Any, cache: Any) -> Any:
        x, w = cache
        return dy * w, dy * x
    assert ml.gradcheck((lambda x, w: (x * w, (x, w)), back), (0.3, -1.2)).right


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_gradients_of_a_list_of_steps_in_one_array(named: bool, factor: float,
                                                       rng: np.random.Generator) -> None:
    def back(dY: Any, cache: Any) -> Any:
        X, W = cache
        gradients = factor * np.stack([dy @ W.T for dy in dY]), sum(x.T @ dy for x, dy in zip(X, dY))
        return dict(zip(("dX", "dW"), gradients)) if named else gradients
    given = list(rng.standard_normal((3, 2, 4))), rng.standard_normal((4, 5))
    report = ml.gradcheck((lambda X, W: ([x @ W for x in X], (X, W)), back), given, raise_exception=False)
    assert report.wrong == ("X[0]", "X[1]", "X[2]") * (factor == 2)


@pytest.mark.parametrize("listed", [True, False])
def test_a_list_of_steps_is_diagnosed(listed: bool, rng: np.random.Generator) -> None:
    def many(xs: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        hs = [np.zeros((2, 5))]
        for x in xs:
            hs.append(np.tanh(x @ Wx + hs[-1] @ Wh + b))
        return hs[1:], (xs, hs, Wx, Wh)

    def back(dhs: Any, cache: Any) -> Any:
        xs, hs, Wx, Wh = cache
        dxs, dWx, dWh, db, carry = [], 0 * Wx, 0 * Wh, np.zeros(5), 0.0
        for t in reversed(range(len(xs))):
            dz = (dhs[t] + carry) * (1 - hs[t + 1])
            dxs, carry = [dz @ Wx.T, *dxs], dz @ Wh.T
            dWx, dWh, db = dWx + xs[t].T @ dz, dWh + hs[t].T @ dz, db + dz.sum(0)
        return {"dxs": dxs, "dWx": dWx, "dWh": dWh, "db": db}
    x, *weights = map(rng.standard_normal, ((4, 2, 3), (3, 5), (5, 5), (5,)))
    found = ml.diagnose((many, back), (list(x) if listed else x, *weights), seconds=8.0)
    assert found.cell == "RNN" and [slip.mistake for slip in found.slips] == ["tanh_derivative"]


class Listed:
    """Keeps and returns lists of steps; its backward forgets the carry, or has it."""

    def __init__(self, factor: float = 1.0) -> None:
        normal = np.random.default_rng(0).standard_normal
        self.factor, self.params = factor, {"Wx": normal((3, 5)), "Wh": 0.5 * normal((5, 5))}
        self.grads: Any = {}

    def forward(self, xs: Any) -> Any:
        self.xs, self.hs = xs, [np.zeros((2, 5))]
        for x in xs:
            self.hs.append(np.tanh(x @ self.params["Wx"] + self.hs[-1] @ self.params["Wh"]))
        return self.hs[1:]

    def backward(self, dhs: Any) -> Any:
        dxs, carry, dWx, dWh = [], 0.0, 0.0, 0.0
        for t in reversed(range(len(dhs))):
            dz = (dhs[t] + self.factor * carry) * (1 - self.hs[t + 1] ** 2)
            dWx, dWh = dWx + self.xs[t].T @ dz, dWh + self.hs[t].T @ dz
            dxs, carry = [dz @ self.params["Wx"].T, *dxs], dz @ self.params["Wh"].T
        self.grads.update(Wx=dWx, Wh=dWh)
        return dxs


class ListedModule(Listed, ml.Module):
    def __init__(self, factor: float = 1.0) -> None:
        ml.Module.__init__(self)
        given = Listed(factor)
        self.factor, self.xs, self.hs = factor, [], []
        for name, value in given.params.items():
            self.add_param(name, value)

    def backward(self, dhs: Any) -> Any:
        before = dict(self.grads)
        dxs = Listed.backward(self, dhs)
        self.grads.update({name: before[name] + self.grads[name] for name in before})
        return dxs


@pytest.mark.parametrize("make", [Listed, ListedModule])
@pytest.mark.parametrize("form", ["a tuple", "the list", "an array"])
def test_an_object_that_takes_and_returns_a_list_of_steps(make: Any, form: str, rng: np.random.Generator) -> None:
    xs = list(rng.standard_normal((4, 2, 3)))
    given: Any = {"a tuple": (xs,), "the list": xs, "an array": np.stack(xs)}[form]
    for factor in (1.0, 0.0):
        report = ml.gradcheck(make(factor), given, raise_exception=False)
        wrong = ("xs",) if form == "an array" else ("xs[0]", "xs[1]", "xs[2]")
        assert report.wrong == (*wrong, "Wx", "Wh") * (factor == 0) and len(report.sizes) == (3 if wrong == ("xs",) else 6)
    assert report.diagnosis and report.diagnosis.cell == "RNN" and report.diagnosis.slips[0].mistake == "dh_not_added"


class Updates:
    """Its backward moves W itself."""

    def __init__(self, factor: float = 1.0, **rate: float) -> None:
        self.W, self.factor = np.random.default_rng(0).standard_normal((3, 5)), factor
        vars(self).update(rate)

    def forward(self, x: Any) -> Any:
        self.x, self.h = x, np.tanh(x @ self.W)
        return self.h

    def backward(self, dh: Any) -> Any:
        return self.move(dh, getattr(self, "eta", 0.3))

    def move(self, dh: Any, lr: float) -> Any:
        dz = dh * (1 - self.h ** 2)
        dx = dz @ self.W.T
        self.W -= lr * self.factor * (self.x.T @ dz)
        return dx


class ByVariable(Updates):
    def backward(self, dh: Any) -> Any:
        learning_rate = 0.2
        self.dx = self.move(dh, learning_rate)
        return self.dx


class ByArgument(Updates):
    def backward(self, dh: Any, lr: float = 0.01) -> Any:
        return self.move(dh, lr)


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("make", [ByArgument, ByVariable, lambda factor: Updates(factor, eta=0.5)])
def test_gradients_are_read_from_an_update_in_backward(make: Any, factor: float) -> None:
    report = ml.gradcheck(make(factor), np.ones((2, 3)), raise_exception=False)
    assert list(report.sizes) == ["x", "W"] and report.wrong == ("W",) * (factor == 2)
    assert "gradients of W are those of backward's update" in report.note


def test_an_update_whose_learning_rate_is_hidden() -> None:
    with pytest.raises(ml.GradientError, match="changes W, and the learning rate is not found: name it lr"):
        ml.gradcheck(Updates(), np.ones((2, 3)))
