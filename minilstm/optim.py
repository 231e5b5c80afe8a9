"""SGD, Adam and AdamW, with the formulas of PyTorch's, and clipping of gradients by their norm.

What they share (finding arrays by name, the guard against NaN, saving) is in optimizer.py; here each is its formula.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend import Array, get_array_module, takes
from minilstm.errors import ArgumentError, DtypeError
from minilstm.module import Module
from minilstm.optimizer import Optimizer, check_number


class SGD(Optimizer):
    """Stochastic gradient descent, with torch.optim.SGD's semantics.

        g ← g + weight_decay·p;   b ← momentum·b + (1 − dampening)·g  (b = g in the first step)
        p ← p − lr·(g + momentum·b if nesterov else b, or g without momentum)
    """

    _hyper = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool

    def __init__(self, model: Module, lr: float, momentum: float = 0.0, dampening: float = 0.0, weight_decay: float = 0.0,
                 nesterov: bool = False) -> None:
        super().__init__(model, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = super()._validated({k: v for k, v in hyper.items() if k != "nesterov"})
        if not isinstance(hyper["nesterov"], bool):
            raise ArgumentError(f"nesterov: expected True or False, got {hyper['nesterov']!r}")
        if hyper["nesterov"] and (checked["momentum"] == 0 or checked["dampening"] != 0):
            raise ArgumentError(f"nesterov needs a momentum above 0 and no dampening, got momentum={checked['momentum']}, "
                                f"dampening={checked['dampening']}")
        return {**checked, "nesterov": hyper["nesterov"]}

    def _slots(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], s: Array, r: Array) -> None:
        xp = get_array_module(p)
        if self.weight_decay:
            xp.multiply(p, self.weight_decay, out=r)
            r += g
            g = r
        if self.momentum:
            b, = moments
            xp.multiply(g, 1 - self.dampening if self.steps > 1 else 1.0, out=s)
            b *= self.momentum
            b += s
            if self.nesterov:
                xp.multiply(b, self.momentum, out=s)
                s += g
                g = s
            else:
                g = b
        xp.multiply(g, self.lr, out=s)
        p -= s


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with torch.optim.Adam's semantics; t counts steps from 1.

        g ← g + weight_decay·p  (not in AdamW, which shrinks p by lr·weight_decay instead)
        m ← β₁m + (1 − β₁)g;   v ← β₂v + (1 − β₂)g²;   p ← p − lr·[m/(1 − β₁ᵗ)] / (√[v/(1 − β₂ᵗ)] + ε)

    State arrays: m is "exp_avg", v is "exp_avg_sq". The two corrections are folded into numbers:
    p ← p − [lr·k/(1 − β₁ᵗ)]·m / (√v + ε·k) with k = √(1 − β₂ᵗ).
    """

    _hyper = ("lr", "betas", "eps", "weight_decay")
    _decoupled = False
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(self, model: Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.0) -> None:
        super().__init__(model, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        betas = hyper["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ArgumentError(f"betas: expected two numbers, got {betas!r}")
        checked: dict[str, Any] = super()._validated({k: v for k, v in hyper.items() if k != "betas"})
        if checked["eps"] == 0:         # 0/0 wherever the gradient has always been 0, as in an embedding's padding row
            raise ArgumentError("eps: expected a number above 0, got 0")
        return {**checked, "betas": tuple(check_number(f"betas[{k}]", beta, below=1.0) for k, beta in enumerate(betas))}

    def _slots(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], s: Array, r: Array) -> None:
        xp = get_array_module(p)
        m, v = moments
        beta1, beta2 = self.betas
        # math.sqrt, not the array module's: a NumPy scalar would promote float32 arithmetic to float64
        k = math.sqrt(1 - beta2 ** self.steps)
        rate, eps = self.lr * k / (1 - beta1 ** self.steps), self.eps * k
        if self.weight_decay and self._decoupled:
            p *= 1 - self.lr * self.weight_decay
        if xp is np:
            from minilstm.kernels.optim import adam_update
            if adam_update(p, g, m, v, betas=self.betas, rate=rate, eps=eps,
                           decay=0.0 if self._decoupled else self.weight_decay):
                return
        if self.weight_decay and not self._decoupled:
            xp.multiply(p, self.weight_decay, out=r)
            r += g
            g = r
        xp.multiply(g, 1 - beta1, out=s)
        m *= beta1
        m += s
        xp.multiply(g, g, out=s)
        s *= 1 - beta2
        v *= beta2
        v += s
        xp.sqrt(v, out=s)
        s += eps
        xp.divide(m, s, out=s)
        s *= rate
        p -= s

    def _update_by_kernel(self, p: Array, g: Array, moments: tuple[Array, ...], ok: Array) -> None:
        from minilstm.kernels.cuda.optim import adam_update
        adam_update(p, g, *moments, steps=self.steps, lr=self.lr, betas=self.betas, eps=self.eps,
                    weight_decay=self.weight_decay, decoupled=self._decoupled, ok=ok)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): p ← (1 − lr·weight_decay)·p, then Adam's step."""

    _decoupled = True

    def __init__(self, model: Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2) -> None:
        super().__init__(model, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def clip_grad_norm(model: Module, max_norm: float) -> Array:
    """Scale all gradients of ``model`` so that their common L2 norm is at most ``max_norm``; return the norm before.

    The factor is min(1, max_norm / (norm + 1e-6)), as in torch.nn.utils.clip_grad_norm_. The norm is a 0-d float64 array on
    the gradients' backend; squares are summed in float64, where those of float32 cannot overflow. ``max_norm=math.inf`` only
    measures. Gradients whose norm is not finite are left alone, so that the optimiser can name the one that is wrong.
    Raises ArgumentError unless max_norm >= 0, DtypeError for something that is no Module.
    """
    if not isinstance(model, Module):
        raise DtypeError(f"clip_grad_norm: expected a minilstm Module, got {type(model).__name__}")
    if max_norm != math.inf:
        max_norm = check_number("max_norm", max_norm)
    gradients = list(model.named_gradients().values())
    if takes(*gradients):
        from minilstm.kernels.cuda import training
        measured = training.gradient_norm(gradients)
        if max_norm != math.inf:
            training.clip(gradients, measured, max_norm)
        return measured
    xp = get_array_module(*gradients)
    norm = xp.sqrt(sum((xp.square(g, dtype=np.float64).sum() for g in gradients), xp.zeros(())))
    finite = xp.isfinite(norm)
    factor = xp.where(finite, xp.minimum(max_norm / (xp.where(finite, norm, 0.0) + 1e-6), 1.0), 1.0)
    if xp is not np or factor < 1:          # on the host the answer is at hand, and 1 needs no work
        for g in gradients:
            g *= factor.astype(g.dtype)
    return xp.asarray(norm)
