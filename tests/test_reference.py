"""The library against the oracle of reference.py, and the oracle itself against numbers worked out on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import on_host, put
from cases import Case, cases, close, core_backward, core_forward, upstream_sum
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (complex_step, embedding, is_real, last_output, linear, lstm_cell, one_direction, recurrent, relu_cell,
                       sigmoid, tanh_cell)

import minilstm as ml

# σ(ln 3) = 3/4, σ(ln 4) = 4/5, σ(0) = 1/2 and tanh(ln 2) = 3/5, so these four biases give f, i, o, c̃ exactly.
F, I, O, C = np.log(3), np.log(4), 0.0, np.log(2)       # noqa: E741


# The oracle by hand ------------------------------------------------------------------------------------------------------

def test_oracle_sigmoid() -> None:
    assert sigmoid(np.float64(F)) == pytest.approx(0.75, abs=1e-15)
    assert sigmoid(np.float64(-F)) == pytest.approx(0.25, abs=1e-15)
    assert sigmoid(np.float64(-1000)) == 0.0 and sigmoid(np.float64(1000)) == 1.0
    assert sigmoid(np.complex128(1e-30j)).imag == pytest.approx(0.25e-30, rel=1e-15)    # σ'(0) = 1/4


def test_oracle_gates_by_hand() -> None:
    h, c = lstm_cell([0.0], ([0.0], [2.0]), np.zeros((2, 4)), np.array([F, I, O, C]))
    assert c[0] == pytest.approx(0.75 * 2 + 0.8 * 0.6, abs=1e-15)       # f c + i c̃ = 1.98
    assert h[0] == pytest.approx(0.5 * np.tanh(1.98), abs=1e-15)


def test_oracle_rows_of_w_are_h_then_x() -> None:
    W = np.array([[0, I, 0, 0], [F, 0, 0, C]])                          # h drives the input gate, x the rest
    h, c = lstm_cell([1.0], ([1.0], [4.0]), W, np.zeros(4))
    assert c[0] == pytest.approx(3 + 0.8 * 0.6, abs=1e-15)
    assert h[0] == pytest.approx(0.5 * np.tanh(3.48), abs=1e-15)
    assert tanh_cell([1.0], ([0.0],), np.array([[9.0], [C]]), np.zeros(1))[0][0] == pytest.approx(0.6, abs=1e-15)
    assert relu_cell([2.0], ([3.0],), np.array([[5.0], [-7.0]]), np.array([4.0]))[0] == [5.0]      # 15 − 14 + 4
    assert relu_cell([2.0], ([3.0],), np.array([[3.0], [-7.0]]), np.array([4.0]))[0] == [0.0]      # 9 − 14 + 4 < 0


@pytest.mark.parametrize("padding, reverse, outputs, final", [
    ("post", False, [[16, 33, 67], [20, 0, 0]], [67, 20]),      # h' = 2 h + x from h = 8, and from h = 9
    ("pre", False, [[16, 33, 67], [0, 0, 20]], [67, 20]),
    ("post", True, [[70, 35, 17], [20, 0, 0]], [70, 20]),
    ("pre", True, [[70, 35, 17], [0, 0, 20]], [70, 20]),
])
def test_oracle_walks_time_by_hand(padding: str, reverse: bool, outputs: Any, final: Any) -> None:
    x = np.array([[0, 1, 1], [2, 2, 2]], float)[:, :, None]
    y, (h,) = one_direction(relu_cell, x, (np.array([[8.0], [9.0]]),), np.array([[2.0], [1.0]]), np.zeros(1), [3, 1], padding,
                            reverse)
    assert y[:, :, 0].tolist() == outputs and h[:, 0].tolist() == final


def test_oracle_stack_by_hand() -> None:
    params = {"W": [[1], [1]], "W_reverse": [[1], [1]], "W_l1": [[0], [1], [10]], "W_l1_reverse": [[0], [100], [1]]}
    arrays = {name: np.array(value, float) for name, value in params.items()}
    arrays.update({name.replace("W", "b"): np.zeros(1) for name in params})
    x, h0 = np.array([[[1.0], [2.0]]]), np.array([[[10.0]], [[20.0]], [[30.0]], [[40.0]]])
    y, (final,) = recurrent("relu", arrays, x, (h0,), num_layers=2, bidirectional=True)
    # layer 0: forward 11, 13; reverse (from the right) 22, then 23.  Layer 1: forward a + 10 b, reverse 100 a + b.
    assert y.tolist() == [[[11 + 230, 1100 + 23], [13 + 220, 1300 + 22]]]
    assert final[:, 0, 0].tolist() == [13, 23, 233, 1123]
    assert last_output(final, True).tolist() == [[233, 1123]]


def test_oracle_padding_sides() -> None:
    assert [is_real(t, 4, 3, "post") for t in range(4)] == [True, True, True, False]
    assert [is_real(t, 4, 3, "pre") for t in range(4)] == [False, True, True, True]


def test_complex_step_by_hand() -> None:
    (da, db) = complex_step(lambda p: p[0][0] ** 3 * p[1][1], [np.array([2.0]), np.array([5.0, 7.0])])
    assert da.tolist() == [84.0] and db.tolist() == [0.0, 8.0]         # 3 · 2² · 7 and 2³


# The library against the oracle ------------------------------------------------------------------------------------------

def expected(case: Case, x: Any, state: Any, params: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    """What the oracle says a layer returns: (y, final states)."""
    y, final = recurrent(case.kind, params, x, state, num_layers=case.num_layers, bidirectional=case.bidirectional,
                         **case.options)
    return (y if case.return_sequences else last_output(final[0], case.bidirectional)), final


@given(cases(num_layers=1, bidirectional=False))
def test_core_forward(case: Case) -> None:
    params, state = case.params(), case.state() if case.states else case.zero_state()
    y, final = recurrent(case.kind, params, case.x(), state, **case.options)
    h, c_last, _ = core_forward(case, case.x(), tuple(s[0] for s in state) if case.states else None, params["W"], params["b"])
    close(h, y, 1e-12)
    if case.kind == "lstm":
        close(c_last, final[1][0], 1e-12)


@settings(max_examples=30)
@given(cases(num_layers=1, bidirectional=False, return_sequences=True, states=True, T=st.sampled_from([1, 2, 4]),
             D=st.sampled_from([1, 3])))
def test_core_backward(case: Case) -> None:
    dh, dc_last = case.dy(), case.dstate()[-1] if case.kind == "lstm" else None
    dc_last = None if dc_last is None else dc_last[0]

    def scalar(arrays: list[Any]) -> Any:
        x, *state, W, b = arrays
        y, final = recurrent(case.kind, {"W": W, "b": b}, x, tuple(s[None] for s in state), **case.options)
        return upstream_sum(on_host([(y, dh), (final[-1][0], dc_last)]))

    arrays = [case.x(), *(s[0] for s in case.state()), case.params()["W"], case.params()["b"]]
    _, _, cache = core_forward(case, arrays[0], tuple(arrays[1:-2]), arrays[-2], arrays[-1])
    names = ("dx", "dh0", "dc0", "dW", "db") if case.kind == "lstm" else ("dx", "dh0", "dW", "db")
    for name, got, want in zip(names, core_backward(case, dh, dc_last, cache), complex_step(scalar, arrays), strict=True):
        assert (name, got.shape) == (name, want.shape)
        close(got, want, 1e-12)


@given(cases(), st.booleans())
def test_layer_forward(case: Case, training: bool) -> None:
    layer, state = case.layer().train(training), case.state() if case.states else None
    y, final = expected(case, case.x(), state or case.zero_state(), case.params())
    got = layer(case.x(), state and case.pack(state), return_state=True, **case.options)
    close(got[0], y, 1e-12)
    for mine, theirs in zip(case.unpack(got[1]), final, strict=True):
        close(mine, theirs, 1e-12)
    alone = layer(case.x(), state and case.pack(state), **case.options)
    assert alone.tobytes() == got[0].tobytes()


@settings(max_examples=20)
@given(cases(num_layers=st.integers(1, 2), N=2, T=st.sampled_from([1, 2, 3]), D=st.sampled_from([1, 3]), H=st.integers(1, 2)))
def test_layer_backward(case: Case) -> None:
    names = list(case.params())

    def scalar(arrays: list[Any]) -> Any:
        cut = 1 + len(case.zero_state())
        y, final = expected(case, arrays[0], tuple(arrays[1:cut]), dict(zip(names, arrays[cut:])))
        return upstream_sum(on_host([(y, case.dy()), *zip(final, case.dstate())]))

    state = case.state() if case.states else case.zero_state()
    gradients = complex_step(scalar, [case.x(), *state, *case.params().values()])
    layer = case.layer()
    layer(case.x(), case.pack(state) if case.states else None, return_state=True, **case.options)
    dx, dstate = layer.backward(case.dy(), case.pack(case.dstate()))
    for got, want in zip([dx, *case.unpack(dstate), *(layer.grads[name] for name in names)], gradients, strict=True):
        close(got, want, 1e-12)


@given(st.integers(0, 2**16), st.sampled_from([(3,), (2, 5), (2, 1, 3)]), st.booleans())
def test_embedding_and_linear(seed: int, shape: tuple[int, ...], bias: bool) -> None:
    rng = np.random.default_rng(seed)
    table, dense = ml.Embedding(7, 3, dtype=np.float64, rng=0), ml.Linear(3, 5, bias=bias, dtype=np.float64, rng=0)
    for layer in (table, dense):
        for value in layer.params.values():
            value[...] = rng.standard_normal(value.shape)
        put(layer)
    ids = put(rng.integers(0, 7, shape))
    x = table(ids)
    assert x.tobytes() == embedding(ids, table.params["W"]).tobytes()
    close(dense(x), linear(x, dense.params["W"], dense.params.get("b")), 1e-12)
