"""The oracle of reference.py itself, against numbers worked out on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import (complex_step, is_real, last_output, lstm_cell, one_direction, recurrent, relu_cell,
                       sigmoid, tanh_cell)

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
