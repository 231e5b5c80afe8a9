"""Right answers in forms that a solution does not have; each gets every point of its functions.

The functions of a step that an entry leaves out are those of the solution.
"""

from __future__ import annotations

from typing import NamedTuple


class Unusual(NamedTuple):
    """``loose``: float32 inside, so that values agree to 1e-4 only."""

    step: int
    form: str
    code: str
    loose: bool = False


UNUSUAL = tuple(Unusual(*row) for row in (
    (1, "einsum everywhere", '''
def rnn_step(x, h_prev, W, b):
    H = h_prev.shape[-1]
    h = np.tanh(np.einsum("nh,hk->nk", h_prev, W[:H]) + np.einsum("nd,dk->nk", x, W[H:]) + b)
    return h, dict(x=x, h_prev=h_prev, W=W, h=h)


def rnn_step_backward(dh, cache):
    W, h = cache["W"], cache["h"]
    H = h.shape[1]
    dz = np.einsum("nk,nk->nk", dh, 1 - np.square(h))
    dW = np.vstack([np.einsum("nh,nk->hk", cache["h_prev"], dz), np.einsum("nd,nk->dk", cache["x"], dz)])
    return np.einsum("nk,dk->nd", dz, W[H:]), np.einsum("nk,hk->nh", dz, W[:H]), dW, np.einsum("nk->k", dz)
'''),
    (1, "a loop over the batch, lists, W.dot", '''
def rnn_step(x, h_prev, W, b):
    rows = [np.tanh(W.T.dot(np.r_[h_prev[n], x[n]]) + b) for n in range(len(x))]
    return np.array(rows), [x, h_prev, W, rows]


def rnn_step_backward(dh, cache):
    x, h_prev, W, rows = cache
    D, H = x.shape[1], h_prev.shape[1]
    dx, dh_prev, dW, db = [], [], np.zeros(W.shape), np.zeros(H)
    for n, h in enumerate(rows):
        delta = dh[n] * (1 - h) * (1 + h)
        dW += np.outer(np.r_[h_prev[n], x[n]], delta)
        db += delta
        both = W.dot(delta)
        dh_prev.append(both[:-D])
        dx.append(both[-D:])
    return np.array(dx), np.array(dh_prev), dW, db
'''),
    (1, "a class inside, a list returned", '''
class Tape:
    def __init__(self, **kept):
        self.__dict__.update(kept)


def rnn_step(x, h_prev, W, b):
    a = np.hstack((h_prev, x)) @ W
    a += b
    return np.tanh(a), Tape(x=x, s=h_prev, a=a, W=W)


def rnn_step_backward(dh, cache):
    g = dh / np.cosh(cache.a) ** 2
    k = cache.s.shape[1]
    back = np.dot(g, cache.W.transpose())
    return [back[:, k:], back[:, :k], np.dot(np.hstack((cache.s, cache.x)).T, g), np.sum(g, 0)]
'''),
    (1, "tanh by exponentials, split, keepdims", '''
def rnn_step(x, h_prev, W, b):
    hx = np.c_[h_prev, x]
    e = np.exp(2 * (hx @ W + b.reshape(1, -1)))
    h = (e - 1) / (e + 1)
    return h, (hx, h, W)


def rnn_step_backward(dh, cache):
    hx, h, W = cache
    dz = np.multiply(dh, np.subtract(1, np.power(h, 2)))
    db = np.sum(dz, axis=0, keepdims=True).reshape(-1)
    dh_prev, dx = np.split(np.matmul(dz, np.swapaxes(W, 0, 1)), [h.shape[1]], axis=1)
    return dx, dh_prev, np.tensordot(hx, dz, axes=([0], [0])), db
'''),
    (2, "lists of states, calls its own step", '''
def _one(x_t, h, W, b):
    return np.tanh(np.hstack([h, x_t]) @ W + b)


def rnn_forward(x, h0, W, b):
    states = [h0]
    for x_t in x.transpose(1, 0, 2):
        states.append(_one(x_t, states[-1], W, b))
    return np.stack(states[1:], axis=1), (x, states, W)


def rnn_backward(dh, cache):
    x, states, W = cache
    H = W.shape[1]
    carry, dxs, dW, db = 0, [], 0, 0
    for t in range(x.shape[1])[::-1]:
        da = (dh[:, t] + carry) * (1 - states[t + 1] ** 2)
        dW = dW + np.hstack([states[t], x[:, t]]).T @ da
        db = db + da.sum(0)
        dxs.insert(0, da @ W[H:].T)
        carry = da @ W[:H].T
    return np.stack(dxs, 1), carry, dW, db
'''),
    (2, "dW once after the loop", '''
def rnn_backward(dh, cache):
    x, h, W = cache
    T, H = x.shape[1], h.shape[2]
    delta = np.empty_like(dh)
    for t in range(T - 1, -1, -1):
        delta[:, t] = dh[:, t]
        if t < T - 1:
            delta[:, t] += delta[:, t + 1] @ W[:H].T
        delta[:, t] *= 1 - h[:, t + 1] ** 2
    hx = np.concatenate([h[:, :-1], x], axis=2)
    dW = np.tensordot(hx, delta, axes=((0, 1), (0, 1)))
    return delta @ W[H:].T, delta[:, 0] @ W[:H].T, dW, delta.sum(axis=(0, 1))
'''),
    (2, "recursion, no loop", '''
def rnn_backward(dh, cache):
    x, h, W = cache
    T, H = x.shape[1], h.shape[2]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(H)

    def back(t, from_later):
        if t < 0:
            return from_later
        dz = (dh[:, t] + from_later) * (1 - h[:, t + 1] ** 2)
        dW[:H] += h[:, t].T @ dz
        dW[H:] += x[:, t].T @ dz
        db[:] += dz.sum(axis=0)
        dx[:, t] = dz @ W[H:].T
        return back(t - 1, dz @ W[:H].T)
    return dx, back(T - 1, np.zeros_like(h[:, 0])), dW, db
'''),
    (2, "a while loop over a copy, zip", '''
def rnn_backward(dh, cache):
    x, h, W = cache
    H = W.shape[1]
    grad, t = dh.copy(), dh.shape[1]
    dx, (dWh, dWx), db = x * 0.0, (W[:H] * 0.0, W[H:] * 0.0), W[0] * 0.0
    before = np.zeros(h[:, 0].shape)
    while t:
        t -= 1
        grad[:, t] *= 1 - h[:, t + 1] ** 2
        for total, source in zip((dWh, dWx), (h[:, t], x[:, t])):
            total += source.T @ grad[:, t]
        db += grad[:, t].sum(0)
        dx[:, t] = grad[:, t] @ W[H:].T
        target = grad[:, t - 1] if t else before
        target += grad[:, t] @ W[:H].T
    return dx, before, np.concatenate((dWh, dWx)), db
'''),
    (3, "np.split, a dict of gates", '''
def lstm_step(x, h_prev, c_prev, W, b):
    parts = np.split(np.hstack([h_prev, x]) @ W + b, 4, axis=1)
    gate = {name: (np.tanh if name == "g" else sigmoid)(z) for name, z in zip("fiog", parts)}
    c = gate["f"] * c_prev + gate["i"] * gate["g"]
    return gate["o"] * np.tanh(c), c, (np.hstack([h_prev, x]), c_prev, *gate.values(), np.tanh(c), W)
'''),
    (3, "two products, reshape, another sigmoid", '''
def logistic(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), 1 - 1 / (1 + np.exp(-np.abs(z))))


def lstm_step(x, h_prev, c_prev, W, b):
    N, H = h_prev.shape
    z = (h_prev @ W[:H] + x @ W[H:] + b).reshape(N, 4, H)
    f, i, o = logistic(z[:, :3]).transpose(1, 0, 2)
    c_tilde = np.tanh(z[:, 3])
    c = np.add(np.multiply(f, c_prev), np.multiply(i, c_tilde))
    h = np.multiply(o, np.tanh(c))
    return h, c, (np.hstack([h_prev, x]), c_prev, f, i, o, c_tilde, np.tanh(c), W)
'''),
    (3, "expit by hand in place, out=", '''
def lstm_step(x, h_prev, c_prev, W, b):
    H = h_prev.shape[1]
    hx = np.concatenate((h_prev, x), 1)
    z = hx.dot(W)
    np.add(z, b, out=z)
    z[:, :-H] = 1.0 / (1.0 + np.exp(-z[:, :-H]))
    np.tanh(z[:, -H:], out=z[:, -H:])
    f, i, o, g = (z[:, k:k + H] for k in range(0, 4 * H, H))
    c = f * c_prev
    c += i * g
    return o * np.tanh(c), c, (hx, c_prev, f, i, o, g, np.tanh(c), W)
'''),
    (4, "one array of dz, filled by slices", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, g, tc, W = cache
    N, H = f.shape
    total = dc + o * dh - o * dh * tc ** 2
    dz = np.empty((N, 4 * H))
    dz[:, 0 * H:1 * H] = total * c_prev * (f - f ** 2)
    dz[:, 1 * H:2 * H] = total * g * (i - i ** 2)
    dz[:, 2 * H:3 * H] = dh * tc * (o - o ** 2)
    dz[:, 3 * H:4 * H] = total * i * (1 - g) * (1 + g)
    back = np.matmul(dz, W.T)
    return back[:, H:], back[:, :H], f * total, np.matmul(hx.T, dz), dz.sum(0)
'''),
    (4, "a dict of gates and comprehensions", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, g, tc, W = cache
    H = f.shape[1]
    through = dc + dh * o * (1 - tc * tc)
    slope = {"f": f * (1 - f), "i": i * (1 - i), "o": o * (1 - o), "g": 1 - g * g}
    partner = {"f": through * c_prev, "i": through * g, "o": dh * tc, "g": through * i}
    block = {name: slice(k * H, (k + 1) * H) for k, name in enumerate("fiog")}
    d = {name: slope[name] * partner[name] for name in block}
    back = sum(d[name] @ W[:, block[name]].T for name in d)
    dW = np.hstack([hx.T @ d[name] for name in "fiog"])
    db = np.array([d[name][:, k].sum() for name in "fiog" for k in range(H)])
    return back[:, H:], back[:, :H], through * f, dW, db
'''),
    (4, "nested helpers, names exchanged with those of the text", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_old, forget, inp, out, cand, squashed, W = cache
    n_h = forget.shape[1]

    def sig_back(s, up):
        return up * s * (1 - s)

    def tanh_back(t, up):
        return up - up * t ** 2
    d_c = tanh_back(squashed, dh * out) + dc
    delta = np.column_stack([sig_back(forget, d_c * c_old), sig_back(inp, d_c * cand),
                             sig_back(out, dh * squashed), tanh_back(cand, d_c * inp)])
    d_hx = (W @ delta.T).T
    return d_hx[:, n_h:], d_hx[:, :n_h], d_c * forget, (delta.T @ hx).T, np.ones(len(delta)) @ delta
'''),
    (4, "in place on copies", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    dc = np.array(dc)
    dc += dh * o
    dc -= dh * o * tanh_c ** 2
    dz = np.concatenate([c_prev, c_tilde, tanh_c, i], axis=1)
    dz[:, :2 * f.shape[1]] *= np.tile(dc, 2)
    dz[:, 2 * f.shape[1]:3 * f.shape[1]] *= dh
    dz[:, 3 * f.shape[1]:] *= dc * (1 - c_tilde ** 2)
    gates = np.concatenate([f, i, o], axis=1)
    dz[:, :-f.shape[1]] *= gates * (1 - gates)
    dhx = dz @ W.T
    dh_prev, dx = dhx[:, :f.shape[1]], dhx[:, f.shape[1]:]
    return dx, dh_prev, dc * f, hx.T @ dz, dz.sum(axis=0)
'''),
    (5, "one cache dict for each step, no lstm_step at all", '''
def lstm_forward(x, h0, c0, W, b):
    H, kept, hs = h0.shape[1], [], []
    h, c = h0, c0
    for t in range(x.shape[1]):
        hx = np.hstack([h, x[:, t]])
        f, i, o, u = np.split(hx @ W + b, 4, axis=1)
        f, i, o, u = 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-o)), np.tanh(u)
        kept.append(dict(hx=hx, c_prev=c, f=f, i=i, o=o, u=u, W=W))
        c = f * c + i * u
        h = o * np.tanh(c)
        kept[-1]["c"] = c
        hs.append(h)
    return np.stack(hs, axis=1), c, kept


def lstm_backward(dh, dc_last, caches):
    W = caches[0]["W"]
    H = W.shape[1] // 4
    dW, db, dxs = np.zeros(W.shape), np.zeros(4 * H), []
    dh_in, dc_in = np.zeros(dc_last.shape), dc_last
    for t, k in reversed(list(enumerate(caches))):
        up = dh[:, t] + dh_in
        tc = np.tanh(k["c"])
        dc = dc_in + up * k["o"] * (1 - tc ** 2)
        dz = np.hstack([dc * k["c_prev"] * k["f"] * (1 - k["f"]), dc * k["u"] * k["i"] * (1 - k["i"]),
                        up * tc * k["o"] * (1 - k["o"]), dc * k["i"] * (1 - k["u"] ** 2)])
        dW += k["hx"].T @ dz
        db += dz.sum(0)
        back = dz @ W.T
        dh_in, dc_in = back[:, :H], dc * k["f"]
        dxs.append(back[:, H:])
    return np.stack(dxs[::-1], axis=1), dh_in, dc_in, dW, db
'''),
    (5, "caches popped from a copy, dc_last copied", '''
def lstm_backward(dh, dc_last, caches):
    left = list(caches)
    grads = np.moveaxis(dh, 1, 0)
    dxs, dh_next, dc_next, dWs, dbs = [], 0.0, dc_last.copy(), [], []
    while left:
        dx, dh_next, dc_next, dW, db = lstm_step_backward(grads[len(left) - 1] + dh_next, dc_next, left.pop())
        dxs.append(dx)
        dWs.append(dW)
        dbs.append(db)
    return np.stack(dxs[::-1], axis=1), dh_next, dc_next, sum(dWs), sum(dbs)
'''),
    (5, "an array of gates over time", '''
def lstm_forward(x, h0, c0, W, b):
    (N, T, D), H = x.shape, h0.shape[1]
    hs, cs, zs = np.zeros((T + 1, N, H)), np.zeros((T + 1, N, H)), np.zeros((T, N, 4 * H))
    hs[0], cs[0] = h0, c0
    for t in range(T):
        zs[t] = np.c_[hs[t], x[:, t]] @ W + b
        g = np.where(np.arange(4 * H) < 3 * H, sigmoid(zs[t]), np.tanh(zs[t]))
        cs[t + 1] = g[:, :H] * cs[t] + g[:, H:2 * H] * g[:, 3 * H:]
        hs[t + 1] = g[:, 2 * H:3 * H] * np.tanh(cs[t + 1])
    return hs[1:].swapaxes(0, 1), cs[T], (x, hs, cs, zs, W)


def lstm_backward(dh, dc_last, caches):
    x, hs, cs, zs, W = caches
    T, H = len(zs), hs.shape[2]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(4 * H)
    dhn, dcn = np.zeros_like(hs[0]), dc_last
    for t in range(T - 1, -1, -1):
        s, u = sigmoid(zs[t]), np.tanh(zs[t][:, 3 * H:])
        f, i, o = s[:, :H], s[:, H:2 * H], s[:, 2 * H:3 * H]
        d = dh[:, t] + dhn
        tc = np.tanh(cs[t + 1])
        dc = dcn + d * o * (1 - tc * tc)
        dz = np.c_[dc * cs[t] * f * (1 - f), dc * u * i * (1 - i), d * tc * o * (1 - o), dc * i * (1 - u * u)]
        dW += np.r_[hs[t].T @ dz, x[:, t].T @ dz]
        db += dz.sum(0)
        dx[:, t], dhn, dcn = dz @ W[H:].T, dz @ W[:H].T, dc * f
    return dx, dhn, dcn, dW, db
'''),
    (6, "products with one-hot matrices", '''
def embedding_forward(tokens, E):
    hot = (tokens[..., None] == np.arange(len(E))).astype(float)
    return hot @ E, hot


def embedding_backward(dx, cache):
    return np.einsum("ntv,ntd->vd", cache, dx)
'''),
    (6, "np.take and bincount for each column", '''
def embedding_forward(tokens, E):
    return np.take(E, tokens, axis=0), (tokens, E.shape)


def embedding_backward(dx, cache):
    tokens, (V, D) = cache
    columns = [np.bincount(tokens.ravel(), weights=dx[..., d].ravel(), minlength=V) for d in range(D)]
    return np.stack(columns, axis=1)
'''),
    (6, "a dict by word", '''
def embedding_forward(tokens, E):
    return np.array([[E[v] for v in row] for row in tokens]), (tokens.tolist(), E.shape)


def embedding_backward(dx, cache):
    rows, shape = cache
    sums = {}
    for row, grads in zip(rows, dx):
        for v, grad in zip(row, grads):
            sums[v] = sums.get(v, 0) + grad
    return np.stack([sums.get(v, np.zeros(shape[1])) for v in range(shape[0])])
'''),
    (7, "logaddexp, a Python float, a list of labels", '''
def bce_forward(z, y):
    losses = np.logaddexp(0, z) - y * z
    return float(np.average(losses)), {"z": z, "y": y}


def bce_backward(cache):
    z = cache["z"]
    return np.where(cache["y"] == 1, -sigmoid(-z), sigmoid(z)) / z.size
'''),
    (7, "Adam with corrected step size", '''
def adam_step(p, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g * g - v)
    root = np.sqrt(1 - beta2 ** t)
    return p - lr * root / (1 - beta1 ** t) * m / (np.sqrt(v) + eps * root), m, v
'''),
    (7, "softplus as a helper, log-sum-exp of two classes, ** 0.5", '''
def softplus(z):
    high = np.maximum(z, 0.0)
    return high + np.log(np.exp(z - high) + np.exp(-high))


def bce_forward(z, y):
    return np.mean(y * softplus(-z) + (1 - y) * softplus(z)), (z, y)


def adam_step(p, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = [beta * mean + (1 - beta) * new for beta, mean, new in ((beta1, m, g), (beta2, v, g ** 2))]
    return p - lr * (m / (1 - beta1 ** t)) / ((v / (1 - beta2 ** t)) ** 0.5 + eps), m, v
'''),
    (8, "masks as numbers, zip_longest", '''
def pad(sequences):
    from itertools import zip_longest
    columns = list(zip_longest(*sequences, fillvalue=0))
    return np.array(columns).T, np.fromiter(map(len, sequences), int)


def masked_rnn_forward(x, lengths, h0, W, b):
    (N, T, D), H = x.shape, h0.shape[1]
    m = np.zeros((N, T, 1))
    for n, k in enumerate(lengths):
        m[n, :k] = 1
    hs, h = [h0], h0
    for t in range(T):
        h = m[:, t] * np.tanh(h @ W[:H] + x[:, t] @ W[H:] + b) + (1 - m[:, t]) * h
        hs.append(h)
    return np.stack(hs[1:], 1) * m, h, (x, hs, m, W)


def masked_rnn_backward(dout, dh_last, cache):
    x, hs, m, W = cache
    H = W.shape[1]
    dx, dW, db, g = np.zeros_like(x), np.zeros_like(W), np.zeros(H), dh_last
    for t in reversed(range(x.shape[1])):
        g = g + dout[:, t] * m[:, t]
        dz = g * m[:, t] * (1 - hs[t + 1] ** 2)
        dW[:H] += hs[t].T @ dz
        dW[H:] += x[:, t].T @ dz
        db += dz.sum(0)
        dx[:, t] = dz @ W[H:].T
        g = (1 - m[:, t]) * g + dz @ W[:H].T
    return dx, g, dW, db
'''),
    (8, "each sequence on its own", '''
def masked_rnn_forward(x, lengths, h0, W, b):
    out, states = np.zeros((*x.shape[:2], h0.shape[1])), []
    for n, length in enumerate(lengths):
        own = [h0[n]]
        for t in range(length):
            own.append(np.tanh(np.append(own[-1], x[n, t]) @ W + b))
            out[n, t] = own[-1]
        states.append(own)
    return out, np.array([own[-1] for own in states]), (x, states, W)


def masked_rnn_backward(dout, dh_last, cache):
    x, states, W = cache
    H = W.shape[1]
    dx, dh0, dW, db = np.zeros_like(x), np.zeros_like(dh_last), np.zeros_like(W), np.zeros(H)
    for n, own in enumerate(states):
        g = dh_last[n]
        for t in range(len(own) - 2, -1, -1):
            dz = (g + dout[n, t]) * (1 - own[t + 1] ** 2)
            dW += np.outer(np.append(own[t], x[n, t]), dz)
            db += dz
            both = W @ dz
            g, dx[n, t] = both[:H], both[H:]
        dh0[n] = g
    return dx, dh0, dW, db
'''),
    (8, "the last states picked by length, boolean rows", '''
def pad(sequences):
    lengths = np.array(list(map(len, sequences)))
    tokens = np.zeros((lengths.size, lengths.max()), int)
    tokens[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(sequences)
    return tokens, lengths


def masked_rnn_backward(dout, dh_last, cache):
    x, h, real, W = cache
    H = h.shape[2]
    dx, dW, db, dh = 0 * x, 0 * W, np.zeros(H), dh_last.copy()
    for t in range(x.shape[1])[::-1]:
        rows = np.flatnonzero(real[:, t])
        dz = (dh[rows] + dout[rows, t]) * (1 - h[rows, t + 1] ** 2)
        dW += np.hstack([h[rows, t], x[rows, t]]).T @ dz
        db += dz.sum(0)
        dx[rows, t], dh[rows] = dz @ W[H:].T, dz @ W[:H].T
    return dx, dh, dW, db
'''),
    (9, "each gate with its own matrices", '''
def gru_step(x, h_prev, W, b):
    H = h_prev.shape[1]
    Wh, Wx = np.split(W[:H], 3, axis=1), np.split(W[H:], 3, axis=1)
    br, bz, bnx, bnh = b.reshape(4, H)
    r, z = (sigmoid(h_prev @ A + x @ B + c) for A, B, c in zip(Wh, Wx, (br, bz)))
    q = h_prev @ Wh[2] + bnh
    n = np.tanh(x @ Wx[2] + bnx + r * q)
    return n + z * (h_prev - n), (x, h_prev, Wh, Wx, r, z, q, n)


def gru_step_backward(dh, cache):
    x, h_prev, Wh, Wx, r, z, q, n = cache
    an = dh * (1 - z) * (1 - n ** 2)
    az = dh * (h_prev - n) * z * (1 - z)
    ar = an * q * r * (1 - r)
    to_h, to_x = (ar, az, an * r), (ar, az, an)
    dW = np.block([[h_prev.T @ a for a in to_h], [x.T @ a for a in to_x]])
    dh_prev = z * dh + sum(a @ M.T for a, M in zip(to_h, Wh))
    db = np.hstack([a.sum(0) for a in (ar, az, an, an * r)])
    return sum(a @ M.T for a, M in zip(to_x, Wx)), dh_prev, dW, db
'''),
    (9, "1 - n², expanded, other names, in place on its own arrays", '''
def gru_step_backward(dh, cache):
    x, h_prev, reset, update, cand, inner, W = cache
    H = h_prev.shape[1]
    g_n = dh - dh * update
    g_n -= g_n * cand * cand
    g_q = g_n * reset
    g_z = dh * h_prev - dh * cand
    g_z *= update - update ** 2
    g_r = g_n * inner
    g_r *= reset - reset ** 2
    left, right = np.hstack((g_r, g_z, g_q)), np.hstack((g_r, g_z, g_n))
    d_h = left @ W[:H].T
    d_h += dh * update
    d_W = np.empty_like(W)
    d_W[:H], d_W[H:] = h_prev.T @ left, x.T @ right
    return right @ W[H:].T, d_h, d_W, np.concatenate((g_r, g_z, g_n, g_q), 1).sum(0)
'''),
    (9, "a namedtuple as cache, lambda sigmoid", '''
from collections import namedtuple
Kept = namedtuple("Kept", "x h r z n q W")
sig = lambda a: 1 / (1 + np.exp(-a))


def gru_step(x, h_prev, W, b):
    H = h_prev.shape[1]
    both = np.hstack([h_prev, x]) @ W[:, :2 * H] + b[:2 * H]
    r, z = sig(both[:, :H]), sig(both[:, H:])
    q = np.dot(h_prev, W[:H, 2 * H:]) + b[3 * H:]
    n = np.tanh(np.dot(x, W[H:, 2 * H:]) + b[2 * H:3 * H] + r * q)
    return z * h_prev + (1 - z) * n, Kept(x, h_prev, r, z, n, q, W)


def gru_step_backward(dh, cache):
    k = cache
    H = k.h.shape[1]
    dn = dh * (1 - k.z) * (1 - k.n * k.n)
    dr, dz = dn * k.q * k.r * (1 - k.r), dh * (k.h - k.n) * k.z * (1 - k.z)
    hx_rz = np.hstack([k.h, k.x]).T @ np.hstack([dr, dz])
    dW = np.hstack([hx_rz, np.vstack([k.h.T @ (dn * k.r), k.x.T @ dn])])
    back = np.hstack([dr, dz]) @ k.W[:, :2 * H].T
    dh_prev = back[:, :H] + (dn * k.r) @ k.W[:H, 2 * H:].T + dh * k.z
    dx = back[:, H:] + dn @ k.W[H:, 2 * H:].T
    return dx, dh_prev, dW, np.concatenate([dr.sum(0), dz.sum(0), dn.sum(0), (dn * k.r).sum(0)])
'''),
    (10, "one long vector, np.linalg.norm, a tuple of arrays", '''
def clip_by_norm(grads, max_norm):
    norm = np.linalg.norm(np.concatenate([np.ravel(g) for g in grads]))
    if norm <= max_norm:
        return list(grads), norm
    return [max_norm * g / norm for g in grads], norm
'''),
    (10, "logarithms, next over a generator", '''
def survival(a, bias):
    return np.mean(np.exp(-np.logaddexp(0, -(np.asarray(a) + bias)).sum(axis=0)))


def bias_needed(a, share):
    return next((bias for bias in range(21) if not survival(a, bias) < share), None)
'''),
    (10, "functools.reduce, math.hypot, while", '''
import functools
import math


def clip_by_norm(grads, max_norm):
    norm = math.hypot(*(float(np.linalg.norm(g)) for g in grads))
    return [g * (max_norm / max(norm, max_norm)) for g in grads], norm


def survival(a, bias):
    gates = 0.5 + 0.5 * np.tanh(0.5 * (a + bias))
    return functools.reduce(np.multiply, gates).sum() / a.shape[1]


def bias_needed(a, share):
    bias = 0
    while bias <= 20 and survival(a, bias) < share:
        bias += 1
    return bias if bias <= 20 else None
'''),
    (1, "the backward as a method bound to a name, a global helper object", '''
class Step:
    def forward(self, x, h_prev, W, b):
        self.hx = np.concatenate([h_prev, x], axis=1)
        h = np.tanh(self.hx @ W + b)
        return h, (self.hx, h, W)

    def backward(self, dh, cache):
        hx, h, W = cache
        dz = dh * (1 - h * h)
        dhx = dz @ W.T
        return dhx[:, h.shape[1]:], dhx[:, :h.shape[1]], hx.T @ dz, dz.sum(axis=0)


_step = Step()
rnn_step = _step.forward
rnn_step_backward = _step.backward
'''),
    (4, "type hints, keywords, star-unpacking, walrus", '''
def lstm_step_backward(dh: np.ndarray, dc: np.ndarray, cache: tuple) -> tuple:
    hx, c_prev, *gates, tanh_c, W = cache
    f, i, o, g = gates
    H = (N_H := f.shape)[1]
    dc = dc + (d_tanh := dh * o) * (1 - tanh_c ** 2)
    ups = dc * c_prev, dc * g, dh * tanh_c, dc * i
    slopes = [s * (1 - s) if s is not g else 1 - s ** 2 for s in gates]
    dz = np.stack([up * slope for up, slope in zip(ups, slopes)], axis=1).reshape(N_H[0], -1)
    dhx = np.inner(dz, W)
    return dhx[..., H:], dhx[..., :H], dc * f, np.einsum("nr,nk->rk", hx, dz), np.add.reduce(dz)
'''),
    (1, "float32 inside the forward", '''
def rnn_step(x, h_prev, W, b):
    hx = np.concatenate([h_prev, x], axis=1).astype(np.float32)
    h = np.tanh(hx @ W.astype(np.float32) + b.astype(np.float32))
    return h, (hx, h, W)
''', True),
    (6, "float32 table of gradients", '''
def embedding_backward(dx, cache):
    tokens, shape = cache
    dE = np.zeros(shape, dtype=np.float32)
    np.add.at(dE, tokens, dx.astype(np.float32))
    return dE
''', True),
    (2, "float32 buffer for the states", '''
def rnn_forward(x, h0, W, b):
    (N, T, _), H = x.shape, h0.shape[1]
    h = np.zeros((N, T + 1, H), dtype="f4")
    h[:, 0] = h0
    for t in range(T):
        h[:, t + 1] = np.tanh(np.concatenate([h[:, t], x[:, t]], axis=1) @ W + b)
    return h[:, 1:].copy(), (x, h, W)
''', True),
))
