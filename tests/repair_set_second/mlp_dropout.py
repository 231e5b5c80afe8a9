# a fully connected net of any depth: lists of weights, dropout masks are given, softmax cross entropy
import numpy as np

KEEP = 0.5


def net_loss(X, labels, masks, weights, biases):
    """X: (N, D); one mask of zeros and ones for each hidden layer."""
    acts, pres = [X], []
    A = X
    L = len(weights)
    for k in range(L - 1):
        Z = A @ weights[k] + biases[k]
        A = np.maximum(0, Z) * masks[k] / KEEP
        pres.append(Z)
        acts.append(A)
    scores = A @ weights[-1] + biases[-1]
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    logp = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    loss = -np.sum(logp[range(len(X)), labels]) / len(X)
    return loss, (labels, masks, weights, acts, pres, logp)


def net_grads(cache):
    labels, masks, weights, acts, pres, logp = cache
    n = len(labels)
    L = len(weights)
    dweights, dbiases = [None] * L, [None] * L
    delta = np.exp(logp)
    delta[range(n), labels] -= 1
    delta = delta / n
    for k in range(L - 1, -1, -1):
        dweights[k] = acts[k].T @ delta
        dbiases[k] = delta.sum(axis=0)
        delta = delta @ weights[k].T
        if k > 0:
            delta = delta * masks[k - 1] / KEEP
            delta = delta * (pres[k - 1] > 0)
    return {"X": delta, "weights": dweights, "biases": dbiases}
