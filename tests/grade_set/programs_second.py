"""A second set of right programs for gradcheck, in more forms; none may raise an alarm.

Entries are as in programs.py. More: inputs that are a dict go by the names of forward's arguments; with
``outputs`` 0 an object's backward takes nothing; an array after ``--allow-unused`` needs no gradient.
"""

from __future__ import annotations

import json
from pathlib import Path

from programs import HEAD, ONE, Call, Command

PAIR = "(forward, backward)"
LINEAR = '''
def forward(x, W, b):
    return x @ W + b, (x, W)

def backward(dy, cache):
    x, W = cache
    dx, dW, db = dy @ W.T, x.T @ dy, dy.sum(0)
    return {returned}
'''
AFFINE = "r(4, 3), r(3, 2), r(2)"
SIGMOID = "def sigmoid(a):\n    return 1 / (1 + np.exp(-a))\n"
LSTM = SIGMOID + '''
def cell(x, h, c, W, b):
    n = h.shape[1]
    a = np.hstack([x, h]) @ W + b
    i, f, o = (sigmoid(a[:, k * n:(k + 1) * n]) for k in range(3))
    g = np.tanh(a[:, 3 * n:])
    new = f * c + i * g
    return o * np.tanh(new), new, (x, h, c, i, f, o, g, np.tanh(new), W)

def cell_back(dh, dc, cache):
    x, h, c, i, f, o, g, u, W = cache
    dc = dc + dh * o * (1 - u * u)
    da = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dh * u * o * (1 - o), dc * i * (1 - g * g)])
    both = da @ W.T
    return both[:, :x.shape[1]], both[:, x.shape[1]:], dc * f, np.hstack([x, h]).T @ da, da.sum(0)
'''
RNN = '''
def forward(x, h0, U, V, b):
    hs = [h0]
    for t in range(x.shape[1]):
        hs.append({act})
    return {out}, (x, hs, U, V)

def backward({given}, cache):
    x, hs, U, V = cache
    dx, dU, dV, db = np.zeros_like(x), np.zeros_like(U), np.zeros_like(V), np.zeros(len(V))
    carry = {first}
    for t in reversed(range(x.shape[1])):
        da = (carry + {dh}) * {slope}
        dU += x[:, t].T @ da
        dV += hs[t].T @ da
        db += da.sum(axis=0)
        dx[:, t], carry = da @ U.T, da @ V.T
    return dx, carry, dU, dV, db
'''
PRE, TANH_SLOPE = "x[:, t] @ U + hs[t] @ V + b", "(1 - hs[t + 1] ** 2)"
ALL = {"out": "np.stack(hs[1:], axis=1)", "given": "dh", "first": "0", "dh": "dh[:, t]"}
WEIGHTS = "r(3, 4), r(4, 4), r(4)"
CLASS = '''
class Dense{base}:
    def __init__(self, D=3, H=4):
        self.W, self.b = r(D, H), r(H)
        {more}
    def {call}(self, x):
        self.x = x
        self.y = np.tanh(x @ self.W + self.b)
        return self.y
    def backward(self, grad):
        dz = grad * (1 - self.y ** 2)
        {last}
'''


def dense(last: str, more: str = "pass", call: str = "forward", base: str = "") -> str:
    return CLASS.format(last=last.replace("\n", "\n        "), more=more.replace("\n", "\n        "),
                        call=call, base=base)


