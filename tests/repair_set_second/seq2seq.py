# encoder and decoder, both plain RNNs; the decoder starts from the encoder's last state; squared error
import numpy as np


def encode(src, enc):
    states = [np.zeros((src.shape[1], enc["U"].shape[0]))]
    for x in src:
        states.append(np.tanh(x @ enc["W"] + states[-1] @ enc["U"] + enc["b"]))
    return states


def decode(h, inp, dec):
    states, preds = [h], []
    for x in inp:
        h = np.tanh(x @ dec["W"] + h @ dec["U"] + dec["b"])
        states.append(h)
        preds.append(h @ dec["V"] + dec["c"])
    return states, np.array(preds)


def loss(src, inp, want, enc, dec):
    """src: (S, N, D), inp and want: (T, N, K); the decoder reads the right answer of the step before."""
    enc_states = encode(src, enc)
    dec_states, preds = decode(enc_states[-1], inp, dec)
    error = preds - want
    value = 0.5 * np.sum(error ** 2) / want.shape[1]
    return value, (src, inp, error, enc, dec, enc_states, dec_states)


def loss_grad(cache):
    src, inp, error, enc, dec, enc_states, dec_states = cache
    N = src.shape[1]
    d_enc = {name: np.zeros_like(value) for name, value in enc.items()}
    d_dec = {name: np.zeros_like(value) for name, value in dec.items()}
    d_inp = np.zeros_like(inp)
    d_src = np.zeros_like(src)
    d_pred = error / N
    d_want = -error / N

    dh = np.zeros_like(dec_states[0])
    for t in range(len(inp) - 1, -1, -1):
        d_dec["V"] += dec_states[t + 1].T @ d_pred[t]
        d_dec["c"] += d_pred[t].sum(axis=0)
        dh = dh + d_pred[t] @ dec["V"].T
        da = dh * (1 - dec_states[t + 1] ** 2)
        d_dec["W"] += inp[t].T @ da
        d_dec["U"] += dec_states[t].T @ da
        d_dec["b"] += da.sum(axis=0)
        d_inp[t] = da @ dec["W"].T
        dh = da @ dec["U"].T

    for s in range(len(src) - 1, -1, -1):
        da = dh * (1 - enc_states[s + 1] ** 2)
        d_enc["W"] += src[s].T @ da
        d_enc["U"] += enc_states[s].T @ da
        d_enc["b"] += da.sum(axis=0)
        d_src[s] = da @ enc["W"].T
        dh = da @ enc["U"].T
    return d_src, d_inp, d_want, d_enc, d_dec
