"""Character model in one function, lossFun: forward with an LSTM, then backward, column by column."""
import numpy as np


def lossFun(chars, nexts, hprev, Wf, Wi, Wo, Wg, Why, by):
    """chars, nexts: lists; hprev: (H, 1); Wf, Wi, Wo, Wg: (H, H + V + 1); Why: (V, H); by: (V, 1)."""
    xs, hs, cs = {}, {-1: hprev}, {-1: np.zeros_like(hprev)}
    fs, ins, os, gs, ps = {}, {}, {}, {}, {}
    H, V = len(hprev), len(by)
    loss = 0
    for t in range(len(chars)):
        onehot = np.zeros((V, 1))
        onehot[chars[t]] = 1
        xs[t] = np.vstack((hs[t-1], onehot, [[1.0]]))
        fs[t] = 1 / (1 + np.exp(-Wf @ xs[t]))
        ins[t] = 1 / (1 + np.exp(-Wi @ xs[t]))
        os[t] = 1 / (1 + np.exp(-Wo @ xs[t]))
        gs[t] = np.tanh(Wg @ xs[t])
        cs[t] = fs[t] * cs[t-1] + ins[t] * gs[t]
        hs[t] = os[t] * np.tanh(cs[t])
        ys = Why @ hs[t] + by
        ps[t] = np.exp(ys) / np.sum(np.exp(ys))
        loss += -np.log(ps[t][nexts[t], 0])

    dWf, dWi, dWo, dWg = np.zeros_like(Wf), np.zeros_like(Wi), np.zeros_like(Wo), np.zeros_like(Wg)
    dWhy, dby = np.zeros_like(Why), np.zeros_like(by)
    dhnext, dcnext = np.zeros_like(hprev), np.zeros_like(hprev)
    for t in reversed(range(len(chars))):
        dy = np.copy(ps[t])
        dy[nexts[t]] -= 1
        dWhy += dy @ hs[t].T
        dby += dy
        dh = Why.T @ dy + dhnext
        tc = np.tanh(cs[t])
        dc = dh * os[t] * (1 - tc * tc) + dcnext
        dof = dh * tc * os[t] * (1 - os[t])
        dff = dc * cs[t-1] * fs[t] * (1 - fs[t])
        dif = dc * gs[t] * ins[t] * (1 - ins[t])
        dgf = dc * ins[t] * (1 - gs[t] * gs[t])
        dWf += dff @ xs[t].T
        dWi += dif @ xs[t].T
        dWo += dof @ xs[t].T
        dWg += dgf @ xs[t].T
        dxs = Wf.T @ dff + Wi.T @ dif + Wo.T @ dof + Wg.T @ dgf
        dhnext = dxs[:H]
        dcnext = dc * fs[t]
    return loss, {"dhprev": dhnext, "dWf": dWf, "dWi": dWi, "dWo": dWo, "dWg": dWg, "dWhy": dWhy, "dby": dby}


def forward(chars, nexts, hprev, Wf, Wi, Wo, Wg, Why, by):
    return lossFun(chars, nexts, hprev, Wf, Wi, Wo, Wg, Why, by)


def backward(grads):
    return grads
