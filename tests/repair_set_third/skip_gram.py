# word2vec: skip-gram with negative sampling, a batch of (centre, neighbour) pairs with k noise words each
import numpy as np


def sigmoid(x):
    return 1. / (1. + np.exp(-x))


def sgns_loss(centers, contexts, noise, W_in, W_out, lam=0.1):
    """centers, contexts: (B,); noise: (B, k); W_in, W_out: (V, D); lam: weight decay of the rows used."""
    v = W_in[centers]
    u_pos = W_out[contexts]
    u_neg = W_out[noise]
    pos_score = np.sum(v * u_pos, axis=1)
    neg_score = np.einsum('bd,bkd->bk', v, u_neg)
    p_pos = sigmoid(pos_score)
    p_neg = sigmoid(neg_score)
    B = len(centers)
    loss = -np.sum(np.log(p_pos)) - np.sum(np.log(1 - p_neg))
    loss = loss / B + 0.5 * lam * np.sum(v ** 2)
    return loss, (centers, contexts, noise, W_in, W_out, lam, v, u_pos, u_neg, p_pos, p_neg)


def sgns_grad(cache):
    centers, contexts, noise, W_in, W_out, lam, v, u_pos, u_neg, p_pos, p_neg = cache
    B = len(centers)
    d_pos = (p_pos - 1) / B
    d_neg = p_neg / B
    dv = d_pos[:, None] * u_pos
    dv += np.einsum('bk,bkd->bd', d_neg, u_neg)
    dv += lam * v
    du_pos = d_pos[:, None] * v
    du_neg = d_neg[:, :, None] * v[:, None, :]
    dW_in = np.zeros_like(W_in)
    dW_out = np.zeros_like(W_out)
    np.add.at(dW_in, centers, dv)
    np.add.at(dW_out, contexts, du_pos)
    np.add.at(dW_out, noise, du_neg)
    return {'W_in': dW_in, 'W_out': dW_out}
