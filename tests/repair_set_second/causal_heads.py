# attention with several heads that looks only backwards; one matrix for queries, keys and values
import numpy as np

HEADS = 2


def split(a):
    B, T, E = a.shape
    return a.reshape(B, T, HEADS, E // HEADS).swapaxes(1, 2)


def merge(a):
    B, h, T, d = a.shape
    return a.swapaxes(1, 2).reshape(B, T, h * d)


def mha(x, w_qkv, b_qkv, w_o):
    """x: (B, T, E), w_qkv: (E, 3 E), w_o: (E, E)."""
    q, k, v = map(split, np.split(x @ w_qkv + b_qkv, 3, axis=2))
    scale = q.shape[-1] ** -0.5
    s = scale * (q @ k.swapaxes(2, 3))
    T = x.shape[1]
    s = np.where(np.tri(T, dtype=bool), s, -1e9)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    a = e / e.sum(axis=-1, keepdims=True)
    ctx = merge(a @ v)
    return ctx @ w_o, (x, w_qkv, w_o, q, k, v, a, ctx, scale)


def mha_backward(dout, saved):
    x, w_qkv, w_o, q, k, v, a, ctx, scale = saved
    B, T, E = x.shape
    d_w_o = ctx.reshape(-1, E).T @ dout.reshape(-1, E)
    d_ctx = split(dout @ w_o.T)
    d_v = a.swapaxes(2, 3) @ d_ctx
    d_a = d_ctx @ v.swapaxes(2, 3)
    d_s = a * d_a
    d_s -= a * d_s.sum(axis=-1, keepdims=True)
    d_s *= scale
    d_q = d_s @ k
    d_k = d_s.swapaxes(2, 3) @ q
    d_qkv = np.concatenate([merge(d_q), merge(d_k), merge(d_v)], axis=2)
    d_b_qkv = d_qkv.sum(axis=(0, 1))
    d_w_qkv = x.reshape(-1, E).T @ d_qkv.reshape(-1, 3 * E)
    d_x = d_qkv @ w_qkv.T
    return d_x, d_w_qkv, d_b_qkv, d_w_o
