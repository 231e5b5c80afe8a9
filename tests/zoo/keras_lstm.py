# kernel, recurrent_kernel, bias with columns i, f, c, o; the weight gradients are taken once, after the loop
import numpy as np


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def forward(x, kernel, recurrent_kernel, bias, h0, c0):
    N, T, D = x.shape
    H = h0.shape[1]
    xw = x @ kernel + bias
    acts = np.empty((T, N, 4 * H))
    hs = np.empty((T + 1, N, H))
    cs = np.empty((T + 1, N, H))
    hs[0], cs[0] = h0, c0
    for t in range(T):
        a = xw[:, t] + hs[t] @ recurrent_kernel
        acts[t] = logistic(a)
        acts[t, :, 2 * H:3 * H] = np.tanh(a[:, 2 * H:3 * H])
        i, f, g, o = np.split(acts[t], 4, axis=-1)
        cs[t + 1] = f * cs[t] + i * g
        hs[t + 1] = o * np.tanh(cs[t + 1])
    return hs[1:].swapaxes(0, 1).copy(), (x, kernel, recurrent_kernel, acts, hs, cs)


def backward(dy, cache):
    x, kernel, recurrent_kernel, acts, hs, cs = cache
    N, T, D = x.shape
    H = hs.shape[2]
    da = np.empty_like(acts)
    dh = np.zeros((N, H))
    dc = np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        i, f, g, o = np.split(acts[t], 4, axis=-1)
        th = np.tanh(cs[t + 1])
        dh += dy[:, t]
        dc += dh * o * (1 - th ** 2)
        da[t, :, :H] = dc * g * i * (1 - i)
        da[t, :, H:2 * H] = dc * cs[t] * f * (1 - f)
        da[t, :, 2 * H:3 * H] = dc * i * (1 - g ** 2)
        da[t, :, 3 * H:] = dh * th * o * (1 - o)
        dh = da[t] @ recurrent_kernel.T
        dc = dc * f
    dx = np.einsum("tng,dg->ntd", da, kernel)
    dkernel = np.einsum("ntd,tng->dg", x, da)
    drecurrent = np.einsum("tnh,tng->hg", hs[:-1], da)
    dbias = da.sum(axis=(0, 1))
    return dx, dkernel, drecurrent, dbias, dh, dc
