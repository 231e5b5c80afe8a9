"""Wrong answers to the exercises that nothing was tuned with: natural slips in one function of a solution."""

from __future__ import annotations

from typing import Any, NamedTuple

ANY = "the forward is not the equations"
ORDER, ADD, CARRY, CARRY_C = ("another arrangement", "= for += in dW or db", "dh of step t+1 is not added",
                              "dc of step t+1 is not added")
TANH, SIGMA, BEFORE = ("tanh' is missing|tanh' of the activated value", "σ' is missing",
                       "the gradient before the nonlinearity")
MEAN, FACTOR = "mean for the sum over the batch", "1/N or 1/T forgotten, or twice"
RULE, BLOCKS, GATE = ("tanh's rule for a sigmoid, or the reverse", "blocks of dz in another order",
                      "a gate is left out of dh_prev or dx")
UPSTREAM = "an upstream gradient is written|right, with a bad habit"
LEAVES = "the loop leaves out a step"
W_T = "W is not transposed"
GRU_R, GRU_Z = "GRU: r is missing on the way back", "GRU: z and 1 - z exchanged"
NEW_LINE = "\n    "
LOOP = "\n        "


class Wrong(NamedTuple):
    """``old`` is replaced by ``new`` (each of several by its own) inside one function of a solution.

    ``word``: what a teacher would say; ``names``: what the library may call it without a lie ("" for none,
    "|" between several); ``inside``: where the slip is, if in a helper; ``also``: more lines a hint may show.
    """

    step: int
    function: str
    old: str | tuple[str, ...]
    new: str | tuple[str, ...]
    word: str
    names: str = ""
    inside: str = ""
    also: tuple[str, ...] = ()


