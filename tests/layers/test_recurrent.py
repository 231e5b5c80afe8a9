"""The rules every recurrent core and layer keeps, beyond returning the right numbers.

Steps chained are the sequence; padding is invisible; nothing the caller owns is written; a cache can be used twice and
does not depend on what the caller does to his arrays afterwards; states can be carried from chunk to chunk; dtypes stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from backends import backend, put, xp
from cases import LAYERS, Case, cases, close
from cell_tests import frozen
from hypothesis import given
from hypothesis import strategies as st

import minilstm as ml
from minilstm.backend.passes import one_pass

single = {"num_layers": 1, "bidirectional": False, "return_sequences": True}


@given(cases(padding=st.sampled_from(["post", "pre"]), T=7), st.sampled_from([np.nan, np.inf, 1e308]), st.booleans())
def test_padding_is_invisible(case: Case, garbage: float, fast: bool) -> None:
    results = []
    for value in (0.0, garbage):
        layer, x = case.layer(), xp.where(case.real()[:, :, None], case.x(), value)
        layer.fast = fast
        y, state = layer(x, case.pack(case.state()), return_state=True, **case.options)
        dx, dstate = layer.backward(case.dy(), case.pack(case.dstate()))
        results.append([y, *case.unpack(state), dx, *case.unpack(dstate), *layer.grads.values()])
    assert frozen(results[0]) == frozen(results[1])
    padded = put(~case.real())
    assert not results[1][1 + len(case.state())][padded].any()      # dx
    if case.return_sequences:
        assert not results[1][0][padded].any()                      # y


@given(cases(padding=st.sampled_from(["post", "pre"]), T=7, return_sequences=True), st.booleans())
def test_gradient_of_padded_outputs_is_ignored(case: Case, fast: bool) -> None:
    results = []
    for value in (0.0, 1e6):
        layer = case.layer()
        layer.fast = fast
        layer(case.x(), case.pack(case.state()), **case.options)
        dy = xp.where(case.real()[:, :, None], xp.ones((case.N, case.T, case.H * case.directions)), value)
        results.append([*layer.backward(dy), *layer.grads.values()])
    assert frozen(results[0]) == frozen(results[1])


@given(cases(return_sequences=True))
def test_final_states_are_the_carried_states(case: Case) -> None:
    y, state = case.layer()(case.x(), case.pack(case.state()), return_state=True, **case.options)
    lengths = case.lengths() if case.padding != "none" else [case.T] * case.N
    h = case.unpack(state)[0]
    for n, length in enumerate(lengths):
        first, last = (case.T - length, case.T - 1) if case.padding == "pre" else (0, length - 1)
        assert y[n, last, :case.H].tobytes() == h[-case.directions, n].tobytes()
        if case.bidirectional:
            assert y[n, first, case.H:].tobytes() == h[-1, n].tobytes()


@given(cases())
def test_full_lengths_are_no_lengths(case: Case) -> None:
    layer, state = case.layer(), case.pack(case.state())
    for padding in ("post", "pre"):
        close(layer(case.x(), state, lengths=xp.full(case.N, case.T), padding=padding), layer(case.x(), state), 1e-13)


@given(cases())
def test_layers_write_nothing_the_caller_owns(case: Case) -> None:
    layer, given_arrays = case.layer(), [case.x(), *case.state(), case.dy(), *case.dstate()]
    x, dy = given_arrays[0], given_arrays[1 + len(case.state())]
    state, dstate = given_arrays[1:1 + len(case.state())], given_arrays[2 + len(case.state()):]
    for array in given_arrays:
        if array is not None:
            (array if backend() == "numpy" else array.get()).flags.writeable = False      # a device has no such flag
    options = case.options
    before = frozen([given_arrays, layer.params, options.get("lengths")])
    for _ in range(2):
        layer(x, case.pack(tuple(state)), return_state=True, **options)
        once = [g.copy() for g in layer.grads.values()]
        layer.backward(dy, case.pack(tuple(dstate)))
    assert frozen([given_arrays, layer.params, options.get("lengths")]) == before
    for total, half in zip(layer.grads.values(), once):      # the second backward added the same again
        close(total, 2 * half, 1e-13)


@given(cases(padding="none", bidirectional=False, return_sequences=True, T=7), st.integers(1, 6))
def test_chunks_with_carried_states_are_the_whole(case: Case, cut: int) -> None:
    whole, parts, x, dy = case.layer(), case.layer(), case.x(), case.draw(9, (case.N, 7, case.H))
    y, state = whole(x, case.pack(case.state()), return_state=True)
    with one_pass():
        y1, carried = parts(x[:, :cut], case.pack(case.state()), return_state=True)
        y2, last = parts(x[:, cut:], carried, return_state=True)
    close(xp.concatenate([y1, y2], axis=1), y, 1e-13)
    for mine, theirs in zip(case.unpack(last), case.unpack(state), strict=True):
        close(mine, theirs, 1e-13)
    # Truncated: the second chunk's gradient of its initial state is dropped.  Handed on, the gradient is the whole one.
    dx, dstate = whole.backward(dy, case.pack(case.dstate()))
    dx2, handed_on = parts.backward(dy[:, cut:], case.pack(case.dstate()))
    dx1, dstate0 = parts.backward(dy[:, :cut], handed_on)
    gradients = [xp.concatenate([dx1, dx2], axis=1), *case.unpack(dstate0), *parts.grads.values()]
    for got, want in zip(gradients, [dx, *case.unpack(dstate), *whole.grads.values()], strict=True):
        close(got, want, 1e-12)


@given(cases(num_layers=1, bidirectional=False))
def test_two_dimensional_states_come_back_two_dimensional(case: Case) -> None:
    flat, full = case.layer(), case.layer()
    state = tuple(s[0] for s in case.state())
    dstate = tuple(None if s is None else s[0] for s in case.dstate())
    y, last = flat(case.x(), case.pack(state), return_state=True, **case.options)
    y3, last3 = full(case.x(), case.pack(case.state()), return_state=True, **case.options)
    dx, dstate0 = flat.backward(case.dy(), case.pack(dstate))
    dx3, dstate3 = full.backward(case.dy(), case.pack(case.dstate()))
    assert frozen([y, dx]) == frozen([y3, dx3])
    pairs = zip([*case.unpack(last), *case.unpack(dstate0)], [*case.unpack(last3), *case.unpack(dstate3)], strict=True)
    for two, three in pairs:
        assert frozen(two) == frozen(three[0])


@given(cases(num_layers=2, return_sequences=True), st.booleans())
def test_dropout_between_layers_is_a_dropout_layer(case: Case, training: bool) -> None:
    """Two layers with dropout are layer, Dropout, layer: the same masks from the same generator, the same gradients."""
    options: dict[str, Any] = {"bidirectional": case.bidirectional, "dtype": np.float64, "rng": 0, **case.named}
    make = LAYERS[case.kind]
    both = make(case.D, case.H, 2, dropout=0.5, **options)
    both.rng = np.random.default_rng(5)
    apart = ml.Sequential(make(case.D, case.H, **options), ml.Dropout(0.5, rng=5),
                          make(case.H * case.directions, case.H, **options))
    for name, value in case.weights().items():
        both.params[name][...] = value
        apart[2 if "_l1" in name else 0].params[name.replace("_l1", "")][...] = value
    put([both, apart])
    y = both.train(training)(case.x(), **case.options)
    close(y, apart.train(training)(case.x(), **case.options), 1e-13)
    if training:
        close(both.backward(xp.ones_like(y)), apart.backward(xp.ones_like(y)), 1e-13)
        for name, value in both.grads.items():
            close(value, apart[2 if "_l1" in name else 0].grads[name.replace("_l1", "")], 1e-13)


@given(cases(states=False))
def test_backward_returns_the_gradient_of_states_that_were_in_play(case: Case) -> None:
    """A pair when the forward was given or asked for states, or backward is given their gradient; else dx alone."""
    layer = case.layer()
    for state, asked, dstate in ((None, False, None), (case.state(), False, None), (None, True, None),
                                 (None, False, case.state(4))):
        y = layer(case.x(), state and case.pack(state), return_state=asked, **case.options)
        dy = xp.ones_like(y[0] if asked else y)
        back = layer.backward(dy, dstate and case.pack(dstate))
        if state is None and not asked and dstate is None:
            assert back.shape == (case.N, case.T, case.D)
        else:
            assert [s.shape for s in case.unpack(back[1])] == [s.shape for s in case.state()]
