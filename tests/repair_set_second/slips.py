"""A second set of slips for the programs of this folder, in the form of tests/repair_set.

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


def _lstm_steps(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    params = _named(rng, Wx=(D, 4 * H), Wh=(H, 4 * H), b=(4 * H,))
    return (m.lstm, m.lstm_back), (*_draw(rng, (T, N, D), (N, H)), params)


def _bilstm(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.bilstm, m.bilstm_grad), _draw(rng, (N, T, D), *[(D, 4 * H), (H, 4 * H), (4 * H,)] * 2)


def _char_rnn(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.forward, m.backward), _draw(rng, (H, 1), (H, T), (H, H), (T, H), (H, 1), (T, 1))


def _gru_reset_after(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.GRUClassifier(D, H, rng), (*_draw(rng, (N, T, D)), np.array([1, 0, 0, 1]))


def _rnn_many_to_one(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    xs = list(_draw(rng, *[(D, 1)] * T))
    return (m.rnn_classify, m.rnn_classify_back), (xs, 2, *_draw(rng, (H, D + H + 1), (C, H + 1)))


def _gru_stacked(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    layers = [_named(rng, Wz=(size + H, H), Wr=(size + H, H), Wh=(size + H, H)) for size in (H, H)]
    return (m.forward, m.backward), (*_draw(rng, (T, N, H)), layers)


def _lstm_columns(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    weights = _draw(rng, *[(H, H + D), (H, 1)] * 4, (C, H), (C, 1))
    return (m.forward, m.backward), (*_draw(rng, (T, D, 1)), np.array([2, 5, 2, 0, 1]), *weights)


def _lstm_reviews(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    tokens = np.array([[1, 4, 4, 2, 0], [3, 1, 0, 0, 0], [5, 5, 1, 0, 0], [2, 1, 3, 5, 4]])
    return m.ReviewLSTM(6, D, H, rng), (tokens, np.array([4, 2, 3, 5]), np.array([1, 0, 1, 1]))


def _seq2seq(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    enc = _named(rng, W=(D, H), U=(H, H), b=(H,))
    dec = _named(rng, W=(2, H), U=(H, H), b=(H,), V=(H, 2), c=(2,))
    return (m.loss, m.loss_grad), (*_draw(rng, (3, N, D), (T, N, 2), (T, N, 2)), enc, dec)


def _minimal_gated(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.MGU(D, H, rng), _draw(rng, (N, T, D))


def _lstm_projected(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    weights = _draw(rng, (4 * H, D), (4 * H, 2), (4 * H, 1), (2, H))
    return (m.lstmp, m.lstmp_backprop), (*_draw(rng, (T, D, N)), *weights)


def _sru(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.sru_forward, m.sru_backward), _draw(rng, (T, N, H), (H, 3 * H), (H,), (H,), (H,), (H,))


def _batch_norm_images(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.BatchNorm2D(3, rng), (rng.standard_normal((2, 3, 3, 2)),)


def _causal_heads(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.mha, m.mha_backward), _draw(rng, (3, 4, 4), (4, 12), (12,), (4, 4))


def _conv_im2col(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.forward, m.backward), _draw(rng, (2, 3, 7, 5), (4, 3, 3, 3), (4,))


def _mlp_dropout(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    masks = [rng.integers(2, size=(N, 5)), rng.integers(2, size=(N, 5))]
    weights, biases = list(_draw(rng, (5, 5), (5, 5), (5, C))), list(_draw(rng, (5,), (5,), (C,)))
    return (m.net_loss, m.net_grads), (*_draw(rng, (N, 5)), [1, 5, 0, 2], masks, weights, biases)


def _rms_glu(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    weights = _draw(rng, (3, 5), (3, 5), (5, 3))
    return (m.forward, m.backward), (*_draw(rng, (N, 3)), rng.uniform(0.5, 1.5, 3), *weights)


def _embedding_bag(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.BagOfWords(7, H, rng), ([[1, 4, 4], [0, 6], [2, 1, 5, 6], [3]], np.array([1, -1, -1, 1]))


def _factorisation(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    users, films = np.array([0, 1, 1, 3, 2, 0, 3]), np.array([2, 0, 3, 1, 3, 0, 2])
    return (m.cost, m.cost_gradient), (users, films, *_draw(rng, (7,), (4, H), (4, H), (4,), (4,), (1,)))


PROGRAMS: dict[str, Callable[[ModuleType, np.random.Generator], tuple[Any, Any]]] = {
    "lstm_steps": _lstm_steps, "bilstm": _bilstm, "char_rnn": _char_rnn, "gru_reset_after": _gru_reset_after,
    "rnn_many_to_one": _rnn_many_to_one, "gru_stacked": _gru_stacked, "lstm_columns": _lstm_columns,
    "lstm_reviews": _lstm_reviews, "seq2seq": _seq2seq, "minimal_gated": _minimal_gated,
    "lstm_projected": _lstm_projected, "sru": _sru, "batch_norm_images": _batch_norm_images,
    "causal_heads": _causal_heads, "conv_im2col": _conv_im2col, "mlp_dropout": _mlp_dropout,
    "rms_glu": _rms_glu, "embedding_bag": _embedding_bag, "factorisation": _factorisation,
}
NO_CELL = {"batch_norm_images", "causal_heads", "conv_im2col", "mlp_dropout", "rms_glu", "embedding_bag",
           "factorisation"}
ODD_CELL = {"minimal_gated", "lstm_projected", "sru"}

SLIPS: list[Slip] = []


def _slips(program: str, *rows: tuple[Any, ...]) -> None:
    """Add the slips of one program; a row is (name, kind, right, wrong) and perhaps the number of places."""
    SLIPS.extend(Slip(program, *row)._replace(folder=FOLDER) for row in rows)


_slips(
    "lstm_steps",
    ("no gradient of this step's output", "missing term", "dh = dh + dhs[t]", ""),
    ("carry of h thrown away", "carry forgotten", "dh = dh + dhs[t]", "dh = dhs[t]"),
    ("gradients of the last step only", "accumulation", "total[k] += grads[k]", "total[k] = grads[k]"),
    ("time runs forwards", "order", "for t in reversed(range(len(caches))):", "for t in range(len(caches)):"),
    ("cell's own gradient forgotten", "missing term", "dcell = dnext_c + dtc * (1 - tc * tc)",
     "dcell = dtc * (1 - tc * tc)"),
    ("tanh's slope forgotten", "missing factor", "dcell = dnext_c + dtc * (1 - tc * tc)",
     "dcell = dnext_c + dtc"),
    ("slope of the wrong value", "wrong variable", "dcell = dnext_c + dtc * (1 - tc * tc)",
     "dcell = dnext_c + dtc * (1 - g * g)"),
    ("i and g exchanged", "wrong variable", "di = g * dcell\ndg = i * dcell",
     "di = i * dcell\ndg = g * dcell", 2),
    ("cell passed on unweighted", "wrong variable", "dprev_c = f * dcell", "dprev_c = f * dnext_c"),
    ("parts in the order i, f, g, o", "order",
     "da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g * g)))",
     "da = np.hstack((di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)))"),
    ("slope of the candidate like a gate's", "derivative",
     "da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g * g)))",
     "da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * g * (1 - g)))"),
    ("b by its mean", "mean or sum", 'grads = {"Wx": x.T @ da, "Wh": prev_h.T @ da, "b": da.sum(0)}',
     'grads = {"Wx": x.T @ da, "Wh": prev_h.T @ da, "b": da.mean(0)}'),
    ("Wh with this step's output", "time index",
     'grads = {"Wx": x.T @ da, "Wh": prev_h.T @ da, "b": da.sum(0)}',
     'grads = {"Wx": x.T @ da, "Wh": (o * tc).T @ da, "b": da.sum(0)}'),
)
_slips(
    "bilstm",
    ("right half not turned round", "order",
     "dX_right, dW_right, dU_right, db_right = one_way_grad(dY[:, ::-1, n:], m_right)",
     "dX_right, dW_right, dU_right, db_right = one_way_grad(dY[:, :, n:], m_right)"),
    ("input's gradient not turned back", "order", "dX = dX_left + dX_right[:, ::-1]",
     "dX = dX_left + dX_right"),
    ("only one direction reaches the input", "missing term", "dX = dX_left + dX_right[:, ::-1]",
     "dX = dX_left"),
    ("features turned round instead of time", "axis", "dX = dX_left + dX_right[:, ::-1]",
     "dX = dX_left + dX_right[..., ::-1]"),
    ("left half given to both", "slice",
     "dX_right, dW_right, dU_right, db_right = one_way_grad(dY[:, ::-1, n:], m_right)",
     "dX_right, dW_right, dU_right, db_right = one_way_grad(dY[:, ::-1, :n], m_right)"),
    ("states of the same step in dU", "time index", 'dU = np.einsum("bth,btk->hk", H[:, :-1], dZ)',
     'dU = np.einsum("bth,btk->hk", H[:, 1:], dZ)'),
    ("bias over the batch's mean", "mean or sum", "db = dZ.sum(axis=(0, 1))",
     "db = dZ.mean(axis=0).sum(axis=0)"),
    ("forget gate with the new cell", "time index", "dZ[:, t, :n] = gc * C[:, t] * f * (1 - f)",
     "dZ[:, t, :n] = gc * C[:, t + 1] * f * (1 - f)"),
    ("th of the cell before", "time index", "th = np.tanh(C[:, t + 1])", "th = np.tanh(C[:, t])"),
    ("output gate fed by the cell's gradient", "wrong variable",
     "dZ[:, t, 2 * n:3 * n] = gh * th * o * (1 - o)",
     "dZ[:, t, 2 * n:3 * n] = gc * th * o * (1 - o)"),
    ("gates i and o exchanged", "slice",
     "dZ[:, t, n:2 * n] = gc * g * i * (1 - i)\ndZ[:, t, 2 * n:3 * n] = gh * th * o * (1 - o)",
     "dZ[:, t, 2 * n:3 * n] = gc * g * i * (1 - i)\ndZ[:, t, n:2 * n] = gh * th * o * (1 - o)", 2),
    ("cell's carry without the gate", "missing factor", "later_c = gc * f", "later_c = gc"),
    ("carry adds up", "accumulation", "later_h = dZ[:, t] @ U.T", "later_h += dZ[:, t] @ U.T"),
    ("no carry of the cell", "carry forgotten", "gc = gh * o * (1 - th ** 2) + later_c",
     "gc = gh * o * (1 - th ** 2)"),
)
_slips(
    "char_rnn",
    ("dhnext never used", "carry forgotten", "dh = Why.T @ dy + dhnext", "dh = Why.T @ dy"),
    ("dhnext never set", "missing line", "dhnext = Whh.T @ dtanh", ""),
    ("dhnext before the tanh", "wrong variable", "dhnext = Whh.T @ dtanh", "dhnext = Whh.T @ dh"),
    ("Whh as it stands", "transpose", "dhnext = Whh.T @ dtanh", "dhnext = Whh @ dtanh"),
    ("bh before the tanh", "wrong variable", "dbh += dtanh", "dbh += dh"),
    ("bh of the last step", "accumulation", "dbh += dtanh", "dbh = dtanh"),
    ("wrong one of the two texts", "wrong variable", "target[nextChars[t]] = 1", "target[chars[t]] = 1"),
    ("next character as input", "wrong variable", "x[chars[t]] = 1", "x[nextChars[t]] = 1"),
    ("state not shifted", "time index", "dWhh += dtanh @ hs[t - 1].T", "dWhh += dtanh @ hs[t].T"),
    ("state shifted under the scores", "time index", "dWhy += dy @ hs[t].T", "dWhy += dy @ hs[t - 1].T"),
    ("target minus p", "sign", "dy = ps[t] - target", "dy = target - ps[t]"),
    ("first character left out", "time index", "for t in range(len(chars) - 1, -1, -1):",
     "for t in range(len(chars) - 1, 0, -1):"),
    ("tanh' of tanh", "derivative", "dtanh = (1 - hs[t] * hs[t]) * dh",
     "dtanh = (1 - np.tanh(hs[t]) * np.tanh(hs[t])) * dh"),
)
_slips(
    "gru_reset_after",
    ("not divided by the batch", "scale", "d_logit = (self.prob - self.y) / self.y.size",
     "d_logit = self.prob - self.y"),
    ("sigmoid's slope in spite of the cross entropy", "extra factor",
     "d_logit = (self.prob - self.y) / self.y.size",
     "d_logit = (self.prob - self.y) * self.prob * (1 - self.prob) / self.y.size"),
    ("roles of z as in the paper", "sign", "dz = dh * (h_prev - hh)", "dz = dh * (hh - h_prev)"),
    ("z and 1 - z exchanged", "wrong variable", "dhh = dh * (1 - z)", "dhh = dh * z"),
    ("carry by 1 - z", "wrong variable", 'dh = dh * z + d_rec @ p["recurrent"].T',
     'dh = dh * (1 - z) + d_rec @ p["recurrent"].T'),
    ("carry through the products only", "missing term", 'dh = dh * z + d_rec @ p["recurrent"].T',
     'dh = d_rec @ p["recurrent"].T'),
    ("input side's delta for the state's side", "wrong variable", 'dh = dh * z + d_rec @ p["recurrent"].T',
     'dh = dh * z + d_in @ p["recurrent"].T'),
    ("reset gate left out of the state's side", "missing factor",
     "d_rec = np.concatenate([d_z, d_r, d_pre * r], axis=1)",
     "d_rec = np.concatenate([d_z, d_r, d_pre], axis=1)"),
    ("reset gate from the plain state", "wrong variable", "dr = d_pre * inner", "dr = d_pre * h_prev"),
    ("reset gate before tanh's slope", "wrong variable", "dr = d_pre * inner", "dr = dhh * inner"),
    ("both biases alike", "wrong variable", 'g["bias_rec"] += d_rec.sum(axis=0)',
     'g["bias_rec"] += d_in.sum(axis=0)'),
    ("steps from the first on", "order", "for x_t, h_prev, z, r, inner, hh in self.cache[::-1]:",
     "for x_t, h_prev, z, r, inner, hh in self.cache:"),
    ("inputs' gradients in the loop's order", "order", "return np.stack(dx[::-1], axis=1)",
     "return np.stack(dx, axis=1)"),
)
_slips(
    "rnn_many_to_one",
    ("softmax's one forgotten", "missing line", "ds[label, 0] -= 1", ""),
    ("slope left out", "missing factor", "da = dh * (1 - h ** 2)", "da = dh"),
    ("slope of a sigmoid", "derivative", "da = dh * (1 - h ** 2)", "da = dh * h * (1 - h)"),
    ("last input only", "accumulation", "dW += da @ v.T", "dW = da @ v.T"),
    ("state's part from the front", "slice", "dh = dv[D:D + H]", "dh = dv[:H]"),
    ("state's part from the end", "slice", "dh = dv[D:D + H]", "dh = dv[-H:]"),
    ("bias's row cut at the wrong end", "slice", "dh = (V.T @ ds)[:-1]", "dh = (V.T @ ds)[1:]"),
    ("inputs appended backwards", "order", "dxs.insert(0, dv[:D])", "dxs.append(dv[:D])"),
    ("states in the forward's order", "order", "for v, h in zip(reversed(inputs), reversed(states)):",
     "for v, h in zip(reversed(inputs), states):"),
    ("both in the forward's order", "order", "for v, h in zip(reversed(inputs), reversed(states)):",
     "for v, h in zip(inputs, states):", 2),
    ("back before the slope", "wrong variable", "dv = W.T @ da", "dv = W.T @ dh"),
    ("carry added to the old one", "accumulation", "dh = dv[D:D + H]", "dh = dh + dv[D:D + H]"),
)
_slips(
    "gru_stacked",
    ("no carry", "carry forgotten", "dh = dout[t] + dh_next", "dh = dout[t]"),
    ("path along h forgotten", "missing term", "dh_prev = dh * (1 - z)", "dh_prev = np.zeros_like(dh)"),
    ("reset path forgotten", "missing term", "dh_prev += drh * r", ""),
    ("reset path unscaled", "missing factor", "dh_prev += drh * r", "dh_prev += drh"),
    ("gates' path forgotten", "missing term", "dh_prev += dxh[:, D:]", ""),
    ("gates' path overwrites", "accumulation", "dh_prev += dxh[:, D:]", "dh_prev = dxh[:, D:]"),
    ("candidate's input overwritten", "accumulation", "dseq[t] += dxh[:, :D]", "dseq[t] = dxh[:, :D]"),
    ("candidate reads the plain state", "wrong variable", "dWh += xrh.T @ da_h", "dWh += xh.T @ da_h"),
    ("dr with the candidate", "wrong variable", "dr = drh * h", "dr = drh * cand"),
    ("z with h before subtracted", "missing term", "dz = dh * (cand - h)", "dz = dh * cand"),
    ("r's slope copied from z", "wrong variable", "da_r = dr * r * (1 - r)", "da_r = dr * z * (1 - z)"),
    ("matrices exchanged", "wrong variable", "dxh = da_z @ Wz.T + da_r @ Wr.T",
     "dxh = da_z @ Wr.T + da_r @ Wz.T",
     2),
    ("halves exchanged", "slice", "drh = dxrh[:, D:]", "drh = dxrh[:, :D]"),
    ("weights of the layers not turned round", "order", 'return {"x": dy, "layers": grads[::-1]}',
     'return {"x": dy, "layers": grads}'),
)
_slips(
    "lstm_columns",
    ("dh_next left out", "carry forgotten", "dh += dh_next", ""),
    ("output gate's slope forgotten", "missing line", "do = d_sigm(o) * do", ""),
    ("o for tanh of C", "wrong variable", "do = dh * np.tanh(C)", "do = dh * o"),
    ("slope at C", "derivative", "dC += dh * o * d_tanh(np.tanh(C))", "dC += dh * o * d_tanh(C)"),
    ("step's gradient overwrites the carried one", "accumulation", "dC += dh * o * d_tanh(np.tanh(C))",
     "dC = dh * o * d_tanh(np.tanh(C))"),
    ("derivative of the wrong kind", "derivative", "dC_bar = d_tanh(C_bar) * dC_bar",
     "dC_bar = d_sigm(C_bar) * dC_bar"),
    ("slope of the gradient", "wrong variable", "di = d_sigm(i) * di", "di = d_sigm(di) * di"),
    ("new cell under the forget gate", "wrong variable", "df = dC * C_prev", "df = dC * C"),
    ("one gate forgotten in dz", "missing term", "dz += np.dot(W_C.T, dC_bar)", ""),
    ("plus forgotten in dz", "accumulation", "dz += np.dot(W_i.T, di)", "dz = np.dot(W_i.T, di)"),
    ("copied line", "wrong variable", "db_o += do", "db_o += di"),
    ("carry with the input gate", "wrong variable", "dC_next = f * dC", "dC_next = i * dC"),
    ("z taken for [x, h]", "slice", "dX[t] = dz[H_size:, :]", "dX[t] = dz[:-H_size, :]"),
    ("helper without the square", "derivative", "return 1 - y * y", "return 1 - y"),
)
_slips(
    "lstm_reviews",
    ("mean forgotten", "scale", "ds = ((self.p - self.y) / N)[:, None]", "ds = (self.p - self.y)[:, None]"),
    ("mean over tokens", "scale", "ds = ((self.p - self.y) / N)[:, None]",
     "ds = ((self.p - self.y) / (N * T))[:, None]"),
    ("state does not wait at the padding", "missing term", 'dh = da @ P["Wh"].T + dh_skip',
     'dh = da @ P["Wh"].T'),
    ("cell's carry without its gate", "missing factor", "dc = dc * f + dc_skip", "dc = dc + dc_skip"),
    ("padding not masked in dh", "missing line", "dh = m * dh", ""),
    ("input gate's own factor", "wrong variable", "da[:, :H] = dc * g", "da[:, :H] = dc * i"),
    ("mask the wrong way round", "sign", "dh_skip = (1 - m) * dh", "dh_skip = m * dh"),
    ("repeated words lost", "accumulation", 'np.add.at(G["emb"], self.tokens[:, t], da @ P["Wx"].T)',
     'G["emb"][self.tokens[:, t]] += da @ P["Wx"].T'),
    ("words overwritten", "accumulation", 'np.add.at(G["emb"], self.tokens[:, t], da @ P["Wx"].T)',
     'G["emb"][self.tokens[:, t]] = da @ P["Wx"].T'),
    ("two gates without their slope", "slice", "da[:, :3 * H] *= a[:, :3 * H] * (1 - a[:, :3 * H])",
     "da[:, :H] *= a[:, :H] * (1 - a[:, :H])"),
    ("slope over the candidate too", "order",
     "da[:, :3 * H] *= a[:, :3 * H] * (1 - a[:, :3 * H])\nda[:, 3 * H:] = dc * i * (1 - g ** 2)",
     "da[:, 3 * H:] = dc * i * (1 - g ** 2)\nda *= a * (1 - a)", 2),
    ("state after the step", "time index", 'G["Wh"] += self.h[t].T @ da', 'G["Wh"] += self.h[t + 1].T @ da'),
    ("cell after the step", "time index", "da[:, H:2 * H] = dc * self.c[t]",
     "da[:, H:2 * H] = dc * self.c[t + 1]"),
    ("first state for the last", "time index", 'G["w"] = self.h[T].T @ ds', 'G["w"] = self.h[T - 1].T @ ds'),
)
_slips(
    "seq2seq",
    ("carry's line forgotten", "missing line", 'dh = da @ dec["U"].T', ""),
    ("decoder's carry lost", "carry forgotten", 'dh = dh + d_pred[t] @ dec["V"].T',
     'dh = d_pred[t] @ dec["V"].T'),
    ("mean over the batch forgotten", "scale", "d_pred = error / N", "d_pred = error"),
    ("square's two", "scale", "d_pred = error / N", "d_pred = 2 * error / N"),
    ("right answer's sign", "sign", "d_want = -error / N", "d_want = error / N"),
    ("start state under V", "time index", 'd_dec["V"] += dec_states[t + 1].T @ d_pred[t]',
     'd_dec["V"] += dec_states[t].T @ d_pred[t]'),
    ("state before in the slope", "time index", "da = dh * (1 - dec_states[t + 1] ** 2)",
     "da = dh * (1 - dec_states[t] ** 2)"),
    ("decoder's states in the encoder", "wrong variable", "da = dh * (1 - enc_states[s + 1] ** 2)",
     "da = dh * (1 - dec_states[s + 1] ** 2)"),
    ("decoder's matrix in the encoder", "wrong variable", 'dh = da @ enc["U"].T', 'dh = da @ dec["U"].T'),
    ("encoder's U not transposed", "transpose", 'dh = da @ enc["U"].T', 'dh = da @ enc["U"]'),
    ("inputs do not add up", "accumulation", 'd_enc["W"] += src[s].T @ da', 'd_enc["W"] = src[s].T @ da'),
    ("c by the mean", "mean or sum", 'd_dec["c"] += d_pred[t].sum(axis=0)',
     'd_dec["c"] += d_pred[t].mean(axis=0)'),
    ("first step of the source left out", "time index", "for s in range(len(src) - 1, -1, -1):",
     "for s in range(len(src) - 1, 0, -1):"),
)
_slips(
    "minimal_gated",
    ("no carry", "carry forgotten", "dh = dh + dout[:, t, :]", "dh = dout[:, t, :]"),
    ("f through the mixture only", "missing line", "df = df + dfh * h_old", ""),
    ("f through the candidate only", "accumulation", "df = df + dfh * h_old", "df = dfh * h_old"),
    ("mixture's sign", "sign", "df = dh * (n - h_old)", "df = dh * (h_old - n)"),
    ("Un with the whole state", "missing factor", "self.dUn += (f * h_old).T @ dan",
     "self.dUn += h_old.T @ dan"),
    ("Uf with the gated state", "extra factor", "self.dUf += h_old.T @ daf",
     "self.dUf += (f * h_old).T @ daf"),
    ("gated state's share not gated", "missing factor", "dh = dh * (1 - f) + dfh * f + daf @ self.Uf.T",
     "dh = dh * (1 - f) + dfh + daf @ self.Uf.T"),
    ("gated state's share forgotten", "missing term", "dh = dh * (1 - f) + dfh * f + daf @ self.Uf.T",
     "dh = dh * (1 - f) + daf @ self.Uf.T"),
    ("old state kept by f", "wrong variable", "dh = dh * (1 - f) + dfh * f + daf @ self.Uf.T",
     "dh = dh * f + dfh * f + daf @ self.Uf.T"),
    ("f forgotten before the candidate", "missing factor", "dan = dh * f * (1 - n ** 2)",
     "dan = dh * (1 - n ** 2)"),
    ("x reached by the candidate alone", "missing term", "dx[:, t, :] = daf @ self.Wf.T + dan @ self.Wn.T",
     "dx[:, t, :] = dan @ self.Wn.T"),
    ("gate's slope forgotten", "missing factor", "daf = df * f * (1 - f)", "daf = df"),
)
_slips(
    "lstm_projected",
    ("carry of r forgotten", "carry forgotten", "dr = dr + dy[t]", "dr = dy[t]"),
    ("P with what came in", "order", "dr = dr + dy[t]\ndP += dr @ m.T", "dP += dr @ m.T\ndr = dr + dy[t]"),
    ("P with this step's output alone", "wrong variable", "dP += dr @ m.T", "dP += dy[t] @ m.T"),
    ("P with the cell", "wrong variable", "dP += dr @ m.T", "dP += dr @ s.T"),
    ("projection left out by the carry", "wrong variable", "dm = P.T @ dr", "dm = P.T @ dy[t]"),
    ("old state in the slope's place", "derivative", "dc = dc + dm * o * (1 - s * s)",
     "dc = dc + dm * o * (1 - m * m)"),
    ("cell's carry doubled", "accumulation", "dc = dc * f", "dc += dc * f"),
    ("order i, f, j, o", "order",
     "dpre = np.concatenate([di * i * (1 - i), dj * (1 - j * j), df * f * (1 - f), do * o * (1 - o)])",
     "dpre = np.concatenate([di * i * (1 - i), df * f * (1 - f), dj * (1 - j * j), do * o * (1 - o)])"),
    ("candidate's slope without the square", "derivative",
     "dpre = np.concatenate([di * i * (1 - i), dj * (1 - j * j), df * f * (1 - f), do * o * (1 - o)])",
     "dpre = np.concatenate([di * i * (1 - i), dj * (1 - j), df * f * (1 - f), do * o * (1 - o)])"),
    ("R with the new state", "wrong variable", "dR += dpre @ r.T", "dR += dpre @ (P @ m).T"),
    ("cell and candidate mixed up", "wrong variable", "df = dc * c", "df = dc * j"),
    ("mean of the bias", "mean or sum", "db += dpre.sum(axis=1, keepdims=True)",
     "db += dpre.mean(axis=1, keepdims=True)"),
)
_slips(
    "sru",
    ("no carry of c", "carry forgotten", "dc = dout[t] * r * (1 - act ** 2) + dc_next",
     "dc = dout[t] * r * (1 - act ** 2)"),
    ("gate r forgotten", "missing factor", "dc = dout[t] * r * (1 - act ** 2) + dc_next",
     "dc = dout[t] * (1 - act ** 2) + dc_next"),
    ("skip connection forgotten", "missing line", "dX[t] += dout[t] * (1 - r)", ""),
    ("skip connection by r", "wrong variable", "dX[t] += dout[t] * (1 - r)", "dX[t] += dout[t] * r"),
    ("skip connection overwritten", "accumulation", "dX += flat.dot(W.T).reshape(T, N, D)",
     "dX = flat.dot(W.T).reshape(T, N, D)"),
    ("reset gate without the skip", "missing term", "dr = dout[t] * (act - X[t])", "dr = dout[t] * act"),
    ("forget gate the wrong way", "sign", "df = dc * (c_old - u)", "df = dc * (u - c_old)"),
    ("carry along f alone", "missing term", "dc_next = dc * f + duf * vf + dur * vr", "dc_next = dc * f"),
    ("carry without r's peephole", "missing term", "dc_next = dc * f + duf * vf + dur * vr",
     "dc_next = dc * f + duf * vf"),
    ("candidate by f", "wrong variable", "dU[t, :, :D] = dc * (1 - f)", "dU[t, :, :D] = dc * f"),
    ("gates in each other's place", "slice", "dU[t, :, D:2 * D] = duf\ndU[t, :, 2 * D:] = dur",
     "dU[t, :, D:2 * D] = dur\ndU[t, :, 2 * D:] = duf", 2),
    ("new cell for vr", "time index", "dvr += (dur * c_old).sum(axis=0)",
     "dvr += (dur * cs[t + 1]).sum(axis=0)"),
    ("slope with f", "wrong variable", "dur = dr * r * (1 - r)", "dur = dr * f * (1 - f)"),
)
_slips(
    "batch_norm_images",
    ("m counts the images", "scale", "m = N * h * w", "m = N"),
    ("m counts the channels too", "scale", "m = N * h * w", "m = dy.size"),
    ("mean's part forgotten", "missing term", "dx = m * dy - self.dbeta - self.xhat * self.dgamma",
     "dx = m * dy - self.xhat * self.dgamma"),
    ("variance's part forgotten", "missing term", "dx = m * dy - self.dbeta - self.xhat * self.dgamma",
     "dx = m * dy - self.dbeta"),
    ("xhat forgotten", "missing factor", "dx = m * dy - self.dbeta - self.xhat * self.dgamma",
     "dx = m * dy - self.dbeta - self.dgamma"),
    ("variance's sign", "sign", "dx = m * dy - self.dbeta - self.xhat * self.dgamma",
     "dx = m * dy - self.dbeta + self.xhat * self.dgamma"),
    ("m forgotten", "missing factor", "dx = m * dy - self.dbeta - self.xhat * self.dgamma",
     "dx = dy - self.dbeta - self.xhat * self.dgamma"),
    ("gamma forgotten", "missing factor", "dx *= self.gamma * self.istd / m", "dx *= self.istd / m"),
    ("divided by the inverse", "derivative", "dx *= self.gamma * self.istd / m",
     "dx *= self.gamma / self.istd / m"),
    ("gamma's gradient without xhat", "missing factor", "self.dgamma = np.sum(dy * self.xhat, axis=0)",
     "self.dgamma = np.sum(dy, axis=0)"),
    ("reshaped instead of transposed", "axis", "return dx.transpose(0, 3, 1, 2)",
     "return dx.reshape(self.shape)"),
    ("axes of the gradient left as they are", "axis", "dy = dimages.transpose(0, 2, 3, 1).reshape(-1, C)",
     "dy = dimages.reshape(-1, C)"),
)
_slips(
    "causal_heads",
    ("scale forgotten", "missing line", "d_s *= scale", ""),
    ("scale twice", "scale", "d_s *= scale", "d_s *= scale ** 2"),
    ("row's sum of the wrong thing", "wrong variable", "d_s -= a * d_s.sum(axis=-1, keepdims=True)",
     "d_s -= a * d_a.sum(axis=-1, keepdims=True)"),
    ("a forgotten beside the sum", "missing factor", "d_s -= a * d_s.sum(axis=-1, keepdims=True)",
     "d_s -= d_s.sum(axis=-1, keepdims=True)"),
    ("sum over the queries", "axis", "d_s -= a * d_s.sum(axis=-1, keepdims=True)",
     "d_s -= a * d_s.sum(axis=-2, keepdims=True)"),
    ("softmax taken entry by entry", "derivative", "d_s -= a * d_s.sum(axis=-1, keepdims=True)",
     "d_s -= a * d_s"),
    ("weights not transposed", "transpose", "d_v = a.swapaxes(2, 3) @ d_ctx", "d_v = a @ d_ctx"),
    ("scores not transposed", "transpose", "d_k = d_s.swapaxes(2, 3) @ q", "d_k = d_s @ q"),
    ("keys for queries", "wrong variable", "d_k = d_s.swapaxes(2, 3) @ q", "d_k = d_s.swapaxes(2, 3) @ k"),
    ("parts in another order", "order",
     "d_qkv = np.concatenate([merge(d_q), merge(d_k), merge(d_v)], axis=2)",
     "d_qkv = np.concatenate([merge(d_k), merge(d_q), merge(d_v)], axis=2)"),
    ("w_o not transposed", "transpose", "d_ctx = split(dout @ w_o.T)", "d_ctx = split(dout @ w_o)"),
    ("heads not brought back", "axis", "return a.swapaxes(1, 2).reshape(B, T, h * d)",
     "return a.reshape(B, T, h * d)"),
    ("mean over the batch", "mean or sum", "d_b_qkv = d_qkv.sum(axis=(0, 1))",
     "d_b_qkv = d_qkv.sum(axis=1).mean(axis=0)"),
)
_slips(
    "conv_im2col",
    ("windows overwrite each other", "accumulation",
     "dimg[:, :, i * stride:i * stride + k, j * stride:j * stride + k] += dcols[:, i, j]",
     "dimg[:, :, i * stride:i * stride + k, j * stride:j * stride + k] = dcols[:, i, j]"),
    ("stride forgotten on one axis", "slice",
     "dimg[:, :, i * stride:i * stride + k, j * stride:j * stride + k] += dcols[:, i, j]",
     "dimg[:, :, i * stride:i * stride + k, j:j + k] += dcols[:, i, j]"),
    ("stride forgotten", "slice",
     "dimg[:, :, i * stride:i * stride + k, j * stride:j * stride + k] += dcols[:, i, j]",
     "dimg[:, :, i:i + k, j:j + k] += dcols[:, i, j]", 2),
    ("axes of the columns in another order", "axis", "dcols = dcols.reshape(N, oh, ow, C, k, k)",
     "dcols = dcols.reshape(N, oh, ow, k, k, C).transpose(0, 1, 2, 5, 3, 4)"),
    ("rows and columns of positions exchanged", "axis", "dcols = dcols.reshape(N, oh, ow, C, k, k)",
     "dcols = dcols.reshape(N, ow, oh, C, k, k).swapaxes(1, 2)"),
    ("mean as a sum", "scale", "dact = np.repeat(dout[:, None, :], oh * ow, axis=1) / (oh * ow)",
     "dact = np.repeat(dout[:, None, :], oh * ow, axis=1)"),
    ("divided by one side only", "scale", "dact = np.repeat(dout[:, None, :], oh * ow, axis=1) / (oh * ow)",
     "dact = np.repeat(dout[:, None, :], oh * ow, axis=1) / oh"),
    ("softplus's slope forgotten", "missing factor", "dz = dact / (1 + np.exp(-z))", "dz = dact"),
    ("sign in the sigmoid", "sign", "dz = dact / (1 + np.exp(-z))", "dz = dact / (1 + np.exp(z))"),
    ("softplus as a ReLU", "derivative", "dz = dact / (1 + np.exp(-z))", "dz = dact * (z > 0)"),
    ("bias's mean", "mean or sum", "dbias = dz.sum(axis=0)", "dbias = dz.mean(axis=0)"),
    ("batch repeated in the wrong order", "axis",
     "dact = np.repeat(dout[:, None, :], oh * ow, axis=1) / (oh * ow)",
     "dact = np.repeat(dout[None, :, :], oh * ow, axis=0) / (oh * ow)"),
)
_slips(
    "mlp_dropout",
    ("mean forgotten", "missing line", "delta = delta / n", ""),
    ("label's one forgotten", "missing line", "delta[range(n), labels] -= 1", ""),
    ("log for probabilities", "derivative", "delta = np.exp(logp)", "delta = logp.copy()"),
    ("dropout forgotten", "missing line", "delta = delta * masks[k - 1] / KEEP", ""),
    ("not divided by what is kept", "scale", "delta = delta * masks[k - 1] / KEEP",
     "delta = delta * masks[k - 1]"),
    ("mask of another layer", "wrong index", "delta = delta * masks[k - 1] / KEEP",
     "delta = delta * masks[k - 2] / KEEP"),
    ("ReLU forgotten", "missing line", "delta = delta * (pres[k - 1] > 0)", ""),
    ("activations of the layer below", "wrong index", "delta = delta * (pres[k - 1] > 0)",
     "delta = delta * (acts[k - 1] > 0)"),
    ("ReLU on the gradient", "wrong variable", "delta = delta * (pres[k - 1] > 0)",
     "delta = delta * (delta > 0)"),
    ("first layer skips the slope", "off by one", "if k > 0:", "if k > 1:"),
    ("bias's mean", "mean or sum", "dbiases[k] = delta.sum(axis=0)", "dbiases[k] = delta.mean(axis=0)"),
    ("divided by what is kept once more", "extra factor", "dweights[k] = acts[k].T @ delta",
     "dweights[k] = acts[k].T @ delta / KEEP"),
)
_slips(
    "rms_glu",
    ("residual forgotten", "missing line", "dx += dy", ""),
    ("residual overwrites", "accumulation", "dx += dy", "dx = dy"),
    ("norm taken to be constant", "missing line", "dx += drms * x / (n * rms)", ""),
    ("n forgotten", "scale", "dx += drms * x / (n * rms)", "dx += drms * x / rms"),
    ("root's slope without rms", "missing factor", "dx += drms * x / (n * rms)", "dx += drms * x / n"),
    ("sign of 1 / rms", "sign", "drms = -np.sum(dxn * x, axis=-1, keepdims=True) / rms ** 2",
     "drms = np.sum(dxn * x, axis=-1, keepdims=True) / rms ** 2"),
    ("square forgotten", "derivative", "drms = -np.sum(dxn * x, axis=-1, keepdims=True) / rms ** 2",
     "drms = -np.sum(dxn * x, axis=-1, keepdims=True) / rms"),
    ("sum over the batch", "axis", "drms = -np.sum(dxn * x, axis=-1, keepdims=True) / rms ** 2",
     "drms = -np.sum(dxn * x, axis=0, keepdims=True) / rms ** 2"),
    ("scale forgotten", "missing factor", "dxn = dh * scale", "dxn = dh"),
    ("SiLU's first term alone", "missing term", "d_gate = d_act * (sg + gate * sg * (1 - sg))",
     "d_gate = d_act * sg"),
    ("act for gate in SiLU's slope", "wrong variable", "d_gate = d_act * (sg + gate * sg * (1 - sg))",
     "d_gate = d_act * (sg + act * sg * (1 - sg))"),
    ("the other factor's turn", "wrong variable", "d_act = d_mid * up", "d_act = d_mid * act"),
    ("up's path overwrites", "accumulation", "dh += d_up @ W_up.T", "dh = d_up @ W_up.T"),
    ("unscaled input under W_gate", "wrong variable", 'grads["W_gate"] = h.T @ d_gate',
     'grads["W_gate"] = xn.T @ d_gate'),
    ("scale with h", "wrong variable", 'grads["scale"] = np.sum(dh * xn, axis=0)',
     'grads["scale"] = np.sum(dh * h, axis=0)'),
)
_slips(
    "embedding_bag",
    ("mean over the texts forgotten", "scale", "dscore = -self.signs * sigma(-self.margin) / count",
     "dscore = -self.signs * sigma(-self.margin)"),
    ("minus forgotten", "sign", "dscore = -self.signs * sigma(-self.margin) / count",
     "dscore = self.signs * sigma(-self.margin) / count"),
    ("sigma of the margin", "sign", "dscore = -self.signs * sigma(-self.margin) / count",
     "dscore = -self.signs * sigma(self.margin) / count"),
    ("sign of the class forgotten", "missing factor", "dscore = -self.signs * sigma(-self.margin) / count",
     "dscore = -sigma(-self.margin) / count"),
    ("highway the wrong way", "sign", "dt = dout * (self.h - self.bag)", "dt = dout * (self.bag - self.h)"),
    ("bag forgotten in the gate", "missing term", "dt = dout * (self.h - self.bag)", "dt = dout * self.h"),
    ("carried by t", "wrong variable", "dbag = dout * (1 - self.t)", "dbag = dout * self.t"),
    ("gate's way to the bag overwrites", "accumulation", "dbag += zt @ self.Wt.T", "dbag = zt @ self.Wt.T"),
    ("transform's way to the bag forgotten", "missing line", "dbag += zh @ self.Wh.T", ""),
    ("copied matrix", "wrong variable", "dbag += zh @ self.Wh.T", "dbag += zh @ self.Wt.T"),
    ("length of the text forgotten", "scale", "self.grad_E[w] += dbag[n] / len(words)",
     "self.grad_E[w] += dbag[n]"),
    ("number of the texts for the length", "scale", "self.grad_E[w] += dbag[n] / len(words)",
     "self.grad_E[w] += dbag[n] / count"),
    ("words in two texts overwritten", "accumulation", "self.grad_E[w] += dbag[n] / len(words)",
     "self.grad_E[w] = dbag[n] / len(words)"),
    ("gate before its slope", "wrong variable", "self.grad_bt = zt.sum(axis=0)",
     "self.grad_bt = dt.sum(axis=0)"),
)
_slips(
    "factorisation",
    ("mean forgotten", "scale", "e = err / k", "e = err"),
    ("square's two", "scale", "e = err / k", "e = 2 * err / k"),
    ("penalty forgotten", "missing term", "gP = LAMBDA * P", "gP = np.zeros_like(P)"),
    ("penalty on the viewers' biases too", "extra term", "gbu = np.zeros_like(bu)", "gbu = LAMBDA * bu"),
    ("penalty on the films' biases forgotten", "missing term", "gbf = LAMBDA * bf",
     "gbf = np.zeros_like(bf)"),
    ("penalty twice", "scale", "gQ = LAMBDA * Q", "gQ = 2 * LAMBDA * Q"),
    ("P for Q", "wrong variable", "gP[u] += e[n] * Q[m]", "gP[u] += e[n] * P[u]"),
    ("indices exchanged", "wrong index", "gQ[m] += e[n] * P[u]", "gQ[u] += e[n] * P[m]", 2),
    ("film's last viewer only", "accumulation", "gbf[m] += e[n]", "gbf[m] = e[n]"),
    ("last rating of a viewer", "accumulation", "gP[u] += e[n] * Q[m]",
     "gP[u] = LAMBDA * P[u] + e[n] * Q[m]"),
    ("error not divided under Q", "wrong variable", "gQ[m] += e[n] * P[u]", "gQ[m] += err[n] * P[u]"),
    ("mu by the mean", "mean or sum", "gmu = e.sum(keepdims=True)", "gmu = e.mean(keepdims=True)"),
    ("one rating left out", "off by one", "for n in range(k):", "for n in range(k - 1):"),
    ("ratings' sign", "sign", 'return {"ratings": -e, "P": gP, "Q": gQ, "bu": gbu, "bf": gbf, "mu": gmu}',
     'return {"ratings": e, "P": gP, "Q": gQ, "bu": gbu, "bf": gbf, "mu": gmu}'),
)
