# a single time step, to be checked on its own before the loop is written
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dsigmoid(y):
    """Derivative of the sigmoid, given its value y."""
    return y * (1 - y)


def dtanh(y):
    """Derivative of tanh, given its value y."""
    return 1 - y * y


def cell_forward(x, h_prev, c_prev, W, U, b):
    z = np.matmul(x, W) + np.matmul(h_prev, U) + b
    n = h_prev.shape[1]
    f_gate = sigmoid(z[:, :n])
    i_gate = sigmoid(z[:, n:2 * n])
    o_gate = sigmoid(z[:, 2 * n:3 * n])
    cand = np.tanh(z[:, 3 * n:])
    c = f_gate * c_prev + i_gate * cand
    tanh_c = np.tanh(c)
    h = o_gate * tanh_c
    return h, c, (x, h_prev, c_prev, W, U, f_gate, i_gate, o_gate, cand, tanh_c)


def cell_backward(dh, dc, cache):
    x, h_prev, c_prev, W, U, f_gate, i_gate, o_gate, cand, tanh_c = cache
    dc_total = dc + dh * o_gate * dtanh(tanh_c)
    dz_f = dc_total * c_prev * dsigmoid(f_gate)
    dz_i = dc_total * cand * dsigmoid(i_gate)
    dz_o = dh * tanh_c * dsigmoid(o_gate)
    dz_cand = dc_total * i_gate * dtanh(cand)
    dz = np.concatenate([dz_f, dz_i, dz_o, dz_cand], axis=1)
    dW = np.matmul(x.T, dz)
    dU = np.matmul(h_prev.T, dz)
    db = np.sum(dz, axis=0)
    dx = np.matmul(dz, W.T)
    dh_prev = np.matmul(dz, U.T)
    dc_prev = dc_total * f_gate
    return dx, dh_prev, dc_prev, dW, dU, db
