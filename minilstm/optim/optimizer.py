"""Optimisers: how gradients change weights; what SGD, Adam and AdamW share.

An optimiser holds a model, not arrays: at each step it looks the arrays up by name. So training continues
after the model has moved to another backend or dtype, and the optimiser's own arrays (momentum, Adam's
moments; all called moments here) move too. A step first makes sure that every gradient is finite, then
updates in place with the formulas of PyTorch's optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from minilstm.backend.arrays import Array, asarray, backend_name, get_array_module
from minilstm.backend.checks import check_number
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError
from minilstm.layers.foreign import OPTIMIZER_INSTEAD, refuse_foreign
from minilstm.layers.module import Module
from minilstm.layers.tree import outdate
from minilstm.optim import saving
from minilstm.optim.gradients import check_apart, check_finite, trainable


class ParameterUpdate(NamedTuple):
    """What a step does with one parameter."""

    name: str
    layer: Module               # whose parameter it is
    p: Array                    # the parameter
    g: Array                    # its gradient
    moments: tuple[Array, ...]


class Optimizer:
    """Base class. A subclass names its hyperparameters and moments and writes ``_update`` for one parameter.

    Attributes:
        model: whose parameters are learned.
        lr: learning rate, settable at any time; a finite number >= 0.
        steps: how many updates have been made.
    """

    _hyper: tuple[str, ...] = ("lr",)

    def __new__(cls, *args: Any, **options: Any) -> Self:
        refuse_foreign(cls, options, OPTIMIZER_INSTEAD)
        return super().__new__(cls)

    def __init__(self, model: Module, **hyper: Any) -> None:
        who = type(self).__name__
        if not isinstance(model, Module):
            raise DtypeError(f"{who}: expected a minilstm Module, got {type(model).__name__}; give the model "
                             f"itself: {who}(model)")
        modules = model.modules()
        if not any(module.params for _, module in modules):
            raise ArgumentError(f"{who}: the model has no parameters to learn")
        check_apart(modules)
        self.model = model
        self.steps = 0
        self._moments: dict[str, tuple[Array, ...]] = {}
        self._buffers: list[Array] = []
        self._set(self._validated(hyper))

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        return {name: check_number(name, value) for name, value in hyper.items()}

    def _set(self, hyper: Mapping[str, Any]) -> None:
        for name, value in hyper.items():
            setattr(self, name, value)

    @property
    def lr(self) -> float:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = check_number("lr", value)

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Same as ``model.zero_grad()``; ``set_to_none`` makes no difference."""
        self.model.zero_grad()

    def __repr__(self) -> str:
        words = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._hyper)
        return f"{type(self).__name__}({words})"

    def step(self, *, checked: bool = False, modules: list[tuple[str, Any]] | None = None) -> None:
        """Update every parameter in place from its gradient, except those of frozen layers.

        Before anything changes, raises NonFiniteError naming the first gradient that holds NaN or infinity;
        ShapeError, DtypeError or ParameterError for a gradient that does not fit its parameter; ArgumentError
        for a hyperparameter out of range, a read-only parameter or two that share memory. A pending forward
        is discarded, since its caches refer to the weights as they were.

        Args:
            checked: skip the search for NaN and infinity, which waits for a device, where the caller has
                already made sure that all gradients are finite, as the Trainer does from their norm.
            modules: ``model.modules()``, where the caller has it.
        """
        self._set(self._validated({name: getattr(self, name) for name in self._hyper}))
        modules = self.model.modules() if modules is None else modules
        updates = self._gather(modules)
        if updates and not checked:
            check_finite([update[:4] for update in updates], self._largest)
        outdate(modules)
        self.steps += 1
        self._moments.update((update.name, update.moments) for update in updates)
        self._update_all(updates)

    def _gather(self, modules: list[tuple[str, Any]]) -> list[ParameterUpdate]:
        """Look up all arrays to be updated and bring their moments to where they are, changing nothing."""
        check_apart(modules)
        updates: list[ParameterUpdate] = []
        slots = self._slots()
        for name, layer, p, g in trainable(modules):
            xp = get_array_module(p, g)
            moments = self._moments.get(name, ())
            if len(moments) < len(slots):           # none yet, or momentum was switched on later
                moments = tuple(xp.zeros_like(p) for _ in slots)
            for m in moments:
                if m.shape != p.shape:
                    raise ShapeError(f"{name} ({type(layer).__name__}): the shape changed from {m.shape} to "
                                     f"{p.shape} since the last step; make a new optimiser")
                if m.dtype != p.dtype or type(m) is not type(p):
                    moments = tuple(asarray(m, backend_name(p), p.dtype) for m in moments)
            updates.append(ParameterUpdate(name, layer, p, g, moments))
        return updates

    def _update_all(self, updates: list[ParameterUpdate]) -> None:
        for _, layer, p, g, moments in updates:
            self._update(p, g, moments, layer._fast)

    def _largest(self, dtype: Any) -> float:
        """Return the size below which gradients of this dtype can be used."""
        return math.inf

    def _slots(self) -> tuple[str, ...]:
        """The names of the moments each parameter has."""
        return ()

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], fast: bool) -> None:
        """Change ``p`` and ``moments`` in place, with a fast twin if there is one and ``fast`` allows it."""
        raise TypeError(f"{type(self).__name__} does not define _update")

    def _scratch(self, p: Array) -> list[Array]:
        """Two arrays like ``p`` to compute in, cut from two buffers that all parameters share."""
        held = self._buffers[0] if self._buffers else None
        if held is None or type(held) is not type(p) or held.dtype != p.dtype or held.size < p.size:
            self._buffers = [get_array_module(p).empty(p.size, p.dtype) for _ in range(2)]
        return [buffer[:p.size].reshape(p.shape) for buffer in self._buffers]

    def state_dict(self) -> dict[str, Any]:
        """Return {"arrays": {"0.W.exp_avg": host array, ...}, "meta": JSON-able hyperparameters and
        steps}."""
        return saving.save(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where ``state_dict`` was called: moments, step count, hyperparameters.

        Raises CheckpointError unless everything fits this optimiser and its model; nothing is changed then.
        """
        saving.load(self, state)
