# character model: tokens in, the loss and all the gradients out of one function
import numpy as np


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def loss_fun(inputs, targets, hprev, cprev, params):
    """inputs, targets: lists of integers; hprev, cprev: (H, 1)."""
    Wf, Wi, Wg, Wo, Wy = params['Wf'], params['Wi'], params['Wg'], params['Wo'], params['Wy']
    V, H = Wy.shape
    zs, fs, ins, gs, os_, ps = {}, {}, {}, {}, {}, {}
    hs, cs = {-1: np.copy(hprev)}, {-1: np.copy(cprev)}
    loss = 0
    for t in range(len(inputs)):
        onehot = np.zeros((V, 1))
        onehot[inputs[t]] = 1
        zs[t] = np.vstack((hs[t - 1], onehot))
        fs[t] = sigmoid(Wf.dot(zs[t]) + params['bf'])
        ins[t] = sigmoid(Wi.dot(zs[t]) + params['bi'])
        gs[t] = np.tanh(Wg.dot(zs[t]) + params['bg'])
        os_[t] = sigmoid(Wo.dot(zs[t]) + params['bo'])
        cs[t] = fs[t] * cs[t - 1] + ins[t] * gs[t]
        hs[t] = os_[t] * np.tanh(cs[t])
        scores = Wy.dot(hs[t]) + params['by']
        ps[t] = np.exp(scores) / np.sum(np.exp(scores))
        loss -= np.log(ps[t][targets[t], 0])

    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dhnext, dcnext = np.zeros_like(hprev), np.zeros_like(cprev)
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        grads['Wy'] += dy.dot(hs[t].T)
        grads['by'] += dy
        dh = Wy.T.dot(dy) + dhnext
        do = dh * np.tanh(cs[t])
        do = os_[t] * (1 - os_[t]) * do
        dc = dcnext + dh * os_[t] * (1 - np.tanh(cs[t]) ** 2)
        dg = (1 - gs[t] ** 2) * (dc * ins[t])
        di = ins[t] * (1 - ins[t]) * (dc * gs[t])
        df = fs[t] * (1 - fs[t]) * (dc * cs[t - 1])
        for name, delta in (('f', df), ('i', di), ('g', dg), ('o', do)):
            grads['W' + name] += delta.dot(zs[t].T)
            grads['b' + name] += delta
        dz = Wf.T.dot(df) + Wi.T.dot(di) + Wg.T.dot(dg) + Wo.T.dot(do)
        dhnext = dz[:H]
        dcnext = fs[t] * dc
    return loss, grads, hs[len(inputs) - 1], cs[len(inputs) - 1]
