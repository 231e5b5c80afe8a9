"""What the diagnosis says: the commonest explanation first, and nothing that the numbers do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.gradients.diagnosis.diagnose import Diagnosis, diagnose


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def diagnosed(*, c: str = "f * c_prev + i * g", dc: str = "dc + dh * o * (1 - tc ** 2)", df: str = "dc * c_prev",
              dc_prev: str = "dc * f", plus: str = "+=") -> Diagnosis:
    """Diagnose an LSTM that begins with c = 0, with some of its lines replaced."""
    def forward(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        h, state, out, caches = h0, np.zeros_like(h0), [], []
        for t in range(x.shape[1]):
            c_prev = state
            i, f, o, g = np.split(x[:, t] @ Wx + h @ Wh + b, 4, axis=1)
            i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
            state = eval(c)
            caches.append((x[:, t], h, c_prev, i, f, o, g, np.tanh(state), Wx, Wh))
            h = o * np.tanh(state)
            out.append(h)
        return np.stack(out, axis=1), caches

    def backward(dout: Any, caches: Any) -> Any:
        names = {"dh": np.zeros_like(dout[:, 0]), "dc": np.zeros_like(dout[:, 0]), "np": np}
        dx, sums = [], {"dWx": 0.0, "dWh": 0.0, "db": 0.0}
        for t, (x, h, c_prev, i, f, o, g, tc, Wx, Wh) in reversed(list(enumerate(caches))):
            names |= {"c_prev": c_prev, "i": i, "f": f, "o": o, "g": g, "tc": tc, "dc_next": names["dc"]}
            names["dh"] = names["dh"] + dout[:, t]
            names["dc"] = eval(dc, names)
            da = np.hstack([names["dc"] * g * i * (1 - i), eval(df, names) * f * (1 - f),
                            names["dh"] * tc * o * (1 - o), names["dc"] * i * (1 - g ** 2)])
            names["dc"] = eval(dc_prev, names)
            names["dh"] = da @ Wh.T
            dx.append(da @ Wx.T)
            for name, share in (("dWx", x.T @ da), ("dWh", h.T @ da), ("db", da.sum(axis=0))):
                sums[name] = sums[name] + share if plus == "+=" else share
        return np.stack(dx[::-1], axis=1), names["dh"], *sums.values()
    rng, (N, T, D, H) = np.random.default_rng(0), (2, 4, 3, 5)
    return diagnose((forward, backward), [rng.standard_normal(size) for size in (
        (N, T, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,))], seconds=20.0)


@pytest.mark.parametrize("lines", [{"dc": "dh * o * (1 - tc ** 2)"}, {"dc_prev": "dc_next * f"}, {"dc_prev": "0 * dc"}])
def test_the_commonest_explanation_is_first_and_the_true_one_among_five(lines: dict[str, str]) -> None:
    found = str(diagnosed(**lines))
    assert "with dc = dh * o_t * (1 - tanh²(c_t)); line 11" in found.splitlines()[1]
    assert "or with dc_prev = dc_{t+1} * f_t; line 7" in found and "or with dc_prev = 0; line 7" in found
    assert "0 * " not in found and "help(minilstm.cells.lstm)" in found and found.count(" with ") <= 5


def test_an_overwritten_sum_is_one_mistake() -> None:
    found = diagnosed(plus="=")
    assert [slip.mistake for slip in found.slips] == ["sum_over_time"] and not found.others
    assert "dW, db: = for +=" in str(found) and "zero" not in str(found)


def test_a_sign_in_the_forward_is_one_mistake() -> None:
    found = str(diagnosed(c="f * c_prev - i * g"))
    assert "c_t = f_t * c_{t-1} - i_t * c̃_t in the forward, where the equation is" in found and "other" not in found


def test_what_the_zero_state_hides_is_not_called_a_carry() -> None:
    found = str(diagnosed(df="dc * np.sin(c_prev + 0.3 * c_prev ** 2)"))
    assert "hides at the first step" in found and "the gradients in" in found and "of gate" not in found


def test_gradcheck_says_why_there_is_no_diagnosis() -> None:
    with pytest.raises(ml.GradientError, match="is none of the RNN, GRU and LSTM of minilstm.cells, so the mistake"):
        ml.gradcheck((lambda x: (x * x, x), lambda dy, x: dy * x), np.array([1.0, 2.0]))