PLUS = "self.dW += self.x.T @ dz\nself.db += dz.sum(0)\nreturn dz @ self.W.T"
PLAIN = "self.dW, self.db = self.x.T @ dz, dz.sum(0)\nreturn dz @ self.W.T"
NET = dense(PLAIN) + '''
class Net:
    def __init__(self):
        self.first, self.second = Dense(3, 4), Dense(4, 2)
    def forward(self, x):
        return self.second.forward(self.first.forward(x))
    def backward(self, grad):
        return self.first.backward(self.second.backward(grad))
'''
CALLS = tuple(Call(*row) for row in (
    # Kinks
    ("leaky relu as a maximum", ONE.format(y="np.maximum(x, 0.01 * x)", slope="np.where(x > 0, 1, 0.01)"),
     "(f, b)", "np.array([[0., 1, -2], [3, 0, 0]])"),
    ("hard tanh by np.where, at ±1", ONE.format(y="np.where(x > 1, 1, np.where(x < -1, -1, x))",
                                                slope="(abs(x) <= 1)"), "(f, b)",
     "np.array([1., -1, 0.2, -4])"),
    ("hard sigmoid x/6 + 1/2, ends inside", ONE.format(
        y="np.minimum(1, np.maximum(0, x / 6 + 0.5))", slope="((x >= -3) & (x <= 3)) / 6"), "(f, b)",
     "np.array([-3., 3, 1, 5, -7])"),
    ("hard swish at -3 and 3", ONE.format(
        y="x * np.clip(x + 3, 0, 6) / 6",
        slope="np.where(x <= -3, 0, np.where(x >= 3, 1, (2 * x + 3) / 6))"), "(f, b)",
     "np.array([[-3., 3], [0, -1]])"),
    ("absolute value as a root of a square", ONE.format(y="np.sqrt(x * x)", slope="np.sign(x)"), "(f, b)",
     "np.array([0., 2, -0.5])"),
    ("dead zone, two relus", ONE.format(y="np.maximum(x - 1, 0) - np.maximum(-x - 1, 0)",
                                        slope="(np.abs(x) >= 1)"), "(f, b)", "np.array([1., -1, 0, 2, -3])"),
    ("mean absolute error, some residuals 0", '''
def forward(p):
    error = p - np.array([1., 2, 3, 4])
    return np.abs(error).mean(), error

def backward(error):
    return np.where(error > 0, 1, -1) / error.size
''', PAIR, "np.array([1., 2.5, 3, -1])", "loss"),
    ("Huber's loss at 0 and at ±1", '''
def forward(e):
    small = np.abs(e) <= 1
    return np.where(small, e ** 2 / 2, np.abs(e) - 0.5).sum(), (e, small)

def backward(cache):
    e, small = cache
    return np.where(small, e, np.sign(e))
''', PAIR, "np.array([0., 1, -1, 0.3, 5])", "loss"),
    ("maxima of pairs, with ties", '''
def forward(x):
    pairs = x.reshape(len(x), -1, 2)
    best = pairs.argmax(axis=2)[:, :, None]
    return np.take_along_axis(pairs, best, axis=2)[:, :, 0], (x.shape, best)

def backward(dy, cache):
    shape, best = cache
    dx = np.zeros((shape[0], shape[1] // 2, 2))
    np.put_along_axis(dx, best, dy[:, :, None], axis=2)
    return dx.reshape(shape)
''', PAIR, "np.array([[1., 1, 0, 2], [3, -1, 0, 0]])"),
    ("sorting along an axis, with equal values", '''
def forward(x):
    order = np.argsort(x, axis=1)
    return np.take_along_axis(x, order, axis=1), order

def backward(dy, order):
    dx = np.empty_like(dy)
    np.put_along_axis(dx, order, dy, axis=1)
    return dx
''', PAIR, "np.array([[3., 1, 2, 1], [0, 0, -1, 5]])"),
    ("the mean of the two largest, with ties", '''
def forward(x):
    top = np.argsort(-x, axis=1, kind="stable")[:, :2]
    return np.take_along_axis(x, top, 1).mean(1), (top, x.shape)

def backward(dy, cache):
    top, shape = cache
    dx = np.zeros(shape)
    for n, row in enumerate(top):
        dx[n, row] = dy[n] / 2
    return dx
''', PAIR, "np.array([[1., 1, 1, 0], [4, 2, 3, 2]])"),
    ("the median of five, with ties", '''
def forward(x):
    k = np.argsort(x, axis=0)[len(x) // 2]
    return x[k, np.arange(x.shape[1])], (k, x.shape)

def backward(dy, cache):
    k, shape = cache
    dx = np.zeros(shape)
    dx[k, np.arange(shape[1])] += dy
    return dx
''', PAIR, "np.array([[1., 0, 1], [2, 3, 1], [3, 9, 1], [4, 3, 2], [5, 5, 2]])"),
    ("maxout of two pieces, x zero", '''
def forward(x, A, B):
    a, b = x @ A, x @ B
    first = a >= b
    return np.where(first, a, b), (x, A, B, first)

def backward(dy, cache):
    x, A, B, first = cache
    da, db = dy * first, dy * ~first
    return da @ A.T + db @ B.T, x.T @ da, x.T @ db
''', PAIR, "np.array([[0., 0, 0], [1, -1, 2]]), r(3, 4), r(3, 4)"),
    ("a residual block with relu on zeros", '''
def forward(x, W):
    z = x @ W
    return x + z * (z > 0), (x, W, z)

def backward(dy, cache):
    x, W, z = cache
    dz = np.where(z > 0, dy, 0)
    return dy + dz @ W.T, x.T @ dz
''', PAIR, "np.zeros((2, 3)), r(3, 3)"),
    ("a triplet's margin, met exactly", '''
def forward(good, bad):
    gap = 1 - good + bad
    return np.maximum(gap, 0).mean(), gap > 0

def backward(active):
    share = active / active.size
    return -share, share
''', PAIR, "np.array([1., 2, 0.5]), np.array([0., 0, 1])", "loss"),
    ("the norm of each row, one of them zero", '''
def forward(x):
    norms = np.sqrt((x ** 2).sum(axis=1))
    return norms, (x, norms)

def backward(dy, cache):
    x, norms = cache
    return dy[:, None] * x / np.where(norms == 0, 1, norms)[:, None]
''', PAIR, "np.array([[3., 4], [0, 0], [-1, 2]])"),
    ("a running maximum, with ties", '''
def forward(x):
    return np.maximum.accumulate(x, axis=0), x

def backward(dy, x):
    dx, best = np.zeros_like(x), np.zeros(x.shape[1], dtype=int)
    columns = np.arange(x.shape[1])
    for t in range(len(x)):
        best = np.where(x[t] > x[best, columns], t, best)
        dx[best, columns] += dy[t]
    return dx
''', PAIR, "np.array([[1., 0], [1, 2], [3, 2], [2, 2]])"),
    ("an RNN with a clipped relu, zeros", RNN.format(
        act=f"np.clip({PRE}, 0, 1)", slope="((hs[t + 1] > 0) & (hs[t + 1] < 1))", **ALL), PAIR,
     f"np.zeros((2, 3, 3)), np.zeros((2, 4)), {WEIGHTS[:-4]}np.zeros(4)"),
    ("a convolution and relu, bias 0 on zeros", '''
def forward(x, K, b):
    width = K.shape[0]
    y = np.stack([np.einsum("nwd,wdk->nk", x[:, t:t + width], K) for t in range(x.shape[1] - width + 1)], 1)
    return np.maximum(y + b, 0), (x, K, y + b)

def backward(dy, cache):
    x, K, y = cache
    dx, dK, dz = np.zeros_like(x), np.zeros_like(K), dy * (y > 0)
    for t in range(dz.shape[1]):
        dK += np.einsum("nwd,nk->wdk", x[:, t:t + len(K)], dz[:, t])
        dx[:, t:t + len(K)] += np.einsum("nk,wdk->nwd", dz[:, t], K)
    return dx, dK, dz.sum(axis=(0, 1))
''', PAIR, "np.concatenate([np.zeros((2, 3, 2)), r(2, 2, 2)], 1), r(2, 2, 3), np.zeros(3)"),
    # Axes of length 1, arrays without axes
    ("a regression on one column", LINEAR.format(returned="dx, dW, db"), PAIR, "r(5, 1), r(1, 1), r(1)"),
    ("b with two axes, db with one", LINEAR.format(returned="dx, dW, db"), PAIR, "r(5, 3), r(3, 2), r(1, 2)"),
    ("a temperature without axes", '''
def forward(scores, temperature):
    e = np.exp(scores / temperature)
    p = e / e.sum(axis=1, keepdims=True)
    return p, (scores, temperature, p)

def backward(dp, cache):
    scores, temperature, p = cache
    d = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return d / temperature, -(d * scores).sum() / temperature ** 2
''', PAIR, "r(3, 4), np.array(1.7)"),
    ("prelu with one slope for all, a float", '''
def forward(x, a):
    return np.where(x < 0, a * x, x), (x, a)

def backward(dy, cache):
    x, a = cache
    return np.where(x < 0, a, 1.0) * dy, float(np.sum(dy * x * (x < 0)))
''', PAIR, "r(3, 2), 0.25"),
    ("floats only", '''
def forward(x, w, b):
    y = np.tanh(w * x + b)
    return y, (x, w, y)

def backward(dy, cache):
    x, w, y = cache
    dz = dy * (1 - y ** 2)
    return dz * w, dz * x, dz
''', PAIR, "0.3, -1.2, 0.5"),
    ("one example, one step, one feature", RNN.format(act=f"np.tanh({PRE})", slope=TANH_SLOPE, **ALL), PAIR,
     "r(1, 1, 1), r(1, 1), r(1, 1), r(1, 1), r(1)"),
    ("batch normalisation, gain and shift of shape (1, D)", '''
def forward(x, gain, shift):
    centred = x - x.mean(0)
    std = np.sqrt(centred.var(0) + 1e-3)
    return gain * centred / std + shift, (centred / std, std, gain)

def backward(dy, cache):
    xhat, std, gain = cache
    n, dxhat = len(dy), dy * gain
    dx = (n * dxhat - dxhat.sum(0) - xhat * (dxhat * xhat).sum(0)) / (n * std)
    return dx, (dy * xhat).sum(0), dy.sum(0)
''', PAIR, "r(5, 3), r(1, 3), r(1, 3)"),
    ("an attribute without axes", '''
class Swish:
    def __init__(self):
        self.beta = np.array(0.8)
    def forward(self, x):
        self.x, self.s = x, 1 / (1 + np.exp(-self.beta * x))
        return x * self.s
    def backward(self, dy):
        slope = self.s * (1 - self.s)
        self.dbeta = np.sum(dy * self.x ** 2 * slope)
        return dy * (self.s + self.beta * self.x * slope)
''', "Swish()", "r(2, 3)", "object"),
    # What comes back
    ("names with _grad, an OrderedDict", "from collections import OrderedDict\n" + LINEAR.format(
        returned="OrderedDict(W_grad=dW, b_grad=db, x_grad=dx)"), PAIR, AFFINE),
    ("names with d_", LINEAR.format(returned="{'d_b': db, 'd_W': dW, 'd_x': dx}"), PAIR, AFFINE),
    ("names of the arguments themselves", LINEAR.format(returned="dict(x=dx, W=dW, b=db)"), PAIR, AFFINE),
    ("a dict with one gradient more", LINEAR.format(returned="dict(dx=dx, dW=dW, db=db, dz=dy)"), PAIR,
     AFFINE),
    ("the input's gradient in the middle", LINEAR.format(returned="dW, dx, db"), PAIR, AFFINE),
    ("a list of gradients", LINEAR.format(returned="list((dx, dW, db))"), PAIR, AFFINE),
    ("no gradient for the input, weights in a list", LINEAR.format(returned="[dW, db]"), PAIR, AFFINE),
    ("gradients of an RNN, weights first", RNN.format(act=f"np.tanh({PRE})", slope=TANH_SLOPE, **ALL).replace(
        "return dx, carry, dU, dV, db", "return dU, dV, db, carry, dx"), PAIR,
     f"r(2, 5, 3), r(2, 4), {WEIGHTS}"),
    # What goes in
    ("inputs as a dict", LINEAR.format(returned="dict(dW=dW, db=db, dx=dx)"), PAIR,
     "dict(b=r(2), x=r(4, 3), W=r(3, 2))"),
    ("keyword-only weights", LINEAR.replace("x, W, b):", "x, *, W, b):").format(
        returned="dict(dx=dx, dW=dW, db=db)"), PAIR, "dict(x=r(4, 3), W=r(3, 2), b=r(2))"),
    ("keyword-only weights, no gradient for the input", LINEAR.replace("x, W, b):", "x, *, W, b):").format(
        returned="dict(W=dW, b=db)"), PAIR, "dict(x=r(4, 3), W=r(3, 2), b=r(2))"),
    ("a keyword-only number with a default", '''
def forward(x, W, *, scale=2):
    y = np.sin(scale * x @ W)
    return y, (x, W, scale)

def backward(dy, cache):
    x, W, scale = cache
    dz = dy * np.cos(scale * x @ W) * scale
    return dz @ W.T, x.T @ dz
''', PAIR, "r(2, 3), r(3, 2)"),
    ("a namedtuple of weights", '''
from collections import namedtuple
Weights = namedtuple("Weights", ["W", "b"])

def forward(x, weights):
    y = np.tanh(x @ weights.W + weights.b)
    return y, (x, weights, y)

def backward(dy, cache):
    x, weights, y = cache
    dz = dy * (1 - y ** 2)
    return dz @ weights.W.T, Weights(x.T @ dz, dz.sum(axis=0))
''', PAIR, "r(4, 3), Weights(r(3, 2), r(2))"),
    ("a typed tuple of states", LSTM + '''
from typing import NamedTuple
class State(NamedTuple):
    h: np.ndarray
    c: np.ndarray

def forward(x, state, W, b):
    h, c, cache = cell(x, state.h, state.c, W, b)
    return h * c, (h, c, cache)

def backward(dy, cache):
    h, c, kept = cache
    dx, dh, dc, dW, db = cell_back(dy * c, dy * h, kept)
    return dx, State(dh, dc), dW, db
''', PAIR, "r(2, 3), State(r(2, 4), r(2, 4)), r(7, 16), r(16)"),
    ("a dataclass of weights", '''
from dataclasses import dataclass
@dataclass
class Weights:
    W: np.ndarray
    b: np.ndarray

def forward(x, p):
    y = np.tanh(x @ p.W + p.b)
    return y, (x, p, y)

def backward(dy, cache):
    x, p, y = cache
    dz = dy * (1 - y ** 2)
    return dz @ p.W.T, Weights(W=x.T @ dz, b=dz.sum(axis=0))
''', PAIR, "r(4, 3), Weights(r(3, 2), r(2))"),
    ("a dict of dicts", '''
def forward(x, net):
    h = np.tanh(x @ net["below"]["W"] + net["below"]["b"])
    return h @ net["above"]["W"] + net["above"]["b"], (x, h, net)

def backward(dy, cache):
    x, h, net = cache
    grads = {name: {} for name in net}
    grads["above"]["W"], grads["above"]["b"] = h.T @ dy, dy.sum(0)
    dz = dy @ net["above"]["W"].T * (1 - h ** 2)
    grads["below"]["W"], grads["below"]["b"] = x.T @ dz, dz.sum(0)
    return dz @ net["below"]["W"].T, grads
''', PAIR, "r(4, 3), dict(below=dict(W=r(3, 5), b=r(5)), above=dict(W=r(5, 2), b=r(2)))"),
    ("a list of matrices", '''
def forward(x, Ws):
    hs = [x]
    for W in Ws:
        hs.append(np.tanh(hs[-1] @ W))
    return hs[-1], (hs, Ws)

def backward(dy, cache):
    hs, Ws = cache
    dWs = []
    for W, below, above in zip(Ws[::-1], hs[-2::-1], hs[:0:-1]):
        dy = dy * (1 - above * above)
        dWs.append(below.T @ dy)
        dy = dy @ W.T
    return dy, dWs[::-1]
''', PAIR, "r(2, 3), [r(3, 4), r(4, 4), r(4, 2)]"),
    ("a list of dicts of weights", '''
def forward(x, layers):
    tape = []
    for layer in layers:
        tape.append(x)
        x = np.sin(x @ layer["W"] + layer["b"])
    return x, (tape, layers)

def backward(dy, cache):
    grads = []
    for x, layer in reversed(list(zip(*cache))):
        dy = dy * np.cos(x @ layer["W"] + layer["b"])
        grads.insert(0, dict(W=x.T @ dy, b=dy.sum(axis=0)))
        dy = dy @ layer["W"].T
    return dy, grads
''', PAIR, "r(2, 3), [dict(W=r(3, 4), b=r(4)), dict(W=r(4, 2), b=r(2))]"),
    ("a star for the weights", '''
def forward(x, *weights):
    W, b = weights
    return np.exp(x @ W) + b, (x, W)

def backward(dy, cache):
    x, W = cache
    dz = dy * np.exp(x @ W)
    return (dz @ W.T, x.T @ dz, dy.sum(axis=0))
''', PAIR, "r(2, 3), r(3, 2), r(2)"),
    ("ids, lengths and a table: mean vectors", '''
def forward(ids, lengths, table):
    real = np.arange(ids.shape[1]) < lengths[:, None]
    share = real / lengths[:, None]
    return np.einsum("nt,ntd->nd", share, table[ids]), (ids, share, table.shape)

def backward(dy, cache):
    ids, share, shape = cache
    dtable = np.zeros(shape)
    np.add.at(dtable, ids, share[:, :, None] * dy[:, None, :])
    return dtable
''', PAIR, "np.array([[1, 2, 1], [3, 0, 0]]), np.array([3, 1]), r(4, 2)"),
    ("ids, and a table that serves twice", '''
def forward(ids, E):
    mean = E[ids].mean(axis=1)
    return mean @ E.T, (ids, E, mean)

def backward(dy, cache):
    ids, E, mean = cache
    dE = dy.T @ mean
    np.add.at(dE, ids, (dy @ E / ids.shape[1])[:, None, :].repeat(ids.shape[1], axis=1))
    return {"dE": dE}
''', PAIR, "np.array([[0, 2, 2], [1, 1, 4]]), r(5, 3)"),
    ("None for a mask", '''
def forward(x, W, mask=None):
    y = x @ W
    return y if mask is None else y * mask, (x, W, mask)

def backward(dy, cache):
    x, W, mask = cache
    dz = dy if mask is None else dy * mask
    return dz @ W.T, x.T @ dz
''', PAIR, "r(2, 3), r(3, 2), None"),
    ("a mask of integers, a gradient None for it", '''
def forward(x, mask, W):
    return (x * mask[:, :, None]).sum(axis=1) @ W, (x, mask, W)

def backward(dy, cache):
    x, mask, W = cache
    pooled = (x * mask[:, :, None]).sum(axis=1)
    return (dy @ W.T)[:, None, :] * mask[:, :, None], None, pooled.T @ dy
''', PAIR, "r(2, 3, 4), np.array([[1, 1, 0], [1, 0, 0]]), r(4, 2)"),
    # Other forms of code
    ("functools.partial", '''
from functools import partial

def poly(x, a, power):
    return a * x ** power, (x, a)

def poly_back(dy, cache, power):
    x, a = cache
    return dy * a * power * x ** (power - 1), (dy * x ** power).sum(axis=0)
''', "(partial(poly, power=3), partial(poly_back, power=3))", "r(4, 2), r(2)"),
    ("static methods", '''
class Softmax:
    @staticmethod
    def forward(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True), e / e.sum(axis=-1, keepdims=True)
    @staticmethod
    def backward(dp, p):
        return p * (dp - np.sum(p * dp, axis=-1, keepdims=True))
''', "(Softmax.forward, Softmax.backward)", "r(2, 3, 4)"),
    ("bound methods, the cache in a dict", '''
class Model:
    power = 2
    def predict(self, x, w):
        return np.tanh(x) ** self.power @ w, {"x": x, "w": w}
    def gradients(self, dy, cache):
        t = np.tanh(cache["x"])
        dt = np.multiply.outer(dy, cache["w"])
        return {"dx": dt * self.power * t * (1 - t * t), "dw": dy @ t ** self.power}
model = Model()
''', "(model.predict, model.gradients)", "r(4, 3), r(3)"),
    ("lambdas", '''
mean = (lambda x: (np.mean(x, axis=1), x.shape), lambda d, s: np.repeat(d[:, None] / s[1], s[1], axis=1))
''', "mean", "r(3, 4)"),
    ("attention with a causal mask", '''
def forward(q, k, v):
    T = q.shape[1]
    scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2])
    scores = np.where(np.tri(T, dtype=bool), scores, -1e9)
    p = np.exp(scores - scores.max(axis=2, keepdims=True))
    p /= p.sum(axis=2, keepdims=True)
    return p @ v, (q, k, v, p)

def backward(dy, cache):
    q, k, v, p = cache
    dp = dy @ v.swapaxes(1, 2)
    ds = p * (dp - (dp * p).sum(axis=2, keepdims=True)) / np.sqrt(q.shape[2])
    return ds @ k, ds.swapaxes(1, 2) @ q, p.swapaxes(1, 2) @ dy
''', PAIR, "r(2, 3, 4), r(2, 3, 4), r(2, 3, 5)"),
    ("division by the root of the mean square", '''
def forward(x, gain):
    rms = np.sqrt(np.mean(x ** 2, axis=-1, keepdims=True) + 1e-6)
    return gain * x / rms, (x, gain, rms)

def backward(dy, cache):
    x, gain, rms = cache
    d = dy * gain
    dx = d / rms - x * np.mean(d * x, axis=-1, keepdims=True) / rms ** 3
    return dx, np.sum(dy * x / rms, axis=tuple(range(dy.ndim - 1)))
''', PAIR, "r(2, 3, 4), r(4)"),
    ("a bilinear form", '''
def forward(x, A, y):
    return np.einsum("ni,ij,nj->n", x, A, y), (x, A, y)

def backward(g, cache):
    x, A, y = cache
    return g[:, None] * (y @ A.T), np.einsum("n,ni,nj->ij", g, x, y), g[:, None] * (x @ A)
''', PAIR, "r(4, 3), r(3, 2), r(4, 2)"),
    ("sums that run, in place on a copy", '''
def forward(x, decay):
    y = x.copy()
    for t in range(1, len(y)):
        y[t] += decay * y[t - 1]
    return y, (y, decay)

def backward(dy, cache):
    y, decay = cache
    g = dy.copy()
    for t in range(len(g) - 1, 0, -1):
        g[t - 1] += decay * g[t]
    return g, (g[1:] * y[:-1]).sum(axis=0)
''', PAIR, "r(5, 2), np.array([0.5, -0.3])"),
    ("gelu by its formula with tanh", '''
import math
K = math.sqrt(2 / math.pi)

def forward(x):
    t = np.tanh(K * (x + 0.044715 * x ** 3))
    return x * (1 + t) / 2, (x, t)

def backward(dy, cache):
    x, t = cache
    return dy * ((1 + t) / 2 + x / 2 * (1 - t * t) * K * (1 + 3 * 0.044715 * x * x))
''', PAIR, "3 * r(3, 4)"),
    # Steps and several outputs
    ("a list of steps, the last state is put out", '''
def forward(xs, A, B):
    h, hs = np.zeros((2, 3)), []
    for x in xs:
        hs.append(h)
        h = np.tanh(x @ A + h @ B)
    return h, (xs, hs, h, A, B)

def backward(dh, cache):
    xs, hs, h, A, B = cache
    dxs, dA, dB, after = [], np.zeros_like(A), np.zeros_like(B), h
    for x, before in zip(xs[::-1], hs[::-1]):
        dz = dh * (1 - after ** 2)
        dxs.append(dz @ A.T)
        dA += x.T @ dz
        dB += before.T @ dz
        dh, after = dz @ B.T, before
    return dxs[::-1], dA, dB
''', PAIR, "[r(2, 2), r(2, 2), r(2, 2)], r(2, 3), r(3, 3)"),
    ("sequences of different lengths in a list", '''
def forward(sequences, W):
    means = np.array([s.mean(axis=0) for s in sequences])
    return means @ W, (sequences, means, W)

def backward(dy, cache):
    sequences, means, W = cache
    back = dy @ W.T
    return [np.tile(row / len(s), (len(s), 1)) for row, s in zip(back, sequences)], means.T @ dy
''', PAIR, "[r(3, 2), r(1, 2), r(4, 2)], r(2, 3)"),
    ("an LSTM over a list of steps, outputs in a list", LSTM + '''
def forward(xs, h, c, W, b):
    hs, tape = [], []
    for x in xs:
        h, c, kept = cell(x, h, c, W, b)
        hs.append(h)
        tape.append(kept)
    return hs, tape

def backward(dhs, tape):
    dh, dc, dxs, dW, db = 0, 0, [], 0, 0
    for grad, kept in zip(reversed(dhs), reversed(tape)):
        dx, dh, dc, gW, gb = cell_back(grad + dh, dc, kept)
        dxs, dW, db = [dx, *dxs], dW + gW, db + gb
    return dxs, dh, dc, dW, db
''', PAIR, "[r(2, 3), r(2, 3), r(2, 3)], r(2, 2), r(2, 2), r(5, 8), r(8)"),
    ("an LSTM's step, h and c are put out", LSTM, "(cell, cell_back)",
     "r(2, 3), r(2, 4), r(2, 4), r(7, 16), r(16)", "pair", 2),
    ("all states, and the last once more", RNN.format(
        act=f"np.tanh({PRE})", slope=TANH_SLOPE, **ALL | {
            "out": "np.stack(hs[1:], axis=1), hs[-1]", "given": "dh, dlast", "first": "dlast"}), PAIR,
     f"r(2, 3, 3), r(2, 4), {WEIGHTS}", "pair", 2),
    ("mean and log variance from two heads", '''
def forward(x, V, U):
    return x @ V, np.tanh(x @ U), (x, V, U)

def backward(dmean, dlogvar, cache):
    x, V, U = cache
    ds = dlogvar * (1 - np.tanh(x @ U) ** 2)
    return dict(dV=x.T @ dmean, dU=x.T @ ds, dx=dmean @ V.T + ds @ U.T)
''', PAIR, "r(3, 4), r(4, 2), r(4, 2)", "pair", 2),
    ("three outputs, one of them a number", '''
def forward(x):
    return (x ** 2).sum(axis=0), x.sum(axis=1), np.sin(x).sum(), x

def backward(da, db, dc, x):
    return 2 * x * da + db[:, None] + dc * np.cos(x)
''', PAIR, "r(3, 4)", "pair", 3),
    # Losses
    ("cross-entropy over time, -1 is padding", '''
def forward(scores, W):
    labels = np.array([[1, 0, -1], [2, -1, -1]])
    z = scores @ W
    logp = z - np.log(np.exp(z).sum(axis=2, keepdims=True))
    n, t = np.nonzero(labels >= 0)
    return -logp[n, t, labels[n, t]].sum() / len(n), (scores, W, np.exp(logp), labels)

def backward(cache):
    scores, W, p, labels = cache
    real = labels >= 0
    d = (p - np.eye(3)[labels]) * real[:, :, None] / real.sum()
    return d @ W.T, np.einsum("ntd,ntk->dk", scores, d)
''', PAIR, "r(2, 3, 4), r(4, 3)", "loss"),
    ("squared error, both sides have a gradient", '''
def forward(y, target):
    diff = y - target
    return (diff ** 2).mean(), diff

def backward(diff):
    return 2 * diff / diff.size, -2 * diff / diff.size
''', PAIR, "r(3, 2), r(3, 2)", "loss"),
    ("logistic loss, labels a list of integers", '''
def forward(z, labels):
    y = np.asarray(labels)
    return np.sum(np.logaddexp(0, z) - y * z), (z, y)

def backward(cache):
    z, y = cache
    return 1 / (1 + np.exp(-z)) - y
''', PAIR, "r(4), [0, 1, 1, 0]", "loss"),
    ("divergence of two normal distributions", '''
def forward(mu, logvar):
    return 0.5 * np.sum(np.exp(logvar) + mu ** 2 - 1 - logvar) / len(mu), (mu, logvar)

def backward(cache):
    mu, logvar = cache
    return {"dmu": mu / len(mu), "dlogvar": 0.5 * (np.exp(logvar) - 1) / len(mu)}
''', PAIR, "r(3, 2), r(3, 2)", "loss"),
    ("one minus the cosine", '''
def forward(u, v):
    a, b = np.linalg.norm(u), np.linalg.norm(v)
    return 1 - u @ v / (a * b), (u, v, a, b)

def backward(cache):
    u, v, a, b = cache
    cos = u @ v / (a * b)
    return cos * u / a ** 2 - v / (a * b), cos * v / b ** 2 - u / (a * b)
''', PAIR, "r(4), r(4)", "loss"),
    ("a loss as an object, backward without arguments", '''
class SquaredError:
    def forward(self, y):
        self.diff = y - np.arange(6).reshape(2, 3)
        return np.sum(self.diff ** 2) / 2
    def backward(self):
        return self.diff
''', "SquaredError()", "r(2, 3)", "object", 0),
    # Objects and closures
    ("an object that is called", dense(PLAIN, call="__call__"), "Dense()", "r(2, 3)", "object"),
    ("gradients that add up, zeros at first", dense(
        PLUS, "self.dW, self.db = np.zeros((D, H)), np.zeros(H)"), "Dense()", "r(2, 3)", "object"),
    ("lists params and grads", dense(
        "self.grads[0][...] += self.x.T @ dz\nself.grads[1][...] += dz.sum(0)\nreturn dz @ self.W.T",
        "self.params = [self.W, self.b]\nself.grads = [np.zeros_like(p) for p in self.params]"), "Dense()",
     "r(2, 3)", "object"),
    ("an update with the object's own rate", dense(
        "dx = dz @ self.W.T\nself.W -= self.lr * (self.x.T @ dz)\nself.b -= self.lr * dz.sum(0)\nreturn dx",
        "self.lr = 0.1"), "Dense()", "r(2, 3)", "object"),
    ("an update that makes new arrays", dense(
        "dx = dz.dot(self.W.T)\nself.W = self.W - 0.1 * self.x.T.dot(dz)\n"
        "self.b = self.b - 0.1 * dz.sum(axis=0)\nreturn dx"), "Dense()", "r(2, 3)", "object"),
    ("a subclass of a layer of its own", '''
class Base:
    def forward(self, x):
        self.seen = x
        return self.compute(x)
    def backward(self, dy):
        raise NotImplementedError
''' + dense(PLAIN, call="compute", base="(Base)").replace("self.x = x", "self.x = self.seen"), "Dense()",
     "r(2, 3)", "object"),
    ("a net of two layers", NET, "Net()", "r(2, 3)", "object"),
    ("dropout with a generator of its own", '''
class Dropout:
    def __init__(self, keep):
        self.keep, self.rng = keep, np.random.default_rng(4)
    def forward(self, x):
        self.mask = (self.rng.random(x.shape) < self.keep) / self.keep
        return self.mask * np.sin(x)
    def backward(self, dy):
        return dy * self.mask * np.cos(self.last)
'''.replace("self.mask = (", "self.last = x\n        self.mask = ("), "Dropout(0.5)", "r(4, 5)", "object"),
    ("a module with gain and shift", '''
class Affine(ml.Module):
    def __init__(self, size):
        super().__init__()
        self.add_param("gain", np.linspace(0.5, 1.5, size))
        self.add_param("shift", np.zeros(size))
    def forward(self, x):
        self.push(x)
        return self.params["gain"] * x ** 2 + self.params["shift"]
    def backward(self, dy):
        x = self.pop()
        axes = tuple(range(x.ndim - 1))
        self.grads["gain"] += (dy * x ** 2).sum(axis=axes)
        self.grads["shift"] += dy.sum(axis=axes)
        return 2 * dy * self.params["gain"] * x
''', "Affine(4)", "r(2, 3, 4)", "object"),
    ("a closure that returns a tuple", '''
def gate(a, b):
    s = 1 / (1 + np.exp(-a))
    def backward(dy):
        return dy * b * s * (1 - s), dy * s
    return s * b, backward
''', "gate", "r(3, 2), r(3, 2)", "closure"),
    ("closures of two layers, composed", '''
def dense(x, W):
    return x @ W, lambda dy: (dy @ W.T, x.T @ dy)

def tanh(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y ** 2)

def net(x, V, W):
    a, back_a = dense(x, V)
    h, back_h = tanh(a)
    y, back_y = dense(h, W)
    def back(dy):
        dh, dW = back_y(dy)
        dx, dV = back_a(back_h(dh))
        return dx, dV, dW
    return y, back
''', "net", "r(2, 3), r(3, 4), r(4, 2)", "closure"),
))

