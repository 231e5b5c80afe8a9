"""``gradcheck`` takes what students write as it is: each convention right, a bug planted in each, and what failures say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo_cases as zoo

import minilstm as ml

N, T, D, H, V = 2, 5, 3, 4, 7


@pytest.fixture
def inputs(rng: np.random.Generator) -> dict[str, Any]:
    """x, h0, Wx, Wh and b of an RNN."""
    shapes = {"x": (N, T, D), "h0": (N, H), "Wx": (D, H), "Wh": (H, H), "b": (H,)}
    return {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}


def rnn(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> tuple[Any, Any]:
    h = [h0]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ Wx + h[-1] @ Wh + b))
    return np.stack(h[1:], axis=1), (x, h, Wx, Wh)


def rnn_gradients(dh: Any, cache: Any, *, bug: str = "", pops: bool = False) -> dict[str, Any]:
    x, h, Wx, Wh = cache
    if pops:
        h = h[:]
    gradients = {name: np.zeros_like(value) for name, value in (("x", x), ("Wx", Wx), ("Wh", Wh), ("b", Wh[0]))}
    carry = np.zeros_like(h[0])
    for t in reversed(range(x.shape[1])):
        dz = (dh[:, t] + carry) * (1 - h[t + 1] ** 2)
        gradients["x"][:, t] = dz @ Wx.T
        gradients["Wx"] += x[:, t].T @ dz
        gradients["Wh"] += h[t + 1 if bug == "Wh" else t].T @ dz
        gradients["b"] += dz.sum(axis=0)
        carry = dz @ Wh.T
    gradients["h0"] = carry
    return gradients


def compared(report: Any) -> list[str]:
    return list(report.sizes)


# Dicts -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("form", ["d{}", "{}_grad", "{}_diff", "d_{}", "grad_{}", "{}"])
@pytest.mark.parametrize("bug", ["", "Wh"])
def test_gradients_and_inputs_by_name(form: str, bug: str, inputs: dict[str, Any]) -> None:
    def backward(dh: Any, cache: Any) -> Any:
        return {form.format(name): value for name, value in rnn_gradients(dh, cache, bug=bug).items()}
    shuffled = {name: inputs[name] for name in ("Wh", "b", "x", "h0", "Wx")}
    for given in (shuffled, tuple(inputs.values())):
        if bug:
            with pytest.raises(ml.GradientError, match=r"the gradient of Wh is wrong \(1 of 5 tensors\)"):
                ml.gradcheck((rnn, backward), given)
        else:
            assert compared(ml.gradcheck((rnn, backward), given)) == ["x", "h0", "Wx", "Wh", "b"]


def course_forward(x: Any, a0: Any, parameters: dict[str, Any]) -> tuple[Any, ...]:
    """Column vectors, x (n_x, m, T_x), and a parameter Wy that only the second output depends on."""
    caches, a = [], [a0]
    for t in range(x.shape[2]):
        a.append(np.tanh(parameters["Waa"] @ a[-1] + parameters["Wax"] @ x[:, :, t] + parameters["ba"]))
        caches.append((a[-1], a[-2], x[:, :, t], parameters))
    h = np.stack(a[1:], axis=2)
    return h, np.einsum("ya,amt->ymt", parameters["Wy"], h), caches


def course_backward(da: Any, caches: Any, *, drop: str = "", scale: str = "") -> dict[str, Any]:
    n_x, m, n_a = *caches[0][2].shape, len(caches[0][0])
    g = {"dx": np.zeros((n_x, m, len(caches))), "dWax": np.zeros((n_a, n_x)), "dWaa": np.zeros((n_a, n_a)),
         "dba": np.zeros((n_a, 1)), "da0": np.zeros((n_a, m))}
    for t in reversed(range(len(caches))):
        a_next, a_prev, xt, p = caches[t]
        dz = (da[:, :, t] + g["da0"]) * (1 - a_next ** 2)
        g["dx"][:, :, t] = p["Wax"].T @ dz * (2 if scale == "x" and t == 1 else 1)
        g["dWax"] += dz @ xt.T
        g["dWaa"] += dz @ a_prev.T * (2 if scale == "Waa" else 1)
        g["dba"] += dz.sum(axis=1, keepdims=True)
        g["da0"] = p["Waa"].T @ dz
    return {key: value for key, value in g.items() if key != drop}


@pytest.fixture
def course(rng: np.random.Generator) -> tuple[Any, ...]:
    def draw(*shape: int) -> Any:
        return 0.5 * rng.standard_normal(shape)
    return draw(3, 2, 5), draw(4, 2), {"Wax": draw(4, 3), "Waa": draw(4, 4), "Wy": draw(6, 4), "ba": draw(4, 1)}


def test_a_dict_of_parameters_among_the_inputs(course: tuple[Any, ...]) -> None:
    report = ml.gradcheck((course_forward, course_backward), course)
    assert compared(report) == ["x", "a0", "Wax", "Waa", "ba"]
    assert "1 of 2 outputs" in str(report) and "no gradient of Wy was returned" in str(report)
    with pytest.raises(ml.GradientError, match="the gradient of Waa is wrong"):
        ml.gradcheck((course_forward, lambda da, caches: course_backward(da, caches, scale="Waa")), course)
    with pytest.raises(ml.GradientError, match="no key names the gradient of ba, such as dba; its keys are dx, dWax, dWaa"):
        ml.gradcheck((course_forward, lambda da, caches: course_backward(da, caches, drop="dba")), course)


def test_a_key_that_nothing_reads_is_an_error_unless_allowed(course: tuple[Any, ...]) -> None:
    course[2]["by"] = np.ones((6, 1))
    words = r"every gradient.*agrees, but the forward does not read the input by,.*allow_unused=\('by',\)"
    with pytest.raises(ml.GradientError, match=words):
        ml.gradcheck((course_forward, course_backward), course)
    ml.gradcheck((course_forward, course_backward), course, allow_unused=("by",))


def test_positions_and_names_together_and_two_layers_of_the_same_keys(rng: np.random.Generator) -> None:
    params = {"one": {"W": rng.standard_normal((3, 4))}, "two": {"W": rng.standard_normal((4, 2))}}
    x = rng.standard_normal((5, 3))

    def forward(x: Any, params: Any) -> Any:
        h = x @ params["one"]["W"]
        return h @ params["two"]["W"], (x, h, params)

    def backward(dy: Any, cache: Any, factor: float = 1.0) -> Any:
        x, h, params = cache
        dh = dy @ params["two"]["W"].T
        return dh @ params["one"]["W"].T, {"one": {"dW": x.T @ dh}, "two": {"dW": factor * h.T @ dy}}
    assert compared(ml.gradcheck((forward, backward), (x, params))) == ["x", "one.W", "two.W"]
    with pytest.raises(ml.GradientError, match="gradient of two.W is wrong"):
        ml.gradcheck((forward, lambda dy, cache: backward(dy, cache, -1.0)), (x, params))


def test_inputs_by_name_must_be_forwards_arguments(inputs: dict[str, Any]) -> None:
    for change, words in (({"c0": np.ones(1)}, "unexpected keyword argument 'c0'"), ({"b": None}, None)):
        given = {**inputs, **change}
        if words is None:
            del given["b"]
        with pytest.raises(ml.ArgumentError, match=words or "missing a required argument: 'b' .it takes x, h0, Wx, Wh, b"):
            ml.gradcheck((rnn, rnn_gradients), given)


def test_one_argument_that_is_a_dict_and_functions_without_names(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 3))
    pairs: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
        (lambda params: (params["a"] * params["b"], params), lambda dy, p: {"da": dy * p["b"], "db": dy * p["a"]}),
        (lambda *ab: (ab[0] * ab[1], ab), lambda dy, ab: (dy * ab[1], dy * ab[0])),
        (lambda **p: (p["a"] * p["b"], p), lambda dy, p: {"da": dy * p["b"], "db": dy * p["a"]})]
    for pair in pairs:
        assert compared(ml.gradcheck(pair, {"a": a, "b": b})) == ["a", "b"]
    with pytest.raises(ml.GradientError, match="the gradient of b is wrong"):
        ml.gradcheck((pairs[0][0], lambda dy, p: {"da": dy * p["b"], "db": dy * p["b"]}), {"a": a, "b": b})


# The loss inside -----------------------------------------------------------------------------------------------------------

def loss_forward(tokens: list[int], targets: list[int], E: Any, W: Any, b: Any) -> Any:
    h = E[tokens]
    scores = h @ W + b
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return -np.log(p[range(len(targets)), targets]).sum(), (tokens, targets, E, W, h, p)


def loss_gradients(cache: Any, bug: bool = False) -> tuple[Any, ...]:
    tokens, targets, E, W, h, p = cache
    dscores = p.copy()
    dscores[range(len(targets)), targets] -= 1
    dE = np.zeros_like(E)
    for row, token in enumerate(tokens):
        dE[token] = (dscores @ W.T)[row] + (0 if bug else dE[token])
    return dE, h.T @ dscores, dscores.sum(axis=0)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_loss_inside_and_lists_of_token_ids(by_name: bool, rng: np.random.Generator) -> None:
    inputs = [2, 0, 2, 5], [0, 2, 5, 1], *(rng.standard_normal(shape) for shape in ((V, D), (D, V), (V,)))

    def backward(cache: Any, bug: bool = False) -> Any:
        found = loss_gradients(cache, bug)
        return dict(zip(("dE", "dW", "db"), found)) if by_name else found
    assert compared(ml.gradcheck((loss_forward, backward), inputs)) == ["E", "W", "b"]
    with pytest.raises(ml.GradientError, match=r"the gradient of E is wrong \(1 of 3"):
        ml.gradcheck((loss_forward, lambda cache: backward(cache, True)), inputs)
    with pytest.raises(ml.GradientError, match=r"1 gradients for 3 inputs \(E, W, b\)|no key names the gradient of W, b"):
        ml.gradcheck((loss_forward, lambda cache: {"dE": loss_gradients(cache)[0]} if by_name else loss_gradients(cache)[0]),
                     inputs)


def test_an_output_that_is_no_loss_needs_an_upstream_gradient() -> None:
    with pytest.raises(ml.GradientError, match=r"takes no upstream gradient, so forward must return a loss.*shape \(2, 3\)"):
        ml.gradcheck((lambda x: (2 * x, None), lambda cache: np.full((2, 3), 2.0)), np.ones((2, 3)))
    with pytest.raises(ml.GradientError, match="backward takes no argument"):
        ml.gradcheck((lambda x: (2 * x, None), lambda: 2), np.ones((2, 3)))
    with pytest.raises(ml.GradientError, match="takes 3 arguments, expected 2"):
        ml.gradcheck((lambda x: (2 * x, None), lambda dy, x, cache: 2), np.ones((2, 3)))


# Values first, habits after -----------------------------------------------------------------------------------------------

def popping(x: Any, W: Any) -> Any:
    return x @ W, [x, W]


def pop_backward(dy: Any, cache: list[Any], factor: float = 1.0) -> Any:
    W = cache.pop()
    x = cache.pop()
    return dy @ W.T, factor * x.T @ dy


def test_a_cache_that_is_used_up_is_noted_and_hides_no_value(rng: np.random.Generator) -> None:
    inputs = rng.standard_normal((5, 3)), rng.standard_normal((3, 4))
    report = ml.gradcheck((popping, pop_backward), inputs)
    assert "right, but backward uses its cache up: a second backward of the same cache fails" in str(report)
    with pytest.raises(ml.GradientError, match="the gradient of W is wrong"):
        ml.gradcheck((popping, lambda dy, cache: pop_backward(dy, cache, 2.0)), inputs)


@pytest.mark.parametrize(("habit", "words"), [
    ("forward writes x", "x was overwritten"), ("backward writes dy", "upstream gradient 0 was overwritten"),
    ("backward writes W", "W was overwritten"), ("backward writes the cache", "the first one wrote into the cache")])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_values_and_habits_are_both_told(habit: str, words: str, factor: float, rng: np.random.Generator) -> None:
    def forward(x: Any, W: Any) -> Any:
        y, kept = x @ W, x.copy()
        if habit == "forward writes x":
            x *= 0
        return y, (kept, W)

    def backward(dy: Any, cache: Any) -> Any:
        x, W = cache
        gradients = dy @ W.T, factor * x.T @ dy
        for name, array in (("dy", dy), ("W", W), ("the cache", x)):
            if habit == f"backward writes {name}":
                array *= 0
        return gradients
    inputs = rng.standard_normal((5, 3)), rng.standard_normal((3, 4))
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck((forward, backward), inputs)
    message = str(caught.value)
    assert words in message
    verdict = "the gradient of W is wrong (1 of 2 tensors)" if factor == 2 else "every gradient that was compared agrees, but"
    assert verdict in message
    assert ("W: error" in message and "\n  also: " in message) == (factor == 2)


# Classes ---------------------------------------------------------------------------------------------------------------------

class Attributes:
    """W and b, and their gradients under names of this form; x and dx, h and dh are no parameters."""

    def __init__(self, form: str = "d{}", early: bool = False, adds: bool = False, bug: float = 1.0) -> None:
        rng = np.random.default_rng(1)
        self.W, self.b = rng.standard_normal((D, H)).astype(np.float32), rng.standard_normal(H)
        self.form, self.adds, self.bug, self.h, self.x = form, adds, bug, np.zeros(H), np.zeros((N, D))
        if early:
            for name in ("W", "b"):
                setattr(self, form.format(name), np.ones_like(getattr(self, name)))

    def forward(self, x: Any) -> Any:
        self.x, self.h = x, np.tanh(x @ self.W + self.b + self.h.sum())
        return self.h

    def backward(self, dy: Any) -> Any:
        dz = dy * (1 - self.h ** 2)
        self.dh, self.dx = dy, dz @ self.W.T
        for name, gradient in (("W", self.bug * self.x.T @ dz), ("b", dz.sum(axis=0))):
            attribute = self.form.format(name)
            if self.adds:
                old = getattr(self, attribute)
                old += gradient
            else:
                setattr(self, attribute, gradient)
        return self.dx


@pytest.mark.parametrize("form", ["d{}", "grad_{}", "{}_grad", "d_{}", "{}_diff"])
@pytest.mark.parametrize(("early", "adds"), [(False, False), (True, False), (True, True)])
def test_attributes_and_their_gradients(form: str, early: bool, adds: bool, rng: np.random.Generator) -> None:
    x, layer = rng.standard_normal((N, D)), Attributes(form, early, adds)
    before = {name: np.copy(value) for name, value in vars(layer).items() if isinstance(value, np.ndarray)}
    assert compared(ml.gradcheck(layer, x)) == ["x", "W", "b"]
    assert all(np.array_equal(getattr(layer, name), value) for name, value in before.items()) and layer.W.dtype == np.float32
    with pytest.raises(ml.GradientError, match=r"gradient of W is wrong \(1 of 3"):
        ml.gradcheck(Attributes(form, early, adds, bug=2.0), x)


class Stores:
    """params and grads as dicts or lists, that exist at first or not, in ``self.cell`` or not."""

    def __init__(self, kind: str, bug: str = "") -> None:
        W, b = np.random.default_rng(1).standard_normal((D, H)), np.ones(H)
        self.kind, self.bug = kind, bug
        self.params: Any = {"W": W, "b": b} if "dict" in kind else [W, b]
        self.grads: Any = {"empty dict": {}, "full dict": {"dW": 0 * W, "db": 0 * b}, "empty list": [],
                           "none list": [None, None], "full list": [0 * W, 0 * b]}[kind]

    def __call__(self, x: Any) -> Any:
        self.x = x
        W, b = self.params.values() if "dict" in self.kind else self.params
        return x @ W + b

    def backward(self, dy: Any) -> Any:
        W = self.params["W"] if "dict" in self.kind else self.params[0]
        dW, db = self.x.T @ dy * (2 if self.bug == "W" else 1), dy.sum(axis=0)
        if self.bug == "shape":
            db = dy
        if self.bug == "never":
            return dy @ W.T
        if "dict" in self.kind:
            self.grads["dW"] = dW
            if self.bug != "no b":
                self.grads["db"] = db
        elif self.kind == "full list" and self.bug != "shape":
            self.grads[0][...] = dW
            self.grads[1][...] = db
        else:
            self.grads = [dW, db] if self.bug != "no b" else [dW]
        return None if self.bug == "None" else dy @ W.T


@pytest.mark.parametrize("kind", ["empty dict", "full dict", "empty list", "none list", "full list"])
def test_params_and_grads(kind: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((N, D))
    W, b = ("W", "b") if "dict" in kind else (r"params[0]", r"params[1]")
    assert compared(ml.gradcheck(Stores(kind), x)) == ["x", W, b]
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck(Stores(kind, "W"), x)
    assert f"the gradient of {W} is wrong (1 of 3 tensors)" in str(caught.value)
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck(Stores(kind, "shape"), x)
    assert f"the gradient of {b} has shape (2, 4), expected (4,)" in str(caught.value)
    report = ml.gradcheck(Stores(kind, "None"), x)
    assert "no gradient of x was returned: taken for data, not checked" in report.note and list(report.sizes) == [W, b]


@pytest.mark.parametrize(("kind", "bug", "words"), [
    ("empty dict", "never", "grads is empty at first and backward never fills it"),
    ("empty list", "never", "grads is empty at first and backward never fills it"),
    ("none list", "never", r"backward puts no gradient of params\[0\], params\[1\] into grads"),
    ("empty dict", "no b", r"backward puts no gradient of params\['b'\] into grads"),
    ("empty list", "no b", r"backward puts no gradient of params\[1\] into grads")])
def test_gradients_that_are_not_stored(kind: str, bug: str, words: str) -> None:
    with pytest.raises(ml.GradientError, match=words + r" \(test_arguments.py, line \d+\)"):
        ml.gradcheck(Stores(kind, bug), np.ones((N, D)))


def test_an_object_made_of_others_and_a_loss_inside(rng: np.random.Generator) -> None:
    class Network:
        """Two layers, in a list and as an attribute, and the sum of squares."""

        def __init__(self, bug: float = 1.0) -> None:
            self.layers, self.last = [Attributes()], Attributes(bug=bug)
            self.last.W = np.random.default_rng(3).standard_normal((H, 2))          # type: ignore[assignment]
            self.last.b = np.zeros(2)
            self.network = self

        def forward(self, x: Any) -> Any:
            self.y = self.last.forward(self.layers[0].forward(x))
            return (self.y ** 2).sum()

        def backward(self, dout: float = 1.0) -> None:
            self.layers[0].backward(self.last.backward(2 * dout * self.y))
    x = rng.standard_normal((N, D))
    report = ml.gradcheck(Network(), x)
    assert compared(report) == ["layers[0].W", "layers[0].b", "last.W", "last.b"]
    assert "backward returns nothing, so no gradient of x was compared" in str(report)
    with pytest.raises(ml.GradientError, match=r"the gradient of last.W is wrong \(1 of 4"):
        ml.gradcheck(Network(2.0), x)


class Constant(Attributes):
    """Reads an array without a gradient; keeps another that it does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.spare = np.full(H, 0.5), np.ones(3)

    def forward(self, x: Any) -> Any:
        return super().forward(x) * self.scale

    def backward(self, dy: Any) -> Any:
        return super().backward(dy * self.scale)


