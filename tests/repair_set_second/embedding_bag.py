# the mean of a text's word vectors, a highway layer on it, and a logistic loss; texts are lists of numbers
import numpy as np


def sigma(t):
    return 1.0 / (1.0 + np.exp(-t))


class BagOfWords:
    def __init__(self, n_words, dim, rng):
        self.E = rng.standard_normal((n_words, dim))
        self.Wt = rng.standard_normal((dim, dim)) / np.sqrt(dim)
        self.bt = rng.standard_normal(dim)
        self.Wh = rng.standard_normal((dim, dim)) / np.sqrt(dim)
        self.bh = rng.standard_normal(dim)
        self.v = rng.standard_normal(dim)

    def forward(self, texts, signs):
        """texts: lists of word numbers; signs: +1 or -1."""
        self.texts, self.signs = texts, signs
        self.bag = np.array([self.E[words].mean(axis=0) for words in texts])
        self.t = sigma(self.bag @ self.Wt + self.bt)
        self.h = np.tanh(self.bag @ self.Wh + self.bh)
        self.out = self.t * self.h + (1 - self.t) * self.bag
        self.margin = signs * (self.out @ self.v)
        return np.log(1 + np.exp(-self.margin)).mean()

    def backward(self):
        count = len(self.texts)
        dscore = -self.signs * sigma(-self.margin) / count
        self.grad_v = self.out.T @ dscore
        dout = np.outer(dscore, self.v)
        dt = dout * (self.h - self.bag)
        dh = dout * self.t
        dbag = dout * (1 - self.t)
        zt = dt * self.t * (1 - self.t)
        zh = dh * (1 - self.h ** 2)
        self.grad_Wt = self.bag.T @ zt
        self.grad_bt = zt.sum(axis=0)
        self.grad_Wh = self.bag.T @ zh
        self.grad_bh = zh.sum(axis=0)
        dbag += zt @ self.Wt.T
        dbag += zh @ self.Wh.T
        self.grad_E = np.zeros_like(self.E)
        for n, words in enumerate(self.texts):
            for w in words:
                self.grad_E[w] += dbag[n] / len(words)