TABLE: dict[tuple[int, str], tuple[tuple[Any, ...], ...]] = {
    (1, "rnn_step"): (
        ("np.tanh(hx @ W + b)", "np.tanh(hx @ W) + b", "b is added after tanh", ANY),
        ("np.tanh(hx @ W + b)", "np.tanh(x @ W[:x.shape[1]] + h_prev @ W[x.shape[1]:] + b)",
         "rows of W in the order x, h", ORDER + "|" + ANY),
        ("np.tanh(hx @ W + b)", "np.maximum(hx @ W + b, 0)", "relu for tanh", ANY),
        ("np.tanh(hx @ W + b)", "h_prev + np.tanh(hx @ W + b)", "the old state is added", ANY),
    ),
    (1, "rnn_step_backward"): (
        ("dh * (1 - h * h)", "dh * (1 + h * h)", "a sign in tanh'"),
        ("dh * (1 - h * h)", "dh * (h ** 2 - 1)", "tanh' has the wrong sign"),
        ("dh * (1 - h * h)", "dh / (1 - h * h)", "divided by tanh'"),
        ("dh * (1 - h * h)", "dh * 1 - h * h", "parentheses are missing in tanh'", TANH),
        ("dh * (1 - h * h)", "dh * (1 - np.tanh(hx @ W) ** 2)", "b is missing in tanh'"),
        ("hx.T @ dz", "hx.T @ h", "h for dz in dW"),
        ("hx.T @ dz", "np.concatenate([hx[:, H:].T @ dz, hx[:, :H].T @ dz])",
         "rows of dW in the order x, h", ORDER),
        ("hx.T @ dz", "np.outer(hx[0], dz[0])", "the first example only"),
        ("dz.sum(axis=0)", "dz.sum(axis=1)", "db is summed over the wrong axis"),
        ("dz.sum(axis=0)", "np.sum(dz)", "db is summed over both axes"),
        ("dz.sum(axis=0)", "np.ones(H)", "db is constant"),
        ("dz.sum(axis=0)", "dh.sum(axis=0)", "dh for dz in db", BEFORE),
        ("dz @ W.T", "(1 - h * h) @ W.T", "dh is left out of dhx"),
        ("dz @ W.T", "dz @ W", "W is not transposed", W_T),
        ("dx = dhx[:, H:]", "dx = dhx[:, H + 1:]", "dx begins a column late"),
        ("return dx, dh_prev,", "return dh_prev, dx,", "dx and dh_prev are exchanged"),
        ("dz = dh * (1 - h * h)", "dh *= 1 - h * h" + NEW_LINE + "dz = dh",
         "the caller's dh is overwritten", UPSTREAM),
    ),
    (2, "rnn_forward"): (
        ("h[:, t + 1] = np.tanh", "h[:, t] = np.tanh", "written to the place of the state before", ANY),
        ("np.concatenate([h[:, t], x[:, t]]", "np.concatenate([h0, x[:, t]]", "every step reads h0", ANY),
        ("return h[:, 1:].copy()", "return h[:, :-1].copy()", "the states before the steps", ANY),
    ),
    (2, "rnn_backward"): (
        ("dh[:, t] + dh_next", "dh_next", "dh of the output is not added"),
        ("dh[:, t] + dh_next", "dh[:, T - 1 - t] + dh_next", "dh is read from the wrong end"),
        ("dh[:, t] + dh_next", "dh.sum(axis=1) + dh_next", "all outputs' gradients at every step"),
        ("dz = dh_t *", "dz = dh[:, t] *", "dh of step t+1 is added but not used", CARRY),
        ("h[:, t + 1] ** 2", "h[:, -1] ** 2", "tanh' of the last state at every step"),
        ("db += dz.sum(axis=0)", "db += dz.mean(axis=0)", "mean for sum in db", MEAN),
        ("dW += hx.T @ dz", "dW -= hx.T @ dz", "a sign in dW"),
        ("dW, db\n", "dW / T, db / T\n", "divided by T", FACTOR, "", ("dW += hx.T @ dz",)),
        ("        dh_t = dh", "        dW, db = np.zeros_like(W), np.zeros(H)\n        dh_t = dh",
         "dW and db are set to zero at every step", ADD),
        ("reversed(range(T))", "reversed(range(T - 1))", "the last step is left out", LEAVES),
        ("reversed(range(T))", "range(T, 0, -1)", "counts from T to 1"),
        ("dh_next = dhx[:, :H]", "dh_next = dhx[:, :H] * (1 - h[:, t] ** 2)", "tanh' twice"),
        ("dh_next = dhx[:, :H]", "dh_next = dh_t @ W[:H].T", "dh for dz in dh_next", BEFORE),
        ("dh_next = dhx[:, :H]", "dh_next = dz @ W[:H]", "W_h is not transposed", W_T),
        ("dx[:, t] = dhx[:, H:]", "dx[:, t] = dh_t @ W[H:].T", "dh for dz in dx", BEFORE),
        ("return dx, dh_next,", "return dx, dh_t,", "dh0 is the gradient of the first state", BEFORE),
    ),
    (3, "lstm_step"): (
        ("sigmoid(z[:, :H])", "sigmoid(z[:, :H] + 1)", "a forget bias is added in the step", ANY),
        (("f = sigmoid", "i = sigmoid"), ("i = sigmoid", "f = sigmoid"), "blocks of f and i exchanged",
         ORDER + "|" + ANY),
        (("(z[:, 2 * H:3 * H]", "(z[:, 3 * H:]"), ("(z[:, 3 * H:]", "(z[:, 2 * H:3 * H]"),
         "blocks in PyTorch's order", ORDER + "|" + ANY),
        ("f * c_prev + i * c_tilde", "f * c_prev + (1 - f) * c_tilde", "1 - f for i", ANY),
        ("f * c_prev + i * c_tilde", "f * (c_prev + i * c_tilde)", "f times both parts", ANY),
        ("f * c_prev + i * c_tilde", "i * c_prev + f * c_tilde", "f and i exchanged in c",
         ORDER + "|" + ANY),
        ("o * np.tanh(c)\n", "o * np.tanh(c_prev)\n", "c_{t-1} for c_t in h", ANY),
        ("o * np.tanh(c)\n", "np.tanh(o * c)\n", "tanh of the product", ANY),
        ("f = sigmoid(z[:, :H])", "f = sigmoid(z[:H])", "rows of z for columns", ANY),
        ("o = sigmoid(z[:, 2 * H:3 * H])", "o = sigmoid(z[:, 2 * H:])", "o has two blocks of z", ANY),
        ("0.5 * (1 + np.tanh(0.5 * z))", "1 / (1 + np.exp(z))", "a sign in σ", ANY, "sigmoid",
         ("f = sigmoid(z",)),
        ("return h, c,", "return c, h,", "h and c are exchanged", ANY),
    ),
    (4, "lstm_step_backward"): (
        ("do = dh * tanh_c", "do = dc * tanh_c", "dc for dh in do"),
        ("do = dh * tanh_c", "do = dh", "tanh(c) is missing in do"),
        ("dc + dh * o * (1 - tanh_c ** 2)", "(dc + dh) * o * (1 - tanh_c ** 2)",
         "dc goes through o and tanh too"),
        ("dc + dh * o * (1 - tanh_c ** 2)", "dc * dh * o * (1 - tanh_c ** 2)",
         "a product for the sum in dc"),
        ("o * (1 - tanh_c ** 2)", "o * (1 - c_tilde ** 2)", "c̃ for tanh(c) in dc"),
        ("df = dc * c_prev", "df = dc * tanh_c", "tanh(c_t) for c_{t-1} in df",
         "c_t for c_{t-1}"),
        ("df = dc * c_prev", "df = dh * c_prev", "dh for dc in df"),
        ("dc_tilde = dc * i", "dc_tilde = dc * f", "f for i in dc̃"),
        ("dc_prev = dc * f", "dc_prev = dc * f + dh", "dh is added to dc_prev"),
        ("dc_prev = dc * f", "dc_prev = dc * c_prev", "c_{t-1} for f in dc_prev",
         "dc_prev without f_t"),
        ("df * f * (1 - f)", "df * (1 - f)", "f is missing in σ'", SIGMA),
        ("di * i * (1 - i)", "di * f * (1 - f)", "σ' of f for i's"),
        ("do * o * (1 - o)", "do * o * 1 - o", "parentheses are missing in σ'", SIGMA),
        ("(1 - c_tilde ** 2)", "(1 - c_tilde) ** 2", "the square of the whole in tanh'", TANH),
        ("(1 - c_tilde ** 2)", "(1 - tanh_c ** 2)", "tanh(c) for c̃ in tanh'"),
        ("[dz_f, dz_i, dz_o, dz_c]", "[dz_f, dz_i, dz_c, dz_o]", "blocks of o and c̃ exchanged",
         BLOCKS),
        ("[dz_f, dz_i, dz_o, dz_c]", "[df, di, do, dc_tilde]", "no σ' and tanh' at all",
         BEFORE + "|" + SIGMA + "|" + TANH),
        ("dz_c], axis=1)", "dz_c], axis=0)", "the blocks stand below each other"),
        ("dz @ W.T", "dz[:, :3 * H] @ W[:, :3 * H].T", "c̃ is left out of dhx", GATE),
        ("dhx[:, :H], dc_prev, dW, db", "dhx[:, :H], dc_prev, db, dW", "dW and db are exchanged"),
        ("db = dz.sum(axis=0)", "db = dz.sum(axis=0) / len(dz)", "db is divided by N",
         MEAN + "|" + FACTOR),
    ),
    (5, "lstm_forward"): (
        ("x[:, t], h, c, W, b", "x[:, t], h0, c, W, b", "every step reads h0", ANY),
        ("x[:, t], h, c, W, b", "x[:, t], c, h, W, b", "h and c are exchanged in the call",
         ANY + "|" + ORDER),
        ("out[:, t] = h", "out[:, t] = c", "c for h as output", ANY),
        ("return out, c,", "return out, h,", "h_T for c_T", ANY),
    ),
    (5, "lstm_backward"): (
        ("dh_next = np.zeros((N, H))", "dh_next = dc_last", "dh_next begins with dc_last"),
        ("caches[t]", "caches[T - 1 - t]", "caches from the wrong end"),
        ("dh_t, dc_next, caches", "dh_t, dc_last, caches", "dc_last at every step", CARRY_C),
        ("dh_t, dc_next, caches", "dh[:, t], dc_next, caches", "dh_t is computed and not used", CARRY),
        ("dh_t, dc_next, caches", "dh_next, dc_next, caches", "the outputs' gradient is not used"),
        ("dx[:, t], dh_next, dc_next,", "dx[:, t], dc_next, dh_next,", "dh and dc are exchanged"),
        ("db += db_t", "dW += db_t", "db_t is added to dW"),
        ("reversed(range(T))", "reversed(range(1, T))", "the first step is left out", LEAVES),
        ("dh_t = dh[:, t] + dh_next", "dh_t = dh[:, t]" + LOOP + "dh_t += dh_next",
         "the caller's dh is overwritten", UPSTREAM),
        ("dc = dc + dh * o", "dc = dc + o", "dh is left out of dc", "", "lstm_step_backward"),
        ("dc * i * (1 - c_tilde ** 2)", "dc * i", "tanh' of the candidate is missing", TANH,
         "lstm_step_backward"),
        ("dc * f, hx.T", "dc, hx.T", "dc_prev without f", "dc_prev without f_t", "lstm_step_backward"),
    ),
    (6, "embedding_forward"): (
        ("E[tokens]", "E[tokens.T]", "N and T are exchanged"),
        ("E[tokens]", "np.eye(len(E))[tokens]", "one-hot vectors, not multiplied with E"),
        ("E[tokens]", "E[tokens] * np.sqrt(E.shape[1])", "scaled by √D"),
    ),
    (6, "embedding_backward"): (
        ("np.add.at(dE, tokens, dx)", "dE[tokens.ravel()] += dx.reshape(-1, shape[1])",
         "a repeated word counts once", "a repeated word is counted once"),
        ("np.add.at(dE, tokens, dx)", "for v in np.unique(tokens): dE[v] = dx[tokens == v].mean(0)",
         "mean for the sum over a word's places"),
        ("np.add.at(dE, tokens, dx)", "dE += dx.sum(axis=(0, 1))", "every row gets everything"),
        ("np.add.at(dE, tokens, dx)", "np.add.at(dE, tokens[:, :-1], dx[:, :-1])",
         "the last step is left out"),
        ("np.add.at(dE, tokens, dx)", "np.add.at(dE, tokens, dx / tokens.size)",
         "divided by N T", FACTOR + "|divided by the batch"),
        ("np.add.at(dE, tokens, dx)", "np.add.at(dE, tokens - 1, dx)", "rows are shifted by one",
         "tokens shifted by one"),
    ),
    (7, "bce_forward"): (
        ("np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))",
         "np.maximum(z, 0) - z * y + np.log1p(np.exp(-z))", "the absolute value is missing"),
        ("np.log1p(np.exp(-np.abs(z)))", "np.exp(-np.abs(z))", "the logarithm is missing"),
        ("- z * y", "+ z * y", "the sign of z y"),
        ("np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))", "(sigmoid(z) - y) ** 2",
         "the squared error"),
    ),
    (7, "bce_backward"): (
        ("(p - y) / len(z)", "(z - y) / len(z)", "z for p"),
        ("(p - y) / len(z)", "np.mean(p - y)", "the mean over the batch, one number"),
        ("(p - y) / len(z)", "-y / p / len(z)", "the derivative of log p alone"),
        ("p = sigmoid(z)", "p = np.tanh(z)", "tanh for σ"),
    ),
    (7, "adam_step"): (
        ("(1 - beta1) * g\n", "g\n", "1 - β1 is missing"),
        ("m / (1 - beta1 ** t)", "m / (1 - beta1 * t)", "β1 t for β1^t"),
        ("v / (1 - beta2 ** t)", "v / (1 - beta1 ** t)", "β1 for β2"),
        ("(np.sqrt(v_hat) + eps)", "np.sqrt(v_hat) + eps", "ε is added to p"),
        ("lr * m_hat", "lr * g", "g for m̂"),
        ("return p, m, v", "return p, m_hat, v_hat", "the corrected means are returned"),
    ),
    (8, "pad"): (
        ("tokens[n, :len(sequence)] = sequence", "tokens[n, :len(sequence)] = sequence[::-1]", "reversed"),
        ("len(sequence) for", "len(set(sequence)) for", "different words are counted"),
        ("lengths = np.array([len(sequence) for sequence in sequences])",
         "lengths = max(map(len, sequences))",
         "one length for all"),
    ),
    (8, "masked_rnn_forward"): (
        ("np.arange(T) < lengths[:, None]", "np.arange(T) >= T - lengths[:, None]",
         "the mask is at the front"),
        ("np.where(r, new, h[:, t])", "np.where(r, h[:, t], new)", "the mask is turned round"),
        ("np.where(r, new, h[:, t])", "r * new + h[:, t]", "the old state is added"),
        ("np.where(r, new, 0)", "np.where(r, h[:, t], 0)", "the state before the step is put out"),
        ("return out, h[:, T].copy(),", "return out, out[:, -1].copy(),", "h_last is read from out",
         "the state is zero at padded steps, or h_last is read from out"),
    ),
    (8, "masked_rnn_backward"): (
        ("h[:, t + 1] ** 2", "h[:, t] ** 2", "tanh' of the state before"),
        ("dh + np.where(r, dout[:, t], 0)", "np.where(r, dh + dout[:, t], 0)",
         "the gradient is lost at padded steps", "gradient stops at padded steps"),
        ("np.where(r, dhx[:, :H], dh_t)", "dhx[:, :H] + dh_t", "both ways at every step"),
        ("dh = dh_last ", "dh = dh_last + dout[:, -1] ", "the last output counts twice"),
        ("dW += np", "dW = np", "= for +=", ADD),
        ("reversed(range(T))", "range(T)", "the loop runs forwards"),
    ),
    (9, "gru_step"): (
        ("b[2 * H:3 * H] + r * q", "b[2 * H:3 * H] + z * q", "z for r", ANY),
        ("r * q)", "r * from_h[:, 2 * H:])", "b_nh is missing in n", ANY),
        ("(1 - z) * n + z * h_prev", "n + z * (h_prev + n)", "a sign in the sum", ANY),
        ("+ b[3 * H:]", "+ b[2 * H:3 * H]", "b_nx in place of b_nh", ANY),
        (("r = sigmoid", "z = sigmoid"), ("z = sigmoid", "r = sigmoid"), "Keras' order z, r, n",
         ANY + "|" + ORDER),
    ),
    (9, "gru_step_backward"): (
        ("dh * (h_prev - n)", "dh * h_prev", "n is missing in dz"),
        ("dn * (1 - n ** 2)", "dn * n * (1 - n)", "σ' for tanh'", RULE),
        ("dn * (1 - n ** 2)", "dn * (1 - q ** 2)", "tanh' of q", TANH),
        ("dq = da_n * r", "dq = da_n * z", "z for r in dq"),
        ("dr = da_n * q", "dr = dn * q", "dn for da_n in dr", BEFORE),
        ("dr * r * (1 - r)", "dr * z * (1 - z)", "σ' of z for r's"),
        ("to_h = np.concatenate([da_r, da_z, dq]", "to_h = np.concatenate([da_r, da_z, da_n]",
         "da_n for dq towards h", GRU_R),
        ("to_x = np.concatenate([da_r, da_z, da_n]", "to_x = np.concatenate([da_r, da_z, dq]",
         "dq for da_n towards x"),
        ("h_prev.T @ to_h", "h_prev.T @ to_x", "to_x for to_h in dW", GRU_R),
        ("[da_r, da_z, da_n, dq]", "[da_r, da_z, dq, da_n]", "b_nx and b_nh exchanged in db"),
        ("dh_prev = dh * z  ", "dh_prev = dh * (1 - z)  ", "1 - z on the direct way", GRU_Z),
    ),
    (10, "clip_by_norm"): (
        ("(g ** 2).sum() for", "(g ** 2).mean() for", "mean squares"),
        ("(g ** 2).sum() for", "g.sum() ** 2 for", "the square of the sum"),
        ("min(1.0, max_norm / norm)", "max(1.0, max_norm / norm)", "max for min"),
        ("min(1.0, max_norm / norm)", "min(1.0, norm / max_norm)", "the quotient is upside down"),
        ("grads], norm", "grads], norm * factor", "the norm afterwards is returned"),
    ),
    (10, "survival"): (
        ("-(a + bias)", "-a + bias", "a sign of the bias"),
        ("f.prod(axis=0)", "np.log(f).sum(axis=0)", "exp is missing"),
        ("f.prod(axis=0)", "f.cumprod(axis=0)", "the mean over all steps"),
        ("f.prod(axis=0)", "f[-1]", "the last step alone"),
    ),
    (10, "bias_needed"): (
        ("range(21)", "range(1, 21)", "0 is not tried"),
        ("range(21)", "range(20)", "20 is not tried"),
        (">= share", "> share", "> for >="),
        ("return bias\n", "return survival(a, bias)\n", "the share is returned"),
    ),
}
WRONG = tuple(Wrong(*key, *row) for key, rows in TABLE.items() for row in rows)
