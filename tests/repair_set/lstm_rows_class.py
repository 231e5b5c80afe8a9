# an LSTM layer as a class; biases are rows (1, H), every step's values are kept in lists
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class LSTM:
    def __init__(self, D, H, rng):
        self.W_f = 0.5 * rng.standard_normal((D, H))
        self.W_i = 0.5 * rng.standard_normal((D, H))
        self.W_c = 0.5 * rng.standard_normal((D, H))
        self.W_o = 0.5 * rng.standard_normal((D, H))
        self.U_f = 0.5 * rng.standard_normal((H, H))
        self.U_i = 0.5 * rng.standard_normal((H, H))
        self.U_c = 0.5 * rng.standard_normal((H, H))
        self.U_o = 0.5 * rng.standard_normal((H, H))
        self.b_f = 0.5 * rng.standard_normal((1, H))
        self.b_i = 0.5 * rng.standard_normal((1, H))
        self.b_c = 0.5 * rng.standard_normal((1, H))
        self.b_o = 0.5 * rng.standard_normal((1, H))

    def forward(self, X):
        N, T, D = X.shape
        H = self.U_f.shape[0]
        self.X = X
        self.h = [np.zeros((N, H))]
        self.c = [np.zeros((N, H))]
        self.f, self.i, self.g, self.o = [], [], [], []
        for t in range(T):
            x = X[:, t, :]
            h = self.h[t]
            self.f.append(sigmoid(x @ self.W_f + h @ self.U_f + self.b_f))
            self.i.append(sigmoid(x @ self.W_i + h @ self.U_i + self.b_i))
            self.g.append(np.tanh(x @ self.W_c + h @ self.U_c + self.b_c))
            self.o.append(sigmoid(x @ self.W_o + h @ self.U_o + self.b_o))
            self.c.append(self.f[t] * self.c[t] + self.i[t] * self.g[t])
            self.h.append(self.o[t] * np.tanh(self.c[t + 1]))
        return np.stack(self.h[1:], axis=1)

    def backward(self, dH):
        N, T, H = dH.shape
        self.dW_f, self.dU_f, self.db_f = np.zeros(self.W_f.shape), np.zeros(self.U_f.shape), np.zeros((1, H))
        self.dW_i, self.dU_i, self.db_i = np.zeros(self.W_i.shape), np.zeros(self.U_i.shape), np.zeros((1, H))
        self.dW_c, self.dU_c, self.db_c = np.zeros(self.W_c.shape), np.zeros(self.U_c.shape), np.zeros((1, H))
        self.dW_o, self.dU_o, self.db_o = np.zeros(self.W_o.shape), np.zeros(self.U_o.shape), np.zeros((1, H))
        dX = np.zeros(self.X.shape)
        dh_next = np.zeros((N, H))
        dc_next = np.zeros((N, H))
        for t in range(T - 1, -1, -1):
            x = self.X[:, t, :]
            h = self.h[t]
            tanh_c = np.tanh(self.c[t + 1])
            dh = dH[:, t, :] + dh_next
            dc = dc_next + dh * self.o[t] * (1 - tanh_c ** 2)
            df = dc * self.c[t] * self.f[t] * (1 - self.f[t])
            di = dc * self.g[t] * self.i[t] * (1 - self.i[t])
            dg = dc * self.i[t] * (1 - self.g[t] ** 2)
            do = dh * tanh_c * self.o[t] * (1 - self.o[t])
            self.dW_f += x.T @ df
            self.dW_i += x.T @ di
            self.dW_c += x.T @ dg
            self.dW_o += x.T @ do
            self.dU_f += h.T @ df
            self.dU_i += h.T @ di
            self.dU_c += h.T @ dg
            self.dU_o += h.T @ do
            self.db_f += df.sum(axis=0, keepdims=True)
            self.db_i += di.sum(axis=0, keepdims=True)
            self.db_c += dg.sum(axis=0, keepdims=True)
            self.db_o += do.sum(axis=0, keepdims=True)
            dX[:, t, :] = df @ self.W_f.T + di @ self.W_i.T + dg @ self.W_c.T + do @ self.W_o.T
            dh_next = df @ self.U_f.T + di @ self.U_i.T + dg @ self.U_c.T + do @ self.U_o.T
            dc_next = dc * self.f[t]
        return dX
