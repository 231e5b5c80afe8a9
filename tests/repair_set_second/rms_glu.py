# one block of a transformer: RMSNorm, a gated linear unit with SiLU, projection back, residual
import numpy as np

EPS = 1e-2


def silu(u):
    return u / (1 + np.exp(-u))


def forward(x, scale, W_gate, W_up, W_down):
    rms = np.sqrt(np.mean(x ** 2, axis=-1, keepdims=True) + EPS)
    xn = x / rms
    h = xn * scale
    gate = h @ W_gate
    up = h @ W_up
    act = silu(gate)
    y = x + (act * up) @ W_down
    return y, (x, rms, xn, h, gate, up, act, scale, W_gate, W_up, W_down)


def backward(dy, cache):
    x, rms, xn, h, gate, up, act, scale, W_gate, W_up, W_down = cache
    n = x.shape[-1]
    grads = {}
    grads["W_down"] = (act * up).T @ dy
    d_mid = dy @ W_down.T
    d_up = d_mid * act
    d_act = d_mid * up
    sg = 1 / (1 + np.exp(-gate))
    d_gate = d_act * (sg + gate * sg * (1 - sg))
    grads["W_gate"] = h.T @ d_gate
    grads["W_up"] = h.T @ d_up
    dh = d_gate @ W_gate.T
    dh += d_up @ W_up.T
    grads["scale"] = np.sum(dh * xn, axis=0)
    dxn = dh * scale
    dx = dxn / rms
    drms = -np.sum(dxn * x, axis=-1, keepdims=True) / rms ** 2
    dx += drms * x / (n * rms)
    dx += dy
    grads["x"] = dx
    return grads