def test_an_array_without_gradient_that_is_read_must_be_a_constant() -> None:
    x = np.linspace(-1, 1, N * D).reshape(N, D)
    with pytest.raises(ml.GradientError, match=r"reads self.scale, and no gradient of it was found \(dscale,.*\('scale',\)"):
        ml.gradcheck(Constant(), x)
    ml.gradcheck(Constant(), x, allow_unused=("scale",))


def test_a_copy_of_a_weight_is_no_pass() -> None:
    class Copies(Attributes):
        def __init__(self) -> None:
            super().__init__(early=True)
            self.hidden = [np.copy(self.W)]

        def forward(self, x: Any) -> Any:
            self.x = x
            return x @ self.hidden[0]

        def backward(self, dy: Any) -> Any:
            self.dW = self.db = np.zeros(1)         # type: ignore[assignment]
            self.dW, self.db = np.zeros((D, H)), np.zeros(H)
            return dy @ self.hidden[0].T
    with pytest.raises(ml.GradientError, match="the forward does not read self.W, and backward gives it no gradient"):
        ml.gradcheck(Copies(), np.ones((N, D)))


def test_what_forward_puts_in_the_object_is_no_parameter(rng: np.random.Generator) -> None:
    """x and dx are left from an earlier call; h is a state, and starts anew at each evaluation."""
    layer = Attributes()
    layer.forward(rng.standard_normal((N, D)))
    layer.backward(np.ones((N, H)))
    report = ml.gradcheck(layer, layer.x)
    assert compared(report) == ["x", "W", "b"]
    assert "the forward reads and replaces self.h: it is taken for a state, not compared" in str(report)


