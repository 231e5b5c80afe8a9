"""What every cell must do, as functions of a case; tests/cells makes tests of them for its own cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from backends import on_host, put, xp
from cases import Case, cases, close, core_backward, core_forward, upstream_sum
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from reference import complex_step, recurrent

import minilstm as ml
from minilstm.backend.checks import is_array

FINITE, COMPLEX = 1e-6, 1e-10


def check(target: Any, inputs: Any, **options: Any) -> None:
    __tracebackhide__ = True
    report = ml.gradcheck(put(target), put(inputs), tolerance=FINITE, complex_tolerance=COMPLEX, **options)
    assert not np.isnan(report.worst("complex")), "complex step was not possible"


def frozen(value: Any) -> Any:
    """The bytes of everything inside a cache or a list of arrays, to be compared later."""
    if is_array(value):
        return value.dtype.str, value.shape, value.tobytes()
    return [frozen(part) for part in value] if isinstance(value, (tuple, list)) else repr(value)


def core_inputs(case: Case) -> tuple[Any, Any, Any, Any]:
    params = case.params()
    return case.x(), tuple(s[0] for s in case.state()) if case.states else None, params["W"], params["b"]


def forward_equals_the_oracle(case: Case) -> None:
    """The sequence forward, against loops over the equations."""
    params, state = case.params(), case.state() if case.states else case.zero_state()
    y, final = recurrent(case.kind, params, case.x(), state, **case.options)
    h, c_last, _ = core_forward(case, case.x(), tuple(s[0] for s in state) if case.states else None, params["W"], params["b"])
    close(h, y, 1e-12)
    if case.kind == "lstm":
        close(c_last, final[1][0], 1e-12)


def backward_equals_the_oracle(case: Case) -> None:
    """The sequence backward, against complex step through those loops."""
    dh, dstate = case.dy(), [None if d is None else d[0] for d in case.dstate()]

    def scalar(arrays: list[Any]) -> Any:
        x, *state, W, b = arrays
        y, final = recurrent(case.kind, {"W": W, "b": b}, x, tuple(s[None] for s in state), **case.options)
        return upstream_sum(on_host([(y, dh), *((s[0], d) for s, d in zip(final, dstate))]))

    arrays = [case.x(), *(s[0] for s in case.state()), case.params()["W"], case.params()["b"]]
    _, _, cache = core_forward(case, arrays[0], tuple(arrays[1:-2]), arrays[-2], arrays[-1])
    names = ("dx", "dh0", "dc0", "dW", "db") if case.kind == "lstm" else ("dx", "dh0", "dW", "db")
    gradients = core_backward(case, dh, dstate[-1], cache, dh_last=dstate[0])
    for name, got, want in zip(names, gradients, complex_step(scalar, arrays), strict=True):
        assert (name, got.shape) == (name, want.shape)
        close(got, want, 1e-12)


def gradients_of_the_sequence_are_right(case: Case) -> None:
    """Every gradient of the sequence, numerically, with weights in float32, too: gradcheck brings everything to float64."""
    __tracebackhide__ = True
    state: list[Any] = [s[0] for s in case.state()] if case.states else [None] * len(case.state())
    W, b = case.params()["W"], case.params()["b"]
    if case.seed % 2:
        W, b = W.astype(np.float32), b.astype(np.float32)
    pair, options = (case.function("forward"), case.function("backward")), {**case.options, **case.named}
    upstream: list[Any] = [case.draw(7, (case.N, case.T, case.H))]
    if case.kind == "lstm":
        upstream.append(case.draw(8, (case.N, case.H)))
        if case.upstream != "all":
            upstream[int(case.upstream == "outputs")] = None
    check(pair, (case.x(), *state, W, b), upstream=upstream, **options)


def gradients_of_a_step_are_right(case: Case) -> None:
    """Every gradient of a step, numerically."""
    __tracebackhide__ = True
    state = [s[0] for s in case.state()]
    pair = case.function("step"), case.function("step_backward")
    check(pair, (case.x()[:, 0], *state, case.params()["W"], case.params()["b"]), **case.named)


def steps_chained_are_the_sequence(case: Case) -> None:
    """Steps chained by hand give the sequence, forward and backward."""
    x, state, W, b = core_inputs(case)
    h, c_last, cache = core_forward(case, x, state, W, b)
    caches = []
    for t in range(case.T):
        if case.kind == "lstm":
            *state, step_cache = ml.lstm_step(x[:, t], *state, W, b)
        else:
            *state, step_cache = case.function("step")(x[:, t], *state, W, b, **case.named)
        caches.append(step_cache)
        close(h[:, t], state[0], 1e-13)
    dy, (*_, dc) = case.state(6)[0], case.state(7)
    dh, dc = xp.zeros((case.N, case.H)), dc[0]
    dy = case.draw(8, h.shape)
    sequence = core_backward(case, dy, dc if case.kind == "lstm" else None, cache)
    dW, db, dx = xp.zeros_like(W), xp.zeros_like(b), xp.zeros_like(x)
    for t in reversed(range(case.T)):
        if case.kind == "lstm":
            dx[:, t], dh, dc, dW_t, db_t = ml.lstm_step_backward(dy[:, t] + dh, dc, caches[t])
        else:
            dx[:, t], dh, dW_t, db_t = case.function("step_backward")(dy[:, t] + dh, caches[t])
        dW, db = dW + dW_t, db + db_t
    chained = (dx, dh, dc, dW, db) if case.kind == "lstm" else (dx, dh, dW, db)
    if case.kind == "lstm":
        close(c_last, state[1], 1e-13)
    for got, want in zip(sequence, chained, strict=True):
        close(got, want, 1e-12)


def pure_and_backward_repeats(case: Case) -> None:
    """Nothing that the caller owns is written, and backward can be repeated."""
    inputs = core_inputs(case)
    before = frozen(inputs)
    h, c_last, cache = core_forward(case, *inputs)
    in_cache, dh, dc = frozen(cache), case.dy(), case.dstate()[-1]
    dc = dc[0] if case.kind == "lstm" and dc is not None else None
    upstream = frozen([dh, dc])
    first = frozen(core_backward(case, dh, dc, cache))
    second = frozen(core_backward(case, dh, dc, cache))
    assert first == second and frozen(inputs) == before and frozen(cache) == in_cache and frozen([dh, dc]) == upstream


def a_cache_outlives_the_callers_arrays(case: Case) -> None:
    """Only W and b are kept by reference: they are the parameters, which nobody changes between forward and backward."""
    results = []
    for spoil in (False, True):
        x, state, W, b = core_inputs(case)
        h, c_last, cache = core_forward(case, x, state, W, b)
        for array in (x, *(state or ()), h, c_last):
            if spoil and array is not None:
                array.fill(9.0)
        results.append(frozen(core_backward(case, xp.ones_like(h), None, cache)))
    assert results[0] == results[1]


SEQUENCES = {"return_sequences": True}


def tests_of(kind: Any) -> list[Callable[..., None]]:
    """Return the tests of a cell; those of the gradients first, which name the line of the derivation that is wrong.

    A failing case is reported as it was drawn: it is small, and looking for a smaller one takes a minute.
    """
    def drawn(examples: int, check_case: Callable[[Case], None], **fields: Any) -> Callable[..., None]:
        @settings(max_examples=examples, phases=(Phase.explicit, Phase.reuse, Phase.generate))
        @given(cases(kind=kind, num_layers=1, bidirectional=False, **fields))
        def test(case: Case) -> None:
            __tracebackhide__ = True
            check_case(case)
        return test

    return [
        drawn(10, gradients_of_a_step_are_right, T=1),
        drawn(20, gradients_of_the_sequence_are_right, **SEQUENCES),
        drawn(40, forward_equals_the_oracle),
        drawn(15, backward_equals_the_oracle, **SEQUENCES, states=True, T=st.sampled_from([1, 2, 4]),
              D=st.sampled_from([1, 3])),
        drawn(40, steps_chained_are_the_sequence, **SEQUENCES, padding="none", states=True),
        drawn(40, pure_and_backward_repeats, **SEQUENCES),
        drawn(40, a_cache_outlives_the_callers_arrays, **SEQUENCES)]
