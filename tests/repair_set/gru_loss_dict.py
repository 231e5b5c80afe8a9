# GRU with a softmax at every step; weights in a dictionary, time first, the mean loss inside
import numpy as np


def sig(v):
    return 1.0 / (1.0 + np.exp(-v))


def softmax(s):
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss_forward(x, labels, params):
    """x: (T, N, D), labels: (T, N) integers; the reset gate stands after the product."""
    T, N, D = x.shape
    H = params["Wy"].shape[0]
    h = np.zeros((N, H))
    steps = []
    loss = 0.0
    for t in range(T):
        u = sig(x[t] @ params["Wu"] + h @ params["Ru"] + params["bu"])
        r = sig(x[t] @ params["Wr"] + h @ params["Rr"] + params["br"])
        m = h @ params["Rc"] + params["bm"]
        c = np.tanh(x[t] @ params["Wc"] + r * m + params["bc"])
        h_new = (1 - u) * h + u * c
        p = softmax(h_new @ params["Wy"] + params["by"])
        loss += -np.log(p[np.arange(N), labels[t]]).sum()
        steps.append({"h": h, "u": u, "r": r, "m": m, "c": c, "h_new": h_new, "p": p})
        h = h_new
    return loss / (T * N), (x, labels, params, steps)


def loss_backward(cache):
    x, labels, params, steps = cache
    T, N, D = x.shape
    grads = {"d" + k: np.zeros_like(v) for k, v in params.items()}
    grads["dx"] = np.zeros_like(x)
    dh = np.zeros_like(steps[0]["h"])
    for t in range(T - 1, -1, -1):
        s = steps[t]
        h, u, r, m, c = s["h"], s["u"], s["r"], s["m"], s["c"]
        dscores = s["p"].copy()
        dscores[np.arange(N), labels[t]] -= 1
        dscores /= T * N
        grads["dWy"] += s["h_new"].T @ dscores
        grads["dby"] += dscores.sum(axis=0)
        dh = dh + dscores @ params["Wy"].T
        du = dh * (c - h) * u * (1 - u)
        dc = dh * u * (1 - c * c)
        dr = dc * m * r * (1 - r)
        dm = dc * r
        grads["dWu"] += x[t].T @ du
        grads["dWr"] += x[t].T @ dr
        grads["dWc"] += x[t].T @ dc
        grads["dRu"] += h.T @ du
        grads["dRr"] += h.T @ dr
        grads["dRc"] += h.T @ dm
        grads["dbu"] += du.sum(axis=0)
        grads["dbr"] += dr.sum(axis=0)
        grads["dbc"] += dc.sum(axis=0)
        grads["dbm"] += dm.sum(axis=0)
        grads["dx"][t] = du @ params["Wu"].T + dr @ params["Wr"].T + dc @ params["Wc"].T
        dh = dh * (1 - u) + du @ params["Ru"].T + dr @ params["Rr"].T + dm @ params["Rc"].T
    return grads
