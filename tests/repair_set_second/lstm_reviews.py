# reviews of different lengths: embedding, LSTM that stands still after a review's end, mean BCE
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class ReviewLSTM:
    def __init__(self, vocabulary, E, H, rng):
        self.H = H
        self.params = dict(
            emb=rng.standard_normal((vocabulary, E)),
            Wx=0.5 * rng.standard_normal((E, 4 * H)),
            Wh=0.5 * rng.standard_normal((H, 4 * H)),
            b=0.5 * rng.standard_normal(4 * H),
            w=rng.standard_normal((H, 1)),
            c=rng.standard_normal(1),
        )
        self.grads = {}

    def forward(self, tokens, lengths, y):
        P, H = self.params, self.H
        N, T = tokens.shape
        self.tokens, self.y = tokens, y
        self.x = P["emb"][tokens]
        self.mask = (np.arange(T)[None, :] < lengths[:, None]).astype(float)
        self.h = np.zeros((T + 1, N, H))
        self.c = np.zeros((T + 1, N, H))
        self.gates = np.zeros((T, N, 4 * H))
        self.tanh_c = np.zeros((T, N, H))
        for t in range(T):
            a = self.x[:, t] @ P["Wx"] + self.h[t] @ P["Wh"] + P["b"]
            a[:, :3 * H] = sigmoid(a[:, :3 * H])
            a[:, 3 * H:] = np.tanh(a[:, 3 * H:])
            self.gates[t] = a
            c = a[:, H:2 * H] * self.c[t] + a[:, :H] * a[:, 3 * H:]
            self.tanh_c[t] = np.tanh(c)
            h = a[:, 2 * H:3 * H] * self.tanh_c[t]
            m = self.mask[:, t:t + 1]
            self.c[t + 1] = m * c + (1 - m) * self.c[t]
            self.h[t + 1] = m * h + (1 - m) * self.h[t]
        self.p = sigmoid(self.h[T] @ P["w"] + P["c"])[:, 0]
        return np.mean(-y * np.log(self.p) - (1 - y) * np.log(1 - self.p))

    def backward(self):
        P, H = self.params, self.H
        N, T = self.tokens.shape
        G = {k: np.zeros_like(v) for k, v in P.items()}
        ds = ((self.p - self.y) / N)[:, None]
        G["w"] = self.h[T].T @ ds
        G["c"] = ds.sum(axis=0)
        dh = ds @ P["w"].T
        dc = np.zeros((N, H))
        for t in reversed(range(T)):
            m = self.mask[:, t:t + 1]
            dh_skip = (1 - m) * dh
            dc_skip = (1 - m) * dc
            dh = m * dh
            dc = m * dc
            a = self.gates[t]
            i, f, o, g = a[:, :H], a[:, H:2 * H], a[:, 2 * H:3 * H], a[:, 3 * H:]
            dc = dc + dh * o * (1 - self.tanh_c[t] ** 2)
            da = np.empty((N, 4 * H))
            da[:, :H] = dc * g
            da[:, H:2 * H] = dc * self.c[t]
            da[:, 2 * H:3 * H] = dh * self.tanh_c[t]
            da[:, :3 * H] *= a[:, :3 * H] * (1 - a[:, :3 * H])
            da[:, 3 * H:] = dc * i * (1 - g ** 2)
            G["Wx"] += self.x[:, t].T @ da
            G["Wh"] += self.h[t].T @ da
            G["b"] += da.sum(axis=0)
            np.add.at(G["emb"], self.tokens[:, t], da @ P["Wx"].T)
            dh = da @ P["Wh"].T + dh_skip
            dc = dc * f + dc_skip
        self.grads = G
