"""A second set of right answers in unusual forms; each gets every point of its functions.

The functions of a step that an entry leaves out are those of the solution.
"""

from __future__ import annotations

from unusual import Unusual

UNUSUAL = tuple(Unusual(*row) for row in (
    (1, "examples in columns", '''
def rnn_step(x, h_prev, W, b):
    column = np.vstack([h_prev.T, x.T])              # (H + D, N)
    state = np.tanh(W.T @ column + b[:, None])
    return state.T, (column, state, W)


def rnn_step_backward(dh, cache):
    column, state, W = cache
    H = state.shape[0]
    delta = dh.T * (1 - state ** 2)
    back = W @ delta
    return back[H:].T, back[:H].T, column @ delta.T, delta.sum(axis=1)
'''),
    (1, "loops over every index", '''
def rnn_step_backward(dh, cache):
    hx, h, W = cache
    N, H = h.shape
    R = W.shape[0]
    dhx, dW, db = np.zeros((N, R)), np.zeros((R, H)), np.zeros(H)
    for n in range(N):
        for k in range(H):
            s = dh[n, k] * (1.0 - h[n, k] * h[n, k])
            db[k] += s
            for j in range(R):
                dW[j, k] += hx[n, j] * s
                dhx[n, j] += W[j, k] * s
    return dhx[:, H:], dhx[:, :H], dW, db
'''),
    (1, "the cache is a function", '''
def rnn_step(x, h_prev, W, b):
    H = h_prev.shape[1]
    Wh, Wx = W[:H], W[H:]
    h = np.tanh(h_prev @ Wh + x @ Wx + b)

    def pull(dh):
        g = dh - dh * h * h
        return g @ Wx.T, g @ Wh.T, np.concatenate([h_prev.T @ g, x.T @ g]), g.sum(0)
    return h, pull


def rnn_step_backward(dh, cache):
    return cache(dh)
'''),
    (1, "a dataclass as cache, a bias row in W", '''
from dataclasses import dataclass


@dataclass
class Memory:
    rows: np.ndarray
    out: np.ndarray
    weights: np.ndarray


def rnn_step(x, h_prev, W, b):
    rows = np.c_[h_prev, x, np.ones(len(x))]
    weights = np.r_[W, b[None]]
    out = np.tanh(rows @ weights)
    return out, Memory(rows, out, weights)


def rnn_step_backward(dh, cache):
    H = cache.out.shape[1]
    g = (1 - cache.out ** 2) * dh
    d_weights = cache.rows.T @ g
    d_rows = g @ cache.weights.T
    return d_rows[:, H:-1], d_rows[:, :H], d_weights[:-1], d_weights[-1]
'''),
    (1, "a decorator, keyword arguments, np.moveaxis", '''
import functools


def named(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner


@named
def rnn_step(x, h_prev, W, b):
    stacked = np.concatenate((h_prev, x), axis=-1)
    pre = np.sum(stacked[:, :, None] * W[None, :, :], axis=1) + b
    h = np.tanh(pre)
    return h, {"in": stacked, "out": h, "W": W}


@named
def rnn_step_backward(dh, cache):
    h = cache["out"]
    dpre = np.multiply(dh, 1 - h ** 2)
    dstacked = np.sum(dpre[:, None, :] * cache["W"][None, :, :], axis=2)
    dW = np.sum(cache["in"][:, :, None] * dpre[:, None, :], axis=0)
    dh_prev, dx = np.array_split(dstacked, [h.shape[1]], axis=1)
    return dx, dh_prev, dW, np.moveaxis(dpre, 0, 1).sum(axis=1)
'''),
    (1, "Jacobian matrices of each example", '''
def rnn_step_backward(dh, cache):
    hx, h, W = cache
    N, H = h.shape
    jacobian = (1 - h * h)[:, :, None] * W.T[None]           # (N, H, H + D)
    dhx = np.matmul(dh[:, None, :], jacobian)[:, 0, :]
    dz = dh * (1 - h * h)
    dW = sum(hx[n][:, None] * dz[n][None, :] for n in range(N))
    return dhx[:, H:], dhx[:, :H], dW, sum(dz)
'''),
    (2, "states in a dict from -1, as in a well-known gist", '''
def rnn_forward(x, h0, W, b):
    H = h0.shape[1]
    xs, hs = {}, {-1: np.copy(h0)}
    for t in range(x.shape[1]):
        xs[t] = x[:, t]
        hs[t] = np.tanh(xs[t] @ W[H:] + hs[t - 1] @ W[:H] + b)
    return np.stack([hs[t] for t in range(len(xs))], axis=1), (xs, hs, W)


def rnn_backward(dh, cache):
    xs, hs, W = cache
    H = W.shape[1]
    dWhh, dWxh, dbh = np.zeros_like(W[:H]), np.zeros_like(W[H:]), np.zeros(H)
    dxs, dhnext = {}, np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        dhraw = (1 - hs[t] * hs[t]) * (dh[:, t] + dhnext)
        dbh += np.sum(dhraw, axis=0)
        dWxh += np.dot(xs[t].T, dhraw)
        dWhh += np.dot(hs[t - 1].T, dhraw)
        dxs[t] = np.dot(dhraw, W[H:].T)
        dhnext = np.dot(dhraw, W[:H].T)
    return np.stack([dxs[t] for t in range(len(xs))], 1), dhnext, np.vstack([dWhh, dWxh]), dbh
'''),
    (2, "itertools.accumulate, all inputs multiplied at once", '''
from itertools import accumulate


def rnn_forward(x, h0, W, b):
    H = h0.shape[1]
    Wh = W[:H]
    drive = np.einsum("ntd,dk->tnk", x, W[H:]) + b
    states = list(accumulate(drive, lambda h, a: np.tanh(a + h @ Wh), initial=h0))
    return np.array(states[1:]).transpose(1, 0, 2), dict(x=x, states=states, W=W)


def rnn_backward(dh, cache):
    W, states, x = cache["W"], cache["states"], cache["x"]
    H = W.shape[1]
    slopes = [1 - s * s for s in states[1:]]
    ups = list(zip(dh.transpose(1, 0, 2), slopes))[::-1]
    first = ups[0][0] * ups[0][1]
    deltas = list(accumulate(ups[1:], lambda d, up: (up[0] + d @ W[:H].T) * up[1], initial=first))[::-1]
    delta = np.stack(deltas, axis=1)
    before = np.stack(states[:-1], axis=1)
    dW = np.concatenate([np.einsum("nth,ntk->hk", before, delta), np.einsum("ntd,ntk->dk", x, delta)])
    return delta @ W[H:].T, deltas[0] @ W[:H].T, dW, np.einsum("ntk->k", delta)
'''),
    (2, "one linear system for all steps", '''
def rnn_backward(dh, cache):
    x, h, W = cache
    (N, T, D), H = x.shape, h.shape[2]
    dz = np.zeros((N, T, H))
    for n in range(N):
        system = np.eye(T * H)
        for t in range(T - 1):
            slope = np.diag(1 - h[n, t + 1] ** 2)
            system[t * H:(t + 1) * H, (t + 1) * H:(t + 2) * H] = -slope @ W[:H]
        right = dh[n] * (1 - h[n, 1:] ** 2)
        dz[n] = np.linalg.solve(system, right.ravel()).reshape(T, H)
    hx = np.concatenate([h[:, :T], x], axis=2).reshape(N * T, -1)
    flat = dz.reshape(N * T, H)
    return (flat @ W[H:].T).reshape(N, T, D), dz[:, 0] @ W[:H].T, hx.T @ flat, flat.sum(0)
'''),
    (2, "a loop over the batch first, then over time", '''
def rnn_backward(dh, cache):
    x, h, W = cache
    N, T = dh.shape[:2]
    H = dh.shape[2]
    results = []
    for n in range(N):
        dxn, dWn, dbn, carry = [], np.zeros_like(W), np.zeros(H), np.zeros(H)
        for t in range(T)[::-1]:
            carry = carry + dh[n, t]
            d = carry * (1 - h[n, t + 1] ** 2)
            dWn += np.concatenate([h[n, t], x[n, t]])[:, np.newaxis] * d
            dbn += d
            carry = W[:H] @ d
            dxn.append(W[H:] @ d)
        results.append((np.array(dxn[::-1]), carry, dWn, dbn))
    dx, dh0, dW, db = zip(*results)
    return np.array(dx), np.array(dh0), np.sum(dW, axis=0), np.sum(db, axis=0)
'''),
    (2, "a generator that walks back, time flipped", '''
def _back(grads, states, inputs, W):
    H = W.shape[1]
    carry = np.zeros_like(grads[:, 0])
    for g, after, before, x_t in zip(*(np.flip(a, 1).swapaxes(0, 1) for a in (
            grads, states[:, 1:], states[:, :-1], inputs))):
        dz = (g + carry) * (1 - after ** 2)
        carry = dz @ W[:H].T
        yield np.hstack([before, x_t]).T @ dz, dz.sum(axis=0), dz @ W[H:].T, carry


def rnn_backward(dh, cache):
    x, h, W = cache
    dWs, dbs, dxs, carries = map(list, zip(*_back(dh, h, x, W)))
    return np.stack(dxs[::-1], axis=1), carries[-1], np.add.reduce(dWs), np.add.reduce(dbs)
'''),
    (2, "an array with one state too many for the gradients", '''
def rnn_backward(dh, cache):
    x, h, W = cache
    (N, T, _), H = x.shape, W.shape[1]
    total = np.concatenate([np.zeros((N, 1, H)), dh], axis=1)
    dx, dW, db = np.empty_like(x), np.zeros_like(W), np.zeros_like(W[0])
    for t in range(T, 0, -1):
        dz = total[:, t] * (1 - h[:, t] ** 2)
        np.add(dW, np.r_[h[:, t - 1].T, x[:, t - 1].T] @ dz, out=dW)
        np.add(db, dz.sum(axis=0), out=db)
        total[:, t - 1] += np.dot(dz, W[:H].T)
        np.matmul(dz, W[H:].T, out=dx[:, t - 1])
    return dx, total[:, 0].copy(), dW, db
'''),
    (3, "W as four matrices by reshape, einsum, a loop of functions", '''
def lstm_step(x, h_prev, c_prev, W, b):
    H = h_prev.shape[1]
    hx = np.concatenate([h_prev, x], axis=1)
    pre = np.einsum("nr,rgk->gnk", hx, W.reshape(-1, 4, H)) + b.reshape(4, 1, H)
    f, i, o, c_tilde = [act(p) for act, p in zip((sigmoid,) * 3 + (np.tanh,), pre)]
    c = np.sum([f * c_prev, i * c_tilde], axis=0)
    tanh_c = np.tanh(c)
    return tanh_c * o, c, (hx, c_prev, f, i, o, c_tilde, tanh_c, W)
'''),
    (3, "one example at a time", '''
def one_cell(x, h, c, W, b):
    H = len(h)
    z = np.append(h, x) @ W + b
    f, i, o = sigmoid(z[:H]), sigmoid(z[H:-2 * H]), sigmoid(z[-2 * H:-H])
    g = np.tanh(z[-H:])
    new = f * c + i * g
    return o * np.tanh(new), new, f, i, o, g


def lstm_step(x, h_prev, c_prev, W, b):
    rows = [one_cell(*row, W, b) for row in zip(x, h_prev, c_prev)]
    h, c, f, i, o, g = (np.array(column) for column in zip(*rows))
    return h, c, (np.hstack((h_prev, x)), c_prev, f, i, o, g, np.tanh(c), W)
'''),
    (3, "tanh by way of σ, scaled all at once", '''
def lstm_step(x, h_prev, c_prev, W, b):
    hx, H = np.column_stack([h_prev, x]), h_prev.shape[1]
    scale = np.repeat([1.0, 2.0], [3 * H, H])
    s = sigmoid((hx @ W + b) * scale)
    s = s * scale - (scale - 1)                      # 2 σ(2z) - 1 = tanh(z)
    f, i, o, c_tilde = np.hsplit(s, 4)
    c = c_prev * f + c_tilde * i
    return o * (2 * sigmoid(2 * c) - 1), c, (hx, c_prev, f, i, o, c_tilde, np.tanh(c), W)
'''),
    (3, "a class for a gate, the output gate last", '''
class Gate:
    def __init__(self, number, function):
        self.number, self.function = number, function

    def __call__(self, hx, W, b):
        H = W.shape[1] // 4
        place = slice(self.number * H, (self.number + 1) * H)
        return self.function(hx @ W[:, place] + b[place])


FORGET, INPUT, OUTPUT, CANDIDATE = Gate(0, sigmoid), Gate(1, sigmoid), Gate(2, sigmoid), Gate(3, np.tanh)


def lstm_step(x, h_prev, c_prev, W, b):
    args = hx, W, b = np.concatenate([h_prev, x], 1), W, b
    kept = FORGET(*args) * c_prev
    c = kept + (i := INPUT(*args)) * (g := CANDIDATE(*args))
    squashed = np.tanh(c)
    return OUTPUT(*args) * squashed, c, (hx, c_prev, FORGET(*args), i, OUTPUT(*args), g, squashed, W)
'''),
    (4, "gates stacked in one array (4, N, H)", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    a = np.array([f, i, o, c_tilde])
    slope = a * (1 - a)
    slope[3] = 1 - a[3] ** 2
    dc_all = dc + dh * o * (1 - np.square(tanh_c))
    up = np.array([dc_all * c_prev, dc_all * c_tilde, dh * tanh_c, dc_all * i])
    dz = np.moveaxis(up * slope, 0, 1).reshape(len(hx), -1)
    dhx = dz @ W.T
    dh_prev, dx = np.hsplit(dhx, [f.shape[1]])
    return dx, dh_prev, dc_all * f, hx.T @ dz, np.sum(dz, axis=0)
'''),
    (4, "a row at a time", '''
def lstm_step_backward(dh, dc, cache):
    *kept, W = cache
    H = dh.shape[1]
    dx, dh_prev, dc_prev = [], [], []
    dW, db = np.zeros_like(W), np.zeros(W.shape[1])
    for gh, gc, hx, c_old, f, i, o, g, tc in zip(dh, dc, *kept):
        gc = gc + gh * o - gh * o * tc * tc
        dz = np.r_[gc * c_old * f * (1 - f), gc * g * i * (1 - i), gh * tc * o * (1 - o),
                   gc * i * (1 - g * g)]
        dW += np.multiply.outer(hx, dz)
        db += dz
        dh_prev.append(W[:H] @ dz)
        dx.append(W[H:] @ dz)
        dc_prev.append(gc * f)
    return np.vstack(dx), np.vstack(dh_prev), np.vstack(dc_prev), dW, db
'''),
    (4, "by columns of W, gate after gate, += on its own arrays", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    H = f.shape[1]
    dhx, dW, db = np.zeros(hx.shape), np.zeros(W.shape), np.zeros(4 * H)

    def through(k, d):
        place = np.s_[k * H:(k + 1) * H]
        dhx[...] += d @ W[:, place].T
        dW[:, place] = hx.T @ d
        db[place] = d.sum(axis=0)
    through(2, dh * tanh_c * o * (1 - o))
    d_cell = dc + dh * o * (1 - tanh_c ** 2)
    through(0, d_cell * c_prev * f * (1 - f))
    through(1, d_cell * c_tilde * i * (1 - i))
    through(3, d_cell * i * (1 - c_tilde ** 2))
    return dhx[:, H:], dhx[:, :H], d_cell * f, dW, db
'''),
    (4, "a table of (upstream, slope), sums by matrix products", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, g, u, W = cache
    n, H = np.shape(f)
    e = dc + (o - o * u ** 2) * dh
    table = [(e, c_prev, f - f * f), (e, g, i - i * i), (dh, u, o - o * o), (e, i, (1 + g) * (1 - g))]
    dz = np.zeros((n, 0))
    for up, partner, slope in table:
        dz = np.append(dz, up * partner * slope, axis=1)
    with_one = np.column_stack([hx, np.ones(n)])
    grad = np.einsum("nr,nk->rk", with_one, dz)
    back = np.einsum("nk,rk->nr", dz, W)
    return back[:, -(hx.shape[1] - H):], back[:, :H], np.where(True, e * f, 0), grad[:-1], grad[-1]
'''),
    (4, "a small tape of steps run backwards", '''
def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    grad = {"h": dh, "c": dc, "z": [0, 0, 0, 0]}

    def h_is_o_times_tanh_c():
        grad["z"][2] = grad["h"] * tanh_c * o * (1 - o)
        grad["c"] = grad["c"] + grad["h"] * o * (1 - tanh_c ** 2)

    def c_is_f_c_plus_i_g():
        grad["z"][0] = grad["c"] * c_prev * f * (1 - f)
        grad["z"][1] = grad["c"] * c_tilde * i * (1 - i)
        grad["z"][3] = grad["c"] * i * (1 - c_tilde ** 2)
        grad["c"] = grad["c"] * f

    def z_is_hx_w_plus_b():
        dz = np.concatenate(grad.pop("z"), axis=1)
        grad.update(W=hx.T @ dz, b=dz.sum(0), hx=dz @ W.T)
    for step in (h_is_o_times_tanh_c, c_is_f_c_plus_i_g, z_is_hx_w_plus_b):
        step()
    H = f.shape[1]
    return grad["hx"][:, H:], grad["hx"][:, :H], grad["c"], grad["W"], grad["b"]
'''),
    (5, "a class with methods, functions around it", '''
class Cell:
    def __init__(self, W, b):
        self.W, self.b, self.H = W, b, len(b) // 4
        self.tape = []

    def step(self, x, h, c):
        H, hx = self.H, np.hstack([h, x])
        z = hx @ self.W + self.b
        a = np.hstack([sigmoid(z[:, :3 * H]), np.tanh(z[:, 3 * H:])])
        new = a[:, :H] * c + a[:, H:2 * H] * a[:, 3 * H:]
        self.tape.append((hx, a, c, np.tanh(new)))
        return a[:, 2 * H:3 * H] * self.tape[-1][-1], new

    def back(self, t, dh, dc):
        hx, a, c, u = self.tape[t]
        f, i, o, g = np.split(a, 4, axis=1)
        dc = dc + dh * o * (1 - u * u)
        slope = np.hstack([a[:, :-self.H] * (1 - a[:, :-self.H]), 1 - g * g])
        dz = slope * np.hstack([dc * c, dc * g, dh * u, dc * i])
        dhx = dz @ self.W.T
        return dhx[:, self.H:], dhx[:, :self.H], dc * f, hx.T @ dz, dz.sum(axis=0)


def lstm_forward(x, h0, c0, W, b):
    cell, h, c, outs = Cell(W, b), h0, c0, []
    for t in range(x.shape[1]):
        h, c = cell.step(x[:, t], h, c)
        outs += [h]
    return np.stack(outs, axis=1), c, cell


def lstm_backward(dh, dc_last, caches):
    dx, dW, db = [], 0, 0
    dh_next, dc_next = 0, dc_last
    for t in range(dh.shape[1] - 1, -1, -1):
        dx_t, dh_next, dc_next, dW_t, db_t = caches.back(t, dh[:, t] + dh_next, dc_next)
        dx, dW, db = [dx_t] + dx, dW + dW_t, db + db_t
    return np.stack(dx, 1), dh_next, dc_next, dW, db
'''),
    (5, "dz of all steps first, weights afterwards", '''
def lstm_backward(dh, dc_last, caches):
    (N, T, H), W = dh.shape, caches[0][7]
    DZ, HX = np.zeros((T, N, 4 * H)), np.stack([cache[0] for cache in caches])
    carry_h, carry_c = np.zeros((N, H)), 1.0 * dc_last
    for t in np.arange(T)[::-1]:
        _, c_prev, f, i, o, g, u, _ = caches[t]
        carry_h = carry_h + dh[:, t]
        carry_c = carry_c + carry_h * o * (1 - u ** 2)
        DZ[t, :, :H] = carry_c * c_prev * f * (1 - f)
        DZ[t, :, H:2 * H] = carry_c * g * i * (1 - i)
        DZ[t, :, 2 * H:-H] = carry_h * u * o * (1 - o)
        DZ[t, :, -H:] = carry_c * i * (1 - g ** 2)
        carry_h, carry_c = DZ[t] @ W[:H].T, carry_c * f
    dx = np.swapaxes(DZ @ W[H:].T, 0, 1)
    return dx, carry_h, carry_c, np.einsum("tnr,tnk->rk", HX, DZ), DZ.sum((0, 1))
'''),
    (5, "recursion forwards, recursion backwards", '''
def lstm_forward(x, h0, c0, W, b):
    if x.shape[1] == 0:
        return np.zeros((len(x), 0, h0.shape[1])), c0, []
    h, c, cache = lstm_step(x[:, 0], h0, c0, W, b)
    later, c_last, caches = lstm_forward(x[:, 1:], h, c, W, b)
    return np.concatenate([h[:, None], later], axis=1), c_last, [cache, *caches]


def lstm_backward(dh, dc_last, caches):
    if len(caches) == 1:
        dx, *rest = lstm_step_backward(dh[:, 0], dc_last, caches[0])
        return dx[:, None], *rest
    dx, dh1, dc1, dW, db = lstm_backward(dh[:, 1:], dc_last, caches[1:])
    dx0, dh0, dc0, dW0, db0 = lstm_step_backward(dh[:, 0] + dh1, dc1, caches[0])
    return np.concatenate([dx0[:, None], dx], axis=1), dh0, dc0, dW + dW0, db + db0
'''),
    (5, "inputs multiplied before the loop, a dict of lists", '''
def lstm_forward(x, h0, c0, W, b):
    H = h0.shape[1]
    from_x = x @ W[H:] + b
    tape = {key: [] for key in ("h", "c", "gates")}
    tape.update(x=x, W=W)
    h, c = h0, c0
    for t in range(x.shape[1]):
        tape["h"].append(h)
        tape["c"].append(c)
        z = from_x[:, t] + h @ W[:H]
        gates = f, i, o, g = (*map(sigmoid, np.split(z[:, :3 * H], 3, axis=1)), np.tanh(z[:, 3 * H:]))
        tape["gates"].append(gates)
        c = f * c + i * g
        h = o * np.tanh(c)
    tape["h"].append(h)
    tape["c"].append(c)
    return np.stack(tape["h"][1:], 1), c, tape


def lstm_backward(dh, dc_last, caches):
    x, W = caches["x"], caches["W"]
    H = W.shape[1] // 4
    dWh, dz_all, dc, gh = np.zeros_like(W[:H]), [], dc_last, np.zeros_like(dc_last)
    for t in reversed(range(x.shape[1])):
        f, i, o, g = caches["gates"][t]
        u = np.tanh(caches["c"][t + 1])
        gh = gh + dh[:, t]
        dc = dc + gh * o * (1 - u ** 2)
        dz = np.hstack([dc * caches["c"][t] * f * (1 - f), dc * g * i * (1 - i), gh * u * o * (1 - o),
                        dc * i * (1 - g ** 2)])
        dWh += caches["h"][t].T @ dz
        gh, dc = dz @ W[:H].T, dc * f
        dz_all.insert(0, dz)
    dz_all = np.stack(dz_all, axis=1)
    dW = np.vstack([dWh, np.tensordot(x, dz_all, ([0, 1], [0, 1]))])
    return dz_all @ W[H:].T, gh, dc, dW, dz_all.sum((0, 1))
'''),
    (5, "functools.reduce over zipped steps", '''
from functools import reduce


def lstm_backward(dh, dc_last, caches):
    def earlier(state, step):
        dxs, dh_next, dc_next, dW, db = state
        grad, cache = step
        dx, dh_next, dc_next, dW_t, db_t = lstm_step_backward(grad + dh_next, dc_next, cache)
        return [dx, *dxs], dh_next, dc_next, dW + dW_t, db + db_t
    steps = list(zip(dh.swapaxes(0, 1), caches))
    dxs, *rest = reduce(earlier, steps[::-1], ([], 0.0, dc_last, 0.0, 0.0))
    return (np.stack(dxs, axis=1), *rest)
'''),
    (6, "sorted words, np.add.reduceat", '''
def embedding_backward(dx, cache):
    tokens, (V, D) = cache
    words = tokens.reshape(-1)
    order = np.argsort(words, kind="stable")
    grads = dx.reshape(-1, D)[order]
    found, first = np.unique(words[order], return_index=True)
    dE = np.zeros((V, D))
    dE[found] = np.add.reduceat(grads, first, axis=0)
    return dE
'''),
    (6, "two loops and a comprehension", '''
def embedding_forward(tokens, E):
    N, T = tokens.shape
    x = np.empty((N, T, E.shape[1]))
    for n in range(N):
        for t in range(T):
            x[n, t, :] = E[tokens[n, t], :]
    return x, {"ids": tokens, "V": E.shape[0]}


def embedding_backward(dx, cache):
    ids, D = cache["ids"], dx.shape[-1]
    return np.array([[dx[..., d][ids == v].sum() for d in range(D)] for v in range(cache["V"])])
'''),
    (6, "np.unique with inverse, a one-hot product of what occurs", '''
def embedding_backward(dx, cache):
    tokens, shape = cache
    words, place = np.unique(tokens.ravel(), return_inverse=True)
    hot = (place.reshape(-1)[None, :] == np.arange(words.size)[:, None]) * 1.0
    dE = np.zeros(shape)
    dE[words] += hot @ dx.reshape(tokens.size, shape[1])
    return dE
'''),
    (6, "a flat view, every example on its own", '''
def embedding_forward(tokens, E):
    flat = E.take(tokens.flatten(), axis=0)
    return flat.reshape(*tokens.shape, -1), (tokens, E.shape)


def embedding_backward(dx, cache):
    tokens, shape = cache
    total = np.zeros(shape)
    for row, grads in zip(tokens, dx):
        for word, grad in zip(row, grads):
            total[word] += grad
    return total
'''),
    (7, "signs for labels", '''
def bce_forward(z, y):
    s = 2 * np.asarray(y) - 1
    margins = s * z
    return np.sum(np.logaddexp(0.0, -margins)) / margins.size, (margins, s)


def bce_backward(cache):
    margins, s = cache
    return -s * sigmoid(-margins) / margins.shape[0]
'''),
    (7, "Python floats and the math module", '''
import math


def bce_forward(z, y):
    total = 0.0
    for score, label in zip(z.tolist(), y.tolist()):
        total += max(score, 0.0) - score * label + math.log1p(math.exp(-abs(score)))
    return total / len(z), list(zip(z.tolist(), y.tolist()))


def bce_backward(cache):
    def probability(score):
        if score >= 0:
            return 1 / (1 + math.exp(-score))
        return math.exp(score) / (1 + math.exp(score))
    return np.array([(probability(score) - label) / len(cache) for score, label in cache])
'''),
    (7, "two cases by boolean indexing", '''
def bce_forward(z, y):
    losses = np.empty(z.shape)
    positive = z > 0
    losses[positive] = z[positive] + np.log1p(np.exp(-z[positive]))
    losses[~positive] = np.log1p(np.exp(z[~positive]))
    losses -= y * z
    n = losses.size
    return losses @ np.full(n, 1 / n), (z, y, n)


def bce_backward(cache):
    z, y, n = cache
    return (1 / n) * (np.exp(-np.logaddexp(0, -z)) - y)
'''),
    (7, "Adam in place on copies, decay rates in a dict", '''
def adam_step(p, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    p, new = np.array(p, dtype=float), {}
    for name, old, beta, value in (("m", m, beta1, g), ("v", v, beta2, np.square(g))):
        mean = old.copy()
        mean *= beta
        mean += (1 - beta) * value
        new[name] = mean
    corrected = {"m": new["m"] / (1 - pow(beta1, t)), "v": new["v"] / (1 - pow(beta2, t))}
    p -= lr * np.divide(corrected["m"], np.sqrt(corrected["v"]) + eps)
    return p, new["m"], new["v"]
'''),
    (7, "Adam entry by entry", '''
def adam_step(p, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    def one(p, g, m, v):
        m = m - (1 - beta1) * (m - g)
        v = v - (1 - beta2) * (v - g * g)
        step = (m / (1 - beta1 ** t)) / ((v / (1 - beta2 ** t)) ** 0.5 + eps)
        return p - lr * step, m, v
    shape = np.shape(p)
    rows = [one(*numbers) for numbers in zip(*(np.ravel(a) for a in (p, g, m, v)))]
    return tuple(np.reshape(column, shape) for column in zip(*rows))
'''),
    (8, "lists of zeros appended, the loop ends with the longest", '''
def pad(sequences):
    longest = max(len(s) for s in sequences)
    return (np.array([list(s) + [0] * (longest - len(s)) for s in sequences]),
            np.array([len(s) for s in sequences]))


def masked_rnn_forward(x, lengths, h0, W, b):
    N, T = x.shape[0], x.shape[1]
    H = h0.shape[1]
    out = np.zeros((N, T, H))
    hs = [h0]
    for t in range(T):
        if t >= max(lengths):
            break
        new = hs[-1].copy()
        for n in range(N):
            if t < lengths[n]:
                new[n] = np.tanh(hs[-1][n] @ W[:H] + x[n, t] @ W[H:] + b)
                out[n, t] = new[n]
        hs.append(new)
    return out, hs[-1].copy(), (x, hs, lengths, W)


def masked_rnn_backward(dout, dh_last, cache):
    x, hs, lengths, W = cache
    H = W.shape[1]
    dx, dW, db, dh = np.zeros(x.shape), np.zeros(W.shape), np.zeros(H), np.array(dh_last)
    for t in range(len(hs) - 2, -1, -1):
        for n in range(len(x)):
            if t < lengths[n]:
                dz = (dh[n] + dout[n, t]) * (1 - hs[t + 1][n] ** 2)
                dW += np.outer(np.concatenate([hs[t][n], x[n, t]]), dz)
                db += dz
                dh[n], dx[n, t] = dz @ W[:H].T, dz @ W[H:].T
    return dx, dh, dW, db
'''),
    (8, "sorted by length, a batch that shrinks", '''
def masked_rnn_forward(x, lengths, h0, W, b):
    order = np.argsort(-np.asarray(lengths), kind="stable")
    sizes = [int((lengths > t).sum()) for t in range(x.shape[1])]
    xs, h, H = x[order], h0[order], h0.shape[1]
    tape, out = [], np.zeros((*x.shape[:2], H))
    for t, k in enumerate(sizes):
        before = h[:k].copy()
        h[:k] = np.tanh(np.hstack([before, xs[:k, t]]) @ W + b)
        out[order[:k], t] = h[:k]
        tape.append((k, before, h[:k].copy()))
    h_last = np.empty_like(h)
    h_last[order] = h
    return out, h_last, (x, order, tape, W)


def masked_rnn_backward(dout, dh_last, cache):
    x, order, tape, W = cache
    H = W.shape[1]
    dx, dW, db, dh = np.zeros_like(x), np.zeros_like(W), np.zeros(H), dh_last[order]
    for t, (k, before, after) in reversed(list(enumerate(tape))):
        rows = order[:k]
        dz = (dh[:k] + dout[rows, t]) * (1 - after ** 2)
        dW += np.vstack([before.T @ dz, x[rows, t].T @ dz])
        db += dz.sum(axis=0)
        dx[rows, t] = dz @ W[H:].T
        dh[:k] = dz @ W[:H].T
    dh0 = np.empty_like(dh)
    dh0[order] = dh
    return dx, dh0, dW, db
'''),
    (8, "np.copyto with a mask, h_last by length", '''
def pad(sequences):
    lengths = np.asarray([*map(len, sequences)])
    tokens = np.zeros((lengths.shape[0], lengths.max()), dtype=np.int64)
    for (n, t), _ in np.ndenumerate(tokens):
        if t < lengths[n]:
            tokens[n, t] = sequences[n][t]
    return tokens, lengths


def masked_rnn_forward(x, lengths, h0, W, b):
    (N, T), H = x.shape[:2], h0.shape[1]
    real = np.greater(np.asarray(lengths)[:, np.newaxis], np.arange(T)[np.newaxis])
    h = np.repeat(h0[:, np.newaxis], T + 1, axis=1)
    for t in range(T):
        h[:, t + 1] = h[:, t]
        new = np.tanh(np.hstack([h[:, t], x[:, t]]) @ W + b)
        np.copyto(h[:, t + 1], new, where=real[:, t:t + 1])
    out = h[:, 1:] * real[..., np.newaxis]
    return out, h[np.arange(N), lengths], (x, h, real, W)
'''),
    (8, "a masked slope, dW after the loop", '''
def masked_rnn_backward(dout, dh_last, cache):
    x, h, real, W = cache
    (N, T, D), H = x.shape, h.shape[2]
    m = real.astype(float)[..., None]
    slope = m * (1 - h[:, 1:] ** 2)
    arriving = m * dout
    dz, dh = np.zeros((N, T, H)), dh_last
    for t in range(T - 1, -1, -1):
        dh = dh + arriving[:, t]
        dz[:, t] = dh * slope[:, t]
        dh = dh - m[:, t] * dh + dz[:, t] @ W[:H].T
    hx = np.concatenate([h[:, :-1], x], axis=-1)
    return dz @ W[H:].T, dh, np.einsum("ntr,ntk->rk", hx, dz), np.einsum("ntk->k", dz)
'''),
    (9, "one wide matrix with blocks of zeros", '''
def _wide(W):
    H = W.shape[1] // 3
    return np.block([[W[:H, :2 * H], np.zeros((H, H)), W[:H, 2 * H:]],
                     [W[H:], np.zeros((len(W) - H, H))]])          # columns r, z, nx, nh


def gru_step(x, h_prev, W, b):
    H = h_prev.shape[1]
    a = np.hstack([h_prev, x]) @ _wide(W) + b
    r, z = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H])
    n = np.tanh(a[:, 2 * H:3 * H] + r * a[:, 3 * H:])
    return z * h_prev + (1 - z) * n, (x, h_prev, r, z, n, a[:, 3 * H:], W)


def gru_step_backward(dh, cache):
    x, h_prev, r, z, n, q, W = cache
    H = h_prev.shape[1]
    da_n = dh * (1 - z) * (1 - n ** 2)
    da = np.hstack([da_n * q * r * (1 - r), dh * (h_prev - n) * z * (1 - z), da_n, da_n * r])
    back = da @ _wide(W).T
    grad = np.hstack([h_prev, x]).T @ da
    dW = grad[:, :3 * H].copy()
    dW[:H, 2 * H:] = grad[:H, 3 * H:]
    return back[:, H:], back[:, :H] + dh * z, dW, da.sum(axis=0)
'''),
    (9, "a row at a time, vectors only", '''
def gru_step_backward(dh, cache):
    x, h_prev, r, z, n, q, W = cache
    N, H = dh.shape
    Wh, Wx = W[:H], W[H:]
    dx, dh_prev, dW, db = np.zeros_like(x), np.zeros_like(h_prev), np.zeros_like(W), np.zeros(4 * H)
    for k in range(N):
        a_n = dh[k] * (1 - z[k]) * (1 - n[k] ** 2)
        a_z = dh[k] * (h_prev[k] - n[k]) * z[k] * (1 - z[k])
        a_r = a_n * q[k] * r[k] * (1 - r[k])
        up_h, up_x = np.concatenate([a_r, a_z, a_n * r[k]]), np.concatenate([a_r, a_z, a_n])
        dx[k] = Wx @ up_x
        dh_prev[k] = Wh @ up_h + dh[k] * z[k]
        dW[:H] += np.outer(h_prev[k], up_h)
        dW[H:] += np.outer(x[k], up_x)
        db += np.concatenate([up_x, a_n * r[k]])
    return dx, dh_prev, dW, db
'''),
    (9, "einsum over gates, h as a step from the old state", '''
def gru_step(x, h_prev, W, b):
    H = h_prev.shape[1]
    W3 = W.reshape(-1, 3, H)
    s, u = np.einsum("nh,hgk->gnk", h_prev, W3[:H]), np.einsum("nd,dgk->gnk", x, W3[H:])
    br, bz, bnx, bnh = np.split(b, 4)
    r, z, q = sigmoid(s[0] + u[0] + br), sigmoid(s[1] + u[1] + bz), s[2] + bnh
    n = np.tanh(u[2] + bnx + r * q)
    return h_prev + (1 - z) * (n - h_prev), dict(x=x, h=h_prev, r=r, z=z, n=n, q=q, W=W3)


def gru_step_backward(dh, cache):
    x, h, r, z, n, q, W3 = (cache[key] for key in "x h r z n q W".split())
    H = h.shape[1]
    keep = 1 - z
    gn = dh * keep * (1 - n * n)
    to_x = np.stack([gn * q * r * (1 - r), dh * (h - n) * z * keep, gn])
    to_h = to_x.copy()
    to_h[2] *= r
    dW = np.concatenate([np.einsum("nh,gnk->hgk", h, to_h), np.einsum("nd,gnk->dgk", x, to_x)])
    dx = np.einsum("gnk,dgk->nd", to_x, W3[H:])
    dh_prev = dh - dh * keep + np.einsum("gnk,hgk->nh", to_h, W3[:H])
    return dx, dh_prev, dW.reshape(len(dW), 3 * H), np.r_[to_x.sum(1).ravel(), to_h[2].sum(0)]
'''),
    (9, "walrus, helper for both slopes, dh_prev in three parts", '''
def slope(value, kind):
    return {"s": lambda v: v * (1 - v), "t": lambda v: 1 - v * v}[kind](value)


def gru_step_backward(dh, cache):
    x, h_prev, r, z, n, q, W = cache
    Wr, Wz, Wn = (W[:, k:k + (H := dh.shape[1])] for k in (0, dh.shape[1], 2 * dh.shape[1]))
    H = dh.shape[1]
    g_n = slope(n, "t") * (1 - z) * dh
    g_z = slope(z, "s") * (h_prev - n) * dh
    g_r = slope(r, "s") * g_n * q
    dh_prev = g_r @ Wr[:H].T + g_z @ Wz[:H].T
    dh_prev += (g_n * r) @ Wn[:H].T
    dh_prev += z * dh
    dx = g_r @ Wr[H:].T + g_z @ Wz[H:].T + g_n @ Wn[H:].T
    hx = np.hstack([h_prev, x])
    dWn = np.concatenate([h_prev.T @ (g_n * r), x.T @ g_n])
    db = [g.sum(axis=0) for g in (g_r, g_z, g_n, g_n * r)]
    return dx, dh_prev, np.concatenate([hx.T @ g_r, hx.T @ g_z, dWn], axis=1), np.concatenate(db)
'''),
    (10, "bisection over the biases", '''
from bisect import bisect_left


def bias_needed(a, share):
    found = bisect_left(range(21), share, key=lambda bias: survival(a, bias))
    return found if found < 21 else None
'''),
    (10, "all biases at once, np.argmax", '''
def bias_needed(a, share):
    enough = np.array([survival(a, bias) for bias in range(21)]) >= share
    return int(np.argmax(enough)) if enough.any() else None


def clip_by_norm(grads, max_norm):
    total = 0.0
    for g in grads:
        total += np.vdot(g, g)
    norm = total ** 0.5
    scale = max_norm / norm if norm > max_norm else 1
    return list(map(lambda g: scale * g, grads)), norm
'''),
    (10, "a loop over time, for and else", '''
def survival(a, bias):
    left = np.ones(a.shape[1])
    for row in a:
        left *= 1 / (1 + np.exp(-row - bias))
    return float(np.average(left))


def bias_needed(a, share):
    for bias in range(0, 21):
        if not share > survival(a, bias):
            break
    else:
        bias = None
    return bias
'''),
    (10, "np.clip of the factor, copies, cumprod's last row", '''
def clip_by_norm(grads, max_norm):
    norm = np.linalg.norm([np.linalg.norm(g) for g in grads])
    factor = np.clip(max_norm / norm, None, 1)
    scaled = [g.astype(float) for g in grads]
    for g in scaled:
        g *= factor
    return scaled, norm


def survival(a, bias):
    gates = np.reciprocal(1 + np.exp(-a - bias))
    return np.cumprod(gates, axis=0)[-1].sum() / gates.shape[1]
'''),
    (2, "float32 drive for all steps", '''
def rnn_forward(x, h0, W, b):
    (N, T, _), H = x.shape, h0.shape[1]
    drive = (x @ W[H:] + b).astype(np.float32)
    h = np.zeros((N, T + 1, H))
    h[:, 0] = h0
    for t in range(T):
        h[:, t + 1] = np.tanh(drive[:, t] + h[:, t] @ W[:H])
    return h[:, 1:].copy(), (x, h, W)
''', True),
    (3, "float32 gates", '''
def lstm_step(x, h_prev, c_prev, W, b):
    hx = np.concatenate([h_prev, x], axis=1)
    H = h_prev.shape[1]
    z = np.asarray(hx @ W + b, dtype="float32")
    f, i, o = (sigmoid(z[:, k * H:(k + 1) * H]) for k in range(3))
    c_tilde = np.tanh(z[:, 3 * H:])
    c = f * c_prev + i * c_tilde
    return o * np.tanh(c), c, (hx, c_prev, f, i, o, c_tilde, np.tanh(c), W)
''', True),
))
