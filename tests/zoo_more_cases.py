"""Three more ways of writing, and mistakes in them: at first the diagnosis was judged on them, then they helped to change it.

The rows are as in zoo_cases. As this GRU has its reset gate before the product, lines 5 and 6 are read as what they become
there: the gradient of r, and the way back through r to the old state.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from zoo_cases import Bug, Sizes, Style, _draw


def _paper_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.forward, m.backward), _draw(rng, (T, N, D), *[(H, D)] * 4, *[(H, H)] * 4, *[(H,)] * 4)


def _blocks_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.lstm_network, m.lstm_network_back), _draw(rng, (N, T, D), (D + H, 4 * H), (4 * H,), (N, H), (N, H))


def _kernels_gru(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.gru_layer, m.gru_layer_backward), _draw(rng, (N, T, D), (N, H), (D + H, 2 * H), (2 * H,), (D + H, H), (H,))


MORE_STYLES: dict[str, Style] = {style.name: style for style in [
    Style("paper_lstm", "paper_lstm", "lstm", "pair", _paper_lstm, True),
    Style("blocks_lstm", "blocks_lstm", "lstm", "pair", _blocks_lstm, True),
    Style("kernels_gru", "kernels_gru", "gru", "pair", _kernels_gru, True),
]}

MORE_BUGS: list[Bug] = []


def _bugs(style: str, kind: str, *rows: tuple[Any, ...]) -> None:
    """Add the bugs of one style and kind; a row is (old, new, lines, where, about) and perhaps ``differs``."""
    MORE_BUGS.extend(Bug(style, old, new, frozenset(lines), where, about, kind, *differs)
                     for old, new, lines, where, about, *differs in rows)


_bugs(
    "paper_lstm", "carries",
    ("del_c[t + 1] * f[t + 1]", "del_c[t + 1] * f[t]", {7}, "carry of c", "The cell's carry takes f of the wrong step."),
    (" + del_c[t + 1] * f[t + 1]", "", {7, 11}, "carry of c", "What came to the cell from the step after is not added."),
    ("del_i[t + 1] @ Ri", "del_i[t] @ Ri", {1}, "i in dh_prev",
     "The index t finds the zeros that are not yet filled in, so the input gate is left out of the carry."),
    ("del_z[t + 1] @ Rz", "del_z[t + 1] @ Rz.T", {1}, "c in dh_prev", "Rz is transposed, and being square it fits."),
    (" + del_f[t + 1] @ Rf + del_o[t + 1] @ Ro", " + del_f[t + 1] @ Rf + del_o[t + 1] @ Rf", {1}, "o in dh_prev",
     "The output gate's delta goes back by the forget gate's matrix."),
)
_bugs(
    "paper_lstm", "cell",
    ("dsigm(f_in[t])", "dsigm(f[t])", {6}, "f",
     "The derivative, a function of the pre-activation, is given the activated gate."),
    ("o[t] * dtanh(c[t])", "o[t] * dtanh(np.tanh(c[t]))", {11}, "dc", "tanh is applied twice to the cell state."),
    ("i[t] * dtanh(z_in[t])", "i[t] * dsigm(z_in[t])", {3}, "c", "The block input goes back by the sigmoid's derivative."),
    ("del_c[t] * z[t] *", "del_c[t] * z_in[t] *", {9}, "i", "The input gate is paired with the candidate before its tanh."),
    ("del_c[t] * c[t - 1] *", "del_c[t] * y[t - 1] *", {10}, "f", "The forget gate is paired with the old hidden state."),
    ("del_y * o[t] * dtanh(c[t])", "del_o[t] * o[t] * dtanh(c[t])", {11}, "dc",
     "The cell gets the output gate's delta where it should get dh."),
    ("np.tanh(c[t]) * dsigm(o_in[t])", "c[t] * dsigm(o_in[t])", {12}, "o", "The output gate is paired with c, not tanh(c)."),
    ("z[t] * dsigm(i_in[t])\n        del_z[t] = del_c[t] * i[t] * dtanh(z_in[t])",
     "z[t]\n        del_z[t] = del_c[t] * i[t] * dtanh(z[t])", {3, 5}, "i and c",
     "Two slips: the input gate lacks σ', and the block input's tanh' is taken at its activated value."),
    ("del_c[t] * c[t - 1] *", "del_c[t] * (c[t] - c[t - 1]) *", {}, "f",
     "The forget gate is paired with the cell's change over the step: a formula nobody would guess."),
)
_bugs(
    "paper_lstm", "sums",
    ("delta[1:T], y[:T - 1]", "delta[:T], y[:T]", {2}, "dR", "R's gradients are taken with the output of the same step."),
    ("delta[:T], x)", "delta[1:], x)", {2}, "dW", "x is paired with the delta of the step after."),
    ("delta.sum(axis=(0, 1))", "delta.mean(axis=1).sum(axis=0)", {2}, "db", "The biases take the mean over the batch."),
    ("\"dx\": del_z[:T] @ Wz + del_i", "\"dx\": del_i", {1}, "c in dx", "The block input is left out of dx."),
)
_bugs(
    "paper_lstm", "behaviour",
    ("del_y = Delta[t] + del_z", "del_y = Delta[t]\n        del_y += del_z", {}, "Delta",
     "The carry is added in the caller's array.", False),
    ("    return grads", "    for g in grads.values():\n        np.clip(g, -0.2, 0.2, out=g)\n    return grads", {},
     "all gradients",
     "The gradients are clipped inside backward."),
)

_bugs(
    "blocks_lstm", "carries",
    ("        dc = dc_prev\n", "", {7}, "carry of c", "dc_prev is computed and not handed on, so dc goes back without f."),
    ("        dc = dc_prev\n", "        dc = dc + dc_prev\n", {7}, "carry of c",
     "dc_prev is added to dc; it should replace it."),
    ("dh = dh + dhs[:, t]", "dh = dhs[:, t]", {1}, "carry of h", "What came from the step after is not added."),
    ("dc = dc + tanh_back", "dc = tanh_back", {7, 11}, "carry of c", "What came to c from the step after is overwritten."),
    ("dx[:, t], dh = np.split(dv, [D], axis=1)", "dx[:, t], dh = dv[:, :D], dv[:, :H]", {1}, "carry of h",
     "h's share is cut from the start of [x, h]."),
    ("dh, dc = np.zeros((N, H)), dc_last", "dh, dc = np.zeros((N, H)), np.zeros((N, H))", {}, "dc_last",
     "The gradient of the last cell state is ignored."),
    ("return dx, dW, db, dh, dc", "return dx, dW, db, dc, dh", {1, 7}, "dh0 and dc0",
     "The gradients of the two initial states are returned in the wrong order."),
)
_bugs(
    "blocks_lstm", "cell",
    ("return dout * s * (1 - s)", "return dout * (1 - s)", {4, 5, 6}, "i, f, o", "The shared σ' lacks its factor s."),
    ("return dout * (1 - th * th)", "return dout * (1 - th) ** 2", {3, 11}, "c and dc",
     "The shared tanh' squares the whole bracket."),
    ("tanh_back(dtc, fr.tc)", "tanh_back(dtc, fr.c)", {11}, "dc", "tanh' of the cell is taken with c in place of tanh(c)."),
    ("multiply_back(dh, fr.o, fr.tc)", "multiply_back(dh, fr.o, fr.c)", {12}, "o", "The output gate is paired with c."),
    ("tanh_back(dg, fr.g)", "sigmoid_back(dg, fr.g)", {3}, "c", "The candidate goes back by the sigmoid's rule."),
    ("sigmoid_back(do, fr.o)", "do", {4}, "o", "σ' is missing for the output gate."),
    ("multiply_back(dwritten, fr.i, fr.g)", "multiply_back(dwritten, fr.g, fr.i)", {8, 9}, "i and c",
     "The partners of input gate and candidate are swapped."),
    ("[da_o, da_f, da_i, da_g]", "[da_i, da_f, da_o, da_g]", {4, 5}, "i and o",
     "The blocks of i and o stand in another order than in the forward."),
    ("dkept, dwritten = dc, dc", "dkept, dwritten = dc / 2, dc / 2", {7, 8, 9, 10, 11}, "dc",
     "The sum kept + written is thought to share its gradient out, half to each."),
    ("        df, dc_prev = multiply_back(dkept, fr.f, fr.c_prev)\n",
     "        df, dc_prev = multiply_back(dkept, fr.f, fr.c)\n", {10}, "f",
     "The forget gate is paired with the new cell state."),
    ("tanh_back(dtc, fr.tc)", "dtc * fr.f * (1 - fr.tc)", {}, "dc",
     "f and 1 - tanh(c) stand in place of tanh'(c): a formula nobody would guess."),
)
_bugs(
    "blocks_lstm", "sums",
    ("dW += dW_t", "dW = dW_t", {2}, "dW", "Only the first step's share is left in dW."),
    ("v.T @ dout, dout.sum(axis=0)", "v.T @ dout / len(v), dout.sum(axis=0) / len(v)", {2}, "dW and db",
     "The weights' gradients are divided by the batch size."),
    ("da_i, da_g]), fr.v, W)", "da_i, da_g]), frames[t - 1].v, W)", {2}, "dW", "[x, h] is that of the step before."),
    ("dW_t\n        db += db_t\n        dx[:, t], dh = np.split(dv, [D], axis=1)\n        dc = dc_prev\n",
     "dW_t\n        db = db_t\n        dx[:, t], dh = np.split(dv, [D], axis=1)\n        dc = dc_prev * fr.f\n", {2, 7},
     "db and carry of c", "Two slips: db keeps one step only, and the cell's carry has the factor f twice."),
)
_bugs(
    "blocks_lstm", "behaviour",
    ("return dx, dW, db, dh, dc", "return dx, dW + 0.01 * W, db, dh, dc", {}, "dW", "Weight decay is added inside backward."),
    ("fr = frames[t]\n", "fr = frames.pop()\n", {}, "cache", "backward uses its cache up.", False),
)

_bugs(
    "kernels_gru", "carries",
    ("g_prev = g_state * u\n", "g_prev = np.zeros_like(g_state)\n", {8}, "carry of h", "The direct path is forgotten."),
    ("g_state = g_state + g_outputs[:, t]", "g_state = g_outputs[:, t]", {1, 8}, "carry of h",
     "What came from the step after is not added."),
    ("g_prev = g_prev + g_rh * r", "g_prev = g_prev + g_rh", {1, 6, 8}, "carry of h",
     "The factor r is forgotten on the way back to the old state."),
    ("        g_prev = g_prev + g_rh * r\n", "", {1, 6, 8}, "carry of h",
     "The candidate's way back to the old state is forgotten."),
    ("        g_prev = g_prev + g_xh[:, features:]\n", "", {1}, "r and u in dh_prev",
     "The gates' way back to the old state is forgotten."),
    ("g_state = g_final\n", "g_state = np.zeros_like(g_final)\n", {}, "g_final",
     "The gradient of the final state is ignored."),
)
_bugs(
    "kernels_gru", "cell",
    ("g_state * (state - cand)", "g_state * (cand - state)", {9}, "z", "The update gate's gradient has the wrong sign."),
    ("g_state * (state - cand)", "g_state * state", {9}, "z", "The candidate's share of the update gate is forgotten."),
    ("g_cand = g_state * (1 - u)", "g_cand = g_state * u", {10}, "n", "u stands in place of 1 - u."),
    ("g_cand * (1 - cand ** 2)", "g_cand * (1 - np.tanh(cand) ** 2)", {7}, "n", "tanh is applied once more to the candidate."),
    ("g_r * r * (1 - r)", "g_r", {3}, "r", "σ' is missing for the reset gate."),
    ("g_u * u * (1 - u)", "g_u * u * (1 - r)", {4}, "z", "A copied line: r is left standing in the update gate's σ'."),
    ("g_r = g_rh * state", "g_r = g_pre * state", {5}, "r", "The reset gate's gradient skips the candidate's matrix."),
    ("np.c_[g_r * r * (1 - r), g_u * u * (1 - u)]", "np.c_[g_u * u * (1 - u), g_r * r * (1 - r)]", {3, 4}, "r and z",
     "The blocks of r and u stand in another order than in the forward."),
    ("g_cand = g_state * (1 - u)\n        g_prev = g_state * u\n", "g_cand = g_state\n        g_prev = g_state\n", {8, 10},
     "n and carry of h", "Two slips: 1 - u is missing for the candidate, and u on the direct path."),
    ("g_state * (state - cand)", "g_state * (state - cand) * cand", {}, "z",
     "The update gate's gradient is multiplied by the candidate: a formula nobody would guess."),
)
_bugs(
    "kernels_gru", "sums",
    ("xrh.T @ g_pre", "xh.T @ g_pre", {2}, "g_cand_kernel", "The candidate's kernel is paired with h in place of r * h."),
    ("g_gate_bias += g_gates", "g_gate_bias = g_gates", {2}, "g_gate_bias", "Only one step is kept."),
    ("    g_inputs.reverse()\n", "", {1}, "dx", "dx comes out in reversed order."),
    ("g_x = g_x + g_xh[:, :features]", "g_x = g_xh[:, :features]", {1}, "n in dx",
     "The candidate's share of dx is overwritten."),
    ("        g_gate_kernel += xh.T @ g_gates\n", "        g_gate_kernel += xrh.T @ g_gates\n", {2}, "g_gate_kernel",
     "The gates' kernel is paired with r * h in place of h."),
)
_bugs(
    "kernels_gru", "behaviour",
    ("        g_state = g_prev\n", "        g_state = np.clip(g_prev, -0.1, 0.1)\n", {}, "carry of h",
     "The carry is clipped at each step."),
)
