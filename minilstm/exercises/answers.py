"""The right functions of the steps that are no cells, and the mistakes that are often made in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilstm.cells.activations import sigmoid
from minilstm.exercises.numbers import Cache, Task, Wrong

Result = Any
RNG = np.random.default_rng(11)


# Step 6: the embedding
def _embedding_case() -> tuple[np.ndarray, np.ndarray]:
    # repeated in a row, in a column and beyond
    tokens = np.array([[1, 4, 1, 0], [4, 5, 1, 1], [2, 5, 4, 4]])
    return tokens, RNG.standard_normal((7, 2))


def _dE(dx: Any, cache: Any) -> Result:
    dE = np.zeros(cache[1])
    np.add.at(dE, cache[0], dx)
    return dE


def _dE_once(dx: Any, cache: Any) -> Result:
    dE = np.zeros(cache[1])
    dE[cache[0]] += dx
    return dE


def _dE_by(axis: int) -> Any:
    def function(dx: Any, cache: Any) -> Result:
        dE = np.zeros(cache[1])
        for n in range(cache[0].shape[axis]):
            dE[cache[0].take(n, axis)] += dx.take(n, axis)
        return dE
    return function


_tokens, _E = _embedding_case()
_more = (_tokens[:2], RNG.standard_normal((9, 3)))
EMBEDDING = Task([(_tokens, _E), _more], lambda tokens, E: E[tokens], ("x",), (
    Wrong("tokens shifted by one", "With which number does counting rows begin?", "x",
          lambda tokens, E: E[tokens - 1]),
), True)
_dx, _back_cache = RNG.standard_normal((3, 4, 2)), Cache.of((_tokens, _E.shape), (_tokens, _E))
_more_dx, _more_cache = RNG.standard_normal((2, 4, 3)), Cache.of((_more[0], _more[1].shape), _more)
EMBEDDING_BACK = Task([(_dx, _back_cache), (_more_dx, _more_cache)], _dE, ("dE",), (
    Wrong("a repeated word is counted once", "Word 1 stands four times: what does each of its places add?",
          "dE", _dE_once),
    Wrong("a word repeated within a sequence is counted once", "How often may a word stand in one sequence?",
          "dE", _dE_by(0)),
    Wrong("a word repeated within a step is counted once",
          "How often may a word stand in one step of the batch?", "dE", _dE_by(1)),
    Wrong("divided by the batch", "Did the loss already divide by N?", "dE",
          lambda dx, cache: _dE(dx, cache) / len(dx)),
    Wrong("only the last step", "How many steps of dx are there?", "dE",
          lambda dx, cache: _dE(dx[:, -1], (cache[0][:, -1], cache[1]))),
    Wrong("the gradient has the wrong sign", "Does backward take the step, or the optimiser?", "dE",
          lambda dx, cache: -_dE(dx, cache)),
), behind="embedding_forward")


# Step 7: binary cross-entropy and Adam
def _bce(z: Any, y: Any, reduce: Any = np.mean) -> Result:
    return reduce(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))


_y = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
_scores = [(np.array([0.3, -1.2, 2.5, 0.7, -0.4]), _y), (np.array([800.0, 900.0, -800.0, -3.0, 30.0]), _y),
           (np.array([0.5, -2.0]), np.array([0.0, 1.0]))]
BCE = Task(_scores, _bce, ("loss",), (
    Wrong("the sum for the mean", "By what is the sum divided?", "loss", lambda z, y: _bce(z, y, np.sum)),
    Wrong("the loss has the wrong sign", "Can a logarithm of a probability be positive?", "loss",
          lambda z, y: -_bce(z, y)),
    Wrong("log of σ(z): infinite where p rounds to 0 or 1", "What is log(1 - p) for z = 900?", "losses",
          lambda z, y: -np.mean(y * np.log(sigmoid(z)) + (1 - y) * np.log(1 - sigmoid(z)))),
    Wrong("only the labels 1 count", "What does a wrong answer to a label 0 cost?", "losses",
          lambda z, y: np.mean(y * np.logaddexp(0, -z))),
    Wrong("labels 0 and 1 exchanged", "Which probability belongs to y = 1?", "losses",
          lambda z, y: _bce(z, 1 - y)),
    Wrong("e^z for e^-|z|: overflows", "How large is e^900?", "losses",
          lambda z, y: np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(np.abs(z))))),
), True)
_caches = [(Cache.of(case, case),) for case in _scores]
BCE_BACK = Task(_caches, lambda c: (sigmoid(c[0]) - c[1]) / len(c[0]), ("dz",), (
    Wrong("1/N is missing", "Is the loss a sum or a mean?", "dz", lambda c: sigmoid(c[0]) - c[1]),
    Wrong("the gradient has the wrong sign",
          "If y = 1 and p < 1, must z grow or fall to make the loss smaller?", "dz",
          lambda c: (c[1] - sigmoid(c[0])) / len(c[0])),
    Wrong("p for p - y", "What is the gradient of -ln p_y?", "dz", lambda c: sigmoid(c[0]) / len(c[0])),
    Wrong("the squared error's rule", "Does a derivative of σ remain after simplifying?", "dz",
          lambda c: (sigmoid(c[0]) - c[1]) * sigmoid(c[0]) * (1 - sigmoid(c[0])) / len(c[0])),
    Wrong("the gradient of p, not of z", "With respect to what is the gradient asked?", "dz",
          lambda c: (sigmoid(c[0]) - c[1]) / (sigmoid(c[0]) * (1 - sigmoid(c[0]))) / len(c[0])),
), behind="bce_forward")


def _adam(p: Any, g: Any, m: Any, v: Any, t: int, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999,
          eps: float = 1e-8, *, first: bool = True, second: bool = True, sign: int = -1, root: bool = True,
          inside: bool = False, late: int = 0, square: bool = True, exchanged: bool = False) -> Result:
    m = (1 - beta1) * m + beta1 * g if exchanged else beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g ** 2 if square else g)
    m_hat = m / (1 - beta1 ** (t + late)) if first else m
    v_hat = v / (1 - beta2 ** (t + late)) if second else v
    if inside:
        return p + sign * lr * m_hat / np.sqrt(v_hat + eps), m, v
    return p + sign * lr * m_hat / ((np.sqrt(v_hat) if root else v_hat) + eps), m, v


def _variant(**flags: Any) -> Any:
    return lambda *arguments: _adam(*arguments, **flags)


_p = [np.abs(RNG.standard_normal((2, 3))) if k == 3 else RNG.standard_normal((2, 3)) for k in range(4)]
_steps = [(*_p, 3), (_p[0], _p[1], 0 * _p[2], 0 * _p[3], 1), (*_p, 2, 0.1, 0.5, 0.8, 1e-3)]
ADAM = Task(_steps, _adam, ("p", "m", "v"), (
    Wrong("no bias correction", "m and v begin at zero: how large are they after one step?", "m_hat",
          _variant(first=False, second=False)),
    Wrong("no bias correction of m", "m begins at zero: how large is it after one step?", "m_hat",
          _variant(first=False)),
    Wrong("no bias correction of v", "v begins at zero: how large is it after one step?", "v_hat",
          _variant(second=False)),
    Wrong("ascends", "Does the loss fall along the gradient, or against it?", "p", _variant(sign=1)),
    Wrong("no square root", "Which unit has v, and which has m?", "p", _variant(root=False)),
    Wrong("ε inside the root", "What is added to the root of v̂?", "p", _variant(inside=True)),
    Wrong("t counts from 0", "What is t at the first step?", "m_hat", _variant(late=1)),
    Wrong("v is the mean of g, not of g²", "Can v be negative?", "v", _variant(square=False)),
    Wrong("β and 1 - β exchanged", "How much of the old m remains at β1 = 0.9?", "m",
          _variant(exchanged=True)),
))


# Step 8: padding
def _pad(sequences: Sequence[Sequence[int]], side: str = "post") -> Result:
    lengths = np.array(list(map(len, sequences)))
    tokens = np.zeros((len(sequences), lengths.max()), int)
    for row, words in zip(tokens, sequences):
        start = 0 if side == "post" else len(row) - len(words)
        row[start:start + len(words)] = words
    return tokens, lengths


def _masked(x: Any, lengths: Any, h0: Any, W: Any, b: Any, *, late: int = 0, carried: bool = True,
            silent: bool = True, zeroed: bool = False) -> Any:
    """Return out, h_last and the cache; the flags are mistakes."""
    T = x.shape[1]
    real = np.arange(T) < lengths[:, None] + late
    h, out = [h0], []
    for t in range(T):
        new, r = np.tanh(np.concatenate([h[-1], x[:, t]], axis=1) @ W + b), real[:, t, None]
        h.append(np.where(r, new, 0 if zeroed else h[-1]) if carried else new)
        out.append(np.where(r, new, 0) if silent else h[-1])
    states = np.stack(h, axis=1)
    return np.stack(out, axis=1), states[:, -1], (x, states, real, W)


def _masked_back(dout: Any, dh_last: Any, cache: Any, *, above: bool = True, stops: bool = False,
                 dz_masked: bool = True, last: bool = True, later: bool = True) -> Any:
    """Return dx, dh0, dW, db; the flags are mistakes."""
    (x, h, real, W), H = cache, dh_last.shape[1]
    dx, dW, db, dh = np.zeros_like(x), np.zeros_like(W), np.zeros(H), dh_last if last else 0 * dh_last
    for t in reversed(range(x.shape[1])):
        r = real[:, t, None]
        dh_t = (dh if later else 0) + (np.where(r, dout[:, t], 0) if above else dout[:, t])
        dz = dh_t * (1 - h[:, t + 1] ** 2)
        dz = np.where(r, dz, 0) if dz_masked else dz
        dhx = dz @ W.T
        dx[:, t] = dhx[:, H:]
        dW, db = dW + np.concatenate([h[:, t], x[:, t]], axis=1).T @ dz, db + dz.sum(axis=0)
        dh = dhx[:, :H] if stops else np.where(r, dhx[:, :H], dh_t)
    return dx, dh, dW, db


def _flags(function: Any, **flags: Any) -> Any:
    return lambda *arguments: function(*arguments, **flags)[:4]


def _first(**flags: Any) -> Any:
    return lambda *arguments: _masked(*arguments, **flags)[:2]


_x, _h0, _W, _b = (RNG.standard_normal(size) for size in ((3, 5, 4), (3, 2), (6, 2), (2,)))
_masked_case = (_x, np.array([2, 5, 3]), _h0, _W, _b)
PAD = Task([([[3, 1], [4, 1, 5, 9], [2, 6, 5]],), ([[3, 3, 3], [0, 2], [7]],)], _pad, ("tokens", "lengths"), (
    Wrong("padded at the front", "At which end are the zeros?", "tokens", lambda s: _pad(s, "pre")),
    Wrong("every length is T", "How long is a sequence before it is padded?", "lengths",
          lambda s: (_pad(s)[0], np.full(len(s), max(map(len, s))))),
))
MASKED = Task([_masked_case], _first(), ("out", "h_last"), (
    Wrong("the mask is not applied to the carried state", "What must a padded step do with the state it got?",
          "h", _first(carried=False)),
    Wrong("outputs at padded steps are not zero", "What is the output of a padded step?", "out",
          _first(silent=False)),
    Wrong("the mask is not applied at all", "Where is the mask used?", "out",
          _first(carried=False, silent=False)),
    Wrong("the mask is one step too long", "A sequence of length 2: is step t = 2 real?", "real",
          _first(late=1)),
    Wrong("the mask is one step too short", "A sequence of length 2: is step t = 1 real?", "real",
          _first(late=-1)),
    Wrong("the state is zero at padded steps, or h_last is read from out",
          "What must a padded step do with the state it got?", "return", _first(zeroed=True)),
), True)
MASKED_BACK = Task(
    [(RNG.standard_normal((3, 5, 2)), RNG.standard_normal((3, 2)),
      Cache.of(_masked(*_masked_case)[2], _masked_case))],
    _flags(_masked_back), ("dx", "dh0", "dW", "db"), (
        Wrong("gradients from above at padded steps are used",
              "Can the loss depend on an output that is always 0?", "dh_t",
              _flags(_masked_back, above=False)),
        Wrong("the mask is not applied to dz", "Does a padded step read W?", "dz",
              _flags(_masked_back, dz_masked=False)),
        Wrong("gradient stops at padded steps", "Which way back has the state that a padded step hands on?",
              "dh", _flags(_masked_back, stops=True)),
        Wrong("the gradient of the final state is ignored", "Who else uses h_last?", "dh",
              _flags(_masked_back, last=False)),
        Wrong("dh of step t+1 is not added", "Where does h_t go, besides the output?", "dh_t",
              _flags(_masked_back, later=False)),
    ), behind="masked_rnn_forward")


# Step 10: clipping and the forget bias
def _clip(grads: Any, max_norm: float, power: float = 0.5, least: float = 1.0) -> Result:
    norm = sum((g ** 2).sum() for g in grads) ** power
    return [g * min(least, max_norm / norm) for g in grads], norm


def _norm(grads: Any) -> Any:
    return _clip(grads, 1.0)[1]


def _added(grads: Any) -> Any:
    return sum(map(np.linalg.norm, grads))


_gradients = [RNG.standard_normal((2, 3)), RNG.standard_normal(4)]
CLIP = Task([(_gradients, 0.8), (_gradients, 100.0)], _clip, ("grads[0]", "grads[1]", "norm"), (
    Wrong("each array is clipped on its own", "Does the direction of the whole gradient stay?", "return",
          lambda grads, most: ([_clip([g], most)[0][0] for g in grads], _norm(grads))),
    Wrong("each entry is clipped", "Does the direction of the gradient stay?", "return",
          lambda grads, most: ([np.clip(g, -most, most) for g in grads], _norm(grads))),
    Wrong("small gradients are scaled up", "What should happen where the norm is below max_norm?", "factor",
          lambda grads, most: _clip(grads, most, least=np.inf)),
    Wrong("the square of the norm", "What is missing after adding the squares?", "norm",
          lambda grads, most: _clip(grads, most, 1.0)),
    Wrong("the norms are added up", "What is the norm of (3, 4)?", "norm", lambda grads, most: (
        [g * min(1.0, most / _added(grads)) for g in grads], _added(grads))),
))


def _f(a: Any, bias: Any) -> Any:
    return sigmoid(a + bias)


def _survival(a: Any, bias: Any) -> Any:
    return _f(a, bias).prod(axis=0).mean()


_a = RNG.standard_normal((6, 5))
SURVIVAL = Task([(_a, 0), (_a, 2.5)], _survival, ("survival",), (
    Wrong("the bias is not used", "Where does the bias stand in f?", "f", lambda a, bias: _survival(a, 0)),
    Wrong("the bias outside σ", "Can f be above 1?", "f",
          lambda a, bias: (_f(a, 0) + bias).prod(axis=0).mean()),
    Wrong("tanh for σ", "Between which numbers does a gate lie?", "f",
          lambda a, bias: np.tanh(a + bias).prod(axis=0).mean()),
    Wrong("the sum for the product", "What do T steps do to a gradient, one after the other?", "left",
          lambda a, bias: _f(a, bias).sum(axis=0).mean()),
    Wrong("the mean for the product", "What do T steps do to a gradient, one after the other?", "left",
          lambda a, bias: _f(a, bias).mean()),
    Wrong("the product over cells", "Along which axis of a does time run?", "left",
          lambda a, bias: _f(a, bias).prod(axis=1).mean()),
    Wrong("the sign of z", "Is σ(z) near 1 for large z?", "f", lambda a, bias: _survival(-a, -bias)),
))


def _needed(a: Any, share: float, over: bool = False) -> Any:
    left = (_survival(a, bias) for bias in range(21))
    return next((bias for bias, much in enumerate(left) if (much < share) == over), None)


BIAS = Task([(_a, 0.5), (_a, 0.95), (_a, 0.0), (_a, 2.0), (_a - 17.0, 0.5)], _needed, ("bias",), (
    Wrong("the comparison is turned round", "Is more left than the share, or less?", "for",
          lambda a, share: _needed(a, share, over=True)),
), given=(("survival", _survival),))
