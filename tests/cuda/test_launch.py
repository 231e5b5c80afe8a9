"""The launch helper: what it refuses, and which kernels it picks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.kernels.cuda import launch, plan
from minilstm.kernels.cuda.launch import Kernel, Pointer


class Launched:
    """A kernel that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *call: Any) -> None:
        self.calls.append(call)


def kernel() -> Kernel:
    return Kernel("probe", np.dtype(np.float32), Launched())


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "dtype": (lambda xp: Pointer(xp.zeros((2, 3)), (2, 3)), ml.DtypeError, "expected float32, got float64"),
    "dtype of its own": (lambda xp: Pointer(xp.zeros(2, np.int64), (2,), np.int32), ml.DtypeError, "expected int32"),
    "shape": (lambda xp: Pointer(xp.zeros((3, 2), np.float32), (2, 3)), ml.ShapeError, r"expected shape \(2, 3\)"),
    "transposed": (lambda xp: Pointer(xp.zeros((3, 2), np.float32).T, (2, 3)), ml.BackendError, "not contiguous"),
    "bare array": (lambda xp: xp.zeros(2, np.float32), ml.DtypeError, "expected an int, a NumPy number or a Pointer"),
    "Python float": (lambda xp: 0.5, ml.DtypeError, "got float"),
    "large int": (lambda xp: 2 ** 31, ml.ShapeError, "does not fit into 32 bits"),
    "bool": (lambda xp: True, ml.DtypeError, "got bool"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_arguments_that_do_not_fit_are_refused(what: str, standin: Any) -> None:
    make, error, words = REFUSED[what]
    probe = kernel()
    with pytest.raises(error, match=f"probe: argument 1: .*{words}"):
        launch.launch(probe, 1, 32, 5, make(standin))
    assert not probe.function.calls


def test_an_array_on_another_device_is_refused(standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "current_device", lambda: 1)
    with pytest.raises(ml.BackendError, match="on device 0, the current device is 1"):
        launch.launch(kernel(), 1, 32, Pointer(standin.zeros(2, np.float32), (2,)))


def test_arguments_get_the_kernels_types(standin: Any) -> None:
    probe, x = kernel(), standin.zeros((2, 3), np.float32)
    launch.prepare(probe, (4, 2), 32, 7, Pointer(x, (2, 3)), Pointer(None, (9,)), np.float32(0.5), np.int64(8))(3)
    (grid, block, arguments), = probe.function.calls
    assert grid == (4, 2, 1) and block == (32, 1, 1)
    assert arguments[1] is x and [type(a) for a in arguments[2:]] == [np.uint64, np.float32, np.int64, np.int32]
    assert type(arguments[0]) is np.int32 and arguments[2] == 0


def test_without_blocks_nothing_is_launched(standin: Any) -> None:
    probe = kernel()
    launch.launch(probe, 0, 32, 1)
    launch.launch(probe, (3, 0), 32, 1)
    assert not probe.function.calls and launch.blocks_for(0) == 0
    assert launch.blocks_for(1) == launch.blocks_for(launch.THREADS) == 1 and launch.blocks_for(launch.THREADS + 1) == 2


def test_modules_are_compiled_once(standin: Any) -> None:
    first, second = (launch.kernel("lstm", "lstm_forward_step", np.float32) for _ in range(2))
    assert first.function is second.function
    assert launch.kernel("lstm", "lstm_forward_step", np.float64).function is not first.function
    with pytest.raises(ml.DtypeError, match="float16"):
        launch.kernel("lstm", "lstm_forward_step", np.float16)


def test_which_sizes_fit() -> None:
    for cell in plan.GATES:
        assert [H for H in range(1, 300) if plan.fits(cell, H, np.float32)] == [32, 64, 96, 128]
        assert plan.fits(cell, 32, np.float64) and not plan.fits(cell, 32, np.complex64)
    assert not plan.fits("other", 32, np.float32)


@pytest.mark.parametrize(("N", "rows"), [(1, 1), (40, 1), (41, 2), (80, 2), (81, 4), (160, 4), (161, 8), (5000, 8)])
def test_a_block_takes_as_few_rows_as_possible(N: int, rows: int) -> None:
    assert plan.rows_for(N, 40, np.float32) == rows and plan.rows_for(N, 40, np.float64) == min(rows, 4)


def test_shared_memory_is_what_every_device_has() -> None:
    for cell, gates in plan.GATES.items():
        for dtype in (np.float32, np.float64):
            rows = plan.rows_for(10 ** 6, 1, dtype)
            assert 2 * rows * (gates + (cell == "gru")) * plan.LARGEST * np.dtype(dtype).itemsize <= 48 * 1024
            for r in plan.ROWS:
                macros = plan.defines(cell, 96, r, dtype)
                assert macros["HELD"] % 4 == 0 and 0 < macros["HELD"] <= 96 and macros["HIDDEN"] == 96
