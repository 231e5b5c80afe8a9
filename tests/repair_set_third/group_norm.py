# group normalisation of images (N, C, H, W), derived step by step along the computation graph
import numpy as np


class GroupNorm:
    def __init__(self, channels, groups, rng, eps=1e-3):
        self.groups = groups
        self.eps = eps
        self.weight = rng.uniform(0.5, 1.5, (1, channels, 1, 1))
        self.bias = 0.3 * rng.standard_normal((1, channels, 1, 1))

    def forward(self, x):
        N, C, H, W = x.shape
        xg = x.reshape(N, self.groups, -1)
        mu = xg.mean(axis=2, keepdims=True)
        self.xmu = xg - mu
        var = np.mean(self.xmu ** 2, axis=2, keepdims=True)
        self.sqrtvar = np.sqrt(var + self.eps)
        self.ivar = 1 / self.sqrtvar
        self.xhat = (self.xmu * self.ivar).reshape(N, C, H, W)
        return self.weight * self.xhat + self.bias

    def backward(self, dout):
        N, C, H, W = dout.shape
        D = C // self.groups * H * W
        # scale and shift
        self.dbias = np.sum(dout, axis=(0, 2, 3), keepdims=True)
        self.dweight = np.sum(dout * self.xhat, axis=(0, 2, 3), keepdims=True)
        dxhat = (dout * self.weight).reshape(N, self.groups, D)
        # xhat = xmu * ivar
        divar = np.sum(dxhat * self.xmu, axis=2, keepdims=True)
        dxmu1 = dxhat * self.ivar
        # ivar = 1 / sqrt(var + eps)
        dsqrtvar = -divar / self.sqrtvar ** 2
        dvar = 0.5 * dsqrtvar / self.sqrtvar
        # var = mean of xmu ** 2
        dsq = np.ones((N, self.groups, D)) / D * dvar
        dxmu2 = 2 * self.xmu * dsq
        # xmu = x - mu
        dx1 = dxmu1 + dxmu2
        dmu = -np.sum(dx1, axis=2, keepdims=True)
        dx2 = np.ones((N, self.groups, D)) / D * dmu
        return (dx1 + dx2).reshape(N, C, H, W)
