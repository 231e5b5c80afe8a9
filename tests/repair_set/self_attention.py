# attention of a sequence with itself, one head, with a matrix after it and the input added
import numpy as np


def softmax_rows(S):
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def attention_forward(X, Wq, Wk, Wv, Wo):
    """X: (N, T, D), Wq, Wk: (D, K), Wv: (D, M), Wo: (M, D)."""
    K = Wq.shape[1]
    Q, Keys, V = X @ Wq, X @ Wk, X @ Wv
    S = Q @ Keys.transpose(0, 2, 1) / np.sqrt(K)
    P = softmax_rows(S)
    C = P @ V
    Y = C @ Wo + X
    return Y, (X, Wq, Wk, Wv, Wo, Q, Keys, V, P, C)


def attention_backward(dY, cache):
    X, Wq, Wk, Wv, Wo, Q, Keys, V, P, C = cache
    N, T, D = X.shape
    K = Wq.shape[1]
    dX = dY.copy()
    dC = dY @ Wo.T
    dWo = C.reshape(N * T, -1).T @ dY.reshape(N * T, -1)
    dP = dC @ V.transpose(0, 2, 1)
    dV = P.transpose(0, 2, 1) @ dC
    row = (dP * P).sum(axis=-1, keepdims=True)
    dS = P * (dP - row)
    dS = dS / np.sqrt(K)
    dQ = dS @ Keys
    dKeys = dS.transpose(0, 2, 1) @ Q
    flat = X.reshape(N * T, D)
    dWq = flat.T @ dQ.reshape(N * T, -1)
    dWk = flat.T @ dKeys.reshape(N * T, -1)
    dWv = flat.T @ dV.reshape(N * T, -1)
    dX += dQ @ Wq.T
    dX += dKeys @ Wk.T
    dX += dV @ Wv.T
    return dX, dWq, dWk, dWv, dWo