STEP = '''
def forward(x, W, b):
    y = act(x @ W + b)
    return y, (x, W, y)

def backward(dy, cache):
    x, W, y = cache
    dz = dy * slope(y)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)
'''
ACT = HEAD + "def act(z):\n    return np.tanh(z)\ndef slope(y):\n    return 1 - y ** 2\n"
ARRAYS = " --array x=4,3 --array W=3,2 --array b=2"
WHOLE = ACT + STEP
NORMAL = HEAD + "r = np.random.default_rng(1).normal\n"
SIZED = NORMAL + dense(PLAIN).replace("r(D, H), r(H)", "r(size=(D, H)), r(size=H)")
MAIN = '''
if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    print(parser.parse_args())
'''
EMBED = NORMAL + '''
class Lookup:
    def __init__(self, V, D):
        self.E = r(size=(V, D))
    def forward(self, tokens):
        self.tokens = tokens
        return self.E[tokens]
    def backward(self, dy):
        self.dE = np.zeros_like(self.E)
        np.add.at(self.dE, self.tokens, dy)
'''
NORM = HEAD + '''
class BatchNorm:
    def __init__(self, D=3):
        self.gain, self.shift = np.linspace(1, 2, D), np.zeros(D)
        self.running_mean, self.running_var = np.zeros(D), np.ones(D)
    def forward(self, x):
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.running_var = 0.9 * self.running_var + 0.1 * var
        self.std = np.sqrt(var + 1e-3)
        self.xhat = (x - mean) / self.std
        return self.gain * self.xhat + self.shift
    def backward(self, dy):
        self.dgain, self.dshift = (dy * self.xhat).sum(axis=0), dy.sum(axis=0)
        d = dy * self.gain
        return (d - d.mean(axis=0) - self.xhat * (d * self.xhat).mean(axis=0)) / self.std
'''
LOSS = HEAD + '''
LABELS = np.array([2, 0, 1])

def loss(scores):
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(3), LABELS]).mean(), p

def loss_gradient(p):
    d = p.copy()
    d[np.arange(3), LABELS] -= 1
    return d / 3
'''
RELU = WHOLE.replace("np.tanh(z)", "np.maximum(z, 0)").replace("1 - y ** 2", "y > 0")


