"""The CUDA kernels of the recurrent layers, run on the CPU, against the readable functions in float64.

The same bodies run on a GPU with ``pytest -m gpu``. What needs the emulator, such as threads in a random order, does not.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from builder import compiler
from emulator import shuffled
from twins import CELLS, Call, backward, expected, forward, measured, off, rows_of_a_block, twin

from minilstm.kernels.cuda import sequence

pytestmark = pytest.mark.skipif(compiler() is None, reason="g++ is not installed, so the kernels cannot be emulated")

# Blocks that are full and blocks that are partly empty, a single row, a single step; sizes up to the largest.
SIZES: dict[str, dict[str, Any]] = {
    "one row": {"H": 32, "rows": 1, "N": 1},
    "one step": {"H": 32, "rows": 1, "N": 2, "T": 1},
    "rows 4 of 6": {"H": 32, "rows": 4, "N": 6, "D": 5},
    "rows 2 of 5": {"H": 64, "rows": 2, "N": 5},
    "rows 8 of 9": {"H": 96, "rows": 8, "N": 9, "T": 4},
    "rows 4 of 7": {"H": 128, "rows": 4, "N": 7, "T": 3},
    "one row each": {"H": 128, "rows": 1, "N": 3, "T": 4},
    "fused": {"H": 7, "rows": 0, "N": 5},
    "fused, one row, one step": {"H": 1, "rows": 0, "N": 1, "T": 1},
    "fused, large": {"H": 160, "rows": 0, "T": 3}}
FORMS: tuple[dict[str, Any], ...] = (
    {"padding": "none"}, {"padding": "post", "states": False}, {"padding": "pre"},
    {"padding": "post", "upstream": "states"}, {"padding": "pre", "upstream": "outputs"})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", CELLS)
def test_kernels_agree_with_the_readable_functions(cell: str, size: str, device: Any, worst: list[float]) -> None:
    for form in FORMS:
        call = Call(cell, **{**SIZES[size], **form})
        error = off(measured(call, device), expected(call))
        worst.append(error)
        assert error <= 1e-5, f"{call}: off by {error:.1e}"


@pytest.mark.parametrize("rows", [0, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_in_float64_nothing_but_rounding_is_left(cell: str, rows: int, device: Any) -> None:
    for form in FORMS:
        call = Call(cell, rows=rows, N=6, T=7, dtype=np.float64, **form)
        assert off(measured(call, device), expected(call)) <= 1e-12


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_order_of_threads_and_blocks_does_not_matter(cell: str, rows: int, standin: Any) -> None:
    call = Call(cell, rows=rows, N=5, padding="pre")
    straight = measured(call, standin)
    for seed in (1, 2, 3):
        with shuffled(seed):
            assert [a.tobytes() for a in measured(call, standin)] == [a.tobytes() for a in straight]


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_backward_leaves_the_cache_alone_unless_it_may_consume_it(cell: str, rows: int, device: Any) -> None:
    call = Call(cell, rows=rows, padding="post")
    dh, dstates = call.gradients()
    upstream = device.asarray(dh), [device.asarray(d) for d in dstates]
    with rows_of_a_block(rows):
        _, cache = forward(call, twin(call), [device.asarray(x) for x in call.inputs()])
        results = [backward(call, twin(call), *upstream, cache, consume=consume) for consume in (False, False, True)]
    for first, *others in zip(*results):
        assert all(first.get().tobytes() == other.get().tobytes() for other in others)


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_at_padded_steps_does_not_matter(cell: str, rows: int, device: Any) -> None:
    for padding in ("post", "pre"):
        call = Call(cell, rows=rows, N=4, padding=padding)
        mask = np.arange(call.T) >= call.lengths()[:, None] if padding == "post" else \
            np.arange(call.T) < call.T - call.lengths()[:, None]
        x, *rest = call.inputs()
        dh, dstates = call.gradients()
        assert x is not None and dh is not None
        x[mask], dh[mask] = np.nan, np.nan
        with rows_of_a_block(rows):
            h, cache = forward(call, twin(call), [device.asarray(a) for a in (x, *rest)])
            made = backward(call, twin(call), device.asarray(dh), [device.asarray(d) for d in dstates], cache)
        assert off([a.get() for a in (h, *cache.last, *made)], expected(call)) <= 1e-5


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_and_cache_can_be_left_out(cell: str, rows: int, device: Any) -> None:
    call = Call(cell, rows=rows, padding="pre")
    inputs = [device.asarray(x) for x in call.inputs()]
    with rows_of_a_block(rows):
        h, cache = forward(call, twin(call), inputs)
        nothing, short = forward(call, twin(call), inputs, outputs=False, keep=False)
        again, _ = forward(call, twin(call), inputs, keep=False)
    assert nothing is None and short.x is None and short.h is None and short.values == ()
    assert h.get().tobytes() == again.get().tobytes()
    assert [a.get().tobytes() for a in short.last] == [a.get().tobytes() for a in cache.last]


@pytest.mark.parametrize("cell", CELLS)
def test_persistent_kernels_take_a_dozen_calls_whatever_the_length(cell: str, standin: Any) -> None:
    for T in (2, 9):
        counts = _counted(Call(cell, T=T, padding="post"), standin)
        assert counts == _counted(Call(cell, T=3, padding="post"), standin)
        assert all(launches <= 12 and syncs == uploads == 0 for launches, syncs, uploads in counts)


@pytest.mark.parametrize("cell", CELLS)
def test_fused_kernels_take_two_calls_a_step(cell: str, standin: Any) -> None:
    for T in (1, 8):
        (ahead, *waits), (back, *also) = _counted(Call(cell, H=5, T=T, rows=0, padding="pre"), standin)
        assert ahead <= 2 * T + 20 and back <= 2 * T + 20 and not any(waits + also)


def _counted(call: Call, xp: Any) -> list[tuple[int, int, int]]:
    """Device calls, syncs and uploads of forward and of backward, given lengths on the device."""
    inputs = [xp.asarray(x) for x in call.inputs()]
    dh, dstates = call.gradients()
    upstream = xp.asarray(dh), [xp.asarray(d) for d in dstates]
    there = dataclasses.replace(call, padding="none")
    lengths = {"lengths": xp.asarray(call.lengths().astype(np.int32)), "padding": call.padding}
    with rows_of_a_block(call.rows):
        forward(there, twin(call), inputs, **lengths)           # the first call asks how large the device is
        with xp.counted() as ahead:
            _, cache = forward(there, twin(call), inputs, **lengths)
        with xp.counted() as back:
            backward(call, twin(call), *upstream, cache, consume=True)
    return [(counts.launches, counts.syncs, counts.uploads) for counts in (ahead, back)]


def test_lengths_on_the_host_are_uploaded_once_and_only_if_they_say_something(standin: Any) -> None:
    like = standin.zeros(1)
    with standin.counted() as counts:
        assert sequence.device_lengths(np.full(3, 5), 5, like) is None
        assert sequence.device_lengths(None, 5, like) is None
    assert counts.uploads == 0
    with standin.counted() as counts:
        lengths = sequence.device_lengths(np.array([1, 5, 2]), 5, like)
    assert counts.uploads == 1 and lengths.dtype == np.int32 and lengths.get().tolist() == [1, 5, 2]
    assert sequence.device_lengths(lengths, 5, like) is lengths


@pytest.mark.parametrize("value", [-(2 ** 31) + 1, 0, 6, 2 ** 31 - 1])
def test_lengths_on_the_device_that_make_no_sense_stay_inside_the_arrays(value: int, device: Any) -> None:
    call = Call("lstm", rows=2)
    for padding in ("post", "pre"):
        lengths = device.asarray(np.array([value, 2, 3], np.int32))
        with rows_of_a_block(2):
            h, _ = forward(call, twin(call), [device.asarray(x) for x in call.inputs()], lengths=lengths, padding=padding)
        real = (h.get() != 0).any(axis=2).sum(axis=1)
        assert real.tolist() == [min(max(value, 0), call.T), 2, 3]
