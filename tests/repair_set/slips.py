"""Slips for the programs of this folder, with which repairs of a backward are judged.

Every program is right as it stands. A slip puts its wrong lines in place of its right lines, which stand in
the program once; the indentation of the first line is the program's. No search for repairs was run on any of
them before this table was finished.
"""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

FOLDER = Path(__file__).parent
_fresh = itertools.count(1)


class Slip(NamedTuple):
    """One natural mistake: the lines ``right`` of the backward become ``wrong`` ("" where a line is missing).

    ``places`` is 2 where a student would make the same mistake in two places at once; ``folder`` is where the
    program stands.
    """

    program: str
    name: str
    kind: str
    right: str
    wrong: str
    places: int = 1
    folder: Path = FOLDER


def source(program: str, folder: Path = FOLDER) -> str:
    return (folder / f"{program}.py").read_text(encoding="utf-8")


def start(slip: Slip) -> int:
    """Return the index of the first right line. Raises ValueError unless they stand there once."""
    have = [line.strip() for line in source(slip.program, slip.folder).splitlines()]
    want = [line.strip() for line in slip.right.splitlines()]
    found = [k for k in range(len(have)) if have[k:k + len(want)] == want]
    if len(found) != 1:
        raise ValueError(f"{slip.program}: {slip.right!r} stands there {len(found)} times")
    return found[0]


def wrong_source(slip: Slip) -> str:
    """Return the program with the slip in it."""
    lines, first = source(slip.program, slip.folder).splitlines(), start(slip)
    indent = lines[first][:len(lines[first]) - len(lines[first].lstrip())]
    lines[first:first + len(slip.right.splitlines())] = [indent + line for line in slip.wrong.splitlines()]
    return "\n".join(lines) + "\n"


def guilty(slip: Slip) -> list[int]:
    """Return the numbers of the wrong program's lines that differ; of a missing line, where it stood."""
    right, first = source(slip.program, slip.folder).splitlines(), start(slip)
    if not slip.wrong:
        return [first + 1]
    wrong = wrong_source(slip).splitlines()
    return [k for k, (a, b) in enumerate(zip(right, wrong, strict=True), start=1) if a != b]


def load(program: str, slip: Slip | None = None, folder: Path = FOLDER) -> ModuleType:
    """Execute a program, with the slip in it, as a module of its own; ``inspect`` sees the changed lines."""
    text = wrong_source(slip) if slip else source(program, folder)
    name = f"{folder.name}_{program}_{next(_fresh)}"
    filename = str(folder / f"{name}.py")       # no such file: linecache alone knows it
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module = ModuleType(name)
    module.__file__ = filename
    sys.modules[name] = module
    exec(compile(text, filename, "exec"), module.__dict__)
    return module


def target_of(program: str, slip: Slip | None = None) -> tuple[Any, Any]:
    """Return what a student would hand to gradcheck: a target, and inputs."""
    return PROGRAMS[program](load(program, slip), np.random.default_rng(0))


# How each program is called ---------------------------------------------------------------------------

N, T, D, H, C = 5, 4, 2, 3, 6


