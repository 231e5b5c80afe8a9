"""Right programs for gradcheck, which may raise no alarm: kinks, axes of length 1, many forms of code.

``CALLS``: what Python hands to ``ml.gradcheck(target, inputs)``, as expressions of the program's own names.
``COMMANDS``: files, and what follows ``python -m minilstm gradcheck`` in their folder; ``target`` and
``inputs`` serve the check without minilstm alone. An entry "no gradient ..." has none for its first input.
"""

from __future__ import annotations

from typing import NamedTuple


class Call(NamedTuple):
    """``how``: "pair", "loss" (backward(cache)), "closure" or "object"; ``outputs``: before the cache."""

    about: str
    code: str
    target: str
    inputs: str
    how: str = "pair"
    outputs: int = 1


class Command(NamedTuple):
    """``files``: the first is the program; ``PYTHONPATH`` is left alone, or set to the folder if ``path``."""

    about: str
    files: dict[str, str]
    arguments: str
    target: str
    inputs: str
    how: str = "pair"
    path: bool = False


ONE = "def f(x):\n    return {y}, x\ndef b(dy, x):\n    return dy * {slope}\n"
DENSE = '''
def f(x, W, b):
    return np.tanh(x @ W + b), (x, W, np.tanh(x @ W + b))
def g(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y * y)
    dx, dW, db = dz @ W.T, x.T @ dz, dz.sum(0)
    return {returned}
'''
RELU = DENSE.replace("np.tanh(x @ W + b)", "np.maximum(x @ W + b, 0)").replace("(1 - y * y)", "(y > 0)")
NORMAL = "r(2, 3), r(3, 4), r(4)"
LAYER = '''
class Dense:
    def __init__(self, D=3, H=4):
        self.W, self.b = r(D, H), r(H)
    def forward(self, x):
        self.x, self.y = x, np.tanh(x @ self.W + self.b)
        return self.y
    def backward(self, dy{more}):
        dz = dy * (1 - self.y ** 2)
        dx = dz @ self.W.T
        dW, db = self.x.T @ dz, dz.sum(axis=0)
        {last}
'''
STEPS = '''
def f(xs, Wx, Wh, b):
    hs = [np.zeros({state})]
    for x in {each}:
        hs.append(np.tanh({Wx} + {Wh} + b))
    return {out}, (xs, hs, Wx, Wh, b)
'''
ROWS = STEPS.format(state="(2, 4)", each="xs", Wx="x @ Wx", Wh="hs[-1] @ Wh", out="hs[1:]") + '''
def g(dhs, cache):
    xs, hs, Wx, Wh, b = cache
    dxs, dWx, dWh, db, carry = [None] * len(xs), 0 * Wx, 0 * Wh, 0 * b, 0
    for t in range(len(xs) - 1, -1, -1):
        dz = (dhs[t] + carry) * (1 - hs[t + 1] ** 2)
        dxs[t], carry = dz @ Wx.T, dz @ Wh.T
        dWx, dWh, db = dWx + xs[t].T @ dz, dWh + hs[t].T @ dz, db + dz.sum(0)
    return {returned}
'''
COLUMNS = STEPS.format(state="(4, 1)", each="xs", Wx="Wx @ x", Wh="Wh @ hs[-1]", out="hs[1:]") + '''
def g(dhs, cache):
    xs, hs, Wx, Wh, b = cache
    dxs, dWx, dWh, db, carry = [], np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros_like(b)
    for t in reversed(range(len(xs))):
        dz = (1 - hs[t + 1] * hs[t + 1]) * (dhs[t] + carry)
        dWx += dz @ xs[t].T
        dWh += dz @ hs[t].T
        db += dz
        dxs.insert(0, Wx.T @ dz)
        carry = Wh.T @ dz
    return dxs, dWx, dWh, db
'''
RELU_RNN = ROWS.format(returned="dxs, dWx, dWh, db")
for _old, _new in (("np.tanh(", "np.maximum("), ("+ b)", "+ b, 0)"),
                   ("(1 - hs[t + 1] ** 2)", "(hs[t + 1] > 0)")):
    RELU_RNN = RELU_RNN.replace(_old, _new)