# Closures -------------------------------------------------------------------------------------------------------------------

def test_a_forward_that_returns_its_backward(rng: np.random.Generator) -> None:
    def closure(x: Any, W: Any, factor: float = 1.0, by_name: bool = False) -> Any:
        def backward(dy: Any) -> Any:
            gradients = factor * dy @ W.T, x.T @ dy
            return dict(zip(("dx", "dW"), gradients)) if by_name else gradients
        return x @ W, backward
    inputs = {"x": rng.standard_normal((5, 3)), "W": rng.standard_normal((3, 4))}
    for by_name in (False, True):
        assert compared(ml.gradcheck(closure, inputs, by_name=by_name)) == ["x", "W"]
        with pytest.raises(ml.GradientError, match=r"gradcheck closure: the gradient of x is wrong \(1 of 2"):
            ml.gradcheck(closure, inputs, factor=0.5, by_name=by_name)
    loss = ml.gradcheck(lambda x: ((x ** 2).sum(), lambda: 2 * x), np.ones(3))
    assert compared(loss) == ["x"]
    with pytest.raises(ml.ArgumentError, match=r"it returned ndarray, not \(y, backward\) \(test_arguments.py, line"):
        ml.gradcheck(lambda x: 2 * x, np.ones(3))


def test_nested_outputs_as_one_argument_or_flat(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4))

    def forward(x: Any, length: int = 2) -> Any:
        return [(k + 1) * x for k in range(length)], None

    def nested(dys: Any, cache: Any) -> Any:
        assert isinstance(dys, list)
        return sum((k + 1) * dy for k, dy in enumerate(dys))
    for length in (1, 2):
        ml.gradcheck((forward, nested), x, length=length)
    ml.gradcheck((forward, lambda first, second, cache: first + 2 * second), x)


