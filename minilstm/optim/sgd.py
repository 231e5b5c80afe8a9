"""Stochastic gradient descent, with momentum, Nesterov's variant of it, and weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.errors import ArgumentError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.layers.module import Module
from minilstm.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with torch.optim.SGD's semantics.

        g ← g + weight_decay·p;   b ← momentum·b + (1 − dampening)·g  (b = g in the first step)
        p ← p − lr·(g + momentum·b if nesterov else b, or g without momentum)

    Args:
        model: the module whose parameters are updated.
        lr: learning rate, at least 0.
        momentum: how much of the previous direction b is kept, at least 0; 0: plain gradient descent.
        dampening: share of a new gradient that does not enter b.
        weight_decay: added to the gradient, times p.
        nesterov: look ahead along b (Nesterov 1983); needs a momentum above 0 and no dampening.

    >>> import minilstm as ml
    >>> model = ml.Linear(1, 1, rng=0)
    >>> optimizer = ml.SGD(model, lr=0.1, momentum=0.9)
    >>> model.grads["b"][:] = 1.0
    >>> optimizer.step()
    >>> optimizer.step()                                    # b = 0.9 · 1 + 1
    >>> print(model.params["b"].round(3))
    [-0.29]
    """

    _hyper = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool

    def __init__(self, model: Module, lr: float, momentum: float = 0.0, dampening: float = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(model, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                         nesterov=nesterov)

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = super()._validated({k: v for k, v in hyper.items() if k != "nesterov"})
        if not isinstance(hyper["nesterov"], bool):
            raise ArgumentError(f"nesterov: expected True or False, got {hyper['nesterov']!r}")
        if hyper["nesterov"] and (checked["momentum"] == 0 or checked["dampening"] != 0):
            raise ArgumentError("nesterov needs a momentum above 0 and no dampening, got "
                                f"momentum={checked['momentum']}, dampening={checked['dampening']}")
        return {**checked, "nesterov": hyper["nesterov"]}

    def _slots(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    _update_all = flush_to_zero(Optimizer._update_all)

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], fast: bool) -> None:
        xp, (s, r) = get_array_module(p), self._scratch(p)
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
