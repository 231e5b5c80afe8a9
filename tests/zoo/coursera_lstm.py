# column vectors: x is (n_x, m, T_x), a0 is (n_a, m), each W is (n_a, n_a + n_x), parameters in a dictionary
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_cell_forward(xt, a_prev, c_prev, parameters):
    concat = np.concatenate((a_prev, xt), axis=0)
    ft = sigmoid(np.dot(parameters["Wf"], concat) + parameters["bf"])
    it = sigmoid(np.dot(parameters["Wi"], concat) + parameters["bi"])
    cct = np.tanh(np.dot(parameters["Wc"], concat) + parameters["bc"])
    ot = sigmoid(np.dot(parameters["Wo"], concat) + parameters["bo"])
    c_next = ft * c_prev + it * cct
    a_next = ot * np.tanh(c_next)
    return a_next, c_next, (a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters)


def lstm_forward(x, a0, parameters):
    n_x, m, T_x = x.shape
    n_a = a0.shape[0]
    a = np.zeros((n_a, m, T_x))
    caches = []
    a_next = a0
    c_next = np.zeros((n_a, m))
    for t in range(T_x):
        a_next, c_next, cache = lstm_cell_forward(x[:, :, t], a_next, c_next, parameters)
        a[:, :, t] = a_next
        caches.append(cache)
    return a, (caches, x)


def lstm_cell_backward(da_next, dc_next, cache):
    a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters = cache
    n_a = a_next.shape[0]
    dot = da_next * np.tanh(c_next) * ot * (1 - ot)
    dc = dc_next + da_next * ot * (1 - np.tanh(c_next) ** 2)
    dcct = dc * it * (1 - cct ** 2)
    dit = dc * cct * it * (1 - it)
    dft = dc * c_prev * ft * (1 - ft)
    concat = np.concatenate((a_prev, xt), axis=0).T
    gradients = {
        "dWf": np.dot(dft, concat), "dbf": np.sum(dft, axis=1, keepdims=True),
        "dWi": np.dot(dit, concat), "dbi": np.sum(dit, axis=1, keepdims=True),
        "dWc": np.dot(dcct, concat), "dbc": np.sum(dcct, axis=1, keepdims=True),
        "dWo": np.dot(dot, concat), "dbo": np.sum(dot, axis=1, keepdims=True),
    }
    back = (np.dot(parameters["Wf"].T, dft) + np.dot(parameters["Wi"].T, dit)
            + np.dot(parameters["Wc"].T, dcct) + np.dot(parameters["Wo"].T, dot))
    gradients["da_prev"] = back[:n_a, :]
    gradients["dxt"] = back[n_a:, :]
    gradients["dc_prev"] = dc * ft
    return gradients


def lstm_backward(da, caches):
    caches, x = caches
    n_a, m, T_x = da.shape
    totals = {"d" + name: np.zeros_like(value) for name, value in caches[0][-1].items()}
    dx = np.zeros(x.shape)
    da_prevt = np.zeros((n_a, m))
    dc_prevt = np.zeros((n_a, m))
    for t in reversed(range(T_x)):
        gradients = lstm_cell_backward(da[:, :, t] + da_prevt, dc_prevt, caches[t])
        da_prevt = gradients["da_prev"]
        dc_prevt = gradients["dc_prev"]
        dx[:, :, t] = gradients["dxt"]
        for name in totals:
            totals[name] += gradients[name]
    return {"dx": dx, "da0": da_prevt, **totals}
