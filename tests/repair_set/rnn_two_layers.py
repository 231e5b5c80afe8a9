# two RNN layers, one above the other; the input and all states are lists with an array (N, ...) for each step
import numpy as np


def forward(xs, W1, R1, b1, W2, R2, b2):
    N, H = xs[0].shape[0], R1.shape[0]
    K = R2.shape[0]
    low, high = [np.zeros((N, H))], [np.zeros((N, K))]
    for x in xs:
        low.append(np.tanh(np.dot(x, W1) + np.dot(low[-1], R1) + b1))
        high.append(np.tanh(np.dot(low[-1], W2) + np.dot(high[-1], R2) + b2))
    return np.array(high[1:]), (xs, low, high, W1, R1, W2, R2)


def backward(dys, cache):
    xs, low, high, W1, R1, W2, R2 = cache
    dW1, dR1, db1 = np.zeros(W1.shape), np.zeros(R1.shape), np.zeros(R1.shape[0])
    dW2, dR2, db2 = np.zeros(W2.shape), np.zeros(R2.shape), np.zeros(R2.shape[0])
    dxs = [np.zeros(x.shape) for x in xs]
    back_low, back_high = np.zeros(low[0].shape), np.zeros(high[0].shape)
    for t in range(len(xs), 0, -1):
        # upper layer
        dhigh = dys[t - 1] + back_high
        delta2 = dhigh * (1 - high[t] ** 2)
        dW2 += np.dot(low[t].T, delta2)
        dR2 += np.dot(high[t - 1].T, delta2)
        db2 += np.sum(delta2, axis=0)
        back_high = np.dot(delta2, R2.T)
        # lower layer
        dlow = np.dot(delta2, W2.T) + back_low
        delta1 = dlow * (1 - low[t] ** 2)
        dW1 += np.dot(xs[t - 1].T, delta1)
        dR1 += np.dot(low[t - 1].T, delta1)
        db1 += np.sum(delta1, axis=0)
        back_low = np.dot(delta1, R1.T)
        dxs[t - 1] = np.dot(delta1, W1.T)
    return dxs, dW1, dR1, db1, dW2, dR2, db2
