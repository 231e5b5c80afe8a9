"""The emulator itself: that it computes what a kernel says, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builder import compiler
from emulator import Emulated, EmulationError, emulate_elementwise, kernels, recorded

pytestmark = pytest.mark.skipif(compiler() is None, reason="g++ is not installed, so nothing can be emulated")

SOURCE = r"""
extern "C" __global__ void place(int* x, const float* y, int n) {
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e < n) x[e] = 1000 * blockIdx.y + 100 * threadIdx.y + e + (y ? (int)y[0] : 0);
}
extern "C" __global__ void __launch_bounds__(64) reverse(int* x) {
    __shared__ int values[64];
    values[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void unset(float* x) {
    __shared__ float value;
    if (blockIdx.x == 0) value = 1;
    x[blockIdx.x] = value;
}
extern "C" __global__ void diverge(int* x) {
    if (threadIdx.x) __syncthreads();
    x[0] = 1;
}
extern "C" __global__ void outside(int* x, int place) { x[place] = 1; }
"""


def run(name: str, grid: Any, block: Any, *arguments: Any) -> None:
    Emulated(SOURCE, name).launch(grid, block, arguments)


def test_kernels_are_found() -> None:
    assert kernels(SOURCE) == ["place", "reverse", "unset", "diverge", "outside"]


def test_places_and_null_pointers() -> None:
    x = np.zeros(6, np.int32)
    run("place", (2,), (4, 1), x, np.uint64(0), np.int32(6))
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    run("place", (1, 2), (2, 3), x, np.full(1, 7, np.float32), np.int32(2))       # the last in each place stays
    assert x.tolist() == [1207, 1208, 2, 3, 4, 5]


def test_barriers_and_shared_memory() -> None:
    for seed in (0, 1, 5):
        x = np.arange(64, dtype=np.int32)
        Emulated(SOURCE, "reverse").launch((1,), (64,), [x], seed=seed)
        assert x.tolist() == list(range(63, -1, -1))
    y = np.zeros(2, np.float32)
    run("unset", (2,), (1,), y)
    assert y[0] == 1 and np.isnan(y[1])


REFUSED: dict[str, tuple[str, Any, str]] = {
    "dtype": ("place", lambda: [np.zeros(2, np.int64), None, np.int32(2)], "argument 0: expected an array of int32"),
    "Python int": ("place", lambda: [np.zeros(2, np.int32), None, 2], "argument 2: expected int32, got int64"),
    "number for an array": ("place", lambda: [np.int32(3), None, np.int32(2)], "expected an array or a null pointer"),
    "too few": ("place", lambda: [np.zeros(2, np.int32)], "takes 3 arguments, got 1"),
    "strided": ("place", lambda: [np.zeros(4, np.int32)[::2], None, np.int32(2)], "not contiguous"),
    "diverging barrier": ("diverge", lambda: [np.zeros(1, np.int32)], "returned while others wait"),
    "before the array": ("outside", lambda: [np.zeros(3, np.int32), np.int32(-1)], "wrote outside an array"),
    "behind the array": ("outside", lambda: [np.zeros(3, np.int32), np.int32(3)], "wrote outside an array"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str) -> None:
    name, make, words = REFUSED[what]
    with pytest.raises(EmulationError, match=words):
        run(name, (1,), (2,), *make())


def test_arrays_that_overlap_are_refused_where_one_is_written_to() -> None:
    x = np.zeros(8, np.int32)
    with pytest.raises(EmulationError, match="overlaps"):
        Emulated("extern \"C\" __global__ void f(int* x, const int* y) { x[0] = y[0]; }", "f").launch(
            (1,), (1,), [x[:4], x[2:6]])


@pytest.mark.parametrize(("source", "words"), [("nonsense", "does not"), ("#if\n", "does not")])
def test_what_does_not_compile(source: str, words: str) -> None:
    with pytest.raises(EmulationError, match=words):
        Emulated(source, "f")
    with pytest.raises(EmulationError, match="no kernel"):
        Emulated(SOURCE, "other")


def test_launches_are_kept_as_they_were() -> None:
    x = np.arange(64, dtype=np.int32)
    with recorded() as launches:
        run("reverse", (1,), (64,), x)
    run("reverse", (1,), (64,), x)
    launch, = launches
    assert (launch.name, launch.grid, launch.block) == ("reverse", (1,), (64,)) and launch.arguments[0].tolist() == x.tolist()


def test_elementwise_kernels() -> None:
    scale = emulate_elementwise("T x, raw T y, float32 a", "T z, int32 w", "z = x * a + y[i % y.size()]; w = (int)_ind.size()")
    z, w = scale(np.ones((2, 3), np.float32), np.arange(6, dtype=np.float32)[::2], 2.5)
    assert z.dtype == np.float32 and z.tolist() == [[2.5, 4.5, 6.5]] * 2 and w.tolist() == [[6] * 3] * 2
    step = emulate_elementwise("T g, T lr", "T p", "p -= lr * g")
    p = np.ones((2, 3))
    assert step(np.arange(3.0), 0.5, p.T.copy().T) is not p and step(np.arange(3.0), 0.5, p) is p
    assert p.tolist() == [[1, 0.5, 0]] * 2
    flags = emulate_elementwise("raw bool ok, T x", "T y", "y = ok[0] ? x : (T)NAN")
    assert np.isnan(flags(np.array([False]), np.ones(2))).all()


@pytest.mark.parametrize(("arguments", "words"), [
    ((np.ones(2), np.ones(2, np.float32)), "T is float64 and float32"), ((np.ones(2),), "expected 2 inputs"),
    ((np.ones(2), np.ones(2), np.ones(3)), "shape mismatch"),
    ((np.ones((1, 2)), np.ones(2), np.ones((1, 1))), "an output is not of shape"),
])
def test_elementwise_arguments_that_do_not_fit(arguments: Any, words: str) -> None:
    with pytest.raises((EmulationError, ValueError), match=words):
        emulate_elementwise("T x, T y", "T z", "z = x + y")(*arguments)
    for text in ("T i", "T _x", "T x y"):
        with pytest.raises(EmulationError):
            emulate_elementwise(text, "T z", "z = 1")
