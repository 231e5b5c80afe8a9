# variational autoencoder of binary images: one hidden layer each side, Bernoulli pixels, normal prior
import numpy as np


class VAE:
    def __init__(self, n_pixels, n_hidden, n_latent, rng):
        self.rng = np.random.default_rng(7)
        self.W1 = rng.normal(0, 0.5, (n_pixels, n_hidden))
        self.b1 = rng.normal(0, 0.5, n_hidden)
        self.Wmu = rng.normal(0, 0.5, (n_hidden, n_latent))
        self.bmu = rng.normal(0, 0.5, n_latent)
        self.Wlv = rng.normal(0, 0.5, (n_hidden, n_latent))
        self.blv = rng.normal(0, 0.5, n_latent)
        self.W2 = rng.normal(0, 0.5, (n_latent, n_hidden))
        self.b2 = rng.normal(0, 0.5, n_hidden)
        self.W3 = rng.normal(0, 0.5, (n_hidden, n_pixels))
        self.b3 = rng.normal(0, 0.5, n_pixels)

    def forward(self, x):
        """x: (batch, n_pixels) of 0 and 1. Returns minus the evidence lower bound, mean over the batch."""
        self.x = x
        # encoder
        self.h1 = np.tanh(x @ self.W1 + self.b1)
        self.mu = self.h1 @ self.Wmu + self.bmu
        self.logvar = self.h1 @ self.Wlv + self.blv
        # reparametrisation
        self.eps = self.rng.standard_normal(self.mu.shape)
        self.std = np.exp(0.5 * self.logvar)
        self.z = self.mu + self.std * self.eps
        # decoder
        self.h2 = np.tanh(self.z @ self.W2 + self.b2)
        self.logits = self.h2 @ self.W3 + self.b3
        recon = np.sum(np.logaddexp(0, self.logits) - x * self.logits)
        kl = 0.5 * np.sum(self.mu ** 2 + np.exp(self.logvar) - self.logvar - 1)
        return (recon + kl) / x.shape[0]

    def backward(self):
        m = self.x.shape[0]
        # decoder
        dlogits = (1 / (1 + np.exp(-self.logits)) - self.x) / m
        self.dW3 = self.h2.T @ dlogits
        self.db3 = dlogits.sum(axis=0)
        dh2 = dlogits @ self.W3.T
        dpre2 = dh2 * (1 - self.h2 ** 2)
        self.dW2 = self.z.T @ dpre2
        self.db2 = dpre2.sum(axis=0)
        dz = dpre2 @ self.W2.T
        # through z, and from the KL term
        dmu = dz + self.mu / m
        dlogvar = dz * self.eps * 0.5 * self.std
        dlogvar += 0.5 * (np.exp(self.logvar) - 1) / m
        # encoder
        self.dWmu = self.h1.T @ dmu
        self.dbmu = dmu.sum(axis=0)
        self.dWlv = self.h1.T @ dlogvar
        self.dblv = dlogvar.sum(axis=0)
        dh1 = dmu @ self.Wmu.T + dlogvar @ self.Wlv.T
        dpre1 = dh1 * (1 - self.h1 ** 2)
        self.dW1 = self.x.T @ dpre1
        self.db1 = dpre1.sum(axis=0)
