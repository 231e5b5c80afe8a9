"""A GRU written after the PyTorch weight layout (rows r, z, n), but with the paper's update h = (1 - z) h + z n."""
import numpy as np


def sig(v):
    return 1 / (1 + np.exp(-v))


def gru_fwd(x, h0, W_ih, W_hh, b_ih, b_hh):
    h = h0
    saved, outs = [], []
    for x_t in x.transpose(1, 0, 2):
        xr, xz, xn = np.array_split(x_t @ W_ih.T + b_ih, 3, axis=-1)
        hr, hz, hn = np.array_split(h @ W_hh.T + b_hh, 3, axis=-1)
        r = sig(xr + hr)
        z = sig(xz + hz)
        n = np.tanh(xn + r * hn)
        saved.append((x_t, h, r, z, n, hn))
        h = (1 - z) * h + z * n
        outs.append(h)
    return np.stack(outs, axis=1), h.copy(), (saved, W_ih, W_hh)


def gru_bwd(dout, dh_n, cache):
    saved, W_ih, W_hh = cache
    gW_ih, gW_hh = np.zeros_like(W_ih), np.zeros_like(W_hh)
    gb_ih, gb_hh = np.zeros(len(W_ih)), np.zeros(len(W_hh))
    gx = []
    gh = dh_n
    for t in range(len(saved) - 1, -1, -1):
        x_t, h, r, z, n, hn = saved[t]
        gh = gh + dout[:, t]
        # h' = (1 - z) h + z n
        gz = gh * (n - h)
        gn = gh * z
        gh = gh * (1 - z)
        # n = tanh(xn + r hn)
        gxn = gn * (1 - n ** 2)
        ghn = gxn * r
        gr = gxn * hn
        # the gates
        gz = gz * z * (1 - z)
        gr = gr * r * (1 - r)
        # the two affine maps
        g_in = np.concatenate([gr, gz, gxn], axis=-1)
        g_rec = np.concatenate([gr, gz, ghn], axis=-1)
        gW_ih += g_in.T @ x_t
        gW_hh += g_rec.T @ h
        gb_ih += g_in.sum(0)
        gb_hh += g_rec.sum(0)
        gx.insert(0, g_in @ W_ih)
        gh = gh + g_rec @ W_hh
    return np.stack(gx, axis=1), gh, gW_ih, gW_hh, gb_ih, gb_hh
