# bidirectional LSTM over (batch, time, features): the same function reads forwards and backwards
import numpy as np


def _sig(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def one_way(X, W, U, b):
    batch, steps, _ = X.shape
    n = U.shape[0]
    H = np.zeros((batch, steps + 1, n))
    C = np.zeros((batch, steps + 1, n))
    Fs, Is, Os, Gs = (np.zeros((batch, steps, n)) for _ in range(4))
    for t in range(steps):
        zf, zi, zo, zg = np.hsplit(X[:, t] @ W + H[:, t] @ U + b, 4)
        Fs[:, t], Is[:, t], Os[:, t], Gs[:, t] = _sig(zf), _sig(zi), _sig(zo), np.tanh(zg)
        C[:, t + 1] = Fs[:, t] * C[:, t] + Is[:, t] * Gs[:, t]
        H[:, t + 1] = Os[:, t] * np.tanh(C[:, t + 1])
    return H[:, 1:], (X, W, U, H, C, Fs, Is, Os, Gs)


def one_way_grad(dH, memory):
    X, W, U, H, C, Fs, Is, Os, Gs = memory
    batch, steps, n = dH.shape
    dZ = np.zeros((batch, steps, 4 * n))
    later_h, later_c = np.zeros((batch, n)), np.zeros((batch, n))
    for t in range(steps - 1, -1, -1):
        f, i, o, g = Fs[:, t], Is[:, t], Os[:, t], Gs[:, t]
        th = np.tanh(C[:, t + 1])
        gh = dH[:, t] + later_h
        gc = gh * o * (1 - th ** 2) + later_c
        dZ[:, t, :n] = gc * C[:, t] * f * (1 - f)
        dZ[:, t, n:2 * n] = gc * g * i * (1 - i)
        dZ[:, t, 2 * n:3 * n] = gh * th * o * (1 - o)
        dZ[:, t, 3 * n:] = gc * i * (1 - g ** 2)
        later_h = dZ[:, t] @ U.T
        later_c = gc * f
    dW = np.einsum("btd,btk->dk", X, dZ)
    dU = np.einsum("bth,btk->hk", H[:, :-1], dZ)
    db = dZ.sum(axis=(0, 1))
    return dZ @ W.T, dW, dU, db


def bilstm(X, W_left, U_left, b_left, W_right, U_right, b_right):
    left, m_left = one_way(X, W_left, U_left, b_left)
    right, m_right = one_way(X[:, ::-1], W_right, U_right, b_right)
    return np.concatenate((left, right[:, ::-1]), axis=-1), (m_left, m_right)


def bilstm_grad(dY, cache):
    m_left, m_right = cache
    n = dY.shape[-1] // 2
    dX_left, dW_left, dU_left, db_left = one_way_grad(dY[..., :n], m_left)
    dX_right, dW_right, dU_right, db_right = one_way_grad(dY[:, ::-1, n:], m_right)
    dX = dX_left + dX_right[:, ::-1]
    return dX, dW_left, dU_left, db_left, dW_right, dU_right, db_right
