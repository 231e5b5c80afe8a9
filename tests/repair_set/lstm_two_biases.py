# LSTM for one sequence (T, D); every gate has a matrix and a bias for x, and a matrix and a bias for h
import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def forward(X, h0, c0, P):
    T = len(X)
    h, c = h0, c0
    Y = np.zeros((T, len(h0)))
    memory = []
    for t in range(T):
        x = X[t]
        i = sigmoid(P["Wxi"] @ x + P["bxi"] + P["Whi"] @ h + P["bhi"])
        f = sigmoid(P["Wxf"] @ x + P["bxf"] + P["Whf"] @ h + P["bhf"])
        o = sigmoid(P["Wxo"] @ x + P["bxo"] + P["Who"] @ h + P["bho"])
        g = np.tanh(P["Wxg"] @ x + P["bxg"] + P["Whg"] @ h + P["bhg"])
        c_new = f * c + i * g
        memory.append((x, h, c, i, f, o, g, c_new))
        c = c_new
        h = o * np.tanh(c)
        Y[t] = h
    return Y, c, (memory, P)


def backward(dY, dc_last, cache):
    memory, P = cache
    G = {key: np.zeros_like(P[key]) for key in P}
    dX = np.zeros((len(memory), P["Wxi"].shape[1]))
    dh = np.zeros(dY.shape[1])
    dc = dc_last
    for t in reversed(range(len(memory))):
        x, h_old, c_old, i, f, o, g, c_new = memory[t]
        dh = dh + dY[t]
        do = dh * np.tanh(c_new)
        dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
        di = dc * g
        df = dc * c_old
        dg = dc * i
        dzi = di * i * (1 - i)
        dzf = df * f * (1 - f)
        dzo = do * o * (1 - o)
        dzg = dg * (1 - g ** 2)
        for k, dz in zip("ifog", (dzi, dzf, dzo, dzg)):
            G["Wx" + k] += np.outer(dz, x)
            G["Wh" + k] += np.outer(dz, h_old)
            G["bx" + k] += dz
            G["bh" + k] += dz
        dX[t] = P["Wxi"].T @ dzi + P["Wxf"].T @ dzf + P["Wxo"].T @ dzo + P["Wxg"].T @ dzg
        dh = P["Whi"].T @ dzi + P["Whf"].T @ dzf + P["Who"].T @ dzo + P["Whg"].T @ dzg
        dc = dc * f
    return dX, dh, dc, G
