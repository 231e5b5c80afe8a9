# time first; one weight matrix whose first row is the bias, then the rows of x, then those of h
import numpy as np


def forward(X, WLSTM, c0, h0):
    T, N, D = X.shape
    H = h0.shape[1]
    rows = WLSTM.shape[0]
    Hin = np.zeros((T, N, rows))        # [1, x, h]
    IFOG = np.zeros((T, N, 4 * H))      # after the nonlinearity
    C = np.zeros((T, N, H))
    Ct = np.zeros((T, N, H))
    Hout = np.zeros((T, N, H))
    for t in range(T):
        hprev = Hout[t - 1] if t > 0 else h0
        cprev = C[t - 1] if t > 0 else c0
        Hin[t, :, 0] = 1
        Hin[t, :, 1:D + 1] = X[t]
        Hin[t, :, D + 1:] = hprev
        pre = Hin[t].dot(WLSTM)
        IFOG[t, :, :3 * H] = 1.0 / (1.0 + np.exp(-pre[:, :3 * H]))
        IFOG[t, :, 3 * H:] = np.tanh(pre[:, 3 * H:])
        C[t] = IFOG[t, :, H:2 * H] * cprev + IFOG[t, :, :H] * IFOG[t, :, 3 * H:]
        Ct[t] = np.tanh(C[t])
        Hout[t] = IFOG[t, :, 2 * H:3 * H] * Ct[t]
    cache = dict(W=WLSTM, Hin=Hin, IFOG=IFOG, C=C, Ct=Ct, c0=c0, D=D, H=H)
    return Hout, C[-1].copy(), Hout[-1].copy(), cache


def backward(dHout_in, dcn, dhn, cache):
    W, Hin, IFOG, C, Ct = cache['W'], cache['Hin'], cache['IFOG'], cache['C'], cache['Ct']
    D, H = cache['D'], cache['H']
    T, N, _ = Hin.shape
    dIFOG = np.zeros(IFOG.shape)
    dA = np.zeros(IFOG.shape)
    dW = np.zeros(W.shape)
    dX = np.zeros((T, N, D))
    dC = np.zeros(C.shape)
    dHout = dHout_in.copy()
    dHout[T - 1] += dhn
    dC[T - 1] += dcn
    dc0 = dh0 = None
    for t in reversed(range(T)):
        I, F, O, G = (IFOG[t, :, k * H:(k + 1) * H] for k in range(4))
        dIFOG[t, :, 2 * H:3 * H] = Ct[t] * dHout[t]
        dC[t] += (1 - Ct[t] ** 2) * (O * dHout[t])
        if t > 0:
            dIFOG[t, :, H:2 * H] = C[t - 1] * dC[t]
            dC[t - 1] += F * dC[t]
        else:
            dIFOG[t, :, H:2 * H] = cache['c0'] * dC[t]
            dc0 = F * dC[t]
        dIFOG[t, :, :H] = G * dC[t]
        dIFOG[t, :, 3 * H:] = I * dC[t]
        y = IFOG[t, :, :3 * H]
        dA[t, :, :3 * H] = y * (1.0 - y) * dIFOG[t, :, :3 * H]
        dA[t, :, 3 * H:] = (1 - G ** 2) * dIFOG[t, :, 3 * H:]
        dW += Hin[t].T.dot(dA[t])
        dHin = dA[t].dot(W.T)
        dX[t] = dHin[:, 1:D + 1]
        if t > 0:
            dHout[t - 1] += dHin[:, D + 1:]
        else:
            dh0 = dHin[:, D + 1:]
    return dX, dW, dc0, dh0
