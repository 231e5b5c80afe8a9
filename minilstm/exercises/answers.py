"""The right functions of the steps that are no cells, and the mistakes that are often made in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.cells.activations import sigmoid
from minilstm.exercises.numbers import Task, Wrong

RNG = np.random.default_rng(11)


# Step 6: the embedding
def embedding_forward(tokens: Any, E: Any) -> Any:
    x = E[tokens]
    return x, (tokens, E.shape)


def embedding_backward(dx: Any, cache: Any) -> Any:
    tokens, shape = cache
    dE = np.zeros(shape)
    np.add.at(dE, tokens, dx)
    return dE


# repeated in a row, in a column and beyond
_tokens = np.array([[1, 4, 1, 0], [4, 5, 1, 1], [2, 5, 4, 4]])
_add = "np.add.at(dE, tokens, dx)"
EMBEDDING = Task(
    [(_tokens, RNG.standard_normal((7, 2))), (_tokens[:2], RNG.standard_normal((9, 3)))],
    embedding_forward, ("x",), (
        Wrong("tokens shifted by one", "With which number does counting rows begin?",
              {"E[tokens]": "E[tokens - 1]"}),))
EMBEDDING_BACK = Task(
    [(RNG.standard_normal((3, 4, 2)),), (RNG.standard_normal((2, 4, 3)),)], embedding_backward, ("dE",), (
        Wrong("a repeated word is counted once",
              "Word 1 stands four times: what does each of its places add?",
              {_add: "dE[tokens] += dx"}),
        Wrong("a repeated word is counted once", "Word 1 stands four times: what does each place add?",
              {_add: "dE[tokens.ravel()[::-1]] = dx.reshape(-1, shape[1])[::-1]"}),
        Wrong("a word repeated within a sequence is counted once",
              "How often may a word stand in one sequence?",
              {_add: "for n in range(len(tokens)): dE[tokens[n]] += dx[n]"}),
        Wrong("a word repeated within a step is counted once",
              "How often may a word stand in one step of the batch?",
              {_add: "for t in range(tokens.shape[1]): dE[tokens[:, t]] += dx[:, t]"}),
        Wrong("divided by the batch", "Did the loss already divide by N?",
              {_add: "np.add.at(dE, tokens, dx / len(dx))"}),
        Wrong("only the last step", "How many steps of dx are there?",
              {_add: "np.add.at(dE, tokens[:, -1], dx[:, -1])"}),
        Wrong("the gradient has the wrong sign", "Does backward take the step, or the optimiser?",
              {_add: "np.add.at(dE, tokens, -dx)"}),
    ), behind=EMBEDDING)


# Step 7: binary cross-entropy and Adam
def bce_forward(z: Any, y: Any) -> Any:
    losses = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
    loss = losses.mean()
    return loss, (z, y)


def bce_backward(cache: Any) -> Any:
    z, y = cache
    p = sigmoid(z)
    dz = (p - y) / len(z)
    return dz


def adam_step(p: Any, g: Any, m: Any, v: Any, t: int, lr: float = 0.001, beta1: float = 0.9,
              beta2: float = 0.999, eps: float = 1e-8) -> Any:
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g ** 2
    m_hat = m / (1 - beta1 ** t)
    v_hat = v / (1 - beta2 ** t)
    p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
    return p, m, v


_y = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
_losses = "np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))"
BCE = Task(
    [(np.array([0.3, -1.2, 2.5, 0.7, -0.4]), _y), (np.array([800.0, 900.0, -800.0, -3.0, 30.0]), _y),
     (np.array([0.5, -2.0]), np.array([0.0, 1.0]))], bce_forward, ("loss",), (
        Wrong("the sum for the mean", "By what is the sum divided?", {"losses.mean()": "losses.sum()"}),
        Wrong("the loss has the wrong sign", "Can a logarithm of a probability be positive?",
              {"losses.mean()": "-losses.mean()"}),
        Wrong("infinite where p rounds to 0 or 1", "What is log(1 - p) for z = 900?",
              {_losses: "-(y * np.log(sigmoid(z)) + (1 - y) * np.log(1 - sigmoid(z)))"}),
        Wrong("only the labels 1 count", "What does a wrong answer to a label 0 cost?",
              {_losses: "y * np.logaddexp(0, -z)"}),
        Wrong("labels 0 and 1 exchanged", "Which probability belongs to y = 1?", {"z * y": "z * (1 - y)"}),
        Wrong("e^z for e^-|z|: overflows", "How large is e^900?",
              {"np.exp(-np.abs(z))": "np.exp(np.abs(z))"})))
BCE_BACK = Task([()] * 3, bce_backward, ("dz",), (
    Wrong("1/N is missing", "Is the loss a sum or a mean?", {"(p - y) / len(z)": "p - y"}),
    Wrong("the gradient has the wrong sign",
          "If y = 1 and p < 1, must z grow or fall to make the loss smaller?", {"(p - y)": "(y - p)"}),
    Wrong("p for p - y", "What is the gradient of -ln p_y?", {"(p - y)": "p"}),
    Wrong("the squared error's rule", "Does a derivative of σ remain after simplifying?",
          {"(p - y)": "(p - y) * p * (1 - p)"}),
    Wrong("the gradient of p, not of z", "With respect to what is the gradient asked?",
          {"(p - y)": "(p - y) / (p * (1 - p))"}),
), behind=BCE)
_p = [np.abs(RNG.standard_normal((2, 3))) if k == 3 else RNG.standard_normal((2, 3)) for k in range(4)]
_m_hat, _v_hat = {"m / (1 - beta1 ** t)": "m"}, {"v / (1 - beta2 ** t)": "v"}
ADAM = Task(
    [(*_p, 3), (_p[0], _p[1], 0 * _p[2], 0 * _p[3], 1), (*_p, 2, 0.1, 0.5, 0.8, 1e-3)], adam_step,
    ("p", "m", "v"), (
        Wrong("no bias correction", "m and v begin at zero: how large are they after one step?",
              {**_m_hat, **_v_hat}),
        Wrong("no bias correction of m", "m begins at zero: how large is it after one step?", _m_hat),
        Wrong("no bias correction of v", "v begins at zero: how large is it after one step?", _v_hat),
        Wrong("ascends", "Does the loss fall along the gradient, or against it?", {"p - lr": "p + lr"}),
        Wrong("no square root", "Which unit has v, and which has m?", {"np.sqrt(v_hat)": "v_hat"}),
        Wrong("ε inside the root", "What is added to the root of v̂?",
              {"(np.sqrt(v_hat) + eps)": "np.sqrt(v_hat + eps)"}),
        Wrong("the corrected means are returned", "Which m does the next step average with?",
              {"return p, m, v": "return p, m_hat, v_hat"}),
        Wrong("the means of the step before are corrected", "Has m seen g by then?",
              {"m / (1 - beta1 ** t)": "(m - (1 - beta1) * g) / beta1 / (1 - beta1 ** t)",
               "v / (1 - beta2 ** t)": "(v - (1 - beta2) * g ** 2) / beta2 / (1 - beta2 ** t)"}),
        Wrong("t counts from 0", "What is t at the first step?",
              {"beta1 ** t": "beta1 ** (t + 1)", "beta2 ** t": "beta2 ** (t + 1)"}),
        Wrong("v is the mean of g, not of g²", "Can v be negative?", {"g ** 2": "g"}),
        Wrong("β and 1 - β exchanged", "How much of the old m remains at β1 = 0.9?",
              {"beta1 * m + (1 - beta1) * g": "(1 - beta1) * m + beta1 * g"})))


# Step 8: padding
def pad(sequences: Any) -> Any:
    lengths = np.array([len(sequence) for sequence in sequences])
    tokens = np.zeros((len(sequences), max(map(len, sequences))), dtype=int)
    for n, sequence in enumerate(sequences):
        tokens[n, :len(sequence)] = sequence
    return tokens, lengths


def masked_rnn_forward(x: Any, lengths: Any, h0: Any, W: Any, b: Any) -> Any:
    (N, T, _), H = x.shape, h0.shape[1]
    out, h = np.zeros((N, T, H)), np.zeros((N, T + 1, H))
    h[:, 0] = h0
    real = np.arange(T) < lengths[:, None]
    for t in range(T):
        new = np.tanh(np.concatenate([h[:, t], x[:, t]], axis=1) @ W + b)
        r = real[:, t, None]
        h[:, t + 1] = np.where(r, new, h[:, t])
        out[:, t] = np.where(r, new, 0)
    return out, h[:, T].copy(), (x, h, real, W)


def masked_rnn_backward(dout: Any, dh_last: Any, cache: Any) -> Any:
    x, h, real, W = cache
    T, H = x.shape[1], h.shape[2]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(H)
    dh = dh_last
    for t in reversed(range(T)):
        r = real[:, t, None]
        dh_t = dh + np.where(r, dout[:, t], 0)
        dz = np.where(r, dh_t * (1 - h[:, t + 1] ** 2), 0)
        dW += np.concatenate([h[:, t], x[:, t]], axis=1).T @ dz
        db += dz.sum(axis=0)
        dhx = dz @ W.T
        dx[:, t] = dhx[:, H:]
        dh = np.where(r, dhx[:, :H], dh_t)
    return dx, dh, dW, db


PAD = Task([([[3, 1], [4, 1, 5, 9], [2, 6, 5]],), ([[3, 3, 3], [0, 2], [7]],), ([[1], [2], [3] * 7],)], pad,
           ("tokens", "lengths"), (
    Wrong("padded at the front", "At which end are the zeros?",
          {"tokens[n, :len(sequence)]": "tokens[n, tokens.shape[1] - len(sequence):]"}),
    Wrong("every length is T", "How long is a sequence before it is padded?",
          {"[len(sequence) for sequence in sequences]": "[max(map(len, sequences))] * len(sequences)"}),
))
_carried, _put_out = "np.where(r, new, h[:, t])", "np.where(r, new, 0)"
_kept = "What must a padded step do with the state it got?"
_sizes = ((3, 5, 4), (3, 2), (6, 2), (2,), (3, 5, 2), (3, 2))
_x, _h0, _W, _b, _dout, _dh_last = map(RNG.standard_normal, _sizes)
MASKED = Task([(_x, np.array([2, 5, 3]), _h0, _W, _b)], masked_rnn_forward, ("out", "h_last"), (
    Wrong("the mask is not applied to the carried state", _kept, {_carried: "new"}),
    Wrong("outputs at padded steps are not zero", "What is the output of a padded step?",
          {_put_out: "h[:, t + 1]"}),
    Wrong("the mask is not applied at all", "Where is the mask used?", {_carried: "new", _put_out: "new"}),
    Wrong("the mask is one step too long", "A sequence of length 2: is step t = 2 real?",
          {"lengths[:, None]": "lengths[:, None] + 1"}),
    Wrong("the mask is one step too short", "A sequence of length 2: is step t = 1 real?",
          {"lengths[:, None]": "lengths[:, None] - 1"}),
    Wrong("the state is zero at padded steps, or h_last is read from out", _kept,
          {_carried: _put_out})))
_masked_dz = "dh_t * (1 - h[:, t + 1] ** 2)"
MASKED_BACK = Task([(_dout, _dh_last)], masked_rnn_backward, ("dx", "dh0", "dW", "db"), (
    Wrong("gradients from above at padded steps are used",
          "Can the loss depend on an output that is always 0?",
          {"np.where(r, dout[:, t], 0)": "dout[:, t]"}),
    Wrong("the mask is not applied to dz", "Does a padded step read W?",
          {f"np.where(r, {_masked_dz}, 0)": _masked_dz}),
    Wrong("gradient stops at padded steps", "Which way back has the state that a padded step hands on?",
          {"np.where(r, dhx[:, :H], dh_t)": "dhx[:, :H]"}),
    Wrong("the gradient of the final state is ignored", "Who else uses h_last?",
          {"dh = dh_last": "dh = 0 * dh_last"}),
    Wrong("dh of step t+1 is not added", "Where does h_t go, besides the output?",
          {"dh + np.where(r, dout": "np.where(r, dout"})), behind=MASKED)


# Step 10: clipping and the forget bias
def clip_by_norm(grads: Any, max_norm: float) -> Any:
    norm = np.sqrt(sum((g ** 2).sum() for g in grads))
    factor = min(1.0, max_norm / norm)
    return [g * factor for g in grads], norm


def survival(a: Any, bias: Any) -> Any:
    f = 1 / (1 + np.exp(-(a + bias)))
    left = f.prod(axis=0)
    return left.mean()


def bias_needed(a: Any, share: float) -> Any:
    for bias in range(21):
        if survival(a, bias) >= share:
            return bias
    return None


_gradients = [RNG.standard_normal((2, 3)), RNG.standard_normal(4)]
_scaled, _norm = "[g * factor for g in grads]", "np.sqrt(sum((g ** 2).sum() for g in grads))"
CLIP = Task(
    [(_gradients, 0.8), (_gradients, 100.0)], clip_by_norm, ("grads[0]", "grads[1]", "norm"), (
        Wrong("each array is clipped on its own", "Does the direction of the whole gradient stay?",
              {_scaled: "[g * min(1.0, max_norm / np.linalg.norm(g)) for g in grads]"}),
        Wrong("each entry is clipped", "Does the direction of the gradient stay?",
              {_scaled: "[np.clip(g, -max_norm, max_norm) for g in grads]"}),
        Wrong("small gradients are scaled up", "What should happen where the norm is below max_norm?",
              {"min(1.0, max_norm / norm)": "max_norm / norm"}),
        Wrong("max_norm is forgotten", "How long is the gradient after clipping?",
              {"min(1.0, max_norm / norm)": "1 / norm if norm > max_norm else 1"}),
        Wrong("the square of the norm", "What is missing after adding the squares?",
              {_norm: "sum((g ** 2).sum() for g in grads)"}),
        Wrong("the norms are added up", "What is the norm of (3, 4)?",
              {_norm: "sum(np.linalg.norm(g) for g in grads)"})))
_a = RNG.standard_normal((6, 5))
_f, _product = "1 / (1 + np.exp(-(a + bias)))", "What do T steps do to a gradient, one after the other?"
SURVIVAL = Task([(_a, 0), (_a, 2.5)], survival, ("survival",), (
    Wrong("the bias is not used", "Where does the bias stand in f?", {"(a + bias)": "a"}),
    Wrong("the bias outside σ", "Can f be above 1?", {_f: "1 / (1 + np.exp(-a)) + bias"}),
    Wrong("tanh for σ", "Between which numbers does a gate lie?", {_f: "np.tanh(a + bias)"}),
    Wrong("the sum for the product", _product, {"f.prod(axis=0)": "f.sum(axis=0)"}),
    Wrong("the mean for the product", _product, {"f.prod(axis=0)": "f.mean(axis=0)"}),
    Wrong("the product over cells, too", "Along which axis of a does time run?", {"axis=0": ""}),
    Wrong("the mean over cells before the product", "Does one cell's gradient pass another's gate?",
          {"f.prod(axis=0)": "f.mean(axis=1).prod()"}),
    Wrong("the product over cells", "Along which axis of a does time run?", {"axis=0": "axis=1"}),
    Wrong("the sign of z", "Is σ(z) near 1 for large z?", {"-(a + bias)": "a + bias"}),
))
# the last one: as much as is asked for is enough
BIAS = Task([(_a, 0.5), (_a, 0.95), (_a, 0.0), (_a, 2.0), (_a - 17.0, 0.5), (np.zeros((1, 3)), 0.5)],
            bias_needed, ("bias",), (
    Wrong("the comparison is turned round", "Is more left than the share, or less?", {">= share": "< share"}),
    *(Wrong("a bias where none is enough", "Which bias gives 2?", {"return None": f"return {bias}"})
      for bias in (0, 20)),
), given=(("survival", survival),))
