# two layers with leaky ReLU, softmax loss and weight decay; params and grads are dictionaries
import numpy as np


class TwoLayers:
    def __init__(self, D, H, C, decay, rng):
        self.decay = decay
        self.params = {
            "W1": 0.5 * rng.standard_normal((D, H)),
            "b1": 0.5 * rng.standard_normal((1, H)),
            "W2": 0.5 * rng.standard_normal((H, C)),
            "b2": 0.5 * rng.standard_normal((1, C)),
        }
        self.grads = {}

    def forward(self, X, labels):
        p = self.params
        self.X, self.labels = X, labels
        self.a = X @ p["W1"] + p["b1"]
        self.h = np.where(self.a > 0, self.a, 0.1 * self.a)
        logits = self.h @ p["W2"] + p["b2"]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = e / e.sum(axis=1, keepdims=True)
        data_loss = -np.mean(np.log(self.probs[np.arange(len(X)), labels]))
        decay_loss = 0.5 * self.decay * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))
        return data_loss + decay_loss

    def backward(self):
        p = self.params
        N = self.X.shape[0]
        dlogits = self.probs.copy()
        dlogits[np.arange(N), self.labels] -= 1
        dlogits /= N
        self.grads["W2"] = self.h.T @ dlogits + self.decay * p["W2"]
        self.grads["b2"] = np.sum(dlogits, axis=0, keepdims=True)
        dh = dlogits @ p["W2"].T
        da = np.where(self.a > 0, dh, 0.1 * dh)
        self.grads["W1"] = self.X.T @ da + self.decay * p["W1"]
        self.grads["b1"] = np.sum(da, axis=0, keepdims=True)
        return da @ p["W1"].T
