# weights as torch keeps them: weight_ih (4H, D), weight_hh (4H, H), rows i, f, g, o, and two biases
import numpy as np


def sigm(v):
    return 0.5 * (1 + np.tanh(0.5 * v))


def lstm_fwd(x, h0, c0, w_ih, w_hh, b_ih, b_hh):
    h, c = h0, c0
    out = []
    tape = []
    for t in range(x.shape[1]):
        xt = x[:, t]
        gates = xt @ w_ih.T + b_ih + h @ w_hh.T + b_hh
        ai, af, ag, ao = np.split(gates, 4, axis=1)
        i, f, g, o = sigm(ai), sigm(af), np.tanh(ag), sigm(ao)
        cn = f * c + i * g
        tc = np.tanh(cn)
        hn = o * tc
        tape.append(dict(x=xt, h=h, c=c, i=i, f=f, g=g, o=o, tc=tc))
        h, c = hn, cn
        out.append(h)
    return np.stack(out, 1), h, c, (tape, w_ih, w_hh)


def lstm_bwd(dout, dhn, dcn, cache):
    tape, w_ih, w_hh = cache
    gw_ih = np.zeros_like(w_ih)
    gw_hh = np.zeros_like(w_hh)
    gb = np.zeros(w_ih.shape[0])
    gx = []
    gh, gc = dhn, dcn
    for t in range(len(tape) - 1, -1, -1):
        s = tape[t]
        i, f, g, o, tc = s["i"], s["f"], s["g"], s["o"], s["tc"]
        gh = gh + dout[:, t]
        gc = gc + gh * o * (1 - tc * tc)
        d_i = gc * g * i * (1 - i)
        d_f = gc * s["c"] * f * (1 - f)
        d_g = gc * i * (1 - g * g)
        d_o = gh * tc * o * (1 - o)
        d_gates = np.concatenate((d_i, d_f, d_g, d_o), axis=1)
        gw_ih += d_gates.T @ s["x"]
        gw_hh += d_gates.T @ s["h"]
        gb += d_gates.sum(0)
        gx.insert(0, d_gates @ w_ih)
        gh = d_gates @ w_hh
        gc = gc * f
    return np.stack(gx, 1), gh, gc, gw_ih, gw_hh, gb, gb.copy()
