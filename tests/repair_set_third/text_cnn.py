# sentences through word vectors, 1-D convolutions of two widths, ReLU, the maximum over time and a softmax
import numpy as np


class TextCNN:
    widths = (2, 3)

    def __init__(self, n_words, dim, n_filters, n_classes, rng):
        self.params = {"emb": rng.standard_normal((n_words, dim))}
        for w in self.widths:
            self.params[f"F{w}"] = 0.5 * rng.standard_normal((n_filters, w, dim))
            self.params[f"b{w}"] = 0.5 + 0.2 * rng.standard_normal(n_filters)
        self.params["W"] = rng.standard_normal((n_filters * len(self.widths), n_classes))
        self.params["c"] = rng.standard_normal(n_classes)
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def forward(self, tokens, labels):
        p = self.params
        self.tokens, self.labels = tokens, labels
        self.x = p["emb"][tokens]
        n, length = tokens.shape
        self.best, pooled = {}, []
        for w in self.widths:
            conv = np.zeros((n, length - w + 1, len(p[f"b{w}"])))
            for s in range(length - w + 1):
                conv[:, s] = np.einsum("nwd,fwd->nf", self.x[:, s:s + w], p[f"F{w}"]) + p[f"b{w}"]
            self.best[w] = conv.argmax(axis=1)
            pooled.append(np.maximum(conv.max(axis=1), 0))
        self.features = np.concatenate(pooled, axis=1)
        logits = self.features @ p["W"] + p["c"]
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = exps / exps.sum(axis=1, keepdims=True)
        return -np.log(self.probs[np.arange(n), labels]).mean()

    def backward(self):
        p, g = self.params, self.grads
        n = len(self.labels)
        dlogits = self.probs.copy()
        dlogits[np.arange(n), self.labels] -= 1
        dlogits /= n
        g["W"] += self.features.T @ dlogits
        g["c"] += dlogits.sum(axis=0)
        dfeatures = dlogits @ p["W"].T
        dfeatures[self.features <= 0] = 0
        dx = np.zeros_like(self.x)
        start = 0
        for w in self.widths:
            n_filters = len(p[f"b{w}"])
            dpool = dfeatures[:, start:start + n_filters]
            start += n_filters
            g[f"b{w}"] += dpool.sum(axis=0)
            for k in range(n):
                for f in range(n_filters):
                    s = self.best[w][k, f]
                    g[f"F{w}"][f] += dpool[k, f] * self.x[k, s:s + w]
                    dx[k, s:s + w] += dpool[k, f] * p[f"F{w}"][f]
        np.add.at(g["emb"], self.tokens, dx)