def test_inputs_of_a_layer_by_name(rng: np.random.Generator) -> None:
    given = {"x": rng.standard_normal((2, 5, 3)), "state0": (rng.standard_normal((2, 4)), rng.standard_normal((2, 4)))}
    assert compared(ml.gradcheck(ml.LSTM(3, 4, rng=0), given)) == ["x", "state0[0]", "state0[1]", "W", "b"]


# Axes ------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("axes", "words", "steps"), [
    (None, "worst at x[", 0), ("DNT", "time step 1)", 5), ("NTD", "(sequence ", 2), ("DTN", "time step ", 2)])
def test_axes_are_named_only_if_known(axes: str | None, words: str, steps: int, course: tuple[Any, ...]) -> None:
    with pytest.raises(ml.GradientError) as caught:
        pair = course_forward, lambda da, caches: course_backward(da, caches, scale="x")
        ml.gradcheck(pair, course, axes=axes, diagnose=False)
    message = str(caught.value)
    assert words in message and ("step" in message) == (axes is not None)
    if axes == "DNT":
        assert "wrong at time steps 1 of 0 to 4, right elsewhere" in message and "(sequence " in message
    report = ml.gradcheck((course_forward, course_backward), course, axes=axes)
    assert {len(c.by_step) for c in report.comparisons if c.name == "x"} == {steps}


