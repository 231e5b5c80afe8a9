# tokens of a batch, mean cross entropy inside, forward and backward apart
import numpy as np


def forward(tokens, targets, E, Wxh, Whh, bh, Why, by):
    """tokens, targets: (N, T) integers; E: (V, D), the embedding."""
    N, T = tokens.shape
    hs = np.zeros((T + 1, N, Whh.shape[0]))
    xs = E[tokens]
    probs = []
    loss = 0.0
    for t in range(T):
        hs[t + 1] = np.tanh(xs[:, t] @ Wxh + hs[t] @ Whh + bh)
        logits = hs[t + 1] @ Why + by
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True)
        probs.append(p)
        loss -= np.mean(np.log(p[np.arange(N), targets[:, t]])) / T
    return loss, (tokens, targets, E, xs, hs, probs, Wxh, Whh, Why)


def backward(cache):
    tokens, targets, E, xs, hs, probs, Wxh, Whh, Why = cache
    N, T = tokens.shape
    dE, dWxh, dWhh, dWhy = np.zeros_like(E), np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros(Whh.shape[0]), np.zeros(Why.shape[1])
    dh_next = np.zeros((N, Whh.shape[0]))
    for t in range(T - 1, -1, -1):
        dlogits = probs[t].copy()
        dlogits[np.arange(N), targets[:, t]] -= 1.0
        dlogits = dlogits / (N * T)
        dWhy += hs[t + 1].T @ dlogits
        dby += dlogits.sum(axis=0)
        dh = dlogits @ Why.T + dh_next
        dz = dh * (1 - hs[t + 1] ** 2)
        dWxh += xs[:, t].T @ dz
        dWhh += hs[t].T @ dz
        dbh += dz.sum(axis=0)
        np.add.at(dE, tokens[:, t], dz @ Wxh.T)
        dh_next = dz @ Whh.T
    return dE, dWxh, dWhh, dbh, dWhy, dby
