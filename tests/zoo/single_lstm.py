# one sequence, no batch: vectors of length H, outer products; [x, h] in this order, gates f, i, c, o apart
import numpy as np


def sig(u):
    return 1.0 / (1.0 + np.exp(-u))


def run_lstm(xs, h_init, c_init, W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    T = len(xs)
    h = {-1: h_init}
    c = {-1: c_init}
    v, f, i, g, o = {}, {}, {}, {}, {}
    for t in range(T):
        v[t] = np.hstack((xs[t], h[t - 1]))
        f[t] = sig(np.dot(W_f, v[t]) + b_f)
        i[t] = sig(np.dot(W_i, v[t]) + b_i)
        g[t] = np.tanh(np.dot(W_c, v[t]) + b_c)
        o[t] = sig(np.dot(W_o, v[t]) + b_o)
        c[t] = f[t] * c[t - 1] + i[t] * g[t]
        h[t] = o[t] * np.tanh(c[t])
    hidden = np.array([h[t] for t in range(T)])
    return hidden, (v, f, i, g, o, c, W_f, W_i, W_c, W_o, xs.shape)


def lstm_gradients(d_hidden, memory):
    v, f, i, g, o, c, W_f, W_i, W_c, W_o, shape = memory
    T, D = shape
    dW_f, dW_i, dW_c, dW_o = [np.zeros(W_f.shape) for _ in range(4)]
    db_f, db_i, db_c, db_o = [np.zeros(W_f.shape[0]) for _ in range(4)]
    dxs = np.zeros(shape)
    delta_h = np.zeros(W_f.shape[0])
    delta_c = np.zeros(W_f.shape[0])
    for t in reversed(range(T)):
        delta_h = delta_h + d_hidden[t]
        tanh_c = np.tanh(c[t])
        delta_c = delta_c + delta_h * o[t] * (1 - tanh_c ** 2)
        e_o = delta_h * tanh_c * o[t] * (1 - o[t])
        e_f = delta_c * c[t - 1] * f[t] * (1 - f[t])
        e_i = delta_c * g[t] * i[t] * (1 - i[t])
        e_c = delta_c * i[t] * (1 - g[t] ** 2)
        dW_f += np.outer(e_f, v[t])
        dW_i += np.outer(e_i, v[t])
        dW_c += np.outer(e_c, v[t])
        dW_o += np.outer(e_o, v[t])
        db_f += e_f
        db_i += e_i
        db_c += e_c
        db_o += e_o
        dv = W_f.T.dot(e_f) + W_i.T.dot(e_i) + W_c.T.dot(e_c) + W_o.T.dot(e_o)
        dxs[t] = dv[:D]
        delta_h = dv[D:]
        delta_c = delta_c * f[t]
    return dxs, delta_h, delta_c, dW_f, dW_i, dW_c, dW_o, db_f, db_i, db_c, db_o