@pytest.mark.parametrize("axes", ["NT", "NTT", "NTX", "", 3])
def test_axes_that_make_no_sense(axes: Any, inputs: dict[str, Any]) -> None:
    with pytest.raises(ml.ArgumentError, match="axes: expected 3 different letters of N, T and D"):
        ml.gradcheck((rnn, rnn_gradients), inputs, axes=axes)


# What is missing -------------------------------------------------------------------------------------------------------------

STUDENT = """
def forward(x):
    return 2 * x, {"x": x}

def nothing(x):
    y = 2 * x

def no_cache(x):
    return 2 * x

def helper(cache):
    dh = cache["dh"]
    return dh

def backward(dy, cache):
    return helper(cache)

def inside(x):
    raise ValueError("one\\nline")

def in_numpy(x):
    return x @ x, None

class OnlyForward:
    def forward(self, x):
        return x

class OnlyBackward:
    def backward(self, dy):
        return dy

class Neither:
    def feed(self, x):
        return x

class Raises(OnlyForward):
    def backward(self, dy):
        return self.undefined
"""


@pytest.fixture
def student(tmp_path: Path) -> dict[str, Any]:
    path, names = tmp_path / "student.py", {"__name__": "student"}
    path.write_text(STUDENT, encoding="utf-8")
    exec(compile(STUDENT, str(path), "exec"), names)
    return names


