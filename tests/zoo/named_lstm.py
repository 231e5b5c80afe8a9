# weights in one dictionary, gradients in another whose keys end in _grad; eight matrices, U for x and W for h
import numpy as np


def sigm(x):
    return 1.0 / (1.0 + np.exp(-x))


def forward_pass(x, p):
    T, N, _ = x.shape
    H = p["W_f"].shape[0]
    h, c = np.zeros((N, H)), np.zeros((N, H))
    outputs = np.zeros((T, N, H))
    log = []
    for t in range(T):
        f = sigm(x[t] @ p["U_f"] + h @ p["W_f"] + p["b_f"])
        i = sigm(x[t] @ p["U_i"] + h @ p["W_i"] + p["b_i"])
        o = sigm(x[t] @ p["U_o"] + h @ p["W_o"] + p["b_o"])
        k = np.tanh(x[t] @ p["U_k"] + h @ p["W_k"] + p["b_k"])
        c_new = f * c + i * k
        log.append({"h": h, "c": c, "f": f, "i": i, "o": o, "k": k, "tanh": np.tanh(c_new)})
        h, c = o * np.tanh(c_new), c_new
        outputs[t] = h
    return outputs, {"x": x, "p": p, "log": log}


def backward_pass(d_outputs, memory):
    x, p, log = memory["x"], memory["p"], memory["log"]
    grads = {name + "_grad": np.zeros(value.shape) for name, value in p.items()}
    grads["x_grad"] = np.zeros(x.shape)
    from_right_h = np.zeros(d_outputs.shape[1:])
    from_right_c = np.zeros(d_outputs.shape[1:])
    for t in range(len(log) - 1, -1, -1):
        m = log[t]
        gh = d_outputs[t] + from_right_h
        gc = gh * m["o"] * (1 - m["tanh"] ** 2) + from_right_c
        delta = {
            "f": gc * m["c"] * m["f"] * (1 - m["f"]),
            "i": gc * m["k"] * m["i"] * (1 - m["i"]),
            "o": gh * m["tanh"] * m["o"] * (1 - m["o"]),
            "k": gc * m["i"] * (1 - m["k"] ** 2),
        }
        from_right_h = np.zeros_like(gh)
        from_right_c = gc * m["f"]
        for gate, d in delta.items():
            grads["U_" + gate + "_grad"] += x[t].T @ d
            grads["W_" + gate + "_grad"] += m["h"].T @ d
            grads["b_" + gate + "_grad"] += d.sum(axis=0)
            grads["x_grad"][t] += d @ p["U_" + gate].T
            from_right_h += d @ p["W_" + gate].T
    return grads
