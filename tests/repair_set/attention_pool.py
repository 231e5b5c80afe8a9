# additive attention over the steps of a sequence, a weighted mean, and one logistic output with its loss
import numpy as np


def forward(X, y, W, b, v, u, c):
    """X: (N, T, D), y: (N,) zeros and ones, W: (D, A), b: (A,), v: (A,), u: (D,), c: (1,)."""
    N = len(y)
    M = np.tanh(X.dot(W) + b)
    scores = M.dot(v)
    E = np.exp(scores - scores.max(axis=1, keepdims=True))
    alpha = E / E.sum(axis=1, keepdims=True)
    context = (alpha[:, :, None] * X).sum(axis=1)
    logit = context.dot(u) + c
    p = 1 / (1 + np.exp(-logit))
    loss = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() / N
    return loss, (X, y, W, v, u, M, alpha, context, p)


def backward(cache):
    X, y, W, v, u, M, alpha, context, p = cache
    N = len(y)
    dlogit = (p - y) / N
    du = context.T.dot(dlogit)
    dc = dlogit.sum(keepdims=True)
    dcontext = np.outer(dlogit, u)
    dalpha = (dcontext[:, None, :] * X).sum(axis=2)
    dX = alpha[:, :, None] * dcontext[:, None, :]
    dscores = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))
    dv = np.einsum("nta,nt->a", M, dscores)
    dM = dscores[:, :, None] * v
    dpre = dM * (1 - M ** 2)
    dW = np.einsum("ntd,nta->da", X, dpre)
    db = dpre.sum(axis=(0, 1))
    dX += dpre.dot(W.T)
    return dX, dW, db, dv, du, dc
