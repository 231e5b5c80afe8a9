"""Optimisers: how gradients change weights; what SGD, Adam and AdamW share.

An optimiser holds a model, not arrays: at each step it looks the arrays up by name. So training continues after the model has
moved to another backend or dtype, and the optimiser's own arrays (momentum, Adam's moments; all called moments here) move too.
A step first makes sure that every gradient is finite, then updates in place with the formulas of PyTorch's optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, get_array_module, to_numpy
from minilstm.backend.checks import as_real, check_writeable, is_array, is_number
from minilstm.backend.errors import ArgumentError, CheckpointError, DtypeError, MinilstmError, NonFiniteError, ShapeError
from minilstm.layers.module import Module
from minilstm.layers.state_dict import check_entries


class Work(NamedTuple):
    """What a step does with one parameter."""

    name: str
    layer: Module               # whose parameter it is
    p: Array                    # the parameter
    g: Array                    # its gradient
    moments: tuple[Array, ...]


def check_number(name: str, value: Any, low: float = 0.0, below: float = math.inf) -> float:
    """Return ``value`` as a Python float; raise ArgumentError unless low <= value < below (NaN never is)."""
    try:
        found = float(value) if is_number(value) else math.nan
    except OverflowError:           # an int that is larger than any float
        found = math.inf
    if not low <= found < below:
        raise ArgumentError(f"{name}: expected a number >= {low:g} and < {below:g}, got {repr(value)[:50]}")
    return found


def learning(model: Module) -> list[tuple[str, Module, Array, Array]]:
    """Return (name, layer, parameter, gradient) of each parameter that learns: those of frozen layers do not.

    Raises DtypeError, ShapeError or ParameterError for a parameter, or a gradient, that does not fit.
    """
    found = []
    for name, (layer, key) in model.locate().items():
        if layer.frozen:
            continue
        p, where = layer.params[key], f"{name} ({type(layer).__name__})"
        if not is_array(p) or p.dtype.char not in "fd":
            got = getattr(p, "dtype", type(p).__name__)
            raise DtypeError(f"{where}: expected a float32 or float64 parameter, got {got}")
        g = as_real(f"gradient of {where}", layer.grads[key])
        if g.shape != p.shape:
            raise ShapeError(f"gradient of {where}: expected shape {p.shape}, got {g.shape}")
        found.append((name, layer, p, g))
    return found


class Optimizer:
    """Base class. A subclass names its hyperparameters and moments and writes ``_update`` for one parameter.

    Attributes:
        model: whose parameters are learned.
        lr: learning rate, settable at any time; a finite number >= 0.
        steps: how many updates have been made.
    """

    _hyper: tuple[str, ...] = ("lr",)

    def __init__(self, model: Module, **hyper: Any) -> None:
        if not isinstance(model, Module):
            raise DtypeError(f"{type(self).__name__}: expected a minilstm Module, got {type(model).__name__}; give the model "
                             f"itself: {type(self).__name__}(model)")
        if not model.locate():
            raise ArgumentError(f"{type(self).__name__}: the model has no parameters to learn")
        _check_apart(model)
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
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._hyper)})"

    # One step --------------------------------------------------------------------------------------------------------

    def step(self, *, checked: bool = False) -> None:
        """Update every parameter in place from its gradient, except those of frozen layers.

        Raises NonFiniteError naming the first gradient that holds NaN or infinity (and ShapeError, DtypeError or
        ParameterError for a gradient that does not fit its parameter, ArgumentError for a hyperparameter outside its allowed
        range, a read-only parameter or two that share memory) before anything changes. Forwards made before can then no
        longer be gone back through.
        Checking gradients on a device means waiting for it, once per step. ``checked=True`` skips the check where the caller
        has already made sure that all are finite, as the Trainer does from their norm.
        """
        self._set(self._validated({name: getattr(self, name) for name in self._hyper}))
        work = self._gather()
        if work and not checked:
            _check_finite(work, self._largest)
        self._moments.update((one.name, one.moments) for one in work)
        self.model.outdate()
        self.steps += 1
        for one in work:
            if not (one.layer.fast and self._fast_update(one.p, one.g, one.moments)):
                self._update(one.p, one.g, one.moments, *self._scratch(one.p))

    def _gather(self) -> list[Work]:
        """Look up every array that is to be updated and bring its moments to where it is; nothing is changed."""
        work: list[Work] = []
        _check_apart(self.model)
        for name, layer, p, g in learning(self.model):
            check_writeable(f"{name} ({type(layer).__name__})", p)
            xp = get_array_module(p, g)
            moments = self._moments.get(name)
            if moments is None or len(moments) < len(self._slots()):        # too few: momentum was switched on later
                moments = tuple(xp.zeros_like(p) for _ in self._slots())
            elif any(m.shape != p.shape for m in moments):
                raise ShapeError(f"{name} ({type(layer).__name__}): the shape changed from {moments[0].shape} to {p.shape} "
                                 "since the last step; make a new optimiser")
            elif any(m.dtype != p.dtype or type(m) is not type(p) for m in moments):
                moments = tuple(asarray(m, backend_name(p), p.dtype) for m in moments)
            work.append(Work(name, layer, p, g, moments))
        return work

    def _largest(self, dtype: np.dtype) -> float:
        """Return the size below which gradients of this dtype can be used."""
        return math.inf

    def _slots(self) -> tuple[str, ...]:
        """The names of the moments each parameter has."""
        return ()

    def _fast_update(self, p: Array, g: Array, moments: tuple[Array, ...]) -> bool:
        """Do what ``_update`` does, with a fast twin; where there is none, do nothing and return False."""
        return False

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], s: Array, r: Array) -> None:
        """Change ``p`` and ``moments`` in place; ``s`` and ``r`` are scratch arrays like ``p``."""
        raise TypeError(f"{type(self).__name__} does not define _update")

    def _scratch(self, p: Array) -> list[Array]:
        """Two arrays like ``p`` to compute in, cut from two buffers that all parameters share."""
        held = self._buffers[0] if self._buffers else None
        if held is None or type(held) is not type(p) or held.dtype != p.dtype or held.size < p.size:
            self._buffers = [get_array_module(p).empty(p.size, p.dtype) for _ in range(2)]
        return [buffer[:p.size].reshape(p.shape) for buffer in self._buffers]

    # Saving ----------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return {"arrays": {"0.W.exp_avg": host array, ...}, "meta": hyperparameters and step count, JSON-able}."""
        moments = {**self._moments, **({one.name: one.moments for one in self._gather()} if self.steps else {})}
        arrays = {f"{name}.{slot}": to_numpy(m).copy() for name in self.model.locate() if name in moments
                  for slot, m in zip(self._slots(), moments[name])}
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
        if type(meta["steps"]) is not int or not 0 <= meta["steps"] < 2 ** 63:
            raise CheckpointError(f"optimiser state: steps must be a whole number of at least 0, got {meta['steps']!r}")
        try:
            hyper = self._validated({name: meta[name] for name in self._hyper})
        except MinilstmError as error:
            raise CheckpointError(f"optimiser state: {error}") from None
        trial = type(self).__new__(type(self))          # knows which moments these hyperparameters need
        trial._set(hyper)
        names = {name: [f"{name}.{slot}" for slot in trial._slots()] for name in self.model.named_parameters()}
        owners = {name: layer.params[key] for name, (layer, key) in self.model.locate().items()
                  if meta["steps"] and not (layer.frozen and arrays.keys().isdisjoint(names[name]))}
        fitting = check_entries(arrays, {entry: (tuple(p.shape), np.dtype(p.dtype)) for name, p in owners.items()
                                         for entry in names[name]}, "optimiser array")
        for entry, value in fitting.items():
            if entry.endswith(".exp_avg_sq") and (value < 0).any():
                raise CheckpointError(f"optimiser array {entry}: holds negative values, but is a mean of squares")
        self._moments = {name: tuple(asarray(fitting[entry], backend_name(p)) for entry in names[name])
                         for name, p in owners.items()}
        self._set(hyper)
        self.steps = meta["steps"]


