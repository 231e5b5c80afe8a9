import numpy as np


class TimeRNN:
    """params = [Wx, Wh, b]; backward fills grads in the same order and keeps the gradient of the first state in dh."""

    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]
        self.dh = None

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        self.xs = xs
        self.hs = np.zeros((N, T + 1, len(b)))
        for t in range(T):
            self.hs[:, t + 1] = np.tanh(self.hs[:, t] @ Wh + xs[:, t] @ Wx + b)
        return self.hs[:, 1:].copy()

    def backward(self, dhs):
        Wx, Wh, b = self.params
        for grad in self.grads:
            grad[...] = 0
        dxs = np.zeros_like(self.xs)
        dh = 0
        for t in reversed(range(dhs.shape[1])):
            dt = (dhs[:, t] + dh) * (1 - self.hs[:, t + 1] ** 2)
            self.grads[0] += self.xs[:, t].T @ dt
            self.grads[1] += self.hs[:, t].T @ dt
            self.grads[2] += dt.sum(axis=0)
            dxs[:, t] = dt @ Wx.T
            dh = dt @ Wh.T
        self.dh = dh
        return dxs
