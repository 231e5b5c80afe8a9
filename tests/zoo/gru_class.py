import numpy as np


class GRU:
    """Batch of sequences (N, T, D); the gradients of Wx, Wh, bx, bh are dWx, dWh, dbx, dbh after backward."""

    def __init__(self, D, H, rng):
        self.H = H
        self.Wx = rng.standard_normal((D, 3 * H)) / np.sqrt(D)
        self.Wh = rng.standard_normal((H, 3 * H)) / np.sqrt(H)
        self.bx = 0.1 * rng.standard_normal(3 * H)
        self.bh = 0.1 * rng.standard_normal(3 * H)

    def forward(self, x, h0):
        H = self.H
        self.x = x
        self.hs = [h0]
        self.gates = []
        for t in range(x.shape[1]):
            zx, rx, nx = np.split(x[:, t] @ self.Wx + self.bx, 3, axis=1)
            zh, rh, q = np.split(self.hs[t] @ self.Wh + self.bh, 3, axis=1)
            z = 1 / (1 + np.exp(-zx - zh))
            r = 1 / (1 + np.exp(-rx - rh))
            n = np.tanh(nx + r * q)
            self.gates.append((z, r, q, n))
            self.hs.append(n + z * (self.hs[t] - n))
        assert self.hs[-1].shape[1] == H
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dout):
        self.dWx = np.zeros_like(self.Wx)
        self.dWh = np.zeros_like(self.Wh)
        self.dbx = np.zeros_like(self.bx)
        self.dbh = np.zeros_like(self.bh)
        dx = np.zeros_like(self.x)
        dh = np.zeros_like(self.hs[0])
        for t in range(dout.shape[1] - 1, -1, -1):
            z, r, q, n = self.gates[t]
            dh = dh + dout[:, t]
            an = dh * (1 - z) * (1 - n ** 2)
            az = dh * (self.hs[t] - n) * z * (1 - z)
            ar = an * q * r * (1 - r)
            ax = np.hstack([az, ar, an])
            ah = np.hstack([az, ar, an * r])
            self.dWx += self.x[:, t].T @ ax
            self.dWh += self.hs[t].T @ ah
            self.dbx += ax.sum(axis=0)
            self.dbh += ah.sum(axis=0)
            dx[:, t] = ax @ self.Wx.T
            dh = dh * z + ah @ self.Wh.T
        return dx, dh