@pytest.mark.parametrize(("target", "words", "cause"), [
    (("forward", "backward"), "backward raised KeyError: 'dh' in student.py, line 12: dh = cache[\"dh\"]", KeyError),
    (("inside", "backward"), "forward raised ValueError: one line in student.py, line 19: raise ValueError", ValueError),
    (("in_numpy", "backward"), "in student.py, line 22: return x @ x, None", ValueError),
    (("nothing", "backward"), "returned None, expected (output, ..., cache): is a return missing? (student.py, line 5)", None),
    (("no_cache", "backward"), "forward must return (output, ..., cache), got ndarray (student.py, line 8)", None),
    (("forward", "nothing"), "backward takes no upstream gradient", None),
    ("Raises", "AttributeError: 'Raises' object has no attribute 'undefined' in student.py, line 38: return", AttributeError)])
def test_failures_are_told_with_the_students_line(target: Any, words: str, cause: Any, student: dict[str, Any]) -> None:
    made = student[target]() if isinstance(target, str) else tuple(student[name] for name in target)
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck(made, np.ones((2, 3)))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__cause__ is None if cause is None else isinstance(caught.value.__cause__, cause)


def test_methods_in_place_of_their_object() -> None:
    layer = Attributes()
    with pytest.raises(ml.GradientError, match="got ndarray; to check an object, give it instead of its methods"):
        ml.gradcheck((layer.forward, layer.backward), np.ones((N, D)))


@pytest.mark.parametrize(("name", "words"), [
    ("OnlyForward", "it has forward but no backward"), ("OnlyBackward", "it has backward but no forward"),
    ("Neither", "it has neither forward nor backward, only feed")])
