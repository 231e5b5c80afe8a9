# minimal gated unit: one forget gate does the work of a GRU's two; x is (N, T, D)
import numpy as np


class MGU:
    """f = sigmoid(Wf x + Uf h + bf), n = tanh(Wn x + Un (f h) + bn), h = (1 - f) h + f n"""

    def __init__(self, D, H, rng):
        def r(*shape):
            return rng.uniform(-0.8, 0.8, shape)

        self.Wf, self.Uf, self.bf = r(D, H), r(H, H), r(H)
        self.Wn, self.Un, self.bn = r(D, H), r(H, H), r(H)

    def __call__(self, x):
        N, T, D = x.shape
        h = np.zeros((N, self.bf.size))
        self.x = x
        self.fs, self.ns, self.hs = [], [], [h]
        for t in range(T):
            xt = x[:, t, :]
            f = 1 / (1 + np.exp(-(xt @ self.Wf + h @ self.Uf + self.bf)))
            n = np.tanh(xt @ self.Wn + (f * h) @ self.Un + self.bn)
            h = (1 - f) * h + f * n
            self.fs.append(f)
            self.ns.append(n)
            self.hs.append(h)
        return np.stack(self.hs[1:], 1)

    def backward(self, dout):
        for name in ("Wf", "Uf", "bf", "Wn", "Un", "bn"):
            setattr(self, "d" + name, np.zeros_like(getattr(self, name)))
        dx = np.empty_like(self.x)
        dh = np.zeros_like(self.hs[0])
        for t in range(dout.shape[1] - 1, -1, -1):
            f, n, h_old, xt = self.fs[t], self.ns[t], self.hs[t], self.x[:, t, :]
            dh = dh + dout[:, t, :]
            dan = dh * f * (1 - n ** 2)
            dfh = dan @ self.Un.T
            df = dh * (n - h_old)
            df = df + dfh * h_old
            daf = df * f * (1 - f)
            self.dWn += xt.T @ dan
            self.dUn += (f * h_old).T @ dan
            self.dbn += dan.sum(0)
            self.dWf += xt.T @ daf
            self.dUf += h_old.T @ daf
            self.dbf += daf.sum(0)
            dx[:, t, :] = daf @ self.Wf.T + dan @ self.Wn.T
            dh = dh * (1 - f) + dfh * f + daf @ self.Uf.T
        return dx
