"""The cells in the exercises' own form: their variables, their caches, one line a blank.

The numbers are those of ``minilstm.cells``, without its options; a student's intermediate values are compared
with these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.cells.activations import sigmoid


def rnn_step(x: Any, h_prev: Any, W: Any, b: Any) -> Any:
    hx = np.concatenate([h_prev, x], axis=1)
    h = np.tanh(hx @ W + b)
    return h, (hx, h, W)


def rnn_step_backward(dh: Any, cache: Any) -> Any:
    hx, h, W = cache
    H = h.shape[1]
    dz = dh * (1 - h * h)
    dW = hx.T @ dz
    db = dz.sum(axis=0)
    dhx = dz @ W.T
    dh_prev = dhx[:, :H]
    dx = dhx[:, H:]
    return dx, dh_prev, dW, db


def rnn_forward(x: Any, h0: Any, W: Any, b: Any) -> Any:
    (N, T, _), H = x.shape, h0.shape[1]
    h = np.zeros((N, T + 1, H))
    h[:, 0] = h0
    for t in range(T):
        hx = np.concatenate([h[:, t], x[:, t]], axis=1)
        h[:, t + 1] = np.tanh(hx @ W + b)
    return h[:, 1:].copy(), (x, h, W)


def rnn_backward(dh: Any, cache: Any) -> Any:
    x, h, W = cache
    (N, T, _), H = x.shape, h.shape[2]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(H)
    dh_next = np.zeros((N, H))
    for t in reversed(range(T)):
        hx = np.concatenate([h[:, t], x[:, t]], axis=1)
        dh_t = dh[:, t] + dh_next
        dz = dh_t * (1 - h[:, t + 1] ** 2)
        dW += hx.T @ dz
        db += dz.sum(axis=0)
        dhx = dz @ W.T
        dx[:, t] = dhx[:, H:]
        dh_next = dhx[:, :H]
    return dx, dh_next, dW, db


def lstm_step(x: Any, h_prev: Any, c_prev: Any, W: Any, b: Any) -> Any:
    H = h_prev.shape[1]
    hx = np.concatenate([h_prev, x], axis=1)
    z = hx @ W + b
    f = sigmoid(z[:, :H])
    i = sigmoid(z[:, H:2 * H])
    o = sigmoid(z[:, 2 * H:3 * H])
    c_tilde = np.tanh(z[:, 3 * H:])
    c = f * c_prev + i * c_tilde
    h = o * np.tanh(c)
    return h, c, (hx, c_prev, f, i, o, c_tilde, np.tanh(c), W)


def lstm_step_backward(dh: Any, dc: Any, cache: Any) -> Any:
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    H = f.shape[1]
    do = dh * tanh_c
    dc = dc + dh * o * (1 - tanh_c ** 2)
    df = dc * c_prev
    di = dc * c_tilde
    dc_tilde = dc * i
    dc_prev = dc * f
    dz_f = df * f * (1 - f)
    dz_i = di * i * (1 - i)
    dz_o = do * o * (1 - o)
    dz_c = dc_tilde * (1 - c_tilde ** 2)
    dz = np.concatenate([dz_f, dz_i, dz_o, dz_c], axis=1)
    dW = hx.T @ dz
    db = dz.sum(axis=0)
    dhx = dz @ W.T
    return dhx[:, H:], dhx[:, :H], dc_prev, dW, db


def lstm_forward(x: Any, h0: Any, c0: Any, W: Any, b: Any) -> Any:
    (N, T, _), H = x.shape, h0.shape[1]
    out, caches = np.zeros((N, T, H)), []
    h, c = h0, c0
    for t in range(T):
        h, c, cache = lstm_step(x[:, t], h, c, W, b)
        out[:, t] = h
        caches.append(cache)
    return out, c, caches


def lstm_backward(dh: Any, dc_last: Any, caches: Any) -> Any:
    (N, T, H), rows = dh.shape, caches[0][0].shape[1]
    dx, dW, db = np.zeros((N, T, rows - H)), np.zeros((rows, 4 * H)), np.zeros(4 * H)
    dh_next = np.zeros((N, H))
    dc_next = dc_last
    for t in reversed(range(T)):
        dh_t = dh[:, t] + dh_next
        dx[:, t], dh_next, dc_next, dW_t, db_t = lstm_step_backward(dh_t, dc_next, caches[t])
        dW += dW_t
        db += db_t
    return dx, dh_next, dc_next, dW, db


def gru_step(x: Any, h_prev: Any, W: Any, b: Any) -> Any:
    H = h_prev.shape[1]
    from_h, from_x = h_prev @ W[:H], x @ W[H:]
    r = sigmoid(from_h[:, :H] + from_x[:, :H] + b[:H])
    z = sigmoid(from_h[:, H:2 * H] + from_x[:, H:2 * H] + b[H:2 * H])
    q = from_h[:, 2 * H:] + b[3 * H:]
    n = np.tanh(from_x[:, 2 * H:] + b[2 * H:3 * H] + r * q)
    h = (1 - z) * n + z * h_prev
    return h, (x, h_prev, r, z, n, q, W)


def gru_step_backward(dh: Any, cache: Any) -> Any:
    x, h_prev, r, z, n, q, W = cache
    H = h_prev.shape[1]
    dn = dh * (1 - z)
    dz = dh * (h_prev - n)
    dh_prev = dh * z
    da_n = dn * (1 - n ** 2)
    dq = da_n * r
    dr = da_n * q
    da_z = dz * z * (1 - z)
    da_r = dr * r * (1 - r)
    to_h = np.concatenate([da_r, da_z, dq], axis=1)
    to_x = np.concatenate([da_r, da_z, da_n], axis=1)
    dh_prev = dh_prev + to_h @ W[:H].T
    dx = to_x @ W[H:].T
    dW = np.concatenate([h_prev.T @ to_h, x.T @ to_x])
    db = np.concatenate([da_r, da_z, da_n, dq], axis=1).sum(axis=0)
    return dx, dh_prev, dW, db