def test_what_an_object_lacks_is_said(name: str, words: str, student: dict[str, Any]) -> None:
    with pytest.raises(ml.ArgumentError, match=f"got {name}: {words}"):
        ml.gradcheck(student[name](), np.ones((2, 3)))
    with pytest.raises(ml.ArgumentError, match="a pair has two functions, this has function, int"):
        ml.gradcheck((student["forward"], 3), np.ones((2, 3)))


def test_errors_of_this_library_stay_what_they_are() -> None:
    def forward(x: Any) -> Any:
        raise ml.ShapeError("as it is")
    with pytest.raises(ml.ShapeError, match="^as it is$"):
        ml.gradcheck((forward, rnn_gradients), np.ones(3))


def test_nothing_to_check_is_no_pass() -> None:
    with pytest.raises(ml.ArgumentError, match="there is nothing to check"):
        ml.gradcheck((lambda x: (x, None), lambda dy, cache: dy), np.arange(3))


def test_wrong_shapes_name_the_argument() -> None:
    with pytest.raises(ml.GradientError, match=r"the gradient of x has shape \(3, 2\), expected \(2, 3\)"):
        ml.gradcheck((lambda x: (x, None), lambda dy, cache: {"dx": dy.T}), np.ones((2, 3)))


def test_lists_and_dicts_of_weights_as_attributes_and_one_array_under_two_names(rng: np.random.Generator) -> None:
    class Lists:
        def __init__(self, bug: float = 1.0) -> None:
            rng, self.bug = np.random.default_rng(1), bug
            self.W, self.b = [rng.standard_normal((D, H)), rng.standard_normal((H, 2))], {"out": np.ones(2)}
            self.first, self.dW, self.db = self.W[0], [np.zeros((D, H)), np.zeros((H, 2))], {"out": np.zeros(2)}

        def forward(self, x: Any) -> Any:
            self.x, self.h = x, np.tanh(x @ self.first)
            return self.h @ self.W[1] + self.b["out"]

        def backward(self, dy: Any) -> Any:
            dz = dy @ self.W[1].T * (1 - self.h ** 2)
            self.dW[0] += self.x.T @ dz
            self.dW[1] += self.bug * self.h.T @ dy
            self.db["out"] = dy.sum(axis=0)
            return dz @ self.W[0].T
    x = rng.standard_normal((N, D))
    assert compared(ml.gradcheck(Lists(), x)) == ["x", "W[0]", "W[1]", "b['out']"]
    with pytest.raises(ml.GradientError, match=r"the gradient of W\[1\] is wrong \(1 of 4"):
        ml.gradcheck(Lists(2.0), x)


def test_a_function_that_returns_loss_and_gradients_is_split(rng: np.random.Generator) -> None:
    """As help(ml.gradcheck) shows; the mistake is named through it."""
    bug = next(bug for bug in zoo.BUGS if bug.style == "rnn_char")
    verdicts = []
    for module in (zoo.load("rnn_char"), zoo.load("rnn_char", bug)):
        inputs, targets, _, *weights = zoo.STYLES["rnn_char"].make(module, rng, zoo.SIZES)[1]

        def forward(inputs: Any, targets: Any, Wxh: Any, Whh: Any, Why: Any, bh: Any, by: Any, *, m: Any = module) -> Any:
            loss, *gradients, _ = m.loss_fun(inputs, targets, np.zeros((zoo.SIZES["H"], 1)), Wxh, Whh, Why, bh, by)
            return loss, gradients
        report = ml.gradcheck((forward, lambda gradients: gradients), (inputs, targets, *weights), raise_exception=False)
        verdicts.append(report.right)
    assert verdicts == [True, False] and report.diagnosis.named and report.diagnosis.slips[0].line in bug.lines


# Objects that keep things elsewhere ---------------------------------------------------------------------------------------

class Lazy:
    """Makes its weights in its first forward, and its gradients in backward."""

    factor = 1.0

    def __init__(self) -> None:
        self.W: Any = None

    def forward(self, x: Any) -> Any:
        if self.W is None:
            self.W = np.random.default_rng(1).standard_normal((x.shape[-1], H))
        self.x = x
        return x @ self.W

    def backward(self, dy: Any) -> Any:
        self.dW = self.factor * np.einsum("ntd,nth->dh", self.x, dy)
        return dy @ self.W.T


def test_weights_made_in_the_first_forward_are_checked(inputs: dict[str, Any]) -> None:
    assert compared(ml.gradcheck(Lazy(), inputs["x"])) == ["x", "W"]
    wrong = Lazy()
    wrong.factor = 2.0
    with pytest.raises(ml.GradientError, match="the gradient of W is wrong"):
        ml.gradcheck(wrong, inputs["x"])


