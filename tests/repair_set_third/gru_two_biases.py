"""GRU with a bias on either side, for one sequence of vectors; every step leaves a dict behind."""
import numpy as np


def sig(a):
    return 1.0 / (1.0 + np.exp(-a))


def gru_forward(x, h0, W_ih, W_hh, b_ih, b_hh):
    """x: (T, D), h0: (H,), W_ih: (3H, D), W_hh: (3H, H), b_ih and b_hh: (3H,); the order is r, z, n."""
    H = h0.size
    h = h0
    steps = []
    out = []
    for x_t in x:
        gi = W_ih @ x_t + b_ih
        gh = W_hh @ h + b_hh
        r = sig(gi[:H] + gh[:H])
        z = sig(gi[H:2 * H] + gh[H:2 * H])
        hn = gh[2 * H:]
        n = np.tanh(gi[2 * H:] + r * hn)
        h_new = (1 - z) * n + z * h
        steps.append({"x": x_t, "h": h, "r": r, "z": z, "hn": hn, "n": n})
        out.append(h_new)
        h = h_new
    return np.array(out), (steps, W_ih, W_hh)


def gru_backward(dout, cache):
    steps, W_ih, W_hh = cache
    T = len(steps)
    dx = np.zeros((T, W_ih.shape[1]))
    dW_ih = np.zeros(W_ih.shape)
    dW_hh = np.zeros(W_hh.shape)
    db_ih = np.zeros(W_ih.shape[0])
    db_hh = np.zeros(W_ih.shape[0])
    dh_next = np.zeros(W_hh.shape[1])
    for t in range(T)[::-1]:
        s = steps[t]
        r, z, n = s["r"], s["z"], s["n"]
        dh = dout[t] + dh_next
        dn = dh * (1 - z)
        dz = dh * (s["h"] - n)
        dn_raw = dn * (1 - n * n)
        dr = dn_raw * s["hn"]
        dz_raw = dz * z * (1 - z)
        dr_raw = dr * r * (1 - r)
        dgi = np.concatenate((dr_raw, dz_raw, dn_raw))
        dgh = np.concatenate((dr_raw, dz_raw, dn_raw * r))
        dW_ih += np.outer(dgi, s["x"])
        dW_hh += np.outer(dgh, s["h"])
        db_ih += dgi
        db_hh += dgh
        dx[t] = W_ih.T @ dgi
        dh_next = W_hh.T @ dgh + z * dh
    return dx, dh_next, dW_ih, dW_hh, db_ih, db_hh
