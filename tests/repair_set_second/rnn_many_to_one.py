# RNN that reads a list of column vectors and gives one class at the end; [x; h; 1] goes through one matrix
import numpy as np


def rnn_classify(xs, label, W, V):
    """xs: list of (D, 1), W: (H, D + H + 1), V: (C, H + 1)."""
    h = np.zeros((W.shape[0], 1))
    one = np.ones((1, 1))
    inputs, states = [], []
    for x in xs:
        v = np.vstack([x, h, one])
        h = np.tanh(W @ v)
        inputs.append(v)
        states.append(h)
    top = np.vstack([h, one])
    s = V @ top
    prob = np.exp(s) / np.sum(np.exp(s))
    loss = -np.log(prob[label, 0])
    return loss, (xs, label, W, V, inputs, states, top, prob)


def rnn_classify_back(memory):
    xs, label, W, V, inputs, states, top, prob = memory
    D = xs[0].shape[0]
    H = W.shape[0]
    ds = prob.copy()
    ds[label, 0] -= 1
    dV = ds @ top.T
    dh = (V.T @ ds)[:-1]
    dW = np.zeros_like(W)
    dxs = []
    for v, h in zip(reversed(inputs), reversed(states)):
        da = dh * (1 - h ** 2)
        dW += da @ v.T
        dv = W.T @ da
        dxs.insert(0, dv[:D])
        dh = dv[D:D + H]
    return {"dxs": dxs, "dW": dW, "dV": dV}
