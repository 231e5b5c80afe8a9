# residual blocks with PReLU and a gate on the shortcut (highway), softmax regression with smoothed labels
import numpy as np


def prelu(x, slope):
    return np.where(x > 0, x, slope * x)


def net_loss(x, labels, blocks, V, smooth=0.1, decay=0.05):
    """x: (N, D), labels: (N,), blocks: list of dicts (W1, W2, Wg: (D, D), slope, bg: (D,)), V: (D, C)."""
    tape = []
    h = x
    for blk in blocks:
        pre = h @ blk["W1"]
        act = prelu(pre, blk["slope"])
        res = act @ blk["W2"]
        gate = 1 / (1 + np.exp(-(h @ blk["Wg"] + blk["bg"])))
        tape.append((h, pre, act, res, gate))
        h = h + gate * (res - h)
    scores = h @ V
    scores -= scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    n, C = scores.shape
    target = np.full((n, C), smooth / C)
    target[np.arange(n), labels] += 1 - smooth
    loss = -np.sum(target * log_p) / n + 0.5 * decay * np.sum(V * V)
    return loss, (blocks, V, decay, tape, h, log_p, target)


def net_grads(cache):
    blocks, V, decay, tape, h_top, log_p, target = cache
    n = len(target)
    dscores = (np.exp(log_p) - target) / n
    dV = h_top.T @ dscores + decay * V
    dh = dscores @ V.T
    dblocks = []
    for blk, saved in zip(reversed(blocks), reversed(tape)):
        h, pre, act, res, gate = saved
        dres = dh * gate
        dgate = dh * (res - h)
        dgate_raw = dgate * gate * (1 - gate)
        dact = dres @ blk["W2"].T
        dpre = np.where(pre > 0, dact, blk["slope"] * dact)
        d = {}
        d["W2"] = act.T @ dres
        d["W1"] = h.T @ dpre
        d["slope"] = np.sum(np.where(pre > 0, 0, pre) * dact, axis=0)
        d["Wg"] = h.T @ dgate_raw
        d["bg"] = dgate_raw.sum(axis=0)
        dblocks.append(d)
        dh = dh * (1 - gate)
        dh = dh + dpre @ blk["W1"].T
        dh = dh + dgate_raw @ blk["Wg"].T
    dblocks.reverse()
    return dict(dx=dh, dblocks=dblocks, dV=dV)