TWO = '''
def f(x, first, second):
    h = np.tanh(x @ first["W"] + first["b"])
    return h @ second["W"] + second["b"], (x, h, first, second)
def g(dy, cache):
    x, h, first, second = cache
    dz = dy @ second["W"].T * (1 - h * h)
    return dz @ first["W"].T, dict(W=x.T @ dz, b=dz.sum(0)), dict(W=h.T @ dy, b=dy.sum(0))
'''
LOOKUP = '''
def f({ids}, {table}):
    return {table}[{ids}], ({ids}, {table}.shape)
def g(dy, cache):
    ids, shape = cache
    grad = np.zeros(shape)
    np.add.at(grad, ids, dy)
    return {returned}
'''
SCALE = '''
def f(x, s):
    return np.sin(x) * s, (x, s)
def g(dy, cache):
    x, s = cache
    return dy * np.cos(x) * s, {ds}
'''
UPDATE = "lr = 0.1\n        self.W -= lr * dW\n        self.b -= lr * db\n        return dx"
GRADS = "self.grads = {'W': dW, 'b': db}\n        return dx"
KEEP = "self.dW, self.db = dW, db\n        "
TWO_KINKS = '''
def f(x, V, W):
    h = np.maximum(x @ V, 0)
    return np.maximum(h @ W, 0), (x, V, W, h)
def g(dy, cache):
    x, V, W, h = cache
    da = dy * (h @ W > 0)
    dh = da @ W.T * (h > 0)
    return dh @ V.T, x.T @ dh, h.T @ da
'''
ZEROS, ONES = "np.zeros((2, 5, 3))", "np.concatenate([np.zeros((2, 2, 3)), np.ones((2, 2, 3))], axis=1)"
CALLS = tuple(Call(*row) for row in (
    # Kinks
    ("relu, slope 1 at 0", ONE.format(y="np.maximum(x, 0)", slope="(x >= 0)"), "(f, b)",
     "np.array([0., 1, -2])"),
    ("relu, slope 1/2 at 0", ONE.format(y="np.maximum(x, 0)", slope="np.heaviside(x, 0.5)"), "(f, b)",
     "np.array([[0., 1, -2, 0]])"),
    ("relu by a product", ONE.format(y="x * (x > 0)", slope="(x > 0)"), "(f, b)", "np.array([0., 0.5, -1])"),
    ("leaky relu at 0", ONE.format(y="np.where(x > 0, x, 0.1 * x)", slope="np.where(x > 0, 1, 0.1)"),
     "(f, b)",
     "np.array([0., 1, -2, 0])"),
    ("clip at both ends", ONE.format(y="np.clip(x, -1, 1)", slope="((x > -1) & (x < 1))"), "(f, b)",
     "np.array([-1., 1, 0.3, 5])"),
    ("clip, ends inside", ONE.format(y="np.clip(x, -1, 1)", slope="((x >= -1) & (x <= 1))"), "(f, b)",
     "np.array([-1., 1, 0.3, 5])"),
    ("hard sigmoid at its ends", ONE.format(y="np.clip(0.2 * x + 0.5, 0, 1)",
                                            slope="0.2 * (np.abs(x) < 2.5)"),
     "(f, b)", "np.array([-2.5, 2.5, 0, 9])"),
    ("relu6 at 0 and 6", ONE.format(y="np.minimum(np.maximum(x, 0), 6)", slope="((x > 0) & (x < 6))"),
     "(f, b)",
     "np.array([0., 6, 3, 7, -1])"),
    ("absolute value at 0", ONE.format(y="np.abs(x)", slope="np.sign(x)"), "(f, b)", "np.array([0., 1, -2])"),
    ("|x| as relu(x) + relu(-x)", ONE.format(y="np.maximum(x, 0) + np.maximum(-x, 0)",
                                             slope="((x > 0) * 1.0 - (x < 0))"),
     "(f, b)", "np.array([0., 1, -2])"),
    ("elu with α = 2", ONE.format(y="np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0)))",
                                  slope="np.where(x > 0, 1, 2 * np.exp(np.minimum(x, 0)))"), "(f, b)",
     "np.array([0., 1, -2])"),
    ("soft threshold at ±1", ONE.format(y="np.sign(x) * np.maximum(np.abs(x) - 1, 0)",
                                        slope="(np.abs(x) > 1)"),
     "(f, b)", "np.array([1., -1, 0.5, 2])"),
    ("prelu with its slope a at 0", '''
def f(x, a):
    return np.where(x > 0, x, a * x), (x, a)
def g(dy, cache):
    x, a = cache
    return dy * np.where(x > 0, 1, a), (dy * np.minimum(x, 0)).sum(axis=0)
''', "(f, g)", "np.array([[0., 1, -1], [2, 0, -3]]), np.array([0.1, 0.2, 0.3])"),
    ("minimum of two, with ties", '''
def f(x, y):
    return np.minimum(x, y), (x, y)
def g(d, cache):
    x, y = cache
    return d * (x <= y), d * (x > y)
''', "(f, g)", "np.array([1., 2, 3]), np.array([1., 1, 4])"),
    ("maximum over an axis, the first of equals", '''
def f(x):
    return x.max(axis=1), x
def g(dy, x):
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(axis=1)] = dy
    return dx
''', "(f, g)", "np.array([[1., 1, 0], [0, 2, 2], [3, 3, 3]])"),
    ("maximum over time, shared among equals", '''
def f(x):
    return x.max(axis=1, keepdims=True), x
def g(dy, x):
    top = x == x.max(axis=1, keepdims=True)
    return dy * top / top.sum(axis=1, keepdims=True)
''', "(f, g)", "np.array([[[1., 0], [1, 2], [0, 2]]])"),
    ("hinge loss at the margin", '''
def f(s):
    y = np.array([1, -1, 1, -1])
    return np.maximum(0, 1 - y * s).mean(), (y, s)
def g(cache):
    y, s = cache
    return -y * (1 - y * s > 0) / len(s)
''', "(f, g)", "np.array([1., -1, 0.2, 3])", "loss"),
    ("quantile loss at residual 0", '''
def f(p):
    e = np.array([1., 2, 3]) - p
    return np.maximum(0.9 * e, -0.1 * e).sum(), e
def g(e):
    return np.where(e > 0, -0.9, 0.1)
''', "(f, g)", "np.array([1., 2.5, 0])", "loss"),
    ("penalty of absolute values, weights at 0", '''
def f(x, W):
    return ((x @ W) ** 2).sum() / 2 + 0.1 * np.abs(W).sum(), (x, W)
def g(cache):
    x, W = cache
    return x @ W @ W.T, x.T @ x @ W + 0.1 * np.sign(W)
''', "(f, g)", "r(4, 2), np.array([[0., 1], [-1, 0]])", "loss"),
    ("relu layer, all of x and b zero", RELU.format(returned="dx, dW, db"), "(f, g)",
     "np.zeros((2, 3)), r(3, 4), np.zeros(4)"),
    ("relu layer, one row zero", RELU.format(returned="dx, dW, db"), "(f, g)",
     "np.array([[0., 0, 0], [1, 2, -1]]), r(3, 4), np.zeros(4)"),
    ("two relu layers on zeros", TWO_KINKS, "(f, g)", "np.zeros((2, 3)), r(3, 4), r(4, 2)"),
    ("relu RNN, first steps zero", RELU_RNN, "(f, g)",
     "[np.zeros((2, 3)), np.zeros((2, 3)), r(2, 3)], r(3, 4), r(4, 4), "
     "np.zeros(4)", "pair"),
    ("our relu RNN on zeros", "", "ml.RNN(3, 4, rng=1, nonlinearity='relu', dtype=np.float64)", ZEROS,
     "object"),
    ("our relu RNN, last state, zeros then ones", "",
     "ml.RNN(3, 4, rng=2, nonlinearity='relu', return_sequences=False, dtype=np.float64)", ONES,
     "object"),
    ("our two-layer relu RNN on zeros", "", "ml.RNN(3, 4, 2, rng=2, nonlinearity='relu', dtype=np.float64)",
     ZEROS,
     "object"),
    ("our Linear and ReLU on zeros", "", "ml.Sequential(ml.Linear(3, 4, rng=0, dtype=np.float64), ml.ReLU(), "
     "ml.Linear(4, 2, rng=1, dtype=np.float64))", "np.zeros((2, 3))", "object"),
    ("our ReLU at 0", "", "ml.ReLU()", "np.array([[0., 1, -1]])", "object"),
    ("our maximum over time on zeros", "", "ml.PoolOverTime('max')", ZEROS, "object"),
    ("our LSTM on zeros", "", "ml.LSTM(3, 4, rng=0, dtype=np.float64)", ZEROS, "object"),
    ("our bidirectional GRU on zeros", "", "ml.GRU(3, 4, rng=0, bidirectional=True, dtype=np.float64)", ZEROS,
     "object"),
    # Axes of length 1, arrays without axes
    ("all axes of length 1", DENSE.format(returned="dx, dW, db"), "(f, g)", "r(1, 1), r(1, 1), r(1)"),
    ("db with an axis kept", DENSE.format(returned="dx, dW, dz.sum(axis=0, keepdims=True)"), "(f, g)",
     NORMAL),
    ("dx (3, 1) for x (3,)", '''
def f(x, W):
    return np.tanh(W @ x), (x, W)
def g(dy, cache):
    x, W = cache
    dz = (dy * (1 - np.tanh(W @ x) ** 2)).reshape(-1, 1)
    return W.T @ dz, dz @ x.reshape(1, -1)
''', "(f, g)", "r(3), r(4, 3)"),
    ("db (4, 1) for b (4,)", '''
class Cell:
    def __init__(self):
        self.W, self.b = r(4, 3), r(4)
    def forward(self, x):
        self.x, self.y = x, np.tanh(self.W @ x + self.b.reshape(4, 1))
        return self.y
    def backward(self, dy):
        dz = dy * (1 - self.y ** 2)
        self.dW, self.db = dz @ self.x.T, np.sum(dz, axis=1, keepdims=True)
        return self.W.T @ dz
''', "Cell()", "r(3, 5)", "object"),
    ("our LSTM with one of everything", "", "ml.LSTM(1, 1, rng=0, dtype=np.float64)", "r(1, 1, 1)",
     "object"),
    ("a parameter without axes", SCALE.format(ds="(dy * np.sin(x)).sum()"), "(f, g)",
     "r(2, 3), np.array(1.5)"),
    ("a parameter that is a float", SCALE.format(ds="float((dy * np.sin(x)).sum())"), "(f, g)",
     "r(2, 3), 1.5"),
    ("a gradient (1,) of a parameter without axes", SCALE.format(ds="np.array([(dy * np.sin(x)).sum()])"),
     "(f, g)",
     "r(2, 3), np.array(0.5)"),
    ("a layer with a parameter without axes", '''
class Scale(ml.Module):
    def __init__(self):
        super().__init__()
        self.add_param("s", np.array(2.0))
    def forward(self, x):
        self.push(x)
        return np.sin(x) * self.params["s"]
    def backward(self, dy):
        x = self.pop()
        self.grads["s"] += (dy * np.sin(x)).sum()
        return dy * np.cos(x) * self.params["s"]
''', "Scale()", "r(2, 3)", "object"),
    # What comes back
    ("gradients in another order", DENSE.format(returned="db, dW, dx"), "(f, g)", NORMAL),
    ("the input's gradient last", DENSE.format(returned="[dW, db, dx]"), "(f, g)", NORMAL),
    ("a dict in another order", DENSE.format(returned="{'b': db, 'W': dW, 'x': dx}"), "(f, g)", NORMAL),
    ("a dict with grad_ before the names", DENSE.format(returned="dict(grad_x=dx, grad_W=dW, grad_b=db)"),
     "(f, g)", NORMAL),
    ("the input's gradient and a dict", DENSE.format(returned="dx, {'dW': dW, 'db': db}"), "(f, g)", NORMAL),
    ("a dict and the input's gradient", DENSE.format(returned="{'dW': dW, 'db': db}, dx"), "(f, g)", NORMAL),
    ("a tuple in a tuple", DENSE.format(returned="dx, (dW, db)"), "(f, g)", NORMAL),
    ("a namedtuple", "from collections import namedtuple\nGrads = namedtuple('Grads', 'dW db dx')\n"
     + DENSE.format(returned="Grads(dW, db, dx)"), "(f, g)", NORMAL),
    ("no gradient for the input", DENSE.format(returned="dW, db"), "(f, g)", NORMAL),
    ("no gradient for the input, None", DENSE.format(returned="None, dW, db"), "(f, g)", NORMAL),
    ("a class with no gradient for the input", LAYER.format(more="", last="self.dW, self.db = dW, db"),
     "Dense()", "r(2, 3)", "object"),
    ("a class with a dict of gradients", LAYER.format(more="", last=GRADS), "Dense()", "r(2, 3)", "object"),
    ("an update inside backward", LAYER.format(more="", last=UPDATE), "Dense()", "r(2, 3)", "object"),
    ("an update, and gradients kept", LAYER.format(more="", last=KEEP + UPDATE), "Dense()", "r(2, 3)",
     "object"),
    ("an update with a rate as argument", LAYER.format(more=", lr=0.1",
                                                       last=UPDATE.partition("\n        ")[2]), "Dense()",
     "r(2, 3)", "object"),
    ("two dicts with equal keys", TWO, "(f, g)", "r(2, 3), dict(W=r(3, 4), b=r(4)), dict(W=r(4, 2), b=r(2))"),
    ("two dicts with equal keys and shapes", TWO, "(f, g)",
     "r(2, 3), dict(W=r(3, 3), b=r(3)), dict(W=r(3, 3), b=r(3))"),
    # Steps in lists
    ("a list of steps, rows", ROWS.format(returned="dxs, dWx, dWh, db"), "(f, g)",
     "[r(2, 3), r(2, 3), r(2, 3)], r(3, 4), "
     "r(4, 4), r(4)"),
    ("a tuple of steps, columns", COLUMNS, "(f, g)",
     "(r(3, 1), r(3, 1), r(3, 1)), r(4, 3), r(4, 4), r(4, 1)"),
    ("one step in a list", COLUMNS, "(f, g)", "[r(3, 1)], r(4, 3), r(4, 4), r(4, 1)"),
    ("a list of steps, no gradient for them", ROWS.format(returned="dict(dWx=dWx, dWh=dWh, db=db)"), "(f, g)",
     "[r(2, 3), r(2, 3)], r(3, 4), r(4, 4), r(4)"),
    # Token ids, and what rounds or draws
    ("token ids as words", LOOKUP.format(ids="words", table="vectors", returned="grad"), "(f, g)",
     "np.array([[1, 4, 1], [0, 0, 2]]), r(5, 3)"),
    ("token ids as nested lists", LOOKUP.format(ids="sentences", table="E", returned="None, grad"), "(f, g)",
     "[[1, 4, 1], [0, 0, 2]], r(5, 3)"),
    ("softmax and labels in the loss", '''
def f(scores, labels):
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(p)), labels]).mean(), (p, labels)
def g(cache):
    p, labels = cache
    return (p - np.eye(p.shape[1])[labels]) / len(p)
''', "(f, g)", "r(3, 4), np.array([0, 3, 1])", "loss"),
    ("a buffer of floats in the forward", '''
def f(x, W):
    out = np.zeros((len(x), W.shape[1]))
    for n in range(len(x)):
        out[n] = np.tanh(x[n] @ W)
    return out, (x, W, out)
def g(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y ** 2)
    return dz @ W.T, x.T @ dz
''', "(f, g)", "r(2, 3), r(3, 4)"),
    ("dropout with its own seed", '''
def f(x):
    keep = np.random.default_rng(3).random(x.shape) < 0.7
    return np.tanh(x) * keep / 0.7, (x, keep)
def g(dy, cache):
    x, keep = cache
    return dy * keep / 0.7 * (1 - np.tanh(x) ** 2)
''', "(f, g)", "r(4, 5)"),
    ("math functions for one number", '''
import math
def f(x):
    return math.sin(float(x)) * x, x
def g(dy, x):
    return dy * (math.sin(float(x)) + x * math.cos(float(x)))
''', "(f, g)", "np.array(0.7)"),
    ("a function that returns its backward", '''
def f(x, W):
    h = np.tanh(x @ W)
    def back(dh):
        dz = dh * (1 - h * h)
        return dict(dW=x.T @ dz, dx=dz @ W.T)
    return h, back
''', "f", "r(2, 3), r(3, 4)", "closure"),
    ("layer normalisation", '''
def f(x, gain, shift):
    c = x - x.mean(axis=1, keepdims=True)
    s = np.sqrt((c ** 2).mean(axis=1, keepdims=True) + 1e-5)
    return gain * c / s + shift, (c / s, s, gain)
def g(dy, cache):
    n, s, gain = cache
    d = dy * gain
    dx = (d - d.mean(axis=1, keepdims=True) - n * (d * n).mean(axis=1, keepdims=True)) / s
    return dx, (dy * n).sum(axis=0), dy.sum(axis=0)
''', "(f, g)", "r(3, 5), r(5), r(5)"),
    ("two outputs, one not used later", '''
def f(x, W):
    h = np.tanh(x @ W)
    return h, h.sum(axis=1), (x, W, h)
def g(dh, ds, cache):
    x, W, h = cache
    dz = (dh + ds[:, None]) * (1 - h * h)
    return dz @ W.T, x.T @ dz
''', "(f, g)", "r(2, 3), r(3, 4)", "pair", 2),
))