def _draw(rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(0.5 * rng.standard_normal(shape) for shape in shapes)


def _lstm_two_biases(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    shapes = {"Wx": (H, D), "bx": (H,), "Wh": (H, H), "bh": (H,)}
    weights = {name + gate: _draw(rng, shape)[0] for gate in "ifog" for name, shape in shapes.items()}
    return (m.forward, m.backward), (*_draw(rng, (T, D), (H,), (H,)), weights)


def _lstm_rows_class(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.LSTM(D, H, rng), _draw(rng, (N, T, D))


def _gru_columns(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.gru, m.gru_grad), _draw(rng, (D, T), (H, 1), *[(H, D), (H, H), (H, 1)] * 3)


def _gru_loss_dict(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    shapes = {"Wu": (D, H), "Wr": (D, H), "Wc": (D, H), "Ru": (H, H), "Rr": (H, H), "Rc": (H, H),
              "bu": (H,), "br": (H,), "bc": (H,), "bm": (H,), "Wy": (H, C), "by": (C,)}
    weights = dict(zip(shapes, _draw(rng, *shapes.values())))
    return (m.loss_forward, m.loss_backward), (*_draw(rng, (T, N, D)), rng.integers(C, size=(T, N)), weights)


def _rnn_class_loss(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.SequenceClassifier(D, H, C, rng), (*_draw(rng, (N, T, D)), np.array([1, 4, 4, 0, 2]))


def _rnn_two_layers(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    weights = _draw(rng, (D, H), (H, H), (H,), (H, C), (C, C), (C,))
    return (m.forward, m.backward), (list(_draw(rng, *[(N, D)] * T)), *weights)


def _rnn_nested_bptt(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    words, targets = np.array([2, 0, 5, 2, 2]), np.array([0, 5, 2, 1, 0])
    return (m.forward, m.backward), (words, targets, *_draw(rng, (H, C), (C, H), (H, H)))


def _lstm_peephole(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    weights = _draw(rng, (D, 4 * H), (H, 4 * H), (4 * H,), (H,), (H,), (H,))
    return (m.peephole_forward, m.peephole_backward), (*_draw(rng, (N, T, D), (N, H), (N, H)), *weights)


def _lstm_coupled(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.run, m.run_back), _draw(rng, (T, D, N), (3 * H, H + D), (3 * H, 1))


def _lstm_delta_lists(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.lstm, m.lstm_gradient), _draw(rng, (N, D), (4, H, D), (4, H, H), (4, H))


def _birnn(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.forward, m.backward), _draw(rng, (N, T, D), *[(D, H), (H, H), (H,)] * 2)


def _batch_norm(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.forward, m.backward), _draw(rng, (7, D), (D, H), (H,), (H,))


def _self_attention(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.attention_forward, m.attention_backward), _draw(rng, (N, T, D), (D, H), (D, H), (D, C), (C, D))


def _conv_pool(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.conv_forward, m.conv_backward), _draw(rng, (2, 4, 6), (5, 4, 3), (5,))


def _layer_norm(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return (m.block, m.block_grad), _draw(rng, (N, T), (T,), (T,), (T, 7), (7,), (7, T), (T,))


def _mlp_softmax(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    return m.TwoLayers(D, H, C, 0.1, rng), (*_draw(rng, (N, D)), np.array([1, 0, 5, 3, 5]))


def _attention_pool(m: ModuleType, rng: np.random.Generator) -> tuple[Any, Any]:
    weights = _draw(rng, (D, H), (H,), (H,), (D,), (1,))
    return (m.forward, m.backward), (*_draw(rng, (N, T, D)), np.array([1, 0, 0, 1, 1]), *weights)


PROGRAMS: dict[str, Callable[[ModuleType, np.random.Generator], tuple[Any, Any]]] = {
    "lstm_two_biases": _lstm_two_biases, "lstm_rows_class": _lstm_rows_class, "gru_columns": _gru_columns,
    "gru_loss_dict": _gru_loss_dict, "rnn_class_loss": _rnn_class_loss, "rnn_two_layers": _rnn_two_layers,
    "rnn_nested_bptt": _rnn_nested_bptt, "lstm_peephole": _lstm_peephole, "lstm_coupled": _lstm_coupled,
    "lstm_delta_lists": _lstm_delta_lists, "birnn": _birnn, "batch_norm": _batch_norm,
    "self_attention": _self_attention, "conv_pool": _conv_pool, "layer_norm": _layer_norm,
    "mlp_softmax": _mlp_softmax, "attention_pool": _attention_pool,
}
NO_CELL = {"batch_norm", "self_attention", "conv_pool", "layer_norm", "mlp_softmax", "attention_pool"}
ODD_CELL = {"lstm_peephole", "lstm_coupled"}

SLIPS: list[Slip] = []


def _slips(program: str, *rows: tuple[Any, ...]) -> None:
    """Add the slips of one program; a row is (name, kind, right, wrong) and perhaps the number of places."""
    SLIPS.extend(Slip(program, *row) for row in rows)


_slips(
    "lstm_two_biases",
    ("no carry of h", "carry forgotten", "dh = dh + dY[t]", "dh = dY[t]"),
    ("cell forgets the later steps", "missing term", "dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)",
     "dc = dh * o * (1 - np.tanh(c_new) ** 2)"),
    ("slope of the cell at c", "derivative", "dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)",
     "dc = dc + dh * o * (1 - c_new ** 2)"),
    ("output gate times c without tanh", "derivative", "do = dh * np.tanh(c_new)", "do = dh * c_new"),
    ("new cell for the forget gate", "wrong variable", "df = dc * c_old", "df = dc * c_new"),
    ("input gate's own factor", "wrong variable", "di = dc * g", "di = dc * i"),
    ("candidate as a sigmoid", "derivative", "dzg = dg * (1 - g ** 2)", "dzg = dg * g * (1 - g)"),
    ("no slope of the output gate", "missing factor", "dzo = do * o * (1 - o)", "dzo = do"),
    ("two gates change places in the loop", "order", 'for k, dz in zip("ifog", (dzi, dzf, dzo, dzg)):',
     'for k, dz in zip("ifog", (dzi, dzf, dzg, dzo)):'),
    ("second bias is not summed", "accumulation", 'G["bh" + k] += dz', 'G["bh" + k] = dz'),
    ("h after the step for Wh", "wrong variable", 'G["Wh" + k] += np.outer(dz, h_old)',
     'G["Wh" + k] += np.outer(dz, o * np.tanh(c_new))'),
    ("Who not transposed", "transpose",
     'dh = P["Whi"].T @ dzi + P["Whf"].T @ dzf + P["Who"].T @ dzo + P["Whg"].T @ dzg',
     'dh = P["Whi"].T @ dzi + P["Whf"].T @ dzf + P["Who"] @ dzo + P["Whg"].T @ dzg'),
    ("cell carried by i", "wrong variable", "dc = dc * f", "dc = dc * i"),
)
_slips(
    "lstm_rows_class",
    ("dh without what comes later", "carry forgotten", "dh = dH[:, t, :] + dh_next", "dh = dH[:, t, :]"),
    ("output gate missing on the way to c", "missing factor",
     "dc = dc_next + dh * self.o[t] * (1 - tanh_c ** 2)",
     "dc = dc_next + dh * (1 - tanh_c ** 2)"),
    ("square forgotten", "derivative", "dc = dc_next + dh * self.o[t] * (1 - tanh_c ** 2)",
     "dc = dc_next + dh * self.o[t] * (1 - tanh_c)"),
    ("new cell for the forget gate", "time index", "df = dc * self.c[t] * self.f[t] * (1 - self.f[t])",
     "df = dc * self.c[t + 1] * self.f[t] * (1 - self.f[t])"),
    ("half a sigmoid's slope", "missing factor", "di = dc * self.g[t] * self.i[t] * (1 - self.i[t])",
     "di = dc * self.g[t] * (1 - self.i[t])"),
    ("dh for dc", "wrong variable", "dg = dc * self.i[t] * (1 - self.g[t] ** 2)",
     "dg = dh * self.i[t] * (1 - self.g[t] ** 2)"),
    ("dc for dh at the output gate", "wrong variable", "do = dh * tanh_c * self.o[t] * (1 - self.o[t])",
     "do = dc * tanh_c * self.o[t] * (1 - self.o[t])"),
    ("copied line keeps di", "wrong variable", "self.dW_c += x.T @ dg", "self.dW_c += x.T @ di"),
    ("U_o with the new h", "time index", "self.dU_o += h.T @ do", "self.dU_o += self.h[t + 1].T @ do"),
    ("bias by its mean", "mean or sum", "self.db_i += di.sum(axis=0, keepdims=True)",
     "self.db_i += di.mean(axis=0, keepdims=True)"),
    ("one gate left out of dX", "missing term",
     "dX[:, t, :] = df @ self.W_f.T + di @ self.W_i.T + dg @ self.W_c.T + do @ self.W_o.T",
     "dX[:, t, :] = df @ self.W_f.T + di @ self.W_i.T + dg @ self.W_c.T"),
    ("U not transposed", "transpose",
     "dh_next = df @ self.U_f.T + di @ self.U_i.T + dg @ self.U_c.T + do @ self.U_o.T",
     "dh_next = df @ self.U_f.T + di @ self.U_i.T + dg @ self.U_c + do @ self.U_o.T"),
    ("forget gate of the next step", "time index", "dc_next = dc * self.f[t]",
     "dc_next = dc * self.f[t - 1]"),
)
_slips(
    "gru_columns",
    ("difference the wrong way round", "sign", "dz = dh * (h[t - 1] - n[t])", "dz = dh * (n[t] - h[t - 1])"),
    ("z for 1 - z", "wrong variable", "dn = dh * (1 - z[t])", "dn = dh * z[t]"),
    ("tanh twice", "derivative", "dan = dn * (1 - n[t] ** 2)", "dan = dn * (1 - np.tanh(n[t]) ** 2)"),
    ("reset forgotten in dUn", "missing factor", "dUn += dan.dot((r[t] * h[t - 1]).T)",
     "dUn += dan.dot(h[t - 1].T)"),
    ("new state for r", "time index", "dr = drh * h[t - 1]", "dr = drh * h[t]"),
    ("reset forgotten on the way to h", "missing factor", "dh_prev += drh * r[t]", "dh_prev += drh"),
    ("the way through r is left out", "missing term", "dh_prev += Ur.T.dot(dar)", ""),
    ("= for +=", "accumulation", "dh_prev += Uz.T.dot(daz)", "dh_prev = Uz.T.dot(daz)"),
    ("Un not transposed", "transpose", "drh = Un.T.dot(dan)", "drh = Un.dot(dan)"),
    ("r's slope at its delta", "derivative", "dar = dr * r[t] * (1 - r[t])", "dar = dr * dr * (1 - r[t])"),
    ("update gate's bias before the slope", "wrong variable", "dbz += daz", "dbz += dz"),
    ("Wr for Wn", "wrong variable", "dX[:, t:t + 1] = Wz.T.dot(daz) + Wr.T.dot(dar) + Wn.T.dot(dan)",
     "dX[:, t:t + 1] = Wz.T.dot(daz) + Wr.T.dot(dar) + Wr.T.dot(dan)"),
    ("new state in dUz", "time index", "dUz += daz.dot(h[t - 1].T)", "dUz += daz.dot(h[t].T)"),
)
_slips(
    "gru_loss_dict",
    ("no mean", "scale", "dscores /= T * N", ""),
    ("mean over the batch only", "scale", "dscores /= T * N", "dscores /= N"),
    ("state before the step under the scores", "wrong variable", 'grads["dWy"] += s["h_new"].T @ dscores',
     'grads["dWy"] += s["h"].T @ dscores'),
    ("dh overwritten by the loss", "carry forgotten", 'dh = dh + dscores @ params["Wy"].T',
     'dh = dscores @ params["Wy"].T'),
    ("sign of the update gate", "sign", "du = dh * (c - h) * u * (1 - u)", "du = dh * (h - c) * u * (1 - u)"),
    ("one share of the update gate", "missing term", "du = dh * (c - h) * u * (1 - u)",
     "du = dh * c * u * (1 - u)"),
    ("1 - u to the candidate", "wrong variable", "dc = dh * u * (1 - c * c)",
     "dc = dh * (1 - u) * (1 - c * c)"),
    ("h for m", "wrong variable", "dr = dc * m * r * (1 - r)", "dr = dc * h * r * (1 - r)"),
    ("reset after the product forgotten", "missing factor", "dm = dc * r", "dm = dc"),
    ("Rc with the delta of the input side", "wrong variable", 'grads["dRc"] += h.T @ dm',
     'grads["dRc"] += h.T @ dc'),
    ("second bias like the first", "wrong variable", 'grads["dbm"] += dm.sum(axis=0)',
     'grads["dbm"] += dc.sum(axis=0)'),
    ("direct path forgotten", "missing term",
     'dh = dh * (1 - u) + du @ params["Ru"].T + dr @ params["Rr"].T + dm @ params["Rc"].T',
     'dh = du @ params["Ru"].T + dr @ params["Rr"].T + dm @ params["Rc"].T'),
    ("Rr with the reset state", "extra factor", 'grads["dRr"] += h.T @ dr', 'grads["dRr"] += (r * h).T @ dr'),
)
_slips(
    "rnn_class_loss",
    ("no mean over the batch", "scale", "dscores = (self.probs - one_hot) / N",
     "dscores = self.probs - one_hot"),
    ("sign of the scores", "sign", "dscores = (self.probs - one_hot) / N",
     "dscores = (one_hot - self.probs) / N"),
    ("last state for the mean", "wrong variable", "self.dWy = self.pooled.T @ dscores",
     "self.dWy = self.hs[:, -1].T @ dscores"),
    ("mean of the bias", "mean or sum", "self.dby = dscores.sum(axis=0, keepdims=True)",
     "self.dby = dscores.mean(axis=0, keepdims=True)"),
    ("mean over time forgotten", "scale", "dh = dpooled / T + dh_next", "dh = dpooled + dh_next"),
    ("no carry", "carry forgotten", "dh = dpooled / T + dh_next", "dh = dpooled / T"),
    ("slope at the state before", "time index", "da = dh * (1 - self.hs[:, t] ** 2)",
     "da = dh * (1 - self.hs[:, t - 1] ** 2)"),
    ("slope of a sigmoid", "derivative", "da = dh * (1 - self.hs[:, t] ** 2)",
     "da = dh * self.hs[:, t] * (1 - self.hs[:, t])"),
    ("h of the same step", "time index", "self.dWh += self.hs[:, t - 1].T @ da",
     "self.dWh += self.hs[:, t].T @ da"),
    ("last x only", "accumulation", "self.dWx += self.x[:, t - 1].T @ da",
     "self.dWx = self.x[:, t - 1].T @ da"),
    ("back before the slope", "wrong variable", "dh_next = da @ self.Wh.T", "dh_next = dh @ self.Wh.T"),
    ("Wh not transposed", "transpose", "dh_next = da @ self.Wh.T", "dh_next = da @ self.Wh"),
    ("last step left out", "time index", "for t in range(T, 0, -1):", "for t in range(T - 1, 0, -1):"),
)
_slips(
    "rnn_two_layers",
    ("upper layer without its carry", "carry forgotten", "dhigh = dys[t - 1] + back_high",
     "dhigh = dys[t - 1]"),
    ("lower layer without its carry", "missing term", "dlow = np.dot(delta2, W2.T) + back_low",
     "dlow = np.dot(delta2, W2.T)"),
    ("lower layer by time alone", "missing term", "dlow = np.dot(delta2, W2.T) + back_low",
     "dlow = back_low"),
    ("W2 before the slope", "wrong variable", "dlow = np.dot(delta2, W2.T) + back_low",
     "dlow = np.dot(dhigh, W2.T) + back_low"),
    ("lower state of the step before", "time index", "dW2 += np.dot(low[t].T, delta2)",
     "dW2 += np.dot(low[t - 1].T, delta2)"),
    ("upper state of the same step", "time index", "dR2 += np.dot(high[t - 1].T, delta2)",
     "dR2 += np.dot(high[t].T, delta2)"),
    ("square forgotten", "derivative", "delta2 = dhigh * (1 - high[t] ** 2)",
     "delta2 = dhigh * (1 - high[t])"),
    ("no slope below", "missing factor", "delta1 = dlow * (1 - low[t] ** 2)", "delta1 = dlow"),
    ("R2 not transposed", "transpose", "back_high = np.dot(delta2, R2.T)", "back_high = np.dot(delta2, R2)"),
    ("R1 not transposed", "transpose", "back_low = np.dot(delta1, R1.T)", "back_low = np.dot(delta1, R1)"),
    ("bias by its mean", "mean or sum", "db2 += np.sum(delta2, axis=0)", "db2 += np.mean(delta2, axis=0)"),
    ("carry added to the last one", "accumulation", "back_low = np.dot(delta1, R1.T)",
     "back_low += np.dot(delta1, R1.T)"),
)
_slips(
    "rnn_nested_bptt",
    ("one too few steps back", "time index", "for k in range(t, -1, -1):", "for k in range(t, 0, -1):"),
    ("truncated by accident", "time index", "for k in range(t, -1, -1):",
     "for k in range(t, max(-1, t - 2), -1):"),
    ("no slope at the top", "missing factor", "delta = V.T.dot(delta_o[t]) * (1 - s[t] ** 2)",
     "delta = V.T.dot(delta_o[t])"),
    ("slope without the square", "derivative", "delta = W.T.dot(delta) * (1 - s[k - 1] ** 2)",
     "delta = W.T.dot(delta) * (1 - s[k - 1])"),
    ("slope of the same step", "time index", "delta = W.T.dot(delta) * (1 - s[k - 1] ** 2)",
     "delta = W.T.dot(delta) * (1 - s[k] ** 2)"),
    ("W not transposed", "transpose", "delta = W.T.dot(delta) * (1 - s[k - 1] ** 2)",
     "delta = W.dot(delta) * (1 - s[k - 1] ** 2)"),
    ("state of the same step", "time index", "dLdW += np.outer(delta, s[k - 1])",
     "dLdW += np.outer(delta, s[k])"),
    ("t for k", "wrong variable", "dLdU[:, words[k]] += delta", "dLdU[:, words[t]] += delta"),
    ("repeated word overwritten", "accumulation", "dLdU[:, words[k]] += delta", "dLdU[:, words[k]] = delta"),
    ("outer product of the wrong step", "time index", "dLdV += np.outer(delta_o[t], s[t])",
     "dLdV += np.outer(delta_o[t], s[t - 1])"),
    ("words for targets", "wrong variable", "delta_o[np.arange(T), targets] -= 1.0",
     "delta_o[np.arange(T), words] -= 1.0"),
    ("delta too early", "order", "dLdU[:, words[k]] += delta\ndelta = W.T.dot(delta) * (1 - s[k - 1] ** 2)",
     "delta = W.T.dot(delta) * (1 - s[k - 1] ** 2)\ndLdU[:, words[k]] += delta"),
)
_slips(
    "lstm_peephole",
    ("no carry of h", "carry forgotten", "dh = dh + dhs[:, t]", "dh = dhs[:, t]"),
    ("peephole of o forgotten in dc", "missing term", "dc = dc + dao * po", ""),
    ("dc without the later steps", "missing term", "dc = dc + dh * o * (1 - tc ** 2)",
     "dc = dh * o * (1 - tc ** 2)"),
    ("tanh twice", "derivative", "dc = dc + dh * o * (1 - tc ** 2)",
     "dc = dc + dh * o * (1 - np.tanh(tc) ** 2)"),
    ("peephole of i with the new cell", "wrong variable", "dpi += (dai * c_prev).sum(axis=0)",
     "dpi += (dai * c).sum(axis=0)"),
    ("peephole of o with the old cell", "wrong variable", "dpo += (dao * c).sum(axis=0)",
     "dpo += (dao * c_prev).sum(axis=0)"),
    ("peephole of f forgotten in the carry", "missing term", "dc = dc * f + dai * pi + daf * pf",
     "dc = dc * f + dai * pi"),
    ("both peepholes forgotten in the carry", "missing term", "dc = dc * f + dai * pi + daf * pf",
     "dc = dc * f", 2),
    ("the two peepholes exchanged", "wrong variable", "dc = dc * f + dai * pi + daf * pf",
     "dc = dc * f + dai * pf + daf * pi", 2),
    ("o before its slope", "missing factor", "dao = dh * tc * o * (1 - o)", "dao = dh * tc"),
    ("peephole before the tanh path", "order", "dc = dc + dao * po\ndai = dc * g * i * (1 - i)",
     "dai = dc * g * i * (1 - i)\ndc = dc + dao * po"),
    ("gates in another order", "order", "da = np.concatenate([dai, daf, dag, dao], axis=1)",
     "da = np.concatenate([dai, daf, dao, dag], axis=1)"),
    ("candidate times itself", "wrong variable", "dag = dc * i * (1 - g ** 2)",
     "dag = dc * g * (1 - g ** 2)"),
)
_slips(
    "lstm_coupled",
    ("coupled gate forgotten", "missing term", "gf = gc * (c_old - g)", "gf = gc * c_old"),
    ("sign of the coupled gate", "sign", "gf = gc * (c_old - g)", "gf = gc * (c_old + g)"),
    ("f to the candidate", "wrong variable", "gg = gc * (1 - f)", "gg = gc * f"),
    ("tanh' of the cell at its slope's value", "derivative", "gc = gc_later + gq * tanh_prime(q)",
     "gc = gc_later + gq * tanh_prime(np.tanh(q))"),
    ("cell forgets the later steps", "missing term", "gc = gc_later + gq * tanh_prime(q)",
     "gc = gq * tanh_prime(q)"),
    ("helper applies tanh again", "derivative", "return 1 - v ** 2", "return 1 - np.tanh(v) ** 2"),
    ("helper applies the sigmoid again", "derivative", "return s * (1 - s)",
     "return sigmoid(s) * (1 - sigmoid(s))"),
    ("output gate as tanh", "derivative",
     "ga = np.vstack([gf * sigmoid_prime(f), go * sigmoid_prime(o), gg * tanh_prime(g)])",
     "ga = np.vstack([gf * sigmoid_prime(f), go * tanh_prime(o), gg * tanh_prime(g)])"),
    ("rows in another order", "order",
     "ga = np.vstack([gf * sigmoid_prime(f), go * sigmoid_prime(o), gg * tanh_prime(g)])",
     "ga = np.vstack([go * sigmoid_prime(o), gf * sigmoid_prime(f), gg * tanh_prime(g)])"),
    ("mean over the examples", "mean or sum", "gbias += ga.sum(axis=1, keepdims=True)",
     "gbias += ga.mean(axis=1, keepdims=True)"),
    ("slice for x from the wrong end", "slice", "gx[t] = gv[H:]", "gx[t] = gv[:-H]"),
    ("slices of x and h as in [x, h]", "slice", "gh_later = gv[:H]\ngx[t] = gv[H:]",
     "gh_later = gv[-H:]\ngx[t] = gv[:-H]", 2),
    ("cell carried by 1 - f", "wrong variable", "gc_later = gc * f", "gc_later = gc * (1 - f)"),
    ("only the tanh path is carried", "wrong variable", "gc_later = gc * f",
     "gc_later = gq * tanh_prime(q) * f"),
    ("go with the output", "wrong variable", "go = gh * q", "go = gh * o * q"),
)
_slips(
    "lstm_delta_lists",
    ("deltas not turned round", "order", "D = np.array([delta[::-1] for delta in lists])",
     "D = np.array(lists)"),
    ("dX not turned round", "order", "dX = np.array(dX[::-1])", "dX = np.array(dX)"),
    ("states after the step", "slice", "before = np.array(hs[:-1])", "before = np.array(hs[1:])"),
    ("bias by its mean", "mean or sum", "db = D.sum(axis=1)", "db = D.mean(axis=1)"),
    ("three gates in dX", "time index", "dX.append(sum(W[k].T @ deltas[k] for k in range(4)))",
     "dX.append(sum(W[k].T @ deltas[k] for k in range(3)))"),
    ("U not transposed", "transpose", "dh_next = sum(U[k].T @ deltas[k] for k in range(4))",
     "dh_next = sum(U[k] @ deltas[k] for k in range(4))"),
    ("cell before the step in the output gate", "wrong variable", "do = o * (1 - o) * np.tanh(c_t) * dh",
     "do = o * (1 - o) * np.tanh(c_before) * dh"),
    ("cells exchanged", "order", "c_t, c_before = cs[t + 1], cs[t]", "c_before, c_t = cs[t + 1], cs[t]"),
    ("i in the place of g", "wrong variable", "deltas = [df, di, do, dg]", "deltas = [di, df, do, dg]"),
    ("slope of f with g", "wrong variable", "df = f * (1 - f) * c_before * dc",
     "df = f * (1 - g) * c_before * dc"),
    ("cell's carry not multiplied by f", "missing factor", "dc_next = f * dc", "dc_next = dc"),
    ("cell without the later steps", "missing term", "dc = dh * o * (1 - np.tanh(c_t) ** 2) + dc_next",
     "dc = dh * o * (1 - np.tanh(c_t) ** 2)"),
    ("output gate missing in dc", "missing factor", "dc = dh * o * (1 - np.tanh(c_t) ** 2) + dc_next",
     "dc = dh * (1 - np.tanh(c_t) ** 2) + dc_next"),
)
_slips(
    "birnn",
    ("first half for both nets", "slice", "dh = dy[:, t - 1, H:] + carry", "dh = dy[:, t - 1, :H] + carry"),
    ("halves exchanged", "slice", "dh = dy[:, t - 1, :H] + carry", "dh = dy[:, t - 1, H:] + carry"),
    ("right net backwards in time like the left", "order",
     "for t in range(1, T + 1):\ndh = dy[:, t - 1, H:] + carry",
     "for t in range(T, 0, -1):\n    dh = dy[:, t - 1, H:] + carry"),
    ("neighbour on the wrong side", "time index", "dUb += hb[t + 1].T @ da", "dUb += hb[t - 1].T @ da"),
    ("state of the same step", "time index", "dUf += hf[t - 1].T @ da", "dUf += hf[t].T @ da"),
    ("copied slope", "wrong variable", "da = (1 - hb[t] ** 2) * dh", "da = (1 - hf[t] ** 2) * dh"),
    ("second net overwrites dx", "accumulation", "dx[:, t - 1] += da @ Wb.T", "dx[:, t - 1] = da @ Wb.T"),
    ("copied matrix", "wrong variable", "carry = da @ Ub.T", "carry = da @ Uf.T"),
    ("Uf not transposed", "transpose", "carry = da @ Uf.T", "carry = da @ Uf"),
    ("carry before the slope", "wrong variable", "carry = da @ Uf.T", "carry = dh @ Uf.T"),
    ("x of the next step", "time index", "dWf += x[:, t - 1].T @ da", "dWf += x[:, t - 2].T @ da"),
    ("bias by its mean", "mean or sum", "dbb += da.sum(axis=0)", "dbb += da.mean(axis=0)"),
)
_slips(
    "batch_norm",
    ("mean taken to be constant", "missing term", "dA = dcentered + dmu / N", "dA = dcentered"),
    ("mean's share not divided by N", "scale", "dA = dcentered + dmu / N", "dA = dcentered + dmu"),
    ("sign of the mean's share", "sign", "dmu = -dcentered.sum(axis=0)", "dmu = dcentered.sum(axis=0)"),
    ("variance taken to be constant", "missing term", "dcentered += 2.0 * centered * dvar / N", ""),
    ("variance's share overwrites", "accumulation", "dcentered += 2.0 * centered * dvar / N",
     "dcentered = 2.0 * centered * dvar / N"),
    ("factor 2 forgotten", "missing factor", "dcentered += 2.0 * centered * dvar / N",
     "dcentered += centered * dvar / N"),
    ("division by N forgotten", "scale", "dcentered += 2.0 * centered * dvar / N",
     "dcentered += 2.0 * centered * dvar"),
    ("sign of 1 / std", "sign", "dstd = -dinv_std / std ** 2", "dstd = dinv_std / std ** 2"),
    ("square of std forgotten", "derivative", "dstd = -dinv_std / std ** 2", "dstd = -dinv_std / std"),
    ("half of the root forgotten", "missing factor", "dvar = dstd * 0.5 / std", "dvar = dstd / std"),
    ("gamma's gradient without norm", "missing factor", "dgamma = (dout * norm).sum(axis=0)",
     "dgamma = dout.sum(axis=0)"),
    ("gamma forgotten", "missing factor", "dnorm = dout * gamma", "dnorm = dout"),
    ("ReLU forgotten", "missing factor", "dout = dY * mask", "dout = dY"),
    ("W before the mean's share", "wrong variable", "dW = X.T.dot(dA)", "dW = X.T.dot(dcentered)"),
    ("norm for centered", "wrong variable", "dinv_std = (dnorm * centered).sum(axis=0)",
     "dinv_std = (dnorm * norm).sum(axis=0)"),
)
_slips(
    "self_attention",
    ("softmax as a sigmoid", "derivative", "dS = P * (dP - row)", "dS = P * (1 - P) * dP"),
    ("softmax without the factor P", "missing factor", "dS = P * (dP - row)", "dS = dP - row"),
    ("softmax without the row's mean", "missing term", "dS = P * (dP - row)", "dS = P * dP"),
    ("sum over the wrong axis", "axis", "row = (dP * P).sum(axis=-1, keepdims=True)",
     "row = (dP * P).sum(axis=1, keepdims=True)"),
    ("mean of the row", "mean or sum", "row = (dP * P).sum(axis=-1, keepdims=True)",
     "row = (dP * P).mean(axis=-1, keepdims=True)"),
    ("scale forgotten", "scale", "dS = dS / np.sqrt(K)", ""),
    ("scale without the root", "scale", "dS = dS / np.sqrt(K)", "dS = dS / K"),
    ("scores not transposed for the keys", "transpose", "dKeys = dS.transpose(0, 2, 1) @ Q",
     "dKeys = dS @ Q"),
    ("weights not transposed for the values", "transpose", "dV = P.transpose(0, 2, 1) @ dC", "dV = P @ dC"),
    ("queries for keys", "wrong variable", "dQ = dS @ Keys", "dQ = dS @ Q"),
    ("input's own path forgotten", "missing term", "dX = dY.copy()", "dX = np.zeros_like(X)"),
    ("keys' share overwrites", "accumulation", "dX += dKeys @ Wk.T", "dX = dKeys @ Wk.T"),
    ("values' share forgotten", "missing term", "dX += dV @ Wv.T", ""),
    ("matrix of the queries twice", "wrong variable", "dX += dKeys @ Wk.T", "dX += dKeys @ Wq.T"),
)
_slips(
    "conv_pool",
    ("ReLU's mask at the pooled gradient", "wrong variable", "da = dr * (a > 0)", "da = dr * (dr > 0)"),
    ("ReLU forgotten", "missing factor", "da = dr * (a > 0)", "da = dr"),
    ("winner forgotten", "missing term", "dr[n, k, 2 * j + winner[n, k, j]] = dout[n, k, j]",
     "dr[n, k, 2 * j] = dout[n, k, j]"),
    ("both neighbours get it", "slice", "dr[n, k, 2 * j + winner[n, k, j]] = dout[n, k, j]",
     "dr[n, k, 2 * j:2 * j + 2] = dout[n, k, j]"),
    ("windows overwrite each other", "accumulation", "dxp[n, :, j:j + K] += da[n, k, j] * w[k]",
     "dxp[n, :, j:j + K] = da[n, k, j] * w[k]"),
    ("kernel turned round", "order", "dxp[n, :, j:j + K] += da[n, k, j] * w[k]",
     "dxp[n, :, j:j + K] += da[n, k, j] * w[k, :, ::-1]"),
    ("last window only", "accumulation", "dw[k] += da[n, k, j] * xp[n, :, j:j + K]",
     "dw[k] = da[n, k, j] * xp[n, :, j:j + K]"),
    ("padding cut at one end only", "slice", "dx = dxp[:, :, pad:pad + L]", "dx = dxp[:, :, :L]"),
    ("bias by its mean", "mean or sum", "db = da.sum(axis=(0, 2))", "db = da.mean(axis=(0, 2))"),
    ("bias before the ReLU's slope", "wrong variable", "db = da.sum(axis=(0, 2))",
     "db = dr.sum(axis=(0, 2))"),
    ("a for da", "wrong variable", "dw[k] += da[n, k, j] * xp[n, :, j:j + K]",
     "dw[k] += a[n, k, j] * xp[n, :, j:j + K]"),
    ("last position left out", "time index",
     "for j in range(L):\nfor k in range(F):\ndw[k] += da[n, k, j] * xp[n, :, j:j + K]",
     "for j in range(L - 1):\n    for k in range(F):\n        dw[k] += da[n, k, j] * xp[n, :, j:j + K]"),
)
_slips(
    "layer_norm",
    ("mean taken to be constant", "missing term", "dx = rstd * (dxhat - mean1 - xhat * mean2)",
     "dx = rstd * (dxhat - xhat * mean2)"),
    ("variance taken to be constant", "missing term", "dx = rstd * (dxhat - mean1 - xhat * mean2)",
     "dx = rstd * (dxhat - mean1)"),
    ("sign of the variance's share", "sign", "dx = rstd * (dxhat - mean1 - xhat * mean2)",
     "dx = rstd * (dxhat - mean1 + xhat * mean2)"),
    ("xhat forgotten beside mean2", "missing factor", "dx = rstd * (dxhat - mean1 - xhat * mean2)",
     "dx = rstd * (dxhat - mean1 - mean2)"),
    ("mean over the batch", "axis", "mean1 = dxhat.mean(axis=1, keepdims=True)",
     "mean1 = dxhat.mean(axis=0, keepdims=True)"),
    ("sums for means", "mean or sum",
     "mean1 = dxhat.mean(axis=1, keepdims=True)\nmean2 = (dxhat * xhat).mean(axis=1, keepdims=True)",
     "mean1 = dxhat.sum(axis=1, keepdims=True)\nmean2 = (dxhat * xhat).sum(axis=1, keepdims=True)", 2),
    ("gain forgotten", "missing factor", "dxhat = dn * gain", "dxhat = dn"),
    ("input's own path forgotten", "missing term", "dx = dx + dy", ""),
    ("GELU at the activated value", "derivative", "du = da * gelu_grad(u)", "du = da * gelu_grad(a)"),
    ("GELU itself for its slope", "derivative", "du = da * gelu_grad(u)", "du = da * gelu(u)"),
    ("power of the inner derivative", "derivative", "inner = k * (1 + 3 * 0.044715 * u ** 2)",
     "inner = k * (1 + 0.044715 * u ** 2)"),
    ("product rule half done", "missing term", "return 0.5 * (1 + th) + 0.5 * u * (1 - th ** 2) * inner",
     "return 0.5 * (1 + th)"),
    ("chain rule's inner slope forgotten", "missing factor",
     "return 0.5 * (1 + th) + 0.5 * u * (1 - th ** 2) * inner",
     "return 0.5 * (1 + th) + 0.5 * u * (1 - th ** 2)"),
    ("gain's gradient with n", "wrong variable", "dgain = (dn * xhat).sum(axis=0)",
     "dgain = (dn * n).sum(axis=0)"),
    ("W1 with the values before the gain", "wrong variable", "dW1 = n.T @ du", "dW1 = xhat.T @ du"),
)
_slips(
    "mlp_softmax",
    ("no mean over the batch", "scale", "dlogits /= N", ""),
    ("decay forgotten", "missing term", 'self.grads["W2"] = self.h.T @ dlogits + self.decay * p["W2"]',
     'self.grads["W2"] = self.h.T @ dlogits'),
    ("decay twice as strong", "scale", 'self.grads["W1"] = self.X.T @ da + self.decay * p["W1"]',
     'self.grads["W1"] = self.X.T @ da + 2 * self.decay * p["W1"]'),
    ("decay half as strong", "scale", 'self.grads["W2"] = self.h.T @ dlogits + self.decay * p["W2"]',
     'self.grads["W2"] = self.h.T @ dlogits + 0.5 * self.decay * p["W2"]'),
    ("a for h", "wrong variable", 'self.grads["W2"] = self.h.T @ dlogits + self.decay * p["W2"]',
     'self.grads["W2"] = self.a.T @ dlogits + self.decay * p["W2"]'),
    ("leak forgotten", "missing term", "da = np.where(self.a > 0, dh, 0.1 * dh)",
     "da = np.where(self.a > 0, dh, 0)"),
    ("sides exchanged", "order", "da = np.where(self.a > 0, dh, 0.1 * dh)",
     "da = np.where(self.a > 0, 0.1 * dh, dh)"),
    ("sign of the gradient asked, not of a", "wrong variable", "da = np.where(self.a > 0, dh, 0.1 * dh)",
     "da = np.where(dh > 0, dh, 0.1 * dh)"),
    ("dh for da", "wrong variable", 'self.grads["b1"] = np.sum(da, axis=0, keepdims=True)',
     'self.grads["b1"] = np.sum(dh, axis=0, keepdims=True)'),
    ("bias by its mean", "mean or sum", 'self.grads["b2"] = np.sum(dlogits, axis=0, keepdims=True)',
     'self.grads["b2"] = np.mean(dlogits, axis=0, keepdims=True)'),
    ("sign of the label", "sign", "dlogits[np.arange(N), self.labels] -= 1",
     "dlogits[np.arange(N), self.labels] += 1"),
    ("label's one subtracted everywhere", "slice", "dlogits[np.arange(N), self.labels] -= 1",
     "dlogits[:, self.labels] -= 1"),
    ("input before the slope", "wrong variable", 'return da @ p["W1"].T', 'return dh @ p["W1"].T'),
)
_slips(
    "attention_pool",
    ("no mean over the batch", "scale", "dlogit = (p - y) / N", "dlogit = p - y"),
    ("slope of the sigmoid once more", "extra factor", "dlogit = (p - y) / N",
     "dlogit = (p - y) * p * (1 - p) / N"),
    ("sign of the error", "sign", "dlogit = (p - y) / N", "dlogit = (y - p) / N"),
    ("softmax as a sigmoid", "derivative",
     "dscores = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))",
     "dscores = alpha * (1 - alpha) * dalpha"),
    ("alpha forgotten inside the sum", "missing factor",
     "dscores = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))",
     "dscores = alpha * (dalpha - dalpha.sum(axis=1, keepdims=True))"),
    ("sum over the batch", "axis", "dscores = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))",
     "dscores = alpha * (dalpha - (alpha * dalpha).sum(axis=0, keepdims=True))"),
    ("mean over the features", "mean or sum", "dalpha = (dcontext[:, None, :] * X).sum(axis=2)",
     "dalpha = (dcontext[:, None, :] * X).mean(axis=2)"),
    ("values' path forgotten", "missing term", "dX = alpha[:, :, None] * dcontext[:, None, :]",
     "dX = np.zeros_like(X)"),
    ("scores' path overwrites", "accumulation", "dX += dpre.dot(W.T)", "dX = dpre.dot(W.T)"),
    ("slope without the square", "derivative", "dpre = dM * (1 - M ** 2)", "dpre = dM * (1 - M)"),
    ("tanh twice", "derivative", "dpre = dM * (1 - M ** 2)", "dpre = dM * (1 - np.tanh(M) ** 2)"),
    ("v's gradient from the weights", "wrong variable", 'dv = np.einsum("nta,nt->a", M, dscores)',
     'dv = np.einsum("nta,nt->a", M, alpha)'),
    ("matrix before the slope", "wrong variable", 'dW = np.einsum("ntd,nta->da", X, dpre)',
     'dW = np.einsum("ntd,nta->da", X, dM)'),
    ("mean of the bias", "mean or sum", "db = dpre.sum(axis=(0, 1))", "db = dpre.mean(axis=(0, 1))"),
)