def _check_apart(model: Module) -> None:
    """Raise ArgumentError if two parameters share memory, which each of them would update."""
    host = [(name, p) for name, p in model.named_parameters().items() if isinstance(p, np.ndarray)]
    for (name, p), (other, q) in combinations(host, 2):
        if np.may_share_memory(p, q) and np.shares_memory(p, q):
            raise ArgumentError(f"{name} and {other} share memory, so each step would update them twice; to share weights, "
                                "use one layer object in both places")


def _check_finite(work: list[Work], largest: Callable[[np.dtype], float]) -> None:
    """Raise NonFiniteError naming the first gradient with an entry not below ``largest(dtype)``; waits for a device."""
    xp = get_array_module(work[0].p)
    sizes = [xp.maximum(one.g.max(), -one.g.min()) for one in work]         # NaN stays NaN, which is not below anything
    fits = to_numpy(xp.stack([size < largest(one.p.dtype) for size, one in zip(sizes, work)]))
    if fits.all():
        return
    one = next(one for one, ok in zip(work, fits) if not ok)
    g = to_numpy(one.g)
    bad = np.argwhere(~np.isfinite(g))
    where = f"gradient of {one.name} ({type(one.layer).__name__})"
    if len(bad):
        first = tuple(int(k) for k in bad[0])
        raise NonFiniteError(f"{where} is not finite: first at {list(first)}={g[first]} ({len(bad)} of {g.size} entries); no "
                             "weight was changed")
    first = tuple(int(k) for k in np.unravel_index(np.abs(g).argmax(), g.shape))
    raise NonFiniteError(f"{where} is too large: the square of its entry {list(first)}={g[first]:g} overflows {one.p.dtype}; "
                         "no weight was changed. Clip gradients first: clip_grad_norm(model, 1.0)")
