"""Of no single file: layers against the oracle of reference.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from backends import on_host, put
from cases import Case, cases, close, upstream_sum
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import complex_step, embedding, last_output, linear, recurrent

import minilstm as ml


def expected(case: Case, x: Any, state: Any, params: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    """What the oracle says a layer returns: (y, final states)."""
    y, final = recurrent(case.kind, params, x, state, num_layers=case.num_layers, bidirectional=case.bidirectional,
                         **case.options)
    return (y if case.return_sequences else last_output(final[0], case.bidirectional)), final


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
