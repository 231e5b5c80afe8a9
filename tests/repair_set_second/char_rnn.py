# a character-level RNN: the loss of one piece of text and its gradients from one function
import numpy as np


def lossFunction(chars, nextChars, hStart, Wxh, Whh, Why, bh, by):
    vocab = by.shape[0]
    hs = {-1: hStart}
    ps = {}
    loss = 0
    for t, c in enumerate(chars):
        hs[t] = np.tanh(Wxh[:, [c]] + Whh @ hs[t - 1] + bh)
        y = Why @ hs[t] + by
        y = y - y.max()
        ps[t] = np.exp(y) / np.exp(y).sum()
        loss = loss - np.log(ps[t][nextChars[t], 0])

    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hStart)
    for t in range(len(chars) - 1, -1, -1):
        target = np.zeros((vocab, 1))
        target[nextChars[t]] = 1
        dy = ps[t] - target
        dWhy += dy @ hs[t].T
        dby += dy
        dh = Why.T @ dy + dhnext
        dtanh = (1 - hs[t] * hs[t]) * dh
        dbh += dtanh
        x = np.zeros((vocab, 1))
        x[chars[t]] = 1
        dWxh += dtanh @ x.T
        dWhh += dtanh @ hs[t - 1].T
        dhnext = Whh.T @ dtanh
    return loss, dhnext, dWxh, dWhh, dWhy, dbh, dby


CHARS = [3, 1, 0, 1, 4]
NEXT = [1, 0, 1, 4, 4]


def forward(hStart, Wxh, Whh, Why, bh, by):
    loss, *gradients = lossFunction(CHARS, NEXT, hStart, Wxh, Whh, Why, bh, by)
    return loss, gradients


def backward(gradients):
    return gradients
