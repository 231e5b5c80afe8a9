# language model: an LSTM whose output scores are taken with the embedding matrix itself (tied weights)
import numpy as np


def sgm(x):
    return 1. / (1. + np.exp(-x))


class TiedLM:
    def __init__(self, V, H, rng):
        self.H = H
        self.E = rng.standard_normal((V, H))
        self.W = rng.standard_normal((2 * H, 4 * H)) * .6
        self.b = rng.standard_normal(4 * H) * .5
        self.out_b = rng.standard_normal(V) * .5

    def forward(self, words, nxt):
        """words, nxt: (N, T) numbers of words; returns the mean cross entropy of the next words."""
        N, T = words.shape
        H = self.H
        self.words, self.nxt = words, nxt
        h, c = np.zeros((N, H)), np.zeros((N, H))
        self.inp, self.ifog, self.cs, self.hs = [], [], [c], []
        for t in range(T):
            z = np.concatenate([self.E[words[:, t]], h], axis=1)
            a = z @ self.W + self.b
            i, f, o, g = sgm(a[:, :H]), sgm(a[:, H:2*H]), sgm(a[:, 2*H:3*H]), np.tanh(a[:, 3*H:])
            c = i * g + f * c
            h = o * np.tanh(c)
            self.inp.append(z)
            self.ifog.append((i, f, o, g))
            self.cs.append(c)
            self.hs.append(h)
        self.hs = np.stack(self.hs, axis=1)
        scores = self.hs @ self.E.T + self.out_b
        scores = scores - scores.max(axis=-1, keepdims=True)
        self.logp = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        picked = np.take_along_axis(self.logp, nxt[:, :, None], axis=-1)
        return -picked.mean()

    def backward(self):
        N, T = self.words.shape
        H = self.H
        dscores = np.exp(self.logp)
        dscores[np.arange(N)[:, None], np.arange(T)[None, :], self.nxt] -= 1
        dscores /= N * T
        self.dE = np.einsum('ntv,nth->vh', dscores, self.hs)
        self.dout_b = dscores.sum(axis=(0, 1))
        dhs = dscores @ self.E
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in range(T - 1, -1, -1):
            i, f, o, g = self.ifog[t]
            tanh_c = np.tanh(self.cs[t + 1])
            dh += dhs[:, t]
            dc += dh * o * (1 - tanh_c**2)
            da = np.zeros((N, 4 * H))
            da[:, :H] = dc * g * i * (1 - i)
            da[:, H:2*H] = dc * self.cs[t] * f * (1 - f)
            da[:, 2*H:3*H] = dh * tanh_c * o * (1 - o)
            da[:, 3*H:] = dc * i * (1 - g**2)
            self.dW += self.inp[t].T @ da
            self.db += da.sum(axis=0)
            dz = da @ self.W.T
            np.add.at(self.dE, self.words[:, t], dz[:, :H])
            dh = dz[:, H:]
            dc = dc * f
