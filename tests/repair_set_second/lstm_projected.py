# LSTM with a projection: the state that is fed back and given out is P h, shorter than the cell; columns
import numpy as np


def sg(a):
    return 1 / (1 + np.exp(-a))


def lstmp(x, W, R, b, P):
    """x: (T, D, N), W: (4H, D), R: (4H, K), b: (4H, 1), P: (K, H)."""
    T, D, N = x.shape
    K, H = P.shape
    r = np.zeros((K, N))
    c = np.zeros((H, N))
    y = np.zeros((T, K, N))
    kept = []
    for t in range(T):
        pre = W @ x[t] + R @ r + b
        i, j, f, o = sg(pre[:H]), np.tanh(pre[H:2 * H]), sg(pre[2 * H:3 * H] + 1), sg(pre[3 * H:])
        c_next = f * c + i * j
        s = np.tanh(c_next)
        m = o * s
        kept.append((r, c, i, j, f, o, s, m))
        r, c = P @ m, c_next
        y[t] = r
    return y, (x, W, R, P, kept)


def lstmp_backprop(dy, ctx):
    x, W, R, P, kept = ctx
    T, D, N = x.shape
    K, H = P.shape
    dW, dR, dP = np.zeros_like(W), np.zeros_like(R), np.zeros_like(P)
    db = np.zeros((4 * H, 1))
    dx = np.zeros_like(x)
    dr, dc = np.zeros((K, N)), np.zeros((H, N))
    for t in range(T)[::-1]:
        r, c, i, j, f, o, s, m = kept[t]
        dr = dr + dy[t]
        dP += dr @ m.T
        dm = P.T @ dr
        do = dm * s
        dc = dc + dm * o * (1 - s * s)
        di = dc * j
        dj = dc * i
        df = dc * c
        dpre = np.concatenate([di * i * (1 - i), dj * (1 - j * j), df * f * (1 - f), do * o * (1 - o)])
        dW += dpre @ x[t].T
        dR += dpre @ r.T
        db += dpre.sum(axis=1, keepdims=True)
        dx[t] = W.T @ dpre
        dr = R.T @ dpre
        dc = dc * f
    return dx, dW, dR, db, dP
