# several GRU layers on top of each other; every gate reads [x, h] side by side; (time, batch, features)
import numpy as np


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def layer_forward(seq, Wz, Wr, Wh):
    T, B, D = seq.shape
    H = Wz.shape[1]
    h = np.zeros((B, H))
    outs, tape = [], []
    for t in range(T):
        xh = np.concatenate([seq[t], h], axis=1)
        z = logistic(xh @ Wz)
        r = logistic(xh @ Wr)
        xrh = np.concatenate([seq[t], r * h], axis=1)
        cand = np.tanh(xrh @ Wh)
        tape.append((xh, xrh, h, z, r, cand))
        h = h + z * (cand - h)
        outs.append(h)
    return np.stack(outs), tape


def layer_backward(dout, tape, Wz, Wr, Wh):
    T, B, H = dout.shape
    D = Wz.shape[0] - H
    dWz, dWr, dWh = np.zeros_like(Wz), np.zeros_like(Wr), np.zeros_like(Wh)
    dseq = np.zeros((T, B, D))
    dh_next = np.zeros((B, H))
    for t in range(T - 1, -1, -1):
        xh, xrh, h, z, r, cand = tape[t]
        dh = dout[t] + dh_next
        dcand = dh * z
        dz = dh * (cand - h)
        dh_prev = dh * (1 - z)

        da_h = dcand * (1 - cand ** 2)
        dWh += xrh.T @ da_h
        dxrh = da_h @ Wh.T
        dseq[t] += dxrh[:, :D]
        drh = dxrh[:, D:]
        dr = drh * h
        dh_prev += drh * r

        da_z = dz * z * (1 - z)
        da_r = dr * r * (1 - r)
        dWz += xh.T @ da_z
        dWr += xh.T @ da_r
        dxh = da_z @ Wz.T + da_r @ Wr.T
        dseq[t] += dxh[:, :D]
        dh_prev += dxh[:, D:]
        dh_next = dh_prev
    return dseq, dWz, dWr, dWh


def forward(x, layers):
    tapes = []
    for layer in layers:
        x, tape = layer_forward(x, layer["Wz"], layer["Wr"], layer["Wh"])
        tapes.append(tape)
    return x, (layers, tapes)


def backward(dy, cache):
    layers, tapes = cache
    grads = []
    for layer, tape in zip(layers[::-1], tapes[::-1]):
        dy, dWz, dWr, dWh = layer_backward(dy, tape, layer["Wz"], layer["Wr"], layer["Wh"])
        grads.append({"Wz": dWz, "Wr": dWr, "Wh": dWh})
    return {"x": dy, "layers": grads[::-1]}
