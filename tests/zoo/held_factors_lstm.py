"""LSTM from scratch, part 2: backpropagation with every factor of the chain rule on a line of its own.

Vectors are columns, so x is (time, features, batch) and each weight matrix is (hidden, hidden + features).
"""
import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def forward(x, Wf, bf, Wi, bi, Wg, bg, Wo, bo):
    T, _, N = x.shape
    H = Wf.shape[0]
    h = np.zeros((H, N))
    c = np.zeros((H, N))
    hs = np.empty((T, H, N))
    memory = []
    for t in range(T):
        hx = np.vstack((h, x[t]))
        step = {"hx": hx, "c_prev": c}
        step["zf"] = Wf @ hx + bf
        step["zi"] = Wi @ hx + bi
        step["zg"] = Wg @ hx + bg
        step["zo"] = Wo @ hx + bo
        step["f"] = sigmoid(step["zf"])
        step["i"] = sigmoid(step["zi"])
        step["g"] = np.tanh(step["zg"])
        step["o"] = sigmoid(step["zo"])
        c = step["f"] * c + step["i"] * step["g"]
        h = step["o"] * np.tanh(c)
        step["c"] = c
        step["h"] = h
        hs[t] = h
        memory.append(step)
    return hs, (memory, x.shape, {"Wf": Wf, "bf": bf, "Wi": Wi, "bi": bi, "Wg": Wg, "bg": bg, "Wo": Wo, "bo": bo})


def backward(dhs, cache):
    memory, x_shape, params = cache
    Wf, Wi, Wg, Wo = (params[k] for k in ("Wf", "Wi", "Wg", "Wo"))
    H = Wf.shape[0]
    grads = {"d" + k: np.zeros_like(v) for k, v in params.items()}
    grads["dx"] = np.zeros(x_shape)
    dL_dh_next = 0
    dL_dc_next = 0

    for t in reversed(range(len(memory))):
        m = memory[t]
        dL_dh = dhs[t] + dL_dh_next

        # h = o * tanh(c)
        dh_do = np.tanh(m["c"])
        dh_dc = m["o"] * (1 - np.tanh(m["c"]) ** 2)
        dL_do = dL_dh * dh_do
        dL_dc = dL_dc_next + dL_dh * dh_dc

        # c = f * c_prev + i * g
        dL_df = dL_dc * m["c_prev"]
        dL_di = dL_dc * m["g"]
        dL_dg = dL_dc * m["i"]
        dL_dc_next = dL_dc * m["f"]

        # the activations
        df_dz = m["f"] * (1 - m["f"])
        di_dz = m["i"] * (1 - m["i"])
        do_dz = m["o"] * (1 - m["o"])
        dg_dz = 1 - m["g"] ** 2

        # z = W [h, x] + b
        dL_dhx = 0
        for gate, W, delta in (("f", Wf, dL_df * df_dz), ("i", Wi, dL_di * di_dz),
                               ("g", Wg, dL_dg * dg_dz), ("o", Wo, dL_do * do_dz)):
            grads["dW" + gate] += delta @ m["hx"].T
            grads["db" + gate] += delta.sum(axis=1, keepdims=True)
            dL_dhx = dL_dhx + W.T @ delta
        dL_dh_next = dL_dhx[:H]
        grads["dx"][t] = dL_dhx[H:]

    return grads
