# a linear layer, batch normalisation and ReLU, taken apart into small steps
import numpy as np

EPS = 1e-3


def forward(X, W, gamma, beta):
    N = X.shape[0]
    A = X.dot(W)
    mu = A.sum(axis=0) / N
    centered = A - mu
    var = (centered ** 2).sum(axis=0) / N
    std = np.sqrt(var + EPS)
    inv_std = 1.0 / std
    norm = centered * inv_std
    out = gamma * norm + beta
    mask = out > 0
    return out * mask, (X, W, gamma, centered, std, inv_std, norm, mask)


def backward(dY, cache):
    X, W, gamma, centered, std, inv_std, norm, mask = cache
    N = X.shape[0]
    dout = dY * mask
    dbeta = dout.sum(axis=0)
    dgamma = (dout * norm).sum(axis=0)
    dnorm = dout * gamma
    dinv_std = (dnorm * centered).sum(axis=0)
    dstd = -dinv_std / std ** 2
    dvar = dstd * 0.5 / std
    dcentered = dnorm * inv_std
    dcentered += 2.0 * centered * dvar / N
    dmu = -dcentered.sum(axis=0)
    dA = dcentered + dmu / N
    dX = dA.dot(W.T)
    dW = X.T.dot(dA)
    return dX, dW, dgamma, dbeta
