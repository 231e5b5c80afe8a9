"""A third set of slips for the programs of this folder, in the form of tests/repair_set.

Every program is right as it stands. No search for repairs was run on any of them before this table was
finished.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from repair_set import slips as first
from repair_set.slips import Slip, guilty, start, wrong_source

__all__ = ["FOLDER", "NO_CELL", "ODD_CELL", "PROGRAMS", "SLIPS", "Slip", "guilty", "load", "source", "start",
           "target_of", "wrong_source"]

FOLDER = Path(__file__).parent
load = partial(first.load, folder=FOLDER)
source = partial(first.source, folder=FOLDER)


def target_of(program: str, slip: Slip | None = None) -> tuple[Any, Any]:
    """Return what a student would hand to gradcheck: a target, and inputs."""
    return PROGRAMS[program](load(program, slip), np.random.default_rng(0))


# How each program is called ---------------------------------------------------------------------------

N, T, D, H, C = 4, 5, 2, 3, 6


def _draw(rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(0.6 * rng.standard_normal(shape) for shape in shapes)


def _named(rng: np.random.Generator, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return dict(zip(shapes, _draw(rng, *shapes.values())))


def _gru_two_biases(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    shapes = (T, D), (H,), (3 * H, D), (3 * H, H), (3 * H,), (3 * H,)
    return (m.gru_forward, m.gru_backward), _draw(rng, *shapes)


def _lstm_ones_row(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.run, m.run_back), _draw(rng, (T, N, D), (1 + D + H, 4 * H), (N, H), (N, H))


def _lstm_layer_norm(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.NormedLSTM(D, H, rng), _draw(rng, (N, T, D))


def _gru_both_ways(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    there, back = (_named(rng, Wz=(D, H), Wr=(D, H), Wc=(D, H), Uz=(H, H), Ur=(H, H), Uc=(H, H), b=(3, H))
                   for _ in range(2))
    return (m.both_ways, m.both_ways_grad), (*_draw(rng, (N, T, D)), there, back)


def _tied_lm(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.TiedLM(C, H, rng), (rng.integers(C, size=(N, T)), rng.integers(C, size=(N, T)))


def _additive_attention(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    shapes = (4, 3), (T, D), (H,), (4, H), (4, 3), (4,), (2 * H, D + 3 + H), (H, D + 3 + H)
    return m.decode, _draw(rng, *shapes)


def _jordan_net(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    bits, weights = rng.integers(2, size=(T, 4)), _draw(rng, (T, D), (H, D), (H, 4), (4, H), (H,), (4,))
    return (m.jordan_loss, m.jordan_gradient), (weights[0], bits, *weights[1:])


def _qrnn(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.qrnn, m.qrnn_back), _draw(rng, (N, T, D), (D, 4 * H), (D, 4 * H), (4 * H,))


def _lossfun_lstm(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    weights = _draw(rng, (H, 1), *[(H, H + C + 1)] * 4, (C, H), (C, 1))
    return (m.forward, m.backward), ([0, 3, 5, 3, 1], [3, 5, 3, 1, 4], *weights)


def _group_norm(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.GroupNorm(4, 2, rng), (rng.standard_normal((3, 4, 2, 3)),)


def _cross_heads(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    params = _named(rng, q=(4, 4), k=(4, 4), v=(4, 4), o=(4, 4), bo=(4,))
    query, memory = _draw(rng, (3, 3, 4), (3, T, 4))
    return (m.cross_attention, m.cross_attention_backward), (query, memory, [5, 3, 4], params)


def _text_cnn(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.TextCNN(7, H, 4, 3, rng), (rng.integers(7, size=(N, 6)), np.array([2, 0, 1, 1]))


def _vae(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.VAE(6, 4, 2, rng), (rng.integers(2, size=(N, 6)),)


def _skip_gram(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    noise = np.array([[0, 3], [5, 1], [3, 3], [2, 4], [1, 0]])
    return (m.sgns_loss, m.sgns_grad), (np.array([1, 4, 1, 0, 2]), np.array([2, 2, 5, 1, 2]), noise,
                                        *_draw(rng, (6, H), (6, H)))


def _crf_tagger(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    X, *weights = _draw(rng, (6, D), (D, 3), (3, 3), (3,), (3,))
    return (m.crf_nll, m.crf_grads), (X, np.array([0, 2, 2, 1, 0, 2]), *weights)


def _res_blocks(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    blocks = [_named(rng, W1=(4, 4), W2=(4, 4), Wg=(4, 4), slope=(4,), bg=(4,)) for _ in range(2)]
    x, V = _draw(rng, (N, 4), (4, 3))
    return (m.net_loss, m.net_grads), (x, np.array([0, 2, 1, 2]), blocks, V)


PROGRAMS: dict[str, Callable[[ModuleType, np.random.Generator], tuple[Any, Any]]] = {
    "gru_two_biases": _gru_two_biases, "lstm_ones_row": _lstm_ones_row, "lstm_layer_norm": _lstm_layer_norm,
    "gru_both_ways": _gru_both_ways, "tied_lm": _tied_lm, "additive_attention": _additive_attention,
    "jordan_net": _jordan_net, "qrnn": _qrnn, "lossfun_lstm": _lossfun_lstm, "group_norm": _group_norm,
    "cross_heads": _cross_heads, "text_cnn": _text_cnn, "vae": _vae, "skip_gram": _skip_gram,
    "crf_tagger": _crf_tagger, "res_blocks": _res_blocks,
}
NO_CELL = {"group_norm", "cross_heads", "text_cnn", "vae", "skip_gram", "crf_tagger", "res_blocks"}
ODD_CELL = {"lstm_layer_norm", "additive_attention", "jordan_net", "qrnn"}

SLIPS: list[Slip] = []


def _slips(program: str, *rows: tuple[Any, ...]) -> None:
    """Add the slips of one program; a row is (name, kind, right, wrong) and perhaps the number of places."""
    SLIPS.extend(Slip(program, *row)._replace(folder=FOLDER) for row in rows)


_slips(
    "gru_two_biases",
    ("state of later steps forgotten", "carry forgotten", "dh = dout[t] + dh_next", "dh = dout[t]"),
    ("carry without the direct path", "missing term", "dh_next = W_hh.T @ dgh + z * dh",
     "dh_next = W_hh.T @ dgh"),
    ("direct path by 1 - z", "wrong variable", "dh_next = W_hh.T @ dgh + z * dh",
     "dh_next = W_hh.T @ dgh + (1 - z) * dh"),
    ("input side's gradient in the carry", "wrong variable", "dh_next = W_hh.T @ dgh + z * dh",
     "dh_next = W_hh.T @ dgi + z * dh"),
    ("difference the other way round", "sign", 'dz = dh * (s["h"] - n)', 'dz = dh * (n - s["h"])'),
    ("reset gate not on the state's side", "missing factor",
     "dgh = np.concatenate((dr_raw, dz_raw, dn_raw * r))", "dgh = np.concatenate((dr_raw, dz_raw, dn_raw))"),
    ("reset gate before tanh", "wrong variable", 'dr = dn_raw * s["hn"]', 'dr = dn * s["hn"]'),
    ("reset gate with the state itself", "wrong variable", 'dr = dn_raw * s["hn"]', 'dr = dn_raw * s["h"]'),
    ("r and z in the other order, twice", "order",
     "dgi = np.concatenate((dr_raw, dz_raw, dn_raw))\ndgh = np.concatenate((dr_raw, dz_raw, dn_raw * r))",
     "dgi = np.concatenate((dz_raw, dr_raw, dn_raw))\ndgh = np.concatenate((dz_raw, dr_raw, dn_raw * r))", 2),
    ("second bias as the first", "wrong variable", "db_hh += dgh", "db_hh += dgi"),
    ("weights of the last step read only", "accumulation", 'dW_ih += np.outer(dgi, s["x"])',
     'dW_ih = np.outer(dgi, s["x"])'),
    ("sigmoid's slope forgotten", "missing factor", "dr_raw = dr * r * (1 - r)", "dr_raw = dr"),
)
_slips(
    "lstm_ones_row",
    ("steps not turned round", "order", "dXs.reverse()", ""),
    ("gradients turned round, records not", "order", "for dH, s in zip(dHs[::-1], steps[::-1]):",
     "for dH, s in zip(dHs[::-1], steps):"),
    ("row of ones taken for a feature", "slice", "dXs.append(dinp[:, 1:1 + D])", "dXs.append(dinp[:, :D])"),
    ("state's part one too early", "slice", "dh_later = dinp[:, 1 + D:]", "dh_later = dinp[:, D:-1]"),
    ("last cell's own gradient forgotten", "missing term", "dc = dc_last", "dc = np.zeros_like(dc_last)"),
    ("cell's carry dropped", "carry forgotten", "dc = dc + dh * s.o * (1 - s.ct ** 2)",
     "dc = dh * s.o * (1 - s.ct ** 2)"),
    ("cell before instead of the tanh", "wrong variable", "dc = dc + dh * s.o * (1 - s.ct ** 2)",
     "dc = dc + dh * s.o * (1 - s.c_in ** 2)"),
    ("square forgotten", "derivative", "dc * s.i * (1 - s.g ** 2),", "dc * s.i * (1 - s.g),"),
    ("output gate from the cell", "wrong variable", "dh * s.ct * s.o * (1 - s.o),",
     "dc * s.ct * s.o * (1 - s.o),"),
    ("input gate times itself", "wrong variable", "dc * s.g * s.i * (1 - s.i),",
     "dc * s.i * s.i * (1 - s.i),"),
    ("forget gate leaves the carry alone", "missing line", "dc = dc * s.f", ""),
    ("carry through the input gate", "wrong variable", "dc = dc * s.f", "dc = dc * s.i"),
    ("no carry of h", "carry forgotten", "dh = dH + dh_later", "dh = dH"),
)
_slips(
    "lstm_layer_norm",
    ("mean's share forgotten", "missing line", "inner = dunit - dunit.mean(axis=1, keepdims=True)",
     "inner = dunit"),
    ("deviation's share forgotten", "missing line",
     "inner = inner - unit * (dunit * unit).mean(axis=1, keepdims=True)", ""),
    ("deviation's share with the gradient before the gain", "wrong variable",
     "inner = inner - unit * (dunit * unit).mean(axis=1, keepdims=True)",
     "inner = inner - unit * (dout * unit).mean(axis=1, keepdims=True)"),
    ("over the batch as in batch normalisation", "axis",
     "inner = inner - unit * (dunit * unit).mean(axis=1, keepdims=True)",
     "inner = inner - unit * (dunit * unit).mean(axis=0, keepdims=True)"),
    ("gain left out on the way back", "missing factor", "dunit = dout * gain", "dunit = dout"),
    ("times the deviation", "derivative", "return inner / std, dgain", "return inner * std, dgain"),
    ("gain from the gradient of the normed", "order",
     "dgain = (dout * unit).sum(axis=0)\ndunit = dout * gain",
     "dunit = dout * gain\ndgain = (dunit * unit).sum(axis=0)", 2),
    ("cell's carry overwritten", "accumulation", "dc = dc + from_norm", "dc = from_norm"),
    ("norm of the cell skipped", "missing step", "dc = dc + from_norm", "dc = dc + dscaled"),
    ("gains of the two products exchanged", "wrong variable",
     'dprod_h, dgain_h = norm_back(dpre, p["gain_h"], m.norm_h)',
     'dprod_h, dgain_h = norm_back(dpre, p["gain_x"], m.norm_h)'),
    ("input's gradient before the norm", "wrong variable", 'dxs[:, t] = dprod_x @ p["Wx"].T',
     'dxs[:, t] = dpre @ p["Wx"].T'),
    ("tanh's slope under the norm forgotten", "missing factor", "dscaled = dh * o * (1 - m.squashed ** 2)",
     "dscaled = dh * o"),
)
_slips(
    "gru_both_ways",
    ("steps in the order of reading", "order", "for t in reversed(order):", "for t in order:"),
    ("always from the last step", "order", "for t in reversed(order):",
     "for t in reversed(range(x.shape[1])):"),
    ("half forgotten", "scale", "half = dy / 2", "half = dy"),
    ("direction of the other", "wrong variable", "dx_b, g_bw = sweep_grad(half, x, bw, back, trace_b)",
     "dx_b, g_bw = sweep_grad(half, x, bw, there, trace_b)"),
    ("weights of the other", "wrong variable", "dx_b, g_bw = sweep_grad(half, x, bw, back, trace_b)",
     "dx_b, g_bw = sweep_grad(half, x, fw, back, trace_b)"),
    ("input's gradient of one direction", "missing term", "return dx_f + dx_b, g_fw, g_bw",
     "return dx_f, g_fw, g_bw"),
    ("reset path without its gate", "missing factor",
     'dh = dh * z + drh * r + az @ p["Uz"].T + ar @ p["Ur"].T',
     'dh = dh * z + drh + az @ p["Uz"].T + ar @ p["Ur"].T'),
    ("update gate's path forgotten", "missing term",
     'dh = dh * z + drh * r + az @ p["Uz"].T + ar @ p["Ur"].T',
     'dh = dh * z + drh * r + ar @ p["Ur"].T'),
    ("candidate's weights see h alone", "wrong variable", 'g["Uc"] += (r * h).T @ ac', 'g["Uc"] += h.T @ ac'),
    ("reset gate by the gradient of the sum", "wrong variable", "ar = drh * h * r * (1 - r)",
     "ar = dh * h * r * (1 - r)"),
    ("candidate's slope forgotten", "missing factor", "ac = dh * (1 - z) * (1 - c ** 2)",
     "ac = dh * (1 - z)"),
    ("mixed the other way round in the forward", "forward", "h = z * h + (1 - z) * c",
     "h = (1 - z) * h + z * c"),
)
_slips(
    "tied_lm",
    ("scores' share of E overwritten", "accumulation", "np.add.at(self.dE, self.words[:, t], dz[:, :H])",
     "self.dE[self.words[:, t]] = dz[:, :H]"),
    ("same word twice in a batch", "accumulation", "np.add.at(self.dE, self.words[:, t], dz[:, :H])",
     "self.dE[self.words[:, t]] += dz[:, :H]"),
    ("words read only", "missing term", "self.dE = np.einsum('ntv,nth->vh', dscores, self.hs)",
     "self.dE = np.zeros_like(self.E)"),
    ("gradient to the next words", "wrong variable", "np.add.at(self.dE, self.words[:, t], dz[:, :H])",
     "np.add.at(self.dE, self.nxt[:, t], dz[:, :H])"),
    ("divided by the batch alone", "scale", "dscores /= N * T", "dscores /= N"),
    ("log probabilities for probabilities", "derivative", "dscores = np.exp(self.logp)",
     "dscores = self.logp.copy()"),
    ("new cell under the forget gate", "time index", "da[:, H:2*H] = dc * self.cs[t] * f * (1 - f)",
     "da[:, H:2*H] = dc * self.cs[t + 1] * f * (1 - f)"),
    ("tanh of the cell before", "time index", "tanh_c = np.tanh(self.cs[t + 1])",
     "tanh_c = np.tanh(self.cs[t])"),
    ("output's gradient replaces the carried one", "accumulation", "dh += dhs[:, t]", "dh = dhs[:, t]"),
    ("cell carried on whole", "missing line", "dc = dc * f", ""),
    ("gate's slope for the candidate", "derivative", "da[:, 3*H:] = dc * i * (1 - g**2)",
     "da[:, 3*H:] = dc * i * g * (1 - g)"),
    ("bias of the scores at the last step only", "axis", "self.dout_b = dscores.sum(axis=(0, 1))",
     "self.dout_b = dscores[:, -1].sum(axis=0)"),
)
_slips(
    "additive_attention",
    ("softmax's slope of one entry", "derivative", "d_e = alpha * (d_alpha - alpha @ d_alpha)",
     "d_e = alpha * (1 - alpha) * d_alpha"),
    ("softmax without its sum", "missing term", "d_e = alpha * (d_alpha - alpha @ d_alpha)",
     "d_e = alpha * d_alpha"),
    ("context's path to the states forgotten", "missing term", "d_enc += np.outer(alpha, d_ctx)", ""),
    ("keys' path to the states forgotten", "missing term", "d_enc += d_keys @ Ua", ""),
    ("keys of the last step", "accumulation", "d_keys += d_u", "d_keys = d_u"),
    ("query's path back forgotten", "missing term",
     "ds = ds * (1 - z) + d_part[n_in:] * r + d_full[n_in:] + Wa.T @ d_query",
     "ds = ds * (1 - z) + d_part[n_in:] * r + d_full[n_in:]"),
    ("reset gate forgotten on the way back", "missing factor",
     "ds = ds * (1 - z) + d_part[n_in:] * r + d_full[n_in:] + Wa.T @ d_query",
     "ds = ds * (1 - z) + d_part[n_in:] + d_full[n_in:] + Wa.T @ d_query"),
    ("query meets the new state", "time index", "d_Wa += np.outer(d_query, s_old)",
     "d_Wa += np.outer(d_query, (1 - z) * s_old + z * n)"),
    ("tanh of the attention forgotten", "missing factor", "d_u = np.outer(d_e, va) * (1 - u ** 2)",
     "d_u = np.outer(d_e, va)"),
    ("inputs of the candidate only", "missing term", "d_in = d_part[:n_in] + d_full[:n_in]",
     "d_in = d_part[:n_in]"),
    ("word's part for the context's", "slice", "d_ctx = d_in[ys.shape[1]:]", "d_ctx = d_in[:enc.shape[1]]"),
    ("candidate's weights read the plain state", "wrong variable", "d_Wn += np.outer(d_an, part)",
     "d_Wn += np.outer(d_an, full)"),
    ("weights not normalised in the forward", "forward", "alpha /= alpha.sum()", ""),
)
_slips(
    "jordan_net",
    ("outputs' later use forgotten", "carry forgotten",
     "delta_out = delta_out + grad_context * y[t] * (1 - y[t])", ""),
    ("slope of the output forgotten", "missing factor",
     "delta_out = delta_out + grad_context * y[t] * (1 - y[t])", "delta_out = delta_out + grad_context"),
    ("slope over the loss too", "extra factor", "delta_out = delta_out + grad_context * y[t] * (1 - y[t])",
     "delta_out = (delta_out + grad_context) * y[t] * (1 - y[t])"),
    ("context does not fade", "missing factor", "grad_context = mu * grad_context + U.T @ delta_hidden",
     "grad_context = grad_context + U.T @ delta_hidden"),
    ("context remembers nothing", "missing term", "grad_context = mu * grad_context + U.T @ delta_hidden",
     "grad_context = U.T @ delta_hidden"),
    ("fading over both", "extra factor", "grad_context = mu * grad_context + U.T @ delta_hidden",
     "grad_context = mu * (grad_context + U.T @ delta_hidden)"),
    ("context of the next step", "time index", "grad_U += np.outer(delta_hidden, context[t])",
     "grad_U += np.outer(delta_hidden, context[t + 1])"),
    ("output for context", "wrong variable", "grad_U += np.outer(delta_hidden, context[t])",
     "grad_U += np.outer(delta_hidden, y[t])"),
    ("mean over the steps forgotten", "scale", "delta_out = (y[t] - bits[t]) / T",
     "delta_out = y[t] - bits[t]"),
    ("bits minus y", "sign", "delta_out = (y[t] - bits[t]) / T", "delta_out = (bits[t] - y[t]) / T"),
    ("tanh's slope forgotten", "missing factor",
     "delta_hidden = (V.T @ delta_out) * (1 - hidden[t] ** 2)", "delta_hidden = V.T @ delta_out"),
    ("first step left out", "time index", "for t in range(T - 1, -1, -1):", "for t in range(T - 1, 0, -1):"),
)
_slips(
    "qrnn",
    ("shifted the same way", "wrong function", "dx += shift_left(dconv @ before.T)",
     "dx += shift_right(dconv @ before.T)"),
    ("not shifted back", "missing step", "dx += shift_left(dconv @ before.T)", "dx += dconv @ before.T"),
    ("tap before forgotten in dx", "missing term", "dx += shift_left(dconv @ before.T)", ""),
    ("inputs not shifted under dbefore", "missing step",
     "dbefore = np.tensordot(shift_right(x), dconv, axes=((0, 1), (0, 1)))",
     "dbefore = np.tensordot(x, dconv, axes=((0, 1), (0, 1)))"),
    ("cells of the next step under f", "time index", "df[:, t] = carry * cell[:, t]",
     "df[:, t] = carry * cell[:, t + 1]"),
    ("cells of the step before under o", "time index", "do = dh * cell[:, 1:]", "do = dh * cell[:, :-1]"),
    ("no recurrence", "carry forgotten", "carry = carry + dcell_out[:, t]", "carry = dcell_out[:, t]"),
    ("forget gate of the step before", "time index", "carry = carry * f[:, t]",
     "carry = carry * f[:, t - 1]"),
    ("recurrence without f", "missing line", "carry = carry * f[:, t]", ""),
    ("i and z exchanged", "wrong variable", "di[:, t] = carry * z[:, t]\ndz[:, t] = carry * i[:, t]",
     "di[:, t] = carry * i[:, t]\ndz[:, t] = carry * z[:, t]", 2),
    ("copied shift half changed", "slice", "out[:, :-1] = x[:, 1:]", "out[:, :-1] = x[:, :-1]"),
    ("time runs forwards", "order", "for t in range(n_time - 1, -1, -1):", "for t in range(0, n_time, 1):"),
)
_slips(
    "lossfun_lstm",
    ("one forgotten", "missing line", "dy[nexts[t]] -= 1", ""),
    ("one at the character read", "wrong variable", "dy[nexts[t]] -= 1", "dy[chars[t]] -= 1"),
    ("dhnext forgotten", "carry forgotten", "dh = Why.T @ dy + dhnext", "dh = Why.T @ dy"),
    ("dcnext forgotten", "carry forgotten", "dc = dh * os[t] * (1 - tc * tc) + dcnext",
     "dc = dh * os[t] * (1 - tc * tc)"),
    ("dcnext under tanh's slope", "parentheses", "dc = dh * os[t] * (1 - tc * tc) + dcnext",
     "dc = (dh * os[t] + dcnext) * (1 - tc * tc)"),
    ("output gate from dc", "wrong variable", "dof = dh * tc * os[t] * (1 - os[t])",
     "dof = dc * tc * os[t] * (1 - os[t])"),
    ("cell of this step", "time index", "dff = dc * cs[t-1] * fs[t] * (1 - fs[t])",
     "dff = dc * cs[t] * fs[t] * (1 - fs[t])"),
    ("candidate without its slope", "missing factor", "dgf = dc * ins[t] * (1 - gs[t] * gs[t])",
     "dgf = dc * ins[t]"),
    ("copied line keeps its gate", "wrong variable", "dWi += dif @ xs[t].T", "dWi += dff @ xs[t].T"),
    ("candidate left out of the sum", "missing term",
     "dxs = Wf.T @ dff + Wi.T @ dif + Wo.T @ dof + Wg.T @ dgf",
     "dxs = Wf.T @ dff + Wi.T @ dif + Wo.T @ dof"),
    ("state's rows from below", "slice", "dhnext = dxs[:H]", "dhnext = dxs[-H:]"),
    ("cell on by the wrong gate", "wrong variable", "dcnext = dc * fs[t]", "dcnext = dc * ins[t]"),
)
_slips(
    "group_norm",
    ("bias averaged", "mean or sum", "self.dbias = np.sum(dout, axis=(0, 2, 3), keepdims=True)",
     "self.dbias = np.mean(dout, axis=(0, 2, 3), keepdims=True)"),
    ("weight from the values not normed", "wrong variable",
     "self.dweight = np.sum(dout * self.xhat, axis=(0, 2, 3), keepdims=True)",
     "self.dweight = np.sum(dout * self.xmu.reshape(N, C, H, W), axis=(0, 2, 3), keepdims=True)"),
    ("weight not applied", "missing factor", "dxhat = (dout * self.weight).reshape(N, self.groups, D)",
     "dxhat = dout.reshape(N, self.groups, D)"),
    ("mean taken for a sum", "scale", "dsq = np.ones((N, self.groups, D)) / D * dvar",
     "dsq = np.ones((N, self.groups, D)) * dvar"),
    ("root's square forgotten", "derivative", "dsqrtvar = -divar / self.sqrtvar ** 2",
     "dsqrtvar = -divar / self.sqrtvar"),
    ("minus of the reciprocal forgotten", "sign", "dsqrtvar = -divar / self.sqrtvar ** 2",
     "dsqrtvar = divar / self.sqrtvar ** 2"),
    ("half forgotten", "derivative", "dvar = 0.5 * dsqrtvar / self.sqrtvar",
     "dvar = dsqrtvar / self.sqrtvar"),
    ("root on the wrong side", "derivative", "dvar = 0.5 * dsqrtvar / self.sqrtvar",
     "dvar = 0.5 * dsqrtvar * self.sqrtvar"),
    ("two of the square forgotten", "derivative", "dxmu2 = 2 * self.xmu * dsq", "dxmu2 = self.xmu * dsq"),
    ("mean's own path forgotten", "missing term", "return (dx1 + dx2).reshape(N, C, H, W)",
     "return dx1.reshape(N, C, H, W)"),
    ("mean's path with a plus", "sign", "dmu = -np.sum(dx1, axis=2, keepdims=True)",
     "dmu = np.sum(dx1, axis=2, keepdims=True)"),
    ("deviation's path forgotten", "missing term", "dx1 = dxmu1 + dxmu2", "dx1 = dxmu1"),
)
_slips(
    "cross_heads",
    ("residual forgotten", "missing term", 'dquery = dout + dq @ params["q"].T',
     'dquery = dq @ params["q"].T'),
    ("scale forgotten", "missing line", "dscores = dscores * scale", ""),
    ("scale on the wrong side", "scale", "dscores = dscores * scale", "dscores = dscores / scale"),
    ("sum over the queries", "axis",
     "dscores = attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True))",
     "dscores = attn * (dattn - (attn * dattn).sum(axis=-2, keepdims=True))"),
    ("slope of each entry for itself", "derivative",
     "dscores = attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True))",
     "dscores = dattn * attn * (1 - attn)"),
    ("sum without the weights", "missing factor",
     "dscores = attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True))",
     "dscores = attn * (dattn - dattn.sum(axis=-1, keepdims=True))"),
    ("values' path to the memory forgotten", "missing term",
     'dmemory = dk @ params["k"].T + dv @ params["v"].T', 'dmemory = dk @ params["k"].T'),
    ("keys' and values' weights exchanged", "wrong variable",
     'dmemory = dk @ params["k"].T + dv @ params["v"].T',
     'dmemory = dk @ params["v"].T + dv @ params["k"].T', 2),
    ("matrix not transposed", "transpose", 'dheads = split_heads(dout @ params["o"].T, n_heads)',
     'dheads = split_heads(dout @ params["o"], n_heads)'),
    ("wrong line copied", "wrong variable", 'grads["v"] = np.einsum("bti,btj->ij", memory, dv)',
     'grads["v"] = np.einsum("bti,btj->ij", memory, dk)'),
    ("heads merged without the transpose", "order",
     "return x.transpose(0, 2, 1, 3).reshape(batch, length, n_heads * size)",
     "return x.reshape(batch, length, n_heads * size)"),
    ("values' gradient with the scores", "wrong variable", 'dV = np.einsum("bhqk,bhqd->bhkd", attn, dheads)',
     'dV = np.einsum("bhqk,bhqd->bhkd", dattn, dheads)'),
)
_slips(
    "text_cnn",
    ("ReLU forgotten", "missing line", "dfeatures[self.features <= 0] = 0", ""),
    ("ReLU by the sign of the gradient", "wrong variable", "dfeatures[self.features <= 0] = 0",
     "dfeatures[dfeatures <= 0] = 0"),
    ("second width reads the first's columns", "missing line", "start += n_filters", ""),
    ("always the first window", "wrong index", "s = self.best[w][k, f]", "s = 0"),
    ("windows overwrite each other", "accumulation", 'dx[k, s:s + w] += dpool[k, f] * p[f"F{w}"][f]',
     'dx[k, s:s + w] = dpool[k, f] * p[f"F{w}"][f]'),
    ("sentences overwrite each other", "accumulation", 'g[f"F{w}"][f] += dpool[k, f] * self.x[k, s:s + w]',
     'g[f"F{w}"][f] = dpool[k, f] * self.x[k, s:s + w]'),
    ("repeated words lost", "accumulation", 'np.add.at(g["emb"], self.tokens, dx)',
     'g["emb"][self.tokens] += dx'),
    ("batch's mean forgotten", "missing line", "dlogits /= n", ""),
    ("bias by its mean", "mean or sum", 'g[f"b{w}"] += dpool.sum(axis=0)',
     'g[f"b{w}"] += dpool.mean(axis=0)'),
    ("one taken from every class", "wrong index", "dlogits[np.arange(n), self.labels] -= 1",
     "dlogits[:, self.labels] -= 1"),
    ("window turned round", "order", 'g[f"F{w}"][f] += dpool[k, f] * self.x[k, s:s + w]',
     'g[f"F{w}"][f] += dpool[k, f] * self.x[k, s:s + w][::-1]'),
    ("ReLU forgotten in the forward", "forward", "pooled.append(np.maximum(conv.max(axis=1), 0))",
     "pooled.append(conv.max(axis=1))"),
)
_slips(
    "vae",
    ("KL term of the mean forgotten", "missing term", "dmu = dz + self.mu / m", "dmu = dz"),
    ("KL term of the mean not averaged", "scale", "dmu = dz + self.mu / m", "dmu = dz + self.mu"),
    ("KL term of the variance forgotten", "missing line", "dlogvar += 0.5 * (np.exp(self.logvar) - 1) / m",
     ""),
    ("half of the KL term forgotten", "scale", "dlogvar += 0.5 * (np.exp(self.logvar) - 1) / m",
     "dlogvar += (np.exp(self.logvar) - 1) / m"),
    ("one of the KL term forgotten", "missing term", "dlogvar += 0.5 * (np.exp(self.logvar) - 1) / m",
     "dlogvar += 0.5 * np.exp(self.logvar) / m"),
    ("half of the exponent forgotten", "derivative", "dlogvar = dz * self.eps * 0.5 * self.std",
     "dlogvar = dz * self.eps * self.std"),
    ("deviation forgotten", "missing factor", "dlogvar = dz * self.eps * 0.5 * self.std",
     "dlogvar = dz * self.eps * 0.5"),
    ("noise forgotten", "missing factor", "dlogvar = dz * self.eps * 0.5 * self.std",
     "dlogvar = dz * 0.5 * self.std"),
    ("logits taken for probabilities", "missing step",
     "dlogits = (1 / (1 + np.exp(-self.logits)) - self.x) / m",
     "dlogits = (self.logits - self.x) / m"),
    ("variance's path to the encoder forgotten", "missing term",
     "dh1 = dmu @ self.Wmu.T + dlogvar @ self.Wlv.T", "dh1 = dmu @ self.Wmu.T"),
    ("slope at the other hidden layer", "wrong variable", "dpre1 = dh1 * (1 - self.h1 ** 2)",
     "dpre1 = dh1 * (1 - self.h2 ** 2)"),
    ("decoder fed with the mean", "wrong variable", "self.dW2 = self.z.T @ dpre2",
     "self.dW2 = self.mu.T @ dpre2"),
    ("variance for deviation in the forward", "forward", "self.std = np.exp(0.5 * self.logvar)",
     "self.std = np.exp(self.logvar)"),
)
_slips(
    "skip_gram",
    ("noise words' pull left out", "missing term", "dv += np.einsum('bk,bkd->bd', d_neg, u_neg)", ""),
    ("noise words' pull overwrites", "accumulation", "dv += np.einsum('bk,bkd->bd', d_neg, u_neg)",
     "dv = np.einsum('bk,bkd->bd', d_neg, u_neg)"),
    ("noise with the sign of the neighbours", "sign", "d_neg = p_neg / B", "d_neg = (p_neg - 1) / B"),
    ("mean over the noise words", "scale", "d_neg = p_neg / B", "d_neg = p_neg / p_neg.size"),
    ("neighbours' one forgotten", "missing term", "d_pos = (p_pos - 1) / B", "d_pos = p_pos / B"),
    ("weight decay forgotten", "missing line", "dv += lam * v", ""),
    ("weight decay averaged", "scale", "dv += lam * v", "dv += lam * v / B"),
    ("weight decay of the whole matrix besides", "extra term", "dW_in = np.zeros_like(W_in)",
     "dW_in = lam * W_in"),
    ("repeated centres lost", "accumulation", "np.add.at(dW_in, centers, dv)", "dW_in[centers] += dv"),
    ("repeated noise lost", "accumulation", "np.add.at(dW_out, noise, du_neg)", "dW_out[noise] += du_neg"),
    ("noise to the inputs' matrix", "wrong variable", "np.add.at(dW_out, noise, du_neg)",
     "np.add.at(dW_in, noise, du_neg)"),
    ("centres and neighbours exchanged", "wrong index",
     "np.add.at(dW_in, centers, dv)\nnp.add.at(dW_out, contexts, du_pos)",
     "np.add.at(dW_in, contexts, dv)\nnp.add.at(dW_out, centers, du_pos)", 2),
)
_slips(
    "crf_tagger",
    ("begins at zero behind the end", "missing line", "beta[-1] = end", ""),
    ("sum over the wrong tag", "axis", "beta[t] = logsumexp(trans + emit[t + 1] + beta[t + 1], axis=1)",
     "beta[t] = logsumexp(trans + emit[t + 1] + beta[t + 1], axis=0)"),
    ("transitions not turned round", "transpose",
     "beta[t] = logsumexp(trans + emit[t + 1] + beta[t + 1], axis=1)",
     "beta[t] = logsumexp(trans.T + emit[t + 1] + beta[t + 1], axis=1)"),
    ("emission of this step", "time index", "beta[t] = logsumexp(trans + emit[t + 1] + beta[t + 1], axis=1)",
     "beta[t] = logsumexp(trans + emit[t] + beta[t + 1], axis=1)"),
    ("emission counted twice", "extra term", "unary = np.exp(alpha + beta - log_Z)",
     "unary = np.exp(alpha + beta + emit - log_Z)"),
    ("alpha alone", "missing term", "unary = np.exp(alpha + beta - log_Z)",
     "unary = np.exp(alpha - log_Z)"),
    ("emission left out of the pairs", "missing term", "after = emit[t] + beta[t]", "after = beta[t]"),
    ("transition left out of the pairs", "missing term",
     "pair = alpha[t - 1][:, None] + trans + after[None, :]",
     "pair = alpha[t - 1][:, None] + after[None, :]"),
    ("pairs the other way round", "transpose", "pair = alpha[t - 1][:, None] + trans + after[None, :]",
     "pair = alpha[t - 1][None, :] + trans + after[:, None]"),
    ("last pair only", "accumulation", "dtrans += np.exp(pair - log_Z)", "dtrans = np.exp(pair - log_Z)"),
    ("tags of the pair exchanged", "wrong index", "dtrans[tags[t - 1], tags[t]] -= 1",
     "dtrans[tags[t], tags[t - 1]] -= 1"),
    ("last tag not counted", "missing line", "dend[tags[-1]] -= 1", ""),
    ("one beta too few", "time index", "for t in range(T - 2, -1, -1):", "for t in range(T - 2, 0, -1):"),
)
_slips(
    "res_blocks",
    ("decay forgotten", "missing term", "dV = h_top.T @ dscores + decay * V", "dV = h_top.T @ dscores"),
    ("decay with the two of a square", "scale", "dV = h_top.T @ dscores + decay * V",
     "dV = h_top.T @ dscores + 2 * decay * V"),
    ("shortcut forgotten", "missing line", "dh = dh * (1 - gate)", ""),
    ("shortcut by the gate", "wrong variable", "dh = dh * (1 - gate)", "dh = dh * gate"),
    ("block's path overwrites the shortcut", "accumulation", 'dh = dh + dpre @ blk["W1"].T',
     'dh = dpre @ blk["W1"].T'),
    ("gate's path forgotten", "missing line", 'dh = dh + dgate_raw @ blk["Wg"].T', ""),
    ("shortcut left out of the gate", "missing term", "dgate = dh * (res - h)", "dgate = dh * res"),
    ("gate's slope forgotten", "missing factor", "dgate_raw = dgate * gate * (1 - gate)",
     "dgate_raw = dgate"),
    ("slope from the wrong side", "condition",
     'd["slope"] = np.sum(np.where(pre > 0, 0, pre) * dact, axis=0)',
     'd["slope"] = np.sum(np.where(pre > 0, pre, 0) * dact, axis=0)'),
    ("PReLU as a ReLU", "derivative", 'dpre = np.where(pre > 0, dact, blk["slope"] * dact)',
     "dpre = np.where(pre > 0, dact, 0)"),
    ("blocks in the forward's order", "order", "for blk, saved in zip(reversed(blocks), reversed(tape)):",
     "for blk, saved in zip(blocks, tape):", 2),
    ("gradients not turned round", "missing line", "dblocks.reverse()", ""),
    ("smoothing without its share in the forward", "forward", "target = np.full((n, C), smooth / C)",
     "target = np.full((n, C), smooth)"),
)
