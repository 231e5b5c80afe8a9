# GRU in both directions over (N, T, D); the output is the mean of the two
import numpy as np


def sigmoid(x):
    return 0.5 * (np.tanh(0.5 * x) + 1)


def sweep(x, p, order):
    """One direction; order: the steps as they are read. p: Wz, Wr, Wc (D, H), Uz, Ur, Uc (H, H), b (3, H)."""
    n, T, _ = x.shape
    hid = p["Uz"].shape[0]
    h = np.zeros((n, hid))
    out = np.zeros((n, T, hid))
    trace = {}
    for t in order:
        xt = x[:, t]
        z = sigmoid(xt @ p["Wz"] + h @ p["Uz"] + p["b"][0])
        r = sigmoid(xt @ p["Wr"] + h @ p["Ur"] + p["b"][1])
        c = np.tanh(xt @ p["Wc"] + (r * h) @ p["Uc"] + p["b"][2])
        trace[t] = (h, z, r, c)
        h = z * h + (1 - z) * c
        out[:, t] = h
    return out, trace


def sweep_grad(dout, x, p, order, trace):
    g = {key: np.zeros_like(val) for key, val in p.items()}
    dx = np.zeros_like(x)
    dh = 0.0
    for t in reversed(order):
        h, z, r, c = trace[t]
        xt = x[:, t]
        dh = dh + dout[:, t]
        ac = dh * (1 - z) * (1 - c ** 2)
        az = dh * (h - c) * z * (1 - z)
        drh = ac @ p["Uc"].T
        ar = drh * h * r * (1 - r)
        g["Wz"] += xt.T @ az
        g["Wr"] += xt.T @ ar
        g["Wc"] += xt.T @ ac
        g["Uz"] += h.T @ az
        g["Ur"] += h.T @ ar
        g["Uc"] += (r * h).T @ ac
        g["b"] += np.array([az.sum(0), ar.sum(0), ac.sum(0)])
        dx[:, t] = az @ p["Wz"].T + ar @ p["Wr"].T + ac @ p["Wc"].T
        dh = dh * z + drh * r + az @ p["Uz"].T + ar @ p["Ur"].T
    return dx, g


def both_ways(x, fw, bw):
    there = list(range(x.shape[1]))
    back = there[::-1]
    out_f, trace_f = sweep(x, fw, there)
    out_b, trace_b = sweep(x, bw, back)
    return (out_f + out_b) / 2, (x, fw, bw, there, back, trace_f, trace_b)


def both_ways_grad(dy, saved):
    x, fw, bw, there, back, trace_f, trace_b = saved
    half = dy / 2
    dx_f, g_fw = sweep_grad(half, x, fw, there, trace_f)
    dx_b, g_bw = sweep_grad(half, x, bw, back, trace_b)
    return dx_f + dx_b, g_fw, g_bw
