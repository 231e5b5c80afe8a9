# multi-head attention from one sequence to another, with padded keys, a residual connection and no loop
import numpy as np


def split_heads(x, n_heads):
    batch, length, width = x.shape
    return x.reshape(batch, length, n_heads, width // n_heads).transpose(0, 2, 1, 3)


def merge_heads(x):
    batch, n_heads, length, size = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, length, n_heads * size)


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_attention(query, memory, lengths, params, n_heads=2):
    """query: (B, Tq, M), memory: (B, Tk, M), lengths: (B,) keys that count; params: q, k, v, o, bo."""
    Q = split_heads(query @ params["q"], n_heads)
    K = split_heads(memory @ params["k"], n_heads)
    V = split_heads(memory @ params["v"], n_heads)
    scale = 1 / np.sqrt(Q.shape[-1])
    scores = np.einsum("bhqd,bhkd->bhqk", Q, K) * scale
    padding = np.arange(memory.shape[1]) >= np.asarray(lengths)[:, None]
    scores = np.where(padding[:, None, None, :], -1e9, scores)
    attn = softmax(scores)
    heads = np.einsum("bhqk,bhkd->bhqd", attn, V)
    merged = merge_heads(heads)
    out = query + merged @ params["o"] + params["bo"]
    return out, (query, memory, params, n_heads, Q, K, V, scale, attn, merged)


def cross_attention_backward(dout, cache):
    query, memory, params, n_heads, Q, K, V, scale, attn, merged = cache
    grads = {}
    grads["bo"] = dout.sum(axis=(0, 1))
    grads["o"] = np.einsum("bti,btj->ij", merged, dout)
    dheads = split_heads(dout @ params["o"].T, n_heads)
    dattn = np.einsum("bhqd,bhkd->bhqk", dheads, V)
    dV = np.einsum("bhqk,bhqd->bhkd", attn, dheads)
    dscores = attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True))
    dscores = dscores * scale
    dQ = np.einsum("bhqk,bhkd->bhqd", dscores, K)
    dK = np.einsum("bhqk,bhqd->bhkd", dscores, Q)
    dq, dk, dv = merge_heads(dQ), merge_heads(dK), merge_heads(dV)
    grads["q"] = np.einsum("bti,btj->ij", query, dq)
    grads["k"] = np.einsum("bti,btj->ij", memory, dk)
    grads["v"] = np.einsum("bti,btj->ij", memory, dv)
    dquery = dout + dq @ params["q"].T
    dmemory = dk @ params["k"].T + dv @ params["v"].T
    return dquery, dmemory, grads
