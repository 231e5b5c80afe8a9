import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, h0, c0, Wx, Wh, b):
    """Return the hidden states and a function that turns their gradient into the gradients of the arguments."""
    N, T, D = x.shape
    H = h0.shape[1]
    hs, cs, gates = [h0], [c0], []
    for t in range(T):
        z = (x[:, t] @ Wx + hs[-1] @ Wh + b).reshape(N, 4, H)       # i, g, f, o
        i, f, o = sigmoid(z[:, 0]), sigmoid(z[:, 2]), sigmoid(z[:, 3])
        g = np.tanh(z[:, 1])
        cs.append(f * cs[-1] + i * g)
        hs.append(o * np.tanh(cs[-1]))
        gates.append((i, g, f, o))

    def backward(dhs):
        dx = np.zeros_like(x)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh = np.zeros_like(h0)
        dc = np.zeros_like(c0)
        for t in reversed(range(T)):
            i, g, f, o = gates[t]
            dh = dh + dhs[:, t]
            tc = np.tanh(cs[t + 1])
            dc = dc + dh * o * (1 - tc ** 2)
            dz = np.stack([
                dc * g * i * (1 - i),
                dc * i * (1 - g ** 2),
                dc * cs[t] * f * (1 - f),
                dh * tc * o * (1 - o),
            ], axis=1).reshape(N, 4 * H)
            dx[:, t] = dz @ Wx.T
            dWx += x[:, t].T @ dz
            dWh += hs[t].T @ dz
            db += dz.sum(0)
            dh = dz @ Wh.T
            dc = dc * f
        return dx, dh, dc, dWx, dWh, db

    return np.stack(hs[1:], axis=1), backward
