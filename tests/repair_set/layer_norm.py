# feed-forward block of a transformer: layer normalisation, a wide layer with GELU, the input added again
import numpy as np


def gelu(u):
    return 0.5 * u * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u ** 3)))


def gelu_grad(u):
    k = np.sqrt(2 / np.pi)
    th = np.tanh(k * (u + 0.044715 * u ** 3))
    inner = k * (1 + 3 * 0.044715 * u ** 2)
    return 0.5 * (1 + th) + 0.5 * u * (1 - th ** 2) * inner


def block(x, gain, shift, W1, b1, W2, b2):
    """x: (N, D), gain and shift: (D,), W1: (D, M), W2: (M, D)."""
    mean = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(var + 1e-5)
    xhat = (x - mean) * rstd
    n = xhat * gain + shift
    u = n @ W1 + b1
    a = gelu(u)
    y = a @ W2 + b2 + x
    return y, (rstd, xhat, gain, n, u, a, W1, W2)


def block_grad(dy, cache):
    rstd, xhat, gain, n, u, a, W1, W2 = cache
    da = dy @ W2.T
    dW2 = a.T @ dy
    db2 = dy.sum(axis=0)
    du = da * gelu_grad(u)
    dn = du @ W1.T
    dW1 = n.T @ du
    db1 = du.sum(axis=0)
    dgain = (dn * xhat).sum(axis=0)
    dshift = dn.sum(axis=0)
    dxhat = dn * gain
    mean1 = dxhat.mean(axis=1, keepdims=True)
    mean2 = (dxhat * xhat).mean(axis=1, keepdims=True)
    dx = rstd * (dxhat - mean1 - xhat * mean2)
    dx = dx + dy
    return dx, dgain, dshift, dW1, db1, dW2, db2
