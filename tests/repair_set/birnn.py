# bidirectional RNN: one net reads from the left, one from the right, their states stand side by side
import numpy as np


def forward(x, Wf, Uf, bf, Wb, Ub, bb):
    N, T, D = x.shape
    H = Uf.shape[0]
    hf, hb = np.zeros((T + 2, N, H)), np.zeros((T + 2, N, H))      # a row of zeros at either end
    for t in range(1, T + 1):
        hf[t] = np.tanh(x[:, t - 1] @ Wf + hf[t - 1] @ Uf + bf)
    for t in range(T, 0, -1):
        hb[t] = np.tanh(x[:, t - 1] @ Wb + hb[t + 1] @ Ub + bb)
    y = np.concatenate([hf[1:-1], hb[1:-1]], axis=2).transpose(1, 0, 2)
    return y, (x, hf, hb, Wf, Uf, Wb, Ub)


def backward(dy, cache):
    x, hf, hb, Wf, Uf, Wb, Ub = cache
    N, T, D = x.shape
    H = Uf.shape[0]
    dx = np.zeros(x.shape)
    dWf, dUf, dbf = np.zeros(Wf.shape), np.zeros(Uf.shape), np.zeros(H)
    dWb, dUb, dbb = np.zeros(Wb.shape), np.zeros(Ub.shape), np.zeros(H)

    carry = np.zeros((N, H))
    for t in range(T, 0, -1):
        dh = dy[:, t - 1, :H] + carry
        da = (1 - hf[t] ** 2) * dh
        dWf += x[:, t - 1].T @ da
        dUf += hf[t - 1].T @ da
        dbf += da.sum(axis=0)
        dx[:, t - 1] += da @ Wf.T
        carry = da @ Uf.T

    carry = np.zeros((N, H))
    for t in range(1, T + 1):
        dh = dy[:, t - 1, H:] + carry
        da = (1 - hb[t] ** 2) * dh
        dWb += x[:, t - 1].T @ da
        dUb += hb[t + 1].T @ da
        dbb += da.sum(axis=0)
        dx[:, t - 1] += da @ Wb.T
        carry = da @ Ub.T
    return dx, dWf, dUf, dbf, dWb, dUb, dbb
