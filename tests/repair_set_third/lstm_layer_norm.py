# LSTM with layer normalisation: of both products before the gates, and of the cell under its tanh
from dataclasses import dataclass

import numpy as np

EPS = 1e-3


@dataclass
class Memory:
    """What the backward step needs of one forward step."""

    x: np.ndarray
    h: np.ndarray
    c: np.ndarray
    gates: tuple
    norm_x: tuple
    norm_h: tuple
    norm_c: tuple
    squashed: np.ndarray


def squash(v):
    return 1 / (1 + np.exp(-v))


def norm(a, gain):
    centred = a - a.mean(axis=1, keepdims=True)
    std = np.sqrt((centred ** 2).mean(axis=1, keepdims=True) + EPS)
    unit = centred / std
    return gain * unit, (unit, std)


def norm_back(dout, gain, saved):
    unit, std = saved
    dgain = (dout * unit).sum(axis=0)
    dunit = dout * gain
    inner = dunit - dunit.mean(axis=1, keepdims=True)
    inner = inner - unit * (dunit * unit).mean(axis=1, keepdims=True)
    return inner / std, dgain


class NormedLSTM:
    def __init__(self, n_in, n_out, rng):
        self.n_out = n_out
        self.params = {
            "Wx": rng.standard_normal((n_in, 4 * n_out)),
            "Wh": rng.standard_normal((n_out, 4 * n_out)),
            "b": 0.5 * rng.standard_normal(4 * n_out),
            "gain_x": rng.uniform(0.5, 1.5, 4 * n_out),
            "gain_h": rng.uniform(0.5, 1.5, 4 * n_out),
            "gain_c": rng.uniform(0.5, 1.5, n_out),
            "shift_c": 0.5 * rng.standard_normal(n_out),
        }
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def forward(self, xs):
        """xs: (B, T, n_in). Returns the h of every step, (B, T, n_out)."""
        p = self.params
        h = np.ones((len(xs), self.n_out))
        c = np.zeros((len(xs), self.n_out))
        self.memories = []
        hs = []
        for t in range(xs.shape[1]):
            from_x, norm_x = norm(xs[:, t] @ p["Wx"], p["gain_x"])
            from_h, norm_h = norm(h @ p["Wh"], p["gain_h"])
            i, f, g, o = np.split(from_x + from_h + p["b"], 4, axis=1)
            i, f, g, o = squash(i), squash(f), np.tanh(g), squash(o)
            c_new = f * c + i * g
            scaled, norm_c = norm(c_new, p["gain_c"])
            squashed = np.tanh(scaled + p["shift_c"])
            self.memories.append(Memory(xs[:, t], h, c, (i, f, g, o), norm_x, norm_h, norm_c, squashed))
            h, c = o * squashed, c_new
            hs.append(h)
        return np.stack(hs, axis=1)

    def backward(self, dhs):
        p, grads = self.params, self.grads
        dxs = np.zeros((dhs.shape[0], dhs.shape[1], p["Wx"].shape[0]))
        dh = np.zeros_like(dhs[:, 0])
        dc = np.zeros_like(dh)
        for t in reversed(range(dhs.shape[1])):
            m = self.memories[t]
            i, f, g, o = m.gates
            dh = dh + dhs[:, t]
            do = dh * m.squashed
            dscaled = dh * o * (1 - m.squashed ** 2)
            grads["shift_c"] += dscaled.sum(axis=0)
            from_norm, dgain_c = norm_back(dscaled, p["gain_c"], m.norm_c)
            grads["gain_c"] += dgain_c
            dc = dc + from_norm
            di, df, dg = dc * g, dc * m.c, dc * i
            dpre = np.hstack([di * i * (1 - i), df * f * (1 - f), dg * (1 - g ** 2), do * o * (1 - o)])
            grads["b"] += dpre.sum(axis=0)
            dprod_x, dgain_x = norm_back(dpre, p["gain_x"], m.norm_x)
            dprod_h, dgain_h = norm_back(dpre, p["gain_h"], m.norm_h)
            grads["gain_x"] += dgain_x
            grads["gain_h"] += dgain_h
            grads["Wx"] += m.x.T @ dprod_x
            grads["Wh"] += m.h.T @ dprod_h
            dxs[:, t] = dprod_x @ p["Wx"].T
            dh = dprod_h @ p["Wh"].T
            dc = dc * f
        return dxs
