# LSTM for text, columns and z = [h; x], every gate with its own W and b, a softmax after each step
import numpy as np


def sigm(x):
    return 1 / (1 + np.exp(-x))


def d_sigm(y):
    return y * (1 - y)


def d_tanh(y):
    return 1 - y * y


def forward(X, targets, W_f, b_f, W_i, b_i, W_C, b_C, W_o, b_o, W_v, b_v):
    """X: (T, X_size, 1); targets: T numbers of classes."""
    H_size = b_f.shape[0]
    h_prev, C_prev = np.zeros((H_size, 1)), np.zeros((H_size, 1))
    steps = []
    loss = 0.0
    for x, target in zip(X, targets):
        z = np.concatenate((h_prev, x))
        f = sigm(np.dot(W_f, z) + b_f)
        i = sigm(np.dot(W_i, z) + b_i)
        C_bar = np.tanh(np.dot(W_C, z) + b_C)
        C = f * C_prev + i * C_bar
        o = sigm(np.dot(W_o, z) + b_o)
        h = o * np.tanh(C)
        v = np.dot(W_v, h) + b_v
        y = np.exp(v) / np.sum(np.exp(v))
        loss += -np.log(y[target, 0])
        steps.append((z, f, i, C_bar, C, o, h, y, C_prev))
        h_prev, C_prev = h, C
    return loss, (X, targets, steps, W_f, W_i, W_C, W_o, W_v)


def backward(cache):
    X, targets, steps, W_f, W_i, W_C, W_o, W_v = cache
    H_size = W_f.shape[0]
    dW_f, dW_i, dW_C, dW_o = [np.zeros_like(W_f) for _ in range(4)]
    db_f, db_i, db_C, db_o = [np.zeros((H_size, 1)) for _ in range(4)]
    dW_v, db_v = np.zeros_like(W_v), np.zeros((W_v.shape[0], 1))
    dX = np.zeros_like(X)
    dh_next = np.zeros((H_size, 1))
    dC_next = np.zeros((H_size, 1))
    for t in range(len(steps) - 1, -1, -1):
        z, f, i, C_bar, C, o, h, y, C_prev = steps[t]
        dv = np.copy(y)
        dv[targets[t]] -= 1
        dW_v += np.dot(dv, h.T)
        db_v += dv

        dh = np.dot(W_v.T, dv)
        dh += dh_next
        do = dh * np.tanh(C)
        do = d_sigm(o) * do
        dC = np.copy(dC_next)
        dC += dh * o * d_tanh(np.tanh(C))
        dC_bar = dC * i
        dC_bar = d_tanh(C_bar) * dC_bar
        di = dC * C_bar
        di = d_sigm(i) * di
        df = dC * C_prev
        df = d_sigm(f) * df

        dW_f += np.dot(df, z.T)
        db_f += df
        dW_i += np.dot(di, z.T)
        db_i += di
        dW_C += np.dot(dC_bar, z.T)
        db_C += dC_bar
        dW_o += np.dot(do, z.T)
        db_o += do
        dz = np.dot(W_f.T, df)
        dz += np.dot(W_i.T, di)
        dz += np.dot(W_C.T, dC_bar)
        dz += np.dot(W_o.T, do)
        dh_next = dz[:H_size, :]
        dC_next = f * dC
        dX[t] = dz[H_size:, :]
    return dX, dW_f, db_f, dW_i, db_i, dW_C, db_C, dW_o, db_o, dW_v, db_v