def test_an_object_may_hand_its_cache_over(inputs: dict[str, Any]) -> None:
    class Cell:
        def forward(self, x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> Any:
            return rnn(x, h0, Wx, Wh, b)

        def backward(self, dout: Any, cache: Any) -> Any:
            return rnn_gradients(dout, cache)
    assert set(compared(ml.gradcheck(Cell(), inputs))) == set(inputs)


@pytest.mark.parametrize("form", ["gW", "dLdW", "W_gradient", "delta_W", "nabla_W", "grads"])
def test_where_a_gradient_may_be_kept(form: str, inputs: dict[str, Any]) -> None:
    class Layer(Lazy):
        def backward(self, dy: Any) -> Any:
            dx = super().backward(dy)
            self.__dict__[form] = {"dW": self.dW} if form == "grads" else self.dW
            del self.dW
            return dx
    assert compared(ml.gradcheck(Layer(), inputs["x"])) == ["x", "W"]


def test_parameters_may_be_objects(inputs: dict[str, Any]) -> None:
    class Parameter:
        def __init__(self, data: Any) -> None:
            self.data, self.grad = data, np.zeros_like(data)

    class Layer:
        def __init__(self) -> None:
            self.W = Parameter(np.random.default_rng(1).standard_normal((D, H)))

        def forward(self, x: Any) -> Any:
            self.x = x
            return x @ self.W.data

        def backward(self, dy: Any) -> Any:
            self.W.grad += np.einsum("ntd,nth->dh", self.x, dy)
            return dy @ self.W.data.T
    assert compared(ml.gradcheck(Layer(), inputs["x"])) == ["x", "W"]


CACHE: dict[str, Any] = {}


def test_a_cache_may_be_handed_over_in_any_way(inputs: dict[str, Any]) -> None:
    def forward(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        y, CACHE["last"] = rnn(x, h0, Wx, Wh, b)
        return y, None

    def several(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        y, (_, h, _, _) = rnn(x, h0, Wx, Wh, b)
        return [y, x, h, Wx, Wh]
    for pair in ((forward, lambda dy, _: rnn_gradients(dy, CACHE["last"])),
                 (several, lambda dy, x, h, Wx, Wh: rnn_gradients(dy, (x, h, Wx, Wh))),
                 (rnn, lambda cache, dy: rnn_gradients(dy, cache))):
        assert set(compared(ml.gradcheck(pair, inputs))) == set(inputs)


def test_clipping_is_seen_where_nothing_is_clipped_yet(inputs: dict[str, Any]) -> None:
    def backward(dh: Any, cache: Any) -> Any:
        return {name: np.clip(gradient, -50, 50) for name, gradient in rnn_gradients(dh, cache).items()}
    with pytest.raises(ml.GradientError, match="agrees, but not linear in the gradients from above: large ones are clipped"):
        ml.gradcheck((rnn, backward), inputs)


def test_a_backward_in_float32_needs_float64(inputs: dict[str, Any]) -> None:
    def backward(dh: Any, cache: Any) -> Any:
        return {name: gradient.astype(np.float32) for name, gradient in rnn_gradients(dh, cache).items()}
    with pytest.raises(ml.ArgumentError, match="the backward rounds to float32"):
        ml.gradcheck((rnn, backward), inputs)


# The report --------------------------------------------------------------------------------------------------------------

def test_a_report_marks_what_is_wrong(inputs: dict[str, Any]) -> None:
    pair = (rnn, lambda dh, cache: rnn_gradients(dh, cache, bug="Wh"))
    report = ml.gradcheck(pair, inputs, raise_exception=False)
    assert not report.right and report.wrong == ("Wh",)
    rows = re.findall("<tr[^>]*>.*?</tr>", report._repr_html_())
    assert [("background" in row, "WRONG" in row) for row in rows[1:]] == [(name == "Wh",) * 2 for name in report.sizes]
    assert report._repr_html_().count(" wrong") == 1        # said once
    assert max(map(len, report.table().splitlines())) <= 80 and report.table().count("WRONG") == 1
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck(pair, inputs)
    assert str(caught.value) == str(report) and caught.value.report.wrong == ("Wh",)
    assert caught.value._render_traceback_() == [f"GradientError: {report}"]
    assert "<pre>" not in ml.gradcheck((rnn, rnn_gradients), inputs)._repr_html_()
    assert repr(report) == f"<GradcheckReport right=False: {report.summary()}>"     # what a shell shows of it


def test_what_was_not_compared_has_no_report(inputs: dict[str, Any]) -> None:
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck((rnn, lambda dh, cache: 1 / 0), inputs, raise_exception=False)
    assert caught.value.report is None
