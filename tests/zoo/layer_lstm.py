# a layer in the usual shape: params and grads in dictionaries, a call, and backward, which adds to grads
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class MyLSTM:
    def __init__(self, D, H, rng):
        self.H = H
        self.params = {"W": rng.standard_normal((H + D, 4 * H)) * 0.4, "b": rng.standard_normal(4 * H) * 0.1}
        self.grads = {"W": np.zeros((H + D, 4 * H)), "b": np.zeros(4 * H)}

    def __call__(self, x):
        W, b, H = self.params["W"], self.params["b"], self.H
        h = c = np.zeros((len(x), H))
        self.steps = []
        y = []
        for t in range(x.shape[1]):
            hx = np.hstack([h, x[:, t]])
            z = hx @ W + b
            o, f, i = sigmoid(z[:, :H]), sigmoid(z[:, H:2 * H]), sigmoid(z[:, 2 * H:3 * H])
            g = np.tanh(z[:, 3 * H:])
            c_prev, c = c, f * c + i * g
            h = o * np.tanh(c)
            self.steps.append((hx, o, f, i, g, c_prev, c))
            y.append(h)
        return np.stack(y, axis=1)

    def backward(self, dy):
        H = self.H
        dx = [None] * len(self.steps)
        dh, dc = 0, 0
        for t in reversed(range(len(self.steps))):
            hx, o, f, i, g, c_prev, c = self.steps[t]
            dh = dh + dy[:, t]
            tanh_c = np.tanh(c)
            dc = dc + dh * o * (1 - tanh_c ** 2)
            dz = np.hstack([dh * tanh_c * o * (1 - o), dc * c_prev * f * (1 - f), dc * g * i * (1 - i),
                            dc * i * (1 - g ** 2)])
            self.grads["W"] += hx.T @ dz
            self.grads["b"] += dz.sum(axis=0)
            dhx = dz @ self.params["W"].T
            dh, dx[t] = dhx[:, :H], dhx[:, H:]
            dc = dc * f
        return np.stack(dx, axis=1)
