# linear-chain CRF on linear emissions: minus the log likelihood of one tagged sentence, by forward-backward
import numpy as np


def logsumexp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return np.squeeze(top, axis=axis) + np.log(np.exp(a - top).sum(axis=axis))


def crf_nll(X, tags, W, trans, begin, end):
    """X: (T, D), tags: T numbers, W: (D, K), trans[j, k]: from tag j to tag k, begin and end: (K,)."""
    T = len(X)
    emit = X @ W
    alpha = np.zeros_like(emit)
    alpha[0] = begin + emit[0]
    for t in range(1, T):
        alpha[t] = logsumexp(alpha[t - 1][:, None] + trans, axis=0) + emit[t]
    log_Z = logsumexp(alpha[-1] + end, axis=0)
    score = begin[tags[0]] + end[tags[-1]]
    for t in range(T):
        score += emit[t, tags[t]]
    for t in range(1, T):
        score += trans[tags[t - 1], tags[t]]
    return log_Z - score, (X, tags, W, trans, end, emit, alpha, log_Z)


def crf_grads(cache):
    X, tags, W, trans, end, emit, alpha, log_Z = cache
    T, K = emit.shape
    # beta: what comes after step t
    beta = np.zeros((T, K))
    beta[-1] = end
    for t in range(T - 2, -1, -1):
        beta[t] = logsumexp(trans + emit[t + 1] + beta[t + 1], axis=1)
    # expected counts under the model
    unary = np.exp(alpha + beta - log_Z)
    demit = unary.copy()
    dbegin = unary[0].copy()
    dend = unary[-1].copy()
    dtrans = np.zeros((K, K))
    for t in range(1, T):
        after = emit[t] + beta[t]
        pair = alpha[t - 1][:, None] + trans + after[None, :]
        dtrans += np.exp(pair - log_Z)
    # minus the counts in the sentence
    for t in range(T):
        demit[t, tags[t]] -= 1
    for t in range(1, T):
        dtrans[tags[t - 1], tags[t]] -= 1
    dbegin[tags[0]] -= 1
    dend[tags[-1]] -= 1
    dW = X.T @ demit
    dX = demit @ W.T
    return {"X": dX, "W": dW, "trans": dtrans, "begin": dbegin, "end": dend}
