import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x, h0, c0, Wf, bf, Wi, bi, Wc, bc, Wo, bo):
    """x: (N, T, D); every W: (H + D, H), as in the equations with [h, x]."""
    N, T, D = x.shape
    h, c = h0, c0
    hs, steps = [], []
    for t in range(T):
        hx = np.concatenate([h, x[:, t, :]], axis=1)
        f = sigmoid(hx @ Wf + bf)
        i = sigmoid(hx @ Wi + bi)
        c_bar = np.tanh(hx @ Wc + bc)
        o = sigmoid(hx @ Wo + bo)
        c_old = c
        c = f * c_old + i * c_bar
        h = o * np.tanh(c)
        hs.append(h)
        steps.append((hx, f, i, c_bar, o, c_old, c))
    return np.stack(hs, axis=1), (steps, Wf, Wi, Wc, Wo, D)


def backward(dhs, cache):
    steps, Wf, Wi, Wc, Wo, D = cache
    N, T, H = dhs.shape
    dWf, dWi, dWc, dWo = np.zeros_like(Wf), np.zeros_like(Wi), np.zeros_like(Wc), np.zeros_like(Wo)
    dbf, dbi, dbc, dbo = np.zeros(H), np.zeros(H), np.zeros(H), np.zeros(H)
    dx = np.zeros((N, T, D))
    dh_next = np.zeros((N, H))
    dc_next = np.zeros((N, H))

    for t in range(T - 1, -1, -1):
        hx, f, i, c_bar, o, c_old, c = steps[t]
        dh = dhs[:, t, :] + dh_next

        # h = o * tanh(c)
        do = dh * np.tanh(c)
        dc = dc_next + dh * o * (1 - np.tanh(c) ** 2)

        # c = f * c_old + i * c_bar
        df = dc * c_old
        di = dc * c_bar
        dc_bar = dc * i
        dc_next = dc * f

        # back through the nonlinearities
        dzf = df * f * (1 - f)
        dzi = di * i * (1 - i)
        dzc = dc_bar * (1 - c_bar ** 2)
        dzo = do * o * (1 - o)

        # parameters, shared by all steps
        dWf += hx.T @ dzf
        dWi += hx.T @ dzi
        dWc += hx.T @ dzc
        dWo += hx.T @ dzo
        dbf += dzf.sum(axis=0)
        dbi += dzi.sum(axis=0)
        dbc += dzc.sum(axis=0)
        dbo += dzo.sum(axis=0)

        # the concatenated input
        dhx = dzf @ Wf.T + dzi @ Wi.T + dzc @ Wc.T + dzo @ Wo.T
        dh_next = dhx[:, :H]
        dx[:, t, :] = dhx[:, H:]

    return dx, dh_next, dc_next, dWf, dbf, dWi, dbi, dWc, dbc, dWo, dbo
