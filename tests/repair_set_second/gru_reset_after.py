# GRU whose reset gate comes after the product (as on GPUs), and one yes-or-no answer from the last state
import numpy as np


class GRUClassifier:
    def __init__(self, n_in, n_units, rng):
        def init(*shape):
            return rng.normal(scale=0.5, size=shape)

        self.n_units = n_units
        self.params = {
            "kernel": init(n_in, 3 * n_units),          # z, r, candidate
            "recurrent": init(n_units, 3 * n_units),
            "bias_in": init(3 * n_units),
            "bias_rec": init(3 * n_units),
            "w_out": init(n_units),
            "b_out": init(1),
        }
        self.grads = {}

    @staticmethod
    def _sigmoid(v):
        return 1.0 / (1.0 + np.exp(-v))

    def forward(self, x, y):
        p, u = self.params, self.n_units
        h = np.zeros((x.shape[0], u))
        self.cache = []
        for t in range(x.shape[1]):
            from_x = x[:, t] @ p["kernel"] + p["bias_in"]
            from_h = h @ p["recurrent"] + p["bias_rec"]
            z = self._sigmoid(from_x[:, :u] + from_h[:, :u])
            r = self._sigmoid(from_x[:, u:2 * u] + from_h[:, u:2 * u])
            inner = from_h[:, 2 * u:]
            hh = np.tanh(from_x[:, 2 * u:] + r * inner)
            self.cache.append((x[:, t], h, z, r, inner, hh))
            h = z * h + (1 - z) * hh
        self.last = h
        self.y = y
        self.prob = self._sigmoid(h @ p["w_out"] + p["b_out"])
        return -np.mean(y * np.log(self.prob) + (1 - y) * np.log(1 - self.prob))

    def backward(self):
        p = self.params
        g = {name: np.zeros_like(value) for name, value in p.items()}
        d_logit = (self.prob - self.y) / self.y.size
        g["w_out"] = self.last.T @ d_logit
        g["b_out"] = d_logit.sum(keepdims=True)
        dh = d_logit[:, None] * p["w_out"]
        dx = []
        for x_t, h_prev, z, r, inner, hh in self.cache[::-1]:
            dz = dh * (h_prev - hh)
            dhh = dh * (1 - z)
            d_pre = dhh * (1 - hh ** 2)
            dr = d_pre * inner
            d_z = dz * z * (1 - z)
            d_r = dr * r * (1 - r)
            d_in = np.concatenate([d_z, d_r, d_pre], axis=1)
            d_rec = np.concatenate([d_z, d_r, d_pre * r], axis=1)
            g["kernel"] += x_t.T @ d_in
            g["recurrent"] += h_prev.T @ d_rec
            g["bias_in"] += d_in.sum(axis=0)
            g["bias_rec"] += d_rec.sum(axis=0)
            dx.append(d_in @ p["kernel"].T)
            dh = dh * z + d_rec @ p["recurrent"].T
        self.grads = g
        return np.stack(dx[::-1], axis=1)
