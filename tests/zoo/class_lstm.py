import numpy as np


class LSTM:
    """x (N, T, D) -> h (N, T, H). After backward the gradients are in self.dW, self.dU and self.db."""

    def __init__(self, input_size, hidden_size, rng):
        self.D, self.H = input_size, hidden_size
        self.W = rng.normal(0, 0.4, (input_size, 4 * hidden_size))      # i, f, o, g
        self.U = rng.normal(0, 0.4, (hidden_size, 4 * hidden_size))
        self.b = rng.normal(0, 0.1, 4 * hidden_size)
        self.dW, self.dU, self.db = None, None, None

    @staticmethod
    def sigmoid(x):
        return 1.0 / (1.0 + np.exp(-x))

    def forward(self, x):
        N, T, D = x.shape
        H = self.H
        self.x = x
        self.h = np.zeros((T + 1, N, H))        # one more: the zero state before the first step
        self.c = np.zeros((T + 1, N, H))
        self.i, self.f, self.o, self.g = (np.zeros((T, N, H)) for _ in range(4))
        for t in range(T):
            z = x[:, t, :].dot(self.W) + self.h[t].dot(self.U) + self.b
            self.i[t] = self.sigmoid(z[:, :H])
            self.f[t] = self.sigmoid(z[:, H:2 * H])
            self.o[t] = self.sigmoid(z[:, 2 * H:3 * H])
            self.g[t] = np.tanh(z[:, 3 * H:])
            self.c[t + 1] = self.f[t] * self.c[t] + self.i[t] * self.g[t]
            self.h[t + 1] = self.o[t] * np.tanh(self.c[t + 1])
        return self.h[1:].transpose(1, 0, 2).copy()

    def backward(self, dh):
        N, T, H = dh.shape
        self.dW = np.zeros_like(self.W)
        self.dU = np.zeros_like(self.U)
        self.db = np.zeros_like(self.b)
        dx = np.zeros_like(self.x)
        dh_next = np.zeros((N, H))
        dc_next = np.zeros((N, H))
        for t in range(T - 1, -1, -1):
            dht = dh[:, t, :] + dh_next
            tanh_ct = np.tanh(self.c[t + 1])
            dct = dc_next + dht * self.o[t] * (1 - tanh_ct ** 2)
            dz = np.zeros((N, 4 * H))
            dz[:, :H] = dct * self.g[t] * self.i[t] * (1 - self.i[t])
            dz[:, H:2 * H] = dct * self.c[t] * self.f[t] * (1 - self.f[t])
            dz[:, 2 * H:3 * H] = dht * tanh_ct * self.o[t] * (1 - self.o[t])
            dz[:, 3 * H:] = dct * self.i[t] * (1 - self.g[t] ** 2)
            self.dW += self.x[:, t, :].T.dot(dz)
            self.dU += self.h[t].T.dot(dz)
            self.db += dz.sum(axis=0)
            dx[:, t, :] = dz.dot(self.W.T)
            dh_next = dz.dot(self.U.T)
            dc_next = dct * self.f[t]
        return dx
