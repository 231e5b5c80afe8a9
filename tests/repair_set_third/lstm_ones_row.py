# LSTM over (T, B, D); the first row of W holds the biases; gates in the order i, f, o, g; one record a step
from collections import namedtuple

import numpy as np

Step = namedtuple("Step", "inp i f o g c_in ct")


def logistic(v):
    return 1 / (1 + np.exp(-v))


def run(X, W, h0, c0):
    """W: (1 + D + H, 4 H). Returns all h, and the last c."""
    T, B, D = X.shape
    H = h0.shape[1]
    h, c = h0, c0
    steps, Hs = [], []
    for t in range(T):
        inp = np.hstack((np.ones((B, 1)), X[t], h))
        A = inp.dot(W)
        i = logistic(A[:, :H])
        f = logistic(A[:, H:2 * H] + 1)
        o = logistic(A[:, 2 * H:3 * H])
        g = np.tanh(A[:, 3 * H:])
        c_in = c
        c = i * g + f * c_in
        ct = np.tanh(c)
        h = o * ct
        steps.append(Step(inp, i, f, o, g, c_in, ct))
        Hs.append(h)
    return np.stack(Hs), c, (steps, W, D)


def run_back(dHs, dc_last, tape):
    steps, W, D = tape
    dW = np.zeros_like(W)
    dXs = []
    dh_later = 0
    dc = dc_last
    for dH, s in zip(dHs[::-1], steps[::-1]):
        dh = dH + dh_later
        dc = dc + dh * s.o * (1 - s.ct ** 2)
        dA = np.hstack([
            dc * s.g * s.i * (1 - s.i),
            dc * s.c_in * s.f * (1 - s.f),
            dh * s.ct * s.o * (1 - s.o),
            dc * s.i * (1 - s.g ** 2),
        ])
        dW += s.inp.T.dot(dA)
        dinp = dA.dot(W.T)
        dXs.append(dinp[:, 1:1 + D])
        dh_later = dinp[:, 1 + D:]
        dc = dc * s.f
    dXs.reverse()
    return np.stack(dXs), dW, dh_later, dc
