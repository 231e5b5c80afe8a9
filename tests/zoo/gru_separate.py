# GRU with h = (1 - z) * h_prev + z * candidate, nine separate arrays and a bias inside the reset product
import numpy as np


def sig(x):
    return 1 / (1 + np.exp(-x))


def forward(x, h0, Wz, Uz, bz, Wr, Ur, br, Wh, Uh, bh, ch):
    hs = [h0]
    zs, rs, qs, cands = [], [], [], []
    for xt in x:
        hp = hs[-1]
        z = sig(xt @ Wz + hp @ Uz + bz)
        r = sig(xt @ Wr + hp @ Ur + br)
        q = hp @ Uh + ch
        cand = np.tanh(xt @ Wh + bh + r * q)
        hs.append((1 - z) * hp + z * cand)
        zs.append(z)
        rs.append(r)
        qs.append(q)
        cands.append(cand)
    return np.array(hs[1:]), (x, hs, zs, rs, qs, cands, (Wz, Uz, Wr, Ur, Wh, Uh))


def backward(dhs, cache):
    x, hs, zs, rs, qs, cands, (Wz, Uz, Wr, Ur, Wh, Uh) = cache
    dWz, dUz, dWr, dUr, dWh, dUh = (np.zeros_like(w) for w in (Wz, Uz, Wr, Ur, Wh, Uh))
    dbz = dbr = dbh = dch = 0
    dx = np.zeros_like(x)
    dnext = np.zeros_like(hs[0])
    for t in range(len(x) - 1, -1, -1):
        hp, z, r, q, cand = hs[t], zs[t], rs[t], qs[t], cands[t]
        dh = dhs[t] + dnext
        dcand = dh * z
        dz = dh * (cand - hp)
        e_h = dcand * (1 - cand ** 2)
        e_q = e_h * r
        e_r = e_h * q * r * (1 - r)
        e_z = dz * z * (1 - z)
        dWz += x[t].T @ e_z
        dWr += x[t].T @ e_r
        dWh += x[t].T @ e_h
        dUz += hp.T @ e_z
        dUr += hp.T @ e_r
        dUh += hp.T @ e_q
        dbz = dbz + e_z.sum(0)
        dbr = dbr + e_r.sum(0)
        dbh = dbh + e_h.sum(0)
        dch = dch + e_q.sum(0)
        dx[t] = e_z @ Wz.T + e_r @ Wr.T + e_h @ Wh.T
        dnext = dh * (1 - z) + e_z @ Uz.T + e_r @ Ur.T + e_q @ Uh.T
    return dx, dnext, dWz, dUz, dbz, dWr, dUr, dbr, dWh, dUh, dbh, dch
