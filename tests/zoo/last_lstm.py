# many to one: only the last hidden state is returned; states start at zero
import numpy as np


def sigma(x):
    return 1 / (1 + np.exp(-x))


def encode(x, U, W, b):
    """U: (4, D, H) for x, W: (4, H, H) for h, b: (4, H); gates i, f, o, g."""
    N, T, _ = x.shape
    H = b.shape[1]
    h = np.zeros((N, H))
    c = np.zeros((N, H))
    saved = []
    for t in range(T):
        i = sigma(x[:, t] @ U[0] + h @ W[0] + b[0])
        f = sigma(x[:, t] @ U[1] + h @ W[1] + b[1])
        o = sigma(x[:, t] @ U[2] + h @ W[2] + b[2])
        g = np.tanh(x[:, t] @ U[3] + h @ W[3] + b[3])
        c_new = c * f + g * i
        saved.append((h, c, i, f, o, g, c_new))
        h = np.tanh(c_new) * o
        c = c_new
    return h, (x, U, W, b, saved)


def encode_back(dh_last, cache):
    x, U, W, b, saved = cache
    dx, dU, dW, db = (np.zeros_like(a) for a in (x, U, W, b))
    dh = dh_last
    dc = 0
    for t in range(x.shape[1])[::-1]:
        h_prev, c_prev, i, f, o, g, c = saved[t]
        do = dh * np.tanh(c)
        dc = dc + dh * o / np.cosh(c) ** 2
        di, df, dg = dc * g, dc * c_prev, dc * i
        deltas = [di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)]
        dh = 0
        for k, delta in enumerate(deltas):
            dU[k] += x[:, t].T @ delta
            dW[k] += h_prev.T @ delta
            db[k] += delta.sum(0)
            dx[:, t] += delta @ U[k].T
            dh = dh + delta @ W[k].T
        dc = dc * f
    return dx, dU, dW, db
