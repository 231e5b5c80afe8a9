# Jordan network: the context is the leaky sum of its own outputs. Bits are predicted, binary cross entropy.
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def jordan_loss(xs, bits, W, U, V, b, c, mu=0.4):
    """xs: (T, D), bits: (T, K) of 0 and 1, W: (H, D), U: (H, K), V: (K, H), b: (H,), c: (K,)."""
    T = xs.shape[0]
    context = np.zeros((T + 1, c.size))
    hidden = np.zeros((T, b.size))
    y = np.zeros((T, c.size))
    loss = 0
    for t in range(T):
        hidden[t] = np.tanh(W @ xs[t] + U @ context[t] + b)
        y[t] = sigmoid(V @ hidden[t] + c)
        context[t + 1] = mu * context[t] + y[t]
        loss -= np.sum(bits[t] * np.log(y[t]) + (1 - bits[t]) * np.log(1 - y[t]))
    return loss / T, (xs, bits, W, U, V, mu, context, hidden, y)


def jordan_gradient(stuff):
    xs, bits, W, U, V, mu, context, hidden, y = stuff
    T = xs.shape[0]
    grad_xs = np.zeros_like(xs)
    grad_W, grad_U, grad_V = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V)
    grad_b, grad_c = np.zeros(W.shape[0]), np.zeros(V.shape[0])
    grad_context = np.zeros(V.shape[0])
    for t in range(T - 1, -1, -1):
        delta_out = (y[t] - bits[t]) / T
        delta_out = delta_out + grad_context * y[t] * (1 - y[t])
        grad_V += np.outer(delta_out, hidden[t])
        grad_c += delta_out
        delta_hidden = (V.T @ delta_out) * (1 - hidden[t] ** 2)
        grad_W += np.outer(delta_hidden, xs[t])
        grad_U += np.outer(delta_hidden, context[t])
        grad_b += delta_hidden
        grad_xs[t] = W.T @ delta_hidden
        grad_context = mu * grad_context + U.T @ delta_hidden
    return dict(xs=grad_xs, W=grad_W, U=grad_U, V=grad_V, b=grad_b, c=grad_c)
