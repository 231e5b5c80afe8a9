# every operation is a block with its own little backward function; the cell is wired together from these blocks
from collections import namedtuple

import numpy as np

Frame = namedtuple("Frame", "v o f i g c_prev c tc")


def affine(v, W, b):
    return v @ W + b


def affine_back(dout, v, W):
    return dout @ W.T, v.T @ dout, dout.sum(axis=0)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def sigmoid_back(dout, s):
    return dout * s * (1 - s)


def tanh_back(dout, th):
    return dout * (1 - th * th)


def multiply_back(dout, a, b):
    """Gradients of a and of b where a * b was computed."""
    return dout * b, dout * a


def lstm_network(x, W, b, h0, c0):
    """W: (D + H, 4H) with rows [x, h] and columns o, f, i, g."""
    frames, hs = [], []
    h, c = h0, c0
    for t in range(x.shape[1]):
        v = np.column_stack([x[:, t], h])
        a_o, a_f, a_i, a_g = np.hsplit(affine(v, W, b), 4)
        o, f, i, g = sigmoid(a_o), sigmoid(a_f), sigmoid(a_i), np.tanh(a_g)
        kept = f * c
        written = i * g
        c_prev, c = c, kept + written
        tc = np.tanh(c)
        h = o * tc
        frames.append(Frame(v, o, f, i, g, c_prev, c, tc))
        hs.append(h)
    return np.stack(hs, axis=1), c, (frames, W)


def lstm_network_back(dhs, dc_last, cache):
    frames, W = cache
    N, T, H = dhs.shape
    D = len(W) - H
    dx = np.empty((N, T, D))
    dW = np.zeros_like(W)
    db = np.zeros(4 * H)
    dh, dc = np.zeros((N, H)), dc_last
    for t in range(T - 1, -1, -1):
        fr = frames[t]
        dh = dh + dhs[:, t]
        do, dtc = multiply_back(dh, fr.o, fr.tc)
        dc = dc + tanh_back(dtc, fr.tc)
        dkept, dwritten = dc, dc
        df, dc_prev = multiply_back(dkept, fr.f, fr.c_prev)
        di, dg = multiply_back(dwritten, fr.i, fr.g)
        da_o = sigmoid_back(do, fr.o)
        da_f = sigmoid_back(df, fr.f)
        da_i = sigmoid_back(di, fr.i)
        da_g = tanh_back(dg, fr.g)
        dv, dW_t, db_t = affine_back(np.column_stack([da_o, da_f, da_i, da_g]), fr.v, W)
        dW += dW_t
        db += db_t
        dx[:, t], dh = np.split(dv, [D], axis=1)
        dc = dc_prev
    return dx, dW, db, dh, dc
