# GRU with the reset gate before the product: the candidate reads [r * h, x]
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(x, h0, Wr, Wz, Wn, br, bz, bn):
    h = h0
    ys, steps = [], []
    for t in range(x.shape[1]):
        hx = np.hstack([h, x[:, t]])
        r = sigmoid(hx @ Wr + br)
        z = sigmoid(hx @ Wz + bz)
        rhx = np.hstack([r * h, x[:, t]])
        n = np.tanh(rhx @ Wn + bn)
        steps.append((h, hx, rhx, r, z, n))
        h = z * h + (1 - z) * n
        ys.append(h)
    return np.stack(ys, axis=1), (steps, Wr, Wz, Wn)


def gru_grad(dys, cache):
    steps, Wr, Wz, Wn = cache
    H = Wr.shape[1]
    dWr, dWz, dWn = np.zeros_like(Wr), np.zeros_like(Wz), np.zeros_like(Wn)
    dbr, dbz, dbn = np.zeros(H), np.zeros(H), np.zeros(H)
    dxs = []
    dh_next = 0
    for t in reversed(range(len(steps))):
        h, hx, rhx, r, z, n = steps[t]
        dh = dys[:, t] + dh_next
        da_n = dh * (1 - z) * (1 - n ** 2)
        drhx = da_n @ Wn.T
        drh = drhx[:, :H]
        da_r = drh * h * r * (1 - r)
        da_z = dh * (h - n) * z * (1 - z)
        dhx = da_r @ Wr.T + da_z @ Wz.T
        dxs.append(dhx[:, H:] + drhx[:, H:])
        dh_next = dhx[:, :H] + dh * z + drh * r
        dWr += hx.T @ da_r
        dWz += hx.T @ da_z
        dWn += rhx.T @ da_n
        dbr += da_r.sum(0)
        dbz += da_z.sum(0)
        dbn += da_n.sum(0)
    return np.stack(dxs[::-1], axis=1), dh_next, dWr, dWz, dWn, dbr, dbz, dbn