TANH = "import numpy as np\ntanh = np.tanh\n"
HEAD = "import numpy as np\n"
STEP = '''
def f(x, W):
    y = tanh(x @ W)
    return y, (x, W, y)
def b(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y * y)
    return dz @ W.T, x.T @ dz
'''
NUMPY = HEAD + STEP.replace("tanh(", "np.tanh(")
PAIR, TWO_BY = "(f, b)", "r(2, 3), r(3, 5)"
OTHER = NUMPY.replace("(x, W)", "(signal, mixing)").replace("x @ W)", "signal @ mixing)").replace(
    "(x, W, y)\ndef", "(signal, mixing, y)\ndef")


def course(line: str, name: str = "cell.py") -> dict[str, str]:
    """Return a package with a program in it that imports from another of its modules."""
    return {f"course/{name}": f"{line}\n{STEP}", "course/__init__.py": "", "course/act.py": TANH}


CELL = "course/cell.py:f,b"
COMMANDS = tuple(Command(*row) for row in (
    ("a package imported from the root", course("from course.act import tanh"), CELL, PAIR, TWO_BY),
    ("the same, PYTHONPATH set", course("from course.act import tanh"), CELL, PAIR, TWO_BY, "pair",
     True),
    ("a relative import", course("from .act import tanh"), CELL, PAIR, TWO_BY),
    ("a module of the package", course("from . import act\ntanh = act.tanh"), CELL, PAIR, TWO_BY),
    ("a package in a package, two dots", course("from ..act import tanh", "nets/cell.py") | {
        "course/nets/__init__.py": ""}, "course/nets/cell.py:f,b", PAIR, TWO_BY),
    ("a folder without __init__.py", {"course/cell.py": "from course.act import tanh\n" + STEP,
                                      "course/act.py": TANH}, CELL, PAIR, TWO_BY),
    ("a helper beside the file", {"cell.py": "from act import tanh\n" + STEP, "act.py": TANH}, "cell.py:f,b",
     PAIR, TWO_BY),
    ("shapes of both arrays", {"a.py": NUMPY}, "a.py:f,b --array x=2,3 --array W=3,5", PAIR, TWO_BY),
    ("arrays of any name", {"a.py": OTHER}, "a.py:f,b --array signal=2,3 --array mixing=3,5", PAIR, TWO_BY),
    ("the first by --shape, the second by --array", {"a.py": OTHER},
     "a.py:f,b --shape 2,3 --array mixing=3,5", PAIR, TWO_BY),
    ("no gradient for the input", {"a.py": NUMPY.replace("return dz @ W.T, x.T @ dz",
                                                         "return dict(dW=x.T @ dz)")},
     "a.py:f,b --shape 2,3", PAIR, TWO_BY),
    ("token ids under another name", {"a.py": HEAD + LOOKUP.format(ids="sentence", table="E",
                                                                   returned="grad")},
     "a.py:f,g --shape 2,4 --tokens 7", "(f, g)", "np.array([[0, 3, 3], [6, 0, 1]]), r(7, 3)"),
    ("token ids and a table of other names", {"a.py": HEAD + LOOKUP.format(ids="idx", table="table",
                                                                           returned="None, grad")},
     "a.py:f,g --shape 2,4 --tokens 7 --array table=7,3", "(f, g)",
     "np.array([[0, 3, 3], [6, 0, 1]]), r(7, 3)"),
    ("token ids in second place", {"a.py": HEAD + LOOKUP.format(ids="idx", table="table",
                                                                returned="grad").replace(
        "(idx, table):", "(table, idx):")}, "a.py:f,g --array table=7,3 --array idx=2,4 --tokens 7", "(f, g)",
     "r(7, 3), np.array([[0, 3, 3], [6, 0, 1]])"),
    ("a class with an update inside", {"a.py": HEAD + "r = np.random.default_rng(0).normal\n" + LAYER.format(
        more=", lr=0.1", last="self.W -= lr * dW\n        self.b -= lr * db\n        return dx").replace(
            "r(D, H), r(H)", "r(size=(D, H)), r(size=H)")}, "a.py:Dense 3 4", "Dense()", "q(2, 3)", "object"),
    ("a list of steps",
     {"a.py": HEAD + ROWS.format(returned="dxs, dWx, dWh, db")},
     "a.py:f,g --shape N=2,T=3,D=3,H=4", "(f, g)", "[r(2, 3), r(2, 3)], r(3, 4), r(4, 4), r(4)"),
))
