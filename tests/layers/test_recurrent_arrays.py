"""Of no single file: recurrent layers do not mind what the arrays look like: dtype, memory layout, kind of integer; and
W can be looked into.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import xp
from cases import KINDS, Case, cases, close, core_forward
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import recurrent

import minilstm as ml

DTYPES = [(np.float32, np.float32, np.float32), (np.float64, np.float64, np.float64), (np.float32, np.float64, np.float64),
          (np.float64, np.float32, np.float64), (np.complex128, np.complex128, np.complex128)]   # parameters, inputs, results


@settings(max_examples=30)
@given(cases(), st.sampled_from(DTYPES))
def test_dtype_follows_the_inputs(case: Case, dtypes: Any) -> None:
    of_params, of_inputs, of_result = dtypes
    layer = case.layer(of_params)
    x, state = case.x().astype(of_inputs), tuple(s.astype(of_inputs) for s in case.state())
    y, last = layer(x, case.pack(state), return_state=True, **case.options)
    assert {a.dtype for a in (y, *case.unpack(last))} == {np.dtype(of_result)}
    if of_params != np.complex128:
        dx, dstate = layer.backward(xp.ones_like(y))
        assert {a.dtype for a in (dx, *case.unpack(dstate))} == {np.dtype(of_result)}
        assert {a.dtype for a in (*layer.grads.values(), *layer.params.values())} == {np.dtype(of_params)}


@settings(max_examples=30)
@given(cases(num_layers=1, bidirectional=False, return_sequences=True, states=True,
             padding=st.sampled_from(["none", "post", "pre"])))
def test_complex_forward_equals_the_oracle(case: Case) -> None:
    x, state = case.x(), tuple(s[0] for s in case.state())
    W, b = case.params().values()
    x, W, b = x + 0.1j * case.draw(10, x.shape), W * (1 + 0.1j), b * (1 - 0.2j)
    state = tuple(s * (1 + 0.3j) for s in state)
    h, c_last, _ = core_forward(case, x, state, W, b)
    y, final = recurrent(case.kind, {"W": W, "b": b}, x, tuple(s[None] for s in state), **case.options)
    close(h, y, 1e-12)
    if case.kind == "lstm":
        close(c_last, final[1][0], 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_complex_state_beside_a_real_input(kind: str) -> None:
    """As complex step makes one: whatever is complex makes the results complex, on a device too."""
    case = Case(kind, num_layers=2, padding="pre")
    state = tuple(s + 0.1j * case.draw(10, s.shape) for s in case.state())
    y, last = case.layer()(case.x(), case.pack(state), return_state=True, **case.options)
    expected, final = recurrent(kind, case.weights(), case.x(), state, num_layers=2, **case.options)
    close(y, expected, 1e-12)
    for got, want in zip(case.unpack(last), final, strict=True):
        close(got, want, 1e-12)


@given(cases())
def test_memory_layout_does_not_matter(case: Case) -> None:
    results = []
    for awkward in (False, True):
        layer, x, state = case.layer(), case.x(), case.state()
        if awkward:
            x = xp.repeat(xp.asfortranarray(x), 2, axis=0)[::-2][::-1]
            state = tuple(xp.repeat(s, 3, axis=2)[..., ::3] for s in state)
        y, _ = layer(x, case.pack(state), return_state=True, **case.options)
        dy = xp.broadcast_to(np.float64(0.5), y.shape) if awkward else xp.full(y.shape, 0.5)
        dx, dstate = layer.backward(dy)
        results.append([y, dx, *case.unpack(dstate), *layer.grads.values()])
    for got, want in zip(*results, strict=True):
        close(got, want, 1e-13)


@given(cases())
def test_evaluation_mode_gives_the_same_and_keeps_nothing(case: Case) -> None:
    layer = case.layer()
    y = layer(case.x(), **case.options)
    layer.drop_caches()
    assert layer.eval()(case.x(), **case.options).tobytes() == y.tobytes()
    with pytest.raises(ml.BackwardError):
        layer.backward(xp.ones_like(y))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layer_index", [0, 1])
def test_gate_gives_views_in_the_order_f_i_o_c(layer_index: int, reverse: bool) -> None:
    layer, H = Case(num_layers=2, bidirectional=True, H=3).layer(), 3
    end = ("_l1" if layer_index else "") + ("_reverse" if reverse else "")
    for block, name in enumerate("fioc"):
        w, b = layer.gate(name, layer=layer_index, reverse=reverse)
        columns = slice(block * H, (block + 1) * H)
        assert w.tobytes() == layer.params["W" + end][:, columns].tobytes()
        w += 1.0
        b += 1.0
        assert w.tobytes() == layer.params["W" + end][:, columns].tobytes()
        assert b.tobytes() == layer.params["b" + end][columns].tobytes()
