"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import check_number
from minilstm.backend.errors import ArgumentError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.kernels import adam_twin
from minilstm.layers.module import Module
from minilstm.optim.optimizer import Optimizer


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with torch.optim.Adam's semantics; t counts steps from 1.

        g ← g + weight_decay·p  (not in AdamW, which shrinks p by lr·weight_decay instead)
        m ← β₁m + (1 − β₁)g;   v ← β₂v + (1 − β₂)g²;   p ← p − lr·[m/(1 − β₁ᵗ)] / (√[v/(1 − β₂ᵗ)] + ε)

    State arrays: m is "exp_avg", v is "exp_avg_sq". The two bias corrections are folded into the step size
    and ε: p ← p − [lr·k/(1 − β₁ᵗ)]·m / (√v + ε·k) with k = √(1 − β₂ᵗ).

    Args:
        model: the module whose parameters are updated.
        lr: learning rate.
        betas: β₁ and β₂, decay rates of the two moments, each in [0, 1).
        eps: ε, above 0.
        weight_decay: added to the gradient, times p.

    >>> import numpy as np, minilstm as ml
    >>> model = ml.Linear(1, 1, rng=0)
    >>> before, optimizer = model.params["b"].copy(), ml.Adam(model, lr=0.01)
    >>> model.grads["b"][:] = 5.0
    >>> optimizer.step()
    >>> round(float((before - model.params["b"])[0]), 6)    # the first step is lr for any gradient
    0.01
    """

    _hyper = ("lr", "betas", "eps", "weight_decay")
    _decoupled = False
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(self, model: Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(model, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        betas = hyper["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ArgumentError(f"betas: expected two numbers, got {betas!r}")
        checked: dict[str, Any] = super()._validated({k: v for k, v in hyper.items() if k != "betas"})
        if checked["eps"] == 0:         # 0/0 where the gradient has always been 0, as in a padding row
            raise ArgumentError("eps: expected a number above 0, got 0")
        rates = [check_number(f"betas[{k}]", beta, below=1.0) for k, beta in enumerate(betas)]
        return {**checked, "betas": tuple(rates)}

    def _slots(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _largest(self, dtype: np.dtype) -> float:
        return math.sqrt(float(np.finfo(dtype).max))        # an infinite v would freeze a weight

    def _folded(self) -> tuple[float, float, float]:
        """Return the step size and ε with the corrections in them, and the decay added to gradients."""
        # math.sqrt, not the array module's: a NumPy scalar would promote float32 arithmetic to float64
        k = math.sqrt(1 - self.betas[1] ** self.steps)
        eps = max(self.eps * k, 1.2e-38)        # not flushed to 0 in float32
        return (self.lr * k / (1 - self.betas[0] ** self.steps), eps,
                0.0 if self._decoupled else self.weight_decay)

    _update_all = flush_to_zero(Optimizer._update_all)

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], fast: bool) -> None:
        (m, v), (beta1, beta2), (rate, eps, decay) = moments, self.betas, self._folded()
        if self.weight_decay and self._decoupled:
            p *= 1 - self.lr * self.weight_decay
        twin = adam_twin(p, g, m, v) if fast else None
        if twin is not None:
            twin(p, g, m, v, betas=self.betas, rate=rate, eps=eps, decay=decay)
            return
        xp, (s, r) = get_array_module(p), self._scratch(p)
        if decay:
            xp.multiply(p, decay, out=r)
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


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): p ← (1 − lr·weight_decay)·p, then Adam.

    Args:
        model, lr, betas, eps: as in Adam.
        weight_decay: how fast weights shrink, in units of lr; the decay does not pass through the moments.

    >>> import minilstm as ml
    >>> model = ml.Linear(1, 1, rng=0)
    >>> model.params["b"][:] = 1.0
    >>> ml.AdamW(model, lr=0.1, weight_decay=0.5).step()    # no gradient: b only shrinks, by 0.1 · 0.5
    >>> print(model.params["b"].round(3))
    [0.95]
    """

    _decoupled = True

    def __init__(self, model: Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2) -> None:
        super().__init__(model, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
