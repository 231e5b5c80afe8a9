# LSTM on one sequence (T, D); the backward pass collects the deltas in lists and multiplies once at the end
import numpy as np


def act(a):
    return 1 / (1 + np.exp(-a))


def lstm(X, W, U, b):
    """W: (4, H, D), U: (4, H, H), b: (4, H); gates forget, input, output, candidate."""
    hs, cs = [np.zeros(b.shape[1])], [np.zeros(b.shape[1])]
    gates = []
    for x in X:
        a = [W[k] @ x + U[k] @ hs[-1] + b[k] for k in range(4)]
        f, i, o, g = act(a[0]), act(a[1]), act(a[2]), np.tanh(a[3])
        cs.append(f * cs[-1] + i * g)
        hs.append(o * np.tanh(cs[-1]))
        gates.append((f, i, o, g))
    return np.array(hs[1:]), (X, W, U, hs, cs, gates)


def lstm_gradient(dH, cache):
    X, W, U, hs, cs, gates = cache
    T = len(gates)
    lists = [[], [], [], []]
    dX = []
    dh_next, dc_next = 0, 0
    for t in range(T - 1, -1, -1):
        f, i, o, g = gates[t]
        c_t, c_before = cs[t + 1], cs[t]
        dh = dH[t] + dh_next
        dc = dh * o * (1 - np.tanh(c_t) ** 2) + dc_next
        df = f * (1 - f) * c_before * dc
        di = i * (1 - i) * g * dc
        do = o * (1 - o) * np.tanh(c_t) * dh
        dg = (1 - g ** 2) * i * dc
        deltas = [df, di, do, dg]
        for k in range(4):
            lists[k].append(deltas[k])
        dX.append(sum(W[k].T @ deltas[k] for k in range(4)))
        dh_next = sum(U[k].T @ deltas[k] for k in range(4))
        dc_next = f * dc
    D = np.array([delta[::-1] for delta in lists])
    before = np.array(hs[:-1])
    dX = np.array(dX[::-1])
    dW = np.array([D[k].T @ X for k in range(4)])
    dU = np.array([D[k].T @ before for k in range(4)])
    db = D.sum(axis=1)
    return dX, dW, dU, db
