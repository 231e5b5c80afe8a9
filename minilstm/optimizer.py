"""Optimisers: how gradients change weights.

An optimiser holds a model, not arrays: at each step it looks the arrays up by name, so a model that has moved to another
backend or dtype just goes on, and the optimiser's own arrays (momentum, Adam's moments; here all called moments) follow. A
step first makes sure that every gradient is finite, then updates in place with the formulas of SGD, Adam and AdamW as PyTorch
has them. On a device that check must not wait: a flag that stays there keeps every update from the first bad step on from
reaching the weights, and the host raises when it next looks (``check``, ``state_dict``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from minilstm.backend import Array, asarray, backend_name, get_array_module, takes, to_numpy
from minilstm.errors import ArgumentError, CheckpointError, DtypeError, MinilstmError, NonFiniteError, ShapeError
from minilstm.module import Module, check_entries

Work = list[tuple[str, Array, Array, tuple[Array, ...]]]        # name, parameter, gradient, moments


def is_number(value: Any) -> bool:
    """Tell whether ``value`` is one real number, and no bool."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_number(name: str, value: Any, low: float = 0.0, below: float = math.inf) -> float:
    """Return ``value`` as a Python float; raise ArgumentError unless low <= value < below (NaN never is)."""
    if not is_number(value) or not low <= value < below:
        raise ArgumentError(f"{name}: expected a number >= {low:g} and < {below:g}, got {value!r}")
    return float(value)


