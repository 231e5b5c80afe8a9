# LSTM in the notation of a survey: block input z, gates i, f, o, output y; W for x, R for y; states start at zero.
# All deltas are kept, with a row of zeros after the last step, so step t can look at step t + 1.
import numpy as np


def sigm(v):
    return 1.0 / (1.0 + np.exp(-v))


def dsigm(v):
    return sigm(v) * (1.0 - sigm(v))


def dtanh(v):
    return 1.0 - np.tanh(v) ** 2


def forward(x, Wz, Wi, Wf, Wo, Rz, Ri, Rf, Ro, bz, bi, bf, bo):
    """x is (T, N, D), W is (M, D), R is (M, M)."""
    T, N, _ = x.shape
    M = bz.size
    # the last row stays zero: it is what index -1 finds at t = 0
    y, c, z_in, i_in, f_in, o_in = np.zeros((6, T + 1, N, M))
    for t in range(T):
        z_in[t] = x[t] @ Wz.T + y[t - 1] @ Rz.T + bz
        i_in[t] = x[t] @ Wi.T + y[t - 1] @ Ri.T + bi
        f_in[t] = x[t] @ Wf.T + y[t - 1] @ Rf.T + bf
        o_in[t] = x[t] @ Wo.T + y[t - 1] @ Ro.T + bo
        c[t] = np.tanh(z_in[t]) * sigm(i_in[t]) + c[t - 1] * sigm(f_in[t])
        y[t] = np.tanh(c[t]) * sigm(o_in[t])
    return y[:T].copy(), (x, y, c, z_in, i_in, f_in, o_in, (Wz, Wi, Wf, Wo), (Rz, Ri, Rf, Ro))


def backward(Delta, cache):
    x, y, c, z_in, i_in, f_in, o_in, (Wz, Wi, Wf, Wo), (Rz, Ri, Rf, Ro) = cache
    z, i, f, o = np.tanh(z_in), sigm(i_in), sigm(f_in), sigm(o_in)
    T = len(x)
    del_c, del_z, del_i, del_f, del_o = np.zeros((5,) + y.shape)

    for t in range(T - 1, -1, -1):
        del_y = Delta[t] + del_z[t + 1] @ Rz + del_i[t + 1] @ Ri + del_f[t + 1] @ Rf + del_o[t + 1] @ Ro
        del_o[t] = del_y * np.tanh(c[t]) * dsigm(o_in[t])
        del_c[t] = del_y * o[t] * dtanh(c[t]) + del_c[t + 1] * f[t + 1]
        del_f[t] = del_c[t] * c[t - 1] * dsigm(f_in[t])
        del_i[t] = del_c[t] * z[t] * dsigm(i_in[t])
        del_z[t] = del_c[t] * i[t] * dtanh(z_in[t])

    grads = {"dx": del_z[:T] @ Wz + del_i[:T] @ Wi + del_f[:T] @ Wf + del_o[:T] @ Wo}
    for gate, delta in zip("zifo", (del_z, del_i, del_f, del_o)):
        grads["dW" + gate] = np.einsum("tnm,tnd->md", delta[:T], x)
        grads["dR" + gate] = np.einsum("tnm,tnk->mk", delta[1:T], y[:T - 1])
        grads["db" + gate] = delta.sum(axis=(0, 1))
    return grads
