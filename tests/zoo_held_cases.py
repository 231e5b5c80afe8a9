"""Three ways of writing, and mistakes in them, on which the diagnosis is judged.

The rows are as in zoo_cases. This GRU has its reset gate after the product, and z is the weight of the candidate: in the
derivation's lines z and 1 - z change places.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from zoo_cases import Bug, Sizes, Style, _draw


def _factors_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.forward, m.backward), _draw(rng, (T, D, N), *[(H, H + D), (H, 1)] * 4)


def _tape_lstm(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.run, m.run_back), _draw(rng, (N, T, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,))


def _mix_gru(m: ModuleType, rng: np.random.Generator, s: Sizes) -> tuple[Any, Any]:
    N, T, D, H = s["N"], s["T"], s["D"], s["H"]
    return (m.gru_fwd, m.gru_bwd), _draw(rng, (N, T, D), (N, H), (3 * H, D), (3 * H, H), (3 * H,), (3 * H,))


HELD_STYLES: dict[str, Style] = {style.name: style for style in [
    Style("held_factors_lstm", "held_factors_lstm", "lstm", "pair", _factors_lstm, True),
    Style("held_tape_lstm", "held_tape_lstm", "lstm", "pair", _tape_lstm, True),
    Style("held_mix_gru", "held_mix_gru", "gru", "pair", _mix_gru, True),
]}

HELD_BUGS: list[Bug] = []


def _bugs(style: str, kind: str, *rows: tuple[Any, ...]) -> None:
    """Add the bugs of one style and kind; a row is (old, new, lines, where, about) and perhaps ``differs``."""
    HELD_BUGS.extend(Bug(style, old, new, frozenset(lines), where, about, kind, *differs)
                     for old, new, lines, where, about, *differs in rows)


_bugs(
    "held_factors_lstm", "carries",
    ("dL_dc = dL_dc_next + dL_dh * dh_dc", "dL_dc = dL_dh * dh_dc", {7, 11}, "carry of c",
     "What comes from the next step along the cell is forgotten: c is thought to have one source only."),
    ("        dL_dh_next = dL_dhx[:H]\n", "        dL_dh_next = dL_dh_next + dL_dhx[:H]\n", {1}, "carry of h",
     "The carry of h is added to the last one instead of replacing it."),
    ("dL_dc_next = dL_dc * m[\"f\"]", "dL_dc_next = dL_dh * dh_dc * m[\"f\"]", {7}, "carry of c",
     "Only the share through h goes on to the step before, not what came along the cell."),
    ("dL_dc_next = dL_dc * m[\"f\"]", "dL_dc_next = dL_dc * m[\"f\"] * (1 - m[\"f\"])", {7}, "carry of c",
     "The carry of c is multiplied by the slope of the forget gate in place of the gate."),
)
_bugs(
    "held_factors_lstm", "cell",
    ("m[\"o\"] * (1 - np.tanh(m[\"c\"]) ** 2)", "m[\"o\"] * (1 - m[\"c\"] ** 2)", {11}, "dc",
     "tanh' is written for an activated value but gets c itself."),
    ("dg_dz = 1 - m[\"g\"] ** 2", "dg_dz = 1 - np.tanh(m[\"g\"]) ** 2", {3}, "g", "tanh' of the activated candidate."),
    ("di_dz = m[\"i\"] * (1 - m[\"i\"])", "di_dz = m[\"zi\"] * (1 - m[\"zi\"])", {5}, "i",
     "s(1 - s) is applied to the pre-activation."),
    ("dh_do = np.tanh(m[\"c\"])", "dh_do = m[\"h\"]", {12}, "o", "h is taken for tanh(c): one factor o too many."),
    ("dL_df = dL_dc * m[\"c_prev\"]", "dL_df = dL_dc * m[\"c\"]", {10}, "f", "The new cell state in place of the old one."),
    ("        dL_di = dL_dc * m[\"g\"]\n        dL_dg = dL_dc * m[\"i\"]\n",
     "        dL_di = dL_dc * m[\"i\"]\n        dL_dg = dL_dc * m[\"g\"]\n", {8, 9}, "i and g",
     "Each factor of i * g is given itself instead of its partner."),
    ("        do_dz = m[\"o\"] * (1 - m[\"o\"])\n        dg_dz = 1 - m[\"g\"] ** 2\n",
     "        do_dz = 1\n        dg_dz = m[\"g\"] * (1 - m[\"g\"])\n", {3, 4}, "o and g",
     "Two slips: the output gate has no σ', and the candidate goes back as if it were a sigmoid."),
)
_bugs(
    "held_factors_lstm", "sums",
    ("grads[\"dx\"][t] = dL_dhx[H:]", "grads[\"dx\"][t] = dL_dhx[:-H]", {1}, "dx",
     "The slice leaves H rows off the end, which would be right for [x, h]."),
    ("grads[\"dW\" + gate] += delta", "grads[\"dW\" + gate] = delta", {2}, "dW",
     "The weights' gradients keep only the first step, the last one visited."),
)
_bugs(
    "held_factors_lstm", "behaviour",
    ("        dL_dh_next = dL_dhx[:H]\n", "        dL_dh_next = np.clip(dL_dhx[:H], -0.1, 0.1)\n", {}, "carry of h",
     "The carry of h is clipped at each step against exploding gradients."),
)

_bugs(
    "held_tape_lstm", "carries",
    ("    dc = dc_last\n", "    dc = np.zeros_like(dc_last)\n", {7, 11}, "dc_last",
     "The gradient of the final cell state is ignored."),
    ("        dc = dc * f\n", "        if t > 0:\n            dc = dc * act[:, t - 1, 2 * k:3 * k]\n", {7}, "carry of c",
     "The carry of c takes the forget gate of the step before, and so none at the first step."),
    ("        dh = da[:, t].dot(Wh.T)\n", "        dh = da[:, t, k:].dot(Wh[:, k:].T)\n", {1}, "g in dh_prev",
     "Only the three sigmoid gates send h something back; the candidate is left out."),
    ("        dh = dh + dy[:, t]\n", "        dh = dy[:, t]\n", {1}, "carry of h",
     "h is thought to have one source: dy overwrites what came from the step after or the final state."),
)
_bugs(
    "held_tape_lstm", "cell",
    ("dc = dc + dh * o * (1 - tc * tc)", "dc = dc + dh * (1 - tc * tc)", {11}, "dc", "The output gate is missing."),
    ("dc * cs[:, t] * f * (1 - f)", "dc * cs[:, t] * (1 - f)", {6}, "f", "Half of the sigmoid's slope is missing."),
    ("dc = dc + dh * o * (1 - tc * tc)", "dc = dc + dh * o * (1 - hs[:, t + 1] ** 2)", {11}, "dc",
     "The slope of tanh is taken at h, which is o * tanh(c)."),
    ("dc * i * (1 - g * g)", "dc * i * (1 - g)", {3}, "g", "The square is forgotten in tanh'."),
    ("        dc = dc * f\n", "        dc = dc * f / (f + i)\n", {}, "carry of c",
     "The carry is divided by f + i as if the two gates were weights of a mean: a formula nobody would guess."),
)
_bugs(
    "held_tape_lstm", "sums",
    ("hs[:, :-1].reshape(n * steps, k)", "hs[:, 1:].reshape(n * steps, k)", {2}, "dWh",
     "Wh is paired with the state after each step instead of the one before."),
    ("x.reshape(n * steps, d).T.dot(flat)", "x.transpose(1, 0, 2).reshape(n * steps, d).T.dot(flat)", {2}, "dWx",
     "x is flattened time first and the deltas batch first, so that rows of different examples meet."),
    ("    db = flat.sum(axis=0)\n", "    db = da[:, 1:].sum(axis=(0, 1))\n", {2}, "db", "The bias misses the first step."),
)
_bugs(
    "held_tape_lstm", "behaviour",
    ("        dh = dh + dy[:, t]\n", "        dh += dy[:, t]\n", {}, "dh_last",
     "dy is added in place, at the last step in the caller's array.", False),
)

_bugs(
    "held_mix_gru", "carries",
    ("        gh = gh + g_rec @ W_hh\n", "        gh = g_rec @ W_hh\n", {8}, "carry of h",
     "The direct path from h to h' is overwritten."),
    ("        gh = gh + g_rec @ W_hh\n", "        gh = gh + g_in @ W_hh\n", {1}, "n in dh_prev",
     "The candidate's delta goes back without r: the deltas for x are used for h."),
    ("        gh = gh * (1 - z)\n", "        gh = gh * z\n", {8}, "carry of h", "z and 1 - z are confused on the way back."),
    ("        gh = gh + g_rec @ W_hh\n", "        gh = gh + ghn @ W_hh[-n.shape[1]:]\n", {1}, "r and z in dh_prev",
     "Only the candidate sends h something back; both gates are left out."),
)
_bugs(
    "held_mix_gru", "cell",
    ("gz = gh * (n - h)", "gz = gh * (h - n)", {9}, "z", "The sign belongs to the other convention for z."),
    ("        gn = gh * z\n        gh = gh * (1 - z)\n", "        gh = gh * (1 - z)\n        gn = gh * z\n", {10}, "n",
     "gh is already scaled for the direct path when the candidate takes its share: 1 - z too much."),
    ("gr = gxn * hn", "gr = gxn * h", {5}, "r", "r is paired with the old state, as if it stood before the product."),
    ("gr = gxn * hn", "gr = ghn * hn", {5}, "r", "The delta has already been multiplied by r."),
    ("gxn = gn * (1 - n ** 2)", "gxn = gn * n * (1 - n)", {7}, "n", "The candidate goes back by the rule of the sigmoid."),
    ("gr = gxn * hn", "gr = gxn * np.tanh(hn) / 2", {}, "r",
     "Half the tanh of the past's share: a formula nobody would guess."),
)
_bugs(
    "held_mix_gru", "sums",
    ("gb_hh += g_rec.sum(0)", "gb_hh += g_in.sum(0)", {2}, "db_hh", "The two biases get the same gradient."),
    ("        gz = gz * z * (1 - z)\n        gr = gr * r * (1 - r)\n        # the two affine maps\n"
     "        g_in = np.concatenate([gr, gz, gxn], axis=-1)\n",
     "        gr = gr * r * (1 - r)\n        # the two affine maps\n"
     "        g_in = np.concatenate([gr, gz, ghn], axis=-1)\n", {1, 2, 4}, "z, and n in dx",
     "Two slips: the update gate has no σ', and the input's share of the candidate is multiplied by r."),
)
_bugs(
    "held_mix_gru", "behaviour",
    ("saved[t]\n", "saved.pop()\n", {}, "cache", "The cache is popped while it is read.", False),
)
