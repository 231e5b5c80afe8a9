# columns: x (n_x, m, T_x), a0 (n_a, m), parameters Wax, Waa, ba in a dictionary
import numpy as np


def rnn_forward(x, a0, parameters):
    Wax, Waa, ba = parameters["Wax"], parameters["Waa"], parameters["ba"]
    a = []
    a_prev = a0
    for t in range(x.shape[2]):
        a_prev = np.tanh(np.dot(Wax, x[:, :, t]) + np.dot(Waa, a_prev) + ba)
        a.append(a_prev)
    a = np.stack(a, axis=2)
    return a, (x, a0, a, parameters)


def rnn_backward(da, caches):
    x, a0, a, parameters = caches
    Wax, Waa = parameters["Wax"], parameters["Waa"]
    n_x, m, T_x = x.shape
    dx = np.zeros((n_x, m, T_x))
    dWax = np.zeros_like(Wax)
    dWaa = np.zeros_like(Waa)
    dba = np.zeros_like(parameters["ba"])
    da_prevt = np.zeros_like(a0)
    for t in reversed(range(T_x)):
        before = a[:, :, t - 1] if t > 0 else a0
        dtanh = (1 - a[:, :, t] ** 2) * (da[:, :, t] + da_prevt)
        dx[:, :, t] = np.dot(Wax.T, dtanh)
        dWax += np.dot(dtanh, x[:, :, t].T)
        dWaa += np.dot(dtanh, before.T)
        dba += np.sum(dtanh, axis=1, keepdims=True)
        da_prevt = np.dot(Waa.T, dtanh)
    return {"dx": dx, "da0": da_prevt, "dWax": dWax, "dWaa": dWaa, "dba": dba}
