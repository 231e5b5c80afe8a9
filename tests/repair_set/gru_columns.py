# GRU on one sequence whose columns are the time steps: X (D, T), states and biases (H, 1)
import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def gru(X, h_start, Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn):
    T = X.shape[1]
    h, z, r, n = {-1: h_start}, {}, {}, {}
    for t in range(T):
        x = X[:, t:t + 1]
        z[t] = sigmoid(Wz.dot(x) + Uz.dot(h[t - 1]) + bz)
        r[t] = sigmoid(Wr.dot(x) + Ur.dot(h[t - 1]) + br)
        n[t] = np.tanh(Wn.dot(x) + Un.dot(r[t] * h[t - 1]) + bn)
        h[t] = z[t] * h[t - 1] + (1 - z[t]) * n[t]
    out = np.concatenate([h[t] for t in range(T)], axis=1)
    return out, (X, h, z, r, n, Wz, Uz, Wr, Ur, Wn, Un)


def gru_grad(dout, cache):
    X, h, z, r, n, Wz, Uz, Wr, Ur, Wn, Un = cache
    D, T = X.shape
    dX = np.zeros_like(X)
    dWz, dUz, dbz = np.zeros_like(Wz), np.zeros_like(Uz), np.zeros_like(h[-1])
    dWr, dUr, dbr = np.zeros_like(Wr), np.zeros_like(Ur), np.zeros_like(h[-1])
    dWn, dUn, dbn = np.zeros_like(Wn), np.zeros_like(Un), np.zeros_like(h[-1])
    dh_carry = np.zeros_like(h[-1])
    for t in range(T - 1, -1, -1):
        x = X[:, t:t + 1]
        dh = dout[:, t:t + 1] + dh_carry

        # the mix of old state and candidate
        dz = dh * (h[t - 1] - n[t])
        dn = dh * (1 - z[t])
        dh_prev = dh * z[t]

        # candidate
        dan = dn * (1 - n[t] ** 2)
        dWn += dan.dot(x.T)
        dUn += dan.dot((r[t] * h[t - 1]).T)
        dbn += dan
        drh = Un.T.dot(dan)
        dr = drh * h[t - 1]
        dh_prev += drh * r[t]

        # reset gate
        dar = dr * r[t] * (1 - r[t])
        dWr += dar.dot(x.T)
        dUr += dar.dot(h[t - 1].T)
        dbr += dar
        dh_prev += Ur.T.dot(dar)

        # update gate
        daz = dz * z[t] * (1 - z[t])
        dWz += daz.dot(x.T)
        dUz += daz.dot(h[t - 1].T)
        dbz += daz
        dh_prev += Uz.T.dot(daz)

        dX[:, t:t + 1] = Wz.T.dot(daz) + Wr.T.dot(dar) + Wn.T.dot(dan)
        dh_carry = dh_prev
    return dX, dh_carry, dWz, dUz, dbz, dWr, dUr, dbr, dWn, dUn, dbn
