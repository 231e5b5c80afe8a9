"""Arrays from the names of forward's arguments: for nearly every style of the zoo there is nothing to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo_cases as zoo
import zoo_more_cases as more

import minilstm as ml
from minilstm.gradients.targets.trees import flatten
from minilstm.student import gradcheck
from minilstm.student.gradcheck import Request, check_file, make

STYLES = {name: style for name, style in (zoo.STYLES | more.MORE_STYLES).items() if style.kind != "loss and gradients"}


@pytest.mark.parametrize("name", STYLES)
def test_the_names_tell_the_shapes(name: str) -> None:
    target, given = STYLES[name].make(zoo.load(STYLES[name]), np.random.default_rng(0), zoo.SIZES)
    named = target if isinstance(target, tuple) or not hasattr(target, "backward") else type(target)
    made = make(named, Request())
    assert ml.gradcheck(made.given, made.inputs, axes=made.axes).right
    if isinstance(given, tuple):
        def shapes(values: Any) -> list[Any]:
            return [tuple(7 if size == zoo.SIZES["V"] else size for size in np.shape(value))
                    for value in flatten(list(values))]
        assert sorted(shapes(made.inputs.values())) == sorted(shapes(given))


def test_what_a_name_does_not_tell_is_asked_for() -> None:
    pair = (lambda foo: (foo * 2, None), lambda dy, cache: 2 * dy)
    with pytest.raises(ml.ArgumentError, match="the name foo does not tell .*--array foo=3,20"):
        make(pair, Request())
    assert make(pair, Request(arrays={"foo": (3, 2)})).inputs["foo"].shape == (3, 2)


def test_every_argument_can_be_given() -> None:
    def forward(x: Any, W: Any, h: Any = 0.0) -> Any:
        return x @ W + h, (x, W)

    def backward(dy: Any, cache: Any) -> Any:
        return {"dx": dy @ cache[1].T, "dW": cache[0].T @ dy, "dh": dy}
    made = make((forward, backward), Request(arrays={"x": (2, 3), "W": (3, 6), "h": (2, 6)}))
    assert [value.shape for value in made.inputs.values()] == [(2, 3), (3, 6), (2, 6)] and made.axes is None
    assert ml.gradcheck(made.given, made.inputs, axes=made.axes).entries == 36


def test_token_ids_under_any_name() -> None:
    def forward(review: Any, E: Any) -> Any:
        return E[review], (review, E)

    def backward(dy: Any, cache: Any) -> Any:
        dE = np.zeros_like(cache[1])
        np.add.at(dE, cache[0], dy)
        return {"dE": dE}
    for arrays, shape in (({}, (2, 4)), ({"review": (5, 2)}, (5, 2))):
        made = make((forward, backward), Request(tokens=7, arrays=arrays))
        assert made.inputs["review"].shape == shape and ml.gradcheck(made.given, made.inputs).right


def test_a_constructors_array_can_be_given() -> None:
    class Layer:
        def __init__(self, foo: Any) -> None:
            self.W = foo

        def forward(self, x: Any) -> Any:
            self.x = x
            return x @ self.W

        def backward(self, dy: Any) -> Any:
            self.dW = self.x.T @ dy
            return dy @ self.W.T
    made = make(Layer, Request(arrays={"foo": (3, 6), "x": (2, 3)}))
    assert ml.gradcheck(made.given, made.inputs).sizes == {"x": (2, 3), "W": (3, 6)}


def test_steps_as_a_list_may_come_back_for_an_array() -> None:
    pair = (lambda X, Wx: ([x @ Wx for x in X], (X, Wx))), lambda dY, cache: {
        "dX": [dy @ cache[1].T for dy in dY], "dWx": sum(x.T @ dy for x, dy in zip(cache[0], dY))}
    assert ml.gradcheck(pair, (np.ones((4, 2, 3)), np.ones((3, 5)))).sizes["X"] == (4, 2, 3)


def test_sizes_are_set() -> None:
    pair = (lambda x, Wx: (x @ Wx, (x, Wx)), lambda dy, cache: (dy @ cache[1].T, np.einsum("ntd,nth->dh", cache[0], dy)))
    made = make(pair, Request(sizes={"N": 3, "T": 6, "D": 2, "H": 4}))
    assert made.inputs["x"].shape == (3, 6, 2) and made.inputs["Wx"].shape == (2, 4) and made.axes == "NTD"


def test_an_error_of_the_forward_itself_is_told() -> None:
    def forward(x: Any) -> Any:
        return missing(x), x        # type: ignore[name-defined]    # noqa: F821
    with pytest.raises(ml.GradientError, match="NameError: name 'missing' is not defined in test_arrays.py") as caught:
        make((forward, lambda dy, x: dy), Request())
    assert "--shape" not in str(caught.value)
    with pytest.raises(ml.ArgumentError, match=r"--shape N=2,T=4,D=3,H=5"):
        make((lambda x, Wx: (np.zeros(3) + np.zeros(4), x), lambda dy, x: dy), Request())


def test_a_target_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = gradcheck.make_target
    monkeypatch.setattr(gradcheck, "make_target", lambda *arguments: made.append(0) or original(*arguments))
    path = tmp_path / "student.py"
    path.write_text(zoo.source("cs231n_lstm"), encoding="utf-8")
    found = check_file(Request(f"{path}:lstm_forward,lstm_backward"))
    assert found["status"] == "right" and found["diagnosis"]["cell"] == "LSTM" and len(made) == 1