class Optimizer:
    """Base class. A subclass names its hyperparameters and moments and writes ``_update`` for one parameter.

    Attributes:
        model: whose parameters are learned.
        lr: learning rate, settable at any time; a finite number >= 0.
        steps: how many updates have been made.
    """

    _hyper: tuple[str, ...] = ("lr",)
    _update_by_kernel: Callable[..., None] | None = None        # one parameter, on a device, in one call

    def __init__(self, model: Module, **hyper: Any) -> None:
        if not isinstance(model, Module):
            raise DtypeError(f"{type(self).__name__}: expected a minilstm Module, got {type(model).__name__}")
        if not model.locate():
            raise ArgumentError(f"{type(self).__name__}: the model has no parameters to learn")
        self.model = model
        self.steps = 0
        self._moments: dict[str, tuple[Array, ...]] = {}
        self._buffers: list[Array] = []
        self._watch: tuple[list[str], Array, Array] | None = None       # names, finite flags, good steps, on the device
        self._ok: Array | None = None                                   # all of these flags, where kernels look after them
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

    def zero_grad(self) -> None:
        """Same as ``model.zero_grad()``; on a device in one call, not in one for each parameter."""
        gradients = list(self.model.named_gradients().values())
        if not takes(*gradients):
            self.model.zero_grad()
            return
        from minilstm.kernels.cuda import training
        for _, module in self.model.modules():
            module._caches.clear()
        training.clear(gradients)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._hyper)})"

    # One step --------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Update every parameter in place from its gradient.

        Raises NonFiniteError naming the first gradient that holds NaN or infinity (and ShapeError, DtypeError for a
        gradient that does not fit its parameter, ArgumentError for a hyperparameter that was set to something else than it
        can be) before anything changes. On a device the update is skipped there, and
        ``check`` raises.
        """
        self._set(self._validated({name: getattr(self, name) for name in self._hyper}))
        work = self._gather()
        on_host = backend_name(work[0][1]) == "numpy"
        if self._watch is not None and (on_host or self._watch[0] != [name for name, *_ in work]):
            self.check()                                # the model has moved or changed: settle what is open
            self._watch = None
        if not on_host:
            self._step_unless_bad(work)
            return
        for name, _, g, _ in work:
            if not np.isfinite(g).all():
                self._refuse(name, g)
        self.steps += 1
        from minilstm.kernels.pieces import each_piece
        each_piece([(p, g, *moments) for _, p, g, moments in work],
                   lambda p, g, *rest: self._update(p, g, rest[:-2], *rest[-2:]), scratch=2)

    def _gather(self) -> Work:
        """Look up every array by name and bring the moments to where their parameter is."""
        work: Work = []
        for name, (layer, key) in self.model.locate().items():
            p, g = layer.params[key], layer.grads[key]
            if p.dtype.kind != "f":
                raise DtypeError(f"{name} ({type(layer).__name__}): expected a real floating point parameter, got {p.dtype}")
            if g.shape != p.shape:
                raise ShapeError(f"gradient of {name} ({type(layer).__name__}): expected shape {p.shape}, got {g.shape}")
            xp = get_array_module(p, g)
            moments = self._moments.get(name)
            if moments is None or len(moments) < len(self._slots()):        # the second: momentum was switched on later
                moments = tuple(xp.zeros_like(p) for _ in self._slots())
            elif any(m.shape != p.shape for m in moments):
                raise ShapeError(f"{name} ({type(layer).__name__}): the shape changed from {moments[0].shape} to {p.shape} "
                                 "since the last step; make a new optimiser")
            elif any(m.dtype != p.dtype or type(m) is not type(p) for m in moments):
                moments = tuple(asarray(m, backend_name(p), p.dtype) for m in moments)
            work.append((name, p, g, moments))
        self._moments.update((name, moments) for name, _, _, moments in work)
        return work

    def _slots(self) -> tuple[str, ...]:
        """The names of the moments each parameter has."""
        return ()

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], s: Array, r: Array) -> None:
        """Change ``p`` and ``moments`` in place; ``s`` and ``r`` are scratch arrays like ``p``."""
        raise TypeError(f"{type(self).__name__} does not define _update")

    def _scratch(self, p: Array) -> list[Array]:
        """Two arrays like ``p`` to compute in, cut from two buffers that all parameters share."""
        held = self._buffers[0] if self._buffers else None
        if held is None or type(held) is not type(p) or held.dtype != p.dtype or held.size < p.size:
            self._buffers = [get_array_module(p).empty(p.size, p.dtype) for _ in range(2)]
        return [buffer[:p.size].reshape(p.shape) for buffer in self._buffers]

    # The guard against NaN and infinity ------------------------------------------------------------------------------

    def _refuse(self, name: str, g: Array) -> NoReturn:
        bad = np.argwhere(~np.isfinite(g))
        first = [int(k) for k in bad[0]]
        raise NonFiniteError(f"gradient of {name} ({type(self.model.locate()[name][0]).__name__}) is not finite: first at "
                             f"{first}={g[tuple(first)]} ({len(bad)} of {g.size} entries); no weight was changed")

    def _step_unless_bad(self, work: Work) -> None:
        """Step without waiting for the device: update copies, and let them through only where all was finite so far."""
        xp = get_array_module(work[0][1])
        if self._update_by_kernel is not None and takes(*(x for _, p, g, moments in work for x in (p, g, *moments))):
            self._step_by_kernels(work)
            return
        self._ok = None
        finite = xp.stack([xp.isfinite(g).all() for _, _, g, _ in work])
        if self._watch is None:
            self._watch = [name for name, *_ in work], finite, xp.asarray(self.steps)
        names, flags, good = self._watch
        flags = xp.where(flags.all(), finite, flags)        # from the first bad step on: that step's flags, for good
        ok = flags.all()
        self._watch = names, flags, good + ok
        self.steps += 1
        for _, p, g, moments in work:
            new = [x.copy() for x in (p, *moments)]
            self._update(new[0], g, tuple(new[1:]), *self._scratch(p))
            for old, value in zip((p, *moments), new):
                xp.copyto(old, value, where=ok)

    def _step_by_kernels(self, work: Work) -> None:
        """The same in a few device calls."""
        assert self._update_by_kernel is not None
        from minilstm.kernels.cuda import training
        xp = get_array_module(work[0][1])
        if self._watch is None:
            self._watch = [name for name, *_ in work], xp.ones(len(work), bool), xp.full((), self.steps, np.int64)
            self._ok = None
        _, flags, good = self._watch
        ok = self._ok = flags.all() if self._ok is None else self._ok
        gradients = [g for _, _, g, _ in work]
        training.mark(gradients, ok, flags)
        training.settle(flags, ok, good, gradients[0].dtype)
        self.steps += 1
        for _, p, g, moments in work:
            self._update_by_kernel(p, g, moments, ok)

    def check(self) -> None:
        """Raise NonFiniteError if a step on a device met a gradient that was not finite; waits for the device.

        Weights, moments and ``steps`` are as that step found them, and training may go on from there. On the host there
        is nothing to do: ``step`` itself raises.
        """
        names, flags, good = self._watch or ([], np.ones(0, bool), 0)
        finite = to_numpy(flags)
        if not finite.all():
            asked, self.steps, self._watch = self.steps, int(good), None
            owners = self.model.locate()
            bad = ", ".join(f"{name} ({type(owners[name][0]).__name__})" for name, ok in zip(names, finite) if not ok)
            raise NonFiniteError(f"gradient of {bad} was not finite in step {self.steps + 1}; no weight was changed since "
                                 f"(step {asked} was the last asked for)")

    # Saving ----------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return {"arrays": {"0.W.exp_avg": host array, ...}, "meta": hyperparameters and step count, JSON-able}."""
        self.check()
        arrays = {f"{name}.{slot}": to_numpy(m).copy() for name, _, _, moments in (self._gather() if self.steps else [])
                  for slot, m in zip(self._slots(), moments)}
        meta = {"type": type(self).__name__, "steps": self.steps, **{name: getattr(self, name) for name in self._hyper}}
        return {"arrays": arrays, "meta": {k: list(v) if isinstance(v, tuple) else v for k, v in meta.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where ``state_dict`` was called: moments, step count, learning rate and other hyperparameters.

        Raises CheckpointError unless everything fits this optimiser and its model; nothing is changed then.
        """
        if not isinstance(state, Mapping) or set(state) != {"arrays", "meta"} or \
                not all(isinstance(part, Mapping) for part in state.values()):
            raise CheckpointError("optimiser state: expected a dict with two dicts, 'arrays' and 'meta'")
        meta, arrays, kind = state["meta"], state["arrays"], type(self).__name__
        if set(meta) != {"type", "steps", *self._hyper} or meta["type"] != kind:
            raise CheckpointError(f"optimiser state: expected type {kind!r} with steps, {', '.join(self._hyper)}; got type "
                                  f"{meta.get('type')!r} with {', '.join(str(name) for name in meta if name != 'type')}")
        if isinstance(meta["steps"], bool) or not isinstance(meta["steps"], int) or meta["steps"] < 0:
            raise CheckpointError(f"optimiser state: steps must be a whole number of at least 0, got {meta['steps']!r}")
        try:
            hyper = self._validated({name: meta[name] for name in self._hyper})
        except MinilstmError as error:
            raise CheckpointError(f"optimiser state: {error}") from None
        trial = type(self).__new__(type(self))          # knows which moments these hyperparameters need
        trial._set(hyper)
        names = {name: [f"{name}.{slot}" for slot in trial._slots()] for name in self.model.named_parameters()}
        owners = self.model.named_parameters() if meta["steps"] else {}
        check_entries(arrays, {entry: (tuple(p.shape), np.dtype(p.dtype)) for name, p in owners.items()
                               for entry in names[name]}, "optimiser array")
        for entry, value in arrays.items():
            if entry.endswith(".exp_avg_sq") and (to_numpy(value) < 0).any():
                raise CheckpointError(f"optimiser array {entry}: holds negative values, but is a mean of squares")
        self._moments = {name: tuple(asarray(to_numpy(arrays[entry]).astype(p.dtype), backend_name(p))
                                     for entry in names[name]) for name, p in owners.items()}
        self._set(hyper)
        self.steps, self._watch = meta["steps"], None