def package(line: str, program: str = "homework/net.py", acts: str = "homework/acts.py") -> dict[str, str]:
    """Return a package: a program that imports act and slope by a line, and the module with both."""
    folders = sorted({str(folder) for name in (program, acts) for folder in Path(name).parents} - {"."})
    return {program: f"{line}\n{STEP}", acts: ACT, **{f"{name}/__init__.py": "" for name in folders}}


def notebook(*cells: str) -> str:
    made = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
            for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made})


TARGET = "homework/net.py:forward,backward"
COMMANDS = tuple(Command(*row) for row in (
    ("a relative import with a star", package("from .acts import *"), TARGET + ARRAYS, PAIR, AFFINE),
    ("a relative import of two names, renamed", package(
        "from .acts import act as activation, slope\nact = activation"), TARGET + ARRAYS, PAIR, AFFINE),
    ("a relative import from a package beside", package("from ..tools.acts import act, slope",
                                                        "homework/week2/net.py", "homework/tools/acts.py"),
     "homework/week2/net.py:forward,backward" + ARRAYS, PAIR, AFFINE),
    ("a package's __init__ that hands names on", package("from . import act, slope") | {
        "homework/__init__.py": "from .acts import act, slope\n"}, TARGET + ARRAYS, PAIR, AFFINE),
    ("a relative import inside the function", package("def act(z):\n    from .acts import act as tanh\n"
                                                      "    return tanh(z)\nfrom .acts import slope"),
     TARGET + ARRAYS, PAIR, AFFINE),
    ("an import of the module under a name, PYTHONPATH set", package(
        "import homework.acts as A\nact, slope = A.act, A.slope"), TARGET + ARRAYS, PAIR, AFFINE, "pair",
     True),
    ("a folder whose name is no name of Python", {"week-3/net.py": "from acts import act, slope\n" + STEP,
                                                  "week-3/acts.py": ACT},
     "week-3/net.py:forward,backward" + ARRAYS, PAIR, AFFINE),
    ("a main part with argparse", {"net.py": WHOLE + MAIN}, "net.py:forward,backward" + ARRAYS, PAIR, AFFINE),
    ("axes of length 1", {"net.py": WHOLE}, "net.py:forward,backward --shape 1,1 --array W=1,1 --array b=1",
     PAIR, "r(1, 1), r(1, 1), r(1)"),
    ("another seed, differences only", {"net.py": WHOLE},
     "net.py:forward,backward --seed 5 --method finite" + ARRAYS, PAIR, AFFINE),
    ("relu, sizes in another order", {"net.py": RELU},
     "net.py:forward,backward --array b=2 --array W=3,2 --array x=4,3", PAIR, AFFINE),
    ("keyword-only weights", {"net.py": WHOLE.replace("x, W, b):", "x, *, W, b):").replace(
        "return dz @ W.T, x.T @ dz, dz.sum(axis=0)",
        "return dict(dx=dz @ W.T, dW=x.T @ dz, db=dz.sum(axis=0))")},
     "net.py:forward,backward" + ARRAYS, PAIR, "dict(x=r(4, 3), W=r(3, 2), b=r(2))"),
    ("a notebook with tests below", {"net.py": WHOLE, "net.ipynb": notebook(
        "%matplotlib inline\n" + ACT, STEP,
        "y, cache = forward(np.ones((1, 2)), np.ones((2, 1)), np.ones(1))",
        "y")}, "net.ipynb:forward,backward" + ARRAYS, PAIR, AFFINE),
    ("a class and its sizes", {"layer.py": SIZED}, "layer.py:Dense 3 4 --shape 5,3", "Dense(3, 4)", "q(5, 3)",
     "object"),
    ("a function that makes a layer", {"layer.py": SIZED + "\ndef make():\n    return Dense(2, 3)\n"},
     "layer.py:make --shape 4,2", "make()", "q(4, 2)", "object"),
    ("an embedding as a class", {"layer.py": EMBED}, "layer.py:Lookup 7 3 --shape 2,4 --tokens 7",
     "Lookup(7, 3)", "np.array([[0, 3, 3, 1], [6, 0, 1, 3]])", "object"),
    ("running means without gradients", {"norm.py": NORM},
     "norm.py:BatchNorm 3 --shape 6,3 --allow-unused running_mean --allow-unused running_var", "BatchNorm(3)",
     "q(6, 3)", "object"),
    ("a loss with its labels in the module", {"loss.py": LOSS}, "loss.py:loss,loss_gradient --shape 3,4",
     "(loss, loss_gradient)", "r(3, 4)", "loss"),
))
