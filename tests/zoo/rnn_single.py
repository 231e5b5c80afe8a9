# one sequence, weights (H, D + H) for [x, h] and the bias in the first column: [1, x, h]
import numpy as np


def forward(x, W, h0):
    h = h0
    ins, outs = [], []
    for x_t in x:
        u = np.concatenate(([1.0], x_t, h))
        h = np.tanh(W @ u)
        ins.append(u)
        outs.append(h)
    return np.array(outs), h, (ins, outs, W, x.shape)


def backward(d_outs, d_last, cache):
    ins, outs, W, shape = cache
    D = shape[1]
    dW = np.zeros_like(W)
    dx = np.zeros(shape)
    carry = d_last
    for t in range(len(ins) - 1, -1, -1):
        delta = (d_outs[t] + carry) * (1 - outs[t] ** 2)
        dW += np.outer(delta, ins[t])
        du = W.T @ delta
        dx[t] = du[1:D + 1]
        carry = du[D + 1:]
    return dx, dW, carry
