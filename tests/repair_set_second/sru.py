# simple recurrent unit: all products are made before the loop, the recurrence is element by element
import numpy as np


def sru_forward(X, W, vf, vr, bf, br):
    """X: (T, N, D), W: (D, 3 D): candidate, forget, reset; vf, vr, bf, br: (D,)."""
    T, N, D = X.shape
    U = X.reshape(T * N, D).dot(W).reshape(T, N, 3 * D)
    cs = np.zeros((T + 1, N, D))
    fs, rs, out = np.zeros((T, N, D)), np.zeros((T, N, D)), np.zeros((T, N, D))
    for t in range(T):
        u, uf, ur = U[t, :, :D], U[t, :, D:2 * D], U[t, :, 2 * D:]
        fs[t] = 1 / (1 + np.exp(-(uf + vf * cs[t] + bf)))
        rs[t] = 1 / (1 + np.exp(-(ur + vr * cs[t] + br)))
        cs[t + 1] = fs[t] * cs[t] + (1 - fs[t]) * u
        out[t] = rs[t] * np.tanh(cs[t + 1]) + (1 - rs[t]) * X[t]
    return out, (X, W, vf, vr, U, cs, fs, rs)


def sru_backward(dout, cache):
    X, W, vf, vr, U, cs, fs, rs = cache
    T, N, D = X.shape
    dX = np.zeros_like(X)
    dU = np.zeros_like(U)
    dvf, dvr, dbf, dbr = np.zeros(D), np.zeros(D), np.zeros(D), np.zeros(D)
    dc_next = np.zeros((N, D))
    for t in range(T - 1, -1, -1):
        f, r, c_old, u = fs[t], rs[t], cs[t], U[t, :, :D]
        act = np.tanh(cs[t + 1])
        dr = dout[t] * (act - X[t])
        dX[t] += dout[t] * (1 - r)
        dc = dout[t] * r * (1 - act ** 2) + dc_next
        df = dc * (c_old - u)
        dur = dr * r * (1 - r)
        duf = df * f * (1 - f)
        dU[t, :, :D] = dc * (1 - f)
        dU[t, :, D:2 * D] = duf
        dU[t, :, 2 * D:] = dur
        dvf += (duf * c_old).sum(axis=0)
        dvr += (dur * c_old).sum(axis=0)
        dbf += duf.sum(axis=0)
        dbr += dur.sum(axis=0)
        dc_next = dc * f + duf * vf + dur * vr
    flat = dU.reshape(T * N, 3 * D)
    dW = X.reshape(T * N, D).T.dot(flat)
    dX += flat.dot(W.T).reshape(T, N, D)
    return dX, dW, dvf, dvr, dbf, dbr
