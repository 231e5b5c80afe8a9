# the tutorial RNN with U, V and W: word numbers in, the summed loss out; a loop inside a loop goes back
import numpy as np


def forward(words, targets, U, V, W):
    """words, targets: (T,) integers; U: (H, V), V: (V, H), W: (H, H)."""
    T = len(words)
    s = np.zeros((T + 1, len(W)))           # s[-1] is the zero state before the first word
    o = np.zeros((T, len(V)))
    loss = 0.0
    for t in range(T):
        s[t] = np.tanh(U[:, words[t]] + W.dot(s[t - 1]))
        scores = V.dot(s[t])
        e = np.exp(scores - np.max(scores))
        o[t] = e / np.sum(e)
        loss -= np.log(o[t, targets[t]])
    return loss, (words, targets, U, V, W, s, o)


def backward(cache):
    words, targets, U, V, W, s, o = cache
    T = len(words)
    dLdU, dLdV, dLdW = np.zeros(U.shape), np.zeros(V.shape), np.zeros(W.shape)
    delta_o = o.copy()
    delta_o[np.arange(T), targets] -= 1.0
    for t in range(T - 1, -1, -1):
        dLdV += np.outer(delta_o[t], s[t])
        delta = V.T.dot(delta_o[t]) * (1 - s[t] ** 2)
        for k in range(t, -1, -1):
            dLdW += np.outer(delta, s[k - 1])
            dLdU[:, words[k]] += delta
            delta = W.T.dot(delta) * (1 - s[k - 1] ** 2)
    return dLdU, dLdV, dLdW
