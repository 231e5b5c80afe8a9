# one matrix for [h, x], columns f, i, g, o; a constant 1 is added to the forget gate, so that the cell remembers at first
import numpy as np

FORGET_BIAS = 1.0


def s(x):
    return 1.0 / (1.0 + np.exp(-x))


class Step:
    """What one time step has to remember."""

    def __init__(self, hx, c_prev, f, i, g, o, c):
        self.hx, self.c_prev, self.f, self.i, self.g, self.o, self.c = hx, c_prev, f, i, g, o, c


def lstm(x, state_h, state_c, W, b):
    H = state_h.shape[-1]
    outputs, history = [], []
    for x_t in np.moveaxis(x, 1, 0):
        hx = np.concatenate([state_h, x_t], -1)
        z = hx @ W + b
        f = s(z[:, :H] + FORGET_BIAS)
        i = s(z[:, H:2 * H])
        g = np.tanh(z[:, 2 * H:3 * H])
        o = s(z[:, 3 * H:])
        c = state_c * f + i * g
        history.append(Step(hx, state_c, f, i, g, o, c))
        state_c = c
        state_h = o * np.tanh(c)
        outputs.append(state_h)
    return np.stack(outputs, axis=1), state_c, (history, W)


def lstm_grad(d_outputs, d_last_c, cache):
    history, W = cache
    H = W.shape[1] // 4
    dW = np.zeros_like(W)
    db = np.zeros(4 * H)
    dx = []
    dh = 0.0
    dc = d_last_c
    for step, d_out in zip(history[::-1], np.moveaxis(d_outputs, 1, 0)[::-1]):
        dh = dh + d_out
        tanh_c = np.tanh(step.c)
        dc = dc + dh * step.o * (1 - tanh_c ** 2)
        dz = np.hstack([dc * step.c_prev * step.f * (1 - step.f),
                        dc * step.g * step.i * (1 - step.i),
                        dc * step.i * (1 - step.g ** 2),
                        dh * tanh_c * step.o * (1 - step.o)])
        dW += step.hx.T @ dz
        db += dz.sum(axis=0)
        dhx = dz @ W.T
        dh, dx_t = dhx[:, :H], dhx[:, H:]
        dx.append(dx_t)
        dc = dc * step.f
    return np.stack(dx[::-1], axis=1), dh, dc, dW, db
