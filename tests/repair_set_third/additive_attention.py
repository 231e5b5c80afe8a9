# decoder of a translator: a GRU that looks at the encoder's states with additive attention, one sentence
import numpy as np


def sigma(x):
    return 1 / (1 + np.exp(-x))


def decode(enc, ys, s0, Wa, Ua, va, Wg, Wn):
    """enc: (L, E), ys: (T, D), s0: (S,), Wa: (A, S), Ua: (A, E), va: (A,); Wg and Wn read [y, context, s].

    Wg: (2 S, D + E + S), Wn: (S, D + E + S). Returns the states and a function that takes their
    gradient to those of the arguments.
    """
    n_s, n_in = s0.size, ys.shape[1] + enc.shape[1]
    keys = enc @ Ua.T
    s = s0
    history, states = [], []
    for y in ys:
        u = np.tanh(keys + Wa @ s)
        e = u @ va
        alpha = np.exp(e - e.max())
        alpha /= alpha.sum()
        ctx = alpha @ enc
        full = np.concatenate([y, ctx, s])
        zr = sigma(Wg @ full)
        z, r = zr[:n_s], zr[n_s:]
        part = np.concatenate([y, ctx, r * s])
        n = np.tanh(Wn @ part)
        history.append((s, u, alpha, full, zr, part, n))
        s = (1 - z) * s + z * n
        states.append(s)

    def backward(d_states):
        d_enc, d_ys = np.zeros_like(enc), np.zeros_like(ys)
        d_keys = np.zeros_like(keys)
        d_Wa, d_va = np.zeros_like(Wa), np.zeros_like(va)
        d_Wg, d_Wn = np.zeros_like(Wg), np.zeros_like(Wn)
        ds = np.zeros(n_s)
        for t in range(len(ys) - 1, -1, -1):
            s_old, u, alpha, full, zr, part, n = history[t]
            z, r = zr[:n_s], zr[n_s:]
            ds = ds + d_states[t]
            d_an = ds * z * (1 - n ** 2)
            d_z = ds * (n - s_old)
            d_part = Wn.T @ d_an
            d_r = d_part[n_in:] * s_old
            d_azr = np.concatenate([d_z, d_r]) * zr * (1 - zr)
            d_full = Wg.T @ d_azr
            d_Wn += np.outer(d_an, part)
            d_Wg += np.outer(d_azr, full)
            d_in = d_part[:n_in] + d_full[:n_in]
            d_ys[t] = d_in[:ys.shape[1]]
            d_ctx = d_in[ys.shape[1]:]
            d_alpha = enc @ d_ctx
            d_enc += np.outer(alpha, d_ctx)
            d_e = alpha * (d_alpha - alpha @ d_alpha)
            d_va += u.T @ d_e
            d_u = np.outer(d_e, va) * (1 - u ** 2)
            d_keys += d_u
            d_query = d_u.sum(axis=0)
            d_Wa += np.outer(d_query, s_old)
            ds = ds * (1 - z) + d_part[n_in:] * r + d_full[n_in:] + Wa.T @ d_query
        d_enc += d_keys @ Ua
        d_Ua = d_keys.T @ enc
        return d_enc, d_ys, ds, d_Wa, d_Ua, d_va, d_Wg, d_Wn

    return np.array(states), backward
