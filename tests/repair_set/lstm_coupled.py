# LSTM whose input gate is 1 - f; columns are examples: x (T, D, N), Theta (3H, H + D) with the rows f, o, g
import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(s):
    """Slope of the sigmoid where its value is s."""
    return s * (1 - s)


def tanh_prime(v):
    """Slope of tanh where its value is v."""
    return 1 - v ** 2


def run(x, Theta, bias):
    T, D, N = x.shape
    H = Theta.shape[0] // 3
    h, c = np.zeros((H, N)), np.zeros((H, N))
    outputs, tape = [], []
    for t in range(T):
        v = np.vstack([h, x[t]])
        a = Theta @ v + bias
        f, o, g = sigmoid(a[:H]), sigmoid(a[H:2 * H]), np.tanh(a[2 * H:])
        c_old = c
        c = f * c_old + (1 - f) * g
        q = np.tanh(c)
        h = o * q
        tape.append((v, f, o, g, c_old, q))
        outputs.append(h)
    return np.array(outputs), (tape, Theta, x.shape)


def run_back(grad, saved):
    tape, Theta, shape = saved
    H = Theta.shape[0] // 3
    gx = np.zeros(shape)
    gTheta = np.zeros(Theta.shape)
    gbias = np.zeros((3 * H, 1))
    gh_later, gc_later = 0.0, 0.0
    for t in range(len(tape) - 1, -1, -1):
        v, f, o, g, c_old, q = tape[t]
        gh = grad[t] + gh_later
        go = gh * q
        gq = gh * o
        gc = gc_later + gq * tanh_prime(q)
        gf = gc * (c_old - g)
        gg = gc * (1 - f)
        ga = np.vstack([gf * sigmoid_prime(f), go * sigmoid_prime(o), gg * tanh_prime(g)])
        gTheta += ga @ v.T
        gbias += ga.sum(axis=1, keepdims=True)
        gv = Theta.T @ ga
        gh_later = gv[:H]
        gx[t] = gv[H:]
        gc_later = gc * f
    return gx, gTheta, gbias
