"""Of no single file: the fast twins of the sequence functions against the readable ones, and against the oracle's loops.

The numbers of rows and steps are chosen around those at which ``kernels.cpu.sequence`` cuts rows into chunks and steps into
blocks. Gradients are compared with the oracle along a random direction of each argument: one complex step gives
Σ gradient · direction, whatever the number of elements.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np
import pytest
from cases import KINDS, Case, cases, close, upstream_sum
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import CELLS, one_direction

import minilstm as ml
from minilstm.kernels.cpu import gru, lstm, rnn
from minilstm.kernels.cpu.sequence import SequenceCache

pytestmark = pytest.mark.usefixtures("steps")

TWINS: dict[str, Any] = {"lstm": lstm, "gru": gru, "tanh": rnn, "relu": rnn}
SHAPES = [(1, 1, 2, 3), (1, 1031, 3, 2), (3, 7, 5, 2), (17, 61, 2, 3), (33, 1, 5, 3), (33, 41, 3, 5), (70, 31, 5, 7),
          (130, 53, 3, 2)]                                              # N, T, D, H


def make(kind: str, shape: tuple[int, int, int, int], padding: str = "none", states: bool = True) -> Case:
    N, T, D, H = shape
    return Case(kind, padding=padding, states=states, N=N, T=T, D=D, H=H, seed=N + T)


def inputs(case: Case) -> list[Any]:
    """[x, h0, c0, W, b], the states None where the case has none; without c0 but for an LSTM."""
    states = [s[0] if case.states else None for s in case.state()]
    return [case.x(), *states, case.params()["W"], case.params()["b"]]


def gradients_above(case: Case) -> list[Any]:
    """Upstream gradients [of h, of the last h, of the last c]; without the last but for an LSTM."""
    return [case.rng(3).standard_normal((case.N, case.T, case.H)), *(s[0] for s in case.state(4))]


def forward(case: Case, fast: bool, arguments: list[Any], **extra: Any) -> tuple[Any, list[Any], Any]:
    """(outputs, final states, cache) of the twin, or of the readable function."""
    run = case.function("forward", TWINS[case.kind] if fast else None)
    h, *c_last, cache = run(*arguments, **case.options, **case.named, **extra)
    last = [cache.last[0] if fast else cache.h[-1], *c_last]
    assert isinstance(cache, SequenceCache) == fast
    return h, last, cache


def backward(case: Case, fast: bool, above: list[Any], cache: Any, **extra: Any) -> tuple[Any, ...]:
    """(dx, dh0, dc0, dW, db), without dc0 but for an LSTM, given [dh, dh_last, dc_last]."""
    dh, dh_last, *dc_last = above
    run = case.function("backward", TWINS[case.kind] if fast else None)
    return run(dh, *dc_last, cache, dh_last=dh_last, **extra)


def everything(case: Case, fast: bool, arguments: list[Any], above: list[Any]) -> list[Any]:
    """Outputs, final states and all gradients."""
    h, last, cache = forward(case, fast, arguments)
    return [h, *last, *backward(case, fast, above, cache)]


def compare(case: Case, tolerance: float = 1e-12) -> None:
    arguments, above = inputs(case), gradients_above(case)
    for got, want in zip(everything(case, True, arguments, above), everything(case, False, arguments, above), strict=True):
        assert got.dtype == want.dtype
        close(got, want, tolerance)


def digests(arrays: Any) -> list[str]:
    """Equal where the bytes are; short enough to be shown."""
    return [hashlib.sha256(array.tobytes()).hexdigest()[:12] for array in arrays]


# Against the readable functions -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("padding", ["none", "post", "pre"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_twin_equals_the_readable_functions(kind: str, shape: tuple[int, int, int, int], padding: str) -> None:
    compare(make(kind, shape, padding, states=False))
    compare(make(kind, shape, padding))


@pytest.mark.parametrize("kind", KINDS)
def test_any_upstream_gradient_may_be_missing(kind: str) -> None:
    case = make(kind, (35, 37, 3, 2), "pre")
    arguments, above = inputs(case), gradients_above(case)
    (*_, cache), (*_, plain) = forward(case, True, arguments), forward(case, False, arguments)
    for given_ones in itertools.product([True, False], repeat=len(above)):
        some = [d if there else None for d, there in zip(above, given_ones)]
        for got, want in zip(backward(case, True, some, cache), backward(case, False, some, plain), strict=True):
            close(got, want, 1e-12)


@pytest.mark.parametrize("padding", ["none", "post", "pre"])
@pytest.mark.parametrize("shape", [(1, 5, 3, 2), (70, 31, 5, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_without_outputs_and_without_keeping(kind: str, shape: tuple[int, int, int, int], padding: str) -> None:
    case = make(kind, shape, padding)
    h, last, _ = forward(case, True, inputs(case))
    for outputs, keep in itertools.product([True, False], repeat=2):
        again, state, cache = forward(case, True, inputs(case), outputs=outputs, keep=keep)
        assert (again is None) != outputs and (not outputs or digests([again]) == digests([h]))
        assert digests(state) == digests(last) and bool(cache.chunks) == keep


@pytest.mark.parametrize("shape", [(70, 31, 5, 3), (35, 11, 64, 64)])
@pytest.mark.parametrize("kind", KINDS)
def test_float32(kind: str, shape: tuple[int, int, int, int]) -> None:
    case = make(kind, shape, "post")
    exact = everything(case, False, inputs(case), gradients_above(case))
    single = [[a.astype(np.float32) for a in arrays] for arrays in (inputs(case), gradients_above(case))]
    got, forwards = everything(case, True, *single), 1 + len(case.state())
    assert {a.dtype for a in got} == {np.dtype(np.float32)}
    for k, (mine, best) in enumerate(zip(got, exact, strict=True)):
        allowed = 1e-5 * max(1.0, np.abs(best).max()) if k < forwards else 1e-4 * np.abs(best).max()
        assert np.abs(mine - best).max() <= allowed


# Against the oracle -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("padding", ["none", "post", "pre"])
@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (1, 7, 2, 3), (3, 5, 2, 3), (17, 3, 3, 2), (33, 3, 2, 3), (70, 2, 3, 2),
                                   (130, 2, 2, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_twin_equals_the_oracle(kind: str, shape: tuple[int, int, int, int], padding: str, rng: np.random.Generator) -> None:
    case = make(kind, shape, padding)
    arguments, above = inputs(case), gradients_above(case)

    def oracle(x: Any, *rest: Any) -> list[Any]:
        *state, W, b = rest
        y, final = one_direction(CELLS[kind], x, tuple(state), W, b, **case.options)
        return [y, *final]

    h, last, cache = forward(case, True, arguments)
    for got, want in zip([h, *last], oracle(*arguments), strict=True):
        close(got, want, 1e-12)
    for k, gradient in enumerate(backward(case, True, above, cache)):
        direction = rng.standard_normal(gradient.shape)
        moved = [a + 1e-30j * direction if j == k else a for j, a in enumerate(arguments)]
        slope = upstream_sum(list(zip(oracle(*moved), above, strict=True))).imag / 1e-30
        size = np.sum(np.abs(gradient * direction))
        assert abs(np.sum(gradient * direction) - slope) <= 1e-12 * max(1.0, size), f"argument {k}"


@pytest.mark.parametrize("padding", ["none", "post", "pre"])
@pytest.mark.parametrize("kind", KINDS)
def test_complex_forward(kind: str, padding: str) -> None:
    case = make(kind, (33, 3, 2, 3), padding)
    x, *state, W, b = [a + 0.1j * case.rng(9).standard_normal(a.shape) for a in inputs(case)]
    h, last, _ = forward(case, True, [x, *state, W, b], keep=False)
    y, final = one_direction(CELLS[kind], x, tuple(state), W, b, **case.options)
    for got, want in zip([h, *last], [y, *final], strict=True):
        assert got.dtype == np.complex128
        close(got, want, 1e-12)


# Arrays of the caller, and memory -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("padding", ["post", "pre"])
@pytest.mark.parametrize("shape", [(1, 11, 3, 2), (33, 41, 3, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_at_padded_steps_does_not_matter(kind: str, shape: tuple[int, int, int, int], padding: str) -> None:
    case = make(kind, shape, padding)
    (x, *rest), (dh, *dlast), real = inputs(case), gradients_above(case), case.real()[:, :, None]
    assert not real.all()
    results = [digests(everything(case, True, [np.where(real, x, junk), *rest], [np.where(real, dh, junk), *dlast]))
               for junk in (0.0, np.nan, np.inf)]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("padding", ["none", "post", "pre"])
@pytest.mark.parametrize("shape", [(1, 11, 3, 2), (3, 7, 5, 1), (33, 11, 3, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_callers_is_written(kind: str, shape: tuple[int, int, int, int], padding: str) -> None:
    case = make(kind, shape, padding)
    arguments, above = inputs(case), gradients_above(case)
    before = [a.copy() for a in (*arguments, *above)]
    *_, cache = forward(case, True, arguments)
    backward(case, True, above, cache, consume=True)
    assert [np.array_equal(a, b) for a, b in zip((*arguments, *above), before)] == [True] * len(before)


@pytest.mark.parametrize("kind", KINDS)
def test_memory_layout_does_not_matter(kind: str) -> None:
    case = make(kind, (33, 41, 3, 5), "post")
    arguments, above = inputs(case), gradients_above(case)
    awkward = [[np.asfortranarray(np.repeat(a, 2, axis=0))[::2] for a in arrays] for arrays in (arguments, above)]
    assert not any(a.flags.c_contiguous for a in awkward[0])
    assert digests(everything(case, True, *awkward)) == digests(everything(case, True, arguments, above))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_backward_gives_the_same_bytes(kind: str) -> None:
    case = make(kind, (70, 31, 5, 3), "pre")
    above = gradients_above(case)
    *_, cache = forward(case, True, inputs(case))
    first = digests(backward(case, True, above, cache))
    forward(case, True, [0.5 * a for a in inputs(case)])
    assert digests(backward(case, True, above, cache)) == first
    assert digests(backward(case, True, above, cache, consume=True)) == first


@pytest.mark.parametrize("kind", KINDS)
def test_training_steps_that_share_memory(kind: str) -> None:
    """Steps of several sizes, an evaluation in between, and two forwards before their two backwards."""
    kept, before = [], []
    for shape in [(70, 31, 5, 3), (70, 31, 5, 3), (33, 13, 5, 3), (70, 29, 5, 3), (130, 31, 5, 3)]:
        first, second = make(kind, shape), make(kind, shape, "post", states=False)
        runs = [(case, *forward(case, True, inputs(case))) for case in (first, second)]
        forward(first, True, inputs(second), keep=False)
        for case, h, last, cache in reversed(runs):
            arrays = [h, *last, *backward(case, True, gradients_above(case), cache, consume=True)]
            assert digests(arrays) == digests(everything(case, True, inputs(case), gradients_above(case)))
            kept.append(arrays)
            before.append(digests(arrays))
    assert [digests(arrays) for arrays in kept] == before         # no result lies in memory that later steps used


# Layers -------------------------------------------------------------------------------------------------------------------

def layer_results(case: Case, fast: bool) -> list[Any]:
    layer = case.layer()
    layer.fast = fast
    y, state = layer(case.x(), case.pack(case.state()) if case.states else None, return_state=True, **case.options)
    assert isinstance(layer._caches[-1].cells[-1], SequenceCache) == fast
    layer.fast = not fast                   # the forward has decided
    dx, dstate = layer.backward(case.dy(), case.pack(case.dstate()))
    return [y, *case.unpack(state), dx, *case.unpack(dstate), *layer.grads.values()]


@settings(max_examples=60)
@given(cases(N=st.sampled_from([1, 3, 33]), T=st.sampled_from([1, 2, 11])))
def test_layers_fast_and_readable(case: Case) -> None:
    for got, want in zip(layer_results(case, True), layer_results(case, False), strict=True):
        close(got, want, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_of_fast_layers_and_functions(kind: str) -> None:
    stack, alone = Case(kind, 2, True, "pre", N=2, T=2, D=2, H=1), Case(kind, padding="post", N=3, T=5, D=2, H=3)
    assert stack.layer().fast
    fast = alone.function("forward", TWINS[kind])

    def forward(*arrays: Any, **options: Any) -> Any:
        """Twins are called with arrays of one dtype."""
        return fast(*[array.astype(np.result_type(*arrays)) for array in arrays], **options)
    pair = forward, alone.function("backward", TWINS[kind])
    for target, arguments, options in (
            (stack.layer(), (stack.x(), stack.pack(stack.state())), {"return_state": True, **stack.options}),
            (pair, tuple(inputs(alone)), {**alone.options, **alone.named})):
        report = ml.gradcheck(target, arguments, tolerance=1e-6, complex_tolerance=1e-10, **options)
        assert not np.isnan(report.worst("complex"))
