# quasi-recurrent layer: a causal convolution of width 2 makes the gates, the recurrence has no weights
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def shift_right(x):
    """x: (N, T, D), one step later."""
    out = np.zeros_like(x)
    out[:, 1:] = x[:, :-1]
    return out


def shift_left(x):
    out = np.zeros_like(x)
    out[:, :-1] = x[:, 1:]
    return out


def qrnn(x, now, before, bias):
    """now, before: (D, 4 H), the taps of the convolution; bias: (4 H,). The four parts are z, f, o, i."""
    n_batch, n_time, _ = x.shape
    size = bias.size // 4
    conv = x @ now + shift_right(x) @ before + bias
    z = np.tanh(conv[..., :size])
    f = sigmoid(conv[..., size:2 * size])
    o = sigmoid(conv[..., 2 * size:3 * size])
    i = sigmoid(conv[..., 3 * size:])
    cell = np.zeros((n_batch, n_time + 1, size))
    for t in range(n_time):
        cell[:, t + 1] = f[:, t] * cell[:, t] + i[:, t] * z[:, t]
    h = o * cell[:, 1:]
    return h, (x, now, before, z, f, o, i, cell)


def qrnn_back(dh, cache):
    x, now, before, z, f, o, i, cell = cache
    n_batch, n_time, n_in = x.shape
    do = dh * cell[:, 1:]
    dcell_out = dh * o
    dz, df, di = np.zeros_like(z), np.zeros_like(f), np.zeros_like(i)
    carry = np.zeros_like(z[:, 0])
    for t in range(n_time - 1, -1, -1):
        carry = carry + dcell_out[:, t]
        df[:, t] = carry * cell[:, t]
        di[:, t] = carry * z[:, t]
        dz[:, t] = carry * i[:, t]
        carry = carry * f[:, t]
    dconv = np.concatenate([
        dz * (1 - z ** 2),
        df * f * (1 - f),
        do * o * (1 - o),
        di * i * (1 - i)], axis=-1)
    dx = dconv @ now.T
    dx += shift_left(dconv @ before.T)
    dnow = np.tensordot(x, dconv, axes=((0, 1), (0, 1)))
    dbefore = np.tensordot(shift_right(x), dconv, axes=((0, 1), (0, 1)))
    dbias = dconv.sum(axis=(0, 1))
    return dx, dnow, dbefore, dbias
