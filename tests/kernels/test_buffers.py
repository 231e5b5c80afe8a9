"""Of no single file: reusable memory: no buffer is handed out twice at the same time, and the number of idle buffers is
limited.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from cases import close
from hypothesis import given
from hypothesis import strategies as st

import minilstm as ml
from minilstm.kernels.cpu.buffers import MAX_BUFFERS, Memory


def test_memory_serves_again() -> None:
    memory = Memory()
    small, large = memory.take((10, 25), np.float32), memory.take((50_000_000,), np.uint8)
    places = small.ctypes.data, large.ctypes.data
    memory.give([small, large])
    assert memory.take((20_000_000,), np.uint8).ctypes.data == places[1]        # the smallest that is large enough
    third = memory.take((1_001,), np.uint8)
    assert third.ctypes.data != places[0]
    assert memory.take((100,), np.float64).ctypes.data == places[0]
    memory.give([large])
    assert memory.take((1_000_000,), np.uint8).ctypes.data != places[1]         # that would be a waste


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3_000_000)), max_size=40))
def test_nobody_shares_memory(calls: list[tuple[bool, int]]) -> None:
    memory, held = Memory(), list[np.ndarray]()
    for takes, number in calls:
        if takes or not held:
            held.append(memory.take((number, 2), np.float32))
            assert held[-1].shape == (number, 2) and held[-1].dtype == np.float32 and held[-1].flags.c_contiguous
        else:
            memory.give([held.pop(number % len(held))])
        edges = sorted((buffer.ctypes.data, buffer.ctypes.data + buffer.nbytes) for buffer in held if buffer.nbytes)
        assert all(stop <= start for (_, stop), (start, _) in zip(edges, edges[1:]))
        assert len(memory._free) <= MAX_BUFFERS


@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))],
                         ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("make", [ml.LSTM, ml.GRU, ml.RNN])
def test_a_copy_that_was_made_between_forward_and_backward_goes_back_by_itself(make: Any, make_copy: Any,
                                                                               rng: np.random.Generator) -> None:
    layer, x = make(3, 5, dtype=np.float64, rng=1), rng.standard_normal((33, 41, 3))
    y = layer(x)
    twin = make_copy(layer)
    second = twin(2 * x)                                        # both at once
    gradients = twin.backward(second), layer.backward(y)
    for module, factor, dx in ((layer, 1, gradients[1]), (twin, 2, gradients[0])):
        module.fast = False
        got = module.grads["W"].copy()
        module.zero_grad()
        close(dx, module.backward(module(factor * x)), 1e-12)
        close(got, module.grads["W"], 1e-12)
    assert len(pickle.dumps(layer)) < 10_000
