# many to one: the mean of an RNN's states is classified; one class with the loss inside
import numpy as np


class SequenceClassifier:
    def __init__(self, D, H, C, rng):
        self.Wx = rng.normal(0, 0.5, (D, H))
        self.Wh = rng.normal(0, 0.5, (H, H))
        self.b = rng.normal(0, 0.5, (1, H))
        self.Wy = rng.normal(0, 0.5, (H, C))
        self.by = rng.normal(0, 0.5, (1, C))

    def forward(self, x, y):
        """x: (N, T, D), y: (N,) class numbers."""
        N, T, D = x.shape
        H = self.Wh.shape[0]
        self.x, self.y = x, y
        self.hs = np.zeros((N, T + 1, H))
        for t in range(T):
            self.hs[:, t + 1] = np.tanh(x[:, t] @ self.Wx + self.hs[:, t] @ self.Wh + self.b)
        self.pooled = self.hs[:, 1:].mean(axis=1)
        scores = self.pooled @ self.Wy + self.by
        scores = scores - scores.max(axis=1, keepdims=True)
        self.probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        return -np.log(self.probs[np.arange(N), y]).mean()

    def backward(self):
        N, T, D = self.x.shape
        one_hot = np.eye(self.Wy.shape[1])[self.y]
        dscores = (self.probs - one_hot) / N
        self.dWy = self.pooled.T @ dscores
        self.dby = dscores.sum(axis=0, keepdims=True)
        dpooled = dscores @ self.Wy.T
        self.dWx = np.zeros_like(self.Wx)
        self.dWh = np.zeros_like(self.Wh)
        self.db = np.zeros_like(self.b)
        dx = np.zeros_like(self.x)
        dh_next = np.zeros_like(dpooled)
        for t in range(T, 0, -1):
            dh = dpooled / T + dh_next
            da = dh * (1 - self.hs[:, t] ** 2)
            self.dWx += self.x[:, t - 1].T @ da
            self.dWh += self.hs[:, t - 1].T @ da
            self.db += da.sum(axis=0, keepdims=True)
            dx[:, t - 1] = da @ self.Wx.T
            dh_next = da @ self.Wh.T
        return dx
